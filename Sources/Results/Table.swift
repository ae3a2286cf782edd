import ResLensSupport

/// Results as a tidy table: one row for each combination of keys, with one or more values.
///
/// Every table of ResLens has this form, so that averaging, joining, printing, CSV and drawing are written once. The keys
/// of a measure's table begin with `split` and `samples`; most go on with `step`.
public struct Table: Codable, Equatable, Sendable {
  /// The table's name, for instance "intermediate". It is the name of its CSV file too.
  public var name: String
  /// The name of the measure that the table belongs to.
  public var measure: String
  /// The columns that tell rows apart.
  public var keys: [Column]
  /// The columns that were measured.
  public var values: [Column]
  /// Settings that hold for every row, for instance the margin of borderline examples.
  public var parameters: [String: Cell]
  /// The rows: the keys' cells, then the values' cells.
  public private(set) var rows: [[Cell]]

  /// One column.
  public struct Column: Codable, Hashable, Sendable {
    /// The column's name, in lower case with underscores.
    public var name: String
    /// The unit of the numbers, for instance "nats"; nil for a number without one and for text.
    public var unit: String?

    public init(_ name: String, unit: String? = nil) { (self.name, self.unit) = (name, unit) }

    /// The unit of columns that count samples.
    public static let samples = "samples"
    /// The name of the column with the standard deviation over runs of the first value that has an uncertainty; that of
    /// another one begins with its name.
    static let spread = "spread"
    /// The name of the column with the number of runs.
    static let runs = "runs"
  }

  /// - Throws: `TableError` for anything that `problem` reports.
  public init(
    _ name: String, of measure: String? = nil, keys: [Column], values: [Column], rows: [[Cell]] = [],
    parameters: [String: Cell] = [:]
  ) throws(TableError) {
    (self.name, self.measure, self.keys, self.values) = (name, measure ?? name, keys, values)
    (self.rows, self.parameters) = (rows, parameters)
    self = try checked()
  }

  /// All columns: the keys, then the values.
  public var columns: [Column] { keys + values }

  /// True if there is a key of this name.
  public func hasKey(_ name: String) -> Bool { keys.contains { $0.name == name } }

  private func index(of column: String) throws(TableError) -> Int {
    guard let index = columns.firstIndex(where: { $0.name == column }) else {
      let known = columns.map(\.name).joined(separator: ", ")
      throw TableError(table: name, problem: "there is no column \"\(column)\"; the columns are \(known)")
    }
    return index
  }

  private func index(ofKey key: String) throws(TableError) -> Int {
    let index = try index(of: key)
    guard index < keys.count else { throw TableError(table: name, problem: "\"\(key)\" is a value and not a key") }
    return index
  }

  // MARK: reading

  /// The cells of one column, one for each row.
  /// - Throws: `TableError` where there is no such column.
  public func cells(_ column: String) throws(TableError) -> [Cell] {
    let index = try index(of: column)
    return rows.map { $0[index] }
  }

  /// The numbers of one column, one for each row; nil where a row has none.
  /// - Throws: `TableError` where there is no such column.
  public func numbers(_ column: String) throws(TableError) -> [Double?] { try cells(column).map(\.number) }

  /// The numbers of the rows that have one, in order.
  /// - Throws: `TableError` where there is no such column.
  public func presentNumbers(_ column: String) throws(TableError) -> [Double] {
    try numbers(column).compactMap { $0 }
  }

  // MARK: tables out of tables

  /// The rows for which the condition holds.
  public func filter(_ condition: ([Cell]) -> Bool) -> Table {
    var table = self
    table.rows.removeAll { !condition($0) }
    return table
  }

  /// The rows in which each of these keys has the given value. The keys themselves are left out of the result.
  /// - Throws: `TableError` where there is no such key.
  public func selecting(_ selection: [String: Cell]) throws(TableError) -> Table {
    guard !selection.isEmpty else { return self }
    var wanted: [Int: Cell] = [:]
    for (key, value) in selection { wanted[try index(ofKey: key)] = value }
    let selected = filter { row in wanted.allSatisfy { row[$0.key] == $0.value } }
    return selected.keeping { wanted[$0] == nil }
  }

  /// The table with the columns whose index fulfils the condition.
  func keeping(_ isKept: (Int) -> Bool) -> Table {
    var table = self
    let indices = columns.indices.filter(isKept)
    table.keys = indices.filter { $0 < keys.count }.map { columns[$0] }
    table.values = indices.filter { $0 >= keys.count }.map { columns[$0] }
    table.rows = rows.map { row in indices.map { row[$0] } }
    return table
  }

