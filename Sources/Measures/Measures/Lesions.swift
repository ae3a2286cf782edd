import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// Scores of the trained network when its steps run differently (Veit et al. 2016): random steps dropped, random pairs
/// exchanged, adjacent steps swapped, or the F of one step scaled. Steps that change h's shape stay in place, and steps
/// move only within their stage. Lesions are measured on validation samples.
public final class LesionScores: Measure {
  public let plannedSamples: Int?
  private let steps: [StepSpec]
  private let lesions: [Lesion]
  /// The sums of the undamaged network, then those of each lesion.
  private var sums: [ScoreSum]

  /// The kinds and numbers of lesions, and the number of samples.
  public struct Options: Equatable, Sendable {
    /// How many random steps are dropped at once. Where it is nil: 1, 2, 4, 8 and 16, up to the number of steps that
    /// keep h's shape.
    public var drops: [Int]?
    /// How many random pairs are exchanged. Where it is nil: 1, 2, 4, 8 and 16, up to the number of pairs that can be
    /// exchanged.
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

  /// - Throws: `MeasureError` for more drops than there are steps that keep h's shape, a factor that is not finite, a
  ///   value that occurs twice, or a count out of range.
  public init(_ architecture: Architecture, _ options: Options = Options()) throws(MeasureError) {
    let steps = architecture.steps
    let movable = steps.filter(\.hasIdentitySkip)
    let pairs = Self.pairs(of: movable)
    try Self.check(options, movable: movable.count, name: architecture.name)
    let drops = options.drops ?? Self.sizes.filter { $0 <= movable.count }
    let shuffles = pairs.isEmpty ? [] : options.shuffles ?? Self.sizes.filter { $0 <= pairs.count }
    var lesions: [Lesion] = []
    for seed in 0..<options.seeds {
      let stream = RandomStream(seed: UInt64(seed), name: "lesions")
      // One order a seed: a larger drop leaves out all steps of a smaller one, and others.
      let keys = stream.stream(0)
      let order = movable.enumerated().sorted { (keys.bits($0.offset), $0.offset) < (keys.bits($1.offset), $1.offset) }
      for size in drops {
        lesions.append(.dropped(size: size, seed: seed, steps: order.prefix(size).map(\.element.id.number)))
      }
      let draws = stream.stream(1)
      for size in shuffles {
        let drawn = (0..<size).compactMap { draws.element($0, of: pairs) }
        lesions.append(.shuffled(size: size, seed: seed, pairs: drawn))
      }
    }
    lesions += pairs.filter { $0.1 == $0.0 + 1 }.map { .swapped($0.0, $0.1) }
    lesions += steps.flatMap { step in options.factors.map { .scaled(step.id.number, by: $0) } }
    self.steps = steps
    self.lesions = lesions
    plannedSamples = options.samples
    sums = Array(repeating: ScoreSum(), count: lesions.count + 1)
  }

  /// How many lesions there are, each a way for the network to run.
  public var count: Int { lesions.count }

  private static let sizes = [1, 2, 4, 8, 16]

