/// Count, mean and standard deviation of numbers that come one at a time, in float64 (Welford 1962).
public struct Moments: Sendable {
  /// Numbers so far.
  public private(set) var count = 0
  /// Their mean; 0 without numbers.
  public private(set) var mean = 0.0
  private var squares = 0.0

  public init() {}

  public mutating func add(_ value: Double) {
    count += 1
    let before = value - mean
    mean += before / Double(count)
    squares += before * (value - mean)
  }

  /// Population standard deviation; 0 without numbers.
  public var deviation: Double { count == 0 ? 0 : (squares / Double(count)).squareRoot() }

  /// The mean, deviation and count of the numbers; nil without numbers.
  public var statistic: Statistic? {
    count == 0 ? nil : Statistic(mean: mean, std: deviation, count: count)
  }
}

/// Means, deviations and correlation of pairs of numbers that come one at a time, in float64.
public struct PairMoments: Sendable {
  /// The moments of each pair's first number.
  public private(set) var first = Moments()
  /// The moments of each pair's second number.
  public private(set) var second = Moments()
  private var products = 0.0

  public init() {}

  public mutating func add(_ a: Double, _ b: Double) {
    let before = a - first.mean
    first.add(a)
    second.add(b)
    products += before * (b - second.mean)
  }

  /// Pearson's correlation; nil where one of the two does not vary.
  public var correlation: Double? {
    let scale = first.deviation * second.deviation
    return scale > 0 ? products / Double(first.count) / scale : nil
  }
}

/// One number of each of a few runs that differ in their seed only.
public struct SeedStatistic: Equatable, Sendable {
  /// nan without numbers.
  public var mean: Double
  /// Standard deviation with n − 1 below, as these are few samples of all seeds; nil for fewer than two.
  public var deviation: Double?

  public init(_ values: [Double]) {
    let mean = values.reduce(0, +) / Double(values.count)
    self.mean = mean
    if values.count > 1 {
      deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
    }
  }
}

/// Adds up how a classifier does, sample by sample.
public struct ScoreSum: Sendable {
  private var right = 0
  private var losses = Moments()
  private var entropies = Moments()

  public init() {}

  /// - Parameters:
  ///   - losses: cross-entropy a sample, nats
  ///   - entropies: entropy a sample, nats
  ///   - counted: whether a sample counts; all do where it is nil
  public mutating func add(
    losses: [Double], entropies: [Double], predictions: [Int], labels: [Int], counted: [Bool]? = nil
  ) {
    for sample in losses.indices where counted?[sample] ?? true {
      self.losses.add(losses[sample])
      self.entropies.add(entropies[sample])
      if predictions[sample] == labels[sample] { right += 1 }
    }
  }

  /// Samples so far.
  public var count: Int { losses.count }

  /// The score of all samples so far.
  public var score: Score {
    Score(
      accuracy: losses.count == 0 ? 0 : Double(right) / Double(losses.count), loss: losses.mean,
      lossStd: losses.deviation, entropy: entropies.mean, entropyStd: entropies.deviation, count: losses.count)
  }
}

/// The middle one of some numbers, the mean of the two in the middle where they are even in number; nan of none.
public func median(_ values: some Collection<Double>) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
