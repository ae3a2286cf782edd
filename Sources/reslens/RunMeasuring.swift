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
        remedy: "let it train for an epoch: reslens train --resume --out \(folder.url.path.shellQuoted)")
    }
    do {
      return (try checkpoint.network(expecting: architecture), checkpoint)
    } catch  where folder.latestCheckpoint()?.url != checkpoint.url {
      // The run is being trained, and a newer checkpoint has just taken this one's place.
      return try newest(folder, architecture)
    }
  }

  /// Measures, and writes it with what an earlier call found in the same network on the same samples.
  /// - Parameters:
  ///   - source: where the samples come from
  ///   - statistics: by which the samples are normalised
  ///   - isOwnData: whether the samples are of the data set that the run is trained on
  ///   - replaces: whether measures that this call does not take anew may be lost
  ///   - note: is told, before anything is measured, of what an earlier call found and this one replaces
  /// - Returns: what this call found
  /// - Throws: `FileError` where measures would be lost, before anything is measured.
  func measure(
    _ options: MeasureOptions, _ source: String, statistics: ChannelStatistics, isOwnData: Bool, train: Samples,
    validation: Samples, replaces: Bool = false,
    listBorderline: ((_ isTrain: Bool, BorderlineExample) -> Void)? = nil, note: (String) -> Void = { _ in },
    progress: (MeasureSuite.Phase, Int, Int) throws -> Void
  ) throws -> MeasureResults {
    let suite = try MeasureSuite(
      network, options, train: train, validation: validation, by: group, listBorderline: listBorderline)
    var found = MeasureResults(
      run: folder.name, architecture: network.architecture.name, checkpoint: name,
      epoch: epoch, data: source, samples: .init(train: train.count, validation: validation.count),
      steps: network.architecture.steps.count, mode: options.mode,
      batch: options.mode == .training ? train.batch : nil,
      provenance: try Provenance(
        of: network, images: Provenance.fingerprints(of: train, validation), statistics: statistics,
        isOwnData: isOwnData, program: Program.version), measures: .init(), absent: [])
    if group.isFirst, !FileManager.default.isWritableFile(atPath: folder.url.path) {
      throw FileError(
        path: folder.measuresFile(options.mode).path, problem: "its folder cannot be written to",
        remedy: "fix its permissions, or measure a copy of the run")
    }
    let asked = Set(options.names.map(\.rawValue))
    if let earlier = earlier(options.mode), !earlier.measures.names.isEmpty,
      let difference = found.difference(from: earlier)
    {
      let counts = earlier.samples
      let lost =
        "\(earlier.measures.names.sorted().joined(separator: ", ")), measured on \(counts.train) train and "
        + "\(counts.validation) validation images on \(earlier.provenance.date), cannot stay in one file with what this call "
        + "measures, which differs in \(difference)"
      guard replaces || !earlier.isMore(than: asked, on: found.samples) else {
        throw FileError(
          path: folder.measuresFile(options.mode).path, problem: lost,
          remedy: "replace them with --replace, or move the file away")
      }
      note("note: in \(folder.measuresFile(options.mode).path), \(lost)")
    }
    (found.measures, found.absent, _) = try suite.run(progress: progress)
    guard group.isFirst else { return found }
    var all = found
    // Another call may have ended meanwhile.
    if let earlier = earlier(options.mode) {
      all.keepMeasures(of: earlier, asked: asked)
    }
    try folder.write(all)
    return found
  }

  /// The results of earlier calls; nil where the file is damaged.
  private func earlier(_ mode: MeasureMode) -> MeasureResults? {
    group.isFirst ? try? folder.measures(mode) : nil
  }
}
