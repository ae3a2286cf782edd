/// The change of a classifier's score between two states of a network, sample by sample.
///
/// The difference of two means on the same samples has a smaller error than the means have. That error follows only from
/// the differences of the samples, so they are recorded.
public struct ScoreChange: TableRow {
  /// The number of samples that are classified wrongly at the first state and correctly at the second.
  public var becameRight: Int
  /// The number of samples that are classified correctly at the first state and wrongly at the second.
  public var becameWrong: Int
  /// The mean change of the cross-entropy in nats.
  public var loss: Double
  /// The standard deviation of the change over samples (population).
  public var lossStd: Double
  /// The mean change of the entropy in nats.
  public var entropy: Double
  /// The standard deviation of the change over samples (population).
  public var entropyStd: Double
  /// The number of samples counted.
  public var count: Int

  public static let keys: [String] = []
  public static let units = [
    "became_right": Table.Column.samples, "became_wrong": Table.Column.samples, "loss_change": "nats",
    "loss_change_std": "nats", "entropy_change": "nats", "entropy_change_std": "nats", "count": Table.Column.samples,
  ]

  enum CodingKeys: String, CodingKey {
    // Columns stand in the order of the cases.
    case becameRight = "became_right"
    case becameWrong = "became_wrong"
    case loss = "loss_change"
    case lossStd = "loss_change_std"
    case entropy = "entropy_change"
    case entropyStd = "entropy_change_std"
    case count
  }

  public init(
    becameRight: Int, becameWrong: Int, loss: Double, lossStd: Double, entropy: Double, entropyStd: Double, count: Int
  ) {
    self.becameRight = becameRight
    self.becameWrong = becameWrong
    self.loss = loss
    self.lossStd = lossStd
    self.entropy = entropy
    self.entropyStd = entropyStd
    self.count = count
  }
}

extension ScoreChange {
  /// The change of the accuracy, with its error over samples.
  public var accuracyEstimate: Estimate { Estimate(gained: becameRight, lost: becameWrong, of: count) }
  /// The change of the mean loss, with its error over samples.
  public var lossEstimate: Estimate { Statistic(mean: loss, std: lossStd, count: count).estimate }
  /// The change of the mean entropy, with its error over samples.
  public var entropyEstimate: Estimate { Statistic(mean: entropy, std: entropyStd, count: count).estimate }
}

/// The change of a classifier's score at one step, from the state before it to the state after it.
public struct StepScoreChange: TableRow {
  /// The step's number, from 1.
  public var step: Int
  /// The change at the step.
  public var change: ScoreChange

  public static let keys = ["step"]
  public static let units = ScoreChange.units

  public init(step: Int, _ change: ScoreChange) { (self.step, self.change) = (step, change) }
}

/// Adds up how scores change between two states, sample by sample.
public struct ScoreChangeSum: Sendable {
  private var (becameRight, becameWrong) = (0, 0)
  private var losses = Moments()
  private var entropies = Moments()

  public init() {}

  /// - Parameters:
  ///   - losses: the change of each sample's cross-entropy, nats
  ///   - entropies: the change of each sample's entropy, nats
  ///   - wasRight: whether the sample is classified correctly at the first state
  ///   - isRight: whether it is at the second
  ///   - counted: whether a sample counts; all do where it is nil
  public mutating func add(
    losses: [Double], entropies: [Double], wasRight: [Bool], isRight: [Bool], counted: [Bool]? = nil
  ) {
    for sample in losses.indices where counted?[sample] ?? true {
      self.losses.add(losses[sample])
      self.entropies.add(entropies[sample])
      if isRight[sample], !wasRight[sample] { becameRight += 1 }
      if wasRight[sample], !isRight[sample] { becameWrong += 1 }
    }
  }

  /// The change of all samples so far; nil without any.
  public var change: ScoreChange? {
    guard losses.count > 0 else { return nil }
    return ScoreChange(
      becameRight: becameRight, becameWrong: becameWrong, loss: losses.mean, lossStd: losses.deviation,
      entropy: entropies.mean, entropyStd: entropies.deviation, count: losses.count)
  }
}
