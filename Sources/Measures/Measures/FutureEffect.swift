import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// The effect of a step on what follows: with the step's F left out, how much every later step's F changes,
/// ‖F_t' − F_t‖/‖F_t‖, and how far the network's output moves, KL(whole‖without) in nats. Csordás et al. 2025, "Do Language
/// Models Use Their Depth Efficiently?", ask in this way whether later layers build on earlier ones.
///
/// A sample of which a step's F is exactly zero is not counted at that step.
public final class FutureEffect: Measure {
  private var changes: [Int: [Int: Moments]] = [:]
  private var divergences = StepMoments()
  /// F of the steps of the current batch that the way back has come to, the earliest first.
  private var later: [Tensor] = []

  /// A row of the table of later steps.
  public struct Row: TableRow {
    /// The number of the step that is left out, from 1.
    public var step: Int
    /// The number of the later step.
    public var later: Int
    /// The distribution of the change over samples.
    public var statistic: Statistic

    public static let keys = ["step", "later"]
    public static let units = Statistic.units
  }

  public init() {}
  public init?(_ context: MeasureContext) {}

  /// A step that is left out costs the steps behind it.
  public static func forwardPasses(in context: MeasureContext) -> Double {
    Double(context.architecture.steps.count) / 2
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    if step.isLast { later = [] }
    var rows: [[Double]] = []
    var index = 0
    let outputs = try step.outputsWithoutAdded { added in
      rows += try added.sampleProducts(later[index]).rows
      index += 1
    }
    later.insert(step.added, at: 0)
    if step.number == 1 { later = [] }
    let divergences = zip(try outputs.samples(), try step.endOutputs.samples()).map { without, whole in
      divergence(of: logProbabilities(without), from: logProbabilities(whole))
    }
    return [divergences] + rows
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    divergences[step.number].add(rows[0])
    for (index, first) in stride(from: 1, to: rows.count, by: 3).enumerated() {
      for sample in rows[first].indices {
        let change = Self.change(
          dot: rows[first][sample], altered: rows[first + 1][sample], own: rows[first + 2][sample])
        if let change { changes[step.number, default: [:]][step.number + 1 + index, default: Moments()].add(change) }
      }
    }
  }

  /// ‖a − b‖/‖b‖ from a·b, a·a and b·b; nil where b is zero.
  static func change(dot: Double, altered: Double, own: Double) -> Double? {
    guard own != 0 else { return nil }
    let squares = altered - 2 * dot + own
    // The square is never below 0, but its rounded sum can be. NaN stays NaN.
    return ((squares < 0 ? 0 : squares) / own).squareRoot()
  }

  public func tables() throws -> [Table] {
    let rows = changes.sorted { $0.key < $1.key }.flatMap { step, changes in
      changes.sorted { $0.key < $1.key }.map { Row(step: step, later: $0.key, statistic: Statistic($0.value)) }
    }
    return [
      try Table("future-effect", rows), try Table(Self.outputTable, of: Self.description.name, divergences.statistics),
    ]
  }

  private static let outputTable = "future-effect-output"

  public static let description = MeasureDescription(
    name: "future-effect",
    views: [
      MeasureView(
        id: "future-effect", table: "future-effect",
        title: "Future effect: which later steps build on a step?",
        definition: """
          <b>‖F<sub>t</sub>′ − F<sub>t</sub>‖ / ‖F<sub>t</sub>‖</b> for each sample, then averaged over samples: \
          F<sub>t</sub>′ is what the later step t adds where the earlier step’s F is left out. It is 0 where step t does \
          not look at what the earlier step wrote, and about 1 or more where it adds something else altogether.
          """,
        source: "Csordás et al. 2025",
        finding: """
          in large language models, leaving out a layer of the second half changes later layers and the output much less \
          than leaving out one of the first half.
          """,
        map: StepMap(
          name: "future-effect", title: "Change of every later step without a step", axis: "step that is left out",
          key: "later", label: "later step", quantity: Quantity("relative change of F", isLogarithmic: true))),
      MeasureView(
        id: outputTable, table: outputTable,
        title: "How far does the output move without a step?",
        definition: """
          <b>KL(whole ‖ without)</b>: the divergence of the network’s output distribution without the step’s F from the \
          whole network’s, in nats, averaged over samples. Labels play no part.
          """,
        source: "Csordás et al. 2025",
        figures: [
          StepFigure(
            name: outputTable, title: "Divergence of the output without a step", axis: "step that is left out",
            quantities: [Quantity("KL(whole ‖ without) (nats)", isLogarithmic: true)], caption: "")
        ],
        columns: ViewColumn.statistic(.significant)),
    ],
    columns: [StepColumn("KL without", table: outputTable)],
    compared: [
      ComparedNumber("largest", key: "future-effect-output-largest") { tables in
        try tables.table(outputTable, .validation)?.presentNumbers("mean").max()
      }
    ],
    use: .init(byDefault: false, canBeRecorded: false),
    sentence: { tables in
      let rows = try tables.rows(of: Row.self, in: "future-effect", .validation).filter(\.statistic.mean.isFinite)
      guard let strongest = rows.max(by: { $0.statistic.mean < $1.statistic.mean }) else { return nil }
      return "Without step \(strongest.step), what step \(strongest.later) adds changes most: by "
        + "\(percent(strongest.statistic.mean)) of its size."
    })
}
