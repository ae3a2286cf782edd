import Foundation
import ResLensSupport
import OwnKinds
import ResLensNetworks
import TestSupport
import Testing
import ResLensTorch

/// Makes the kinds of these tests known; they are linked into them.
func registerKinds() throws {
  for kind in [GatedBlock.self, RecordedPreActivation.self] as [any Block.Type] {
    try BlockKinds.register(kind)
  }
}

/// A small network of blocks of one kind, with a shared block, a stride and a pooling.
private func small(
  _ kind: String, options: BlockOptions? = nil, projects: Bool = true, sharing: Architecture.Sharing? = nil
) throws -> Architecture {
  try registerKinds()
  return try Architecture(
    name: kind, input: .init(height: 8, width: 8), classes: 3, stem: .init(width: 4),
    stages: [
      .init(width: 4, blocks: 3, entry: .none, sharing: sharing, kind: kind, options: options),
      projects
        ? .init(width: 6, blocks: 2, entry: .projection, stride: 2, kind: kind, options: options)
        : .init(width: 4, blocks: 2, entry: .averagePooling, kind: kind, options: options),
    ], head: .init(pooling: 4))
}

/// This architecture with its stages of another kind.
private func with(_ kind: String, _ architecture: Architecture) throws -> Architecture {
  try registerKinds()
  var stages = architecture.stages
  for index in stages.indices { stages[index].kind = kind }
  return try Architecture(
    name: architecture.name, input: architecture.input, classes: architecture.classes, stem: architecture.stem,
    stages: stages, head: architecture.head)
}

private var modes: [(String, NormMode)] { [("running", .running), ("batch", .batch), ("updating", .batchUpdating())] }

@Suite(.serialized) struct BlockTests {
  // MARK: gradients

  @Test(
    "The gradients of recorded blocks are central differences in float64",
    arguments: [
      ("post-activation", [:], true), ("post-activation", ["bias": .flag(true)], true),
      ("post-activation", ["shortcut": .word("zeros")], true),
      ("gated", [:], false), ("gated", ["gate": .word("channel"), "kernel": .number(1)], false),
    ] as [(String, BlockOptions, Bool)])
  func differences(kind: String, options: BlockOptions, projects: Bool) throws {
    let sharing = Architecture.Sharing(from: 1, unsharedAffine: true)
    let architecture = try small(kind, options: options, projects: projects, sharing: sharing)
    let (network, images, _) = try prepared(architecture, type: .float64, samples: 3)
    let weights = noise(3 * 3, seed: 7)
    for (name, mode) in modes.prefix(2) {
      func value() throws -> Double {
        try zip(Pass(network, images: images, mode: mode).logits.doubles(), weights).reduce(0) { $0 + $1.0 * $1.1 }
      }
      let gradients = Gradients()
      try Pass(network, images: images, mode: mode).backward(Tensor(weights, shape: [3, 3]), into: gradients)
      for specification in architecture.parameters where specification.isTrainable {
        let path = specification.path
        // The written-out layers have no gradients of γ and β by running statistics.
        guard let found = try gradients.byPath[path]?.doubles() else {
          #expect(name == "running" && path.hasPrefix("head.norm"), "\(path)")
          continue
        }
        let tensor = try network.parameters.required(path)
        let values = try tensor.doubles()
        for index in Set([0, values.count / 2, values.count - 1]) {
          var sides: [Double] = []
          for step in [1e-5, -1e-5] {
            var moved = values
            moved[index] += step
            try tensor.copy(from: Tensor(moved, shape: tensor.shape))
            sides.append(try value())
          }
          try tensor.copy(from: Tensor(values, shape: tensor.shape))
          let wanted = (sides[0] - sides[1]) / 2e-5
          #expect(abs(found[index] - wanted) <= 2e-6 * max(1, abs(wanted)), "\(path)[\(index)] of \(kind), \(name)")
        }
      }
    }
  }

