import ResLensResults
import ResLensTorch

/// One forward pass through a network, with what its backward pass needs: for training, and for measures of every step.
public final class Pass {
  /// The network that was run.
  public let network: ResidualNetwork
  /// The last h, which the head reads.
  public let features: Tensor
  /// N×classes
  public let logits: Tensor
  /// The input of the first move: h_0, the stem's output, unless the pass began later.
  public let h0: Tensor
  /// nil where the pass began behind the stem.
  private let stemTape: ConvolutionStem.Tape?
  private let keepsTape: Bool
  private var records: [ResidualNetwork.Record]
  private var readoutTape: ClassifierReadout.Tape?

  /// A step as the backward pass visits it. None of these tensors is ever written again.
  public struct VisitedStep {
    /// The step of the network.
    public let spec: StepSpec
    /// Its number among the steps of the pass, from 1.
    public let number: Int
    /// h_{t−1}, after the pooling if the step's stage begins with one.
    public let input: Tensor
    /// s(h_{t−1}): h_{t−1} itself, or the projection's output.
    public let skip: Tensor
    /// F_t(h_{t−1}), times the scale that the plan gives it; h_t − s(h_{t−1}) where a ReLU follows the sum.
    public let added: Tensor
    /// h_t
    public let output: Tensor
    /// ∂L/∂h_{t−1}, or, at a projection, ∂L with respect to the projection's output.
    public let gradient: Tensor
    /// ∂L/∂h_{t−1}, at a projection too.
    public let inputGradient: Tensor
    /// The step's backward pass for any gradient at h_t; nil where the pass was run without `.keptTape`.
    fileprivate let again: ((Tensor) throws -> Tensor)?
    // Sums that the kernels of this step, or of the one before, found on the way.
    fileprivate let knownProducts: SampleProducts?
    fileprivate let knownInputSquares: [Double]?
    fileprivate let knownOutputSquares: [Double]?

    /// The products of `added` (its squares are `squares`) and `gradient` (`otherSquares`).
    public func addedTimesGradient() throws -> SampleProducts {
      try knownProducts ?? added.sampleProducts(gradient)
    }

    /// vᵀ·∂h_t/∂h_{t−1} of each sample, N×C×H×W, for v of the shape of h_t.
    /// - Throws: `PassError.notKept` where the pass was run without `.keptTape`.
    public func timesJacobian(_ vector: Tensor) throws -> Tensor {
      guard let again else { throw PassError.notKept }
      // A backward pass may write over the gradient that it gets.
      return try again(vector.scaled(by: 1))
    }

    /// ‖h_{t−1}‖² of each sample.
    public func inputSquares() throws -> [Double] { try knownInputSquares ?? input.sampleSquares() }

    /// ‖h_t‖² of each sample.
    public func outputSquares() throws -> [Double] { try knownOutputSquares ?? output.sampleSquares() }
  }

  /// Runs the network forward.
  /// - Parameters:
  ///   - images: N×C×H×W
  ///   - mode: how the normalisations run
  ///   - wants: `.added` if `backward`'s visitor will look at F; without it F's memory is reused. `.keptTape` if it will
  ///     multiply with Jacobians
  public convenience init(
    _ network: ResidualNetwork, images: Tensor, mode: NormMode, wants: Wanted = []
  ) throws {
    let (h0, tape) = try network.begin(images, mode: mode)
    try self.init(network, network.plan.moves, from: h0, tape, mode: mode, wants: wants)
  }

  /// Runs the given moves and the head on a state that is known already, by running statistics, keeping every F.
  /// - Parameter h: the input of the first move
  /// - Throws: `PlanError` if the network cannot make a move.
  public convenience init(_ network: ResidualNetwork, moves: some Sequence<Plan.Move>, from h: Tensor) throws {
    try self.init(network, moves, from: h, nil, mode: .running, wants: .added)
  }

  private init(
    _ network: ResidualNetwork, _ moves: some Sequence<Plan.Move>, from h0: Tensor, _ stemTape: ConvolutionStem.Tape?,
    mode: NormMode, wants: Wanted
  ) throws {
    self.network = network
    self.stemTape = stemTape
    self.h0 = h0
    keepsTape = wants.contains(.keptTape)
    var stream = Stream(h0)
    var records: [ResidualNetwork.Record] = []
    for move in moves {
      let record = try network.record(move, on: stream, mode: mode, wants: wants.union(.backward))
      records.append(record)
      stream = record.output
    }
    features = stream.h
    (logits, readoutTape) = try network.readout.forward(stream, mode: mode)
    self.records = records
  }

  /// Goes back through the network once, letting go of each activation as it is passed.
  /// - Parameters:
  ///   - gradient: ∂L/∂logits, N×classes
  ///   - gradients: receives the parameters' gradients; nil if they are not wanted
  ///   - visit: called for every step that adds something, from the last to the first, if F was kept
  /// - Throws: `PassError.goneBack` the second time.
  public func backward(
    _ gradient: Tensor, into gradients: Gradients?, visit: (VisitedStep) throws -> Void = { _ in }
  ) throws {
    guard let tape = readoutTape else { throw PassError.goneBack }
    readoutTape = nil
    var gradient = ResidualUnit.PendingGradient(try network.readout.backward(gradient, tape, gradients))
    var number = records.count { if case .step = $0 { true } else { false } }
    while let record = records.popLast() {
      let (step, trace): (any ResidualStep, StepTrace)
      switch record {
      case .transition(let transition):
        gradient = .init(try transition.backward(gradient.resolved()))
        continue
      case .step(let ran, let itsTrace): (step, trace) = (ran, itsTrace)
      }
      defer { number -= 1 }
      if trace.added == nil, let step = step as? any PendingStep {
        gradient = try step.backward(pending: gradient, trace, into: gradients)
        continue
      }
      let found = try step.backward(gradient.resolved(), trace, into: gradients)
      gradient = .init(found.input)
      guard let added = trace.added else { continue }
      let products = found.products.flatMap { products in
        trace.known.map { SampleProducts(dot: products.dot, squares: $0.added, otherSquares: products.squares) }
      }
      try visit(
        VisitedStep(
          spec: step.spec, number: number, input: trace.input, skip: trace.skip, added: added, output: trace.output.h,
          gradient: found.skip ?? found.input, inputGradient: found.input,
          again: keepsTape ? { try step.backward($0, trace, into: nil).input } : nil, knownProducts: products,
          knownInputSquares: records.last?.knownOutputSquares, knownOutputSquares: trace.known?.output))
    }
    if let gradients, let stemTape { try network.stem.backward(gradient.resolved(), stemTape, gradients) }
  }
}

extension ResidualNetwork.Record {
  fileprivate var knownOutputSquares: [Double]? {
    if case .step(_, let trace) = self { trace.known?.output } else { nil }
  }
}

/// A backward pass that cannot be made.
public enum PassError: Error, CustomStringConvertible, Equatable {
  /// The backward pass has been run already, and has freed the activations.
  case goneBack
  /// A step was run without what its backward pass needs.
  case notRecorded
  /// A pass was run without what several backward passes need.
  case notKept

  public var description: String {
    switch self {
    case .goneBack: "the backward pass of this pass has been run already, and its activations were freed"
    case .notRecorded: "this step was not run for a backward pass: run it with .backward"
    case .notKept: "this pass was not run for several backward passes: run it with .keptTape"
    }
  }
}
