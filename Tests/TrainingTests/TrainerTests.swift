import DeviceEmulator
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

private let small = valid(
  try Architecture(
    name: "small", stem: .init(width: 4),
    stages: [.init(width: 4, blocks: 1, entry: .none), .init(width: 6, blocks: 2, entry: .projection, stride: 2)]))

private func configuration(epochs: Int = 2, rate: Double = 0.05) -> RunConfiguration {
  RunConfiguration(
    architecture: small, data: "synthetic",
    recipe: Recipe(
      name: "test", epochs: epochs, batch: 16, momentum: 0.9, nesterov: true, weightDecay: 1e-3,
      decayWeightsOnly: true, flip: true, translate: 2, labelSmoothing: 0.05,
      schedule: .oneCycle(peak: rate, warmup: 0.3)), seed: 5)
}

private func dataset() throws -> ImageDataset { try Synthetic.dataset(train: 100, validation: 40) }

private func expectEqual(_ a: ResidualNetwork, _ b: ResidualNetwork) throws {
  for (path, tensor) in a.parameters {
    let other = try #require(b.parameters[path])
    let isEqual = try tensor.equals(other)
    #expect(isEqual, "\(path) differs")
  }
}

@Suite struct TrainerTests {
  @Test("Stopped after any step and resumed, a run ends bit-identical to an undisturbed one")
  func resume() throws {
    let dataset = try dataset()
    let (whole, parts) = (try Scratch(), try Scratch())
    let undisturbed = try Trainer(configuration(), dataset: dataset, folder: RunFolder(whole.url))
    #expect(try undisturbed.run() == .finished)
    var stops = 0
    while true {
      let trainer = try Trainer(configuration(), dataset: dataset, folder: RunFolder(parts.url))
      // Asked once a step: leaves after two, and sometimes in the middle of a validation.
      var asked = 0
      let outcome = try trainer.run {
        asked += 1
        return asked > 2
      }
      stops += 1
      try #require(stops < 50)
      if outcome == .finished {
        try expectEqual(trainer.network, undisturbed.network)
        break
      }
    }
    // Fourteen steps, at most three a time.
    #expect(stops >= 5)
    let (a, b) = (try RunFolder(whole.url).epochs(), try RunFolder(parts.url).epochs())
    #expect(a.map(\.trainLoss) == b.map(\.trainLoss) && a.map(\.validationError) == b.map(\.validationError))
    #expect(a.count == 2)
  }

  @Test("What is measured after an epoch is there before the epoch counts as done, and done again where it was stopped")
  func measuredEpochs() throws {
    let dataset = try dataset()
    let scratch = try Scratch()
    var configuration = configuration(epochs: 5)
    configuration.measure = MeasureSchedule(every: 2, samples: 10, names: ["l2-ratio"])
    let folder = RunFolder(scratch.url)
    var measured: [Int] = []
    var interrupted: Set<Int> = []
    func trainer() throws -> Trainer {
      let trainer = try Trainer(configuration, dataset: dataset, folder: folder)
      trainer.measureEpoch = { epoch, shouldStop in
        let done = try folder.epochs().count
        #expect(done == max(0, epoch - 1))
        measured.append(epoch)
        return epoch > 2 || !interrupted.insert(epoch).inserted ? .done() : .stopped
      }
      return trainer
    }
    #expect(try trainer().run() == .stopped)
    #expect(try folder.epochs().isEmpty && folder.latestCheckpoint() == nil)
    #expect(try trainer().run() == .stopped)
    #expect(try folder.epochs().map(\.epoch) == [1])
    #expect(try trainer().run() == .finished)
    // As it was initialised, every second one and the last.
    #expect(measured == [0, 0, 2, 2, 4, 5])
    let undisturbed = try Scratch()
    configuration.measure = nil
    let plain = try Trainer(configuration, dataset: dataset, folder: RunFolder(undisturbed.url))
    #expect(try plain.run() == .finished)
    try expectEqual(try Trainer(configuration, dataset: dataset, folder: folder).network, plain.network)
  }

