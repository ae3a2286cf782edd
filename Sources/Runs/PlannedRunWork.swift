import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensTorch
import ResLensTraining

/// Does one run of a study: trains it to its end, and measures what is missing.
public struct PlannedRunWork {
  private let folder: StudyFolder
  private let registry: Registry
  private let device: Device
  private let threads: Int?

  /// - Parameters:
  ///   - registry: the measures that the runs' names are of
  ///   - threads: the number of threads of a training; nil for the number that a resumed run had before
  public init(in folder: StudyFolder, registry: Registry = .standard, device: Device = .cpu, threads: Int? = nil) {
    (self.folder, self.registry, self.device, self.threads) = (folder, registry, device, threads)
  }

  private struct Stopped: Error {}
  /// Between checkpoints within an epoch.
  private static let checkpointSeconds = 120.0
  /// As long as a killed call's worker may take to notice.
  private static let lockSeconds = 20.0

  /// Does what is left of the run.
  /// - Returns: false where it was stopped; what is done is kept
  public func run(
    _ run: PlannedRun, on dataset: ImageDataset, shouldStop: () -> Bool = { false }, log: any RunLog = SilentLog()
  ) throws -> Bool {
    let place = folder.folder(of: run)
    if try run.state(in: place, registry: registry) == .training {
      var options = TrainingRun.Options()
      (options.registry, options.device, options.threads) = (registry, device, threads)
      (options.checkpointSeconds, options.lockSeconds) = (Self.checkpointSeconds, Self.lockSeconds)
      let training = try TrainingRun(run.configuration, dataset: dataset, folder: place, options: options)
      do {
        guard try training.run(shouldStop: shouldStop, log: log) == .finished else { return false }
      } catch let error as TrainingError {
        // A network that cannot be trained this way is a finding; the others are still to be seen.
        log.clear()
        log.note("\(place.name) did not come to its end: \(error)")
        try Files.write("\(error)\n", to: place.divergenceFile)
        return true
      }
    }
    return try measure(run, place, dataset, shouldStop, log)
  }

  private func measure(
    _ run: PlannedRun, _ place: RunFolder, _ dataset: ImageDataset, _ shouldStop: () -> Bool, _ log: any RunLog
  ) throws -> Bool {
    guard try run.state(in: place, registry: registry) == .measuring else { return true }
    let missing = try run.missingMeasures(in: place, registry: registry)
    let lock = try FolderLock(place.url, waiting: Self.lockSeconds)
    defer { withExtendedLifetime(lock) {} }
    var options = run.measurement.options
    options.names = missing
    let statistics = try run.configuration.inputStatistics(on: dataset)
    let maker = try BatchMaker(statistics: statistics, device: device)
    let samples = { try Samples($0, count: run.measurement.samples, maker: maker) }
    let trained = try dataset.train.prefix(run.configuration.trainSamples ?? dataset.train.count)
    do {
      let measuring = try RunMeasuring(
        place, expecting: run.configuration.architecture, on: device, registry: registry)
      _ = try measuring.measure(
        options,
        on: .init(
          source: run.configuration.data, statistics: statistics, isOwn: true, train: samples(trained),
          validation: samples(dataset.validation)),
        replaces: true, note: log.note
      ) { phase, done, count in
        if shouldStop() { throw Stopped() }
        log.progress(done, of: count, "measuring: \(phase.rawValue)")
      }
      log.clear()
      return true
    } catch is Stopped {
      log.clear()
      return false
    }
  }
}
