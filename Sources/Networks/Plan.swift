import ResLensSupport
import ResLensResults

/// How a network's blocks are run: a list of moves over h, from the stem's output to the head's input.
///
/// The network's own forward pass is one plan; everything that is done to a trained network (leaving a step out,
/// exchanging two, repeating one, stopping early, scaling what a step adds) is another plan over the same blocks.
public struct Plan: Codable, Hashable, Sendable {
  /// One change of h.
  public enum Move: Codable, Hashable, Sendable {
    /// The pooling through which h enters a stage.
    case pool(stage: Int)
    /// A residual step.
    case step(Step)

    /// The move with what the step adds left out; a pooling stays as it is.
    public var withoutAdded: Move {
      guard case .step(var step) = self else { return self }
      step.scale = 0
      return .step(step)
    }
  }

  /// h ← s(h) + scale·F(h) with the s and F of a block. With scale 0, F is not computed.
  public struct Step: Codable, Hashable, Sendable {
    /// The stage of the block, from 0.
    public var stage: Int
    /// The block's place in its stage, from 0.
    public var block: Int
    /// The index, from 0, of this step among those that share the block. It selects the step's own normalisations; 0
    /// where the block is not shared.
    public var use: Int
    /// The running statistics that the normalisations use: 0 for the trained ones, another number for statistics that
    /// `ResidualNetwork.recalibrated(for:batches:images:)` computed.
    public var statistics: Int
    /// The factor of F; finite.
    public var scale: Double

    public init(stage: Int, block: Int, use: Int = 0, statistics: Int = 0, scale: Double = 1) {
      self.stage = stage
      self.block = block
      self.use = use
      self.statistics = statistics
      self.scale = scale
    }

    /// The path of the step, whether or not a network has such a one.
    var path: String { StepID.path(stage: stage, block: block, use: use) }
  }

  /// In the order in which they are made.
  public var moves: [Move]
  /// The running statistics that the readout's normalisation uses; numbered as those of a step are.
  public var readoutStatistics = 0

  public init(moves: [Move]) { self.moves = moves }

  /// The network's own plan: every step once, in order, and the poolings at the entries of stages.
  public init(of architecture: Architecture) {
    let steps = architecture.steps
    moves = architecture.stages.enumerated().flatMap { index, stage -> [Move] in
      let own = steps.filter { $0.stage == index }.map {
        Move.step(Step(stage: index, block: $0.block, use: $0.use))
      }
      return (stage.entry.isPooling ? [.pool(stage: index)] : []) + own
    }
  }

  /// The places in `moves` of the steps, so that `moves[stepPlaces[t − 1]]` is step t.
  public var stepPlaces: [Int] {
    moves.indices.filter { if case .step = moves[$0] { true } else { false } }
  }
}

/// Plans out of plans. Steps are numbered from 1. All of these throw `ArgumentError` for a step that the plan does
/// not have.
extension Plan {
  /// The index in `moves` of step `number`.
  private func place(ofStep number: Int) throws(ArgumentError) -> Int {
    let places = stepPlaces
    guard number >= 1, number <= places.count else {
      throw ArgumentError("step", "the plan has the steps 1 to \(places.count), and no step \(number)")
    }
    return places[number - 1]
  }

  /// The plan with step `number` adding `scale` times what it does now.
  public func scaling(step number: Int, by scale: Double) throws(ArgumentError) -> Plan {
    var plan = self
    let place = try place(ofStep: number)
    if case .step(var step) = moves[place] {
      step.scale *= scale
      plan.moves[place] = .step(step)
    }
    return plan
  }

  /// The plan without what step `number` adds: F is left out and s stays.
  public func dropping(step number: Int) throws(ArgumentError) -> Plan { try scaling(step: number, by: 0) }

  /// The plan without what any of these steps adds.
  public func dropping(steps numbers: some Sequence<Int>) throws(ArgumentError) -> Plan {
    var plan = self
    for number in numbers { plan = try plan.dropping(step: number) }
    return plan
  }

  /// The plan in which every step behind step `number`, and the readout, use the running statistics of number `statistics`.
  public func recalibrating(behind number: Int, as statistics: Int) throws(ArgumentError) -> Plan {
    recalibrating(from: try place(ofStep: number) + 1, as: statistics)
  }

  /// The plan in which every step that reads another state than in `own`, and the readout, use the running statistics of number
  /// `statistics`; the plan itself where the two are equal.
  public func recalibrating(whereUnlike own: Plan, as statistics: Int) -> Plan {
    let equal = zip(moves, own.moves).prefix { $0 == $1 }.count
    guard equal < max(moves.count, own.moves.count) else { return self }
    // A step whose F alone has another factor reads what it read before; one that stands elsewhere does not.
    let isScaled =
      moves.indices.contains(equal) && own.moves.indices.contains(equal)
      && moves[equal].withoutAdded == own.moves[equal].withoutAdded
    return recalibrating(from: equal + (isScaled ? 1 : 0), as: statistics)
  }