  /// Any two steps of one stage.
  private static func pairs(of movable: [StepSpec]) -> [(Int, Int)] {
    movable.flatMap { first in
      movable.filter { $0.stage == first.stage && $0.id.number > first.id.number }.map {
        (first.id.number, $0.id.number)
      }
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
      throw MeasureError(option: "lesion-factors", problem: "\(factor) is not a finite number")
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

  public func add(_ predictions: LabelledPredictions, ofPlan plan: Int) { sums[plan].add(predictions) }

  public func tables() throws -> [Table] {
    var (draws, swapped, scaled): ([DrawRow], [SwapRow], [ScaleRow]) = ([], [], [])
    for (lesion, sum) in zip(lesions, sums.dropFirst()) {
      var order = steps.map(\.id.number)
      switch lesion {
      case .dropped(let size, let seed, let left):
        order.removeAll(where: left.contains)
        draws.append(DrawRow(kind: "dropped", size: size, draw: seed, order: order, sum.score))
      case .shuffled(let size, let seed, let pairs):
        for pair in pairs { order.swapAt(pair.0 - 1, pair.1 - 1) }
        draws.append(DrawRow(kind: "shuffled", size: size, draw: seed, order: order, sum.score))
      case .swapped(let first, let second): swapped.append(SwapRow(first: first, second: second, sum.score))
      case .scaled(let step, let factor): scaled.append(ScaleRow(step: step, factor: factor, sum.score))
      }
    }
    draws.sort { ($0.kind, $0.size, $0.draw) < ($1.kind, $1.size, $1.draw) }
    func table(_ name: String, _ rows: [some TableRow]) throws -> Table? {
      rows.isEmpty ? nil : try Table(name, of: Self.description.name, rows)
    }
    return [
      try table("lesions-whole", [sums[0].score]), try table("lesions-random", Self.means(of: draws)),
      try table("lesions-draws", draws), try table("lesions-swapped", swapped), try table("lesions-scaled", scaled),
    ].compactMap { $0 }
  }

  /// The mean error of each random lesion over its draws.
  private static func means(of draws: [DrawRow]) -> [RandomRow] {
    var rows: [RandomRow] = []
    for draw in draws where rows.last?.kind != draw.kind || rows.last?.size != draw.size {
      var error = Moments()
      for same in draws where same.kind == draw.kind && same.size == draw.size { error.add(1 - same.score.accuracy) }
      rows.append(
        RandomRow(kind: draw.kind, size: draw.size, error: error.mean, errorStd: error.deviation, draws: error.count))
    }
    return rows
  }

  public convenience init?(_ context: MeasureContext) throws(MeasureError) {
    guard context.split == .validation else { return nil }
    try self.init(context.architecture, context.options.lesions)
  }

  /// The steps are named because the whole measure is not absent: every network has lesions that scale a step.
  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    let movable = context.steps.filter(\.hasIdentitySkip)
    guard pairs(of: movable).isEmpty else { return [] }
    let reason =
      movable.isEmpty
      ? "every step changes the shape of h: none is dropped or moved"
      : "no stage has two steps that keep the shape of h: none are exchanged"
    return [.init(measure: description.name, steps: 1...context.steps.count, reason: reason)]
  }

  public static func forwardPasses(in context: MeasureContext) -> Double {
    guard let lesions = try? LesionScores(context), context.samples > 0 else { return 0 }
    let samples = min(context.options.lesions.samples ?? context.samples, context.samples)
    return Double(lesions.count) / 2 * Double(samples) / Double(context.samples)
  }

  public static let description = MeasureDescription(
    name: "lesions",
    views: [
      MeasureView(
        id: "lesions", table: "lesions-random", title: "Lesions: how much can be taken out or moved?",
        definition: """
          The share of validation samples that the trained network classifies wrongly when <b>k random steps are \
          dropped</b>, when <b>n random pairs of steps are exchanged</b> one after the other within their stages, when \
          <b>two adjacent steps</b> swap places, and when one step’s <b>F is multiplied by a factor</b> (0 drops it, 1 \
          changes nothing). Nothing is retrained; poolings and steps with a projection stay where they are. A chain in \
          which each step needs exactly what the one before made breaks at once. Steps that refine one another’s work \
          can do without some of it, and can stand in another order.
          """,
        source: "Veit et al. 2016", place: "Fig. 5",
        finding: "the error grows smoothly with the number of blocks that are dropped or shuffled.",
        remark: { tables in
          try tables.rows(of: Score.self, in: "lesions-whole", .validation).first.map {
            "The whole network: \(percent(1 - $0.accuracy)) wrong, loss \(decimal($0.loss, 4)) (n = \($0.count))."
          }
        })
    ],
    printed: [
      PrintedTable(
        "lesions-random", title: "error with random steps dropped, and with random pairs of steps exchanged",
        values: [("error", .percent), ("error_std", .percent), ("draws", .count)])
    ],
    use: .init(byDefault: false, canBeRecorded: false, withRecalibration: true),
    remark: { tables in
      let swapped = try tables.rows(of: SwapRow.self, in: "lesions-swapped", .validation)
      let scaled = try tables.rows(of: ScaleRow.self, in: "lesions-scaled", .validation)
      var remarks = [
        worst("two adjacent steps swapped", swapped.map { ("steps \($0.first) and \($0.second)", $0.score) })
      ]
      for factor in Set(scaled.map(\.factor)).sorted() {
        let rows = scaled.filter { $0.factor == factor }
        remarks.append(worst("one step's F times \(significant(factor))", rows.map { ("step \($0.step)", $0.score) }))
      }
      if let whole = try tables.rows(of: Score.self, in: "lesions-whole", .validation).first {
        remarks.insert("error of the whole network \(percent(1 - whole.accuracy)), n = \(whole.count)", at: 0)
      }
      return remarks.compactMap { $0 }.joined(separator: "\n")
    },
    sentence: { tables in
      guard let whole = try tables.rows(of: Score.self, in: "lesions-whole", .validation).first else { return nil }
      let random = try tables.rows(of: RandomRow.self, in: "lesions-random", .validation).filter(\.error.isFinite)
      func largest(_ kind: String, _ noun: String, _ verb: String) -> String? {
        random.filter { $0.kind == kind }.max { $0.size < $1.size }.map {
          "with \(counted($0.size, noun)) \(verb) it is \(percent($0.error))"
        }
      }
      let parts = [
        largest("dropped", "random step", "dropped"), largest("shuffled", "random pair", "exchanged"),
      ].compactMap { $0 }
      guard !parts.isEmpty else { return nil }
      return "On the first \(whole.count) validation samples the error of the whole network is "
        + "\(percent(1 - whole.accuracy)); \(parts.joined(separator: ", "))."
    })
}

// MARK: rows

extension LesionScores {
  /// The mean and the largest error of several lesions of one kind, in words; nil where there are none.
  private static func worst(_ kind: String, _ scores: [(what: String, score: Score)]) -> String? {
    guard let worst = scores.min(by: { $0.score.accuracy < $1.score.accuracy }) else { return nil }
    let mean = scores.map { 1 - $0.score.accuracy }.reduce(0, +) / Double(scores.count)
    return "\(kind): error \(percent(mean)) (mean of \(scores.count)), at most \(percent(1 - worst.score.accuracy)) "
      + "(\(worst.what))"
  }

