import ResLensResults
import ResLensStudies
import Testing

private struct Scored: TableRow {
  var group: String
  var score: Score
  static let keys = ["group"]
  static let units = Score.units
}

private struct Unrolled: TableRow {
  var way: String
  var place: Int
  var scale: Double
  var statistic: Statistic
  static let keys = ["way", "place"]
  static let units = Statistic.units
}

@Suite struct AverageTests {
  private func score(_ accuracy: Double, count: Int = 10) -> Score {
    Score(accuracy: accuracy, loss: 2 * accuracy, lossStd: 1, entropy: 3 * accuracy, entropyStd: 1, count: count)
  }

  private func steps(_ means: [Int: Double], count: Int = 10) throws -> MeasuredTables {
    var tables = MeasuredTables()
    try tables.add(
      "l2-ratio",
      means.sorted { $0.key < $1.key }.map {
        StepStatistic(step: $0.key, Statistic(mean: $0.value, std: 2 * $0.value, count: count))
      })
    return tables
  }

  private func subject(_ measures: [MeasuredTables], history: [[MeasureResults]] = []) throws -> Evidence.Subject {
    try Evidence.Subject(
      model: "m", data: "d", architecture: "m", parameters: 1, runs: history.map { .init(epochs: [], history: $0) },
      measures: measures)
  }

  @Test("Numbers are averaged row by row, of the runs that have them")
  func numbers() throws {
    let values = [0.2, 0.4, 0.9]
    let runs = try values.map { value in
      var tables = try steps([1: value, 2: 2 * value])
      // The third run has no borderline examples.
      let some = value == 0.9 ? [] : [Scored(group: "borderline", score: score(value, count: value == 0.2 ? 4 : 7))]
      try tables.add("borderline", some + [Scored(group: "all", score: score(value))])
      return tables
    }
    let mean = try #require(try MeasuredTables.mean(of: runs))
    let ratios = try mean.rows(of: StepStatistic.self, in: "l2-ratio", .validation)
    let average = (0.2 + 0.4 + 0.9) / 3
    #expect(ratios.map(\.step) == [1, 2])
    #expect(abs(ratios[0].mean - average) < 1e-15 && abs(ratios[1].mean - 2 * average) < 1e-15)
    #expect(abs(ratios[0].statistic.std - 2 * average) < 1e-15 && abs(ratios[1].statistic.std - 4 * average) < 1e-15)
    let groups = try mean.rows(of: Scored.self, in: "borderline", .train)
    #expect(groups.map(\.group) == ["borderline", "all"])
    #expect(abs(groups[1].score.loss - 2 * average) < 1e-15 && abs(groups[0].score.accuracy - 0.3) < 1e-15)
    // A mean of 5.5 samples is 6.
    #expect(groups[0].score.count == 6)
    #expect(mean["cosine-loss"] == nil)
    // The number of runs, and their standard deviation with n − 1 below.
    let table = try #require(try mean.table("l2-ratio", .train))
    let deviation = (values.reduce(0) { $0 + ($1 - average) * ($1 - average) } / 2).squareRoot()
    #expect(try table.numbers("runs") == [3, 3])
    #expect(abs((try table.numbers("spread")[0] ?? .nan) - deviation) < 1e-15)
    #expect(try mean.table("borderline", .train)?.numbers("runs") == [2, 3])
  }

  @Test("No networks have no mean, and one network's mean is itself")
  func few() throws {
    #expect(try MeasuredTables.mean(of: []) == nil)
    let one = try steps([1: 0.5])
    #expect(try MeasuredTables.mean(of: [one]) == one)
    #expect(try subject([]).measures == nil && subject([one]).measures == one)
  }

  @Test("A row that one run lacks is the mean over the others")
  func unlikeRows() throws {
    let mean = try #require(try MeasuredTables.mean(of: [steps([1: 1, 3: 5]), steps([1: 3, 2: 4, 3: 7])]))
    let rows = try mean.rows(of: StepStatistic.self, in: "l2-ratio", .validation).sorted { $0.step < $1.step }
    #expect(rows.map(\.step) == [1, 2, 3] && rows.map(\.mean) == [2, 4, 6])
    let runs = try #require(try mean.table("l2-ratio", .validation))
    #expect(try Set(zip(runs.cells("step"), runs.cells("runs")).map { [$0, $1] }) == [[1, 2], [2, 1], [3, 2]])
    #expect(try runs.numbers("spread").filter { $0 == nil }.count == 1)
  }

