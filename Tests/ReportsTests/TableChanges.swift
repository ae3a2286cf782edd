import ResLensReports
import ResLensResults

extension MeasureResults {
  /// Adds a table of rows of both splits.
  mutating func add<Row: TableRow>(_ name: String, of measure: String, _ rows: (Split) throws -> [Row]) throws {
    let parts = try Split.allCases.map { split in
      (value: split.cell, table: try Table(name, of: measure, try rows(split)).counted(split))
    }
    if let table = try Table.joined(parts, by: .init("split")) { tables.append(table) }
  }

  /// Adds a table of cells.
  mutating func add(
    _ name: String, of measure: String, splits: [Split] = Split.allCases, keys: [String], values: [String],
    parameters: [String: Cell] = [:], _ rows: (Split) throws -> [[Cell]]
  ) throws {
    let units = ["count": Table.Column.samples, "accuracy": Table.Column.share, "error": Table.Column.share]
    func columns(_ names: [String]) -> [Table.Column] { names.map { .init($0, unit: units[$0]) } }
    let parts = try splits.map { split in
      let table = try Table(
        name, of: measure, keys: columns(keys), values: columns(values), rows: try rows(split), parameters: parameters)
      return (value: split.cell, table: try table.counted(split))
    }
    if let table = try Table.joined(parts, by: .init("split")) { tables.append(table) }
  }

  /// Changes the numbers of one column in the rows whose cells have these values. The column loses its unit, so that it
  /// can hold numbers that no measure gives.
  mutating func change(
    _ name: String, _ column: String, where cells: [String: Cell] = [:], _ change: (Double) -> Cell
  ) throws {
    guard let index = tables.firstIndex(where: { $0.name == name }),
      let changed = tables[index].columns.firstIndex(where: { $0.name == column })
    else { throw TableError(table: name, problem: "the test asks for a column \(column)") }
    let table = tables[index]
    let rows = table.rows.map { row -> [Cell] in
      guard table.columns.agree(row, with: cells) else { return row }
      var row = row
      row[changed] = change(row[changed].number ?? .nan)
      return row
    }
    tables[index] = try Table(
      name, of: table.measure, keys: table.keys,
      values: table.values.map { $0.name == column ? .init($0.name) : $0 }, rows: rows, parameters: table.parameters)
  }

  /// Removes the rows whose cells have these values; without values the table.
  mutating func remove(_ name: String, where cells: [String: Cell] = [:]) {
    guard !cells.isEmpty else { return tables.removeAll { $0.name == name } }
    for index in tables.indices where tables[index].name == name {
      let columns = tables[index].columns
      tables[index] = tables[index].filter { !columns.agree($0, with: cells) }
    }
  }

  /// Sets a parameter of all tables of a measure.
  mutating func set(_ parameter: String, of measure: String, to cell: Cell?) {
    for index in tables.indices where tables[index].measure == measure {
      tables[index].parameters[parameter] = cell
    }
  }

  /// The numbers of one column in the rows of a split whose keys have these values.
  func numbers(
    _ name: String, _ column: String, _ split: Split, where keys: [String: Cell] = [:]
  ) throws -> [Double] {
    try widest.table(name, split, keys)?.presentNumbers(column) ?? []
  }
}

extension ReportedRun {
  /// Changes the run's results.
  mutating func changeMeasures(_ change: (inout MeasureResults) throws -> Void) rethrows {
    guard var results = measures else { return }
    try change(&results)
    measures = results
  }

  /// Takes a measure's tables away.
  mutating func remove(_ measure: String) { changeMeasures { $0.tables.removeAll { $0.measure == measure } } }
}

extension [Table.Column] {
  /// Whether the cells of a row have the values that are given for their columns.
  fileprivate func agree(_ row: [Cell], with cells: [String: Cell]) -> Bool {
    zip(self, row).allSatisfy { column, cell in cells[column.name].map { $0 == cell } ?? true }
  }
}

extension Table {
  /// The table with the number of samples as its first key.
  fileprivate func counted(_ split: Split) throws -> Table {
    try Table.joined([(.number(Double(Samples.count(split))), self)], by: .init("samples")) ?? self
  }
}
