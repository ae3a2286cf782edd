import Foundation
import Host
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import Torch
import Training

/// The newest network of a run, to be measured into its folder.
struct RunMeasuring {
  let folder: RunFolder
  let network: ResidualNetwork
  private let group: ProcessGroup?
  /// The checkpoint's name and epoch.
  private let name: String
  private let epoch: Int

  /// - Parameters:
  ///   - device: what is to compute
  ///   - group: processes that share the work, the first of which reads and writes
  /// - Throws: `FileError` where there is no checkpoint, or one of another architecture.
  init(
    _ folder: RunFolder, expecting architecture: Architecture, on device: Device = .cpu, by group: ProcessGroup? = nil
  ) throws {
    (self.folder, self.group) = (folder, group)
    guard group.isFirst else {
      let network = try ResidualNetwork(architecture, seed: 0)
      try group?.broadcastByName(network.parameters)
      (self.network, name, epoch) = (try network.moved(to: device), "", 0)
      return
    }
    let (network, checkpoint) = try Self.newest(folder, architecture)
    try group?.broadcastByName(network.parameters)
    self.network = try network.moved(to: device)
    (name, epoch) = (checkpoint.url.lastPathComponent, checkpoint.epoch ?? 0)
  }

  private static func newest(
    _ folder: RunFolder, _ architecture: Architecture
  ) throws -> (ResidualNetwork, Checkpoint) {
    guard let checkpoint = folder.latestCheckpoint() else {
      throw FileError(
        path: folder.url.path, problem: "there is no checkpoint in this run yet",
        remedy: "let it train for an epoch: reslens train --resume --out \(folder.url.path)")
    }
    do {
      return (try checkpoint.network(expecting: architecture), checkpoint)
    } catch  where folder.latestCheckpoint()?.url != checkpoint.url {
      // The run is being trained, and a newer checkpoint has just taken this one's place.
      return try newest(folder, architecture)
    }
  }

  /// Measures, and writes it with what an earlier call found on the same checkpoint and samples.
  /// - Parameters:
  ///   - source: where the samples come from
  ///   - note: is told, before anything is measured, of what an earlier call found and this one replaces
  /// - Returns: what this call found
  func measure(
    _ options: MeasureOptions, _ source: String, train: Samples, validation: Samples,
    listBorderline: ((_ isTrain: Bool, BorderlineExample) -> Void)? = nil, note: (String) -> Void = { _ in },
    progress: (MeasureSuite.Phase, Int, Int) throws -> Void
  ) throws -> MeasureResults {
    let suite = try MeasureSuite(
      network, options, train: train, validation: validation, by: group, listBorderline: listBorderline)
    var found = MeasureResults(
      run: folder.name, architecture: network.architecture.name, checkpoint: name,
      epoch: epoch, data: source, samples: .init(train: train.count, validation: validation.count),
      steps: network.architecture.steps.count, mode: options.mode,
      batch: options.mode == .training ? train.batch : nil, measures: .init(), absent: [])
    if group.isFirst, !FileManager.default.isWritableFile(atPath: folder.url.path) {
      throw FileError(
        path: folder.measuresFile(options.mode).path, problem: "its folder cannot be written to",
        remedy: "mend its permissions, or measure a copy of the run")
    }
    if let earlier = earlier(options.mode), !found.canStand(with: earlier), !earlier.measures.names.isEmpty {
      let counts = earlier.samples
      note(
        "note: in \(folder.measuresFile(options.mode).path), \(earlier.measures.names.sorted().joined(separator: ", ")) of "
          + "\(counts.train) train and \(counts.validation) validation images will be replaced: the samples, the data or "
          + "the checkpoint are others now")
    }
    (found.measures, found.absent, _) = try suite.run(progress: progress)
    guard group.isFirst else { return found }
    var all = found
    // Another call may have ended meanwhile.
    if let earlier = earlier(options.mode) {
      all.keepMeasures(of: earlier, asked: Set(options.names.map(\.rawValue)))
    }
    try folder.write(all)
    return found
  }

  /// What earlier calls found; a damaged file is no loss.
  private func earlier(_ mode: MeasureMode) -> MeasureResults? {
    group.isFirst ? try? folder.measures(mode) : nil
  }
}
