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
    for (dot, squares) in zip(rows[0], zip(rows[1], rows[2])) {
      if let cosine = cosine(dot: dot, squares: squares) { add(cosine) }
    }
  }

  /// Adds the ratio of each sample's norms, of which the squares are given; a ratio to zero is not counted.
  public mutating func add(ratios squares: [Double], to others: [Double]) {
    for (square, other) in zip(squares, others) where other != 0 { add((square / other).squareRoot()) }
  }
}

/// The cosine of the angle between two vectors; nil where one of them is zero, and NaN where it has an element that is not
/// finite.
/// - Parameters:
///   - dot: the product of the vectors
///   - squares: the square of each one's length
func cosine(dot: Double, squares: (Double, Double)) -> Double? {
  guard squares.0 != 0, squares.1 != 0 else { return nil }
  return dot / (squares.0.squareRoot() * squares.1.squareRoot())
}

extension SampleProducts {
  /// The products as rows of a measure: Σab, Σaa and Σbb, a number a sample each.
  public var rows: [[Double]] { [dot, squares, otherSquares] }
}
