import ResidualNetworks
import Results
import Torch

/// One step applied again and again past its training, h ← h + α·F(h) (§4.4, Fig. 7, 20): what the head says, where
/// the step points and how far it goes, at every step of the repeated step's stage and after it, added ones included.
public final class UnrolledSteps: Measure {
  /// The repeated step.
  public let repeated: StepName
  /// How many steps are added.
  public let times: Int
  /// The manners of repeating, each measured by itself.
  public let ways: [Way]
  private let margin: Double
  private let steps: [StepName]
  /// The first step of the repeated step's stage.
  private let first: Int
  /// By way and place behind `first`.
  private var sums: [[Sums]]
  /// The groups of the current batch, determined by the trained network's own output.
  private var groups: Groups?
  /// The step that was seen last, which is the later one.
  private var later: (trajectory: Int, step: StepReading)?

  /// One manner of repeating.
  public struct Way: Hashable, Sendable {
    /// α
    public var scale: Double
    /// Where the added steps have running statistics of their own, the first one's.
    public var firstStatistics: Int?

    public init(scale: Double, firstStatistics: Int? = nil) {
      self.scale = scale
      self.firstStatistics = firstStatistics
    }
  }

  private struct Sums {
    var groups = GroupSums()
    var cosineLoss = Moments()
    var pluggedCosineLoss = Moments()
    var l2Ratio = Moments()
    var distance = Moments()
    var turn = Moments()
    var isReadable = false
  }

  /// - Parameters:
  ///   - step: the number of the step that is repeated, from 1; the last one where it is nil
  ///   - times: how often it is repeated
  ///   - margin: as of `BorderlineGroups`
  /// - Throws: `MeasureError` where there is no such step, where it changes h's shape, or for a scale that is no number
  ///   or 0.
  public init(
    _ architecture: Architecture, step: Int? = nil, times: Int, ways: [Way], margin: Double = 0.1
  ) throws(MeasureError) {
    try Groups.check(margin: margin)
    steps = architecture.steps.map(\.name)
    let number = step ?? steps.count
    guard (1...steps.count).contains(number) else {
      throw MeasureError(option: "unroll-step", problem: "\(number) is not between 1 and \(steps.count)")
    }
    repeated = steps[number - 1]
    guard !repeated.projection else {
      throw MeasureError(
        option: "unroll-step", problem: "step \(number) changes the shape of h and cannot be applied to what it makes")
    }
    guard (1...1000).contains(times) else {
      throw MeasureError(option: "unroll", problem: "\(times) is not between 1 and 1000")
    }
    for way in ways where !way.scale.isFinite || way.scale == 0 {
      throw MeasureError(option: "scale", problem: "\(way.scale) is not a number other than 0")
    }
    self.times = times
    self.ways = ways
    self.margin = margin
    let stage = repeated.stage
    first = (steps.first { $0.stage == stage } ?? repeated).step
    sums = Array(repeating: Array(repeating: Sums(), count: steps.count + times - first + 1), count: ways.count)
  }

  public func observe(_ step: StepReading) throws {
    if step.number == steps.count, let output = step.after { groups = Groups(try output.reading(), margin: margin) }
  }

  public func trajectories(for network: ResidualNetwork) throws -> [Trajectory] {
    try ways.map { Trajectory(try Self.plan(network.plan, repeated.step, times, $0), from: first) }
  }

  /// The network's plan with the step repeated.
  static func plan(_ plan: Plan, _ step: Int, _ times: Int, _ way: Way) throws -> Plan {
    try plan.unrolling(step: step, times: times, scale: way.scale, firstStatistics: way.firstStatistics)
  }

  public func observe(trajectory: Int, _ step: StepReading) throws {
    let place = step.number - first
    let products = try step.products()
    sums[trajectory][place].cosineLoss.add(cosines: products)
    sums[trajectory][place].l2Ratio.add(ratios: products.squares, to: try step.inputSquares())
    for square in products.squares { sums[trajectory][place].distance.add(square.squareRoot()) }
    if let plugged = try step.pluggedProducts() { sums[trajectory][place].pluggedCosineLoss.add(cosines: plugged) }
    if let after = step.after, let groups {
      sums[trajectory][place].groups.add(try after.reading(), groups)
      sums[trajectory][place].isReadable = true
    }
    if let later, later.trajectory == trajectory, later.step.layout.name.stage == step.layout.name.stage {
      sums[trajectory][place + 1].turn.add(cosines: try step.products(withResidualOf: later.step))
    }
    later = place == 0 ? nil : (trajectory, step)
  }

  /// Every step of one of `ways`, from the first of the repeated step's stage on.
  public func result(way: Int) -> [UnrolledStep] {
    sums[way].enumerated().compactMap { index, sums in
      guard let distance = sums.distance.statistic else { return nil }
      let place = first + index
      let repetition = max(0, min(times, place - repeated.step))
      return UnrolledStep(
        place: place, name: steps[place - repetition - 1], repetition: place > repeated.step + times ? 0 : repetition,
        groups: sums.isReadable ? sums.groups.scores : nil, cosineLoss: sums.cosineLoss.statistic,
        pluggedCosineLoss: sums.pluggedCosineLoss.statistic, l2Ratio: sums.l2Ratio.statistic, distance: distance,
        turn: sums.turn.statistic)
    }
  }
}

extension UnrolledSteps {
  /// The mean loss over samples and over the networks with 1 … `times` added steps, for each way of repeating: what α is
  /// chosen by, on train data. One forward pass a batch, whose common part all ways share.
  /// - Parameter group: processes that have a share of the batches each; all of them get what one would have found
  /// - Throws: `MeasureError` as `init`; `PlanError` where a way's normalisations are missing.
  public static func losses(
    _ network: ResidualNetwork, step: Int, times: Int, ways: [Way], on samples: some BatchSource,
    by group: ProcessGroup? = nil, progress: (Int) throws -> Void = { _ in }
  ) throws -> [Double] {
    _ = try UnrolledSteps(network.architecture, step: step, times: times, ways: ways)
    let plans = try ways.flatMap { way in try (1...times).map { try plan(network.plan, step, $0, way) } }
    for plan in plans { try network.check(plan) }
    var sums = ways.map { _ in Moments() }
    /// The losses of the batch, one plan after the other.
    func look(_ batch: LabelledBatch, _ earlier: Int) throws -> [Double] {
      var losses: [Double] = []
      try network.run(plans, on: network.begin(batch.images)) { _, h in
        losses += try CrossEntropy(logits: network.classify(h), labels: batch.labels).losses
      }
      return losses
    }
    let order = ResidualNetwork.order(of: plans)
    func tell(_ batch: LabelledBatch, _ earlier: Int, _ losses: [Double]) throws {
      let count = batch.classes.count
      for (place, plan) in order.enumerated() {
        for loss in losses[(place * count)..<((place + 1) * count)] { sums[plan / times].add(loss) }
      }
      try progress(earlier + count)
    }
    try samples.forEachShared(by: group, look: look, tell: tell)
    return sums.map(\.mean)
  }
}