  /// Everything that comes of a pass there and back, by name.
  private func outcome(
    _ architecture: Architecture, _ parameters: [String: Tensor], _ images: Tensor, mode: NormMode
  ) throws -> [String: Tensor] {
    let copies = try parameters.mapValues { try $0.adding($0, scale: 0) }
    let network = try ResidualNetwork(architecture, parameters: copies)
    let pass = try Pass(network, images: images, mode: mode, wants: .added)
    var found = ["logits": pass.logits]
    let gradient = try Tensor(noise(pass.logits.count, seed: 8), shape: pass.logits.shape)
    let gradients = Gradients()
    try pass.backward(gradient.converted(to: pass.logits.elementType), into: gradients) { step in
      let number = step.spec.id.number
      found["h.\(number)"] = step.input
      found["skip.\(number)"] = step.skip
      found["F.\(number)"] = step.added
      found["gradient.\(number)"] = step.gradient
      found["inputGradient.\(number)"] = step.inputGradient
    }
    for (path, gradient) in gradients.byPath { found["∂" + path] = gradient }
    for (path, tensor) in copies where path.contains("running") { found[path] = tensor }
    return found
  }

  @Test(
    "The pre-activation block on a record is the fused one, in every mode",
    arguments: smallArchitectures, [ElementType.float64, .float32])
  func fused(architecture: Architecture, type: ElementType) throws {
    let recorded = try with(RecordedPreActivation.kind, architecture)
    #expect(recorded.parameters == architecture.parameters)
    #expect(recorded.gradientParts == architecture.gradientParts)
    #expect(recorded.steps == architecture.steps)
    let (network, images, _) = try prepared(architecture, type: type)
    for (name, mode) in modes {
      let wanted = try outcome(architecture, network.parameters, images, mode: mode)
      let found = try outcome(recorded, network.parameters, images, mode: mode)
      for (path, tensor) in wanted {
        let other = try #require(found[path])
        #expect(other.elementType == tensor.elementType && other.shape == tensor.shape)
        let largest = try tensor.doubles().map(abs).max() ?? 0
        // Before a normalisation by the batch's statistics a bias has no gradient but what rounding leaves.
        let apart = try other.distance(to: tensor)
        let tolerance = (type == .float64 ? 1e-12 : 3e-4) * max(largest, 0.1)
        #expect(apart <= tolerance, "\(path) of \(architecture.name), \(name), \(type)")
      }
    }
  }

  @Test(
    "In bfloat16 a record is no further from float64 than the fused block is, rounding aside",
    arguments: smallArchitectures)
  func halves(architecture: Architecture) throws {
    let recorded = try with(RecordedPreActivation.kind, architecture)
    let (network, images, _) = try prepared(architecture, type: .float32)
    let input = try images.converted(to: .bfloat16)
    let wide = try network.parameters.mapValues { try $0.converted(to: .float64) }
    /// Root mean square of the differences, as a part of the root mean square.
    func error(_ found: Tensor, _ wanted: Tensor) throws -> Double {
      func squares(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 } }
      let exact = try wanted.doubles()
      let apart = try squares(zip(found.doubles(), exact).map { $0 - $1 })
      // Before a normalisation by the batch's statistics a bias has no gradient but what rounding leaves.
      return (apart / max(squares(exact), 0.01 * Double(exact.count))).squareRoot()
    }
    for (name, mode) in modes {
      let wanted = try outcome(architecture, wide, input.converted(to: .float64), mode: mode)
      let fused = try outcome(architecture, network.parameters, input, mode: mode)
      let found = try outcome(recorded, network.parameters, input, mode: mode)
      // A ReLU whose input is within rounding of 0 is much of a single gradient: these are compared by their mean error.
      var errors: [(found: Double, fused: Double)] = []
      for (path, tensor) in fused {
        let (other, exact) = (try #require(found[path]), try #require(wanted[path]))
        #expect(other.elementType == tensor.elementType && other.shape == tensor.shape)
        let both = (found: try error(other, exact), fused: try error(tensor, exact))
        if path.contains("∂") || path.lowercased().contains("gradient") {
          errors.append(both)
        } else {
          #expect(both.found <= 2 * both.fused + 0.02, "\(path) of \(architecture.name), \(name)")
        }
      }
      let count = Double(errors.count)
      let mean = (errors.reduce(0) { $0 + $1.found } / count, errors.reduce(0) { $0 + $1.fused } / count)
      #expect(mean.0 <= 2 * mean.1 + 0.02, "gradients of \(architecture.name), \(name)")
    }
  }

