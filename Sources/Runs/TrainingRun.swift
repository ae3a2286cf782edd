import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensTorch
import ResLensTraining

/// The training of one run in its folder, from its start or from its last checkpoint, with the measures of its schedule.
public struct TrainingRun {
  private var configuration: RunConfiguration
  private let dataset: ImageDataset
  private let folder: RunFolder
  private let options: Options

  /// Settings of how a training is carried out. They affect its numbers only by rounding, except `processes`: without
  /// synchronised statistics each process normalises its own part of a batch.
  public struct Options {
    /// The registry in which the schedule's measures are looked up.
    public var registry = Registry.standard
    /// The device that computes.
    public var device = Device.cpu
    /// The number of threads; nil for the number that a resumed run had before, and for that of the program in a new run.
    public var threads: Int?
    /// Seconds between checkpoints within an epoch; there is one at the end of every epoch anyway.
    public var checkpointSeconds = 300.0
    /// How long another process may still hold the folder, in seconds.
    public var lockSeconds = 0.0
    /// True if a GPU's steps are captured as graphs.
    public var capturesSteps = true
    /// True to write an event file for TensorBoard. A run that already has one keeps it up to date in any case.
    public var writesEvents = false
    /// The processes that share the work; process 0 alone reads and writes the folder.
    public var processes: DataParallel?

    public init() {}
  }

  /// - Parameters:
  ///   - configuration: what is trained, on which data, and by which recipe
  ///   - dataset: the data that the configuration names
  ///   - folder: the folder of the run; it need not exist
  /// - Throws: `TorchError` if the statistics of the data cannot be taken.
  public init(
    _ configuration: RunConfiguration, dataset: ImageDataset, folder: RunFolder, options: Options = Options()
  ) throws {
    (self.configuration, self.dataset, self.folder, self.options) = (configuration, dataset, folder, options)
    self.configuration.statistics = try configuration.inputStatistics(on: dataset)
  }

  /// Trains until the end.
  /// - Parameters:
  ///   - shouldStop: asked after every step; once it returns true, the state is saved and the call returns
  ///   - log: receives progress and notes
  ///   - report: receives every step and epoch
  /// - Throws: what `Trainer` throws; `FileError` if another process works in the folder, if it holds another run, or if it
  ///   holds a checkpoint without a configuration.
  @discardableResult
  public func run(
    shouldStop: () -> Bool = { false }, log: any RunLog = SilentLog(), report: (Trainer.Event) -> Void = { _ in }
  ) throws -> Trainer.Outcome {
    let lock = try writes ? openFolder() : nil
    defer { withExtendedLifetime(lock) {} }
    let before = Libtorch.threads
    defer { try? Libtorch.setThreads(before) }
    if let threads = options.threads { try Libtorch.setThreads(threads) }
    try keepThreads(log)
    if writes { noteMemory(log) }
    let trainer = try Trainer(
      configuration, dataset: dataset, folder: folder, device: options.device, capturesSteps: options.capturesSteps,
      processes: options.processes)
    let recorder = try EpochRecorder(
      configuration, trainer.network, dataset, folder, options.registry, by: options.processes?.group)
    if writes {
      try writeConfiguration()
      if trainer.records.count < configuration.recipe.epochs {
        try folder.add(.now(device: options.device, processes: options.processes))
      }
    }
    var events = try eventFile(trainer)
    /// An event file that cannot be written does not end the training: the next call writes it anew.
    func addEvents(_ epoch: Int, _ record: EpochRecord? = nil) {
      do {
        try events?.add(epoch, record)
      } catch {
        events = nil
        log.note("note: \(error)")
      }
    }
    trainer.secondsBetweenCheckpoints = options.checkpointSeconds
    trainer.measureEpoch = { epoch, shouldStop in
      let outcome =
        try recorder?.measure(epoch, shouldStop: shouldStop) { phase, done, count in
          let time = epoch == 0 ? "at initialisation" : "after epoch \(epoch)"
          log.progress(done, of: count, "measuring \(time): \(phase.rawValue)")
        } ?? .done()
      if epoch == 0, case .done = outcome { addEvents(0) }
      return outcome
    }
    announce(trainer, log)
    let outcome = try trainer.run(shouldStop: shouldStop) { event in
      show(event, log)
      if case .epoch(let record) = event { addEvents(record.epoch, record) }
      report(event)
    }
    log.clear()
    return outcome
  }

  /// The run's event file; nil where none is wanted.
  private func eventFile(_ trainer: Trainer) throws -> TensorBoardLog? {
    guard writes, options.writesEvents || TensorBoardLog.exists(in: folder) else { return nil }
    return try TensorBoardLog(
      folder, trainer.records, hasBegun: !trainer.records.isEmpty || trainer.stepsOfEpoch > 0)
  }

  private var writes: Bool { (options.processes?.group).isFirst }

