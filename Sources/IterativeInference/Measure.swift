import ResidualNetworks
import Results
import Torch

/// A question put to every batch: it folds what it sees into a few numbers and lets the activations go.
///
/// All measures of a call ride on the same forward and backward pass (`measure(_:on:_:mode:progress:)`). One that looks at
/// the steps of the network's own pass implements `observe(_:)`; one that asks what the network would say if its blocks
/// ran in other ways names its `plans`; one that wants to see every step of another way names its `trajectories`.
public protocol Measure: AnyObject {
  /// One step of one batch; from the last step to the first.
  func observe(_ step: StepReading) throws

  /// Plans to be run on every batch besides the network's own.
  func plans(for network: ResidualNetwork) throws -> [Plan]

  /// How many samples the plans are run on, the first ones; nil for all.
  var plannedSamples: Int? { get }

  /// Receives the head's predictions after `plans(for:)[plan]` for one batch.
  func observe(plan: Int, _ reading: LabelledReading)

  /// Other ways through the network of which every step is to be seen, after the network's own steps.
  func trajectories(for network: ResidualNetwork) throws -> [Trajectory]

  /// One step of `trajectories(for:)[trajectory]` for one batch; from the last step to the first.
  func observe(trajectory: Int, _ step: StepReading) throws
}

extension Measure {
  public func observe(_ step: StepReading) throws {}
  public func plans(for network: ResidualNetwork) -> [Plan] { [] }
  public var plannedSamples: Int? { nil }
  public func observe(plan: Int, _ reading: LabelledReading) {}
  public func trajectories(for network: ResidualNetwork) -> [Trajectory] { [] }
  public func observe(trajectory: Int, _ step: StepReading) throws {}
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
  }
}

/// One step of one batch, as a measure sees it. What several measures need is computed once, when it is first asked
/// for.
public final class StepReading {
  /// Which of the network's steps it is.
  public let layout: StepLayout
  /// The step's number in the plan that is run, from 1.
  public let number: Int
  /// 1 − p_y of each sample, by the head after the last step; 1 by the batch's own statistics.
  public let doubts: [Double]
  /// The state that F is added to (h_{t−1}, or the projection's output) under the plugged head; nil before the last
  /// stage, whose shape alone the head can read.
  public let before: ReadableState?
  /// h_t under the plugged head; nil before the last stage.
  public let after: ReadableState?

  private let visited: Pass.VisitedStep?
  private let numbers: Numbers
  private let inputState: NormedState
  private let outputState: NormedState
  private var knownProducts: SampleProducts?
  private var knownPluggedProducts: SampleProducts?

  /// Numbers of the caller's own, found by looking at the step's tensors; a vector of one a sample, or several.
  ///
  /// The gradients that `find` sees are ∂u_n/∂h of each sample n, u being the log-odds against the true class, so that
  /// ∂L_n/∂h is that times `doubts[n]`: the direction is the same, and stays exact for samples of which the network is
  /// sure (`LogOdds`). By the batch's own statistics (`MeasureMode.training`) a sample's state moves the losses of all:
  /// there they are ∂ΣL_m/∂h itself, over the samples m of the batch, and the doubts are 1.
  /// - Parameter find: called once by the process that runs the batch; others that share the work are told what it returned
  public func numbers(_ find: (Pass.VisitedStep) throws -> [[Double]]) throws -> [[Double]] {
    try numbers.ask { try find(tensors()) }
  }

  /// - Throws: `PassError` where another process ran the batch.
  private func tensors() throws -> Pass.VisitedStep {
    guard let visited else { throw PassError.goneBack }
    return visited
  }

  /// For each sample ‖h_{t−1}‖²
  public func inputSquares() throws -> [Double] { try inputState.squares() }

  /// For each sample ‖h_t‖²
  public func outputSquares() throws -> [Double] { try outputState.squares() }

  /// For each sample ‖∂u_n/∂h_{t−1}‖², at a projection too; that of ∂L/∂h_{t−1} is `doubts[n]²` times as large.
  public func inputGradientSquares() throws -> [Double] {
    // Other measures need these products anyway.
    guard layout.name.projection else { return try products().otherSquares }
    return try numbers { [try $0.inputGradient.sampleSquares()] }[0]
  }

