import ArgumentParser
import Foundation
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensRuns
import ResLensTorch
import ResLensTraining

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Times one piece of work, a repetition for every line on standard input.",
    discussion: """
      The part of `make bench` that runs ours: prints "ready", then the seconds of one repetition for every line that
      it reads, and at the end the peak memory of the process. benchmarks/run.py steps it in turn with PyTorch.
      """,
    shouldDisplay: false)

  enum Work: String, ExpressibleByArgument, CaseIterable {
    case train, evaluate
    /// The measures that are named.
    case measure
    /// The recording after an epoch of training.
    case record
    /// As many forward passes as there are steps.
    case forwards
    /// Every step dropped in turn.
    case drops
    /// All measures.
    case suite
  }

  @Option var model = "resnet-20"
  @Option var work = Work.train
  @Option var precision = Precision.fp32
  @Option(parsing: .unconditional) var batch = 128
  @Option(parsing: .unconditional) var warmups = 2
  /// The measures of `--work measure`, separated by commas.
  @Option var measures = ""
  /// Steps of training, or batches that are measured, in each repetition.
  @Option(parsing: .unconditional) var steps = 1
  /// The number of trainings at once, each of which does the steps.
  @OptionGroup var atOnce: AtOnceArguments
  /// Prints the architecture, as a checkpoint has it, instead of running anything.
  @Flag var architecture = false
  /// Runs a GPU's steps operation by operation.
  @Flag var plainSteps = false
  /// A kernel set; the fastest where none is named.
  @Option var kernels: String?
  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  func run() throws {
    if architecture {
      return answer(String(decoding: try JSONEncoder().encode(Architecture.find(model)), as: UTF8.self))
    }
    try threads.apply()
    let device = try device.use()
    if device.isAsynchronous, ![.train, .evaluate, .measure].contains(work) {
      throw ValidationError("--work \(work.rawValue) is timed on the processor only")
    }
    if device.isAsynchronous, !plainSteps, !DeviceGraph.isPossible(on: device) {
      throw ValidationError(
        "steps cannot be captured, this program was built without CUDA's headers: name --plain-steps")
    }
    if work != .train, atOnce.number != nil { throw ValidationError("--at-once is for --work train") }
    if let kernels { try KernelSet.use(kernels) }
    // The benchmark must measure what was asked for, not something else under its name.
    if device.isAsynchronous, kernels == nil, let why = KernelSet.problem(on: device) {
      throw ValidationError("\(device) does not run ResLens's kernels (\(why)): name --kernels libtorch")
    }
    let repetition = try prepared(device)
    for _ in 0..<warmups { try repetition() }
    answer("ready")
    while readLine() != nil {
      let began = ContinuousClock.now
      try repetition()
      answer("\((ContinuousClock.now - began) / .seconds(1))")
    }
    var usage = rusage()
    getrusage(.init(RUSAGE_SELF.rawValue), &usage)
    answer("{\"peak_bytes\": \(usage.ru_maxrss * 1024), \"runs\": \(atOnce.number ?? 1)}")
  }

  private func answer(_ line: String) {
    print(line)
    fflush(nil)
  }

  /// One repetition as a call; what it needs is made before.
  private func prepared(_ device: Device) throws -> () throws -> Void {
    let architecture = try Architecture.find(model)
    let dataset = try Self.images(for: architecture, count: batch)
    switch work {
    case .train:
      let recipe = try Recipe.find("quick", for: architecture)
      let trainers = try (0..<UInt64(atOnce.number ?? 1)).map { seed in
        try StepTrainer(
          ResidualNetwork(architecture, seed: seed).moved(to: device), recipe,
          maker: BatchMaker(statistics: dataset.statistics, type: precision.type, seed: seed, device: device),
          capturesSteps: !plainSteps)
      }
      let indices = Array(0..<batch)
      return {
        try TakingTurns(on: device, atOnce: trainers.count).each(trainers.count) { index, turn in
          for _ in 0..<steps {
            try trainers[index].step(on: dataset.train, indices, epoch: 0, rate: 0.01)
            turn.pass()
          }
          // A GPU is waited for once a repetition, as by its twin.
          let outcome = try trainers[index].outcome()
          // After such a loss a GPU's steps change nothing and take less.
          guard outcome.lossSum.isFinite else { throw ValidationError("the loss is not finite any more") }
        }
      }
    case .evaluate, .forwards, .drops:
      let network = try ResidualNetwork(architecture, seed: 0).moved(to: device)
      let images = try BatchMaker(statistics: dataset.statistics, type: precision.type, device: device)
        .batch(dataset.train, 0..<batch).images
      let steps = architecture.steps.map(\.id.number)
      switch work {
      case .drops:
        let plans = try steps.map { try network.plan.dropping(step: $0) }
        return {
          try network.run(plans, on: network.begin(images)) { _ = try network.classify($1) }
        }
      case .forwards: return { for _ in steps { _ = try network.logits(images) } }
      // Read, for which a GPU is waited.
      default: return { _ = try network.logits(images).doubles() }
      }
    case .measure, .record, .suite:
      let network = try ResidualNetwork(architecture, seed: 0).moved(to: device)
      let maker = try BatchMaker(statistics: dataset.statistics, device: device)
      let samples = try Samples(dataset.train, batch: batch, maker: maker)
      return { for _ in 0..<(work == .measure ? steps : 1) { try measure(network, samples) } }
    }
  }

  /// Images of the size that a network takes, of noise where they are not those of the embedded set.
  private static func images(for architecture: Architecture, count: Int) throws -> ImageDataset {
    let (input, classes) = (architecture.input, architecture.classes)
    if input == Architecture.Input(), classes == 10 { return try Synthetic.dataset(train: count, validation: 1) }
    var generator = SystemRandomNumberGenerator()
    let set = { (count: Int) in
      try ImageSet(
        pixels: (0..<(count * input.channels * input.height * input.width)).map { _ in
          UInt8.random(in: 0...255, using: &generator)
        }, labels: (0..<count).map { $0 % classes }, channels: input.channels, height: input.height,
        width: input.width)
    }
    return try ImageDataset(
      name: "noise", classNames: (0..<classes).map(String.init), train: set(count), validation: set(1))
  }

  private func measure(_ network: ResidualNetwork, _ samples: Samples) throws {
    let registry = Registry.standard
    var context = MeasureContext(network.architecture, MeasureOptions(names: []), samples: samples.count)
    let names: Set<String>
    switch work {
    case .measure: names = Set(try registry.parse(measures, option: "measures"))
    case .record: names = Set(registry.names(where: \.whileTraining))
    default:
      names = Set(registry.names())
      context.options.lesions.samples = nil
      try context.prepareUnrolling(of: network, train: samples)
    }
    let taken = try registry.measures(named: names).compactMap { try $0.init(context) }
    try ResLensMeasures.measure(taken, on: network, samples)
  }
}
