import ResLensResults
import TestSupport
import Testing

@Suite("The cost of dropping steps") struct DropCostTests {
  @Test("Rank correlation is that of the ranks, in which equal numbers share the mean of theirs")
  func ranks() throws {
    // Where no numbers are equal, it is 1 − 6·Σd² / (n³ − n), d being the differences of the ranks.
    for seed in 0..<20 as Range<UInt64> {
      let (a, b) = (noise(12, seed: seed), noise(12, seed: seed + 50))
      func rank(_ values: [Double], _ value: Double) -> Double { Double(values.count { $0 < value }) }
      let squares = zip(a, b).reduce(0) { sum, pair in
        let difference = rank(a, pair.0) - rank(b, pair.1)
        return sum + difference * difference
      }
      let found = try #require(rankCorrelation(a, b))
      #expect(abs(found - (1 - 6 * squares / (12 * 12 * 12 - 12))) < 1e-12)
      // Only the order of the numbers counts.
      #expect(rankCorrelation(a.map { $0 * $0 * $0 }, b.map { -$0 }).map { abs($0 + found) < 1e-12 } == true)
    }
    // The ranks are 0.5, 0.5, 2, 3 and 0, 1.5, 1.5, 3.
    let (x, y) = ([0.5, 0.5, 2, 3], [0, 1.5, 1.5, 3])
    var pairs = PairMoments()
    for (x, y) in zip(x, y) { pairs.add(x, y) }
    #expect(rankCorrelation([7, 7, 8, 90], [-1, 5, 5, 6]) == pairs.correlation)
    #expect(rankCorrelation([1, 2, 3], [4, 4, 4]) == nil && rankCorrelation([], []) == nil)
    #expect(rankCorrelation([1, 2], [-.infinity, 3]) == 1)
  }

  private struct Row: TableRow {
    var step: Int
    var mean: Double?
    static let keys = ["step"]
  }

  /// Steps 1 to 5, of which step 3 has a projection.
  private func tables() throws -> MeasuredTables {
    func table(_ name: String, train: [Double?], validation: [Double?]) throws -> Table {
      func part(_ split: Split, _ values: [Double?]) throws -> (value: Cell, table: Table) {
        (split.cell, try Table(name, values.enumerated().map { Row(step: $0 + 1, mean: $1) }))
      }
      return try #require(try Table.joined([part(.train, train), part(.validation, validation)], by: .init("split")))
    }
    let steps = (1...5).map { number in
      StepSpec(
        id: StepID(number: number, path: "stages.0.\(number - 1)"), stage: 0, block: number - 1, input: [1],
        output: [1],
        macs: 1, hasIdentitySkip: number != 3)
    }
    return MeasuredTables(
      steps: steps,
      tables: [
        try table("cost", train: [9, 9, 9, 9, 9], validation: [1, 2, 100, 4, 3]),
        try table("cheap", train: [10, 20, 0, 40, .infinity], validation: [4, 3, 2, 1, 0]),
      ])
  }

  private static let measures = [
    MeasureDescription(
      name: "cost", views: [], columns: [StepColumn(table: "cost")],
      stepCost: { tables in
        let rows = try tables.rows(of: Row.self, in: "cost", .validation)
        return Dictionary(uniqueKeysWithValues: rows.map { ($0.step, $0.mean ?? .nan) })
      }),
    MeasureDescription(name: "cheap", views: [], columns: [StepColumn("x", table: "cheap")]),
  ]

  @Test(
    "Quantities of train samples stand beside costs of validation samples, at steps that have both and no projection")
  func proxies() throws {
    let found = try #require(try DropCost(Self.measures, tables())).proxies
    #expect(found.map(\.name) == ["step number", "cheap x"])
    #expect(found[0].points.map(\.step) == [1, 2, 4, 5] && found[0].points.map(\.cost) == [1, 2, 4, 3])
    #expect(
      found[1].points == [
        .init(step: 1, value: 10, cost: 1), .init(step: 2, value: 20, cost: 2), .init(step: 4, value: 40, cost: 4),
      ])
    #expect(found[0].correlation.map { abs($0 - 0.8) < 1e-12 } == true && found[1].correlation == 1)
    // Two standard errors of four steps are 2/√3, and no correlation is above 1.
    #expect(!found[0].isBeyondNoise && !found[1].isBeyondNoise)
    var many = found[1]
    many.points = (0..<6).map { .init(step: $0, value: Double($0), cost: Double($0)) }
    #expect(many.isBeyondNoise)
    #expect(try DropCost([Self.measures[1]], tables()) == nil)
    #expect(try DropCost(Self.measures, MeasuredTables()) == nil)
  }
}
