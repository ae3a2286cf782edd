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
  private let checkpoint: Checkpoint

  /// - Parameter device: what is to compute
  /// - Throws: `FileError` where there is no checkpoint, or one of another architecture.
  init(_ folder: RunFolder, expecting architecture: Architecture, on device: Device = .cpu) throws {
    self.folder = folder
    let (stored, checkpoint) = try Self.newest(folder, architecture)
    (network, self.checkpoint) = (try stored.moved(to: device), checkpoint)
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
  ///   - group: processes that share the work, the first of which writes
  /// - Returns: what this call found
  func measure(
    _ options: MeasureOptions, _ source: String, train: Samples, validation: Samples, by group: ProcessGroup? = nil,
    listBorderline: ((_ isTrain: Bool, BorderlineExample) -> Void)? = nil,
    progress: (MeasureSuite.Phase, Int, Int) throws -> Void
  ) throws -> MeasureResults {
    let suite = try MeasureSuite(
      network, options, train: train, validation: validation, by: group, listBorderline: listBorderline)
    let (measures, absent, _) = try suite.run(progress: progress)
    let found = MeasureResults(
      run: folder.name, architecture: network.architecture.name, checkpoint: checkpoint.url.lastPathComponent,
      epoch: checkpoint.epoch ?? 0, data: source, samples: .init(train: train.count, validation: validation.count),
      steps: network.architecture.steps.count, mode: options.mode,
      batch: options.mode == .training ? train.batch : nil, measures: measures, absent: absent)
    guard group.isFirst else { return found }
    var all = found
    if let earlier = try? folder.measures(options.mode) {
      all.keepMeasures(of: earlier, asked: Set(options.names.map(\.rawValue)))
    }
    try folder.write(all)
    return found
  }
}
