import ResidualNetworks
import Results
import Torch

/// cos(F_t(h_{t−1}), ∂L/∂h_{t−1}) (§4.1, Fig. 4): negative where a step moves h down the loss.
///
/// A sample for which F or the gradient is exactly zero has no angle and is not counted.
public final class CosineLoss: Measure {
  private var backpropagatedSums = StepMoments()
  private var pluggedSums = StepMoments()

  public init() {}

  public func observe(_ step: StepReading) throws {
    backpropagatedSums[step.layout.name].add(cosines: try step.products())
    if let plugged = try step.pluggedProducts() { pluggedSums[step.layout.name].add(cosines: plugged) }
  }

  /// With the gradient through all later steps; every step.
  public var backpropagated: [StepStatistic] { backpropagatedSums.statistics }
  /// With the gradient of the head applied straight to h_{t−1} (appendix C); the last stage's steps.
  public var plugged: [StepStatistic] { pluggedSums.statistics }
}

/// ‖F_t(h_{t−1})‖ / ‖h_{t−1}‖ (§4.2, Fig. 2): how much a step changes h.
///
/// At a projection h_{t−1} is the projection's input. A sample whose h is exactly zero is not counted.
public final class L2Ratio: Measure {
  private var sums = StepMoments()

  public init() {}

  public func observe(_ step: StepReading) throws {
    let residual = try step.products().squares
    sums[step.layout.name].add(ratios: residual, to: try step.inputSquares())
  }

  /// Every step's.
  public var result: [StepStatistic] { sums.statistics }
}

extension Moments {
  /// The cosine of each sample; one for which a vector is exactly zero has no angle and is not counted.
  mutating func add(cosines products: SampleProducts) {
    for (dot, norms) in zip(products.dot, zip(products.squares, products.otherSquares))
    where norms.0 != 0 && norms.1 != 0 {
      add(dot / (norms.0.squareRoot() * norms.1.squareRoot()))
    }
  }

  /// The ratio of each sample's norms, of which the squares are given; one by zero is not counted.
  mutating func add(ratios squares: [Double], to others: [Double]) {
    for (square, other) in zip(squares, others) where other != 0 { add((square / other).squareRoot()) }
  }
}

/// The moments of one number a sample, for each step.
struct StepMoments {
  private var sums: [StepName: Moments] = [:]

  subscript(_ step: StepName) -> Moments {
    get { sums[step] ?? Moments() }
    _modify { yield &sums[step, default: Moments()] }
  }

  mutating func add(_ step: StepName, _ values: [Double]) {
    for value in values { self[step].add(value) }
  }

  /// In the order of the steps; a step without a single counted sample is left out.
  var statistics: [StepStatistic] {
    sums.filter { $0.value.count > 0 }.map {
      StepStatistic(name: $0.key, mean: $0.value.mean, std: $0.value.deviation, count: $0.value.count)
    }
    .sorted { $0.name.step < $1.name.step }
  }
}
