import Foundation
import ResLensSupport
import ResLensNetworks
import TestSupport
import Testing
import ResLensTorch

/// Small networks of every kind of entry and of sharing.
let smallArchitectures: [Architecture] =
  [
    valid(
      try Architecture(
        name: "projecting", input: .init(height: 8, width: 8), classes: 4, stem: .init(width: 5),
        stages: [
          .init(width: 5, blocks: 2, entry: .none), .init(width: 7, blocks: 2, entry: .projection, stride: 2),
          .init(width: 9, blocks: 2, entry: .projection, stride: 1),
        ], head: .init(pooling: 4))),
    valid(
      try Architecture(
        name: "pooling", input: .init(height: 8, width: 8), classes: 4, stem: .init(width: 6),
        stages: [
          .init(width: 6, blocks: 2, entry: .none), .init(width: 6, blocks: 2, entry: .averagePooling),
          .init(width: 6, blocks: 1, entry: .maximumPooling),
        ], head: .init(pooling: 2))),
    valid(
      try Architecture(
        name: "single", input: .init(height: 8, width: 8), classes: 4, stem: .init(width: 5),
        stages: [.init(width: 5, blocks: 3, entry: .none)], head: .init(pooling: 4))),
  ] + smallSharedArchitectures

/// The networks of He et al. 2015 and 2016 and of others after them, with each form of stem, block and shortcut.
let smallHeArchitectures =
  [
    smallHe("he-projection", options: ["shortcut": .word("projection")]),
    // A stem without ReLU, behind which h has values below 0.
    smallHe("he-raw-stem", .init(width: 4), options: [:]),
    smallHe("he-zeros", options: ["shortcut": .word("zeros")]),
    smallHe("he-pooled", options: ["shortcut": .word("pooled-projection"), "bias": .flag(true)]),
    smallHe(
      "v2", .init(width: 4, bias: false), kind: "pre-activation",
      options: ["bias": .flag(false), "shortcut-reads": .word("activation")]),
    smallHe(
      "v2-pooled", .init(width: 4), kind: "pre-activation",
      options: ["shortcut": .word("pooled-projection"), "shortcut-norm": .flag(true)], hasHeadNorm: true),
  ] + ["middle", "first"].map { smallBottleneck("bottleneck-\($0)", options: ["stride-at": .word($0)]) } + [
    smallBottleneck(
      "bottleneck-d", before: [3, 5], options: ["shortcut": .word("pooled-projection"), "groups": .number(2)]),
    smallBottleneck("v2-bottleneck", kind: "pre-activation-bottleneck", options: ["groups": .number(2)]),
    smallBottleneck(
      "v2-bottleneck-raw", before: [3], kind: "pre-activation-bottleneck",
      options: ["shortcut-reads": .word("input"), "stride-at": .word("first"), "bias": .flag(true)]),
  ]

/// As for large images: a stem with stride and pooling, and bottleneck blocks, of which the first changes the channels
/// alone.
private func smallBottleneck(
  _ name: String, before: [Int]? = nil, kind: String = "bottleneck", options: [String: BlockOptions.Value]
) -> Architecture {
  let isPreActivation = kind != "bottleneck"
  func stage(_ width: Int, stride steps: Int) -> Architecture.Stage {
    .init(
      width: width, blocks: 2, entry: .projection, stride: steps, kind: kind,
      options: BlockOptions(options.merging(["reduction": .number(2)]) { given, _ in given }))
  }
  return valid(
    try Architecture(
      name: name, input: .init(height: 19, width: 18), classes: 4,
      stem: .init(
        width: 4, norm: !isPreActivation, bias: false, kernel: before == nil ? 7 : 3, stride: 2, before: before,
        pool: true),
      stages: [stage(8, stride: 1), stage(12, stride: 2)], head: .init(pooling: 3, norm: isPreActivation)))
}

