import ResLensSupport
import ResLensNetworks
import ResLensResults

/// 1 − cos(h_{t−1}, h_t): how far a step turns the hidden state, the "block influence" of Men et al. 2024, "ShortGPT: Layers
/// in Large Language Models are More Redundant Than You Expect".
///
/// The states before and after a projection differ in shape and have no influence. A sample for which a state is exactly zero is not counted.
public final class Influence: Measure {
  private var sums = StepMoments()

  public init() {}
  public init?(_ context: MeasureContext) {}

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    context.incomparable(description.name)
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    try step.inputProducts().map { $0.rows + [try step.outputSquares()] }
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    for sample in rows[0].indices {
      let found = Self.influence(
        dot: rows[0][sample], input: rows[1][sample], added: rows[2][sample], output: rows[3][sample])
      if let found { sums[step.spec.id.number].add(found) }
    }
  }

  /// 1 − cos(h, h + F), with all digits where F is small beside h; nil where h or h + F is zero, and NaN where a number is
  /// not finite.
  /// - Parameters:
  ///   - dot: h·F
  ///   - input: ‖h‖²
  ///   - added: ‖F‖²
  ///   - output: ‖h + F‖²
  public static func influence(dot: Double, input: Double, added: Double, output: Double) -> Double? {
    guard input != 0, output != 0 else { return nil }
    let product = input + dot
    let lengths = input.squareRoot() * output.squareRoot()
    // Where h + F is short beside h, or points away from it, no digits are lost.
    guard product > 0, output > input / 4 else { return 1 - product / lengths }
    // 1 − p/l = (l² − p²) / (l·(l + p)), and l² − p² = ‖h‖²‖F‖² − (h·F)².
    let area = input * added - dot * dot
    return area < 0 ? 0 : area / (lengths * (lengths + product))
  }

  public func tables() throws -> [Table] { [try Table("influence", sums.statistics)] }

  public static let description = MeasureDescription(
    name: "influence",
    views: [
      MeasureView(
        id: "influence", table: "influence", title: "Influence: how far does a step turn the hidden state?",
        definition: """
          <b>1 − cos(h<sub>t−1</sub>, h<sub>t</sub>)</b>, for each sample, then averaged over samples. It is 0 where a \
          step changes the length of h alone, and does not see that length, in which it differs from the ℓ2 ratio. \
          ShortGPT removes the layers with the smallest influence. A projection’s states cannot be compared.
          """,
        source: "Men et al. 2024",
        finding: "many layers of large language models have hardly any influence, and can be removed.",
        figures: [
          StepFigure(
            name: "influence", title: "Influence of every step",
            quantities: [Quantity("1 − cos(h before, h after)", isLogarithmic: true)],
            caption: "Means over samples, on a logarithmic scale.")
        ],
        columns: ViewColumn.statistic(.significant),
        history: MeasureHistory(
          title: "Influence over training: which steps come to turn the state?", explanation: "On logarithmic scales.",
          quantity: Quantity("1 − cos", isLogarithmic: true)))
    ],
    columns: [StepColumn(table: "influence", format: .significant)],
    compared: [
      ComparedNumber("median", key: "influence-median") { tables in
        try tables.table("influence", .validation).map { median(try $0.presentNumbers("mean")) }
      }
    ],
    use: .init(withBatchStatistics: true),
    sentence: { tables in
      let steps = try tables.rows(of: StepStatistic.self, in: "influence", .validation).filter(\.mean.isFinite)
      guard steps.count > 1, let smallest = steps.min(by: { $0.mean < $1.mean }) else { return nil }
      return "Step \(smallest.step) turns the hidden state least (influence \(significant(smallest.mean)))."
    })
}
