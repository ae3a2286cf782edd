/// A number with its uncertainty: over the samples of a network, and over networks that differ in their seed.
public struct Estimate: Equatable, Sendable {
  /// The number.
  public var value: Double
  /// The standard error of the number over samples; 0 for a number that is no mean over samples.
  public var sampleError: Double
  /// The number of networks.
  public var runs: Int
  /// The standard deviation of the number over the networks, with n − 1 below; nil for one network.
  public var spread: Double?

  public init(_ value: Double, sampleError: Double = 0, runs: Int = 1, spread: Double? = nil) {
    (self.value, self.sampleError, self.runs, self.spread) = (value, sampleError, runs, spread)
  }

  /// The estimate over networks that differ in their seed: the mean of their numbers. The networks were measured on the same
  /// samples, so the error over samples does not become smaller with their number: it is the mean of theirs.
  /// - Returns: nil where there are no networks
  public init?(overSeeds seeds: [Estimate]) {
    guard let first = seeds.first else { return nil }
    guard seeds.count > 1 else {
      self = first
      return
    }
    let values = SeedStatistic(seeds.map(\.value))
    self.init(
      values.mean, sampleError: SeedStatistic(seeds.map(\.sampleError)).mean, runs: seeds.count,
      spread: values.deviation)
  }

  /// The standard error over samples and over networks: √(sampleError² + spread² / runs).
  public var standardError: Double { (sampleError * sampleError + seedError * seedError).squareRoot() }

  /// The standard error over the networks alone; 0 for one network.
  public var seedError: Double { (spread ?? 0) / Double(runs).squareRoot() }

  /// The number of standard errors beyond which a difference counts.
  public static let z = 2.0

  /// Half the height of the interval of `z` standard errors around the number.
  public var margin: Double { Self.z * standardError }

  /// True if the number is above a bound, and by more than `z` standard errors; nil where it lies within them. A number that
  /// is not one (NaN) is neither above nor below.
  public func isAbove(_ bound: Double) -> Bool? {
    if value - margin > bound { return true }
    return value + margin < bound || value == bound && margin == 0 ? false : nil
  }

  /// True if the number is below a bound, and by more than `z` standard errors; nil where it lies within them.
  public func isBelow(_ bound: Double) -> Bool? { (-1 * self).isAbove(-bound) }

  /// The difference of numbers whose errors are independent.
  public static func - (left: Estimate, right: Estimate) -> Estimate {
    func sum(_ a: Double, _ b: Double) -> Double { (a * a + b * b).squareRoot() }
    // The spread of a difference of means, so that its square over the runs is the sum of both errors' squares.
    let runs = min(left.runs, right.runs)
    let seedError = sum(left.seedError, right.seedError)
    return Estimate(
      left.value - right.value, sampleError: sum(left.sampleError, right.sampleError), runs: runs,
      spread: left.spread == nil && right.spread == nil ? nil : seedError * Double(runs).squareRoot())
  }

  /// The number times a factor.
  public static func * (factor: Double, estimate: Estimate) -> Estimate {
    Estimate(
      factor * estimate.value, sampleError: abs(factor) * estimate.sampleError, runs: estimate.runs,
      spread: estimate.spread.map { abs(factor) * $0 })
  }
}

extension Estimate {
  /// The mean over steps of one network, whose errors may depend on one another in any way: the mean of the errors is the
  /// largest that the mean's error can be.
  /// - Returns: nil where there are no steps
  public init?(overSteps steps: some Collection<Estimate>) {
    guard !steps.isEmpty else { return nil }
    let spreads = steps.compactMap(\.spread)
    self.init(
      SeedStatistic(steps.map(\.value)).mean, sampleError: SeedStatistic(steps.map(\.sampleError)).mean,
      runs: steps.map(\.runs).min() ?? 1, spread: spreads.isEmpty ? nil : SeedStatistic(spreads).mean)
  }

  /// The share of samples that have some property.
  /// - Parameter count: the number of samples
  public init(share: Double, of count: Int) {
    self.init(share, sampleError: errorOfMean((share * (1 - share)).squareRoot(), of: count))
  }

  /// The change of a share over the same samples: the difference between the samples that gained a property and those that
  /// lost it, over all. Its error comes from these samples alone, as in McNemar's test.
  public init(gained: Int, lost: Int, of count: Int) {
    let (n, change) = (Double(count), Double(gained - lost) / Double(count))
    let variance = Double(gained + lost) / n - change * change
    self.init(change, sampleError: errorOfMean(max(0, variance).squareRoot(), of: count))
  }
}

extension Statistic {
  /// The mean with its standard error over samples.
  public var estimate: Estimate { Estimate(mean, sampleError: errorOfMean(std, of: count)) }
}

extension Score {
  /// The accuracy with its standard error over samples.
  public var accuracyEstimate: Estimate { Estimate(share: accuracy, of: count) }
}

/// The standard error of the mean of some samples; infinite for a single sample.
/// - Parameter deviation: the standard deviation over samples (population)
func errorOfMean(_ deviation: Double, of count: Int) -> Double {
  count > 1 ? deviation / Double(count - 1).squareRoot() : .infinity
}

/// Says if an accuracy is above that of guessing one of so many classes, by more than three standard errors of guessing.
/// - Returns: nil where the accuracy is not finite, or there are no classes or samples
public func isBeyondGuessing(accuracy: Double, classes: Int, samples: Int) -> Bool? {
  guard accuracy.isFinite, classes > 0, samples > 0 else { return nil }
  let chance = 1 / Double(classes)
  return accuracy > chance + 3 * (chance * (1 - chance) / Double(samples)).squareRoot()
}
