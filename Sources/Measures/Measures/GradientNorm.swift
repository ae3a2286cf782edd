import ResLensSupport
import ResLensNetworks
import ResLensResults

/// ‖∂L/∂h_{t−1}‖ at the input of every step, at a projection too, and its ratio between the first steps of the first and
/// of the last stage (§4.5, Fig. 8): whether gradients explode on the way back. L is one sample's loss.
public final class GradientNorm: Measure {
  private let firstOfLastStage: Int?
  private var sums = StepMoments()
  private var ratios = Moments()
  /// The squares of the current batch where the last stage begins.
  private var atLastStage: [Double] = []

  public init(_ architecture: Architecture) {
    let last = architecture.stages.count - 1
    firstOfLastStage = last > 0 ? architecture.steps.first { $0.stage == last }?.id.number : nil
  }

  public convenience init?(_ context: MeasureContext) { self.init(context.architecture) }

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    guard context.architecture.stages.count == 1 else { return [] }
    return [
      .init(
        measure: description.name, view: FigureKind.gradientNormRatio.rawValue,
        reason: "there is one stage, and so nothing to compare")
    ]
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    [try step.inputGradientSquares(), step.errorProbabilities]
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    sums[step.spec.id.number].add(zip(rows[0], rows[1]).map { $0.squareRoot() * $1 })
    // A sample's error probability is in both norms, and would leave nothing of either where the network is sure.
    if step.number == firstOfLastStage { atLastStage = rows[0] }
    // The steps come from the last to the first.
    if step.number == 1, firstOfLastStage != nil { ratios.add(ratios: rows[0], to: atLastStage) }
  }

  public func tables() throws -> [Table] {
    var tables = [try Table("gradient-norm", sums.statistics)]
    if ratios.count > 0 {
      tables.append(try Table("gradient-norm-ratio", of: Self.description.name, [Statistic(ratios)]))
    }
    return tables
  }

  public static let description = MeasureDescription(
    name: "gradient-norm",
    views: [
      MeasureView(
        id: "gradient-norm", table: "gradient-norm", title: "Gradient norm: how strongly does the loss pull?",
        definition: """
          <b>‖∂L/∂h<sub>t−1</sub>‖</b> where each step takes h, for each sample, then averaged over samples; at a \
          projection too, with respect to what the step takes.
          """,
        place: "§4.5, Fig. 8",
        finding: "far larger at the first block than at later ones where blocks are shared naively.",
        figures: [
          StepFigure(
            name: "gradient-norm", title: "Norm of the gradient before every step",
            quantities: [Quantity("‖∂L/∂h‖", isLogarithmic: true)],
            caption: "Means over samples, on a logarithmic scale.", markedCaption: "Diamonds: steps with a projection.")
        ],
        columns: ViewColumn.statistic(.significant),
        history: MeasureHistory(
          title: "Gradient norm over training: where does the loss pull?", explanation: "On logarithmic scales.",
          quantity: Quantity("‖∂L/∂h‖ before the step", isLogarithmic: true)),
        remark: { tables in
          guard let train = try ratio(tables, .train), let validation = try ratio(tables, .validation) else {
            return nil
          }
          return """
            The ratio of the first step of the first stage to that of the last stage is \(significant(train)) on train \
            and \(significant(validation)) on validation samples.
            """
        })
    ],
    columns: [StepColumn("‖∂L/∂h‖", table: "gradient-norm", format: .significant)],
    compared: [
      ComparedNumber("ratio", key: "gradient-norm-ratio") { try ratio($0, .validation) }
    ],
    figures: [.initialisation, .gradientNormRatio], use: .init(whileTraining: true, withBatchStatistics: true),
    remark: { tables in
      try ratio(tables, .validation).map { "gradient norm ratio, first over last stage: \(significant($0))" }
    })

  /// The mean ratio of a split; nil where there is none.
  public static func ratio(_ tables: MeasuredTables, _ split: Split) throws -> Double? {
    try tables.table("gradient-norm-ratio", split)?.presentNumbers("mean").first
  }
}
