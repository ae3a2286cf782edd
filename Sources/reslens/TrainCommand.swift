import ArgumentParser
import Foundation
import Host
import ImageDatasets
import ResidualNetworks
import Results
import Torch
import Training

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains a network into a run folder.",
    discussion: """
      For example:
        reslens train --model resnet-20 --data synthetic --recipe quick
        reslens train --model resnet-110 --data data/cifar-10-batches-bin --recipe paper --out runs/r110
        reslens train --model resnet-20 --data synthetic --measure every=1,samples=1000
        reslens train --resume --out runs/r110

      A run that was cut off goes on with --resume and gives the same weights, bit for bit, on the same machine with
      the same number of threads.
      """)

  @Option(
    help: ArgumentHelp(
      "resnet-N, single-representation, avg-pooling, max-pooling, wide, or a YAML file.", valueName: "name|file"))
  var model: String?

  @Option(help: ArgumentHelp("synthetic, synthetic:SEED, or a folder or archive of CIFAR.", valueName: "source"))
  var data: String?

  @Option(help: ArgumentHelp("paper, paper-likely, quick, or a YAML file. (default: quick)", valueName: "name|file"))
  var recipe: String?

  @Option(help: ArgumentHelp("Epochs instead of the recipe's.", valueName: "n"))
  var epochs: Int?

  @Option(help: ArgumentHelp("Images a step instead of the recipe's.", valueName: "n"))
  var batch: Int?

  @Option(help: ArgumentHelp("Of initial weights, order and augmentation. (default: 0)", valueName: "n"))
  var seed: UInt64?

  @Option(help: ArgumentHelp("fp32, or bf16 for activations in bfloat16. (default: fp32)", valueName: "type"))
  var precision: Precision?

  @Option(help: ArgumentHelp("Only the first so many train images.", valueName: "n"))
  var trainSamples: Int?

  @Option(help: ArgumentHelp("Only the first so many validation images.", valueName: "n"))
  var validationSamples: Int?

  @Option(
    help: ArgumentHelp(
      """
      Records measures after every so many epochs, on the first so many train and validation samples; for instance \
      every=1,samples=2000 or every=5,samples=1000,l2-ratio,dropped-step. (default of names: \
      \(MeasureSchedule.standard.joined(separator: ",")))
      """, valueName: "every=n,samples=n[,names]"))
  var measure: String?

  @Option(help: ArgumentHelp("The run folder. (default: runs/MODEL-DATA-RECIPE-SEED)", valueName: "dir"))
  var out: String?

  @Option(
    help: ArgumentHelp("Seconds between checkpoints within an epoch; there is one after every epoch.", valueName: "n"))
  var checkpointSeconds = 300.0

  @Flag(help: "Goes on with the run in the folder; begins it where there is none.")
  var resume = false

  @OptionGroup var threads: ThreadOptions

  enum Precision: String, ExpressibleByArgument, CaseIterable {
    case fp32, bf16
    var type: ElementType { self == .fp32 ? .float32 : .bfloat16 }
  }

  func run() throws {
    let stored = try storedConfiguration()
    try threads.apply()
    let (configuration, dataset) = try resolve(stored)
    let folder = RunFolder(URL(filePath: out ?? Self.defaultFolder(configuration, dataset)))
    if folder.holdsRun && !resume {
      throw FileError(
        path: folder.url.path, problem: "there is a run in this folder already",
        remedy: "go on with it by --resume, or choose another folder with --out")
    }
    try configuration.check(against: dataset)
    try Files.makeFolder(folder.url)
    let lock = try FolderLock(folder.url)
    // Measuring changes nothing of the training: a run that is gone on with may be measured otherwise from here on.
    if !folder.holdsRun || configuration.measure != stored?.measure {
      try Files.write(YAML.encode(configuration), to: folder.configurationFile)
    }
    let terminal = Terminal()
    if let before = try folder.sessions().last?.threads, before != Libtorch.threads {
      if threads.threads == nil {
        // Sums round by the number of threads: the run keeps its own.
        try Libtorch.setThreads(before)
      } else {
        terminal.note("note: this run had \(before) threads and has \(Libtorch.threads) now: sums may round otherwise")
      }
    }
    let trainer = try Trainer(configuration, dataset: dataset, folder: folder)
    if trainer.records.count < configuration.recipe.epochs { try folder.add(.now()) }
    trainer.secondsBetweenCheckpoints = checkpointSeconds
    let history = try EpochMeasuring(configuration, trainer.network, dataset, folder)
    trainer.measureEpoch = { epoch, shouldStop in
      try history?.measure(epoch, shouldStop: shouldStop) { done, count, phase in
        terminal.progress(done, of: count, "measuring after epoch \(epoch): \(phase.rawValue)")
      } ?? true
    }
    announce(trainer, dataset, terminal)
    Interrupt.listen()
    let outcome = try trainer.run(shouldStop: { Interrupt.received }, report: { show($0, terminal) })
    terminal.clear()
    withExtendedLifetime(lock) {}
    switch outcome {
    case .finished:
      print(folder.url.path)
    case .stopped:
      terminal.note("stopped and saved; go on with: reslens train --resume --out \(folder.url.path)")
      throw ExitCode(Interrupt.exitCode)
    }
  }

  /// The configuration of the run that is to be gone on with; nil for a new one.
  private func storedConfiguration() throws -> RunConfiguration? {
    guard resume else { return nil }
    guard let out else { throw ValidationError("--resume needs the run's folder: --out DIR") }
    let folder = RunFolder(URL(filePath: out))
    return folder.holdsRun ? try folder.configuration() : nil
  }

  /// What to train: the options, with a stored run's values for those that are left out.
  private func resolve(_ stored: RunConfiguration?) throws -> (RunConfiguration, ImageDataset) {
    guard let source = data ?? stored?.data else {
      throw ValidationError("--data is missing: \"synthetic\", or a folder or archive of CIFAR")
    }
    let dataset = try ImageDataset.load(source)
    let architecture: Architecture
    if let model {
      let own = try Architecture.find(model)
      // A name takes as many classes as the data have; a file says itself.
      architecture = model == own.name ? try .find(model, classes: dataset.classNames.count) : own
    } else if let stored {
      architecture = stored.architecture
    } else {
      throw ValidationError("--model is missing: resnet-20, for instance (reslens models lists them)")
    }
    var recipe =
      try recipe.map { try Recipe.find($0, for: architecture) } ?? stored?.recipe ?? .find("quick", for: architecture)
    // A run that is gone on with keeps what --epochs and --batch made of its recipe, also where that is named again.
    if let epochs = epochs ?? stored?.recipe.epochs { recipe.epochs = epochs }
    if let batch = batch ?? stored?.recipe.batch { recipe.batch = batch }
    if let problem = recipe.problem { throw ValidationError(problem) }
    var configuration = RunConfiguration(
      architecture: architecture, data: Self.absolute(source), trainSamples: trainSamples ?? stored?.trainSamples,
      validationSamples: validationSamples ?? stored?.validationSamples, recipe: recipe,
      seed: seed ?? stored?.seed ?? 0, precision: precision?.type ?? stored?.precision ?? .float32)
    configuration.statistics = dataset.statistics
    configuration.measure = try measure.map { try MeasureSchedule(parsing: $0) } ?? stored?.measure
    if let stored, let field = configuration.firstDifference(from: stored) {
      throw ValidationError(
        "--resume goes on with the run as it was, and \(field) is another one now; leave the option out, or train into "
          + "another folder")
    }
    return (configuration, dataset)
  }

  /// A run can be gone on with and measured from anywhere.
  private static func absolute(_ source: String) -> String {
    source.hasPrefix("synthetic") ? source : URL(filePath: source).standardizedFileURL.path
  }

  static func defaultFolder(_ configuration: RunConfiguration, _ dataset: ImageDataset) -> String {
    "runs/\(configuration.architecture.name)-\(dataset.name)-\(configuration.recipe.name)-\(configuration.seed)"
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

extension RunConfiguration {
  /// The name of a field in which the two differ; nil where they are equal.
  func firstDifference(from other: RunConfiguration) -> String? {
    if architecture != other.architecture { return "the model" }
    if data != other.data || !hasStatistics(of: other) { return "the data" }
    if trainSamples != other.trainSamples || validationSamples != other.validationSamples {
      return "the number of samples"
    }
    if recipe != other.recipe { return "the recipe" }
    if seed != other.seed { return "the seed" }
    return precision == other.precision ? nil : "the precision"
  }

  /// Whether the data under the same name are still the same. Numbers in files may be rounded.
  private func hasStatistics(of other: RunConfiguration) -> Bool {
    guard let own = statistics, let others = other.statistics else { return true }
    return zip(own.means + own.deviations, others.means + others.deviations).allSatisfy { abs($0 - $1) < 1e-9 }
  }
}
