import ResLensResults
import ResLensTorch

/// The moments of one number a sample, for each step.
public struct StepMoments {
  private var sums: [Int: Moments] = [:]

  public init() {}

  /// The moments of a step, by its number.
  public subscript(step: Int) -> Moments {
    get { sums[step] ?? Moments() }
    _modify { yield &sums[step, default: Moments()] }
  }

  /// In the order of the steps; a step without a single counted sample is left out.
  public var statistics: [StepStatistic] {
    sums.keys.sorted().filter { self[$0].count > 0 }.map { StepStatistic(step: $0, Statistic(self[$0])) }
  }
}

extension Moments {
  /// Adds one number a sample.
  public mutating func add(_ values: [Double]) { for value in values { add(value) } }

  /// Adds the cosine of each sample; one for which a vector is exactly zero has no angle and is not counted.
  /// - Parameter rows: Σab, Σaa and Σbb of each sample
  public mutating func add(cosines rows: some Collection<[Double]>) {
    let rows = Array(rows)
    for (dot, norms) in zip(rows[0], zip(rows[1], rows[2])) where norms.0 != 0 && norms.1 != 0 {
      add(dot / (norms.0.squareRoot() * norms.1.squareRoot()))
    }
  }

  /// Adds the ratio of each sample's norms, of which the squares are given; a ratio to zero is not counted.
  public mutating func add(ratios squares: [Double], to others: [Double]) {
    for (square, other) in zip(squares, others) where other != 0 { add((square / other).squareRoot()) }
  }
}

extension SampleProducts {
  /// The products as rows of a measure: Σab, Σaa and Σbb, a number a sample each.
  public var rows: [[Double]] { [dot, squares, otherSquares] }
}