  @Test("Tables of unlike columns have no mean, which is an error")
  func unlikeColumns() throws {
    var other = MeasuredTables()
    try other.add("l2-ratio", [StepScore(step: 1, score(0.5))])
    let one = try steps([1: 1])
    for make in [{ _ = try MeasuredTables.mean(of: [one, other]) }, { _ = try subject([one, other]) }] {
      #expect { try make() } throws: { ($0 as? TableError)?.table == "l2-ratio" }
    }
  }

  @Test("Numbers that are not finite stay so in the mean")
  func notFinite() throws {
    let mean = try #require(try MeasuredTables.mean(of: [steps([1: 1, 2: .infinity]), steps([1: .nan, 2: 4])]))
    let means = try mean.rows(of: StepStatistic.self, in: "l2-ratio", .train).map(\.mean)
    #expect(means[0].isNaN && means[1] == .infinity)
  }

  private func unrolling(_ scales: [Double], times: Int = 2) throws -> MeasuredTables {
    var tables = MeasuredTables()
    let rows = scales.flatMap { scale in
      (1...times).map {
        Unrolled(
          way: scale == 1 ? "unscaled" : "scaled", place: $0, scale: scale,
          statistic: Statistic(mean: scale * Double($0), std: 0, count: 10))
      }
    }
    try tables.add("unrolling-steps", of: "unrolling", rows, parameters: ["times": .number(Double(times))])
    return tables
  }

  private func scaled(_ measures: [MeasuredTables]) throws -> [Unrolled]? {
    try subject(measures).measures?.rows(of: Unrolled.self, in: "unrolling-steps", .validation)
      .filter { $0.way == "scaled" }
  }

  @Test("The mean of scaled unrollings, whose scales runs chose for themselves, has the mean scale")
  func scales() throws {
    let rows = try #require(try scaled([unrolling([1, 0.1]), unrolling([1, 0.3])]))
    #expect(rows.count == 2)
    for row in rows {
      #expect(abs(row.scale - 0.2) < 1e-15 && abs(row.statistic.mean - 0.2 * Double(row.place)) < 1e-15)
    }
  }

  @Test("The unscaled steps of a run whose best scale is 1 are its scaled ones in the mean")
  func bestScaleIsOne() throws {
    let rows = try #require(try scaled([unrolling([1]), unrolling([1, 0.1]), unrolling([1, 0.4])]))
    #expect(rows.count == 2)
    for row in rows {
      #expect(abs(row.scale - 0.5) < 1e-15 && abs(row.statistic.mean - 0.5 * Double(row.place)) < 1e-15)
    }
    // Where no run has another scale, there are no scaled steps.
    #expect(try scaled([unrolling([1]), unrolling([1])])?.isEmpty == true)
  }

  @Test("A table that runs measured in different ways has no mean, and the others have")
  func unlikeParameters() throws {
    var (one, other) = (try unrolling([1, 0.1]), try unrolling([1, 0.1], times: 3))
    one.tables += try steps([1: 1]).tables
    other.tables += try steps([1: 3]).tables
    let mean = try #require(try subject([one, other]).measures)
    #expect(mean["unrolling-steps"] == nil)
    #expect(try mean.rows(of: StepStatistic.self, in: "l2-ratio", .train).map(\.mean) == [2])
  }

  @Test("The history is the mean of each epoch over the runs that were measured after it")
  func history() throws {
    func recorded(_ epoch: Int, _ value: Double) throws -> MeasureResults {
      try .madeUp(of: "m", epoch: epoch, steps([1: value]))
    }
    let history = try subject(
      [], history: [[recorded(0, 1), recorded(2, 4)], [recorded(0, 2), recorded(1, 3)], []]
    ).history()
    #expect(history.map(\.epoch) == [0, 1, 2])
    let means = try history.map { try $0.tables.rows(of: StepStatistic.self, in: "l2-ratio", .train).map(\.mean) }
    #expect(means == [[1.5], [3], [4]])
  }
}
