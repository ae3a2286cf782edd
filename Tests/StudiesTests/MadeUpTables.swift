import ResLensResults
import ResLensStudies
import TestSupport

// Tables of made-up numbers, as measures would make them.

extension MeasuredTables {
  /// Adds a table with these rows of each split.
  mutating func add<Row: TableRow>(
    _ name: String, of measure: String? = nil, train: [Row], validation: [Row], parameters: [String: Cell] = [:]
  ) throws {
    let parts = try [(Split.train, train), (.validation, validation)].map { split, rows in
      (split.cell, try Table(name, of: measure, rows, parameters: parameters))
    }
    if let table = try Table.joined(parts, by: .init("split")) { tables.append(table) }
  }

  /// Adds a table with the same rows of both splits.
  mutating func add<Row: TableRow>(
    _ name: String, of measure: String? = nil, _ rows: [Row], parameters: [String: Cell] = [:]
  ) throws {
    try add(name, of: measure, train: rows, validation: rows, parameters: parameters)
  }

  /// Changes the values of a column in the rows with these keys, which must be there.
  mutating func set(
    _ column: String, to value: Double, in name: String, where keys: [String: Cell]
  ) throws {
    guard let index = tables.firstIndex(where: { $0.name == name }) else {
      throw TableError(table: name, problem: "there is none to change")
    }
    tables[index] = try tables[index].setting(column, to: value, where: keys)
  }
}

extension Evidence.Subject {
  /// Changes the values of a column in the rows with these keys, which must be there, for every seed.
  mutating func set(_ column: String, to value: Double, in name: String, where keys: [String: Cell]) throws {
    for seed in measures.indices { try measures[seed].set(column, to: value, in: name, where: keys) }
  }

  /// Changes every table of every seed.
  mutating func changeTables(_ change: (Table) throws -> Table) rethrows {
    for seed in measures.indices { measures[seed].tables = try measures[seed].tables.map(change) }
  }
}

extension Table {
  /// The table with other values of a column in the rows with these keys, which must be there.
  func setting(_ column: String, to value: Double, where wanted: [String: Cell]) throws -> Table {
    var rows = rows
    var isFound = false
    for row in rows.indices {
      let cells = Dictionary(uniqueKeysWithValues: zip(columns.map(\.name), rows[row]))
      guard wanted.allSatisfy({ cells[$0.key] == $0.value }) else { continue }
      guard let index = columns.firstIndex(where: { $0.name == column }) else { continue }
      rows[row][index] = .number(value)
      isFound = true
    }
    guard isFound else { throw TableError(table: name, problem: "no row is like that") }
    return try Table(name, of: measure, keys: keys, values: values, rows: rows, parameters: parameters)
  }

  /// The table with another name for a column, if it has one of this name.
  func renaming(_ column: String, to name: String) -> Table {
    var table = self
    for index in keys.indices where keys[index].name == column { table.keys[index].name = name }
    for index in values.indices where values[index].name == column { table.values[index].name = name }
    return table
  }

  /// The table with the key `samples` behind `split`.
  func measured(on samples: Int) throws -> Table {
    try Table(
      name, of: measure, keys: [keys[0], Column("samples")] + keys.dropFirst(), values: values,
      rows: rows.map { [$0[0], .number(Double(samples))] + $0.dropFirst() }, parameters: parameters)
  }
}

extension StepSpec {
  /// The steps of a made-up network of one stage.
  static func madeUp(_ count: Int) -> [StepSpec] {
    (1...count).map {
      StepSpec(
        id: StepID(number: $0, path: "stages.0.\($0 - 1)"), stage: 0, block: $0 - 1, input: [4, 8, 8],
        output: [4, 8, 8], macs: 1, hasIdentitySkip: true)
    }
  }
}

extension MeasureResults {
  /// Results of made-up tables.
  static func madeUp(
    of architecture: String, checkpoint: String = "c", epoch: Int, _ measured: MeasuredTables, samples: Int = 100,
    absent: [Absence] = []
  ) throws -> MeasureResults {
    MeasureResults(
      run: architecture, architecture: architecture, checkpoint: checkpoint, epoch: epoch, data: "d",
      provenance: .madeUp,
      samplings: Split.allCases.map {
        .init(split: $0, samples: samples, images: "i", program: "0", date: "2026-01-01T00:00:00Z")
      },
      steps: measured.steps, tables: try measured.tables.map { try $0.measured(on: samples) }, absent: absent)
  }
}
