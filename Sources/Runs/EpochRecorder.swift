import Foundation
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensTorch
import ResLensTraining

/// Measures a network that is trained after the epochs of its schedule, and writes what it finds into the run's folder.
struct EpochRecorder {
  /// The name of the data in results.
  private let source: String
  /// The samples of every epoch, with their fingerprints.
  private let samplings: [MeasureResults.Sampling]
  private let network: ResidualNetwork
  private let folder: RunFolder
  private let options: MeasureOptions
  private let registry: Registry
  private let statistics: ChannelStatistics
  /// True if the training starts from given weights, which have running statistics.
  private let startsFromWeights: Bool
  /// In float32, whatever the training's precision.
  private let (train, validation): (Samples, Samples)
  private let group: ProcessGroup?

  private struct Stopped: Error {}

  /// nil where the configuration has no schedule.
  /// - Parameter group: processes that share the work; the first of them writes
  /// - Throws: `MeasureError` where a measure is not possible, before anything is trained.
  init?(
    _ configuration: RunConfiguration, _ network: ResidualNetwork, _ dataset: ImageDataset, _ folder: RunFolder,
    _ registry: Registry, by group: ProcessGroup?
  ) throws {
    guard let schedule = configuration.measure else { return nil }
    (self.network, self.folder, self.registry, self.group) = (network, folder, registry, group)
    source = configuration.data
    startsFromWeights = configuration.initialWeights != nil
    var options = MeasureOptions(names: Set(schedule.names))
    options.way = MeasuringWay(by: schedule.batchNorm ?? .running)
    self.options = options
    statistics = try configuration.inputStatistics(on: dataset)
    let maker = try BatchMaker(statistics: statistics, device: network.device)
    func samples(_ set: ImageSet) throws -> Samples {
      try Samples(set, count: schedule.samples, batch: MeasureSchedule.batch, maker: maker)
    }
    (train, validation) = (try samples(dataset.train), try samples(dataset.validation))
    samplings = try MeasureResults.Sampling.now(train: train, validation: validation, program: ResLensVersion.number)
    _ = try suite(options)
  }

  private func suite(_ options: MeasureOptions) throws -> MeasureSuite {
    try MeasureSuite(network, options, registry: registry, train: train, validation: validation, by: group)
  }

  /// Measures the network as it is now. Where it is told to stop, nothing is written.
  func measure(
    _ epoch: Int, shouldStop: () throws -> Bool, progress: (MeasureSuite.Phase, Int, Int) -> Void
  ) throws -> Trainer.Measuring {
    var options = options
    if epoch == 0, !startsFromWeights {
      // Before the first step the running statistics are those of no data.
      options.way = .batchStatistics
      options.names.formIntersection(registry.names(where: \.withBatchStatistics))
      if options.names.isEmpty { return .done() }
    }
    let found: MeasureSuite.Found
    do {
      found = try suite(options).run { phase, done, count in
        if try shouldStop() { throw Stopped() }
        progress(phase, done, count)
      }
    } catch is Stopped {
      return .stopped
    }
    guard group.isFirst else { return .done(validation: found.validation) }
    try folder.writeHistory(
      MeasureResults(
        run: folder.name, architecture: network.architecture.name, checkpoint: Checkpoint.name(epoch: epoch),
        epoch: epoch, data: source, batchNorm: options.batchNorm,
        batch: options.batchNorm == .batch ? train.batch : nil,
        provenance: Provenance(
          weights: try network.fingerprint(), statistics: statistics, isOwnData: true),
        samplings: samplings, steps: network.architecture.steps, tables: found.tables, absent: found.absent))
    return .done(validation: found.validation)
  }
}
