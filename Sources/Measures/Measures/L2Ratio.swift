import ResLensSupport
import ResLensNetworks
import ResLensResults

/// ‖F_t(h_{t−1})‖ / ‖h_{t−1}‖ (§4.2, Fig. 2): how much a step changes h.
///
/// At a projection h_{t−1} is the projection's input. A sample whose h is exactly zero is not counted.
public final class L2Ratio: Measure {
  private var sums = StepMoments()

  public init() {}
  public init?(_ context: MeasureContext) {}

  public func rows(of step: StepView) throws -> [[Double]]? {
    [try step.products().squares, try step.inputSquares()]
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    sums[step.spec.id.number].add(ratios: rows[0], to: rows[1])
  }

  public func tables() throws -> [Table] { [try Table("l2-ratio", sums.statistics)] }

  public static let description = MeasureDescription(
    name: "l2-ratio",
    views: [
      MeasureView(
        id: "l2-ratio", table: "l2-ratio", title: "ℓ2 ratio: how far does a step move the hidden state?",
        definition: """
          <b>‖F<sub>t</sub>(h<sub>t−1</sub>)‖ / ‖h<sub>t−1</sub>‖</b>, for each sample, then averaged over samples. A \
          step with a large ratio rewrites the representation. One with a small ratio can only refine it, and for it \
          the first-order view that the cosine loss takes is a good one.
          """,
        place: "Fig. 2",
        finding: """
          up to about 2 at the first block of the single-representation and avg-pooling networks, small and falling \
          above it; small throughout in the original and wide networks.
          """,
        isAlwaysShown: true,
        figures: [
          StepFigure(
            name: "l2-ratio", title: "ℓ2 ratio of every step", quantities: [Quantity("‖F‖ / ‖h‖")])
        ],
        columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "ℓ2 ratio over training: which steps come to do much?",
          explanation: "How far each step moves the hidden state, on logarithmic scales.",
          quantity: Quantity("‖F‖ / ‖h‖", isLogarithmic: true)))
    ],
    columns: [StepColumn(table: "l2-ratio")],
    compared: [
      ComparedNumber("largest", key: "l2-ratio-largest") {
        try $0.table("l2-ratio", .validation)?.presentNumbers("mean").max()
      },
      ComparedNumber("median", key: "l2-ratio-median") { tables in
        try tables.table("l2-ratio", .validation).map { median(try $0.presentNumbers("mean")) }
      },
    ],
    use: .init(whileTraining: true, withBatchStatistics: true),
    sentence: { tables in
      let steps = try tables.rows(of: StepStatistic.self, in: "l2-ratio", .validation).filter(\.mean.isFinite)
      guard let largest = steps.max(by: { $0.mean < $1.mean }), let smallest = steps.min(by: { $0.mean < $1.mean })
      else { return nil }
      return "The ℓ2 ratio is largest at step \(largest.step) (\(decimal(largest.mean, 2))) and smallest at step "
        + "\(smallest.step) (\(decimal(smallest.mean, 2)))."
    })
}
