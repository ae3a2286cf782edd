import ResLens

/// cos(h_{t−1}, F_t): whether a step writes along what is there, or across it. A projection's h has another shape than F.
public final class Alignment: Measure {
  private var sums = StepMoments()

  public init?(_ context: MeasureContext) {}

  public func rows(of step: StepView) throws -> [[Double]]? {
    step.spec.hasIdentitySkip ? try step.skip.sampleProducts(step.added).rows : nil
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    sums[step.spec.id.number].add(cosines: rows)
  }

  public func tables() throws -> [Table] { [try Table("alignment", sums.statistics)] }

  public static let description = MeasureDescription(
    name: "alignment",
    views: [
      MeasureView(
        id: "alignment", table: "alignment", title: "Alignment: does a step write along what is there?",
        definition: "<b>cos(h<sub>t−1</sub>, F<sub>t</sub>)</b>, for each sample, then averaged over samples.",
        figures: [StepFigure(name: "alignment", title: "Alignment", quantities: [Quantity("cos(h, F)")])],
        columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Alignment over training", explanation: "Above zero, h grows.", quantity: Quantity("cos(h, F)")))
    ],
    columns: [StepColumn(table: "alignment")],
    compared: [
      ComparedNumber("mean", key: "alignment-mean") {
        try $0.table("alignment", .validation).map { median(try $0.presentNumbers("mean")) }
      }
    ], use: .init(whileTraining: true, withBatchStatistics: true))
}
