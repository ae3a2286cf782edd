import Foundation
import Host
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Studies
import Torch
import Training

/// Does one run of a study: trains it to its end, and measures what is missing.
struct PlannedRunWork {
  let folder: StudyFolder
  let device: Device
  let threads: Int?

  private struct Stopped: Error {}
  /// Between checkpoints within an epoch.
  private static let checkpointSeconds = 120.0
  /// As long as a killed call's worker may take to notice.
  private static let lockSeconds = 20.0

  /// - Returns: false where it was interrupted; what is done is kept.
  func run(_ run: PlannedRun, _ dataset: ImageDataset, _ terminal: Terminal) throws -> Bool {
    let place = folder.folder(of: run)
    if try run.state(in: place) == .training {
      let session = TrainingSession(
        run.configuration, dataset, place, threads: threads, checkpointSeconds: Self.checkpointSeconds,
        lockSeconds: Self.lockSeconds, device: device)
      do {
        guard try session.run(terminal) == .finished else { return false }
      } catch let error as TrainingError {
        // A network that cannot be trained this way is a finding; the others are still to be seen.
        terminal.clear()
        terminal.note("\(place.name) did not come to its end: \(error)")
        try Files.write("\(error)\n", to: place.divergenceFile)
        return true
      }
    }
    return try measure(run, place, dataset, terminal)
  }

  private func measure(
    _ run: PlannedRun, _ place: RunFolder, _ dataset: ImageDataset, _ terminal: Terminal
  ) throws -> Bool {
    guard try run.state(in: place) == .measuring else { return true }
    let missing = try run.missingMeasures(in: place)
    let lock = try FolderLock(place.url, waiting: Self.lockSeconds)
    defer { withExtendedLifetime(lock) {} }
    var options = run.measurement.options
    options.names = Set(missing.compactMap(MeasureName.init(rawValue:)))
    let statistics = run.configuration.statistics ?? dataset.statistics
    let maker = try BatchMaker(statistics: statistics, device: device)
    let samples = { try Samples($0, count: run.measurement.samples, maker: maker) }
    let trained = try dataset.train.prefix(run.configuration.trainSamples ?? dataset.train.count)
    do {
      let measuring = try RunMeasuring(place, expecting: run.configuration.architecture, on: device)
      _ = try measuring.measure(
        options, run.configuration.data, statistics: statistics, isOwnData: true, train: samples(trained),
        validation: samples(dataset.validation)
      ) { phase, done, count in
        if Interrupt.received { throw Stopped() }
        terminal.progress(done, of: count, "measuring: \(phase.rawValue)")
      }
      terminal.clear()
      return true
    } catch is Stopped {
      terminal.clear()
      return false
    }
  }
}