  /// Tables of the same columns under one another, told apart by a new first key.
  /// - Parameter parts: the key's value for each table
  /// - Returns: nil where there are no tables
  /// - Throws: `TableError` where the columns differ, where they contain the new key, or where two tables have the same
  ///   value of it and rows of the same keys.
  public static func joined(_ parts: [(value: Cell, table: Table)], by key: Column) throws(TableError) -> Table? {
    guard var joined = parts.first?.table else { return nil }
    let (keys, values) = (joined.keys, joined.values)
    joined.rows = []
    for (value, table) in parts {
      guard table.keys == keys, table.values == values else {
        throw TableError(table: table.name, problem: "tables with different columns cannot be joined")
      }
      joined.rows += table.rows.map { [value] + $0 }
    }
    joined.keys.insert(key, at: 0)
    return try joined.checked()
  }

  /// Adds the rows of a table of the same columns at the end.
  /// - Throws: `TableError` where the columns differ, or where a row has the keys of another one. Then the table stays as
  ///   it was.
  public mutating func append(_ other: Table) throws(TableError) {
    guard other.keys == keys, other.values == values else {
      throw TableError(table: name, problem: "tables with different columns cannot be joined")
    }
    var longer = self
    longer.rows += other.rows
    self = try longer.checked()
  }

  /// The table itself.
  /// - Throws: `TableError` where something makes it unusable.
  private func checked() throws(TableError) -> Table {
    if let problem { throw TableError(table: name, problem: problem) }
    return self
  }

  /// The mean of each value over one key, for every combination of the other keys, in the order in which these first
  /// come. Counts of samples are rounded to whole numbers. A row without a number counts in no mean.
  ///
  /// Columns are added: `runs`, the number of rows of the group, those without a number included, and the standard deviation
  /// (n − 1) over them of every value that has an uncertainty over samples, or of the first value where none has. It is
  /// called `spread` for the first of these and `NAME_spread` for another one, and is missing where there is one row.
  /// - Throws: `TableError` where there is no such key, or where the table has a column `runs` or `spread` already.
  public func mean(over key: String) throws(TableError) -> Table {
    let left = try index(ofKey: key)
    var order: [[Cell]] = []
    var groups: [[Cell]: [[Cell]]] = [:]
    for row in rows {
      var group = Array(row[..<keys.count])
      group.remove(at: left)
      if groups[group] == nil { order.append(group) }
      groups[group, default: []].append(Array(row[keys.count...]))
    }
    var table = self
    table.keys.remove(at: left)
    let uncertain = uncertainValues
    table.values += [Column(Column.runs)] + uncertain.map { Column(spreadColumn(of: $0.name), unit: $0.unit) }
    table.rows = order.map { group in
      let members = groups[group] ?? []
      let means = values.indices.map { column -> Cell in
        let numbers = members.compactMap { $0[column].number }
        guard !numbers.isEmpty else { return .missing }
        let mean = numbers.reduce(0, +) / Double(numbers.count)
        return .number(values[column].unit == Column.samples ? mean.rounded() : mean)
      }
      let spreads = uncertain.map { value -> Cell in
        let index = values.firstIndex(of: value) ?? 0
        return SeedStatistic(members.compactMap { $0[index].number }).deviation.map { .number($0) } ?? .missing
      }
      return group + means + [.number(Double(members.count))] + spreads
    }
    return try table.checked()
  }

  /// The table with one key's values as columns: a row for each combination of the other keys.
  /// - Parameters:
  ///   - key: the key; its values name the new columns, in the order in which they first come
  ///   - values: the names of the columns to show; with one, a new column is named after the key's value; with several,
  ///     the column's name follows it
  /// - Throws: `TableError` where there is no such key or column.
  public func pivoted(by key: String, values wanted: [String]) throws(TableError) -> Table {
    let left = try index(ofKey: key)
    var sources: [Int] = []
    for name in wanted { sources.append(try index(of: name)) }
    var heads: [Cell] = []
    var order: [[Cell]] = []
    var found: [[Cell]: [Cell: [Cell]]] = [:]
    for row in rows {
      let group = keys.indices.filter { $0 != left }.map { row[$0] }
      if !heads.contains(row[left]) { heads.append(row[left]) }
      if found[group] == nil { order.append(group) }
      found[group, default: [:]][row[left]] = sources.map { row[$0] }
    }
    return try Table(
      name, of: measure, keys: keys.filter { $0.name != key },
      values: heads.flatMap { head in
        zip(wanted, sources).map { name, source in
          Column(head.plainText + (wanted.count > 1 ? " " + name : ""), unit: columns[source].unit)
        }
      },
      rows: order.map { group in
        group + heads.flatMap { found[group]?[$0] ?? sources.map { _ in Cell.missing } }
      }, parameters: parameters)
  }

  // MARK: text

  /// The table as CSV: a header line, then one line for each row. pandas reads it with `read_csv(path)`.
  public var csv: String {
    let lines = [columns.map { Cell.text($0.name).csvText }] + rows.map { row in row.map(\.csvText) }
    return lines.map { $0.joined(separator: ",") + "\n" }.joined()
  }
}

