import Foundation
import Host
import ImageDatasets
import ResidualNetworks
import Torch
import Training

/// One training in its folder, from its start or its last checkpoint, told on standard error.
struct TrainingSession {
  private let configuration: RunConfiguration
  private let dataset: ImageDataset
  private let folder: RunFolder
  /// Those that were asked for; nil where the run keeps its own.
  private let threads: Int?
  private let checkpointSeconds: Double
  private let lockSeconds: Double

  init(
    _ configuration: RunConfiguration, _ dataset: ImageDataset, _ folder: RunFolder, threads: Int?,
    checkpointSeconds: Double, lockSeconds: Double = 0
  ) {
    (self.configuration, self.dataset, self.folder) = (configuration, dataset, folder)
    (self.threads, self.checkpointSeconds, self.lockSeconds) = (threads, checkpointSeconds, lockSeconds)
  }

  /// Trains until the end or an interrupt.
  /// - Throws: what `Trainer` throws; `FileError` where another process works in the folder.
  func run(_ terminal: Terminal) throws -> Trainer.Outcome {
    try Files.makeFolder(folder.url)
    let lock = try FolderLock(folder.url, waiting: lockSeconds)
    defer { withExtendedLifetime(lock) {} }
    // Measuring changes nothing of the training: a run that is gone on with may be measured otherwise from here on.
    if try !folder.holdsRun || configuration.measure != folder.configuration().measure {
      try Files.write(YAML.encode(configuration), to: folder.configurationFile)
    }
    let ambient = Libtorch.threads
    defer { try? Libtorch.setThreads(ambient) }
    if let before = try folder.sessions().last?.threads, before != ambient {
      if threads == nil {
        // Sums round by the number of threads: the run keeps its own.
        try Libtorch.setThreads(before)
      } else {
        terminal.note("note: this run had \(before) threads and has \(ambient) now: sums may round otherwise")
      }
    }
    let trainer = try Trainer(configuration, dataset: dataset, folder: folder)
    if trainer.records.count < configuration.recipe.epochs { try folder.add(.now()) }
    trainer.secondsBetweenCheckpoints = checkpointSeconds
    let history = try EpochMeasuring(configuration, trainer.network, dataset, folder)
    trainer.measureEpoch = { epoch, shouldStop in
      try history?.measure(epoch, shouldStop: shouldStop) { done, count, phase in
        let time = epoch == 0 ? "at initialisation" : "after epoch \(epoch)"
        terminal.progress(done, of: count, "measuring \(time): \(phase.rawValue)")
      } ?? .done()
    }
    announce(trainer, dataset, terminal)
    let outcome = try trainer.run(shouldStop: { Interrupt.received }, report: { show($0, terminal) })
    terminal.clear()
    return outcome
  }

  private func announce(_ trainer: Trainer, _ dataset: ImageDataset, _ terminal: Terminal) {
    let configuration = trainer.configuration
    let train = configuration.trainSamples ?? dataset.train.count
    terminal.note(
      "\(configuration.architecture.name) (\(configuration.architecture.trainableParameters) trainable parameters), "
        + "\(dataset.name) (\(train) train images), recipe \(configuration.recipe.name), "
        + "\(configuration.recipe.epochs) epochs of batches of \(configuration.recipe.batch), "
        + "\(configuration.precision.rawValue), \(Libtorch.threads) threads → \(trainer.folder.url.path)")
    if !trainer.records.isEmpty { terminal.note("going on after epoch \(trainer.records.count)") }
  }

  private func show(_ event: Trainer.Event, _ terminal: Terminal) {
    switch event {
    case .step(let now):
      terminal.progress(
        now.step, of: now.steps,
        "epoch \(now.epoch)/\(now.epochs)  loss \(fixed(now.loss, 4))  error \(percent(now.error))  "
          + "\(fixed(now.imagesPerSecond, 0)) images/s  \(now.secondsLeft.map { spoken(seconds: $0) } ?? "?") left")
    case .epoch(let record):
      terminal.note(
        "epoch \(record.epoch)  rate \(fixed(record.learningRate, 5))  train loss \(fixed(record.trainLoss, 4)) error "
          + "\(percent(record.trainError))  validation loss \(fixed(record.validationLoss, 4)) error "
          + "\(percent(record.validationError))  \(fixed(record.imagesPerSecond, 0)) images/s  \(spoken(seconds: record.seconds))"
      )
    }
  }
}
