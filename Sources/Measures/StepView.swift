import ResLensNetworks
import ResLensResults
import ResLensTasks
import ResLensTorch

/// One step of one batch, as the process that runs the batch sees it on the way back. What several measures need is
/// computed once, when it is first asked for.
public final class StepView {
  /// The network's step.
  public let spec: StepSpec
  /// The step's number in the plan that is run, from 1.
  public let number: Int
  /// The factor that makes each sample's gradient that of its loss; for image classification 1 − p_y, y being the sample's
  /// class. 1 where samples are not independent.
  ///
  /// The gradients of the step are ∂u_n/∂h of each sample n, u being the log-odds against its class, so that ∂L_n/∂h is
  /// that times the error probability: the direction is the same, and stays exact for samples of which the network is sure
  /// (`LogOdds`). By a batch's own statistics a sample's state moves the losses of all samples: there the gradients are
  /// ∂ΣL_m/∂h itself, over the samples m of the batch.
  public let errorProbabilities: [Double]
  /// The predictions at the end of the pass, by the network's own readout, whatever the lens is.
  public let endPredictions: Predictions
  /// The outputs at the end of the pass, N×K, by the network's own readout.
  public let endOutputs: Tensor
  /// The state that F is added to, through the lens: h_{t−1}, or what a projection makes of it; nil where the lens cannot
  /// read it.
  public let before: LensState?
  /// h_t through the lens; nil where the lens cannot read it.
  public let after: LensState?
  /// The step that follows in the same pass, on the same shape of h; nil at the end of a stage.
  public internal(set) var next: StepView?

  /// The number of samples before this batch.
  public let earlier: Int

  /// True for the last step of the pass, which is shown first.
  public let isLast: Bool

  private let visited: Pass.VisitedStep
  private let withoutAdded: (_ visit: (Tensor) throws -> Void) throws -> Tensor
  private var knownProducts: SampleProducts?
  private var knownInputProducts: SampleProducts?
  private var knownInputSquares: [Double]?
  private var knownLensProducts: SampleProducts?
  /// ‖h_t‖² of each sample from the next step, where that takes the same tensor.
  var following: (() throws -> [Double])?

  init(
    _ visited: Pass.VisitedStep, number: Int, earlier: Int, end: OutputGradient, outputs: Tensor, before: LensState?,
    after: LensState?, next: StepView?, isLast: Bool, following: (() throws -> [Double])?,
    withoutAdded: @escaping (_ visit: (Tensor) throws -> Void) throws -> Tensor
  ) {
    self.visited = visited
    spec = visited.spec
    (self.number, self.earlier) = (number, earlier)
    errorProbabilities = end.factors
    endPredictions = end.predictions
    endOutputs = outputs
    self.before = before
    self.after = after
    self.next = next
    self.isLast = isLast
    self.following = following
    self.withoutAdded = withoutAdded
  }

  // MARK: tensors

  /// h_{t−1}, N×C×H×W.
  public var input: Tensor { visited.input }
  /// The skip's output: h_{t−1} itself, or a projection of it.
  public var skip: Tensor { visited.skip }
  /// F: the branch of h_{t−1} times the plan's scale, or h_t − skip where a ReLU follows the sum.
  public var added: Tensor { visited.added }
  /// The state h_t, N×C×H×W.
  public var output: Tensor { visited.output }
  /// The gradient with respect to `skip`.
  public var gradient: Tensor { visited.gradient }
  /// The gradient with respect to `input`.
  public var inputGradient: Tensor { visited.inputGradient }

  /// vᵀ·∂h_t/∂h_{t−1} of each sample, N×C×H×W; for measures with `readsJacobians`, by running statistics.
  /// - Parameter vector: v, of the shape of h_t; it is not written
  public func timesJacobian(_ vector: Tensor) throws -> Tensor { try visited.timesJacobian(vector) }

  /// Runs the rest of the pass without this step's F, by running statistics.
  /// - Parameter visit: receives F of each later step, in order
  /// - Returns: the outputs at the end, N×K
  public func outputsWithoutAdded(visit: (Tensor) throws -> Void) throws -> Tensor { try withoutAdded(visit) }

  // MARK: numbers for each sample

  /// The products of F (`squares`) and the gradient with respect to the skip (`otherSquares`).
  public func products() throws -> SampleProducts {
    if let knownProducts { return knownProducts }
    let products = try visited.addedTimesGradient()
    knownProducts = products
    return products
  }

  /// The products of h_{t−1} (`squares`) and F (`otherSquares`); nil at a projection, where the two differ in shape.
  public func inputProducts() throws -> SampleProducts? {
    guard spec.hasIdentitySkip else { return nil }
    if let knownInputProducts { return knownInputProducts }
    let products = try visited.input.sampleProducts(visited.added)
    knownInputProducts = products
    return products
  }

  /// The products of F (`squares`) and the lens's gradient at `before` (`otherSquares`); nil where the lens cannot read
  /// that state.
  public func lensProducts() throws -> SampleProducts? {
    guard let before else { return nil }
    if let knownLensProducts { return knownLensProducts }
    let products = try visited.added.sampleProducts(before.gradient())
    knownLensProducts = products
    return products
  }

  /// ‖h_{t−1}‖² of each sample.
  public func inputSquares() throws -> [Double] {
    if let knownInputSquares { return knownInputSquares }
    let squares = try visited.inputSquares()
    knownInputSquares = squares
    return squares
  }

  /// ‖h_t‖² of each sample.
  public func outputSquares() throws -> [Double] {
    try following?() ?? visited.outputSquares()
  }

  /// ‖∂u_n/∂h_{t−1}‖² of each sample, at a projection too. Times the square of the error probability it is that of
  /// ∂L_n/∂h_{t−1}.
  public func inputGradientSquares() throws -> [Double] {
    // Other measures need these products anyway.
    spec.hasIdentitySkip ? try products().otherSquares : try visited.inputGradient.sampleSquares()
  }
}

/// A state as a lens reads it, computed when it is first asked for.
public final class LensState {
  private let read: () throws -> any LensReading
  private let known: (outputs: Tensor, predictions: Predictions)?
  private var reading: (any LensReading)?

  /// - Parameters:
  ///   - known: the outputs and predictions, where they are known already
  ///   - read: reads the state; called at most once
  init(known: (outputs: Tensor, predictions: Predictions)? = nil, _ read: @escaping () throws -> any LensReading) {
    (self.known, self.read) = (known, read)
  }

  private func once() throws -> any LensReading {
    if let reading { return reading }
    let reading = try read()
    self.reading = reading
    return reading
  }

  /// The loss, entropy, margin and predicted class of each sample.
  public func predictions() throws -> Predictions { try known?.predictions ?? once().predictions }

  /// The outputs that the predictions are made of, N×K.
  public func outputs() throws -> Tensor { try known?.outputs ?? once().outputs }

  /// 1 − p_y of each sample, y being its class.
  public func errorProbabilities() throws -> [Double] { try once().errorProbabilities }

  /// ∂u_n/∂h_n of each sample n, as if the network ended here; ∂L_n/∂h_n is that times the error probability.
  public func gradient() throws -> Tensor { try once().gradient() }
}

/// A step of a plan that was run.
public struct PlanStep: Hashable, Sendable {
  /// The network's step.
  public let spec: StepSpec
  /// Its number in the plan, from 1.
  public let number: Int
}