  /// The plan in which every step from a move on, and the readout, use the running statistics of number `statistics`.
  private func recalibrating(from first: Int, as statistics: Int) -> Plan {
    var plan = self
    for index in moves.indices[first...] {
      guard case .step(var step) = moves[index] else { continue }
      step.statistics = statistics
      plan.moves[index] = .step(step)
    }
    plan.readoutStatistics = statistics
    return plan
  }

  /// The plan with two steps in each other's place; poolings stay where they are.
  public func exchanging(step first: Int, with second: Int) throws(ArgumentError) -> Plan {
    var plan = self
    plan.moves.swapAt(try place(ofStep: first), try place(ofStep: second))
    return plan
  }

  /// The plan with step `number` applied `times` more times right after itself, each adding `scale` times what it does.
  /// - Parameters:
  ///   - times: 0 … 100,000
  ///   - firstStatistics: the number of the first added step's own running statistics, from which the other added
  ///     steps count up; nil where they use the repeated step's
  public func unrolling(
    step number: Int, times: Int, scale: Double, firstStatistics: Int? = nil
  ) throws(ArgumentError) -> Plan {
    try ArgumentError.check("times", times, in: 0...100_000)
    var plan = self
    let place = try place(ofStep: number)
    guard case .step(let step) = moves[place] else { return plan }
    let added = (0..<times).map { index in
      var repeated = step
      repeated.scale *= scale
      if let firstStatistics { repeated.statistics = firstStatistics + index }
      return Move.step(repeated)
    }
    plan.moves.insert(contentsOf: added, at: place + 1)
    return plan
  }
}

/// The reason why a network cannot run a plan, and the move at which it fails.
public struct PlanError: Error, CustomStringConvertible, Equatable {
  /// The index of the move in the plan; nil if the error is of a move by itself.
  public var move: Int?
  /// Why it cannot be made.
  public var problem: String

  public init(move: Int? = nil, problem: String) {
    self.move = move
    self.problem = problem
  }

  /// The error of a move by itself.
  init(_ problem: String) { self.init(problem: problem) }

  public var description: String { move.map { "move \($0) of the plan: \(problem)" } ?? problem }
}

extension Plan {
  /// - Throws: `PlanError` at the first move that the architecture does not have or whose input has another shape than
  ///   it takes, or after the last one where the head would not take what is left.
  public func validate(for architecture: Architecture) throws(PlanError) {
    let specs = architecture.steps.byPlace
    var shape = architecture.h0
    for (index, move) in moves.enumerated() {
      switch move {
      case .pool(let stage):
        guard architecture.pools(into: stage) else { throw .noPooling(architecture, stage, move: index) }
        shape = [shape[0], shape[1] / 2, shape[2] / 2]
      case .step(let step):
        guard let spec = specs[step.place] else { throw .noStep(architecture, step, move: index) }
        guard spec.input == shape else {
          throw PlanError(
            move: index, problem: "\(step.path) takes \(shapeText(spec.input)), h is \(shapeText(shape)) there")
        }
        guard step.scale.isFinite else {
          throw PlanError(move: index, problem: "a scale of \(step.scale) is not a finite number")
        }
        shape = spec.output
      }
    }
    guard shape == architecture.features else {
      throw PlanError(
        move: moves.count,
        problem: "the head takes \(shapeText(architecture.features)), h ends as \(shapeText(shape))")
    }
  }
}

extension PlanError {
  static func noPooling(_ architecture: Architecture, _ stage: Int, move: Int? = nil) -> PlanError {
    PlanError(move: move, problem: "\(architecture.name) enters stage \(stage) through no pooling")
  }

  static func noStep(_ architecture: Architecture, _ step: Plan.Step, move: Int? = nil) -> PlanError {
    PlanError(move: move, problem: "\(architecture.name) has no block \(step.path)")
  }
}

/// The stage, block and use by which plans name a step.
struct StepPlace: Hashable {
  let stage: Int
  let block: Int
  let use: Int
}

extension Plan.Step {
  var place: StepPlace { StepPlace(stage: stage, block: block, use: use) }
}

extension [StepSpec] {
  var byPlace: [StepPlace: StepSpec] {
    Dictionary(uniqueKeysWithValues: map { (StepPlace(stage: $0.stage, block: $0.block, use: $0.use), $0) })
  }
}