  /// A row of the table of random lesions: lesions of one kind and size, each drawn several times.
  public struct RandomRow: TableRow {
    /// "dropped" or "shuffled".
    public var kind: String
    /// The number of steps dropped, or of pairs exchanged.
    public var size: Int
    /// The share of samples classified wrongly, 0 … 1; the mean over draws.
    public var error: Double
    /// The standard deviation of the error over draws (population).
    public var errorStd: Double
    /// The number of draws.
    public var draws: Int

    public static let keys = ["kind", "size"]
    public static let units = ["error": Table.Column.share]

    enum CodingKeys: String, CodingKey {
      case kind, size, error, draws
      case errorStd = "error_std"
    }
  }

  /// A row of the table of draws: one draw of a random lesion.
  public struct DrawRow: TableRow {
    /// "dropped" or "shuffled".
    public var kind: String
    /// The number of steps dropped, or of pairs exchanged.
    public var size: Int
    /// The seed of the draw.
    public var draw: Int
    /// The numbers of the steps that add their F, in the order in which they ran, separated by spaces.
    public var order: String
    /// The score of the network with this lesion.
    public var score: Score

    public static let keys = ["kind", "size", "draw"]
    public static let units = Score.units

    init(kind: String, size: Int, draw: Int, order: [Int], _ score: Score) {
      (self.kind, self.size, self.draw) = (kind, size, draw)
      self.order = order.map { "\($0)" }.joined(separator: " ")
      self.score = score
    }
  }

  /// A row of the table of swaps: two adjacent steps of a stage, exchanged.
  public struct SwapRow: TableRow {
    /// The number of the step that comes first in the trained network.
    public var first: Int
    /// The number of the step after it.
    public var second: Int
    /// The score of the network with this lesion.
    public var score: Score

    public static let keys = ["first", "second"]
    public static let units = Score.units

    init(first: Int, second: Int, _ score: Score) {
      (self.first, self.second) = (first, second)
      self.score = score
    }
  }

  /// A row of the table of scaled steps: one step whose F is multiplied by a factor.
  public struct ScaleRow: TableRow {
    /// The step's number, from 1.
    public var step: Int
    /// The factor that multiplies F.
    public var factor: Double
    /// The score of the network with this lesion.
    public var score: Score

    public static let keys = ["step", "factor"]
    public static let units = Score.units

    init(step: Int, factor: Double, _ score: Score) {
      (self.step, self.factor) = (step, factor)
      self.score = score
    }
  }
}
