/// What `reslens measure` found in one network: the contents of `measures.json`.
public struct MeasureResults: Codable, Equatable, Sendable {
  /// The version of this layout that this program writes and reads.
  public static let format = 1
  public var format = Self.format
  /// The run folder's name.
  public var run: String
  /// The architecture's name.
  public var architecture: String
  /// The checkpoint's name, for instance "epoch-00010-step-0000000".
  public var checkpoint: String
  /// What the samples came from, as `reslens` was told.
  public var data: String
  /// How many residual steps the network has.
  public var steps: Int
  public var measures: Measures

  public init(
    run: String, architecture: String, checkpoint: String, data: String, steps: Int, measures: Measures
  ) {
    self.run = run
    self.architecture = architecture
    self.checkpoint = checkpoint
    self.data = data
    self.steps = steps
    self.measures = measures
  }

  public struct Measures: Codable, Equatable, Sendable {
    public var cosineLoss: CosineLoss
    /// ‖F_t(h_{t−1})‖ / ‖h_{t−1}‖ (§4.2, Fig. 2).
    public var l2Ratio: BySplit<[StepStatistic]>
    /// The network's accuracy and loss with one step's F left out (§4.2, Fig. 3).
    public var droppedStep: DroppedStep
    /// The head applied to h_t for every step of the last stage (§4.2, Fig. 5).
    public var intermediate: BySplit<[StepScore]>

    public init(
      cosineLoss: CosineLoss, l2Ratio: BySplit<[StepStatistic]>, droppedStep: DroppedStep,
      intermediate: BySplit<[StepScore]>
    ) {
      self.cosineLoss = cosineLoss
      self.l2Ratio = l2Ratio
      self.droppedStep = droppedStep
      self.intermediate = intermediate
    }

    enum CodingKeys: String, CodingKey {
      case cosineLoss = "cosine-loss"
      case l2Ratio = "l2-ratio"
      case droppedStep = "dropped-step"
      case intermediate
    }
  }

  /// cos(F_t(h_{t−1}), ∂L/∂h_{t−1}) (§4.1, Fig. 4).
  public struct CosineLoss: Codable, Equatable, Sendable {
    /// With the gradient that comes back through all later steps; every step.
    public var backpropagated: BySplit<[StepStatistic]>
    /// With the gradient of the head applied straight to h_{t−1} (appendix C); the last stage's steps only.
    public var plugged: BySplit<[StepStatistic]>

    public init(backpropagated: BySplit<[StepStatistic]>, plugged: BySplit<[StepStatistic]>) {
      self.backpropagated = backpropagated
      self.plugged = plugged
    }
  }

  public struct DroppedStep: Codable, Equatable, Sendable {
    public var train: [StepScore]
    public var validation: [StepScore]
    /// The whole network on the same samples.
    public var baseline: BySplit<Score>

    public init(train: [StepScore], validation: [StepScore], baseline: BySplit<Score>) {
      self.train = train
      self.validation = validation
      self.baseline = baseline
    }
  }
}

/// One value for train and one for validation data.
public struct BySplit<Value: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
  public var train: Value
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
  /// Whether the step keeps h through a projection instead of the identity; its gradient is then the one
  /// with respect to the projection's output.
  public var projection: Bool

  public init(step: Int, stage: Int, block: Int, projection: Bool) {
    self.step = step
    self.stage = stage
    self.block = block
    self.projection = projection
  }
}

/// The distribution over samples of one number a sample, at one step.
public struct StepStatistic: Codable, Equatable, Sendable {
  public var name: StepName
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
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try StepName(from: decoder), mean: try values.decode(Double.self, forKey: .mean),
      std: try values.decode(Double.self, forKey: .std), count: try values.decode(Int.self, forKey: .count))
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
}

/// A score that belongs to a step.
public struct StepScore: Codable, Equatable, Sendable {
  public var name: StepName
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
