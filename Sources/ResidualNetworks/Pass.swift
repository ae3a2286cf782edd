import Results
import Torch

/// One forward pass through a network that can be gone back: for training, and for looking at every step on the way.
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
  private let images: Tensor?
  private let keepsResiduals: Bool
  private var records: [ResidualNetwork.Record]
  private var headTape: Head.Tape?

  /// A step as the way back meets it. None of these tensors is ever written again.
  public struct VisitedStep {
    /// Which of the network's steps it is.
    public let layout: StepLayout
    /// Its number among the steps of the pass, from 1.
    public let number: Int
    /// h_{t−1}, after the pooling where the step's stage enters through one.
    public let input: Tensor
    /// s(h_{t−1}): h_{t−1} itself, or the projection's output.
    public let kept: Tensor
    /// F_t(h_{t−1}), times the scale that the plan gives it.
    public let residual: Tensor
    /// h_t
    public let output: Tensor
    /// ∂L/∂h_{t−1}, or, at a projection, ∂L with respect to the projection's output.
    public let gradient: Tensor
    /// ∂L/∂h_{t−1}, at a projection too.
    public let inputGradient: Tensor
    /// The products of `residual` and `gradient`, where the pass computed them anyway.
    public let products: SampleProducts?
    /// ‖h_{t−1}‖² and ‖h_t‖² of each sample, where the pass had them at hand.
    public let inputSquares: [Double]?
    /// ‖h_t‖² of each sample, likewise.
    public let outputSquares: [Double]?
  }

  /// Runs the network forward.
  /// - Parameters:
  ///   - images: N×C×H×W
  ///   - keepsResiduals: whether `backward`'s visitor will look at F; without it F's memory is reused
  public convenience init(
    _ network: ResidualNetwork, images: Tensor, mode: Mode, keepsResiduals: Bool = false
  ) throws {
    try self.init(
      network, network.plan.moves, from: network.begin(images), images: images, mode: mode,
      keepsResiduals: keepsResiduals)
  }

  /// Runs the given moves and the head on a state that is known already, in evaluation mode, keeping every F.
  /// - Parameter h: what the first move takes
  /// - Throws: `PlanError` where the network has no such block.
  public convenience init(_ network: ResidualNetwork, moves: some Sequence<Plan.Move>, from h: Tensor) throws {
    try self.init(network, moves, from: h, images: nil, mode: .evaluation, keepsResiduals: true)
  }

  private init(
    _ network: ResidualNetwork, _ moves: some Sequence<Plan.Move>, from h0: Tensor, images: Tensor?, mode: Mode,
    keepsResiduals: Bool
  ) throws {
    self.network = network
    self.images = images
    self.h0 = h0
    self.keepsResiduals = keepsResiduals
    var state = ResidualNetwork.State(h0)
    var records: [ResidualNetwork.Record] = []
    for move in moves {
      let (output, record) = try network.record(move, on: state, mode: mode, keepsResidual: keepsResiduals)
      records.append(record)
      state = output
    }
    features = state.h
    (logits, headTape) = try network.head.forward(state.h, sums: state.sums, mode: mode)
    self.records = records
  }

  /// Goes back through the network once, letting go of each activation as it is passed.
  /// - Parameters:
  ///   - gradient: ∂L/∂logits, N×classes
  ///   - gradients: receives the parameters' gradients; nil where they are not wanted
  ///   - visit: called for every step that adds something, from the last to the first, where F was kept
  public func backward(
    _ gradient: Tensor, into gradients: Gradients?, visit: (VisitedStep) throws -> Void = { _ in }
  ) throws {
    guard let tape = headTape else { throw PassError.goneBack }
    headTape = nil
    var gradient = try network.head.backward(gradient, tape, gradients)
    var output = features
    var number = records.count { if case .step = $0.move { true } else { false } }
    while let record = records.popLast() {
      let (after, following) = (gradient, output)
      // Where nobody looks, the state goes with its record.
      if keepsResiduals { output = record.input }
      let products: SampleProducts?
      (gradient, products) = try network.backward(after, through: record, gradients)
      guard case .step(let step) = record.move else { continue }
      defer { number -= 1 }
      guard let residual = record.residual else { continue }
      let layout = try network.layout(of: step)
      try visit(
        VisitedStep(
          layout: layout, number: number, input: record.input, kept: record.kept, residual: residual, output: following,
          gradient: layout.name.projection ? after : gradient, inputGradient: gradient, products: products,
          inputSquares: records.last?.squares?.sum, outputSquares: record.squares?.sum))
    }
    if gradients != nil, let images {
      _ = try network.stem.backward(gradient, input: images, wantsInput: false, gradients)
    }
  }
}

/// A pass that was asked for what it no longer has.
public enum PassError: Error, CustomStringConvertible {
  case goneBack
  public var description: String { "this pass has been gone back already: its activations are gone" }
}
