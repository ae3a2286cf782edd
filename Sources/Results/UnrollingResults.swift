/// One step repeated past its training, h ← h + α·F(h) (§4.4, Fig. 7, 20).
public struct Unrolling: Codable, Equatable, Sendable {
  /// The repeated step.
  public var repeated: StepName
  /// How often it was repeated.
  public var times: Int
  /// As in `BorderlineExamples`; the groups are fixed by the trained network's own output.
  public var margin: Double
  /// Train batches on which each added step's own running statistics were taken; nil where the added steps use the
  /// repeated block's.
  public var recalibrationBatches: Int?
  /// The scales that were tried on train data; nil where the scale was given.
  public var tried: [TriedScale]?
  /// Unscaled (α = 1), then scaled.
  public var trajectories: [Trajectory]

  public init(
    repeated: StepName, times: Int, margin: Double, recalibrationBatches: Int?, tried: [TriedScale]?,
    trajectories: [Trajectory]
  ) {
    self.repeated = repeated
    self.times = times
    self.margin = margin
    self.recalibrationBatches = recalibrationBatches
    self.tried = tried
    self.trajectories = trajectories
  }

  enum CodingKeys: String, CodingKey {
    case repeated, times, margin, tried, trajectories
    case recalibrationBatches = "recalibration-batches"
  }

  /// The first field that cannot be, and why; nil where all can be.
  var problem: String? {
    let times = 1...100_000
    if !times.contains(self.times) { return "times: \(self.times) is not between 1 and \(times.upperBound)" }
    let steps = trajectories.flatMap { $0.steps.train + $0.steps.validation }
    let last = self.times + StepName.numbers.upperBound
    guard let step = steps.first(where: { !(1...last).contains($0.place) || !(0...self.times).contains($0.repetition) })
    else { return nil }
    return "trajectories: place \(step.place), repetition \(step.repetition) is none of an unrolled network"
  }

  /// Whether no step of the trained network comes after the repeated one: the answer behind it is then the trained
  /// network's own.
  public var repeatsLastStep: Bool {
    !trajectories.flatMap { $0.steps.train + $0.steps.validation }.contains {
      $0.repetition == 0 && $0.place > repeated.step
    }
  }

  /// One scale that α was chosen among.
  public struct TriedScale: Codable, Equatable, Sendable {
    /// α of the added steps.
    public var scale: Double
    /// The mean train loss over samples and over the networks with 1 … `times` added steps, nats.
    public var loss: Double

    public init(scale: Double, loss: Double) {
      self.scale = scale
      self.loss = loss
    }
  }

  /// The results of every step from the first one of the repeated step's stage to the end.
  public struct Trajectory: Codable, Equatable, Sendable {
    /// α of the added steps.
    public var scale: Double
    /// In order.
    public var steps: BySplit<[UnrolledStep]>

    public init(scale: Double, steps: BySplit<[UnrolledStep]>) {
      self.scale = scale
      self.steps = steps
    }
  }
}

/// One step of an unrolled network.
public struct UnrolledStep: Codable, Equatable, Sendable {
  /// Its place in the unrolled network, from 1.
  public var place: Int
  /// The trained network's step whose block this is.
  public var name: StepName
  /// 0 for a step of the trained network; 1, 2, … for those that were added.
  public var repetition: Int
  /// The scores of the head's predictions after the step; nil before the last stage.
  public var groups: GroupScores?
  /// With the gradient that comes back from the end of the unrolled network; nil where no sample has an angle.
  public var cosineLoss: Statistic?
  /// With the gradient of the head plugged into the state before the step; nil before the last stage.
  public var pluggedCosineLoss: Statistic?
  /// ‖α·F‖ / ‖h‖
  public var l2Ratio: Statistic?
  /// ‖h_t − h_{t−1}‖ = ‖α·F‖; at a projection the distance from the projection's output.
  public var distance: Statistic
  /// The cosine between what this step adds and what the step before it added; nil at the first step of a stage.
  public var turn: Statistic?

  public init(
    place: Int, name: StepName, repetition: Int, groups: GroupScores?, cosineLoss: Statistic?,
    pluggedCosineLoss: Statistic?, l2Ratio: Statistic?, distance: Statistic, turn: Statistic?
  ) {
    self.place = place
    self.name = name
    self.repetition = repetition
    self.groups = groups
    self.cosineLoss = cosineLoss
    self.pluggedCosineLoss = pluggedCosineLoss
    self.l2Ratio = l2Ratio
    self.distance = distance
    self.turn = turn
  }

  enum CodingKeys: String, CodingKey {
    case place, name, repetition, groups, distance, turn
    case cosineLoss = "cosine-loss"
    case pluggedCosineLoss = "cosine-loss-plugged"
    case l2Ratio = "l2-ratio"
  }
}