private func smallHe(
  _ name: String, _ stem: Architecture.Stem = .init(width: 4, norm: true, bias: false),
  kind: String = "post-activation", options: BlockOptions, hasHeadNorm: Bool = false
) -> Architecture {
  valid(
    try Architecture(
      name: name, input: .init(height: 9, width: 8), classes: 4, stem: stem,
      stages: [
        .init(width: 4, blocks: 2, entry: .none, kind: kind, options: options),
        .init(width: 8, blocks: 2, entry: .projection, stride: 2, kind: kind, options: options),
      ], head: .init(pooling: 4, norm: hasHeadNorm)))
}

/// Blocks shared naively, with each part of unshared batch normalization, and with all of them.
let smallSharedArchitectures = [
  smallShared("naive", false, false, 1), smallShared("statistics", true, false, 1),
  smallShared("affine", false, true, 1),
  smallShared("ubn", true, true, 0.1),
]

private func smallShared(_ name: String, _ statistics: Bool, _ affine: Bool, _ gamma: Double) -> Architecture {
  func sharing(from: Int) -> Architecture.Sharing {
    .init(from: from, unsharedStatistics: statistics, unsharedAffine: affine, initialGamma: gamma)
  }
  return valid(
    try Architecture(
      name: name, input: .init(height: 8, width: 8), classes: 4, stem: .init(width: 5),
      stages: [
        .init(width: 5, blocks: 3, entry: .none, sharing: sharing(from: 0)),
        .init(width: 7, blocks: 5, entry: .projection, stride: 2, sharing: sharing(from: 2)),
      ], head: .init(pooling: 4)))
}

/// A network whose running statistics are not those of a fresh one, and a batch for it.
func prepared(
  _ architecture: Architecture, type: ElementType, samples: Int = 6
) throws -> (network: ResidualNetwork, images: Tensor, labels: Tensor) {
  let network = try ResidualNetwork(architecture, seed: 3, type: type)
  for (index, specification) in architecture.parameters.enumerated() {
    let range: (Double, Double)? =
      switch specification.role {
      case .runningMean, .normBias, .bias: (-0.3, 0.3)
      case .runningVariance, .normWeight: (0.5, 1.5)
      case .weight: nil
      }
    guard let range, let parameter = network.parameters[specification.path] else { continue }
    let values = noise(specification.count, seed: UInt64(index), from: range.0, to: range.1)
    try parameter.copy(from: Tensor(values, shape: specification.shape).converted(to: type))
  }
  let input = architecture.input
  let shape = [samples, input.channels, input.height, input.width]
  let images = try Tensor(noise(shape.reduce(1, *), seed: 99, from: -2, to: 2), shape: shape).converted(to: type)
  let labels = try Tensor((0..<samples).map { Int64($0 % architecture.classes) }, shape: [samples])
  return (network, images, labels)
}

@Suite struct NetworkTests {
  @Test("A plan that changes nothing gives the forward pass bit for bit", arguments: smallArchitectures)
  func identicalPlan(architecture: Architecture) throws {
    for type in [ElementType.float32, .bfloat16] {
      let (network, images, _) = try prepared(architecture, type: .float32)
      let input = try images.converted(to: type)
      let wanted = try network.logits(input)
      #expect(try network.logits(input, plan: Plan(of: architecture)).equals(wanted))
      let everyStepTimesOne = try (1...architecture.steps.count).reduce(network.plan) {
        try $0.scaling(step: $1, by: 1)
      }
      #expect(try network.logits(input, plan: everyStepTimesOne).equals(wanted))
      for keeps in [false, true] {
        let pass = try Pass(network, images: input, mode: .running, wants: keeps ? .added : [])
        #expect(try pass.logits.equals(wanted))
      }
      var seen = 0
      try network.run([network.plan, network.plan.dropping(step: 1), network.plan], on: network.begin(input)) {
        index, h in
        guard index != 1 else { return }
        seen += 1
        let logits = try network.classify(h)
        #expect(try logits.equals(wanted))
      }
      #expect(seen == 2)
    }
  }

