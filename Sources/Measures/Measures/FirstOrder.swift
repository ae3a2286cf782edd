import ResLensSupport
import ResLensNetworks
import ResLensResults

/// How much of each step's change of loss its first-order term tells (§3, eq. 4): L(h_t) − L(h_{t−1}) beside
/// F_t(h_{t−1}) · ∂L/∂h_{t−1}, where L is the loss of the readout applied to the state; the steps of the last stage.
///
/// At a projection h_{t−1} is the projection's output.
public final class FirstOrder: Measure {
  /// The moments of term and change, by step.
  private var sums: [Int: PairMoments] = [:]

  /// A row of the table.
  public struct Row: TableRow {
    /// The step's number, from 1.
    public var step: Int
    /// The mean of L(h_t) − L(h_{t−1}) over samples, in nats.
    public var change: Double
    /// Its standard deviation over samples (population).
    public var changeStd: Double
    /// The mean of F_t(h_{t−1}) · ∂L/∂h_{t−1} over samples, in nats.
    public var term: Double
    /// Its standard deviation over samples (population).
    public var termStd: Double
    /// The mean term over the mean change: 1 where the first order tells all; nil where the mean change is 0.
    public var ratio: Double?
    /// Pearson's correlation of term and change over samples; nil where one of them does not vary.
    public var correlation: Double?
    /// The number of samples counted.
    public var count: Int

    public static let keys = ["step"]
    public static let units = [
      "change": "nats", "change_std": "nats", "term": "nats", "term_std": "nats", "count": Table.Column.samples,
    ]

    enum CodingKeys: String, CodingKey {
      case step, change, term, ratio, correlation, count
      case changeStd = "change_std"
      case termStd = "term_std"
    }
  }

  public init() {}
  public init?(_ context: MeasureContext) {}

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    context.unreadable(description.name, readsBefore: true)
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    guard let before = step.before, let after = step.after, let products = try step.lensProducts() else { return nil }
    let (from, to) = try (before.predictions().losses, after.predictions().losses)
    let terms = zip(try before.errorProbabilities(), products.dot).map { $0 * $1 }
    return [terms, zip(to, from).map { $0 - $1 }]
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    for (term, change) in zip(rows[0], rows[1]) {
      sums[step.spec.id.number, default: PairMoments()].add(term, change)
    }
  }

  public func tables() throws -> [Table] {
    let rows = sums.keys.sorted().compactMap { step -> Row? in
      guard let moments = sums[step] else { return nil }
      let (term, change) = (moments.first, moments.second)
      return Row(
        step: step, change: change.mean, changeStd: change.deviation, term: term.mean, termStd: term.deviation,
        ratio: change.mean == 0 ? nil : term.mean / change.mean, correlation: moments.correlation, count: change.count)
    }
    return [try Table("first-order", rows)]
  }

  public static let description = MeasureDescription(
    name: "first-order",
    views: [
      MeasureView(
        id: "first-order", table: "first-order", title: "First-order term: how much of a step’s work does it tell?",
        definition: """
          <b>L(h<sub>t</sub>) − L(h<sub>t−1</sub>) = F<sub>t</sub>(h<sub>t−1</sub>) · ∂L/∂h<sub>t−1</sub> + \
          O(‖F<sub>t</sub>‖²)</b>, with L computed by the readout applied to the state. The left side is what a step \
          does to the loss; the first term on the right is what the cosine loss looks at. Where they agree, a step’s \
          direction tells what it does. Where they differ, the step is too large for that. Their ratio (mean term over \
          mean change) is 1 where the first order tells all; their correlation over samples says whether it ranks the \
          examples correctly. Only the hidden states of the last stage fit the readout.
          """,
        place: "§3, eq. 4",
        finding: "argues with this expansion; how much of the change it tells was not measured there.",
        figures: [
          StepFigure(
            name: "first-order", title: "Change of loss by each step, and its first-order term",
            quantities: [
              Quantity("change of loss (nats)", column: "change", rules: [0]),
              Quantity("first-order term (nats)", column: "term", rules: [0]),
            ],
            caption: "Means over samples, in nats; below the line the loss falls.",
            markedCaption: StepFigure.gradientOfProjection),
          StepFigure(
            name: "first-order-share", title: "How much of each step’s change of loss its first-order term tells",
            quantities: [
              Quantity("mean term / mean change", column: "ratio", bounds: -1...3, rules: [1]),
              Quantity("correlation", column: "correlation", rules: [0]),
            ],
            caption: "Ratios beyond −1 and 3, where the mean change is near 0, are cut off; the table has them.",
            markedCaption: StepFigure.gradientOfProjection),
        ],
        columns: [
          ViewColumn("change", column: "change"),
          ViewColumn("term", column: "term"),
          ViewColumn("ratio", column: "ratio", format: .decimal(3)),
          ViewColumn("correlation", column: "correlation", format: .decimal(3)),
          ViewColumn("n", column: "count", format: .count),
        ],
        history: MeasureHistory(
          title: "First-order term over training: when does it tell the change of loss?",
          explanation:
            "1 where the first order tells all. Beyond −1 and 3, where the mean change is near 0, it is cut off.",
          quantity: Quantity("mean term / mean change", column: "ratio", bounds: -1...3, rules: [1]), centre: 1))
    ],
    columns: [
      StepColumn("change", table: "first-order", column: "change", largestMattersLeast: true),
      StepColumn("term", table: "first-order", column: "term", largestMattersLeast: true),
      StepColumn("correlation", table: "first-order", column: "correlation", format: .decimal(2)),
    ],
    use: .init(whileTraining: true, withTrainedLens: true),
    sentence: { tables in
      let steps = try tables.rows(of: Row.self, in: "first-order", .validation)
      guard let last = steps.last(where: { $0.change.isFinite && $0.term.isFinite }) else { return nil }
      let start = "At step \(last.step) the mean change of loss is \(significant(last.change))"
      guard let ratio = last.ratio, ratio.isFinite, last.change != 0 else { return start + "." }
      let part =
        ratio < 0
        ? "the first-order term (\(significant(last.term))) has the opposite sign"
        : "the first-order term is \(percent(ratio, 0)) of it"
      return "\(start); \(part)."
    })
}
