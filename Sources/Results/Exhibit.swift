/// Something that a study shows, a picture or a table, by the name that a study's file calls it.
public enum Exhibit: String, Codable, CaseIterable, Sendable {
  /// Train and validation errors of all networks as a table (Table 1).
  case errors
  /// Loss and error over epochs (Fig. 8 and 9, left).
  case training
  /// Norms of activations and gradients before the first step (Fig. 8 and 9, right).
  case initialisation
  /// Over training (Fig. 8).
  case gradientNormRatio = "gradient-norm-ratio"
  case l2Ratio = "l2-ratio"
  case droppedStep = "dropped-step"
  case cosineLoss = "cosine-loss"
  case pluggedCosineLoss = "cosine-loss-plugged"
  case firstOrder = "first-order"
  case intermediate, borderline
  /// The groups of examples over added steps (Fig. 7).
  case unrolling
  /// Cosine loss and ℓ2 ratio of added steps (Fig. 20).
  case unrollingSteps = "unrolling-steps"
  case lesions
  case activationNorm = "activation-norm"
  case gradientNorm = "gradient-norm"
  case historyCosineLoss = "history-cosine-loss"
  case historyPluggedCosineLoss = "history-cosine-loss-plugged"
  case historyL2Ratio = "history-l2-ratio"
  case historyFirstOrder = "history-first-order"
  case historyIntermediate = "history-intermediate"
  case historyDroppedStep = "history-dropped-step"
  case historyActivationNorm = "history-activation-norm"
  case historyGradientNorm = "history-gradient-norm"

  private static let history = "history-"
  private static let propagation: Set = ["activation-norm", "gradient-norm"]

  /// The measures of a trained network that the figure needs, by their names in `measures.json`.
  public var measured: Set<String> {
    switch self {
    case .errors, .training, .initialisation, .gradientNormRatio: []
    case .pluggedCosineLoss: [Self.cosineLoss.rawValue]
    case .unrollingSteps: [Self.unrolling.rawValue]
    default: rawValue.hasPrefix(Self.history) ? [] : [rawValue]
    }
  }

  /// The measures that must be recorded during training, at initialisation too.
  public var recorded: Set<String> {
    switch self {
    case .initialisation, .gradientNormRatio: Self.propagation
    case .historyPluggedCosineLoss: [Self.cosineLoss.rawValue]
    default: rawValue.hasPrefix(Self.history) ? [String(rawValue.dropFirst(Self.history.count))] : []
    }
  }
}
