import ResidualNetworks
import Results
import Torch

/// Scores of the trained network when its steps run differently (Veit et al. 2016): random steps dropped, random pairs
/// exchanged, adjacent steps swapped, or the F of one step scaled. Steps that change h's shape stay in place, and steps
/// move only within their stage.
public final class LesionScores: Measure {
  public let plannedSamples: Int?
  private let steps: [StepName]
  private let lesions: [Lesion]
  /// The sums of the undamaged network, then those of each lesion.
  private var sums: [ScoreSum]

  /// Which lesions, how many and on how many samples.
  public struct Options: Equatable, Sendable {
    /// How many random steps to drop; 1, 2, 4, 8, 16 as far as there are as many where it is nil.
    public var drops: [Int]?
    /// How many random pairs to exchange; 1, 2, 4, 8, 16 as far as there are as many where it is nil: the same pair again and
    /// again would only undo itself.
    public var shuffles: [Int]?
    /// The factors by which every single step's F is multiplied.
    public var factors: [Double]
    /// How often each random lesion is drawn.
    public var seeds: Int
    /// Only the first so many samples; nil for all.
    public var samples: Int?

    public init(
      drops: [Int]? = nil, shuffles: [Int]? = nil, factors: [Double] = [0.5, 2], seeds: Int = 3, samples: Int? = nil
    ) {
      self.drops = drops
      self.shuffles = shuffles
      self.factors = factors
      self.seeds = seeds
      self.samples = samples
    }
  }

  private enum Lesion {
    case dropped(size: Int, seed: Int, steps: [Int])
    case shuffled(size: Int, seed: Int, pairs: [(Int, Int)])
    case swapped(Int, Int)
    case scaled(Int, by: Double)
  }

  /// - Throws: `MeasureError` for more drops than there are steps that keep their shape, a factor that is no number, or
  ///   counts below 1.
  public init(_ architecture: Architecture, _ options: Options = Options()) throws(MeasureError) {
    let steps = architecture.steps.map(\.name)
    let movable = steps.filter { !$0.projection }
    let pairs = Self.pairs(of: movable)
    try Self.check(options, movable: movable.count, name: architecture.name)
    let drops = options.drops ?? Self.sizes.filter { $0 <= movable.count }
    let shuffles = pairs.isEmpty ? [] : options.shuffles ?? Self.sizes.filter { $0 <= pairs.count }
    var lesions: [Lesion] = []
    for seed in 0..<options.seeds {
      let stream = RandomStream(seed: UInt64(seed), name: "lesions")
      // One order a seed: dropping more steps drops those that fewer drops do, and one besides.
      let keys = stream.stream(0)
      let order = movable.enumerated().sorted { (keys.bits($0.offset), $0.offset) < (keys.bits($1.offset), $1.offset) }
      for size in drops {
        lesions.append(.dropped(size: size, seed: seed, steps: order.prefix(size).map(\.element.step)))
      }
      let draws = stream.stream(1)
      for size in shuffles {
        let drawn = (0..<size).compactMap { draws.element($0, of: pairs) }
        lesions.append(.shuffled(size: size, seed: seed, pairs: drawn))
      }
    }
    lesions += pairs.filter { $0.1 == $0.0 + 1 }.map { .swapped($0.0, $0.1) }
    lesions += steps.flatMap { step in options.factors.map { .scaled(step.step, by: $0) } }
    self.steps = steps
    self.lesions = lesions
    plannedSamples = options.samples
    sums = Array(repeating: ScoreSum(), count: lesions.count + 1)
  }

  /// How many lesions there are, each a way for the network to run.
  public var count: Int { lesions.count }

  private static let sizes = [1, 2, 4, 8, 16]

  /// Any two steps of one stage.
  private static func pairs(of movable: [StepName]) -> [(Int, Int)] {
    movable.flatMap { first in
      movable.filter { $0.stage == first.stage && $0.step > first.step }.map { (first.step, $0.step) }
    }
  }

  private static func check(_ options: Options, movable: Int, name: String) throws(MeasureError) {
    for drop in options.drops ?? [] where drop < 1 || drop > movable {
      throw MeasureError(
        option: "lesion-drops",
        problem: "\(drop) is not between 1 and \(movable), the steps of \(name) that keep h's shape"
      )
    }
    for size in options.shuffles ?? [] where !(1...10_000).contains(size) {
      throw MeasureError(option: "lesion-shuffles", problem: "\(size) is not between 1 and 10000")
    }
    try MeasureError.check(distinct: options.drops ?? [], option: "lesion-drops")
    try MeasureError.check(distinct: options.shuffles ?? [], option: "lesion-shuffles")
    try MeasureError.check(distinct: options.factors, option: "lesion-factors")
    for factor in options.factors where !factor.isFinite {
      throw MeasureError(option: "lesion-factors", problem: "\(factor) is not a number")
    }
    guard (1...1000).contains(options.seeds) else {
      throw MeasureError(option: "lesion-seeds", problem: "\(options.seeds) is not between 1 and 1000")
    }
    if let samples = options.samples, samples < 1 {
      throw MeasureError(option: "lesion-samples", problem: "\(samples): at least one is needed")
    }
  }

  public func plans(for network: ResidualNetwork) throws -> [Plan] {
    let plan = network.plan
    return try [plan]
      + lesions.map { lesion in
        switch lesion {
        case .dropped(_, _, let steps): try plan.dropping(steps: steps)
        case .shuffled(_, _, let pairs): try pairs.reduce(plan) { try $0.exchanging(step: $1.0, with: $1.1) }
        case .swapped(let first, let second): try plan.exchanging(step: first, with: second)
        case .scaled(let step, let factor): try plan.scaling(step: step, by: factor)
        }
      }
  }

  public func observe(plan: Int, _ reading: LabelledReading) { sums[plan].add(reading) }

  /// Scores of every lesion, and of the undamaged network on the same samples.
  public var result: Lesions {
    var dropped: [Int: [Lesions.Trial]] = [:]
    var shuffled: [Int: [Lesions.Trial]] = [:]
    var all = Lesions(baseline: sums[0].score, dropped: [], shuffled: [], swapped: [], scaled: [])
    for (lesion, sum) in zip(lesions, sums.dropFirst()) {
      switch lesion {
      case .dropped(let size, let seed, let left):
        let order = steps.map(\.step).filter { !left.contains($0) }
        dropped[size, default: []].append(.init(seed: seed, order: order, score: sum.score))
      case .shuffled(let size, let seed, let pairs):
        var order = steps.map(\.step)
        for pair in pairs { order.swapAt(pair.0 - 1, pair.1 - 1) }
        shuffled[size, default: []].append(.init(seed: seed, order: order, score: sum.score))
      case .swapped(let first, let second):
        all.swapped.append(.init(first: steps[first - 1], second: steps[second - 1], score: sum.score))
      case .scaled(let step, let factor):
        all.scaled.append(.init(name: steps[step - 1], factor: factor, score: sum.score))
      }
    }
    all.dropped = Self.bySize(dropped)
    all.shuffled = Self.bySize(shuffled)
    return all
  }

  private static func bySize(_ trials: [Int: [Lesions.Trial]]) -> [Lesions.RandomLesion] {
    trials.sorted { $0.key < $1.key }.map { size, trials in
      var error = Moments()
      for trial in trials { error.add(1 - trial.score.accuracy) }
      return Lesions.RandomLesion(
        size: size, error: Statistic(mean: error.mean, std: error.deviation, count: error.count), trials: trials)
    }
  }
}
