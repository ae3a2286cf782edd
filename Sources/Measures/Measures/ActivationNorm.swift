import ResLensNetworks
import ResLensResults

/// ‖h_t‖ after every step, and before the first as step 0 (§4.5, Fig. 8 and 9): whether activations explode on the way
/// forward. Norms are over all elements of a sample's state.
public final class ActivationNorm: Measure {
  private var sums = StepMoments()

  public init() {}
  public init?(_ context: MeasureContext) {}

  public func rows(of step: StepView) throws -> [[Double]]? {
    try [step.outputSquares()] + (step.number == 1 ? [step.inputSquares()] : [])
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    sums[step.spec.id.number].add(rows[0].map { $0.squareRoot() })
    if rows.count > 1 { sums[0].add(rows[1].map { $0.squareRoot() }) }
  }

  public func tables() throws -> [Table] { [try Table("activation-norm", sums.statistics)] }

  public static let description = MeasureDescription(
    name: "activation-norm",
    views: [
      MeasureView(
        id: "activation-norm", table: "activation-norm", title: "Activation norm: how large is the hidden state?",
        definition: """
          <b>‖h<sub>t</sub>‖</b> after every step, for each sample, then averaged over samples; step 0 is what the stem \
          makes. A pooling or a projection between stages changes what the norm is taken over.
          """,
        place: "§4.5, Fig. 8, 9",
        finding: "explodes at initialisation where blocks are shared naively; unshared batch normalization repairs it.",
        figures: [
          StepFigure(
            name: "activation-norm", title: "Norm of the hidden state after every step", axis: "after step",
            quantities: [Quantity("‖h‖", isLogarithmic: true)],
            caption: "Means over samples, on a logarithmic scale.")
        ],
        columns: ViewColumn.statistic(.significant),
        history: MeasureHistory(
          title: "Activation norm over training: how large does the hidden state become?",
          explanation: "On logarithmic scales.", quantity: Quantity("‖h‖ after the step", isLogarithmic: true)))
    ],
    columns: [StepColumn("‖h‖", table: "activation-norm", format: .significant)],
    figures: [.initialisation, .gradientNormRatio], use: .init(whileTraining: true, withBatchStatistics: true))
}
