import ResLensTorch

/// The head applied straight to a state of the last stage's shape, by running statistics, as if the network ended there
/// (appendix C).
public final class PluggedHead {
  /// The head's outputs for the state, N×K.
  public let logits: Tensor
  private let readout: ClassifierReadout
  private let tape: ClassifierReadout.Tape

  /// - Parameter h: N×C×H×W
  public init(_ network: ResidualNetwork, on h: Tensor) throws {
    readout = network.readout
    (logits, tape) = try readout.forward(Stream(h), mode: .running)
  }

  /// The gradient at the state, N×C×H×W.
  /// - Parameter gradient: the gradient at the logits, N×K
  public func backward(_ gradient: Tensor) throws -> Tensor { try readout.backward(gradient, tape, nil) }
}
