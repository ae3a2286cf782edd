import Torch

/// The head applied straight to a state of the last stage's shape, in evaluation mode, as if the network ended there
/// (appendix C).
public final class PluggedHead {
  /// The head's predictions.
  public let reading: CrossEntropy
  /// The odds against each sample's class.
  public let odds: LogOdds
  private let head: Head
  private var tape: Head.Tape?
  private var known: Tensor?

  /// - Parameters:
  ///   - h: N×C×H×W
  ///   - labels: N, int64
  public init(_ network: ResidualNetwork, on h: Tensor, labels: Tensor) throws {
    head = network.head
    let (logits, tape) = try head.forward(h, mode: .evaluation)
    reading = try CrossEntropy(logits: logits, labels: labels)
    odds = try LogOdds(logits: logits, labels: labels)
    self.tape = tape
  }

  /// ∂u_n/∂h_n of each sample's log-odds, the head plugged in; computed when first asked for. ∂L_n/∂h_n is that times
  /// the sample's doubt.
  public func gradient() throws -> Tensor {
    if let known { return known }
    guard let tape else { throw PassError.goneBack }
    let gradient = try head.backward(odds.gradient, tape, nil)
    (known, self.tape) = (gradient, nil)
    return gradient
  }
}
