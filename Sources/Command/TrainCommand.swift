import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensStudies
import ResLensTorch
import ResLensTraining

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains a network and writes a run folder.",
    discussion: """
      For example:
        reslens train --model resnet-20 --data synthetic --recipe quick
        reslens train --model resnet-110 --data data/cifar-10-batches-bin --recipe paper --out runs/r110
        reslens train --model resnet-20 --data synthetic --measure every=1,samples=1000
        reslens train --model resnet-20 --data synthetic --seeds 0-3 --out runs/r20
        reslens train --model resnet-20 --data synthetic --measure every=1 --tensorboard --out runs/watched
        reslens train --resume --out runs/r110
        reslens train --resume --epochs 400 --out runs/r110
        reslens train --config runs/r110/config.yaml --seed 1 --out runs/r110-seed-1
        reslens train --model resnet-110 --data data --recipe quick --from runs/r110 --out runs/tuned

      A run that was cut off continues with --resume. It ends with the same weights, bit for bit, on the same machine \
      with the same number of threads. --epochs can be raised then, also after the last epoch, if the recipe's learning \
      rates are steps; the last rate holds in the added epochs.
      """)

  @Option(
    help: ArgumentHelp(
      """
      resnet-N, single-representation, avg-pooling, max-pooling or wide; any of these followed by -shared or -ubn (see \
      reslens models --help); or a YAML file.
      """, valueName: "name|file"), completion: .models)
  var model: String?

  @Option(
    help: ArgumentHelp(
      """
      The config.yaml of another run. It sets the values of options that are not given, and this run is trained anew.
      """, valueName: "file.yaml"), completion: .yaml)
  var config: String?

  @OptionGroup var training: TrainingArguments

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Seed of the initial weights, the order of images and the augmentation. (default: 0)", valueName: "n"))
  var seed: UInt64?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Seeds of several runs, for instance 0-3 or 0,2,5-7. Each is trained as if it were alone. One that fails does not \
      stop the others. The folder of each is --out followed by -SEED.
      """, valueName: "n,n-n,…"))
  var seeds: String?

  @OptionGroup var atOnce: AtOnceArguments

  @Option(
    help: ArgumentHelp(
      """
      Starts from these weights instead of drawing them: a run folder (its newest checkpoint), a checkpoint's folder or a \
      .safetensors file of the same architecture. Without --model, the architecture is that of the weights. Inputs are \
      normalised as in the run that the weights are of.
      """, valueName: "weights"), completion: .file())
  var from: String?

  @Option(
    help: ArgumentHelp("The run folder. (default: runs/MODEL-DATA-RECIPE-SEED)", valueName: "dir"),
    completion: .directory)
  var out: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Seconds between checkpoints within an epoch. A checkpoint is always written after an epoch.", valueName: "n"))
  var checkpointSeconds = 300.0

  @Option(
    help: ArgumentHelp(
      """
      Checkpoints to keep beside the newest: those after every n-th epoch (every=n), the one with the lowest validation \
      error (best), or those after every epoch (all). (default: none, or the setting of the resumed run)
      """, valueName: "every=n|best|all"))
  var keepCheckpoints: KeptCheckpoints?

  @Flag(help: "Continues the run in the folder, or starts it if there is none.")
  var resume = false

  @Flag(
    inversion: .prefixedNo,
    help: """
      With several processes: normalises by the statistics of the whole batch instead of those of each process's part. \
      (default: no, or the setting of the resumed run)
      """)
  var syncBatchNorm: Bool?

  @Flag(
    help: """
      Writes an event file for TensorBoard into the run folder: losses, errors and speed of every epoch, and all measures \
      that are recorded. A resumed run that has one goes on with it.
      """)
  var tensorboard = false

  @Option(
    help: """
      text: the run folder on standard output. jsonl: a JSON object in a line of standard output when the training \
      starts, after every epoch, and when it ends. Progress is text on standard error in both cases.
      """)
  var log = LogFormat.text

  @Flag(help: "Runs the steps on a GPU operation by operation instead of as captured graphs.")
  var plainSteps = false

  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    if seed != nil, seeds != nil {
      throw ValidationError("--seed is for one run, --seeds for several: give one of them")
    }
    if let seeds { _ = try SeedArguments.list(seeds) }
    if seeds == nil, atOnce.number != nil { throw ValidationError("--at-once is for several runs: name their --seeds") }
  }

  func run() throws {
    try threads.apply()
    let group = try LaunchedProcess.join()
    let device = try device.use(by: group)
    if checkpointSeconds < 0 {
      throw ValidationError("--checkpoint-seconds \(checkpointSeconds) is less than 0")
    }
    if plainSteps, group != nil || !DeviceGraph.isPossible(on: device) {
      throw ValidationError("--plain-steps is for what would be captured: the steps of one process on a GPU")
    }
    if syncBatchNorm == true, group == nil {
      throw ValidationError("--sync-batch-norm is for several processes: reslens launch --help")
    }
    let terminal = Terminal()
    terminal.isQuiet = !group.isFirst
    Interrupt.listen(answer: group.isFirst ? "stopping after this step, and saving" : nil)
    Interrupt.parent = LaunchedProcess.parent
    let runs = try seeds.map { try SeedArguments.list($0).map(withSeed) } ?? [self]
    let names = runs.map { "seed \($0.seed ?? 0)" }
    let data = try DataSources([])
    let turns = TakingTurns(on: device, atOnce: atOnce.number)
    try SeveralRuns(names: names, terminal: terminal, group: group, turns: turns).each { index, turn in
      try runs[index].train(data, on: device, by: group, turn, TurnLog(terminal, names[index], turn))
    }
  }

  /// The command for one of its seeds.
  private func withSeed(_ seed: UInt64) -> TrainCommand {
    var one = self
    one.seed = seed
    one.out = out.map { "\($0)-\(seed)" }
    return one
  }

  private func train(
    _ data: DataSources, on device: Device, by group: ProcessGroup?, _ turn: Turn, _ terminal: any RunLog
  ) throws {
    // Process 0 alone looks into the run's folder.
    let isFirst = group.isFirst
    var stored = isFirst ? try storedConfiguration() : nil
    if let group { stored = try group.first(stored) }
    let (configuration, dataset) = try resolve(stored, data)
    if out == nil, let problem = Architecture.namingProblem(of: [configuration.architecture]) {
      throw ValidationError("\(problem), or name the run's with --out")
    }
    let folder = RunFolder(URL(filePath: out ?? Self.defaultFolder(configuration, dataset)))
    if isFirst, folder.holdsRun, !resume {
      throw FileError(
        path: folder.url.path, problem: "there is a run in this folder already",
        remedy: "continue it with --resume, or choose another folder with --out")
    }
    try configuration.check(against: dataset)
    var options = TrainingRun.Options()
    (options.registry, options.device, options.threads) = (Reslens.registry, device, threads.threads)
    (options.checkpointSeconds, options.capturesSteps) = (checkpointSeconds, !plainSteps)
    options.writesEvents = tensorboard
    options.processes = group.map {
      DataParallel($0, synchronisesStatistics: configuration.synchronisesStatistics ?? false)
    }
    let training = try TrainingRun(configuration, dataset: dataset, folder: folder, options: options)
    func tell(_ kind: TrainingEvent.Kind) throws {
      if log == .jsonl, isFirst { try TrainingEvent(run: folder.url.path, kind: kind).write() }
    }
    try tell(.start(configuration))
    let outcome: Trainer.Outcome
    do {
      let shouldStop = {
        turn.pass()
        return Interrupt.received
      }
      outcome = try training.run(shouldStop: shouldStop, log: terminal) { event in
        if case .epoch(let record) = event { try? tell(.epoch(record)) }
      }
      try tell(.end(outcome))
    } catch let error as CaptureError {
      throw FileError(
        path: "--device \(device)", problem: "\(error)",
        remedy: "continue with --resume --plain-steps, which runs steps operation by operation")
    }
    guard outcome == .finished else {
      let launch =
        group.map { Interrupt.parent == nil ? "the same launcher and " : "reslens launch --processes \($0.size) -- " }
        ?? "reslens "
      terminal.note("stopped and saved; continue with: \(launch)train --resume --out \(folder.url.path.shellQuoted)")
      throw ExitCode(Interrupt.exitCode)
    }
    if isFirst, log == .text { print(folder.url.path) }
  }

  /// The configuration of the run that is to be resumed; nil for a new one.
  private func storedConfiguration() throws -> RunConfiguration? {
    guard resume else { return nil }
    guard let out else { throw ValidationError("--resume needs the run's folder: --out DIR") }
    let folder = RunFolder(URL(filePath: out))
    guard folder.holdsRun else { return nil }
    let stored = try folder.configuration()
    guard stored.recipe != .elsewhere else {
      throw FileError(
        path: out, problem: "this network was trained elsewhere, so there is no training to continue",
        remedy: "train another run from its weights: --from \(out.shellQuoted) --out DIR")
    }
    return stored
  }

  /// The configuration to train: the options, with the values of `--config` or of a stored run for those that were not
  /// given.
  private func resolve(_ stored: RunConfiguration?, _ data: DataSources) throws -> (RunConfiguration, ImageDataset) {
    let given = try config.map { try YAML.read(RunConfiguration.self, from: URL(filePath: $0)) }
    let base = given ?? stored
    if resume, base == nil, training.data == nil, let out {
      throw FileError(
        path: out, problem: "there is no run in this folder to resume",
        remedy: "name the folder of a run, or start one with --model and --data")
    }
    let source = try training.source(base: base)
    let dataset = try data.load(source, isNamed: training.data != nil)
    if let config, training.data == nil, let given, try given.isKnownToDiffer(from: dataset) {
      throw FileError(
        path: config, problem: "data: \(source) holds other images than the run of this file was trained on",
        remedy: "name the data with --data")
    }
    guard
      let architecture = try model.map({ try .find($0, fitting: dataset) }) ?? base?.architecture
        ?? from.map(InitialWeights.architecture)
    else {
      throw ValidationError("--model is missing: resnet-20, for instance (reslens models lists them)")
    }
    let statistics =
      if let from { try InitialWeights.statistics(of: from) } else { base?.statisticsOfInitialWeights }
    var configuration = try training.configuration(
      architecture, dataset, source: source, seed: seed, base: base, keepsLength: stored != nil, statistics: statistics)
    configuration.synchronisesStatistics = (syncBatchNorm ?? base?.synchronisesStatistics) == true ? true : nil
    configuration.initialWeights =
      try from.map { try InitialWeights($0, for: architecture) } ?? base?.initialWeights
    configuration.keptCheckpoints = keepCheckpoints ?? base?.keptCheckpoints
    if let stored, let problem = configuration.problem(continuing: stored) {
      throw ValidationError(
        "--resume continues the run as it was, but \(problem); leave the option out, or train into another folder")
    }
    return (configuration, dataset)
  }

  static func defaultFolder(_ configuration: RunConfiguration, _ dataset: ImageDataset) -> String {
    "runs/\(configuration.architecture.name)-\(dataset.name)-\(configuration.recipe.name)-\(configuration.seed)"
  }
}

extension KeptCheckpoints: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
