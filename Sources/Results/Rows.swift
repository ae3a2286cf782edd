/// The distribution over samples of one number a sample.
public struct Statistic: TableRow {
  /// The mean over samples.
  public var mean: Double
  /// The standard deviation over samples (population).
  public var std: Double
  /// The number of samples counted.
  public var count: Int

  public static let keys: [String] = []
  public static let units = ["count": Table.Column.samples]

  public init(mean: Double, std: Double, count: Int) { (self.mean, self.std, self.count) = (mean, std, count) }

  /// The distribution of the numbers so far.
  public init(_ moments: Moments) { self.init(mean: moments.mean, std: moments.deviation, count: moments.count) }
}

/// The distribution over samples of one number a sample, at one step.
public struct StepStatistic: TableRow {
  /// The step's number, from 1; 0 is the state before the first step.
  public var step: Int
  /// The distribution at the step.
  public var statistic: Statistic

  public static let keys = ["step"]
  public static let units = Statistic.units

  public init(step: Int, _ statistic: Statistic) { (self.step, self.statistic) = (step, statistic) }

  /// The mean over samples.
  public var mean: Double { statistic.mean }
}

/// The score of a classifier at one step.
public struct StepScore: TableRow {
  /// The step's number, from 1.
  public var step: Int
  /// The score at the step.
  public var score: Score

  public static let keys = ["step"]
  public static let units = Score.units

  public init(step: Int, _ score: Score) { (self.step, self.score) = (step, score) }
}

/// How well a classifier does on a set of samples.
public struct Score: TableRow {
  /// The share of samples classified correctly, 0 … 1.
  public var accuracy: Double
  /// The mean cross-entropy in nats.
  public var loss: Double
  /// The standard deviation of the cross-entropy over samples (population).
  public var lossStd: Double
  /// The mean entropy of the softmax in nats.
  public var entropy: Double
  /// The standard deviation of the entropy over samples (population).
  public var entropyStd: Double
  /// The number of samples counted.
  public var count: Int

  public static let keys: [String] = []
  public static let units = [
    "accuracy": Table.Column.share, "loss": "nats", "loss_std": "nats", "entropy": "nats", "entropy_std": "nats",
    "count": Table.Column.samples,
  ]

  public init(accuracy: Double, loss: Double, lossStd: Double, entropy: Double, entropyStd: Double, count: Int) {
    self.accuracy = accuracy
    self.loss = loss
    self.lossStd = lossStd
    self.entropy = entropy
    self.entropyStd = entropyStd
    self.count = count
  }

  enum CodingKeys: String, CodingKey {
    // Columns stand in the order of the cases.
    case accuracy, loss
    case lossStd = "loss_std"
    case entropy
    case entropyStd = "entropy_std"
    case count
  }
}
