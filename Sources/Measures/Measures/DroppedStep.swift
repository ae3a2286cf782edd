import ResLensSupport
import ResLensNetworks
import ResLensResults

/// The network with one step's F left out, for every step (§4.2, Fig. 3). The projection of a step that has one stays.
public final class DroppedStep: Measure {
  private let steps: [StepSpec]
  private var sums: [ScoreSum]
  private var flips: [(right: Int, wrong: Int)]
  private var baseline = ScoreSum()
  /// True for each sample of the current batch that the whole network classifies correctly.
  private var wholeIsRight: [Bool] = []

  /// A row of the table.
  public struct Row: TableRow {
    /// The dropped step's number, from 1.
    public var step: Int
    /// The score without the step.
    public var score: Score
    /// The number of samples that are classified correctly without the step and wrongly with it.
    public var becameRight: Int
    /// The number of samples that are classified wrongly without the step and correctly with it.
    public var becameWrong: Int

    public static let keys = ["step"]
    public static let units = Score.units.merging(
      ["became_right": Table.Column.samples, "became_wrong": Table.Column.samples]) { $1 }

    enum CodingKeys: String, CodingKey {
      case step, score
      case becameRight = "became_right"
      case becameWrong = "became_wrong"
    }
  }

  public init(_ architecture: Architecture) {
    steps = architecture.steps
    sums = steps.map { _ in ScoreSum() }
    flips = steps.map { _ in (0, 0) }
  }

  public convenience init?(_ context: MeasureContext) { self.init(context.architecture) }

  /// All single drops share their beginnings.
  public static func forwardPasses(in context: MeasureContext) -> Double {
    Double(context.architecture.steps.count) / 2
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    step.number == steps.count ? step.endPredictions.rows : nil
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    let predictions = LabelledPredictions(rows, of: batch)
    baseline.add(predictions)
    wholeIsRight = predictions.right
  }

  public func plans(for network: ResidualNetwork) throws -> [Plan] {
    try steps.map { try network.plan.dropping(step: $0.id.number) }
  }

  public func add(_ predictions: LabelledPredictions, ofPlan plan: Int) {
    sums[plan].add(predictions)
    for (whole, without) in zip(wholeIsRight, predictions.right) {
      if without && !whole { flips[plan].right += 1 }
      if whole && !without { flips[plan].wrong += 1 }
    }
  }

  public func tables() throws -> [Table] {
    let rows = steps.indices.map { index in
      Row(
        step: steps[index].id.number, score: sums[index].score, becameRight: flips[index].right,
        becameWrong: flips[index].wrong)
    }
    return [
      try Table("dropped-step", rows), try Table(Self.baselineTable, of: Self.description.name, [baseline.score]),
    ]
  }

  private static let baselineTable = "dropped-step-baseline"

  public static let description = MeasureDescription(
    name: "dropped-step",
    views: [
      MeasureView(
        id: "dropped-step", table: "dropped-step", title: "Dropping a step: what does the network lose without it?",
        definition: """
          The accuracy of the trained network with <b>F<sub>t</sub> left out</b>, so that h<sub>t</sub> = \
          s<sub>t</sub>(h<sub>t−1</sub>); one step at a time, and nothing is retrained. The dotted line is the whole \
          network on the same samples. Far below it, a step does what no other step makes up for; on the line it hardly \
          matters.
          """,
        place: "Fig. 3",
        finding: """
          dropping the first blocks of the single-representation and avg-pooling networks is catastrophic; in the \
          original and wide networks it is mild. Most higher blocks of all four hardly matter.
          """,
        isAlwaysShown: true,
        figures: [
          StepFigure(
            name: "dropped-step", title: "Accuracy with one step dropped", axis: "dropped step",
            quantities: [
              Quantity(
                "accuracy (%)", column: "accuracy", factor: 100,
                reference: .init(table: baselineTable, label: "whole network"))
            ],
            caption: "Dotted: the whole network.",
            markedCaption: "Diamonds: steps with a projection, which stays when F is dropped.")
        ],
        columns: [
          ViewColumn("accuracy", column: "accuracy", format: .percent),
          ViewColumn("loss", column: "loss"),
          ViewColumn("became right", column: "became_right", format: .count),
          ViewColumn("became wrong", column: "became_wrong", format: .count),
          ViewColumn("n", column: "count", format: .count),
        ],
        history: MeasureHistory(
          title: "Dropping a step over training: which steps come to be needed?",
          explanation: "The accuracy of the network of that epoch with the step’s F left out.",
          quantity: Quantity("accuracy without the step (%)", column: "accuracy", factor: 100)),
        remark: { tables in
          guard let train = try whole(tables, .train), let validation = try whole(tables, .validation) else {
            return nil
          }
          return """
            The whole network: train \(percent(train.accuracy)) (n = \(train.count)), validation \
            \(percent(validation.accuracy)) (n = \(validation.count)).
            """
        })
    ],
    columns: [
      StepColumn("accuracy", table: "dropped-step", column: "accuracy", format: .percent, largestMattersLeast: true)
    ],
    compared: [
      // The accuracy that is lost without the step that costs most.
      ComparedNumber("worst", key: "dropped-step-worst", format: .percent) { tables in
        guard let whole = try whole(tables, .validation),
          let worst = try tables.table("dropped-step", .validation)?.presentNumbers("accuracy").min()
        else { return nil }
        return whole.accuracy - worst
      }
    ],
    use: .init(withRecalibration: true),
    remark: { tables in
      try whole(tables, .validation).map {
        "the whole network: accuracy \(percent($0.accuracy)), loss \(decimal($0.loss, 4))"
      }
    },
    sentence: { tables in
      let steps = try tables.rows(of: Row.self, in: "dropped-step", .validation).filter(\.score.accuracy.isFinite)
      guard let whole = try whole(tables, .validation)?.accuracy, whole.isFinite,
        let worst = steps.min(by: { $0.score.accuracy < $1.score.accuracy })
      else { return nil }
      guard worst.score.accuracy < whole else { return "No single step lowers the accuracy when it is dropped." }
      let mild = steps.count { $0.score.accuracy > whole - 0.01 }
      return "Dropping step \(worst.step) costs the most accuracy, from \(percent(whole)) to "
        + "\(percent(worst.score.accuracy)); less than one point is lost at \(mild) of \(counted(steps.count, "step"))."
    },
    stepCost: { tables in
      guard let whole = try whole(tables, .validation) else { return [:] }
      let steps = try tables.rows(of: Row.self, in: "dropped-step", .validation)
      return Dictionary(steps.map { ($0.step, $0.score.loss - whole.loss) }, uniquingKeysWith: { first, _ in first })
    })

  /// The score of the whole network on a split; nil where it was not measured.
  public static func whole(_ tables: MeasuredTables, _ split: Split) throws -> Score? {
    try tables.rows(of: Score.self, in: baselineTable, split).first
  }
}
