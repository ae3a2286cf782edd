import Host

/// One value for train and one for validation data.
public struct BySplit<Value: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
  /// On train samples.
  public var train: Value
  /// On validation samples.
  public var validation: Value

  public init(train: Value, validation: Value) {
    self.train = train
    self.validation = validation
  }
}

/// Which step a number belongs to.
public struct StepName: Codable, Equatable, Hashable, Sendable {
  /// Counted from 1 through the whole network, as in the paper.
  public var step: Int
  /// Counted from 0.
  public var stage: Int
  /// Counted from 0 within the stage.
  public var block: Int
  /// Which of its block's steps this is, counted from 0; 0 where the block is its own.
  public var use: Int
  /// Whether the step keeps h through a projection instead of the identity; its gradient is then the one
  /// with respect to the projection's output.
  public var projection: Bool

  public init(step: Int, stage: Int, block: Int, use: Int = 0, projection: Bool) {
    self.step = step
    self.stage = stage
    self.block = block
    self.use = use
    self.projection = projection
  }

  /// The numbers that steps can have; networks have at most so many.
  static let numbers = 1...10_000

  /// The block as a checkpoint calls it: "stages.2.5".
  public var blockPath: String { "stages.\(stage).\(block)" }

  /// The block, and where it is run again, as which use: "stages.2.5", "stages.2.5.uses.3". A checkpoint's tensors lie
  /// under it, those of the first use under "stages.2.5.uses.0" where they are not shared.
  public var path: String { blockPath + (use == 0 ? "" : ".uses.\(use)") }

  enum CodingKeys: String, CodingKey { case step, stage, block, use, projection }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      step: try values.decode(Int.self, forKey: .step), stage: try values.decode(Int.self, forKey: .stage),
      block: try values.decode(Int.self, forKey: .block),
      // Files from before blocks could be shared do not name it.
      use: try values.decodeIfPresent(Int.self, forKey: .use) ?? 0,
      projection: try values.decode(Bool.self, forKey: .projection))
    try decoder.require(StepName.numbers.contains(step), "step \(step) is not between 1 and \(Self.numbers.upperBound)")
    for value in [stage, block, use] {
      try decoder.require((0..<step).contains(value), "a stage, block or use of \(value) is not one of step \(step)")
    }
  }
}

/// The distribution over samples of one number a sample.
public struct Statistic: Codable, Equatable, Sendable {
  /// Over the samples.
  public var mean: Double
  /// Standard deviation (population).
  public var std: Double
  /// Numbers counted.
  public var count: Int

  public init(mean: Double, std: Double, count: Int) {
    self.mean = mean
    self.std = std
    self.count = count
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      mean: try values.decode(Double.self, forKey: .mean), std: try values.decode(Double.self, forKey: .std),
      count: try values.decode(Int.self, forKey: .count))
    try decoder.require(!(std < 0), "std \(std) is less than 0")
    try decoder.require(count: count)
  }
}

extension Decoder {
  /// - Throws: `DecodingError` for a number of samples that cannot be; sums of some of them are whole numbers still.
  func require(count: Int) throws {
    try require((0...1_000_000_000_000).contains(count), "count \(count) is not a number of samples")
  }
}

/// The distribution over samples of one number a sample, at one step.
public struct StepStatistic: Codable, Equatable, Sendable {
  /// The step.
  public var name: StepName
  /// Over the samples.
  public var mean: Double
  /// Standard deviation over samples (population).
  public var std: Double
  /// Samples counted.
  public var count: Int

  public init(name: StepName, mean: Double, std: Double, count: Int) {
    self.name = name
    self.mean = mean
    self.std = std
    self.count = count
  }

  enum CodingKeys: String, CodingKey { case mean, std, count }

  public init(from decoder: any Decoder) throws {
    let statistic = try Statistic(from: decoder)
    self.init(
      name: try StepName(from: decoder), mean: statistic.mean, std: statistic.std, count: statistic.count)
  }

  public func encode(to encoder: any Encoder) throws {
    try name.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(mean, forKey: .mean)
    try values.encode(std, forKey: .std)
    try values.encode(count, forKey: .count)
  }
}

/// How well a classifier does on a set of samples.
public struct Score: Codable, Equatable, Sendable {
  /// Share classified rightly, 0 … 1.
  public var accuracy: Double
  /// Mean cross-entropy in nats.
  public var loss: Double
  /// Standard deviation of the cross-entropy over samples (population).
  public var lossStd: Double
  /// Mean entropy of the softmax in nats.
  public var entropy: Double
  /// Standard deviation of the entropy over samples (population).
  public var entropyStd: Double
  /// Samples counted.
  public var count: Int

  public init(accuracy: Double, loss: Double, lossStd: Double, entropy: Double, entropyStd: Double, count: Int) {
    self.accuracy = accuracy
    self.loss = loss
    self.lossStd = lossStd
    self.entropy = entropy
    self.entropyStd = entropyStd
    self.count = count
  }

  enum CodingKeys: String, CodingKey {
    case accuracy, loss, entropy, count
    case lossStd = "loss-std"
    case entropyStd = "entropy-std"
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func number(_ key: CodingKeys) throws -> Double { try values.decode(Double.self, forKey: key) }
    self.init(
      accuracy: try number(.accuracy), loss: try number(.loss), lossStd: try number(.lossStd),
      entropy: try number(.entropy), entropyStd: try number(.entropyStd),
      count: try values.decode(Int.self, forKey: .count))
    try decoder.require((0...1).contains(accuracy), "accuracy \(accuracy) is not between 0 and 1")
    try decoder.require(!(lossStd < 0 || entropyStd < 0), "a standard deviation is less than 0")
    try decoder.require(count: count)
  }
}

/// A score that belongs to a step.
public struct StepScore: Codable, Equatable, Sendable {
  /// The step.
  public var name: StepName
  /// The score of the step.
  public var score: Score

  public init(name: StepName, score: Score) {
    self.name = name
    self.score = score
  }

  public init(from decoder: any Decoder) throws {
    self.init(name: try StepName(from: decoder), score: try Score(from: decoder))
  }

  public func encode(to encoder: any Encoder) throws {
    try name.encode(to: encoder)
    try score.encode(to: encoder)
  }
}
