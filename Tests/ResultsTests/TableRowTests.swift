import Foundation
import ResLensSupport
import ResLensResults
import Testing

@Suite struct TableRowTests {
  /// A row with every type that a field can have.
  private struct Row: TableRow {
    var name: String
    var step: Int
    var value: Double
    var score: Score
    var note: String?
    var size: Int?
    var ratio: Double?

    static let keys = ["step", "name"]
    static let units = Score.units.merging(["value": "nats"]) { $1 }
  }

  private static func score(_ draws: inout Draws) -> Score {
    Score(
      accuracy: draws.element(of: [0, 1.0 / 3, 1]), loss: draws.number(),
      lossStd: draws.element(of: [0, .nan, .infinity]), entropy: draws.number(), entropyStd: 1e-308,
      count: Int.random(in: 0...1_000_000, using: &draws))
  }

  @Test("Rows read back from their table, and from its JSON, to the bit", arguments: 0..<40)
  func readBack(seed: Int) throws {
    var draws = Draws(seed: seed)
    let rows = (0..<Int.random(in: 1...9, using: &draws)).map { step in
      Row(
        name: draws.text(), step: step, value: draws.number(), score: Self.score(&draws),
        note: draws.flag() ? draws.text() : nil,
        size: draws.flag() ? Int.random(in: -1_000_000_000...1_000_000_000, using: &draws) : nil,
        ratio: draws.flag() ? draws.number() : nil)
    }
    let table = try Table("t", of: "m", rows, parameters: ["times": 3])
    #expect(table.keys == [.init("step"), .init("name")] && table.measure == "m" && table.parameters == ["times": 3])
    let values: [Table.Column] = [
      .init("value", unit: "nats"), .init("accuracy", unit: Table.Column.share), .init("loss", unit: "nats"),
      .init("entropy", unit: "nats"), .init("count", unit: Table.Column.samples), .init("loss_std", unit: "nats"),
      .init("entropy_std", unit: "nats"), .init("note"), .init("size"), .init("ratio"),
    ]
    #expect(Set(table.values) == Set(values) && table.values.count == values.count)
    // The row's columns stand in the order of its fields, around those of the row in it.
    #expect(table.values.first == values.first && Array(table.values.suffix(3)) == Array(values.suffix(3)))
    for (row, cells) in zip(rows, table.rows) {
      let byName = Dictionary(uniqueKeysWithValues: zip(table.columns.map(\.name), cells.map(\.bits)))
      #expect(byName["name"] == Cell.text(row.name).bits && byName["step"] == Cell.number(Double(row.step)).bits)
      #expect(byName["value"] == Cell.number(row.value).bits && byName["loss"] == Cell.number(row.score.loss).bits)
      #expect(byName["note"] == (row.note.map { .text($0) } ?? Cell.missing).bits)
      #expect(byName["size"] == (row.size.map { .number(Double($0)) } ?? Cell.missing).bits)
      #expect(byName["ratio"] == (row.ratio.map { .number($0) } ?? Cell.missing).bits)
    }
    let read = try JSON.decode(Table.self, from: JSON.encode(table), path: "t.json", remedy: "none")
    for table in [table, read] {
      let back = try table.rows(of: Row.self)
      #expect(back.map(\.name) == rows.map(\.name) && back.map(\.note) == rows.map(\.note))
      #expect(back.map(\.size) == rows.map(\.size) && back.map(\.score.count) == rows.map(\.score.count))
      #expect(try Table("t", of: "m", back, parameters: ["times": 3]).bits == table.bits)
    }
  }