extension Table: Checked {
  /// The first thing that makes the table unusable, and why; nil where nothing does.
  public var problem: String? {
    let names = columns.map(\.name)
    if let double = names.first(where: { name in names.count { $0 == name } > 1 }) {
      return "the column \"\(double)\" occurs twice"
    }
    if let row = rows.firstIndex(where: { $0.count != names.count }) {
      return "row \(row + 1) has \(rows[row].count) cells, and there are \(names.count) columns"
    }
    for (column, key) in keys.enumerated() {
      if rows.contains(where: { $0[column].number?.isFinite == false }) {
        return "the key \(key.name) is not a finite number in some row"
      }
    }
    if Set(rows.map { $0[..<keys.count] }).count < rows.count { return "two rows have the same keys" }
    if let text = (rows + [Array(parameters.values)]).joined().compactMap(\.text).first(where: Cell.isWordForNumber) {
      return "the text \"\(text)\" is not possible: in JSON it stands for a number"
    }
    for (column, value) in zip(keys.count..., values) {
      for case .number(let number) in rows.map({ $0[column] }) {
        // The spread of a number of samples over runs has a fraction.
        let isCount = value.unit == Column.samples && !value.name.hasSuffix(Column.spread)
        if isCount, !(0...1e12).contains(number) || number != number.rounded() {
          return "\(value.name) \(number) is not a number of samples"
        }
        if value.unit == Column.share, !(0...1).contains(number) {
          return "\(value.name) \(number) is not between 0 and 1"
        }
        if value.name.hasSuffix("std"), number < 0 { return "\(value.name) \(number) is less than 0" }
      }
    }
    return nil
  }
}

extension Table.Column {
  /// The unit of columns that are a share of a whole, 0 … 1.
  public static let share = "share"
}

/// A request that a table cannot fulfil, or a table that contradicts itself.
public struct TableError: Error, CustomStringConvertible, Equatable {
  /// The table's name.
  public var table: String
  /// The fault.
  public var problem: String

  public init(table: String, problem: String) { (self.table, self.problem) = (table, problem) }

  public var description: String { "table \(table): \(problem)" }
}

/// One cell of a table.
public enum Cell: Sendable {
  case number(Double)
  case text(String)
  /// There is no value.
  case missing

  /// True if JSON has this text in place of a number that is not finite.
  static func isWordForNumber(_ text: String) -> Bool { ["NaN", "Infinity", "-Infinity"].contains(text) }

  /// The number; nil where the cell holds none.
  public var number: Double? { if case .number(let number) = self { number } else { nil } }

  /// The text; nil where the cell holds none.
  public var text: String? { if case .text(let text) = self { text } else { nil } }

  /// The number as a whole one; nil where the cell holds none.
  public var integer: Int? { number.flatMap { Int(exactly: $0) } }

  /// The cell as text for people: a whole number without a decimal point, and nothing for a missing value.
  public var plainText: String { text ?? integer.map { "\($0)" } ?? csvText }

  /// The cell as a field of a CSV line. Numbers read back exactly; those that are not finite are nan, inf and -inf.
  public var csvText: String {
    switch self {
    case .missing: ""
    case .text(let text): text.isPlain ? text : text.csvField
    case .number(let number): number.sign == .minus && number == 0 ? "-0.0" : integer.map { "\($0)" } ?? "\(number)"
    }
  }
}

extension String {
  /// True if the text needs no quotes in a CSV line: it has letters, digits, full stops, underscores, spaces and hyphens.
  fileprivate var isPlain: Bool {
    !isEmpty
      && utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: " "), UInt8(ascii: "-"): true
        default: false
        }
      }
  }
}

/// Numbers are compared by value, so that 0 equals −0, except that a NaN equals a NaN.
extension Cell: Hashable {
  public static func == (left: Cell, right: Cell) -> Bool {
    switch (left, right) {
    case (.number(let left), .number(let right)): left == right || left.isNaN && right.isNaN
    case (.text(let left), .text(let right)): left == right
    case (.missing, .missing): true
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .number(let number): hasher.combine(number.isNaN ? .nan : number)
    case .text(let text): hasher.combine(text)
    case .missing: hasher.combine(0)
    }
  }
}

extension Cell: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
  public init(stringLiteral text: String) { self = .text(text) }
  public init(integerLiteral number: Int) { self = .number(Double(number)) }
  public init(floatLiteral number: Double) { self = .number(number) }
}

extension Cell: Codable {
  public init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .missing
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else {
      self = .text(try value.decode(String.self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .number(let number): try value.encode(number)
    case .text(let text): try value.encode(text)
    case .missing: try value.encodeNil()
    }
  }
}
