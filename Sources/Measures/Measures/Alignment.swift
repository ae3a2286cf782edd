import ResLensSupport
import ResLensNetworks
import ResLensResults

/// cos(h_{t−1}, F_t): positive where a step strengthens what is in the hidden state, negative where it erases it (Csordás et
/// al. 2025, "Do Language Models Use Their Depth Efficiently?"); and the update cosine cos(F_{t−1}, F_t), positive where a
/// step goes on in the direction of the one before it.
///
/// At a projection h_{t−1} and F_t differ in shape, and the first step of a stage has no step before it in the stage. A
/// sample for which a vector is exactly zero has no angle and is not counted.
public final class Alignment: Measure {
  private var withState = StepMoments()
  private var withEarlierStep = StepMoments()

  public init() {}
  public init?(_ context: MeasureContext) {}

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    let steps = context.steps
    return context.incomparable(description.name, view: description.name)
      + context.absences(
        of: description.name, view: updateView, because: "the first step of a stage has no step before it in the stage"
      ) { step in
        !steps.contains { $0.stage == step.stage && $0.id.number < step.id.number }
      }
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    try (step.inputProducts()?.rows ?? []) + (step.next.map { try step.added.sampleProducts($0.added).rows } ?? [])
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    let number = step.spec.id.number
    let own = step.spec.hasIdentitySkip ? 3 : 0
    if own > 0 { withState[number].add(cosines: rows.prefix(own)) }
    if rows.count > own { withEarlierStep[number + 1].add(cosines: rows.dropFirst(own)) }
  }

  public func tables() throws -> [Table] {
    [
      try Table("alignment", withState.statistics),
      try Table(Self.updateView, of: Self.description.name, withEarlierStep.statistics),
    ]
  }

  private static let updateView = "update-cosine"

  public static let description = MeasureDescription(
    name: "alignment",
    views: [
      MeasureView(
        id: "alignment", table: "alignment", title: "Alignment: does a step strengthen what is there, or erase it?",
        definition: """
          <b>cos(h<sub>t−1</sub>, F<sub>t</sub>)</b>, for each sample, then averaged over samples. Above 0 a step writes \
          along the hidden state, and strengthens it. Below 0 it writes against it, and erases some of it. Near 0 it \
          writes something new. At a projection the two have different shapes.
          """,
        figures: [
          StepFigure(
            name: "alignment", title: "Alignment of every step with the hidden state",
            quantities: [Quantity("cos(h before, F)", rules: [0])])
        ],
        columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Alignment over training: when do steps come to strengthen or to erase?",
          explanation: "Below zero, a step erased some of the hidden state at that epoch.",
          quantity: Quantity("cos(h before, F)", rules: [0]), centre: 0)),
      MeasureView(
        id: updateView, table: updateView,
        title: "Update cosine: does a step go on where the one before it went?",
        definition: """
          <b>cos(F<sub>t−1</sub>, F<sub>t</sub>)</b>, for each sample, then averaged over samples. It is near 1 where \
          steps repeat one movement, below 0 where a step takes back some of what the one before it did, and near 0 \
          where the two have nothing to do with each other. The first step of a stage has no step before it.
          """,
        figures: [
          StepFigure(
            name: "update-cosine", title: "Cosine between each step’s F and that of the step before it",
            quantities: [Quantity("cos(F before, F)", rules: [0])])
        ],
        columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Update cosine over training: when do steps come to continue one another?",
          explanation: "Below zero, a step took back some of what the one before it did at that epoch.",
          quantity: Quantity("cos(F before, F)", rules: [0]), centre: 0)),
    ],
    columns: [StepColumn(table: "alignment"), StepColumn("with F before", table: "update-cosine")],
    compared: [
      ComparedNumber("steps < 0", key: "alignment-negative", format: .percent) { tables in
        guard let means = try tables.table("alignment", .validation)?.presentNumbers("mean"), !means.isEmpty else {
          return nil
        }
        return Double(means.count { $0 < 0 }) / Double(means.count)
      }
    ],
    use: .init(withBatchStatistics: true),
    sentence: { tables in
      let steps = try tables.rows(of: StepStatistic.self, in: "alignment", .validation).filter(\.mean.isFinite)
      guard !steps.isEmpty else { return nil }
      return "The mean alignment with the hidden state is negative in \(steps.count { $0.mean < 0 }) of "
        + "\(counted(steps.count, "step"))."
    })
}
