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

/// Library calls with arguments that cannot be: they throw, and neither trap nor return nonsense.
@Suite struct ArgumentTests {
  private let network: ResidualNetwork
  private let dataset: ImageDataset
  private let maker: BatchMaker

  init() throws {
    network = try ResidualNetwork(Architecture.named("resnet-8"), seed: 0)
    dataset = try Synthetic.dataset(train: 40, validation: 10)
    maker = try BatchMaker(statistics: dataset.statistics)
  }

  @Test("Plans throw for steps that they do not have, and for a negative number of repetitions")
  func plans() {
    let plan = network.plan
    #expect(throws: ArgumentError.self) { try plan.dropping(step: 0) }
    #expect(throws: ArgumentError.self) { try plan.dropping(step: .min) }
    #expect(throws: ArgumentError.self) { try plan.dropping(steps: [1, 4]) }
    #expect(throws: ArgumentError.self) { try plan.scaling(step: .max, by: 1) }
    #expect(throws: ArgumentError.self) { try plan.exchanging(step: 1, with: 99) }
    #expect(throws: ArgumentError.self) { try plan.unrolling(step: 1, times: -1, scale: 1) }
    #expect(throws: ArgumentError.self) { try plan.unrolling(step: 1, times: .max, scale: 1) }
    #expect(throws: PlanError.self) {
      try network.spec(of: .init(stage: 0, block: .max, use: .max))
    }
    #expect(throws: ArgumentError.self) { try network.recalibrated(for: [plan], batches: 0) { _ in try .zeros([1]) } }
  }

  @Test(
    "An architecture that contradicts itself cannot be made",
    arguments: [
      Architecture.Stage(width: 16, blocks: -1, entry: .none), .init(width: 16, blocks: 0, entry: .none),
      .init(width: 16, blocks: .max, entry: .none), .init(width: .max, blocks: 1, entry: .projection, stride: 1),
      .init(width: 8, blocks: 1, entry: .projection, stride: 0),
      .init(width: 8, blocks: 1, entry: .projection, stride: -2),
      .init(width: 16, blocks: 1, entry: .none, sharing: .init(from: 0, initialGamma: .nan)),
    ])
  func architectures(_ stage: Architecture.Stage) {
    #expect(throws: ArchitectureError.self) { try Architecture(name: "a", stem: .init(width: 16), stages: [stage]) }
  }

  @Test("A network of more steps than any machine trains is refused before anything is made of it")
  func steps() {
    let stages = (0..<1000).map { _ in Architecture.Stage(width: 16, blocks: 10_000, entry: .none) }
    #expect { try Architecture(name: "a", stem: .init(width: 16), stages: stages) } throws: {
      "\($0)".contains("stages[1].blocks: the network has more than 10000 steps")
    }
    #expect(throws: ArchitectureError.self) {
      try Architecture(name: "a", stem: .init(width: 16), stages: [stages[0]], head: .init(pooling: 0))
    }
    let name = String(repeating: "n", count: 1_000_000)
    #expect { try Architecture(name: name, stem: .init(width: 16), stages: [stages[0]]) } throws: {
      "\($0)".count < 1000
    }
  }

  @Test("Samples and batches throw for counts that cannot be")
  func batches() throws {
    #expect(throws: ArgumentError.self) { try Samples(dataset.train, batch: 0, maker: maker) }
    #expect(throws: ArgumentError.self) { try Samples(dataset.train, count: 999, maker: maker) }
    #expect(throws: ArgumentError.self) { try Samples(dataset.train, count: -1, maker: maker) }
    #expect(try Samples(dataset.train, batch: .max, maker: maker).count == 40)
    var count = 0
    try Samples(dataset.train, batch: .max, maker: maker).forEachBatch { count += $0.classes.count }
    #expect(count == 40)
    #expect(throws: ArgumentError.self) { try dataset.train.prefix(-1) }
    #expect(throws: ArgumentError.self) { try dataset.train.prefix(0) }
    #expect(throws: ArgumentError.self) { try maker.order(count: -1, epoch: 0) }
    for translate in [-1, 128, Int.max] {
      #expect(throws: ArgumentError.self) {
        try maker.batch(dataset.train, 0..<2, augmentation: .init(flip: true, translate: translate), epoch: 0)
      }
    }
    #expect(throws: ArgumentError.self) { try Synthetic.dataset(train: -1) }
    #expect(throws: ArgumentError.self) { try Synthetic.dataset(train: 0) }
    #expect(throws: ArgumentError.self) { try network.score(dataset.validation, maker: maker, batch: 0) }
    #expect(throws: ArgumentError.self) { try network.score(dataset.validation, samples: 11, maker: maker) }
  }

  @Test("Statistics that no images have are refused")
  func statistics() throws {
    #expect(throws: ArgumentError.self) { try ChannelStatistics(of: Tensor([UInt8](), shape: [0, 3, 32, 32])) }
    for (means, deviations) in [
      ([Double.nan, 0, 0], [1.0, 1, 1]), ([-1e308, 0, 0], [1, 1, 1]), ([0, 0, 0], [1, 1, 5e-324]),
      ([0, 0, 0], [1, 1]),
      ([], []), ([0, 0, 0], [1, 1, -1]), ([0, 0, 0], [1, .infinity, 1]),
    ] {
      #expect(throws: ArgumentError.self) {
        try BatchMaker(statistics: ChannelStatistics(means: means, deviations: deviations))
      }
    }
    #expect(throws: ArgumentError.self) { try BatchMaker(statistics: dataset.statistics, type: .int64) }
    #expect(throws: ArgumentError.self) {
      try ImageDataset(name: "d", classNames: ["one"], train: dataset.train, validation: dataset.validation)
    }
  }

  @Test("Random streams and devices throw for numbers that they cannot have")
  func streamsAndDevices() throws {
    let stream = RandomStream(seed: 0, name: "s")
    for bound in [-1, 0, Int.min] { #expect(throws: ArgumentError.self) { try stream.integer(0, below: bound) } }
    #expect(stream.element(0, of: [Int]()) == nil)
    for index in [-1, 128, Int.max] {
      #expect(throws: ArgumentError.self) { try Device.cuda(index).use() }
      #expect(throws: ArgumentError.self) { try Tensor.zeros([1]).moved(to: .cuda(index)) }
    }
    #expect(throws: TorchError.self) { try Tensor.full([-1], 1) }
  }

  @Test("Recipes, rates and schedules that cannot be are refused")
  func recipes() throws {
    var recipe = try Recipe.find("quick", for: network.architecture)
    let trainer = try StepTrainer(network, recipe, maker: maker)
    for rate in [Double.nan, .infinity, -1] {
      #expect(throws: ArgumentError.self) { try trainer.step(on: dataset.train, 0..<4, epoch: 0, rate: rate) }
    }
    let (logits, labels) = (try Tensor.zeros([2, 3]), try Tensor([Int64(0), 1], shape: [2]))
    for smoothing in [Double.nan, -0.1, 1.1] {
      #expect(throws: ArgumentError.self) {
        try BatchLoss(logits: logits, labels: labels, smoothing: smoothing, gradientScale: 1)
      }
      #expect(throws: ArgumentError.self) { try Predictions(logits: logits, labels: labels, smoothing: smoothing) }
    }
    recipe.labelSmoothing = .nan
    #expect(throws: ArgumentError.self) { try StepTrainer(network, recipe, maker: maker) }
    recipe.labelSmoothing = 0
    recipe.schedule = .steps([])
    #expect(throws: ArgumentError.self) { try StepTrainer(network, recipe, maker: maker) }
    #expect(!MeasureSchedule(every: 0, samples: 1, names: ["l2-ratio"]).includes(0, of: 3))
    #expect(!MeasureSchedule(every: .min, samples: 1, names: ["l2-ratio"]).includes(3, of: 3))
  }
}
