import ResidualNetworks
import Results

/// Scores along the last steps of the examples near the decision boundary, of those that were correct already, and of
/// all (§4.3, Fig. 6). The groups are determined by the head's predictions at one state, the reference.
public final class BorderlineGroups: Measure {
  /// An example is borderline where |p_y − max_{k≠y} p_k| is below this at the reference.
  public let margin: Double
  /// Steps made before the state that fixes the groups.
  public let reference: Int

  private let steps: [StepName]
  /// The groups' sums after `reference`, `reference + 1`, … steps.
  private var sums: [GroupSums]
  private var turns: [TurnedExamples]
  /// The head's predictions after the steps of the current batch that were seen, the last step first.
  private var later: [LabelledReading] = []
  private let tell: ((BorderlineExample) -> Void)?

  /// - Parameters:
  ///   - margin: an example is borderline where |p_y − max_{k≠y} p_k| is below it
  ///   - lastSteps: how many of the last steps are looked at; five, or as many as the head can read, where it is nil
  ///   - tell: receives every borderline example
  /// - Throws: `MeasureError` where the head cannot read the state before so many steps.
  public init(
    _ architecture: Architecture, margin: Double = 0.1, lastSteps: Int? = nil,
    tell: ((BorderlineExample) -> Void)? = nil
  ) throws(MeasureError) {
    try Groups.check(margin: margin)
    steps = architecture.steps.map(\.name)
    let readable = architecture.readableSteps
    let last = lastSteps ?? min(5, readable.count)
    guard last >= 1, last <= readable.count else {
      throw MeasureError(
        option: "last-steps",
        problem:
          "\(last) is not between 1 and \(readable.count), the steps of \(architecture.name) before which the head "
          + "can read h")
    }
    self.margin = margin
    self.tell = tell
    reference = steps.count - last
    sums = Array(repeating: GroupSums(), count: last + 1)
    turns = steps.suffix(last).map { TurnedExamples(name: $0, corrected: 0, broken: 0, count: 0) }
  }

  public func observe(_ step: StepReading) throws {
    guard step.number > reference, let before = step.before, let after = step.after else { return }
    if step.number == steps.count { later = [] }
    later.append(try after.reading())
    if step.number == reference + 1 { fold([try before.reading()] + later.reversed()) }
  }

  /// - Parameter readings: of the states from the reference on
  private func fold(_ readings: [LabelledReading]) {
    let groups = Groups(readings[0], margin: margin)
    for (index, reading) in readings.enumerated() { sums[index].add(reading, groups) }
    let right = readings.map(\.right)
    for sample in groups.borderline.indices where groups.borderline[sample] {
      var turnedBy: [Int] = []
      for index in turns.indices {
        let (was, now) = (right[index][sample], right[index + 1][sample])
        turns[index].count += 1
        if !was && now { turns[index].corrected += 1 }
        if was && !now { turns[index].broken += 1 }
        if was != now { turnedBy.append(turns[index].name.step) }
      }
      tell?(
        BorderlineExample(
          index: readings[0].indices[sample], label: readings[0].classes[sample],
          margin: readings[0].reading.margins[sample], isRightAtReference: right[0][sample],
          isRightAtEnd: right[right.count - 1][sample], turnedBy: turnedBy))
    }
  }

  /// The states from the reference on.
  public var states: [GroupedState] {
    sums.enumerated().map { GroupedState(step: reference + $0, groups: $1.scores) }
  }

  /// The flipped predictions of borderline examples at each step after the reference.
  public var turned: [TurnedExamples] { turns }
}

/// An example that is borderline at the reference.
public struct BorderlineExample: Equatable, Sendable {
  /// Its place in its set.
  public var index: Int
  /// Its class.
  public var label: Int
  /// p_y − max_{k≠y} p_k at the reference.
  public var margin: Double
  /// Whether the head's answer was its class at the reference.
  public var isRightAtReference: Bool
  /// Whether the network's own answer is.
  public var isRightAtEnd: Bool
  /// The steps after which it was right where it had been wrong, or the other way round.
  public var turnedBy: [Int]
}

extension Architecture {
  /// The numbers of the steps whose h_{t−1} the head can read: those of the last stage but a projection.
  var readableSteps: [Int] {
    steps.filter { $0.name.stage == stages.count - 1 && !$0.name.projection }.map(\.name.step)
  }
}
