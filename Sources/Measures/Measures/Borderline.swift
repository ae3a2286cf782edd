import ResLensSupport
import ResLensNetworks
import ResLensResults

/// Scores along the last steps of the examples near the decision boundary, of those that were correct already, and of
/// all (§4.3, Fig. 6). The groups are determined by the readout's predictions at one state, the reference.
public final class BorderlineGroups: Measure {
  /// An example is borderline where |p_y − max_{k≠y} p_k| is below this at the reference.
  public let margin: Double
  /// The number of steps made before the state that fixes the groups.
  public let reference: Int

  private let steps: [StepSpec]
  /// The groups' sums after `reference`, `reference + 1`, … steps.
  private var sums: [GroupSums<ScoreSum>]
  /// The groups' changes after `reference + 1`, … steps: from the reference, and from the state before.
  private var changes: [(fromReference: GroupSums<ScoreChangeSum>, fromBefore: GroupSums<ScoreChangeSum>)]
  /// The flipped predictions at each step after the reference.
  private var flips: [Flips]
  /// For the current batch, the predictions after each step that was seen so far, the last step first.
  private var later: [LabelledPredictions] = []
  private let list: ((BorderlineExample) -> Void)?

  /// A row of the table of scores: one group of examples after one step.
  public struct Row: TableRow {
    /// The number of steps made before the state.
    public var step: Int
    /// "borderline", "already-correct" or "all".
    public var group: String
    /// The score of the group after that step.
    public var score: Score

    public static let keys = ["step", "group"]
    public static let units = Score.units

    init(step: Int, group: String, _ score: Score) {
      (self.step, self.group) = (step, group)
      self.score = score
    }
  }

  /// A row of the table of changes: one group of examples from an earlier state to the state after one step.
  public struct ChangeRow: TableRow {
    /// The earlier state: "reference", or "before" for the state before the step.
    public var from: String
    /// The number of steps made before the later state.
    public var step: Int
    /// "borderline", "already-correct" or "all".
    public var group: String
    /// The change of the group's score.
    public var change: ScoreChange

    public static let keys = ["from", "step", "group"]
    public static let units = ScoreChange.units
  }

  /// A row of the table of flips: the borderline examples whose prediction flips at one step.
  public struct Flips: TableRow {
    /// The step's number, from 1.
    public var step: Int
    /// The number of examples that are wrong before the step and right after it.
    public var corrected: Int
    /// The number of examples that are right before the step and wrong after it.
    public var broken: Int
    /// The number of borderline examples.
    public var count: Int

    public static let keys = ["step"]
    public static let units = [
      "corrected": Table.Column.samples, "broken": Table.Column.samples, "count": Table.Column.samples,
    ]
  }

  /// - Parameters:
  ///   - margin: an example is borderline where |p_y − max_{k≠y} p_k| is below it
  ///   - lastSteps: the number of last steps that are looked at; five, or as many as the lens can read, where it is nil
  ///   - lens: the kind of trained lens that reads the states; nil for the network's own readout
  ///   - list: receives every borderline example
  /// - Throws: `MeasureError` for a margin that is not above 0 and at most 1, or where the lens cannot read the
  ///   state before the last `lastSteps` steps.
  public init(
    _ architecture: Architecture, margin: Double = 0.1, lastSteps: Int? = nil, lens: LensKind? = nil,
    list: ((BorderlineExample) -> Void)? = nil
  ) throws(MeasureError) {
    try Groups.check(margin: margin)
    var options = MeasureOptions(names: [])
    options.lastSteps = lastSteps
    if let lens { options.way = .lens(lens) }
    let context = MeasureContext(architecture, options)
    let steps = context.steps
    let last = Self.lastSteps(in: context)
    guard last >= 1, context.readableSteps.contains(steps.count - last + 1) else {
      let possible = context.readableSteps.map { "\(steps.count - $0 + 1)" }.reversed().joined(separator: ", ")
      throw MeasureError(
        option: "last-steps",
        problem: "\(architecture.name) has no state that the lens reads before the last \(last) steps"
          + (possible.isEmpty ? "" : "; it has one before the last \(possible)"))
    }
    (self.steps, self.margin, self.list) = (steps, margin, list)
    reference = steps.count - last
    sums = Array(repeating: GroupSums(), count: last + 1)
    changes = Array(repeating: (GroupSums(), GroupSums()), count: last)
    flips = steps.suffix(last).map { Flips(step: $0.id.number, corrected: 0, broken: 0, count: 0) }
  }

