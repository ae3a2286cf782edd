/// How large the states are on the way forward (§4.5, Fig. 8 and 9): norms over all elements of a sample's state.
public struct ActivationNorms: Codable, Equatable, Sendable {
  /// ‖h_0‖, what the first step takes.
  public var start: Statistic
  /// ‖h_t‖ after every step t.
  public var steps: [StepStatistic]

  public init(start: Statistic, steps: [StepStatistic]) {
    self.start = start
    self.steps = steps
  }
}

/// How large the gradients are on the way back (§4.5, Fig. 8).
public struct GradientNorms: Codable, Equatable, Sendable {
  /// ‖∂L/∂h_{t−1}‖ where each step's block takes h, at a projection too; L is one sample's loss.
  public var steps: [StepStatistic]
  /// The norm at the first block of the first stage over that at the first block of the last stage, of each sample; nil
  /// where there is one stage, or no sample with a gradient.
  public var ratio: Statistic?

  public init(steps: [StepStatistic], ratio: Statistic?) {
    self.steps = steps
    self.ratio = ratio
  }
}
