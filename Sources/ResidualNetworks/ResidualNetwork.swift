import Torch

/// A residual network with its weights: a stem, blocks that plans run, and a head.
///
/// The activations have the element type of the images that go in; the parameters keep their own (float32, or float64
/// for checking), also where the activations are bfloat16.
public final class ResidualNetwork {
  /// Its structure, from which the parameters' paths and shapes follow.
  public let architecture: Architecture
  /// Every stored tensor by its path, running statistics included. Writing into them changes the network.
  public let parameters: [String: Tensor]
  /// The network's own plan.
  public let plan: Plan

  let stem: ConvolutionLayer
  let head: Head
  private let blocks: [[Block]]
  /// By stage and place in it.
  private let layouts: [[StepLayout]]

  /// A network with the given parameters.
  /// - Throws: `ArchitectureError`; `ParameterError` where a parameter is missing, superfluous, of another shape or not
  ///   of one floating type with the others.
  public init(_ architecture: Architecture, parameters: [String: Tensor]) throws {
    try architecture.validate()
    let specifications = architecture.parameters
    let type = try parameters.required("stem.weight").elementType
    guard type == .float32 || type == .float64 else {
      throw ParameterError(
        path: "stem.weight",
        problem: "it is \(type.rawValue) where float32 or float64 is needed: save the weights as float32")
    }
    for specification in specifications {
      let parameter = try parameters.required(specification.path)
      let shape = parameter.shape
      guard parameter.elementType == type else {
        throw ParameterError(
          path: specification.path, problem: "it is \(parameter.elementType.rawValue) where others are \(type.rawValue)"
        )
      }
      guard shape == specification.shape else {
        throw ParameterError(
          path: specification.path,
          problem: "it has shape \(shape) where \(architecture.name) needs \(specification.shape)")
      }
    }
    if let stray = Set(parameters.keys).subtracting(specifications.map(\.path)).min() {
      throw ParameterError(path: stray, problem: "\(architecture.name) has no such parameter")
    }
    self.architecture = architecture
    self.parameters = parameters
    plan = Plan(of: architecture)
    stem = try ConvolutionLayer("stem", parameters, padding: 1)
    head = try Head(architecture, parameters)
    let steps = architecture.steps
    layouts = architecture.stages.indices.map { stage in steps.filter { $0.name.stage == stage } }
    blocks = try layouts.map { steps in
      try Dictionary(grouping: steps, by: \.name.block).sorted { $0.key < $1.key }.map {
        try Block(uses: $0.value, parameters)
      }
    }
  }

  /// A new network: weights He-normal by fan-in, biases and β 0, γ 1 or what the sharing says (§4). Each tensor depends on the seed and its
  /// own path only.
  public convenience init(_ architecture: Architecture, seed: UInt64, type: ElementType = .float32) throws {
    try architecture.validate()
    var parameters: [String: Tensor] = [:]
    for specification in architecture.parameters {
      parameters[specification.path] =
        switch specification.role {
        case .weight(let fanIn):
          try .normal(
            specification.shape, deviation: (2 / Double(fanIn)).squareRoot(),
            seed: RandomStream(seed: seed, name: "initialisation " + specification.path).bits(0), type)
        case .bias, .normBias, .runningMean: try .zeros(specification.shape, type)
        case .normWeight(let initial): try .full(specification.shape, initial, type)
        case .runningVariance: try .full(specification.shape, 1, type)
        }
    }
    try self.init(architecture, parameters: parameters)
  }

  /// The network on another device, with parameters of its own there; the network itself where it is there already.
  public func moved(to device: Device) throws -> ResidualNetwork {
    guard self.device != device else { return self }
    return try ResidualNetwork(architecture, parameters: parameters.mapValues { try $0.moved(to: device) })
  }

  /// The device that computes the network.
  public var device: Device { stem.weight.device }

  /// h_0, the stem's output, of images N×C×H×W.
  public func begin(_ images: Tensor) throws -> Tensor { try stem.forward(images) }

  /// Logits N×classes of the head applied to h; to any h of the last stage's shape.
  public func classify(_ h: Tensor, mode: Mode = .evaluation) throws -> Tensor {
    try head.forward(h, mode: mode).logits
  }

  /// Logits N×classes of images, in evaluation mode.
  /// - Throws: `PlanError` where the network cannot run `plan`.
  public func logits(_ images: Tensor, plan: Plan? = nil) throws -> Tensor {
    if let plan { try check(plan) }
    return try classify(run(plan ?? self.plan, on: begin(images)))
  }

  /// - Throws: `PlanError` at the first move that this network cannot make, statistics that it lacks included.
  public func check(_ plan: Plan) throws(PlanError) {
    try plan.validate(for: architecture)
    for (index, move) in plan.moves.enumerated() {
      guard case .step(let step) = move, !blocks[step.stage][step.block].canRun(step) else { continue }
      throw PlanError(move: index, problem: "\(step.path) has no statistics \(step.statistics)")
    }
  }