  @Test("What is kept and what all steps add sum to the final features", arguments: smallArchitectures)
  func sums(architecture: Architecture) throws {
    let (network, images, labels) = try prepared(architecture, type: .float32)
    let pass = try Pass(network, images: images, mode: .running, wants: .added)
    let features = try network.run(network.plan, on: pass.h0)
    // Gone back from the last step to the first: a stage's sum ends where its kept state is a new one.
    let gradient = try #require(Predictions(logits: pass.logits, labels: labels, gradientScale: 1).gradient)
    var visited: [Pass.VisitedStep] = []
    try pass.backward(gradient, into: nil) { visited.insert($0, at: 0) }
    let lastStage = visited.filter { $0.spec.stage == architecture.stages.count - 1 }
    var sum = try #require(lastStage.first).skip
    for step in lastStage { sum = try sum.adding(step.added) }
    #expect(try sum.distance(to: features) < 1e-4)
    // Every step begins with what the one before ended with.
    for (before, after) in zip(visited, visited.dropFirst()) where before.spec.output == after.spec.input {
      let sum = try before.skip.adding(before.added)
      #expect(try sum.equals(after.input))
    }
  }

  @Test("Plans with a common beginning run it once and give what each gives alone", arguments: smallArchitectures)
  func sharedPrefixes(architecture: Architecture) throws {
    let (network, images, _) = try prepared(architecture, type: .float32)
    let steps = architecture.steps.count
    let h0 = try network.begin(images)
    var plans = try (1...steps).map { try network.plan.dropping(step: $0) }
    plans += [network.plan, Plan(moves: []), Plan(moves: Array(network.plan.moves.prefix(2))), plans[0]]
    var seen = Set<Int>()
    try network.run(plans, on: h0) { index, h in
      #expect(seen.insert(index).inserted)
      let alone = try network.run(plans[index], on: h0)
      #expect(try h.equals(alone))
    }
    #expect(seen.count == plans.count)
  }

  @Test("Dropping every one of 54 steps in turn takes about half of the moves")
  func sharedMoves() throws {
    let narrow = try Architecture(
      name: "narrow", input: .init(height: 4, width: 4), classes: 2, stem: .init(width: 1),
      stages: [.init(width: 1, blocks: 54, entry: .none)], head: .init(pooling: 4))
    let (network, images, _) = try prepared(narrow, type: .float32, samples: 1)
    let drops = try (1...54).map { try network.plan.dropping(step: $0) }
    let moves = try network.run(drops, on: network.begin(images)) { _, _ in }
    // The whole way once but for its last move, and after each drop, itself counted, the rest: 53 + (54 + … + 1).
    #expect(moves == 53 + 54 * 55 / 2)
    #expect(Double(moves) < 0.55 * 54 * 54)
  }

  @Test("Moves into stages that there are not, or that are entered otherwise, are refused and not run")
  func strangePools() throws {
    let network = try ResidualNetwork(.named("resnet-8"), seed: 0)
    let images = try Tensor.zeros([1, 3, 32, 32])
    let h0 = try network.begin(images)
    for stage in [-1, 1, 99] {
      let plan = Plan(moves: [.pool(stage: stage)])
      #expect(throws: PlanError.self) { try network.run(plan, on: h0) }
      #expect(throws: PlanError.self) { try network.run([plan], on: h0) { _, _ in } }
      #expect(throws: PlanError.self) { try Pass(network, moves: plan.moves, from: h0) }
    }
  }

