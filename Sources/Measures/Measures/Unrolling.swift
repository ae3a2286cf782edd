import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// One step applied again and again past its training, h ← h + α·F(h) (§4.4, Fig. 7, 20): the readout's predictions,
/// where the step points and how far it goes, at every step of the repeated step's stage and after it, added ones included.
public final class UnrolledSteps: Measure {
  /// The repeated step.
  public let repeated: StepSpec
  /// How many steps are added.
  public let times: Int
  /// The manners of repeating, each measured by itself.
  public let ways: [Way]
  private let margin: Double
  private let steps: [StepSpec]
  /// The first step of the repeated step's stage.
  private let first: Int
  /// By way and index behind `first`.
  private var sums: [[Sums]]
  /// The trained network's own predictions for the current batch, and the groups that they determine.
  private var own: (predictions: LabelledPredictions, groups: Groups)?

  /// One manner of repeating.
  public struct Way: Hashable, Sendable {
    /// α
    public var scale: Double
    /// The first added step's running statistics where the added steps have their own; the others' follow.
    public var firstStatistics: Int?

    public init(scale: Double, firstStatistics: Int? = nil) {
      self.scale = scale
      self.firstStatistics = firstStatistics
    }
  }

  private struct Sums {
    var groups = GroupSums<ScoreSum>()
    var changes = GroupSums<ScoreChangeSum>()
    var quantities: [Quantity: Moments] = [:]
    var isReadable = false

    mutating func add(cosines rows: some Collection<[Double]>, to quantity: Quantity) {
      quantities[quantity, default: Moments()].add(cosines: rows)
    }
  }

  /// A quantity that is measured of every step.
  public enum Quantity: String, CaseIterable, Sendable {
    /// cos(αF, ∂L/∂h) with the gradient that comes back from the end of the unrolled network.
    case cosine
    /// cos(αF, ∂L/∂h) with the gradient of the readout applied to the state before the step.
    case cosineReadout = "cosine_readout"
    /// ‖αF‖ / ‖h‖
    case ratio
    /// ‖αF‖, the distance between the states before and after the step.
    case distance
    /// The cosine between what the step adds and what the step before it added; not at the first step of a stage.
    case updateCosine = "update_cosine"
  }

  /// A row of the table of scores: one group of examples after one step of the unrolled network.
  public struct GroupRow: TableRow {
    /// "unscaled" (α = 1) or "scaled".
    public var way: String
    /// The step's number in the unrolled network, from 1.
    public var place: Int
    /// "borderline", "already-correct" or "all", by the trained network's own output.
    public var group: String
    /// The number of the trained network's step that runs here.
    public var step: Int
    /// 0 for a step of the trained network; 1, 2, … for added ones.
    public var repetition: Int
    /// α of the added steps.
    public var scale: Double
    /// The score there.
    public var score: Score

    public static let keys = ["way", "place", "group"]
    public static let units = Score.units

  }

  /// A row of the table of changes: one group of examples from the trained network's own output to an added step.
  public struct ChangeRow: TableRow {
    /// "unscaled" (α = 1) or "scaled".
    public var way: String
    /// The step's number in the unrolled network, from 1.
    public var place: Int
    /// "borderline", "already-correct" or "all", by the trained network's own output.
    public var group: String
    /// 1, 2, … for the added steps.
    public var repetition: Int
    /// The change of the group's score.
    public var change: ScoreChange

    public static let keys = ["way", "place", "group"]
    public static let units = ScoreChange.units
  }

  /// A row of the table of steps: one quantity of one step of the unrolled network.
  public struct StepRow: TableRow {
    /// "unscaled" (α = 1) or "scaled".
    public var way: String
    /// The step's number in the unrolled network, from 1.
    public var place: Int
    /// The quantity, a `Quantity`.
    public var quantity: String
    /// The number of the trained network's step that runs here.
    public var step: Int
    /// 0 for a step of the trained network; 1, 2, … for added ones.
    public var repetition: Int
    /// α of the added steps.
    public var scale: Double
    /// The distribution of the quantity over samples.
    public var statistic: Statistic

    public static let keys = ["way", "place", "quantity"]
    public static let units = Statistic.units
  }

  /// A row of the table of scales: one α that was tried on train data.
  public struct ScaleRow: TableRow {
    /// α of the added steps.
    public var scale: Double
    /// The mean train loss over samples and over the networks with 1, 2, … added steps, in nats.
    public var loss: Double