  /// The network's own step that `step` runs, perhaps in another place.
  /// - Throws: `PlanError` where there is none.
  public func layout(of step: Plan.Step) throws -> StepLayout {
    let (place, overflow) = step.block.addingReportingOverflow(step.use)
    guard !overflow, layouts.indices.contains(step.stage), layouts[step.stage].indices.contains(place),
      layouts[step.stage][place].name.block == step.block
    else {
      throw PlanError(move: 0, problem: "\(architecture.name) has no block \(step.path)")
    }
    return layouts[step.stage][place]
  }

  /// The block that a step runs.
  /// - Throws: `PlanError` where there is none.
  func block(of step: Plan.Step) throws -> Block {
    guard blocks.indices.contains(step.stage), blocks[step.stage].indices.contains(step.block) else {
      throw PlanError(move: 0, problem: "\(architecture.name) has no block \(step.path)")
    }
    return blocks[step.stage][step.block]
  }

  // MARK: one move

  /// h on its way through the moves.
  struct State {
    let h: Tensor
    /// The channel sums for the next normalisation with batch statistics, where the move that made h computed them.
    let sums: NormReLU.ChannelSums?

    init(_ h: Tensor, sums: NormReLU.ChannelSums? = nil) { (self.h, self.sums) = (h, sums) }
  }

  /// The results of one move, and the values that its backward pass needs.
  struct Record {
    let move: Plan.Move
    /// h before the move.
    let input: Tensor
    /// s(h), what the step adds to.
    let kept: Tensor
    /// scale·F(h) where it was asked to be kept.
    let residual: Tensor?
    /// ‖`residual`‖² and ‖h after the move‖² of each sample, where they are known.
    var squares: (residual: [Double], sum: [Double])?
    let tape: Block.Tape?
    let maximumIndices: Tensor?
  }

  /// h after `move`.
  func apply(_ move: Plan.Move, to h: Tensor) throws -> Tensor {
    try record(move, on: State(h), mode: .evaluation, keepsResidual: false).output.h
  }

  func record(
    _ move: Plan.Move, on state: State, mode: Mode, keepsResidual: Bool
  ) throws -> (output: State, record: Record) {
    let h = state.h
    switch move {
    case .pool(let stage):
      guard architecture.pools(into: stage) else {
        throw PlanError(move: 0, problem: "\(architecture.name) enters stage \(stage) through no pooling")
      }
      let indices: Tensor?
      let output: Tensor
      if architecture.stages[stage].entry == .maximumPooling {
        (output, indices) = try Pooling.maximum(h, size: 2)
      } else {
        (output, indices) = (try Pooling.average(h, size: 2), nil)
      }
      return (
        State(output), Record(move: move, input: h, kept: h, residual: nil, tape: nil, maximumIndices: indices)
      )
    case .step(let step):
      let block = try block(of: step)
      let kept = try block.kept(h)
      guard step.scale != 0 else {
        return (State(kept), Record(move: move, input: h, kept: kept, residual: nil, tape: nil, maximumIndices: nil))
      }
      let made = try block.residual(
        h, sums: state.sums, step, mode: mode, adding: kept, keepsResidual: keepsResidual)
      return (
        State(try made.sum.wanted(), sums: made.sums),
        Record(
          move: move, input: h, kept: kept, residual: made.residual, squares: made.squares, tape: made.tape,
          maximumIndices: nil)
      )
    }
  }

  /// ∂L/∂h before the move from the one after it, and the products of the move's residual, where that was kept, with it:
  /// nil where they did not come of the same pass.
  func backward(
    _ gradient: Tensor, through record: Record, _ gradients: Gradients?
  ) throws -> (gradient: Tensor, products: SampleProducts?) {
    switch record.move {
    case .pool:
      if let indices = record.maximumIndices {
        return (try Pooling.maximumBackward(gradient, input: record.input, indices: indices, size: 2), nil)
      }
      return (try Pooling.averageBackward(gradient, input: record.input, size: 2), nil)
    case .step(let step):
      let block = try block(of: step)
      let throughKept = try block.keptBackward(gradient, h: record.input, gradients)
      guard let tape = record.tape else { return (throughKept, nil) }
      let scaled = step.scale == 1 ? gradient : try gradient.scaled(by: step.scale)
      // Behind a projection F is of another shape than h, or lies elsewhere.
      let beside = record.kept === record.input ? record.residual : nil
      let (through, found) = try block.residualBackward(
        scaled, tape, adding: throughKept, beside: beside, gradients)
      guard let found, let squares = record.squares else { return (through, nil) }
      return (through, SampleProducts(dot: found.dot, squares: squares.residual, otherSquares: found.squares))
    }
  }
}
