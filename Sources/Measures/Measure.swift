import ResLensNetworks
import ResLensResults
import ResLensTorch

/// A quantity that is computed at each step and folded over samples into tables.
///
/// A measure is written as if one process ran everything. `rows(of:)` turns the tensors of a step into numbers, one for each
/// sample; it is called by the process that runs the batch. `add(_:of:_:)` folds these rows; it is called in every process
/// for every batch, in order, so that all processes come to the same tables. All measures of a call share one forward and
/// one backward pass. A measure that asks what the network would say by another plan names its `plans`; one that needs
/// every step of another plan names its `trajectories`.
///
/// The steps of a batch come from the last to the first: first the rows of all steps, then the additions.
public protocol Measure: AnyObject, SendableMetatype {
  /// The measure as people read it.
  static var description: MeasureDescription { get }

  /// The measure of one split; nil where this network or split has none.
  /// - Throws: `MeasureError` for an option that is not possible.
  init?(_ context: MeasureContext) throws(MeasureError)

  /// The values that cannot exist in a network of this architecture, and why.
  static func absences(in context: MeasureContext) -> [MeasureResults.Absence]

  /// The settings that the numbers depend on. Results with different settings do not stand in one table.
  static func parameters(in context: MeasureContext) -> [String: Cell]

  /// The forward passes that the measure needs for each sample besides the common pass.
  static func forwardPasses(in context: MeasureContext) -> Double

  /// True if `rows(of:)` multiplies with Jacobians. The tensors that this needs are kept for each step until the step has
  /// been shown.
  static var readsJacobians: Bool { get }

  /// Numbers about one step of a batch: vectors of one number a sample; nil where the step has none.
  func rows(of step: StepView) throws -> [[Double]]?

  /// Folds what `rows(of:)` gave for the step.
  func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch)

  /// Plans to be run on every batch besides the network's own.
  func plans(for network: ResidualNetwork) throws -> [Plan]

  /// The number of samples that the plans are run on, the first ones; nil for all.
  var plannedSamples: Int? { get }

  /// Folds the network's predictions after `plans(for:)[plan]` for one batch.
  func add(_ predictions: LabelledPredictions, ofPlan plan: Int)

  /// Other ways through the network of which every step is to be seen, after the network's own steps.
  func trajectories(for network: ResidualNetwork) throws -> [Trajectory]

  /// Numbers about one step of `trajectories(for:)[trajectory]`.
  func rows(of step: StepView, onTrajectory trajectory: Int) throws -> [[Double]]?

  /// Folds what `rows(of:onTrajectory:)` gave for the step.
  func add(_ rows: [[Double]], of step: PlanStep, onTrajectory trajectory: Int, _ batch: LabelledBatch)

  /// The results, without the keys `split` and `samples` and without the parameters.
  func tables() throws -> [Table]
}

extension Measure {
  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] { [] }
  public static func parameters(in context: MeasureContext) -> [String: Cell] { [:] }
  public static func forwardPasses(in context: MeasureContext) -> Double { 0 }
  public static var readsJacobians: Bool { false }
  public func rows(of step: StepView) throws -> [[Double]]? { nil }
  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {}
  public func plans(for network: ResidualNetwork) throws -> [Plan] { [] }
  public var plannedSamples: Int? { nil }
  public func add(_ predictions: LabelledPredictions, ofPlan plan: Int) {}
  public func trajectories(for network: ResidualNetwork) throws -> [Trajectory] { [] }
  public func rows(of step: StepView, onTrajectory trajectory: Int) throws -> [[Double]]? { nil }
  public func add(_ rows: [[Double]], of step: PlanStep, onTrajectory trajectory: Int, _ batch: LabelledBatch) {}
}

/// The network, the split and the options for which a measure is made.
public struct MeasureContext {
  /// The network's architecture.
  public var architecture: Architecture
  /// The measures that are taken, and how.
  public var options: MeasureOptions
  /// The samples that are measured.
  public var split: Split
  /// The number of samples.
  public var samples: Int
  /// The ways of repeating a step that were prepared for this network; nil where none were.
  var unrolling: PreparedUnrolling?
  /// Receives every borderline example; nil where nobody asks for them.
  var listBorderline: ((BorderlineExample) -> Void)?