    public static let keys = ["scale"]
    public static let units = ["loss": "nats"]

    public init(scale: Double, loss: Double) { (self.scale, self.loss) = (scale, loss) }
  }

  /// - Parameters:
  ///   - step: the number of the step that is repeated, from 1; the last one where it is nil
  ///   - times: how often it is repeated
  ///   - margin: as of `BorderlineGroups`
  /// - Throws: `MeasureError` where there is no such step, where it changes h's shape, or for a scale that is not a finite
  ///   number or is 0.
  public init(
    _ architecture: Architecture, step: Int? = nil, times: Int, ways: [Way], margin: Double = 0.1
  ) throws(MeasureError) {
    try Groups.check(margin: margin)
    steps = architecture.steps
    let number = step ?? steps.count
    guard (1...steps.count).contains(number) else {
      throw MeasureError(option: "unroll-step", problem: "\(number) is not between 1 and \(steps.count)")
    }
    repeated = steps[number - 1]
    guard repeated.hasIdentitySkip else {
      throw MeasureError(
        option: "unroll-step", problem: "step \(number) changes the shape of h and cannot be applied to what it makes")
    }
    guard (1...1000).contains(times) else {
      throw MeasureError(option: "unroll", problem: "\(times) is not between 1 and 1000")
    }
    for way in ways {
      if let problem = MeasureOptions.Scale.problem(of: way.scale) {
        throw MeasureError(option: "scale", problem: problem)
      }
    }
    self.times = times
    self.ways = ways
    self.margin = margin
    let stage = repeated.stage
    first = (steps.first { $0.stage == stage } ?? repeated).id.number
    sums = Array(repeating: Array(repeating: Sums(), count: steps.count + times - first + 1), count: ways.count)
  }

  public convenience init?(_ context: MeasureContext) throws(MeasureError) {
    guard let prepared = context.unrolling else { return nil }
    try self.init(
      context.architecture, step: prepared.step, times: context.options.unrolling.times, ways: prepared.ways,
      margin: context.options.margin)
    tried = context.split == .train ? prepared.tried : nil
  }

