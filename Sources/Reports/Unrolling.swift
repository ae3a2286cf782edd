import ResLensSupport
import ResLensResults

/// One step repeated past its training: the groups of examples and every step's direction along the longer network.
struct UnrollingDisplay: ViewDisplay {
  func isPresent(in tables: MeasuredTables) throws -> Bool {
    [Unrolled.groups, Unrolled.steps].contains { tables[$0]?.rows.isEmpty == false }
  }

  func remark(on tables: MeasuredTables) throws -> Markup? { try Unrolled(tables)?.explanation }

  func sampleCounts(in tables: MeasuredTables, _ split: Split) throws -> [Double] {
    guard let unrolled = try Unrolled(tables) else { return [] }
    let scores = unrolled.scores.filter { $0.split == split && $0.score.group == "all" }
    return scores.isEmpty
      ? unrolled.quantities.filter { $0.split == split }.map { Double($0.statistic.count) }
      : scores.map { Double($0.score.score.count) }
  }

  func pictures(of subjects: Subjects) throws -> [Picture] { try unrollingPictures(of: subjects) }

  func table(of tables: MeasuredTables, run: String?) throws -> Markup {
    try Unrolled(tables).map { unrollingTables($0, run: run) } ?? ""
  }
}

/// The results of one run's unrolling.
struct Unrolled {
  static let groups = "unrolling"
  static let steps = "unrolling-steps"
  static let scales = "unrolling-scales"

  /// The number of the repeated step.
  let repeated: Int
  /// How often it was repeated.
  let times: Int
  let margin: Double
  /// The number of train batches on which the added steps' statistics were taken; nil where they use the block's own.
  let recalibrationBatches: Int?
  /// The scales that were tried on train samples, and their mean losses; empty where the scale was given.
  let tried: [(scale: Double, loss: Double)]
  let scores: [(way: String, split: Split, score: GroupScore)]
  let quantities: [(way: String, split: Split, place: Place, statistic: Statistic)]
  /// "unscaled" (α = 1), then "scaled" where there is another scale.
  let ways: [Way]
  let network: MeasuredTables

  /// The repeated step with one scale.
  struct Way {
    /// The name in tables.
    var name: String
    /// α of the added steps.
    var scale: Double
  }

  /// A step of the unrolled network.
  struct Place: TableRow {
    /// The name of a `Way`.
    var way: String
    /// The step's number in the unrolled network, from 1.
    var place: Int
    /// "cosine", "cosine_readout", "ratio", "distance" or "update_cosine".
    var quantity: String
    /// The number of the trained network's step that runs here.
    var step: Int
    /// 0 for a step of the trained network; 1, 2, … for added ones.
    var repetition: Int
    /// α of the added steps.
    var scale: Double

    static let keys = ["way", "place", "quantity"]
  }

  private struct Group: TableRow {
    var way: String
    var place: Int
    var group: String
    var scale: Double

    static let keys = ["way", "place", "group"]
  }

  private struct Scale: TableRow {
    var scale: Double
    var loss: Double

    static let keys = ["scale"]
  }

  /// - Returns: nil where nothing was unrolled
  init?(_ tables: MeasuredTables) throws {
    guard let parameters = (tables[Self.steps] ?? tables[Self.groups])?.parameters,
      let repeated = parameters["step"]?.integer, let times = parameters["times"]?.integer
    else { return nil }
    (self.repeated, self.times, network) = (repeated, times, tables)
    margin = parameters["margin"]?.number ?? .nan
    recalibrationBatches = parameters["recalibration_batches"]?.integer
    tried = try tables.rows(of: Scale.self, in: Self.scales, .train).map { ($0.scale, $0.loss) }
    var ways: [Way] = []
    func add(_ name: String, _ scale: Double) {
      if !ways.contains(where: { $0.name == name }) { ways.append(Way(name: name, scale: scale)) }
    }
    var scores: [(way: String, split: Split, score: GroupScore)] = []
    var quantities: [(way: String, split: Split, place: Place, statistic: Statistic)] = []
    for split in Split.allCases {
      let groups = try tables.rows(of: Group.self, in: Self.groups, split)
      for (row, score) in zip(groups, try tables.rows(of: Score.self, in: Self.groups, split)) {
        add(row.way, row.scale)
        scores.append((row.way, split, GroupScore(place: row.place, group: row.group, score: score)))
      }
      let places = try tables.rows(of: Place.self, in: Self.steps, split)
      for (row, statistic) in zip(places, try tables.rows(of: Statistic.self, in: Self.steps, split)) {
        add(row.way, row.scale)
        quantities.append((row.way, split, row, statistic))
      }
    }
    self.scores = scores
    self.quantities = quantities.sorted { $0.place.place < $1.place.place }
    self.ways = ways.sorted { $0.name > $1.name }
  }

  /// The way of a name; nil where the network was not unrolled in it.
  func way(_ name: String) -> Way? { ways.first { $0.name == name } }

  /// The scores of the groups along one way, in the order of their places.
  func scores(_ way: Way, _ split: Split) -> [GroupScore] {
    scores.filter { $0.way == way.name && $0.split == split }.map(\.score).sorted { $0.place < $1.place }
  }

  /// One quantity along one way, in the order of its places.
  func quantity(_ name: String, _ way: Way, _ split: Split) -> [(place: Place, statistic: Statistic)] {
    quantities.filter { $0.way == way.name && $0.split == split && $0.place.quantity == name }.map {
      ($0.place, $0.statistic)
    }
  }

  /// The steps of the unrolled network along one way, in order.
  func places(_ way: Way) -> [Place] {
    let places = quantities.filter { $0.way == way.name }.map { ($0.place.place, $0.place) }
    return Dictionary(places, uniquingKeysWith: { first, _ in first }).values.sorted { $0.place < $1.place }
  }

  /// The places where the added steps begin, and where they end if others follow.
  func uprights(_ way: Way) -> [Double] {
    let begin = Double(repeated) + 0.5
    let end = begin + Double(times)
    return (places(way).last.map { Double($0.place) > end } ?? false) ? [begin, end] : [begin]
  }

  /// The repeated step, the number of repetitions, the scale, and how it was chosen.
  var explanation: Markup {
    let scale = way("scaled")?.scale ?? 1
    var origin = "as was asked"
    if !tried.isEmpty {
      let finite = tried.filter(\.loss.isFinite)
      let best = finite.min { $0.loss < $1.loss }?.scale
      origin = "chosen of \(tried.count) tried on train samples"
      if best == scale {
        origin += ": the mean loss of the networks with 1 to \(times) added steps is lowest with it"
        if tried.count > 1, scale == finite.map(\.scale).min() { origin += ", and it is the smallest that was tried" }
      }
    }
    let statistics =
      recalibrationBatches.map {
        "Each added step has running statistics of its own, taken anew on \($0) train batches; the weights are shared."
      } ?? "The added steps use the block’s running statistics as they are; nothing was recalibrated."
    return """
      Step \(repeated) (\(network.path(repeated))) runs \(counted(times, "more time")). The scale is α = \
      \(significant(scale)), \(origin). \(statistics) The margin is \(significant(margin)).
      """
  }
}
