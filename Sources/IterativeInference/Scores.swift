import ResidualNetworks
import Results

/// The head applied to h_t for every step t of the last stage (§4.2, Fig. 5): accuracy, loss and entropy there.
public final class IntermediateScores: Measure {
  private var sums: [StepName: ScoreSum] = [:]

  public init() {}

  public func observe(_ step: StepReading) throws {
    if let after = step.after { sums[step.layout.name, default: ScoreSum()].add(try after.reading()) }
  }

  /// A score a step of the last stage.
  public var result: [StepScore] {
    sums.map { StepScore(name: $0.key, score: $0.value.score) }.sorted { $0.name.step < $1.name.step }
  }
}

/// The network itself: what its head says after the last step.
public final class NetworkScore: Measure {
  private let last: Int
  /// Over the samples so far.
  public private(set) var sum = ScoreSum()

  public init(_ architecture: Architecture) { last = architecture.steps.count }

  public func observe(_ step: StepReading) throws {
    if step.number == last, let after = step.after { sum.add(try after.reading()) }
  }
}

/// The network with one step's F left out, for every step (§4.2, Fig. 3). The projection of a step that has one stays.
public final class DroppedStep: Measure {
  private let steps: [StepName]
  private var sums: [ScoreSum]
  private let whole: NetworkScore

  public init(_ architecture: Architecture) {
    steps = architecture.steps.map(\.name)
    sums = steps.map { _ in ScoreSum() }
    whole = NetworkScore(architecture)
  }

  public func observe(_ step: StepReading) throws { try whole.observe(step) }

  public func plans(for network: ResidualNetwork) throws -> [Plan] {
    try steps.map { try network.plan.dropping(step: $0.step) }
  }

  public func observe(plan: Int, _ reading: LabelledReading) { sums[plan].add(reading) }

  /// The network's score without each step.
  public var result: [StepScore] { zip(steps, sums).map { StepScore(name: $0, score: $1.score) } }
  /// The whole network on the same samples.
  public var baseline: Score { whole.sum.score }
}