  public init(_ architecture: Architecture, _ options: MeasureOptions, split: Split = .validation, samples: Int = 1) {
    (self.architecture, self.options, self.split, self.samples) = (architecture, options, split, samples)
  }

  /// Takes statistics and chooses the scale for the repetition of a step, as the options say.
  /// - Throws: `MeasureError` for a step that cannot be repeated.
  public mutating func prepareUnrolling(of network: ResidualNetwork, train: Samples) throws {
    guard let step = options.repeatedStep(in: architecture) else { return }
    unrolling = try PreparedUnrolling(network, step: step, options, train: train, by: nil) { _ in }
  }

  /// The steps of the network.
  public var steps: [StepSpec] { architecture.steps }

  /// The reason why the lens cannot read the states of a place; nil where it can.
  private func obstacle(to place: StatePlace) -> String? {
    guard let kind = options.lens else { return ReadoutLens.obstacle(to: place, in: architecture) }
    return TrainedLens.obstacle(to: place, of: kind, in: architecture)
  }

  /// The steps whose h_{t−1} and whose later states the lens can read, by their numbers; those with an identity skip.
  var readableSteps: [Int] {
    let behind = steps.lastIndex { obstacle(to: StatePlace(after: $0)) != nil }.map { $0 + 1 } ?? 0
    return steps[behind...].filter {
      $0.hasIdentitySkip && obstacle(to: StatePlace(before: $0, of: architecture)) == nil
    }.map(\.id.number)
  }

  /// The absences of a view of a measure at the steps that fulfil a condition.
  /// - Parameter view: the view's name; nil for the whole measure
  func absences(
    of measure: String, view: String? = nil, because reason: String, where isAbsent: (StepSpec) -> Bool
  ) -> [MeasureResults.Absence] {
    steps.filter(isAbsent).map { step in
      .init(measure: measure, view: view, steps: step.id.number...step.id.number, reason: reason)
    }
  }

  /// The absences of a measure that compares a step's states, at the steps whose states differ in shape.
  func incomparable(_ measure: String, view: String? = nil) -> [MeasureResults.Absence] {
    absences(of: measure, view: view, because: "the states before and after a projection differ in shape") {
      !$0.hasIdentitySkip
    }
  }

  /// The absences of a view of a measure at the steps that the lens cannot read.
  /// - Parameters:
  ///   - view: the view's name; nil for the whole measure
  ///   - readsBefore: true if the measure reads the state that F is added to as well as h_t
  public func unreadable(
    _ measure: String, view: String? = nil, readsBefore: Bool = false
  ) -> [MeasureResults.Absence] {
    var absences: [MeasureResults.Absence] = []
    for step in steps {
      let before = readsBefore ? obstacle(to: StatePlace(before: step, of: architecture)) : nil
      guard let reason = obstacle(to: StatePlace(after: step)) ?? before else { continue }
      let number = step.id.number
      let start = absences.last.flatMap { $0.reason == reason && $0.steps?[1] == number - 1 ? $0.steps?[0] : nil }
      if start != nil { absences.removeLast() }
      absences.append(.init(measure: measure, view: view, steps: (start ?? number)...number, reason: reason))
    }
    return absences
  }
}

/// A plan that begins as the network's own does, and of which the steps from one on are to be seen.
public struct Trajectory {
  /// The plan that is run.
  public var plan: Plan
  /// The first step that is seen, from 1. Until then `plan` is the network's own, so that its state is known already.
  public var first: Int

  public init(_ plan: Plan, from first: Int) {
    self.plan = plan
    self.first = first
  }

  /// - Throws: `PlanError` where the network cannot run it, or where it leaves the network's own plan before `first`.
  func check(on network: ResidualNetwork) throws(PlanError) {
    try network.check(plan)
    let (own, places) = (network.plan, plan.stepPlaces)
    guard places.indices.contains(first - 1), own.stepPlaces.indices.contains(first - 1) else {
      throw PlanError(move: plan.moves.count, problem: "there is no step \(first) to see it from")
    }
    let shared = places[first - 1]
    let same = zip(plan.moves, own.moves).prefix(shared).count { $0 == $1 }
    guard same == shared else {
      throw PlanError(move: same, problem: "it leaves the network's own plan before step \(first)")
    }
    guard plan.readoutStatistics == 0 else {
      throw PlanError(move: plan.moves.count, problem: "a trajectory's readout has the trained statistics alone")
    }
  }
}
