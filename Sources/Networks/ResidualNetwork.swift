import ResLensResults
import ResLensTorch

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
  /// The device that computes the network.
  public let device: Device

  let stem: ConvolutionStem
  let readout: ClassifierReadout
  private let steps: [StepPlace: NetworkParts.BuiltStep]
  /// The weights of convolutions.
  private let filters: [Tensor]

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
    let parts = try NetworkParts(architecture, tensors: parameters)
    (stem, readout) = (parts.stem, parts.readout)
    steps = Dictionary(
      uniqueKeysWithValues: parts.steps.map {
        (StepPlace(stage: $0.step.spec.stage, block: $0.step.spec.block, use: $0.step.spec.use), $0)
      })
    device = try parameters.required("stem.weight").device
    filters = parameters.sorted { $0.key < $1.key }.map(\.value).filter { $0.shape.count == 4 }
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

  /// True if a training step of this network can be captured as a CUDA graph: its blocks say so.
  public var isCapturable: Bool { steps.values.allSatisfy(\.step.isCapturable) }

  /// h_0, the stem's output, of images N×C×H×W, by running statistics.
  public func begin(_ images: Tensor) throws -> Tensor { try begin(images, mode: .running).h }

  func begin(_ images: Tensor, mode: NormMode) throws -> (h: Tensor, tape: ConvolutionStem.Tape) {
    try ResidualUnit.prepare(filters, for: images.elementType)
    return try stem.forward(images, mode: mode)
  }

  /// Logits N×classes of the head applied to h; to any h of the last stage's shape.
  /// - Parameter statistics: the number of the running statistics that the head's normalisation uses, as in
  ///   `Plan.readoutStatistics`
  public func classify(_ h: Tensor, mode: NormMode = .running, statistics: Int = 0) throws -> Tensor {
    try readout.forward(Stream(h), mode: mode, statistics: statistics).logits
  }

  /// Logits N×classes of images, in evaluation mode.
  /// - Throws: `PlanError` where the network cannot run `plan`.
  public func logits(_ images: Tensor, plan: Plan? = nil) throws -> Tensor {
    if let plan { try check(plan) }
    let plan = plan ?? self.plan
    return try classify(run(plan, on: begin(images)), statistics: plan.readoutStatistics)
  }

  /// - Throws: `PlanError` at the first move that this network cannot make, statistics that it lacks included.
  public func check(_ plan: Plan) throws(PlanError) {
    try plan.validate(for: architecture)
    for (index, move) in plan.moves.enumerated() {
      guard case .step(let step) = move, !has(step.statistics, of: step) else { continue }
      throw PlanError(move: index, problem: "\(step.path) has no statistics \(step.statistics)")
    }
    guard readout.statistics?.has(plan.readoutStatistics) ?? true else {
      throw PlanError(
        move: plan.moves.count, problem: "the readout has no statistics \(plan.readoutStatistics)")
    }
  }

  /// The network's own step that `step` runs, perhaps at another place of a plan.
  /// - Throws: `PlanError` if there is none.
  public func spec(of step: Plan.Step) throws -> StepSpec { try self.step(step).spec }

  /// The step that runs `step`.
  /// - Throws: `PlanError` if there is none.
  public func step(_ step: Plan.Step) throws -> any ResidualStep { try built(step).step }

  func built(_ step: Plan.Step) throws -> NetworkParts.BuiltStep {
    guard let built = steps[step.place] else { throw PlanError.noStep(architecture, step) }
    return built
  }

  // MARK: running statistics

  private func has(_ statistics: Int, of step: Plan.Step) -> Bool {
    self.statistics(of: step).allSatisfy { $0.has(statistics) }
  }

  /// The running statistics of each normalisation of a step, in the order in which its block declared them.
  func statistics(of step: Plan.Step) -> [RunningStatistics] { steps[step.place]?.statistics ?? [] }

  /// A network with the same parameters and with all statistics that this one has.
  func withSameStatistics() throws -> ResidualNetwork {
    let network = try ResidualNetwork(architecture, parameters: parameters)
    for (place, built) in steps {
      for (own, copy) in zip(built.statistics, network.steps[place]?.statistics ?? []) { copy.adopt(own) }
    }
    if let own = readout.statistics { network.readout.statistics?.adopt(own) }
    return network
  }

  // MARK: one move

  /// A move that was made, with what its backward pass needs.
  enum Record {
    case transition(Transition)
    case step(any ResidualStep, StepTrace)

    /// h after the move.
    var output: Stream {
      switch self {
      case .transition(let transition): Stream(transition.output)
      case .step(_, let trace): trace.output
      }
    }
  }

  /// h after `move`, by running statistics.
  func apply(_ move: Plan.Move, to h: Tensor) throws -> Tensor {
    try record(move, on: Stream(h), mode: .running, wants: []).output.h
  }

  func record(_ move: Plan.Move, on stream: Stream, mode: NormMode, wants: Wanted) throws -> Record {
    switch move {
    case .pool(let stage):
      guard architecture.pools(into: stage) else { throw PlanError.noPooling(architecture, stage) }
      return .transition(try Transition(stream.h, into: architecture.stages[stage]))
    case .step(let step):
      let built = try built(step)
      return .step(built.step, try built.step.forward(stream, step, mode, wants: wants))
    }
  }
}
