import ResidualNetworks
import Results

/// How much of each step's change of loss its first-order term tells (§3, eq. 4): the mean of L(h_t) − L(h_{t−1})
/// beside that of F_t(h_{t−1}) · ∂L/∂h_{t−1}, L being the plugged head's; the steps of the last stage.
public final class FirstOrder: Measure {
  /// The moments of term and change.
  private var sums: [StepName: PairMoments] = [:]

  public init() {}

  public func observe(_ step: StepReading) throws {
    guard let before = step.before, let after = step.after, let products = try step.pluggedProducts() else { return }
    let losses = try (before: before.reading().reading.losses, after: after.reading().reading.losses)
    let doubts = try before.doubts()
    for (sample, dot) in products.dot.enumerated() {
      sums[step.layout.name, default: PairMoments()].add(
        doubts[sample] * dot, losses.after[sample] - losses.before[sample])
    }
  }

  /// The results of the last stage's steps.
  public var result: [FirstOrderTerm] {
    sums.compactMap { name, moments in
      guard let term = moments.first.statistic, let change = moments.second.statistic else { return nil }
      return FirstOrderTerm(
        name: name, change: change, term: term, ratio: change.mean == 0 ? nil : term.mean / change.mean,
        correlation: moments.correlation)
    }
    .sorted { $0.name.step < $1.name.step }
  }
}
