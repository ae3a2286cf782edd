import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// arccos(cos(h_{t−1}, h_{t−1+n})) / π for every range of n steps from step t on within a stage: how far the steps of the
/// range together turn the hidden state, from 0 (not at all) to 1 (the opposite direction). Gromov et al. 2024, "The Unreasonable
/// Ineffectiveness of the Deeper Layers", drop the range of n layers whose distance is smallest.
///
/// A range that begins with a projection has none, because its states differ in shape. A sample for which a state is
/// exactly zero is not counted.
public final class AngularDistance: Measure {
  private var sums: [Int: [Int: Moments]] = [:]
  /// The states after the steps of the stage that the way back has come to, the earliest first.
  private var later: [Tensor] = []

  /// A row of the table.
  public struct Row: TableRow {
    /// The number of the range's first step, from 1.
    public var step: Int
    /// The number of steps in the range.
    public var length: Int
    /// The distribution of the distance over samples.
    public var statistic: Statistic

    public static let keys = ["step", "length"]
    public static let units = Statistic.units.merging(["length": "steps"]) { $1 }

    /// The steps of the range.
    public var steps: ClosedRange<Int> { step...(step + length - 1) }
  }

  public init() {}
  public init?(_ context: MeasureContext) {}

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    context.incomparable(description.name)
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    // The steps come from the last to the first; at the end of a stage none follows.
    if step.next == nil { later = [] }
    later.insert(step.output, at: 0)
    defer { if step.number == 1 { later = [] } }
    guard step.spec.hasIdentitySkip else { return nil }
    return try later.flatMap { try step.input.sampleProducts($0).rows }
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    for (index, first) in stride(from: 0, to: rows.count, by: 3).enumerated() {
      for sample in rows[first].indices {
        let squares = (rows[first + 1][sample], rows[first + 2][sample])
        guard let cosine = cosine(dot: rows[first][sample], squares: squares) else { continue }
        let distance = cosine.isNaN ? .nan : acos(max(-1, min(1, cosine))) / .pi
        sums[step.spec.id.number, default: [:]][index + 1, default: Moments()].add(distance)
      }
    }
  }

  public func tables() throws -> [Table] {
    let rows = sums.sorted { $0.key < $1.key }.flatMap { step, ranges in
      ranges.sorted { $0.key < $1.key }.map { Row(step: step, length: $0.key, statistic: Statistic($0.value)) }
    }
    return [try Table("angular-distance", rows)]
  }

  /// The range with the smallest mean distance of each length, by ascending length; of equal ones the first.
  public static func smallest(of rows: [Row]) -> [Row] {
    Dictionary(grouping: rows.filter(\.statistic.mean.isFinite), by: \.length).values.compactMap { ranges in
      ranges.min { ($0.statistic.mean, $0.step) < ($1.statistic.mean, $1.step) }
    }.sorted { $0.length < $1.length }
  }

  public static let description = MeasureDescription(
    name: "angular-distance",
    views: [
      MeasureView(
        id: "angular-distance", table: "angular-distance",
        title: "Angular distance: which steps together hardly turn the hidden state?",
        definition: """
          <b>arccos(cos(h<sub>t−1</sub>, h<sub>t−1+n</sub>)) / π</b> for every range of n steps from step t on within a \
          stage, for each sample, then averaged over samples. It is 0 where the steps of a range leave the direction of \
          the hidden state alone, and 1 where they reverse it. Gromov et al. 2024 drop the range with the smallest \
          distance.
          """,
        source: "Gromov et al. 2024",
        finding: """
          in large language models the smallest distances are those of ranges among the deeper layers, and up to half of \
          the layers can be dropped with little loss after a small amount of finetuning.
          """,
        map: StepMap(
          name: "angular-distance", title: "Angular distance of every range of steps", axis: "first step of the range",
          key: "length", label: "steps in the range", quantity: Quantity("angular distance", isLogarithmic: true)),
        remark: { try sentence($0).map { "On validation samples: \($0)" } })
    ],
    columns: [StepColumn("one step", table: "angular-distance", selection: ["length": 1])],
    use: .init(byDefault: false, canBeRecorded: false, withBatchStatistics: true),
    remark: { try sentence($0) })

  /// The smallest distance of each length in words; nil where there are no ranges.
  private static func sentence(_ tables: MeasuredTables) throws -> String? {
    let best = smallest(of: try tables.rows(of: Row.self, in: "angular-distance", .validation))
    guard !best.isEmpty else { return nil }
    let ranges = best.map { row in
      let steps = row.length == 1 ? "step \(row.step)" : "steps \(row.steps.lowerBound) to \(row.steps.upperBound)"
      return "\(steps) (\(decimal(row.statistic.mean, 4)))"
    }
    return "the smallest angular distance of each length: \(ranges.joined(separator: ", "))"
  }
}
