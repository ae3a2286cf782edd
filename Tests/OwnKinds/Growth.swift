import ResLens

/// ‖h_t‖ / ‖h_{t−1}‖: how much larger a step makes the hidden state. A projection makes a state of another size.
public final class Growth: Measure {
  private var sums = StepMoments()

  public init?(_ context: MeasureContext) {}

  public func rows(of step: StepView) throws -> [[Double]]? {
    step.spec.hasIdentitySkip ? [try step.outputSquares(), try step.inputSquares()] : nil
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    sums[step.spec.id.number].add(ratios: rows[0], to: rows[1])
  }

  public func tables() throws -> [Table] { [try Table("growth", sums.statistics)] }

  public static let description = MeasureDescription(
    name: "growth",
    views: [
      MeasureView(
        id: "growth", table: "growth", title: "Growth: does a step make the hidden state larger?",
        definition: "<b>‖h<sub>t</sub>‖ / ‖h<sub>t−1</sub>‖</b>, for each sample, then averaged over samples.",
        figures: [StepFigure(name: "growth", title: "Growth", quantities: [Quantity("‖h‖ after / before")])],
        columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Growth over training", explanation: "Above 1, h grows.", quantity: Quantity("‖h‖ after / before")))
    ],
    columns: [StepColumn(table: "growth")],
    compared: [
      ComparedNumber("mean", key: "growth-mean") {
        try $0.table("growth", .validation).map { median(try $0.presentNumbers("mean")) }
      }
    ], use: .init(whileTraining: true, withBatchStatistics: true))
}