  /// The scales that were tried on train data; nil where the scale was given, and for validation data.
  private var tried: [ScaleRow]?

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    let steps = context.steps
    guard let step = context.options.repeatedStep(in: context.architecture) else {
      return [
        .init(
          measure: description.name,
          reason: "the last step changes the shape of h and cannot be applied to what it makes")
      ]
    }
    let (stage, last) = (steps[step - 1].stage, context.architecture.stages.count - 1)
    guard stage < last, let from = steps.first(where: { $0.stage == stage })?.id.number,
      let until = steps.first(where: { $0.stage == last })?.id.number
    else { return [] }
    return [
      .init(
        measure: description.name, steps: from...until - 1, reason: ReadoutLens.limit(in: context.architecture))
    ]
  }

  public static func parameters(in context: MeasureContext) -> [String: Cell] {
    let options = context.options
    func cell(_ number: Int?) -> Cell { number.map { .number(Double($0)) } ?? .missing }
    return [
      "step": cell(context.options.repeatedStep(in: context.architecture)), "times": cell(options.unrolling.times),
      "margin": .number(context.options.margin), "recalibration_batches": cell(options.recalibrationBatches),
    ]
  }

  /// Every scale of the grid forward on train samples; then two of them, and back, on both sets.
  public static func forwardPasses(in context: MeasureContext) -> Double {
    let options = context.options.unrolling
    let added = Double(options.times) / Double(context.architecture.steps.count)
    return added * (Double(options.scale.candidates.count) / 2 + 2 * 2)
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    step.number == steps.count ? step.endPredictions.rows : nil
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    let predictions = LabelledPredictions(rows, of: batch)
    own = (predictions, Groups(predictions, margin: margin))
  }

  public func trajectories(for network: ResidualNetwork) throws -> [Trajectory] {
    try ways.map { Trajectory(try Self.plan(network.plan, repeated.id.number, times, $0), from: first) }
  }

  /// The network's plan with the step repeated.
  static func plan(_ plan: Plan, _ step: Int, _ times: Int, _ way: Way) throws -> Plan {
    try plan.unrolling(step: step, times: times, scale: way.scale, firstStatistics: way.firstStatistics)
  }

  /// Products of F and the gradient, ‖h‖², then what not every step has, each led by whether it is there: the products
  /// with the readout's gradient, the predictions, and the products of the next step's F with this one's.
  public func rows(of step: StepView, onTrajectory trajectory: Int) throws -> [[Double]]? {
    var rows = try step.products().rows + [step.inputSquares()]
    for part in [
      try step.lensProducts()?.rows, try step.after?.predictions().rows,
      try step.next.map { try $0.added.sampleProducts(step.added).rows },
    ] { rows += [part == nil ? [] : [1]] + (part ?? []) }
    return rows
  }

  public func add(_ rows: [[Double]], of step: PlanStep, onTrajectory trajectory: Int, _ batch: LabelledBatch) {
    let index = step.number - first
    var left = rows.dropFirst(4)
    func optional(_ count: Int) -> [[Double]]? {
      guard left.removeFirst() == [1] else { return nil }
      defer { left.removeFirst(count) }
      return Array(left.prefix(count))
    }
    sums[trajectory][index].add(cosines: rows.prefix(3), to: .cosine)
    sums[trajectory][index].quantities[.ratio, default: Moments()].add(ratios: rows[1], to: rows[3])
    sums[trajectory][index].quantities[.distance, default: Moments()].add(rows[1].map { $0.squareRoot() })
    if let products = optional(3) { sums[trajectory][index].add(cosines: products, to: .cosineReadout) }
    if let rows = optional(4), let own {
      let predictions = LabelledPredictions(rows, of: batch)
      sums[trajectory][index].groups.add(predictions, own.groups)
      sums[trajectory][index].changes.add(from: own.predictions, to: predictions, own.groups)
      sums[trajectory][index].isReadable = true
    }
    if let products = optional(3) { sums[trajectory][index + 1].add(cosines: products, to: .updateCosine) }
  }

  public func tables() throws -> [Table] {
    var (groups, changes, quantities): ([GroupRow], [ChangeRow], [StepRow]) = ([], [], [])
    for (way, sums) in zip(ways, sums) {
      let name = name(of: way)
      for (index, sums) in sums.enumerated() where sums.quantities[.distance]?.count ?? 0 > 0 {
        let place = first + index
        let added = max(0, min(times, place - repeated.id.number))
        let (step, repetition) = (place - added, place > repeated.id.number + times ? 0 : added)
        for quantity in Quantity.allCases {
          guard let moments = sums.quantities[quantity], moments.count > 0 else { continue }
          quantities.append(
            StepRow(
              way: name, place: place, quantity: quantity.rawValue, step: step, repetition: repetition,
              scale: way.scale,
              statistic: Statistic(moments)))
        }
        guard sums.isReadable else { continue }
        for (group, score) in sums.groups.scores {
          groups.append(
            GroupRow(
              way: name, place: place, group: group, step: step, repetition: repetition, scale: way.scale,
              score: score))
        }
        guard repetition > 0 else { continue }
        changes += sums.changes.changes.map {
          ChangeRow(way: name, place: place, group: $0.group, repetition: repetition, change: $0.change)
        }
      }
    }
    return [
      groups.isEmpty ? nil : try Table("unrolling", groups),
      changes.isEmpty ? nil : try Table("unrolling-changes", of: Self.description.name, changes),
      try Table("unrolling-steps", of: Self.description.name, quantities),
      try tried.map { try Table("unrolling-scales", of: Self.description.name, $0) },
    ].compactMap { $0 }
  }

  /// The way's name in tables.
  private func name(of way: Way) -> String {
    if way.scale == 1 { return "unscaled" }
    return ways.count { $0.scale != 1 } == 1 ? "scaled" : "scaled-\(way.scale)"
  }

  public static let description = MeasureDescription(
    name: "unrolling",
    views: [
      MeasureView(
        id: "unrolling", table: "unrolling-steps",
        title: "Unrolling: what if a step runs more often than it was trained to?",
        definition: """
          The trained network with one step repeated right after itself, <b>h ← h + α·F(h)</b>, without training: \
          unscaled (α = 1) and scaled. A step that refines should go on refining; one that only makes a fixed change \
          carries the state away. The groups of examples are fixed by the trained network’s own output: borderline where \
          |p<sub>y</sub> − max<sub>k≠y</sub> p<sub>k</sub>| is below the margin.
          """,
        place: "Fig. 7 and 20",
        finding: """
          unscaled, the loss explodes. The cosine loss stays negative on the first two added steps without scaling, and \
          on all with scaling. In ResNet-110 the scaled steps take the train loss from 0.0012 to 0.001, and the accuracy \
          on 51 borderline test examples from 43\u{00A0}% to 53\u{00A0}%.
          """)
    ],
    printed: [
      PrintedTable(
        "unrolling", title: "accuracy and loss of each group of examples after each step of the unrolled network",
        pivot: "group", values: [("accuracy", .percent), ("loss", .decimal(4))]),
      PrintedTable(
        "unrolling-steps", title: "means of each step of the unrolled network", pivot: "quantity",
        values: [("mean", .decimal(4))]),
    ],
    compared: [
      ComparedNumber("α", key: "unrolling-scale") { tables in
        try tables.table("unrolling-steps", .validation)?.presentNumbers("scale").last
      },
      // The change of mean loss; behind another step than the last the readout's answer is not the trained network's.
      ComparedNumber("Δ loss", key: "unrolling-loss-change") { tables in
        guard let end = try Ends(tables, .validation), let before = end.trained else { return nil }
        return end.last.score.loss - before.score.loss
      },
    ],
    figures: [.unrollingSteps], use: .init(byDefault: false, canBeRecorded: false),
    remark: { tables in
      let fates =
        try Fate.all(in: tables, .validation).map { "unrolling \($0.way): it \($0.fate.sentence)" }
        + [try radius(tables)].compactMap { $0 }
      guard let tried = tables["unrolling-scales"] else { return fates.joined(separator: "\n") }
      let pairs = try zip(tried.numbers("scale"), tried.numbers("loss")).map {
        "\($0 ?? .nan): \(significant($1 ?? .nan))"
      }
      return (fates + ["mean train loss of the unrolled networks by scale: \(pairs.joined(separator: ", "))"])
        .joined(separator: "\n")
    },
    sentence: sentence)

  @Sendable private static func sentence(_ tables: MeasuredTables) throws -> String? {
    guard let repeated = tables["unrolling"]?.parameters["step"]?.integer,
      let times = tables["unrolling"]?.parameters["times"]?.integer,
      let train = try Ends(tables, .train, way: "unscaled"),
      let validation = try Ends(tables, .validation, way: "unscaled")
    else { return nil }
    let scaled = try Ends(tables, .train, way: "scaled").flatMap { train in
      try Ends(tables, .validation, way: "scaled").map { (train: train, validation: $0) }
    }
    func loss(_ unscaled: Ends, _ scaled: Ends?) -> String {
      (unscaled.trained.map { "from \(significant($0.score.loss)) " } ?? "")
        + "to \(significant(unscaled.last.score.loss)) unscaled"
        + (scaled.map { " and to \(significant($0.last.score.loss)) scaled by \(significant($0.last.scale))" } ?? "")
    }
    var text =
      "With step \(repeated) run \(counted(times, "more time")), the train loss goes "
      + "\(loss(train, scaled?.train)), the validation loss \(loss(validation, scaled?.validation))"
    if let scaled {
      let better = (scaled.train.isBetter(than: train), scaled.validation.isBetter(than: validation))
      let verdict =
        switch better {
        case (true, true): "better on both"
        case (true, false): "better on train data only"
        case (false, true): "better on validation data only"
        case (false, false): "better on neither"
        }
      text += "; scaling is \(verdict)"
    }
    for (way, fate) in try Fate.all(in: tables, .validation) { text += "; \(way) it \(fate.sentence)" }
    if let radius = try radius(tables) { text += "; \(radius)" }
    guard let start = validation.trained?.score.accuracy else { return text + "." }
    let end = (scaled?.validation ?? validation).last.score.accuracy
    let way = end == start ? "stays at \(percent(start))" : "goes from \(percent(start)) to \(percent(end))"
    return "\(text). Validation accuracy \(scaled == nil ? "" : "with scaling ")\(way)."
  }

  /// The spectral radius of the repeated step in words; nil where it was not measured.
  private static func radius(_ tables: MeasuredTables) throws -> String? {
    let repeated = tables["unrolling-steps"]?.parameters["step"]?.integer
    let radii = try tables.rows(of: StepStatistic.self, in: SpectralRadius.description.name, .validation)
    return radii.first { $0.step == repeated }.map {
      "the spectral radius of step \($0.step) is \(significant($0.mean)) at the trained network's states"
    }
  }

  /// How far the added steps go, from the first to the last one.
  public enum Fate: Equatable, Sendable {
    /// ‖αF‖ grows more than tenfold, or to a value that is not a finite number.
    case explodes(growth: Double)
    /// ‖αF‖ shrinks to less than a tenth.
    case settles(growth: Double)
    /// ‖αF‖ stays between a tenth and ten times the first added step's.
    case drifts(growth: Double)

    /// - Parameters:
    ///   - first: ‖αF‖ of the first added step
    ///   - last: ‖αF‖ of the last added step
    public init(first: Double, last: Double) {
      let growth = last / first
      // A quotient that is not a number is that of values that overflowed.
      self =
        !(growth <= 10) ? .explodes(growth: growth) : growth < 0.1 ? .settles(growth: growth) : .drifts(growth: growth)
    }

    /// The fate in words, with the numbers that decide it.
    var sentence: String {
      func change(_ growth: Double) -> String {
        "‖αF‖ of the last added step is \(significant(growth)) times the first's"
      }
      return switch self {
      case .explodes(let growth): "explodes (\(change(growth)))"
      case .settles(let growth): "settles (\(change(growth)))"
      case .drifts(let growth): "drifts (\(change(growth)))"
      }
    }

    /// The fate of each way of repeating that has two added steps or more.
    static func all(in tables: MeasuredTables, _ split: Split) throws -> [(way: String, fate: Fate)] {
      let rows = try tables.rows(of: StepRow.self, in: "unrolling-steps", split)
        .filter { $0.repetition > 0 && $0.quantity == Quantity.distance.rawValue }
      var ways: [String] = []
      for row in rows where !ways.contains(row.way) { ways.append(row.way) }
      return ways.compactMap { way in
        let norms = rows.filter { $0.way == way }.sorted { $0.place < $1.place }.map(\.statistic.mean)
        guard norms.count > 1 else { return nil }
        return (way, Fate(first: norms[0], last: norms[norms.count - 1]))
      }
    }
  }

  /// The scores of all examples at both ends of the added steps.
  private struct Ends {
    /// After the trained network's last step; nil where another step than the last is repeated: the readout's answer behind
    /// it is not the trained network's.
    let trained: GroupRow?
    /// After the last step of the unrolled network.
    let last: GroupRow

    /// - Parameter way: the last way where it is nil
    init?(_ tables: MeasuredTables, _ split: Split, way: String? = nil) throws {
      let all = try tables.rows(of: GroupRow.self, in: "unrolling", split).filter { $0.group == "all" }
      let wanted = way ?? all.last?.way
      let rows = all.filter { $0.way == wanted }
      guard let last = rows.last else { return nil }
      self.last = last
      trained = last.repetition > 0 ? rows.last { $0.repetition == 0 } : nil
    }

    /// True if the loss is lower; a loss that is not a number is above all.
    func isBetter(than other: Ends) -> Bool {
      !last.score.loss.isNaN && (other.last.score.loss.isNaN || last.score.loss < other.last.score.loss)
    }
  }
}

extension UnrolledSteps {
  /// The mean loss over samples and over the networks with 1 … `times` added steps, for each way of repeating: what α is
  /// chosen by, on train data. One forward pass a batch, whose common part all ways share.
  /// - Parameter group: processes that have a share of the batches each; all of them get what one would have found
  /// - Throws: `MeasureError` as `init`; `PlanError` where a way's normalisations are missing.
  public static func losses(
    _ network: ResidualNetwork, step: Int, times: Int, ways: [Way], on samples: some BatchSource,
    by group: ProcessGroup? = nil, progress: (Int) throws -> Void = { _ in }
  ) throws -> [Double] {
    _ = try UnrolledSteps(network.architecture, step: step, times: times, ways: ways)
    let plans = try ways.flatMap { way in try (1...times).map { try plan(network.plan, step, $0, way) } }
    var sums = ways.map { _ in Moments() }
    try network.forEachPrediction(by: plans, on: samples, sharedBy: group, progress: progress) { plan, found in
      sums[plan / times].add(found.predictions.losses)
    }
    return sums.map(\.mean)
  }
}
