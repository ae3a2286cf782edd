/// The effect of the last steps on examples near the decision boundary (§4.3, Fig. 6).
public struct BorderlineExamples: Codable, Equatable, Sendable {
  /// An example is borderline where |p_y − max_{k≠y} p_k| is below this, y being its class.
  public var margin: Double
  /// The groups are fixed by what the head says of the state after so many steps.
  public var reference: Int
  /// The states from the reference on.
  public var states: BySplit<[GroupedState]>
  /// Flipped predictions of borderline examples at each later step.
  public var turns: BySplit<[TurnedExamples]>

  public init(
    margin: Double, reference: Int, states: BySplit<[GroupedState]>, turns: BySplit<[TurnedExamples]>
  ) {
    self.margin = margin
    self.reference = reference
    self.states = states
    self.turns = turns
  }
}

/// How three groups of examples fare. An example can be in several.
public struct GroupScores: Codable, Equatable, Sendable {
  /// The scores of the examples that were borderline at the reference; nil where there are none.
  public var borderline: Score?
  /// The scores of the examples that were classified correctly at the reference, borderline or not; nil where there are
  /// none.
  public var alreadyCorrect: Score?
  /// Every example.
  public var all: Score

  public init(borderline: Score?, alreadyCorrect: Score?, all: Score) {
    self.borderline = borderline
    self.alreadyCorrect = alreadyCorrect
    self.all = all
  }

  enum CodingKeys: String, CodingKey {
    case borderline, all
    case alreadyCorrect = "already-correct"
  }
}

/// The scores of the groups at one state.
public struct GroupedState: Codable, Equatable, Sendable {
  /// The state after so many steps.
  public var step: Int
  /// How each group fares there.
  public var groups: GroupScores

  public init(step: Int, groups: GroupScores) {
    self.step = step
    self.groups = groups
  }
}

/// The borderline examples whose prediction flips at one step.
public struct TurnedExamples: Codable, Equatable, Sendable {
  /// The step.
  public var name: StepName
  /// Wrong before the step and right after it.
  public var corrected: Int
  /// Right before the step and wrong after it.
  public var broken: Int
  /// Borderline examples in all.
  public var count: Int

  public init(name: StepName, corrected: Int, broken: Int, count: Int) {
    self.name = name
    self.corrected = corrected
    self.broken = broken
    self.count = count
  }

  enum CodingKeys: String, CodingKey { case corrected, broken, count }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try StepName(from: decoder), corrected: try values.decode(Int.self, forKey: .corrected),
      broken: try values.decode(Int.self, forKey: .broken), count: try values.decode(Int.self, forKey: .count))
    for count in [corrected, broken, count] { try decoder.require(count: count) }
  }

  public func encode(to encoder: any Encoder) throws {
    try name.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(corrected, forKey: .corrected)
    try values.encode(broken, forKey: .broken)
    try values.encode(count, forKey: .count)
  }
}
