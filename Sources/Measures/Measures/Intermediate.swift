import ResLensSupport
import ResLensNetworks
import ResLensResults

/// The readout applied to h_t for every step t of the last stage (§4.2, Fig. 5): accuracy, loss and entropy there.
public final class IntermediateScores: Measure {
  private var sums: [Int: ScoreSum] = [:]
  /// The changes at the steps before which the readout has been read too.
  private var changes: [Int: ScoreChangeSum] = [:]
  /// The step that was added last, and the predictions after it.
  private var later: (step: Int, predictions: LabelledPredictions)?

  public init() {}
  public init?(_ context: MeasureContext) {}

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    context.unreadable(description.name)
  }

  public func rows(of step: StepView) throws -> [[Double]]? { try step.after?.predictions().rows }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    let (number, predictions) = (step.spec.id.number, LabelledPredictions(rows, of: batch))
    sums[number, default: ScoreSum()].add(predictions)
    // The steps of a batch come from the last to the first.
    if let later, later.step == number + 1 {
      changes[later.step, default: ScoreChangeSum()].add(from: predictions, to: later.predictions)
    }
    later = (number, predictions)
  }

  public func tables() throws -> [Table] {
    let rows = sums.keys.sorted().compactMap { step in sums[step].map { StepScore(step: step, $0.score) } }
    let changed = changes.keys.sorted().compactMap { step in
      changes[step]?.change.map { StepScoreChange(step: step, $0) }
    }
    return [try Table("intermediate", rows)]
      + (changed.isEmpty ? [] : [try Table("intermediate-changes", of: Self.description.name, changed)])
  }

  public static let description = MeasureDescription(
    name: "intermediate",
    views: [
      MeasureView(
        id: "intermediate", table: "intermediate", title: "Intermediate accuracy: how does the answer form?",
        definition: """
          <b>The trained readout applied to h<sub>t</sub></b> after each step of the last stage: accuracy, mean \
          cross-entropy and mean entropy of the softmax. Iterative refinement shows as an accuracy that rises little by \
          little. The readout was trained on the last h only; where it fails on earlier ones, loss and entropy say \
          whether it fails confidently.
          """,
        place: "Fig. 5", finding: "accuracy rises gradually over the blocks of the last stage.", isAlwaysShown: true,
        figures: [
          StepFigure(
            name: "intermediate", title: "Accuracy, loss and entropy after each step", axis: "after step",
            quantities: [
              Quantity("accuracy (%)", column: "accuracy", factor: 100), Quantity("loss (nats)", column: "loss"),
              Quantity("entropy (nats)", column: "entropy"),
            ], caption: "Means over samples.")
        ],
        columns: ViewColumn.score,
        history: MeasureHistory(
          title: "Intermediate accuracy over training: when does the answer form where?",
          explanation: "What the readout of that epoch says of the state after each step.",
          quantity: Quantity("accuracy (%)", column: "accuracy", factor: 100)))
    ],
    columns: [StepColumn("accuracy", table: "intermediate", column: "accuracy", format: .percent)],
    compared: [
      ComparedNumber("first", key: "intermediate-first", format: .percent) {
        try $0.table("intermediate", .validation)?.presentNumbers("accuracy").first
      }
    ],
    use: .init(whileTraining: true, withTrainedLens: true),
    sentence: { tables in
      let steps = try tables.rows(of: StepScore.self, in: "intermediate", .validation).filter(\.score.accuracy.isFinite)
      guard let first = steps.first, let last = steps.last, steps.count > 1 else { return nil }
      let rises = zip(steps, steps.dropFirst()).count { $1.score.accuracy > $0.score.accuracy }
      return "By the readout inside the last stage, accuracy goes from \(percent(first.score.accuracy)) after step "
        + "\(first.step) to \(percent(last.score.accuracy)) after step \(last.step), rising at \(rises) of "
        + "\(counted(steps.count - 1, "step"))."
    })
}