  @Test("A missing column, a missing cell and a cell of another type are errors that name the column")
  func mismatches() throws {
    let score = Score(accuracy: 1, loss: 0, lossStd: 0, entropy: 0, entropyStd: 0, count: 1)
    let table = try Table(
      "t", [Row(name: "a", step: 1, value: 2, score: score, note: nil, size: nil, ratio: nil)])
    func changed(_ column: String, _ cell: Cell?) throws -> Table {
      let index = try #require(table.columns.firstIndex { $0.name == column })
      var cells = table.rows[0]
      var columns = table.columns
      if let cell {
        cells[index] = cell
      } else {
        cells.remove(at: index)
        columns.remove(at: index)
      }
      return try Table("t", keys: [], values: columns.map { .init($0.name) }, rows: [cells])
    }
    #expect(try changed("value", 3).rows(of: Row.self).map(\.value) == [3])
    for column in table.columns.map(\.name) {
      // An optional needs its column too.
      #expect(throws: TableError(table: "t", problem: "there is no column \"\(column)\"")) {
        try changed(column, nil).rows(of: Row.self)
      }
    }
    for (column, cell, type) in [
      ("value", .missing, "Double"), ("value", "a", "Double"), ("loss", .missing, "Double"), ("loss", "a", "Double"),
      ("step", .missing, "Int"), ("step", 1.5, "Int"), ("step", .number(.nan), "Int"), ("step", 1e300, "Int"),
      ("step", "1", "Int"), ("name", .missing, "String"), ("name", 1, "String"), ("count", 0.5, "Int"),
      ("note", 1, "String"), ("size", 0.5, "Int"), ("size", "a", "Int"), ("ratio", "a", "Double"),
    ] as [(String, Cell, String)] {
      #expect(throws: TableError(table: "t", problem: "\(column) is not of type \(type) in some row")) {
        try changed(column, cell).rows(of: Row.self)
      }
    }
    for column in ["note", "size", "ratio"] {
      let row = try #require(try changed(column, .missing).rows(of: Row.self).first)
      #expect(row.note == nil && row.size == nil && row.ratio == nil)
    }
    // Columns that the row does not ask for are left alone.
    #expect(try table.rows(of: Score.self).map(\.count) == [1])
  }

  @Test("A row whose field no cell holds, or that lacks a key, makes no table")
  func unfit() throws {
    struct Flag: TableRow {
      var step = 1
      var isRight = true
      static let keys = ["step"]
    }
    #expect { try Table("t", [Flag()]) } throws: { "\($0)".contains("a cell of a table holds a number or text") }
    struct List: TableRow {
      var step = 1
      var values = [1.0]
      static let keys = ["step"]
    }
    #expect { try Table("t", [List()]) } throws: { "\($0)".contains("a cell of a table holds a number or text") }
    struct Keyless: TableRow {
      var value = 1.0
      static let keys = ["step"]
    }
    #expect(throws: TableError(table: "t", problem: "its rows have no field \"step\"")) { try Table("t", [Keyless()]) }
    #expect(throws: TableError(table: "t", problem: "two rows have the same keys")) {
      try Table("t", [StepStatistic(step: 1, .init(Moments())), StepStatistic(step: 1, .init(Moments()))])
    }
    let none = try Table("t", [StepStatistic]())
    #expect(none.rows.isEmpty && none.keys == [.init("step")])
    #expect(try none.rows(of: StepStatistic.self).isEmpty)
  }
}

@Suite struct MeasuredTablesTests {
  private func step(_ number: Int, stage: Int) -> StepSpec {
    StepSpec(
      id: StepID(number: number, path: "stages.\(stage).\(number)"), stage: stage, block: 0, input: [1], output: [1],
      macs: 1, hasIdentitySkip: true)
  }