  @Test("A dropped step adds nothing and its projection stays")
  func dropped() throws {
    let architecture = smallArchitectures[0]
    let (network, images, labels) = try prepared(architecture, type: .float64)
    let pass = try Pass(network, images: images, mode: .running, wants: .added)
    let gradient = try #require(Predictions(logits: pass.logits, labels: labels, gradientScale: 1).gradient)
    var third: Pass.VisitedStep?
    try pass.backward(gradient, into: nil) { if $0.spec.id.number == 3 { third = $0 } }
    let step = try #require(third)
    #expect(!step.spec.hasIdentitySkip)
    let alone = try network.run(
      Plan(moves: Array(network.plan.dropping(step: 3).moves.prefix(3))), on: network.begin(images))
    #expect(try alone.equals(step.skip))
    let doubled = try network.run(
      Plan(moves: Array(network.plan.scaling(step: 3, by: 2).moves.prefix(3))), on: network.begin(images))
    #expect(try doubled.distance(to: step.skip.adding(step.added, scale: 2)) < 1e-12)
  }

  @Test("A pass by the batch's statistics is a training pass that leaves the running ones alone, whatever comes")
  func batchStatistics() throws {
    let (network, images, _) = try prepared(smallArchitectures[0], type: .float64)
    let running = network.parameters.filter { $0.key.contains("running") }
    let before = try running.mapValues { try $0.doubles() }
    let alone = try Pass(network, images: images, mode: .batch).logits
    var values = try images.doubles()
    values[7] = .infinity
    _ = try Pass(network, images: Tensor(values, shape: images.shape), mode: .batch)
    #expect(try running.mapValues { try $0.doubles() } == before)
    let trained = try Pass(network, images: images, mode: .batchUpdating()).logits
    #expect(try trained.equals(alone))
    #expect(try running.mapValues { try $0.doubles() } != before)
  }

  @Test("Parameters that do not fit are refused by name")
  func misfits() throws {
    let architecture = smallArchitectures[2]
    var parameters = try ResidualNetwork(architecture, seed: 0).parameters
    parameters["stages.0.1.conv2.weight"] = try .zeros([5, 5, 1, 1])
    #expect { try ResidualNetwork(architecture, parameters: parameters) } throws: {
      ($0 as? ParameterError)?.path == "stages.0.1.conv2.weight"
    }
    parameters["stages.0.1.conv2.weight"] = nil
    #expect(throws: ParameterError.self) { try ResidualNetwork(architecture, parameters: parameters) }
    parameters = try ResidualNetwork(architecture, seed: 0).parameters
    parameters["stages.0.9.conv2.weight"] = try .zeros([1])
    #expect(throws: ParameterError.self) { try ResidualNetwork(architecture, parameters: parameters) }
  }

  @Test("A checkpoint of another architecture, or of none, is refused by file")
  func checkpoints() throws {
    let scratch = try Scratch()
    let file = scratch.file("weights.safetensors")
    let network = try ResidualNetwork(smallArchitectures[2], seed: 0)
    try network.save(to: file)
    let back = try ResidualNetwork(contentsOf: file, expecting: smallArchitectures[2])
    for (path, tensor) in network.parameters {
      let read = try #require(back.parameters[path])
      #expect(try tensor.equals(read))
    }
    #expect { try ResidualNetwork(contentsOf: file, expecting: smallArchitectures[0]) } throws: {
      ($0 as? FileError)?.problem.contains("single") ?? false
    }
    try Safetensors(tensors: network.parameters).write(to: file)
    #expect(throws: FileError.self) { try ResidualNetwork(contentsOf: file) }
  }

  @Test("Weights depend on the seed and their own path only")
  func initialisation() throws {
    let short = try ResidualNetwork(.named("resnet-8"), seed: 5)
    let long = try ResidualNetwork(.named("resnet-14"), seed: 5)
    let path = "stages.1.0.conv1.weight"
    let other = try ResidualNetwork(.named("resnet-8"), seed: 6)
    let weights = try [short, long, other].map { try #require($0.parameters[path]) }
    #expect(try weights[0].equals(weights[1]))
    #expect(try !weights[0].equals(weights[2]))
    // He-normal: deviation √(2/fan-in).
    let values = try #require(long.parameters["stages.2.1.conv1.weight"]).doubles()
    let deviation = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
    #expect(abs(deviation / (2.0 / (9 * 64)).squareRoot() - 1) < 0.02)
  }
}
