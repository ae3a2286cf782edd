import Results
import Torch

/// One forward pass through a network that can be gone back: for training, and for looking at every step on the way.
public final class Pass {
  public let network: ResidualNetwork
  /// N×classes
  public let logits: Tensor
  /// h_0, the stem's output.
  public let h0: Tensor
  private let images: Tensor
  private var records: [ResidualNetwork.Record]
  private var headTape: Head.Tape?

  /// A step as the way back meets it. None of these tensors is ever written again.
  public struct VisitedStep {
    public let layout: StepLayout
    /// h_{t−1}, after the pooling where the step's stage enters through one.
    public let input: Tensor
    /// s(h_{t−1}): h_{t−1} itself, or the projection's output.
    public let kept: Tensor
    /// F_t(h_{t−1})
    public let residual: Tensor
    /// ∂L/∂h_{t−1}, or, at a projection, ∂L with respect to the projection's output.
    public let gradient: Tensor
  }

  /// Runs the network forward.
  /// - Parameters:
  ///   - images: N×C×H×W
  ///   - keepsResiduals: whether `backward`'s visitor will look at F; without it F's memory is reused
  public init(_ network: ResidualNetwork, images: Tensor, mode: Mode, keepsResiduals: Bool = false) throws {
    self.network = network
    self.images = images
    h0 = try network.begin(images)
    var h = h0
    var records: [ResidualNetwork.Record] = []
    for move in network.plan.moves {
      let (output, record) = try network.record(move, on: h, mode: mode, keepsResidual: keepsResiduals)
      records.append(record)
      h = output
    }
    (logits, headTape) = try network.head.forward(h, mode: mode)
    self.records = records
  }

  /// Goes back through the network once, letting go of each activation as it is passed.
  /// - Parameters:
  ///   - gradient: ∂L/∂logits, N×classes
  ///   - gradients: receives the parameters' gradients; nil where they are not wanted
  ///   - visit: called for every step from the last to the first, where `keepsResiduals` was given
  public func backward(
    _ gradient: Tensor, into gradients: Gradients?, visit: ((VisitedStep) throws -> Void)? = nil
  ) throws {
    guard let tape = headTape else { throw PassError.goneBack }
    headTape = nil
    var gradient = try network.head.backward(gradient, tape, gradients)
    let layouts = network.architecture.steps
    var step = layouts.count
    while let record = records.popLast() {
      let after = gradient
      gradient = try network.backward(after, through: record, gradients)
      guard case .step = record.move else { continue }
      step -= 1
      guard let visit, let residual = record.residual else { continue }
      let layout = layouts[step]
      try visit(
        VisitedStep(
          layout: layout, input: record.input, kept: record.kept, residual: residual,
          gradient: layout.name.projection ? after : gradient))
    }
    if gradients != nil {
      _ = try network.stem.backward(gradient, input: images, wantsInput: false, gradients)
    }
  }
}

/// A pass that was asked for what it no longer has.
public enum PassError: Error, CustomStringConvertible {
  case goneBack
  public var description: String { "this pass has been gone back already: its activations are gone" }
}
