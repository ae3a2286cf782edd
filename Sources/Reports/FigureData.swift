import ResLensResults

/// The numbers that a figure shows, as a tidy table: one row for each measured thing, and one column for each key and
/// value. pandas reads the CSV with `read_csv(path)`.
public struct FigureData: Equatable, Sendable {
  /// The names of the columns, in the order in which rows brought them.
  public private(set) var columns: [String] = []
  /// A row can end before the last column; it has no value there.
  private var rows: [[Cell]] = []

  public init() {}

  /// True if there are no numbers.
  public var isEmpty: Bool { rows.isEmpty }

  /// Adds one row.
  mutating func add(_ cells: [(column: String, cell: Cell)]) {
    let indices = cells.map { index(of: $0.column) }
    var row = Array(repeating: Cell.missing, count: columns.count)
    for (index, cell) in zip(indices, cells) { row[index] = cell.cell }
    rows.append(row)
  }

  /// Adds the rows of a table.
  /// - Parameters:
  ///   - leading: the cells that all these rows begin with
  ///   - trailing: the cells that all these rows end with
  mutating func add(
    _ leading: [(column: String, cell: Cell)], _ table: Table, _ trailing: [(column: String, cell: Cell)] = []
  ) {
    for row in table.rows {
      add(leading + zip(table.columns, row).map { ($0.name, $1) } + trailing)
    }
  }

  private mutating func index(of column: String) -> Int {
    if let index = columns.firstIndex(of: column) { return index }
    columns.append(column)
    return columns.count - 1
  }

  /// A header line, then a line for each row. Numbers read back exactly; a missing value is an empty field.
  public var csv: String {
    let lines = rows.map { row in
      row.map(\.csvText) + Array(repeating: "", count: columns.count - row.count)
    }
    return ([columns] + lines).map { $0.joined(separator: ",") + "\n" }.joined()
  }
}

extension Cell {
  /// The name of a run, without control characters.
  static func name(_ text: String) -> Cell { .text(text.singleLine) }

  /// A whole number.
  static func integer(_ number: Int) -> Cell { .number(Double(number)) }

  /// A number, or no value.
  static func optional(_ number: Double?) -> Cell { number.map { .number($0) } ?? .missing }
}

extension Table {
  /// The rows in which these keys have these values, with all columns.
  /// - Throws: `TableError` where there is no such column.
  func rows(where selection: [String: Cell]) throws(TableError) -> Table {
    var wanted: [Int: Cell] = [:]
    for (key, value) in selection {
      guard let index = columns.firstIndex(where: { $0.name == key }) else {
        // It throws, and names the columns that there are.
        _ = try cells(key)
        continue
      }
      wanted[index] = value
    }
    return filter { row in wanted.allSatisfy { row[$0.key] == $0.value } }
  }
}