  /// The products of F (`squares`) and the gradient (`otherSquares`): ∂u_n/∂h_{t−1}, or at a projection the gradient
  /// with respect to the projection's output.
  public func products() throws -> SampleProducts {
    if let knownProducts { return knownProducts }
    let products: SampleProducts = try numbers.ask {
      let visited = try tensors()
      return try visited.products ?? visited.residual.sampleProducts(visited.gradient)
    }
    knownProducts = products
    return products
  }

  /// The products of F (`squares`) and the plugged head's gradient at `before` (`otherSquares`); nil before the last
  /// stage.
  public func pluggedProducts() throws -> SampleProducts? {
    guard let before else { return nil }
    if let knownPluggedProducts { return knownPluggedProducts }
    let products: SampleProducts = try numbers.ask { try tensors().residual.sampleProducts(before.gradient()) }
    knownPluggedProducts = products
    return products
  }

  /// The products of a later step's F (`squares`) and this step's F (`otherSquares`), which have the same shape.
  func products(withResidualOf later: StepReading) throws -> SampleProducts {
    try numbers.ask { try later.tensors().residual.sampleProducts(tensors().residual) }
  }

  /// - Parameter visited: nil where another process ran the batch
  init(
    _ layout: StepLayout, number: Int, _ visited: Pass.VisitedStep?, _ numbers: Numbers, doubts: [Double],
    before: ReadableState?, after: ReadableState?, inputState: NormedState, outputState: NormedState
  ) {
    (self.layout, self.number, self.visited, self.numbers) = (layout, number, visited, numbers)
    (self.inputState, self.outputState) = (inputState, outputState)
    (self.doubts, self.before, self.after) = (doubts, before, after)
  }
}

/// A state whose size is computed when it is first asked for: by the step that makes it or the one that takes it.
final class NormedState {
  private let find: () throws -> [Double]
  private let numbers: Numbers
  private var known: [Double]?

  /// - Parameter find: for each sample ‖h‖²
  init(_ numbers: Numbers, find: @escaping () throws -> [Double]) { (self.numbers, self.find) = (numbers, find) }

  /// For each sample ‖h‖²
  func squares() throws -> [Double] {
    if let known { return known }
    let squares: [Double] = try numbers.ask(find)
    known = squares
    return squares
  }
}

/// A state of the last stage's shape: what the head says there, computed when it is first asked for.
public final class ReadableState {
  private let plug: () throws -> PluggedHead
  private let said: CrossEntropy?
  private let batch: LabelledBatch
  private let numbers: Numbers
  private var plugged: PluggedHead?
  private var known: LabelledReading?
  private var knownDoubts: [Double]?

  /// - Parameters:
  ///   - h: called where the head must be plugged in
  ///   - said: what the head is known to say there
  init(
    _ network: ResidualNetwork, _ batch: LabelledBatch, _ numbers: Numbers, said: CrossEntropy? = nil,
    h: @escaping () throws -> Tensor
  ) {
    plug = { try PluggedHead(network, on: h(), labels: batch.labels) }
    (self.batch, self.numbers, self.said) = (batch, numbers, said)
  }

  /// The head's predictions.
  public func reading() throws -> LabelledReading {
    if let known { return known }
    let reading = batch.labelled(try numbers.ask { try said ?? head().reading })
    known = reading
    return reading
  }

  /// ∂u_n/∂h_n of each sample n, as if the network ended here; ∂L_n/∂h_n is that times `doubts()[n]`.
  func gradient() throws -> Tensor { try head().gradient() }

  /// 1 − p_y of each sample.
  public func doubts() throws -> [Double] {
    if let knownDoubts { return knownDoubts }
    let doubts: [Double] = try numbers.ask { try head().odds.doubts }
    knownDoubts = doubts
    return doubts
  }

  private func head() throws -> PluggedHead {
    if let plugged { return plugged }
    let head = try plug()
    plugged = head
    return head
  }
}
