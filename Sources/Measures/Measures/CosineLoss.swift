import ResLensSupport
import ResLensNetworks
import ResLensResults

/// cos(F_t(h_{t−1}), ∂L/∂h_{t−1}) (§4.1, Fig. 4): negative where a step moves h down the loss.
///
/// A sample for which F or the gradient is exactly zero has no angle and is not counted.
public final class CosineLoss: Measure {
  private var backpropagated = StepMoments()
  private var readout = StepMoments()

  /// The gradient that F is compared with.
  public enum Gradient: String, Codable, Sendable {
    /// The gradient that comes back through all later steps; every step has it.
    case backpropagated
    /// The gradient of the readout applied to h_{t−1}, or to the projection's output at a projection (appendix C);
    /// only the steps of the last stage have it.
    case readout
  }

  /// A row of the table.
  public struct Row: TableRow {
    /// The gradient that F is compared with, a `Gradient`.
    public var gradient: String
    /// The step's number, from 1.
    public var step: Int
    /// The distribution of the cosine over samples.
    public var statistic: Statistic

    public static let keys = ["gradient", "step"]
    public static let units = Statistic.units
  }

  public init() {}
  public init?(_ context: MeasureContext) {}

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    guard context.options.batchNorm == .running else {
      let reason = "the readout is not applied inside the network by each batch's own statistics"
      return [.init(measure: description.name, view: readoutView, reason: reason)]
    }
    return context.unreadable(description.name, view: readoutView, readsBefore: true)
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    try step.products().rows + (step.lensProducts()?.rows ?? [])
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    backpropagated[step.spec.id.number].add(cosines: rows.prefix(3))
    if rows.count > 3 { readout[step.spec.id.number].add(cosines: rows.suffix(3)) }
  }

  public func tables() throws -> [Table] {
    func rows(_ gradient: Gradient, _ sums: StepMoments) -> [Row] {
      sums.statistics.map {
        Row(gradient: gradient.rawValue, step: $0.step, statistic: $0.statistic)
      }
    }
    return [
      try Table("cosine-loss", rows(.backpropagated, backpropagated) + rows(.readout, readout))
    ]
  }

  private static let readoutView = "cosine-loss-readout"
  private static let byBackpropagation: [String: Cell] = ["gradient": "backpropagated"]
  private static let byReadout: [String: Cell] = ["gradient": "readout"]

  public static let description = MeasureDescription(
    name: "cosine-loss",
    views: [
      MeasureView(
        id: "cosine-loss", table: "cosine-loss", selection: byBackpropagation,
        title: "Cosine loss: does a step go downhill?",
        definition: """
          <b>cos(F<sub>t</sub>(h<sub>t−1</sub>), ∂L/∂h<sub>t−1</sub>)</b> with the gradient backpropagated through all \
          later steps. To first order a step changes the loss by F<sub>t</sub>(h<sub>t−1</sub>) · ∂L/∂h<sub>t−1</sub>. \
          Below zero it moves the hidden state to where the loss is lower, as a step of gradient descent would.
          """,
        place: "Fig. 4",
        finding: """
          negative for all blocks, more so for higher ones; about −0.1 for the last block of ResNet-110 (caption of \
          Fig. 6).
          """,
        isAlwaysShown: true,
        figures: [
          StepFigure(
            name: "cosine-loss", title: "Cosine loss of every step",
            quantities: [Quantity("cosine loss", rules: [0])],
            markedCaption: StepFigure.gradientOfProjection)
        ],
        columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Cosine loss over training: when do steps begin to go downhill?",
          explanation:
            "Below zero, a step moved the hidden state to where the loss is lower already at that epoch.",
          quantity: Quantity("cosine loss", rules: [0]), centre: 0)),
      MeasureView(
        id: readoutView, table: "cosine-loss", selection: byReadout,
        title: "Cosine loss by the readout: would it go downhill if the network ended there?",
        definition: """
          The same cosine, but with L computed by <b>the readout applied to h<sub>t−1</sub></b> as if no step followed \
          (the paper: “plugging the classifier”). Does F<sub>t</sub> improve the answer that can be read off already? \
          Only the hidden states of the last stage fit the readout.
          """,
        place: "App. C", finding: "negative in all architectures, all through training.", isAlwaysShown: true,
        figures: [
          StepFigure(
            name: readoutView, title: "Cosine loss with the readout's gradient, last stage",
            quantities: [Quantity("cosine loss, readout", rules: [0])],
            markedCaption: StepFigure.gradientOfProjection)
        ],
        columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Cosine loss by the readout over training: the last stage by itself",
          explanation: "With the gradient of the readout applied to the state before the step.",
          quantity: Quantity("cosine loss, readout", rules: [0]), centre: 0)),
    ],
    columns: [
      StepColumn(table: "cosine-loss", selection: byBackpropagation, largestMattersLeast: true),
      StepColumn("readout", table: "cosine-loss", selection: byReadout, largestMattersLeast: true),
    ],
    compared: [
      ComparedNumber("steps < 0", key: "cosine-loss-negative", format: .percent) { tables in
        let means = try means(tables)
        return means.isEmpty ? nil : Double(means.count { $0 < 0 }) / Double(means.count)
      },
      ComparedNumber("last", key: "cosine-loss-last") { try means($0).last },
    ],
    use: .init(whileTraining: true, withBatchStatistics: true),
    sentence: { tables in
      let all = try tables.rows(of: StepStatistic.self, in: "cosine-loss", .validation, byBackpropagation)
        .filter(\.mean.isFinite)
      guard let stage = all.compactMap({ tables.step($0.step)?.stage }).max() else { return nil }
      let last = all.filter { tables.step($0.step)?.stage == stage }
      let downhill = { (steps: [StepStatistic]) in steps.count { $0.mean < 0 } }
      var text = "The mean cosine loss is negative in \(downhill(all)) of \(counted(all.count, "step"))"
      if last.count < all.count { text += ", in the last stage in \(downhill(last)) of \(last.count)" }
      return text + "."
    })

  /// The mean of every step on validation samples, in order.
  private static func means(_ tables: MeasuredTables) throws -> [Double] {
    try tables.table("cosine-loss", .validation, byBackpropagation)?.presentNumbers("mean") ?? []
  }
}
