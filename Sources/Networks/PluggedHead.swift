import ResLensTorch

/// The head applied straight to a state of the last stage's shape, by running statistics, as if the network ended there
/// (appendix C).
public final class PluggedHead {
  /// The head's predictions.
  public let predictions: Predictions
  /// The odds against each sample's class.
  public let odds: LogOdds
  private let readout: ClassifierReadout
  private var state: State

  private enum State {
    case read(ClassifierReadout.Tape)
    case goneBack(gradient: Tensor)
  }

  /// - Parameters:
  ///   - h: N×C×H×W
  ///   - labels: N, int64
  public init(_ network: ResidualNetwork, on h: Tensor, labels: Tensor) throws {
    readout = network.readout
    let (logits, tape) = try readout.forward(Stream(h), mode: .running)
    predictions = try Predictions(logits: logits, labels: labels)
    odds = try LogOdds(logits: logits, labels: labels)
    state = .read(tape)
  }

  /// ∂u_n/∂h_n of each sample's log-odds, the head plugged in; computed when first asked for. ∂L_n/∂h_n is that times
  /// the sample's error probability.
  public func gradient() throws -> Tensor {
    switch state {
    case .goneBack(let gradient): return gradient
    case .read(let tape):
      let gradient = try readout.backward(odds.gradient, tape, nil)
      state = .goneBack(gradient: gradient)
      return gradient
    }
  }
}