  @Test("A mean over seeds follows its formula in float64")
  func seeds() throws {
    var draws = Draws(seed: 3)
    let (seeds, steps) = (5, 6)
    // Means, deviations and counts by seed and step, of both splits.
    var numbers: [[[StepStatistic]]] = []
    for _ in 0..<seeds {
      numbers.append(
        Split.allCases.map { _ in
          (1...steps).map { step in
            StepStatistic(
              step: step,
              Statistic(
                mean: .random(in: -1...1, using: &draws), std: .random(in: 0...1, using: &draws),
                count: .random(in: 1...1000, using: &draws)))
          }
        })
    }
    let networks = try numbers.map { splits in
      let parts = try zip(Split.allCases, splits).map { (value: $0.cell, table: try Table("l2-ratio", $1)) }
      return MeasuredTables(
        steps: [step(1, stage: 0)], tables: [try #require(try Table.joined(parts, by: .init("split")))])
    }
    let mean = try #require(try MeasuredTables.mean(of: networks))
    #expect(mean.steps == networks[0].steps && mean.tables.map(\.name) == ["l2-ratio"])
    for (index, split) in Split.allCases.enumerated() {
      let table = try #require(try mean.table("l2-ratio", split))
      #expect(table.columns.map(\.name) == ["step", "mean", "std", "count", "runs", "spread"])
      #expect(table.rows.count == steps)
      for (place, row) in table.rows.enumerated() {
        let own = numbers.map { $0[index][place].statistic }
        func average(_ values: [Double]) -> Double { values.reduce(0, +) / Double(seeds) }
        let centre = average(own.map(\.mean))
        let squares = own.map { ($0.mean - centre) * ($0.mean - centre) }.reduce(0, +)
        let wanted = [
          Double(place + 1), centre, average(own.map(\.std)), average(own.map { Double($0.count) }).rounded(),
          Double(seeds), (squares / Double(seeds - 1)).squareRoot(),
        ]
        for (cell, wanted) in zip(row, wanted) { #expect(abs((cell.number ?? .nan) - wanted) < 1e-12) }
      }
      // Rows of the mean read as those of one network.
      #expect(try mean.rows(of: StepStatistic.self, in: "l2-ratio", split).map(\.step) == Array(1...steps))
    }
  }

  @Test("A value that some seeds lack is the mean of the others, and one network alone stays as it is")
  func lacking() throws {
    struct Row: TableRow {
      var split = "train"
      var step: Int
      var ratio: Double?
      var count: Int
      static let keys = ["split", "step"]
      static let units = ["count": Table.Column.samples]
    }
    let networks = try [
      [Row(step: 1, ratio: 1, count: 10), Row(step: 2, ratio: 3, count: 4)],
      [Row(step: 1, ratio: 2, count: 11), Row(step: 2, ratio: nil, count: 4)], [Row(step: 1, ratio: 4, count: 11)],
    ].map { MeasuredTables(tables: [try Table("t", $0)]) }
    let found = try #require(try MeasuredTables.mean(of: networks)?["t"])
    // Σ(x − 7/3)² / 2 = 7/3; 32 / 3 samples are 11.
    let third = 7.0 / 3
    #expect(found.rows.count == 2 && found.rows[1] == ["train", 2, 3, 4, 2, .missing])
    #expect(found.rows[0].map(\.integer) == [nil, 1, nil, 11, 3, nil])
    #expect(abs((found.rows[0][2].number ?? .nan) - third) < 1e-15)
    #expect(abs((found.rows[0][5].number ?? .nan) - third.squareRoot()) < 1e-15)
    #expect(try MeasuredTables.mean(of: [networks[0]]) == networks[0])
    #expect(try MeasuredTables.mean(of: []) == nil)
    // A table is the mean over the networks that have it.
    let other = MeasuredTables(tables: [try Table("u", [Row(step: 1, ratio: 5, count: 1)])])
    let partly = try #require(try MeasuredTables.mean(of: networks + [other]))
    #expect(partly["t"] == found && partly["u"]?.rows == [["train", 1, 5, 1, 1, .missing]])
    let unlike = MeasuredTables(tables: [
      try Table("t", keys: [.init("split"), .init("step")], values: [.init("mean")], rows: [["train", 1, 1]])
    ])
    #expect(throws: TableError.self) { try MeasuredTables.mean(of: [networks[0], unlike]) }
  }

  @Test("Tables, rows and steps are found by name, split and number, and nothing is there that was not measured")
  func finding() throws {
    let table = try Table(
      "cosine-loss", keys: [.init("split"), .init("gradient"), .init("step")],
      values: [.init("mean"), .init("std"), .init("count", unit: Table.Column.samples)],
      rows: [
        ["train", "readout", 1, 0.5, 0, 1], ["validation", "readout", 1, 0.25, 0, 1],
        ["validation", "readout", 2, 0.125, 0, 1], ["validation", "backpropagated", 1, 2, 0, 1],
      ])
    let tables = MeasuredTables(steps: [step(1, stage: 0), step(2, stage: 1)], tables: [table])
    let rows = try tables.rows(of: StepStatistic.self, in: "cosine-loss", .validation, ["gradient": "readout"])
    #expect(rows.map(\.step) == [1, 2] && rows.map(\.mean) == [0.25, 0.125])
    #expect(try tables.table("cosine-loss", .train)?.rows == [["readout", 1, 0.5, 0, 1]])
    #expect(try tables.table("l2-ratio", .train) == nil && tables["l2-ratio"] == nil && tables["cosine-loss"] == table)
    #expect(try tables.rows(of: StepStatistic.self, in: "l2-ratio", .train).isEmpty)
    // Without the selection there are two rows a step, which the type does not tell apart; another type is an error.
    #expect(throws: TableError.self) { try tables.rows(of: Score.self, in: "cosine-loss", .validation) }
    #expect(tables.step(2)?.stage == 1 && tables.step(0) == nil && tables.step(3) == nil && tables.lastStage == 1)
    #expect(MeasuredTables().lastStage == 0)
  }
}
