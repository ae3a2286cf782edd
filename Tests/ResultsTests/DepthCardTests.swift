import ResLensResults
import Testing

@Suite("A depth card") struct DepthCardTests {
  private struct Row: TableRow {
    var gradient: String
    var step: Int
    var mean: Double?
    static let keys = ["gradient", "step"]
  }

  private static let measures = [
    MeasureDescription(
      name: "slope", views: [],
      columns: [
        StepColumn(table: "slope", selection: ["gradient": "back"]),
        StepColumn("readout", table: "slope", selection: ["gradient": "readout"], format: .percent),
      ]),
    MeasureDescription(name: "absent", views: [], columns: [StepColumn(table: "absent")]),
    MeasureDescription(name: "size", views: [], columns: [StepColumn("‖h‖", table: "size")]),
  ]

  private func tables() throws -> MeasuredTables {
    func split(_ name: String, _ rows: [Row], _ split: Split) throws -> (value: Cell, table: Table) {
      (split.cell, try Table(name, rows))
    }
    let slopes = [
      Row(gradient: "back", step: 1, mean: -0.5), Row(gradient: "back", step: 2, mean: .infinity),
      Row(gradient: "readout", step: 2, mean: 0.25), Row(gradient: "readout", step: 3, mean: nil),
    ]
    let slope = try #require(
      try Table.joined([split("slope", slopes, .validation), split("slope", slopes, .train)], by: .init("split")))
    let sizes = try Table("size", [StepStatistic(step: 0, Statistic(mean: 7, std: 1, count: 3))])
    let size = try #require(try Table.joined([(Split.validation.cell, sizes)], by: .init("split")))
    return MeasuredTables(tables: [slope, size])
  }

  @Test("has a row for each step with a value, and a column for each column of the measures that were taken")
  func card() throws {
    let card = try #require(try DepthCard(Self.measures, tables(), .validation))
    #expect(card.steps == [0, 1, 2])
    #expect(card.columns.map(\.name) == ["slope", "slope readout", "size ‖h‖"])
    #expect(card.columns.map(\.unit) == ["", "%", ""])
    #expect(card.columns.map(\.values) == [[1: -0.5, 2: .infinity], [2: 0.25], [0: 7]])
    #expect(try DepthCard(Self.measures, tables(), .train)?.steps == [1, 2])
    #expect(try DepthCard(Self.measures, MeasuredTables(), .train) == nil)
    #expect(throws: TableError.self) {
      let wrong = MeasureDescription(name: "slope", views: [], columns: [StepColumn(table: "slope", column: "other")])
      _ = try DepthCard([wrong], tables(), .train)
    }
  }

  @Test("is a tidy table of both splits")
  func table() throws {
    let table = try #require(try DepthCard.table(Self.measures, tables()))
    #expect(
      table.csv
        == """
        split,step,slope,slope readout,size ‖h‖
        train,1,-0.5,,
        train,2,inf,0.25,
        validation,0,,,7
        validation,1,-0.5,,
        validation,2,inf,0.25,

        """.replacing("size ‖h‖", with: "\"size ‖h‖\""))
    #expect(try DepthCard.table(Self.measures, MeasuredTables()) == nil)
  }
}
