import ResLensSupport
import ResLensResults

/// The trained network with steps dropped, exchanged or scaled, on validation samples.
struct LesionsDisplay: ViewDisplay {
  func isPresent(in tables: MeasuredTables) throws -> Bool {
    [Lesions.random, Lesions.swapped, Lesions.scaled].contains { tables[$0]?.rows.isEmpty == false }
  }

  func remark(on tables: MeasuredTables) throws -> Markup? { nil }

  func sampleCounts(in tables: MeasuredTables, _ split: Split) throws -> [Double] {
    try tables.rows(of: Score.self, in: Lesions.whole, split).map { Double($0.count) }
  }

  func pictures(of subjects: Subjects) throws -> [Picture] { try lesionPictures(of: subjects) }

  func table(of tables: MeasuredTables, run: String?) throws -> Markup {
    let lesions = try Lesions(tables)
    func random(_ kind: String, _ title: String, _ size: String) -> Markup? {
      let rows = lesions.random.filter { $0.kind == kind }
      guard !rows.isEmpty else { return nil }
      return ResLensReports.table(
        [size, "error ± std over draws", "draws"],
        rows: rows.map {
          [String($0.size), "\(percent($0.error)) ± \(percent($0.errorStd))", decimal($0.draws, 0)]
        }, caption: tableCaption(run, title))
    }
    let swapped = ResLensReports.table(
      ["steps", "blocks", "error", "loss ± std"],
      rows: lesions.swapped.map { pair, score in
        [
          "\(pair.first), \(pair.second)", "\(tables.path(pair.first)), \(tables.path(pair.second))",
          percent(1 - score.accuracy), spread(score.loss, score.lossStd),
        ]
      }, caption: tableCaption(run, "adjacent steps swapped"))
    let grid = lesions.scaled
    let scaled = ResLensReports.table(
      ["step"] + grid.factors.map { "× " + significant($0) },
      rows: grid.steps.map { step in
        [String(step)] + grid.factors.map { factor in grid.error(step, factor).map { percent($0) } ?? "–" }
      }, caption: tableCaption(run, "error with F of one step multiplied"))
    let tables = [
      random("dropped", "random steps dropped", "dropped"), random("shuffled", "random pairs exchanged", "pairs"),
      lesions.swapped.isEmpty ? nil : swapped, grid.steps.isEmpty ? nil : scaled,
    ]
    return "\(tables.compactMap { $0 })"
  }
}

/// The results of one run's lesions.
struct Lesions {
  static let whole = "lesions-whole"
  static let random = "lesions-random"
  static let swapped = "lesions-swapped"
  static let scaled = "lesions-scaled"

  /// The error of the whole network on the same samples; nil where it was not measured.
  let wholeError: Double?
  let random: [Random]
  let swapped: [(pair: Pair, score: Score)]
  let scaled: ScaledGrid

  /// Random lesions of one kind and size.
  struct Random: TableRow {
    /// "dropped" or "shuffled".
    var kind: String
    /// The number of steps dropped, or of pairs exchanged.
    var size: Int
    /// The share of samples classified wrongly, the mean over draws.
    var error: Double
    /// The standard deviation of the error over draws.
    var errorStd: Double
    /// The number of draws; of several seeds its mean.
    var draws: Double

    static let keys = ["kind", "size"]

    enum CodingKeys: String, CodingKey {
      case kind, size, error, draws
      case errorStd = "error_std"
    }
  }

  /// Two adjacent steps of a stage, exchanged.
  struct Pair: TableRow {
    var first: Int
    var second: Int

    static let keys = ["first", "second"]
  }

  /// One step whose F is multiplied by a factor.
  struct Factor: TableRow {
    var step: Int
    var factor: Double

    static let keys = ["step", "factor"]
  }

  init(_ tables: MeasuredTables) throws {
    func rows<Row: TableRow>(_ type: Row.Type, _ name: String) throws -> [Row] {
      try tables.rows(of: type, in: name, .validation)
    }
    wholeError = try rows(Score.self, Self.whole).first.map { 1 - $0.accuracy }
    random = try rows(Random.self, Self.random).sorted { $0.size < $1.size }
    swapped = zip(try rows(Pair.self, Self.swapped), try rows(Score.self, Self.swapped)).map { ($0, $1) }
    scaled = ScaledGrid(zip(try rows(Factor.self, Self.scaled), try rows(Score.self, Self.scaled)).map { ($0, $1) })
  }
}

/// The errors with one step's F multiplied, by step and factor.
struct ScaledGrid {
  private(set) var steps: [Int]
  private(set) var factors: [Double]
  private var errors: [Int: [Double: Double]] = [:]

  init(_ scaled: [(Lesions.Factor, Score)]) {
    steps = Set(scaled.map(\.0.step)).sorted()
    factors = Set(scaled.map(\.0.factor)).sorted()
    for (one, score) in scaled { errors[one.step, default: [:]][one.factor] = 1 - score.accuracy }
  }

  /// A share, 0 … 1; nil where that was not measured.
  func error(_ step: Int, _ factor: Double) -> Double? { errors[step]?[factor] }
}
