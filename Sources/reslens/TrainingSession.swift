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
  /// The number of threads that was asked for; nil where the run keeps its own.
  private let threads: Int?
  private let checkpointSeconds: Double
  private let lockSeconds: Double
  private let device: Device
  private let capturesSteps: Bool
  private let processes: DataParallel?

  /// - Parameters:
  ///   - device: what computes
  ///   - capturesSteps: whether a GPU's steps become graphs
  ///   - processes: those that share the work; process 0 alone reads and writes the folder
  init(
    _ configuration: RunConfiguration, _ dataset: ImageDataset, _ folder: RunFolder, threads: Int?,
    checkpointSeconds: Double, lockSeconds: Double = 0, device: Device = .cpu, capturesSteps: Bool = true,
    processes: DataParallel? = nil
  ) {
    (self.device, self.capturesSteps, self.processes) = (device, capturesSteps, processes)
    (self.configuration, self.dataset, self.folder) = (configuration, dataset, folder)
    (self.threads, self.checkpointSeconds, self.lockSeconds) = (threads, checkpointSeconds, lockSeconds)
  }

  /// Trains until the end or an interrupt.
  /// - Throws: what `Trainer` throws; `FileError` where another process works in the folder.
  func run(_ terminal: Terminal) throws -> Trainer.Outcome {
    let lock = try writes ? openFolder() : nil
    defer { withExtendedLifetime(lock) {} }
    let ambient = Libtorch.threads
    defer { try? Libtorch.setThreads(ambient) }
    try keepThreads(terminal)
    let trainer = try Trainer(
      configuration, dataset: dataset, folder: folder, device: device, capturesSteps: capturesSteps,
      processes: processes)
    if writes, trainer.records.count < configuration.recipe.epochs {
      try folder.add(.now(device: device, processes: processes))
    }
    trainer.secondsBetweenCheckpoints = checkpointSeconds
    let history = try EpochMeasuring(configuration, trainer.network, dataset, folder, by: processes?.group)
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

  private var writes: Bool { (processes?.group).isFirst }

  /// Makes the folder and writes what is to be done into it.
  /// - Returns: its lock, which is to be kept
  private func openFolder() throws -> FolderLock {
    try Files.makeFolder(folder.url)
    let lock = try FolderLock(folder.url, waiting: lockSeconds)
    let stored = folder.holdsRun ? try folder.configuration() : nil
    if stored == nil, let checkpoint = folder.latestCheckpoint() {
      throw FileError(
        path: checkpoint.url.path,
        problem:
          "there is a checkpoint here, but no \(folder.configurationFile.lastPathComponent) that says of what run",
        remedy: "put that back into the folder, or train into another one")
    }
    // Only these may change when a run is resumed.
    guard
      stored == nil || stored?.data != configuration.data || stored?.measure != configuration.measure
        || stored?.synchronisesStatistics != configuration.synchronisesStatistics
    else { return lock }
    try Files.write(YAML.encode(configuration), to: folder.configurationFile)
    return lock
  }

  /// How many work on a training, which its numbers depend on.
  private struct Parallelism: Codable, CustomStringConvertible {
    let threads: Int
    let processes: Int
    /// In how many parts a batch is normalised.
    let parts: Int

    init(threads: Int, processes: DataParallel?) {
      (self.threads, self.processes) = (threads, processes?.group.size ?? 1)
      parts = processes?.synchronisesStatistics == true ? 1 : self.processes
    }

    init(_ session: RunFolder.Session) {
      (threads, processes) = (session.threads, session.processes ?? 1)
      parts = session.synchronisesStatistics == true ? 1 : processes
    }

    var description: String { (processes == 1 ? "" : "\(processes) processes of ") + "\(threads) threads" }
  }

  /// Sums round by the number of threads and of processes: a run keeps its threads, as long as it has as many processes.
  private func keepThreads(_ terminal: Terminal) throws {
    let now = Parallelism(threads: Libtorch.threads, processes: processes)
    var before = now
    if writes, let last = try folder.sessions().last { before = Parallelism(last) }
    before = try processes?.group.first(before) ?? before
    if before.parts != now.parts {
      terminal.note(
        "note: a batch of this run is normalised in \(now.parts) part\(now.parts == 1 ? "" : "s") now, and was in "
          + "\(before.parts)")
    }
    guard before.threads != now.threads || before.processes != now.processes else { return }
    if before.processes == now.processes, threads == nil { return try Libtorch.setThreads(before.threads) }
    terminal.note("note: this run had \(before) and has \(now) now: sums may round otherwise")
  }

  private func announce(_ trainer: Trainer, _ dataset: ImageDataset, _ terminal: Terminal) {
    let configuration = trainer.configuration
    let train = configuration.trainSamples ?? dataset.train.count
    terminal.note(
      "\(configuration.architecture.name) (\(configuration.architecture.trainableParameters) trainable parameters), "
        + "\(dataset.name) (\(train) train images), recipe \(configuration.recipe.name), "
        + "\(configuration.recipe.epochs) epochs of batches of \(configuration.recipe.batch), "
        + "\(configuration.precision.rawValue), "
        + (processes.map { "\($0.group.size) processes of " } ?? "")
        + "\(device == .cpu ? "\(Libtorch.threads) threads" : "\(device)") → \(trainer.folder.url.path)")
    let (epochs, steps) = (trainer.records.count, trainer.stepsOfEpoch)
    if epochs > 0 || steps > 0 {
      terminal.note("going on after " + (steps > 0 ? "step \(steps) of epoch \(epochs + 1)" : "epoch \(epochs)"))
    }
  }

  private func show(_ event: Trainer.Event, _ terminal: Terminal) {
    switch event {
    case .step(let now):
      terminal.progress(
        now.step, of: now.steps,
        "epoch \(now.epoch)/\(now.epochs)  loss \(now.loss.map { fixed($0, 4) } ?? "?")  "
          + "error \(now.error.map { percent($0) } ?? "?")  "
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
