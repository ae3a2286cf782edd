/// A figure or table that a study shows, by the name that it has in a study's YAML file.
///
/// Most kinds are views of measures: "dropped-step" shows the trained network, and "history-dropped-step" shows the same over the
/// epochs of training. The others are named below.
public struct FigureKind: RawRepresentable, Codable, Hashable, Sendable, ExpressibleByStringLiteral {
  /// The name.
  public var rawValue: String

  public init(rawValue: String) { self.rawValue = rawValue }
  public init(stringLiteral name: String) { rawValue = name }

  public init(from decoder: any Decoder) throws {
    rawValue = try decoder.singleValueContainer().decode(String.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    try value.encode(rawValue)
  }

  /// The train and validation errors of all networks as a table (Table 1).
  public static let errors: FigureKind = "errors"
  /// Loss and error over epochs (Fig. 8 and 9, left).
  public static let training: FigureKind = "training"
  /// The norms of activations and gradients before the first training step (Fig. 8 and 9, right).
  public static let initialisation: FigureKind = "initialisation"
  /// The ratio of gradient norms over training (Fig. 8).
  public static let gradientNormRatio: FigureKind = "gradient-norm-ratio"
  /// The directions and lengths of added steps (Fig. 20).
  public static let unrollingSteps: FigureKind = "unrolling-steps"

  private static let historyPrefix = "history-"

  /// The kind that shows a view over the epochs of training.
  public static func history(of view: MeasureView) -> FigureKind { FigureKind(rawValue: historyPrefix + view.id) }

  /// The measures that a figure needs.
  public struct Needs: Equatable, Sendable {
    /// The names of measures of the trained network.
    public var measured: Set<String> = []
    /// The names of measures that are recorded during training, at initialisation too.
    public var recorded: Set<String> = []
  }

  /// The measures that the figure needs; nil where there is no figure of this kind.
  /// - Parameter measures: the descriptions of all measures
  public func needs(of measures: [MeasureDescription]) -> Needs? {
    switch self {
    case .errors, .training: return Needs()
    default:
      let special = measures.filter { $0.figures.contains(self) }
      if !special.isEmpty {
        return Needs(
          measured: Set(special.filter { !$0.use.canBeRecorded }.map(\.name)),
          recorded: Set(special.filter(\.use.canBeRecorded).map(\.name)))
      }
      for measure in measures {
        for view in measure.views {
          if view.id == rawValue { return Needs(measured: [measure.name]) }
          if view.history != nil, Self.history(of: view) == self { return Needs(recorded: [measure.name]) }
        }
      }
      return nil
    }
  }

  /// The names of all kinds of figures.
  /// - Parameter measures: the descriptions of all measures
  public static func all(of measures: [MeasureDescription]) -> [FigureKind] {
    let views = measures.flatMap(\.views)
    var special: [FigureKind] = []
    for figure in measures.flatMap(\.figures) where !special.contains(figure) { special.append(figure) }
    return [.errors, .training] + special
      + views.map { FigureKind(rawValue: $0.id) } + views.filter { $0.history != nil }.map(history)
  }
}