  @Test(
    "Validation images that measuring has seen are not scored again, and the epoch's score is the same",
    arguments: [30, 40, 41])
  func measuredScores(samples: Int) throws {
    var configuration = configuration(epochs: 1)
    configuration.precision = .bf16
    let dataset = try Synthetic.dataset(train: 100, validation: 41)
    configuration.validationSamples = 40
    func record(_ measureEpoch: ((ResidualNetwork) throws -> ScoreSum)?) throws -> EpochRecord {
      var configuration = configuration
      configuration.measure = measureEpoch.map { _ in MeasureSchedule(every: 1, samples: 10, names: ["l2-ratio"]) }
      let scratch = try Scratch()
      let trainer = try Trainer(configuration, dataset: dataset, folder: RunFolder(scratch.url))
      if let measureEpoch {
        let network = trainer.network
        trainer.measureEpoch = { epoch, _ in epoch == 0 ? .done() : .done(validation: try measureEpoch(network)) }
      }
      #expect(try trainer.run() == .finished)
      return try #require(trainer.records.first)
    }
    let plain = try record(nil)
    let shared = try record { network in
      var sum = ScoreSum()
      let maker = try BatchMaker(statistics: dataset.statistics)
      try measure(
        [], on: network, Samples(dataset.validation, count: samples, batch: 7, maker: maker), own: { sum.add($0) })
      return sum
    }
    #expect(shared.validationError == plain.validationError)
    #expect(abs(shared.validationLoss - plain.validationLoss) < 1e-6 * plain.validationLoss)
    // The score of samples that are all wrong with a loss of 100 each, as far as they are among the 40.
    let told = try record { _ in
      var sum = ScoreSum()
      let all = Array(repeating: 100.0, count: samples)
      sum.add(losses: all, entropies: all, predictions: all.map { _ in 0 }, labels: all.map { _ in 1 })
      return sum
    }
    switch samples {
    case 30: #expect(told.validationLoss > 75 && told.validationError >= 0.75 && told.validationError <= 1)
    case 40: #expect(told.validationLoss == 100 && told.validationError == 1)
    default: #expect(told.validationLoss == plain.validationLoss)
    }
  }

  @Test("Measures that are not numbers are kept as such")
  func notNumbers() throws {
    let scratch = try Scratch()
    let folder = RunFolder(scratch.url)
    let results = try MeasureResults.madeUp(
      [[1, .number(-.infinity), 0.1, 1], [2, .number(.infinity), 0.1, 1], [3, .number(.nan), 0.1, 1]], samples: 1)
    try folder.write(results)
    #expect(try folder.measures() == results)
    try folder.writeHistory(results)
    var later = results
    later.epoch = 20
    try folder.writeHistory(later)
    #expect(try folder.history() == [results, later])
    try Files.write("{\"format\": 1}", to: folder.measuresFile)
    #expect { try folder.measures() } throws: { "\($0)".contains("format 1") }
  }

  @Test("A loss that is not finite stops the run, says where, and leaves the last checkpoint whole")
  func notFinite() throws {
    let scratch = try Scratch()
    let folder = RunFolder(scratch.url)
    let dataset = try dataset()
    #expect(try Trainer(configuration(epochs: 1), dataset: dataset, folder: folder).run() == .finished)
    let before = try Data(contentsOf: #require(folder.latestCheckpoint()).weightsFile)
    #expect {
      try Trainer(configuration(epochs: 3, rate: 1000), dataset: dataset, folder: folder).run()
    } throws: { error in
      guard case TrainingError.notFinite(let epoch, let step, let rate, true) = error else { return false }
      return epoch >= 2 && step >= 1 && rate > 0 && "\(error)".contains("try a lower rate")
    }
    #expect(try Data(contentsOf: #require(folder.latestCheckpoint()).weightsFile) == before)
  }