  @Test("Behind a ReLU the added is what the step changes, and a scale applies to the branch")
  func added() throws {
    let (network, images, labels) = try prepared(small("post-activation"), type: .float64, samples: 3)
    let pass = try Pass(network, images: images, mode: .running, wants: .added)
    let gradient = try #require(Predictions(logits: pass.logits, labels: labels, gradientScale: 1).gradient)
    var visited: [Pass.VisitedStep] = []
    try pass.backward(gradient, into: nil) { visited.insert($0, at: 0) }
    #expect(visited.map(\.spec.id.number) == [1, 2, 3, 4, 5])
    for step in visited {
      #expect(try step.skip.adding(step.added).distance(to: step.output) < 1e-12)
      #expect(try step.output.doubles().allSatisfy { $0 >= 0 })
      #expect((step.skip === step.input) == step.spec.hasIdentitySkip)
      let products = try step.addedTimesGradient()
      #expect(try products.dot == step.added.sampleProducts(step.gradient).dot)
      #expect(try step.inputSquares() == step.input.sampleSquares())
      #expect(try step.outputSquares() == step.output.sampleSquares())
    }
    // h' = ReLU(s + α·f): where both sides are positive twice the scale changes h twice as far.
    let h = visited[1].input
    func after(_ scale: Double) throws -> [Double] {
      let plan = try network.plan.scaling(step: 2, by: scale)
      return try network.run(Plan(moves: [plan.moves[1]]), on: h).doubles()
    }
    let (none, half, whole) = (try after(0), try after(0.5), try after(1))
    #expect(try none == h.doubles())
    for index in none.indices where half[index] > 0 && whole[index] > 0 {
      #expect(abs(2 * (half[index] - none[index]) - (whole[index] - none[index])) < 1e-12)
    }
  }

  // MARK: records