  public convenience init?(_ context: MeasureContext) throws(MeasureError) {
    // Without the option, a network has no borderline examples if the lens cannot read the state before any step.
    guard context.options.lastSteps != nil || !context.readableSteps.isEmpty else { return nil }
    try self.init(
      context.architecture, margin: context.options.margin, lastSteps: context.options.lastSteps,
      lens: context.options.lens, list: context.listBorderline)
  }

  private static let usual = 5

  /// The number of last steps that are looked at: the one that is asked for, or five or fewer; 0 where the lens cannot read
  /// the state before any step.
  private static func lastSteps(in context: MeasureContext) -> Int {
    let possible = context.readableSteps.map { context.steps.count - $0 + 1 }
    return context.options.lastSteps ?? possible.filter { $0 <= usual }.max() ?? 0
  }

  private static func reader(in context: MeasureContext) -> String {
    if case .lens = context.options.way { "the lens" } else { "the readout" }
  }

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    let (last, steps) = (lastSteps(in: context), context.steps.count)
    guard context.options.lastSteps == nil, last < min(usual, steps) else { return [] }
    guard last > 0 else {
      return [.init(measure: description.name, reason: "\(reader(in: context)) cannot read the state before any step")]
    }
    return [
      .init(
        measure: description.name, steps: max(1, steps - usual + 1)...steps - last,
        reason: "\(reader(in: context)) cannot read the state before them")
    ]
  }

  public static func parameters(in context: MeasureContext) -> [String: Cell] {
    [
      "margin": .number(context.options.margin),
      "reference": .number(Double(context.steps.count - lastSteps(in: context))),
    ]
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    guard step.number > reference, let after = step.after else { return nil }
    guard step.number == reference + 1 else { return try after.predictions().rows }
    guard let before = step.before else { return nil }
    return try after.predictions().rows + before.predictions().rows
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    if step.number == steps.count { later = [] }
    later.append(LabelledPredictions(rows, of: batch))
    if step.number == reference + 1 { fold([LabelledPredictions(Array(rows.suffix(4)), of: batch)] + later.reversed()) }
  }

  /// - Parameter states: the predictions from the reference on
  private func fold(_ states: [LabelledPredictions]) {
    let groups = Groups(states[0], margin: margin)
    for (index, state) in states.enumerated() { sums[index].add(state, groups) }
    for index in changes.indices {
      changes[index].fromReference.add(from: states[0], to: states[index + 1], groups)
      changes[index].fromBefore.add(from: states[index], to: states[index + 1], groups)
    }
    let right = states.map(\.right)
    for sample in groups.borderline.indices where groups.borderline[sample] {
      var flippedBy: [Int] = []
      for index in flips.indices {
        let (was, now) = (right[index][sample], right[index + 1][sample])
        flips[index].count += 1
        if !was && now { flips[index].corrected += 1 }
        if was && !now { flips[index].broken += 1 }
        if was != now { flippedBy.append(flips[index].step) }
      }
      list?(
        BorderlineExample(
          index: states[0].indices[sample], label: states[0].classes[sample],
          margin: states[0].predictions.margins[sample], isRightAtReference: right[0][sample],
          isRightAtEnd: right[right.count - 1][sample], flippedBy: flippedBy))
    }
  }

  public func tables() throws -> [Table] {
    let rows = sums.enumerated().flatMap { index, sums in
      sums.scores.map { Row(step: reference + index, group: $0.group, $0.score) }
    }
    let changed = changes.enumerated().flatMap { index, changes in
      [("reference", changes.fromReference), ("before", changes.fromBefore)].flatMap { from, sums in
        sums.changes.map { ChangeRow(from: from, step: reference + index + 1, group: $0.group, change: $0.change) }
      }
    }
    return [
      try Table("borderline", rows), try Table("borderline-flips", of: Self.description.name, flips),
      try Table("borderline-changes", of: Self.description.name, changed),
    ]
  }

  public static let description = MeasureDescription(
    name: "borderline",
    views: [
      MeasureView(
        id: "borderline", table: "borderline", title: "Borderline examples: what do the last steps correct?",
        definition: """
          An example of class y is borderline where the readout is nearly undecided about it, <b>|p<sub>y</sub> − \
          max<sub>k≠y</sub> p<sub>k</sub>| &lt; margin</b>, at an earlier state, the reference. The groups stay as they \
          are there while the later steps run: the borderline examples, those that were classified correctly already \
          (borderline or not), and all. Of the borderline examples, a step corrects those that are wrong before it and \
          right after it, and breaks those that go the other way.
          """,
        place: "Fig. 6",
        finding: """
          a significant chunk of borderline examples gets corrected by the immediate next residual block; what the last \
          blocks improve on borderline examples is at the expense of the loss of examples that are correct already.
          """)
    ],
    printed: [
      PrintedTable(
        "borderline", title: "accuracy and loss of each group of examples after each step", pivot: "group",
        values: [("accuracy", .percent), ("loss", .decimal(4))]),
      PrintedTable(
        "borderline-flips", title: "borderline examples that each step corrects and breaks",
        values: [("corrected", .count), ("broken", .count), ("count", .count)]),
    ],
    compared: [
      ComparedNumber("reference", key: "borderline-reference", format: .percent) { try accuracies($0).first },
      ComparedNumber("end", key: "borderline-end", format: .percent) { try accuracies($0).last },
    ],
    use: .init(canBeRecorded: false, withTrainedLens: true),
    sentence: sentence)

  /// The accuracy of the validation samples' borderline group at the reference and after each step.
  private static func accuracies(_ tables: MeasuredTables) throws -> [Double] {
    try tables.table("borderline", .validation, ["group": "borderline"])?.presentNumbers("accuracy") ?? []
  }

  @Sendable private static func sentence(_ tables: MeasuredTables) throws -> String? {
    let states = try tables.rows(of: Row.self, in: "borderline", .validation)
    guard let reference = states.first?.step else { return nil }
    let group = states.filter { $0.group == "borderline" }
    guard let before = group.first, let after = group.last else {
      return "No validation example is borderline after step \(reference)."
    }
    let verb = before.score.count == 1 ? "is" : "are"
    var text =
      "Of \(counted(before.score.count, "validation example")) that \(verb) borderline after step \(reference), "
    let flips = try tables.rows(of: Flips.self, in: "borderline-flips", .validation).filter { $0.count > 0 }
    func share(_ part: Int, of whole: Int) -> String { percent(Double(part) / Double(whole), 1) }
    if let best = flips.max(by: { ($0.corrected, $1.step) < ($1.corrected, $0.step) }), best.corrected > 0 {
      let next = best.step == reference + 1 ? ", the very next one," : ""
      text += "step \(best.step)" + (flips.count > 1 ? "\(next) corrects the most" : " corrects some")
      text += " (\(share(best.corrected, of: best.count)), and breaks \(share(best.broken, of: best.count)))"
    } else {
      text += "no step corrects any"
    }
    guard after.step > reference else { return text + "." }
    return text
      + "; the share that is right goes from \(percent(before.score.accuracy, 1)) to \(percent(after.score.accuracy, 1)) "
      + "after step \(after.step)."
  }
}

/// An example that is borderline at the reference.
public struct BorderlineExample: Equatable, Sendable {
  /// The example's index in its set.
  public var index: Int
  /// The example's class.
  public var label: Int
  /// p_y − max_{k≠y} p_k at the reference.
  public var margin: Double
  /// True if the readout classifies it correctly at the reference.
  public var isRightAtReference: Bool
  /// True if the network classifies it correctly.
  public var isRightAtEnd: Bool
  /// The steps after which it was right where it had been wrong, or the other way round.
  public var flippedBy: [Int]
}
