import ResLensResults
import ResLensStudies
import Testing

private struct Scored: TableRow {
  var group: String
  var score: Score
  static let keys = ["group"]
  static let units = Score.units
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

  private func subject(_ measures: [MeasuredTables], history: [[MeasureResults]] = []) -> Evidence.Subject {
    Evidence.Subject(
      model: "m", data: "d", architecture: "m", parameters: 1, classes: 10, validationSamples: 10,
      runs: history.map { .init(epochs: [], history: $0) }, measures: measures)
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
    #expect { try MeasuredTables.mean(of: [one, other]) } throws: { ($0 as? TableError)?.table == "l2-ratio" }
  }

  @Test("Numbers that are not finite stay so in the mean")
  func notFinite() throws {
    let mean = try #require(try MeasuredTables.mean(of: [steps([1: 1, 2: .infinity]), steps([1: .nan, 2: 4])]))
    let means = try mean.rows(of: StepStatistic.self, in: "l2-ratio", .train).map(\.mean)
    #expect(means[0].isNaN && means[1] == .infinity)
  }

  @Test("A table that seeds were measured for with different parameters is left out, and the others stay")
  func unlikeParameters() throws {
    func seed(margin: Double, _ value: Double) throws -> MeasuredTables {
      var tables = try steps([1: value])
      try tables.add("borderline", [Scored(group: "all", score: score(0.5))], parameters: ["margin": .number(margin)])
      return tables
    }
    let unlike = subject([try seed(margin: 0.1, 1), try seed(margin: 0.2, 3)])
    #expect(unlike.measures.map { $0.tables.map(\.name) } == [["l2-ratio"], ["l2-ratio"]])
    let alike = subject([try seed(margin: 0.1, 1), try seed(margin: 0.1, 3)])
    #expect(alike.measures.allSatisfy { $0.tables.count == 2 })
  }

  @Test("The number of a network at a step is the mean over the seeds that have it, with its spread")
  func seeds() throws {
    let found = try subject([try steps([1: 1, 3: 5]), try steps([1: 3, 2: 4])]).measures.statistics("l2-ratio")
    #expect(found.map(\.step) == [1, 2, 3] && found.map(\.estimate.value) == [2, 4, 5])
    #expect(found.map(\.estimate.runs) == [2, 1, 1] && found.map(\.estimate.spread) == [(2.0).squareRoot(), nil, nil])
    // The deviations over ten samples are 2 and 6.
    #expect(abs(found[0].estimate.sampleError - 4 / 3) < 1e-15)
  }

  @Test("The history has for each epoch the runs that were measured after it")
  func history() throws {
    func recorded(_ epoch: Int, _ value: Double) throws -> MeasureResults {
      try .madeUp(of: "m", epoch: epoch, steps([1: value]))
    }
    let history = try subject([], history: [[recorded(0, 1), recorded(2, 4)], [recorded(0, 2), recorded(1, 3)], []])
      .history
    #expect(history.map(\.epoch) == [0, 1, 2])
    let means = try history.map { epoch in
      try epoch.tables.map { try $0.rows(of: StepStatistic.self, in: "l2-ratio", .train).map(\.mean) }
    }
    #expect(means == [[[1], [2]], [[3]], [[4]]])
  }
}
