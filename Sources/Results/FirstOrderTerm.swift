/// The change of the loss at one step, and the first-order term of its Taylor series (§3, eq. 4).
///
/// L is that of the head plugged straight in. At a projection h_{t−1} is the projection's output.
public struct FirstOrderTerm: Codable, Equatable, Sendable {
  /// The step.
  public var name: StepName
  /// L(h_t) − L(h_{t−1}), nats.
  public var change: Statistic
  /// F_t(h_{t−1}) · ∂L/∂h_{t−1}, nats.
  public var term: Statistic
  /// The mean term over the mean change: 1 where the first order tells all. nil where the mean change is 0.
  public var ratio: Double?
  /// Pearson's correlation of term and change over samples; nil where one of them does not vary.
  public var correlation: Double?

  public init(name: StepName, change: Statistic, term: Statistic, ratio: Double?, correlation: Double?) {
    self.name = name
    self.change = change
    self.term = term
    self.ratio = ratio
    self.correlation = correlation
  }

  enum CodingKeys: String, CodingKey { case change, term, ratio, correlation }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try StepName(from: decoder), change: try values.decode(Statistic.self, forKey: .change),
      term: try values.decode(Statistic.self, forKey: .term),
      ratio: try values.decodeIfPresent(Double.self, forKey: .ratio),
      correlation: try values.decodeIfPresent(Double.self, forKey: .correlation))
  }

  public func encode(to encoder: any Encoder) throws {
    try name.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(change, forKey: .change)
    try values.encode(term, forKey: .term)
    try values.encodeIfPresent(ratio, forKey: .ratio)
    try values.encodeIfPresent(correlation, forKey: .correlation)
  }
}
