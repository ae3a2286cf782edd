/// The scores of the trained network when its steps run differently (Veit et al. 2016), on validation data.
///
/// Only steps that keep h's shape are dropped or moved, and only within their stage.
public struct Lesions: Codable, Equatable, Sendable {
  /// The whole network on the same samples.
  public var baseline: Score
  /// Random steps dropped, by how many.
  public var dropped: [RandomLesion]
  /// Random pairs of steps exchanged one after the other, by how many.
  public var shuffled: [RandomLesion]
  /// Every two adjacent steps in each other's place.
  public var swapped: [SwappedPair]
  /// One step's F times a factor: 0 is a drop, 2 an overshoot.
  public var scaled: [ScaledStep]

  public init(
    baseline: Score, dropped: [RandomLesion], shuffled: [RandomLesion], swapped: [SwappedPair], scaled: [ScaledStep]
  ) {
    self.baseline = baseline
    self.dropped = dropped
    self.shuffled = shuffled
    self.swapped = swapped
    self.scaled = scaled
  }

  /// Lesions of one size, each drawn anew.
  public struct RandomLesion: Codable, Equatable, Sendable {
    /// Steps dropped, or pairs exchanged.
    public var size: Int
    /// The share of samples classified wrongly, over the trials.
    public var error: Statistic
    /// Each drawing by itself.
    public var trials: [Trial]

    public init(size: Int, error: Statistic, trials: [Trial]) {
      self.size = size
      self.error = error
      self.trials = trials
    }
  }

  /// One drawing of a random lesion.
  public struct Trial: Codable, Equatable, Sendable {
    /// The seed of the random draw.
    public var seed: Int
    /// The steps that add their F, in the order in which they ran.
    public var order: [Int]
    /// The score of the altered network on validation samples.
    public var score: Score

    public init(seed: Int, order: [Int], score: Score) {
      self.seed = seed
      self.order = order
      self.score = score
    }
  }

  /// Two adjacent steps of a stage, exchanged.
  public struct SwappedPair: Codable, Equatable, Sendable {
    /// The one that comes first in the trained network.
    public var first: StepName
    /// The one after it.
    public var second: StepName
    /// The score of the altered network on validation samples.
    public var score: Score

    public init(first: StepName, second: StepName, score: Score) {
      self.first = first
      self.second = second
      self.score = score
    }
  }

  /// One step whose F is multiplied by another number than 1.
  public struct ScaledStep: Codable, Equatable, Sendable {
    /// The step.
    public var name: StepName
    /// The factor that multiplies F.
    public var factor: Double
    /// The score of the altered network on validation samples.
    public var score: Score

    public init(name: StepName, factor: Double, score: Score) {
      self.name = name
      self.factor = factor
      self.score = score
    }
  }
}
