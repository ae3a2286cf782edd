/// Count, mean and standard deviation of numbers that come one at a time, in float64 (Welford 1962).
public struct Moments: Sendable {
  public private(set) var count = 0
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
  public mutating func add(losses: [Double], entropies: [Double], predictions: [Int], labels: [Int]) {
    for loss in losses { self.losses.add(loss) }
    for entropy in entropies { self.entropies.add(entropy) }
    for (prediction, label) in zip(predictions, labels) where prediction == label { right += 1 }
  }

  public var score: Score {
    Score(
      accuracy: losses.count == 0 ? 0 : Double(right) / Double(losses.count), loss: losses.mean,
      lossStd: losses.deviation, entropy: entropies.mean, entropyStd: entropies.deviation, count: losses.count)
  }
}
