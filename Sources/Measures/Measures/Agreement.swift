import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// How well the prediction that a lens reads after each step agrees with the network's final one, whatever the labels say:
/// KL(final‖step) of the two distributions in nats, and how often the final class is the most likely one after the step, and
/// is among the five most likely ones. The divergence is the loss by which Belrose et al. 2023, "Eliciting Latent
/// Predictions from Transformers with the Tuned Lens", train their lenses.
public final class Agreement: Measure {
  private var sums: [Int: Sum] = [:]

  private struct Sum {
    var divergences = Moments()
    var first = 0
    var amongFive = 0
  }

  /// A row of the table.
  public struct Row: TableRow {
    /// The step's number, from 1.
    public var step: Int
    /// The mean of KL(final‖step) over samples, in nats.
    public var divergence: Double
    /// Its standard deviation over samples (population).
    public var divergenceStd: Double
    /// The share of samples whose final class is the most likely one after the step.
    public var first: Double
    /// The share of samples whose final class is among the five most likely ones after the step.
    public var amongFive: Double
    /// The number of samples counted.
    public var count: Int

    public static let keys = ["step"]
    public static let units = [
      "kl": "nats", "kl_std": "nats", "top1": Table.Column.share, "top5": Table.Column.share,
      "count": Table.Column.samples,
    ]

    enum CodingKeys: String, CodingKey {
      case step
      case divergence = "kl"
      case divergenceStd = "kl_std"
      case first = "top1"
      case amongFive = "top5"
      case count
    }
  }

  public init() {}
  public init?(_ context: MeasureContext) {}

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    context.unreadable(description.name)
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    guard let after = step.after else { return nil }
    let (final, read) = try (step.endOutputs.samples(), after.outputs().samples())
    return [
      zip(read, final).map { divergence(of: logProbabilities($0), from: logProbabilities($1)) },
      zip(step.endPredictions.classes, read).map { Double(Self.rank(of: $0, in: $1)) },
    ]
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    for (divergence, rank) in zip(rows[0], rows[1]) {
      sums[step.spec.id.number, default: Sum()].divergences.add(divergence)
      if rank == 0 { sums[step.spec.id.number, default: Sum()].first += 1 }
      if rank < 5 { sums[step.spec.id.number, default: Sum()].amongFive += 1 }
    }
  }

  /// The number of classes that are more likely than one of them; of equally likely classes, the lower one comes first. One
  /// whose output is not a number comes after all others.
  public static func rank(of chosen: Int, in outputs: [Double]) -> Int {
    let value = outputs[chosen]
    guard !value.isNaN else { return outputs.count }
    return outputs.enumerated().count { $0.element > value || $0.element == value && $0.offset < chosen }
  }

  public func tables() throws -> [Table] {
    let rows = sums.sorted { $0.key < $1.key }.map { step, sum in
      let count = sum.divergences.count
      return Row(
        step: step, divergence: sum.divergences.mean, divergenceStd: sum.divergences.deviation,
        first: Double(sum.first) / Double(count), amongFive: Double(sum.amongFive) / Double(count), count: count)
    }
    return [try Table("agreement", rows)]
  }

  public static let description = MeasureDescription(
    name: "agreement",
    views: [
      MeasureView(
        id: "agreement", table: "agreement",
        title: "Agreement: from which step on is the answer the final one?",
        definition: """
          <b>KL(final ‖ step)</b>: the divergence of the distribution that is read after a step from the final one, in \
          nats, averaged over samples; and the share of samples whose final class is the most likely one after the step \
          (top-1), and is among the five most likely ones (top-5). Labels play no part: where intermediate accuracy asks \
          how good an answer is, this asks whether it is the network’s own. Top-5 is 100 % where there are five classes or fewer.
          """,
        figures: [
          StepFigure(
            name: "agreement", title: "Agreement of each step’s prediction with the final one", axis: "after step",
            quantities: [
              Quantity("KL(final ‖ step) (nats)", column: "kl"), Quantity("top-1 (%)", column: "top1", factor: 100),
              Quantity("top-5 (%)", column: "top5", factor: 100),
            ])
        ],
        columns: [
          ViewColumn("KL", column: "kl"), ViewColumn("top-1", column: "top1", format: .percent),
          ViewColumn("top-5", column: "top5", format: .percent), ViewColumn("n", column: "count", format: .count),
        ],
        history: MeasureHistory(
          title: "Agreement over training: from which step on is the answer the final one?",
          explanation: "The share of samples whose final class is the most likely one after the step already.",
          quantity: Quantity("top-1 (%)", column: "top1", factor: 100)))
    ],
    columns: [
      StepColumn("top-1", table: "agreement", column: "top1", format: .percent),
      StepColumn("KL", table: "agreement", column: "kl"),
    ],
    compared: [
      ComparedNumber("first", key: "agreement-first", format: .percent) {
        try $0.table("agreement", .validation)?.presentNumbers("top1").first
      }
    ],
    use: .init(withTrainedLens: true),
    sentence: { tables in
      // After the last step the readout's answer is the final one.
      let steps = try tables.rows(of: Row.self, in: "agreement", .validation).dropLast()
      guard let settled = steps.first(where: { $0.first >= 0.9 }) else { return nil }
      return
        "Of the steps that the readout can read, step \(settled.step) is the first after which it gives nine tenths "
        + "of the samples their final class (\(percent(settled.first)))."
    })
}