  @Test("A damaged or foreign checkpoint is refused and stays as it is")
  func damagedCheckpoint() throws {
    let scratch = try Scratch()
    let folder = RunFolder(scratch.url)
    let dataset = try dataset()
    _ = try Trainer(configuration(epochs: 1), dataset: dataset, folder: folder).run()
    let file = try #require(folder.latestCheckpoint()).weightsFile
    let whole = try Data(contentsOf: file)
    try Files.write(whole.prefix(whole.count - 9), to: file)
    #expect(throws: FileError.self) { try Trainer(configuration(), dataset: dataset, folder: folder) }
    #expect(try Data(contentsOf: file).count == whole.count - 9)
    try Files.write(whole, to: file)
    var other = configuration()
    other.architecture.stages[1].blocks = 3
    #expect { try Trainer(other, dataset: dataset, folder: folder) } throws: {
      ($0 as? FileError)?.path == file.path
    }
  }

  @Test("A run folder's broken configuration, sessions and measures are named")
  func damagedFolder() throws {
    let scratch = try Scratch()
    let folder = RunFolder(scratch.url)
    #expect(throws: FileError.self) { try folder.configuration() }
    var measured = configuration()
    measured.measure = MeasureSchedule(every: 3, samples: 5, names: ["l2-ratio"])
    let text = try YAML.encode(measured)
    for (from, to, field) in [
      ("blocks: 2", "blocks: -1", "architecture.stages[1].blocks"), ("stride: 2", "stride: 0", "stride"),
      ("batch: 16", "batch: 0", "recipe.batch"), ("every: 3", "every: 0", "measure.every"),
      ("samples: 5", "samples: 0", "measure.samples"),
      ("precision: fp32", "precision: float8", "precision: float8 is neither fp32 nor bf16"),
    ] {
      try #require(text.contains(from))
      try Files.write(text.replacing(from, with: to), to: folder.configurationFile)
      #expect { try folder.configuration() } throws: {
        ($0 as? FileError).map { $0.path.hasSuffix("config.yaml") && $0.problem.contains(field) } ?? false
      }
    }
    try Files.write("{", to: folder.environmentFile)
    #expect { try folder.sessions() } throws: { "\($0)".contains("environment.json") }
    try Files.write("{}", to: folder.measuresFile)
    #expect { try folder.measures() } throws: { "\($0)".contains("measures.json") }
  }

  @Test("Parameters that are no numbers any more never replace a checkpoint")
  func ruinedParameters() throws {
    let scratch = try Scratch()
    let folder = RunFolder(scratch.url)
    let dataset = try dataset()
    #expect(try Trainer(configuration(epochs: 1), dataset: dataset, folder: folder).run() == .finished)
    let before = try #require(folder.latestCheckpoint()).url
    let trainer = try Trainer(configuration(epochs: 2), dataset: dataset, folder: folder)
    // Stopped after a step that went well, with parameters that then went bad.
    #expect(throws: TrainingError.self) {
      try trainer.run {
        let bias = try? trainer.network.parameters.required("head.linear.bias")
        try? bias?.copy(from: .full([10], .nan))
        return true
      }
    }
    #expect(folder.latestCheckpoint()?.url == before)
  }

  @Test("Data that do not fit the network are refused before anything is made")
  func misfits() throws {
    let dataset = try dataset()
    var wrong = configuration()
    wrong.architecture.classes = 100
    #expect(throws: FileError.self) { try wrong.check(against: dataset) }
    wrong = configuration()
    wrong.architecture.input.height = 16
    #expect(throws: FileError.self) { try wrong.check(against: dataset) }
    wrong = configuration()
    wrong.trainSamples = 101
    #expect { try wrong.check(against: dataset) } throws: { "\($0)".contains("101 train samples") }
  }

  @Test(
    "Three steps of the optimiser give PyTorch's parameters, of shared blocks too",
    .enabled(if: Checkout.hasPyTorch, Comment(rawValue: Checkout.pyTorchIsMissing)),
    arguments: [
      nil, Architecture.Sharing(from: 1),
      Architecture.Sharing(from: 1, unsharedStatistics: true, unsharedAffine: true, initialGamma: 0.1),
    ])
  func optimiser(sharing: Architecture.Sharing?) throws {
    let scratch = try Scratch()
    let dataset = try dataset()
    var architecture = small
    architecture.stages[1].blocks = 4
    architecture.stages[1].sharing = sharing
    let network = try ResidualNetwork(architecture, seed: 1, type: .float64)
    try network.save(to: scratch.file("w.safetensors"))
    let maker = try BatchMaker(statistics: dataset.statistics, type: .float64)
    var recipe = configuration().recipe
    (recipe.flip, recipe.translate) = (false, 0)
    let batch = try maker.batch(dataset.train, 0..<16)
    try Safetensors(tensors: ["images": batch.images, "labels": batch.labels]).write(to: scratch.file("i.safetensors"))
    let files = ["w", "i", "o"].map { scratch.file($0 + ".safetensors").path }
    let run = try Checkout.reference(
      "golden.py",
      files + [
        "--steps", "3", "--rate", "0.05", "--momentum", "0.9", "--decay", "0.001", "--smoothing", "0.05",
        "--nesterov", "--decay-weights-only",
      ])
    try #require(run.status == 0, Comment(rawValue: run.text))
    let trainer = try StepTrainer(network, recipe, maker: maker)
    for _ in 0..<3 { _ = try trainer.step(on: dataset.train, 0..<16, epoch: 0, rate: 0.05) }
    let wanted = try Safetensors(contentsOf: scratch.file("o.safetensors")).tensors
    for (path, tensor) in network.parameters {
      let distance = try tensor.distance(to: #require(wanted["state." + path]))
      #expect(distance < 1e-9, "\(path) differs by \(distance)")
    }
  }

  @Test("The processor computes what the processor does, on libtorch's operations too, which a GPU runs")
  func comparison() throws {
    let same = try DeviceComparison(of: .cpu, images: 32)
    #expect(same.outputs == 0 && same.gradients == 0 && same.captured == nil && same.agrees, "\(same)")
    let found = try DeviceComparison(of: .cpu, kernels: "libtorch", images: 32)
    #expect(found.outputs > 0 && found.agrees, "\(found)")
  }

  @Test("A network on a GPU's kernels, emulated, computes what it does on libtorch's operations")
  func emulatedKernels() throws {
    device_emulator_install()
    let before = device_emulator_launches("backward_float")
    let found = try DeviceComparison(of: .cpu, kernels: "emulated", images: 16)
    #expect(device_emulator_launches("backward_float") > before)
    #expect(found.outputs > 0 && found.kernels > 0 && found.agrees, "\(found)")
  }

  @Test(
    "A residual block takes two launches of a GPU's kernels forward, two backward and two beside them",
    arguments: [ElementType.float32, .bfloat16])
  func launches(type: ElementType) throws {
    device_emulator_install()
    func launches(_ model: String) throws -> Int {
      let network = try ResidualNetwork(Architecture.find(model), seed: 1)
      let images = try Tensor.normal([2, 3, 32, 32], deviation: 1, seed: 1).converted(to: type)
      let before = device_emulator_launches(nil)
      try KernelSet.using("emulated") {
        let pass = try Pass(network, images: images, mode: .batchUpdating())
        let gradients = Gradients()
        try pass.backward(.full([2, 10], 0.1), into: gradients)
        // The gradients of filters are computed when they are read.
        for gradient in gradients.byPath.values { _ = try gradient.isFinite() }
      }
      return device_emulator_launches(nil) - before
    }
    // ResNet-32 has six blocks more, none of which begins a stage. Both prepare their filters in one launch.
    #expect(try launches("resnet-32") - launches("resnet-20") == 6 * (2 + 4))
  }

  @Test(
    "A GPU computes what the processor does, and captured steps what plain ones do",
    .enabled(if: Libtorch.cudaDeviceCount > 0, "there is no GPU"))
  func gpu() throws {
    try Device.cuda(0).use()
    let found = try DeviceComparison(of: .cuda(0))
    #expect(found.agrees, "\(found)")
  }

  @Test(
    "On a GPU a run that is cut off goes on to the same weights",
    .enabled(if: Libtorch.cudaDeviceCount > 0, "there is no GPU"))
  func resumeOnGPU() throws {
    try Device.cuda(0).use()
    let dataset = try Synthetic.dataset(train: 1600, validation: 40)
    func trained(stopAfter stop: Int? = nil) throws -> Trainer {
      let scratch = try Scratch()
      defer { withExtendedLifetime(scratch) {} }
      func trainer() throws -> Trainer {
        try Trainer(configuration(epochs: 1), dataset: dataset, folder: RunFolder(scratch.url), device: .cuda(0))
      }
      var asked = 0
      if let stop {
        let outcome = try trainer().run {
          asked += 1
          return asked > stop
        }
        #expect(outcome == .stopped)
      }
      let last = try trainer()
      #expect(try last.run() == .finished)
      return last
    }
    // A hundred steps: losses are read on the way.
    let (whole, parts) = (try trained(), try trained(stopAfter: 41))
    try expectEqual(whole.network, parts.network)
    #expect(whole.records.map(\.trainLoss) == parts.records.map(\.trainLoss))
    #expect(whole.records.map(\.trainError) == parts.records.map(\.trainError))
  }

  @Test("What came of steps is told on top of what came before, and from a loss on that is no number nothing is learnt")
  func outcomes() throws {
    let dataset = try dataset()
    let network = try ResidualNetwork(small, seed: 1)
    let trainer = try StepTrainer(
      network, configuration().recipe, maker: BatchMaker(statistics: dataset.statistics))
    try trainer.begin(.init(lossSum: 2.5, wrong: 3, steps: 4))
    try trainer.step(on: dataset.train, 0..<16, epoch: 0, rate: 0.01)
    let first = trainer.latest
    #expect(first.lossSum > 2.5 && (3...19).contains(first.wrong) && first.steps == 5)
    #expect(try trainer.outcome() == first)
    let weight = try network.parameters.required("head.linear.weight")
    try network.parameters.required("head.linear.bias").copy(from: .full([10], .infinity))
    let before = try weight.doubles()
    for _ in 0..<2 { try trainer.step(on: dataset.train, 0..<16, epoch: 0, rate: 0.01) }
    #expect(!trainer.latest.lossSum.isFinite && trainer.latest.steps == 5)
    #expect(try weight.doubles() == before)
    try trainer.begin()
    #expect(trainer.latest == .init())
  }

  @Test("No tensor outlives training, measuring and failing")
  func leaks() async {
    await #expect(processExitsWith: .success) {
      let dataset = try Synthetic.dataset(train: 100, validation: 40)
      func work(_ scratch: Scratch) throws {
        let trainer = try Trainer(configuration(epochs: 1), dataset: dataset, folder: RunFolder(scratch.url))
        guard try trainer.run() == .finished else { exit(3) }
        let maker = try BatchMaker(statistics: dataset.statistics)
        let samples = try Samples(dataset.validation, batch: 16, maker: maker)
        var options = MeasureOptions(names: Set(Registry.standard.names()))
        options.unrolling.times = 2
        _ = try MeasureSuite(trainer.network, options, train: samples, validation: samples).run()
        for _ in 0..<10 {
          let misfit = try Tensor.zeros([1, 9, 9, 9])
          guard (try? trainer.network.logits(misfit)) == nil else { exit(4) }
          guard (try? Pass(trainer.network, images: misfit, mode: .batchUpdating())) == nil else { exit(5) }
          guard (try? Tensor([Float(1)], shape: [7])) == nil else { exit(6) }
        }
        // A pass that nobody goes back through.
        _ = try Pass(trainer.network, images: maker.batch(dataset.train, 0..<4).images, mode: .batchUpdating())
      }
      let before = Libtorch.liveTensors
      for _ in 0..<2 { try work(Scratch()) }
      guard before > 0, Libtorch.liveTensors == before else { exit(7) }
    }
  }
}