  /// Makes and locks the folder, and checks that it holds no other run.
  /// - Returns: the folder's lock, which is to be kept
  private func openFolder() throws -> FolderLock {
    try Files.makeFolder(folder.url)
    let lock = try FolderLock(folder.url, waiting: options.lockSeconds)
    let stored = folder.holdsRun ? try folder.configuration() : nil
    try folder.requireNoLostRun()
    if let stored, let problem = configuration.problem(continuing: stored) {
      throw FileError(
        path: folder.url.path, problem: "there is another run in this folder: \(problem)",
        remedy: "continue it with its own settings, or train into another folder")
    }
    return lock
  }

  /// Writes the run's configuration into the folder where it is missing or has changed.
  private func writeConfiguration() throws {
    var stored = folder.holdsRun ? try folder.configuration() : nil
    // Files of version 0.1.0 have fewer digits, and results refer to them.
    stored?.statistics = configuration.statistics
    guard stored != configuration else { return }
    try Files.write(YAML.encode(configuration), to: folder.configurationFile)
  }

  /// The number of threads and processes that work on a training, by which its sums are rounded.
  private struct Parallelism: Codable, CustomStringConvertible {
    let threads: Int
    let processes: Int
    /// The number of parts into which a batch is divided for normalisation.
    let parts: Int

    init(threads: Int, processes: DataParallel?) {
      (self.threads, self.processes) = (threads, processes?.group.size ?? 1)
      parts = processes?.synchronisesStatistics == true ? 1 : self.processes
    }

    init(_ session: RunFolder.Session) {
      (threads, processes) = (session.threads, session.processes ?? 1)
      parts = session.synchronisesStatistics == true ? 1 : processes
    }

    var description: String { (processes == 1 ? "" : "\(processes) processes of ") + counted(threads, "thread") }
  }

  /// Gives a resumed run the threads that it had, as long as it has as many processes.
  private func keepThreads(_ log: any RunLog) throws {
    let now = Parallelism(threads: Libtorch.threads, processes: options.processes)
    var before = now
    if writes, let last = try folder.sessions().last { before = Parallelism(last) }
    before = try options.processes?.group.first(before) ?? before
    if before.parts != now.parts {
      log.note(
        "note: a batch of this run is normalised in \(counted(now.parts, "part")) now, and was in \(before.parts)")
    }
    guard before.threads != now.threads || before.processes != now.processes else { return }
    if before.processes == now.processes, options.threads == nil { return try Libtorch.setThreads(before.threads) }
    log.note("note: this run had \(before) and has \(now) now: sums may be rounded differently")
  }

  /// Says how much memory the training needs if that is more than half of what the process may have.
  private func noteMemory(_ log: any RunLog) {
    guard options.device == .cpu else { return }
    let needed = MemoryEstimate(
      configuration, dataset, threads: Libtorch.threads, processes: options.processes?.group.size ?? 1
    ).total
    let limit = MemoryLimit.bytes
    guard needed > limit / 2 else { return }
    func gibibytes(_ bytes: Double) -> String { "\(decimal(bytes / Double(1 << 30), 1)) GiB" }
    log.note(
      "note: training needs about \(gibibytes(needed)) of memory, and this process may have \(gibibytes(limit)); "
        + "a smaller --batch needs less")
  }

  private func announce(_ trainer: Trainer, _ log: any RunLog) {
    let configuration = trainer.configuration
    let train = configuration.trainSamples ?? dataset.train.count
    log.note(
      "\(configuration.architecture.name) (\(configuration.architecture.trainableParameters) trainable parameters), "
        + "\(dataset.name) (\(train) train images), recipe \(configuration.recipe.name), "
        + "\(counted(configuration.recipe.epochs, "epoch")) of batches of \(configuration.recipe.batch), "
        + "\(configuration.precision.rawValue), "
        + (options.processes.map { "\($0.group.size) processes of " } ?? "")
        + "\(options.device == .cpu ? counted(Libtorch.threads, "thread") : "\(options.device)") → \(trainer.folder.url.path)"
    )
    let (epochs, steps) = (trainer.records.count, trainer.stepsOfEpoch)
    if epochs == configuration.recipe.epochs {
      log.note("the run is finished: all \(counted(epochs, "epoch")) are done")
    } else if epochs > 0 || steps > 0 {
      log.note("continuing after " + (steps > 0 ? "step \(steps) of epoch \(epochs + 1)" : "epoch \(epochs)"))
    }
  }

  private func show(_ event: Trainer.Event, _ log: any RunLog) {
    switch event {
    case .step(let now):
      log.progress(
        now.step, of: now.steps,
        "epoch \(now.epoch)/\(now.epochs)  loss \(now.loss.map { decimal($0, 4) } ?? "?")  "
          + "error \(now.error.map { percent($0) } ?? "?")  "
          + "\(decimal(now.imagesPerSecond, 0)) images/s  \(now.secondsLeft.map { spoken(seconds: $0) } ?? "?") left")
    case .epoch(let record):
      log.note(
        "epoch \(record.epoch)  rate \(decimal(record.learningRate, 5))  train loss \(decimal(record.trainLoss, 4)) error "
          + "\(percent(record.trainError))  validation loss \(decimal(record.validationLoss, 4)) error "
          + "\(percent(record.validationError))  \(decimal(record.imagesPerSecond, 0)) images/s  "
          + spoken(seconds: record.seconds))
    }
  }
}