  @Test("A pass of recorded blocks lets go of its activations step by step")
  func memory() throws {
    let (network, images, labels) = try prepared(
      Architecture(
        name: "deep", input: .init(height: 8, width: 8), classes: 2, stem: .init(width: 4),
        stages: [.init(width: 4, blocks: 6, entry: .none, kind: small("post-activation").stages[0].kind)],
        head: .init(pooling: 4)), type: .float32)
    let before = Libtorch.liveTensors
    do {
      let pass = try Pass(network, images: images, mode: .batch, wants: .added)
      let gradient = try #require(Predictions(logits: pass.logits, labels: labels, gradientScale: 1).gradient)
      var live: [Int] = []
      try pass.backward(gradient, into: Gradients()) { _ in live.append(Libtorch.liveTensors) }
      // Every step holds its activations and parameters until it is passed; a gradient of each parameter comes instead.
      let parameters = network.architecture.gradientParts.keys.count { $0.hasPrefix("stages.0.1.") }
      for (earlier, later) in zip(live, live.dropFirst()) { #expect(earlier - later > 0, "\(live), \(parameters)") }
    }
    #expect(Libtorch.liveTensors == before)
  }

  @Test("A record refuses to go back once its parameters have been written, however that was done")
  func changed() throws {
    let (network, images, labels) = try prepared(small("post-activation"), type: .float32, samples: 3)
    let weight = try network.parameters.required("stages.0.1.conv1.weight")
    let mean = try network.parameters.required("stages.0.1.norm1.running_mean")
    func refused(mode: NormMode, _ write: () throws -> Void) throws -> String? {
      let pass = try Pass(network, images: images, mode: mode)
      let gradient = try #require(Predictions(logits: pass.logits, labels: labels, gradientScale: 1).gradient)
      try write()
      do {
        try pass.backward(gradient, into: Gradients())
        return nil
      } catch TapeError.changed(let path) {
        return path
      }
    }
    let path = "stages.0.1.conv1.weight"
    #expect(try refused(mode: .batch) {} == nil)
    let ways: [() throws -> Void] = [
      { try weight.copy(from: weight.scaled(by: 1)) }, { try weight.scaled(by: 0).add(into: weight) },
      { try weight.rows(0..<1).copy(from: weight.rows(0..<1)) },
      {
        try MomentumSGD.step(
          parameters: [weight], gradients: [.zeros(weight.shape)], velocities: [.zeros(weight.shape)],
          rate: .zeros([1]), momentum: 0, decay: 0, nesterov: false)
      },
    ]
    for write in ways { #expect(try refused(mode: .batch, write) == path) }
    // Running statistics are read where they are used, and nowhere else.
    func update() throws { try mean.copy(from: mean.scaled(by: 1)) }
    #expect(try refused(mode: .batch, update) == nil)
    #expect(try refused(mode: .running, update) == "stages.0.1.norm1.running_mean")
    // Another training pass updates them; its steps' own are not refused.
    #expect(
      try refused(mode: .batchUpdating()) { _ = try Pass(network, images: images, mode: .batchUpdating()) } == nil)
    #expect(
      try refused(mode: .running) { _ = try Pass(network, images: images, mode: .batchUpdating()) }?
        .contains("running") == true)
  }

  @Test("A step is gone back once, and again where its tape is kept, to the same bits")
  func kept() throws {
    let plan = Plan.Step(stage: 0, block: 0)
    let step = try ResidualNetwork(small("post-activation"), seed: 1, type: .float64).step(plan)
    let h = try Tensor(noise(2 * 4 * 64, seed: 1), shape: [2, 4, 8, 8])
    let gradient = try Tensor(noise(2 * 4 * 64, seed: 2), shape: [2, 4, 8, 8])
    func run(_ wants: Wanted) throws -> StepTrace { try step.forward(Stream(h), plan, .batch, wants: wants) }
    let once = try run(.backward)
    let first = try step.backward(gradient, once, into: nil).input
    #expect(throws: TapeError.spent) { try step.backward(gradient, once, into: nil) }
    let kept = try run([.backward, .keptTape])
    for _ in 0..<2 { #expect(try step.backward(gradient, kept, into: nil).input.equals(first)) }
    #expect(throws: PassError.notRecorded) { try step.backward(gradient, run([]), into: nil) }
    #expect(try gradient.doubles() == noise(2 * 4 * 64, seed: 2))
  }

  @Test("Synchronised batch normalisation is refused on recorded blocks", .enabled(if: ProcessGroup.isPossible))
  func synchronised() throws {
    let refused = try asProcesses(1) { group in
      let (network, images, _) = try prepared(small("post-activation"), type: .float32, samples: 3)
      do {
        _ = try Pass(network, images: images, mode: .batchUpdating(over: group))
        return ""
      } catch let error as TapeError {
        return "\(error)"
      }
    }
    #expect(refused.count == 1 && refused[0].contains("synchronised"))
  }

  @Test("Only networks of written-out blocks can be captured as CUDA graphs")
  func capturing() throws {
    #expect(try ResidualNetwork(small("post-activation"), seed: 0).isCapturable == false)
    #expect(try ResidualNetwork(.named("resnet-8"), seed: 0).isCapturable)
  }
}
