/// One number of a table with what it is of, for programs that know no tables.
public struct NamedNumber: Sendable {
  /// The table's name for its first value, and TABLE.COLUMN for the others, for instance "intermediate.loss".
  public var quantity: String
  /// The cells of the keys besides split, samples and step, for instance ["readout"].
  public var keys: [String]
  /// The split; nil where the table has none.
  public var split: String?
  /// The step; nil where the table has none.
  public var step: Int?
  /// The column of the number.
  public var column: Table.Column
  /// The number.
  public var value: Double
}

extension Table {
  /// The table's numbers in the order of the rows, without missing values, counts of samples and text.
  public var namedNumbers: [NamedNumber] {
    let names = keys.map(\.name)
    let others = names.filter { !["split", "samples", "step"].contains($0) }
    var numbers: [NamedNumber] = []
    for row in rows {
      let cells = Dictionary(zip(names, row), uniquingKeysWith: { first, _ in first })
      for (index, (column, cell)) in zip(values, row.dropFirst(keys.count)).enumerated() {
        guard column.unit != Column.samples, let value = cell.number else { continue }
        numbers.append(
          NamedNumber(
            quantity: index == 0 ? name : "\(name).\(column.name)", keys: others.compactMap { cells[$0]?.plainText },
            split: cells["split"]?.plainText, step: cells["step"]?.integer, column: column, value: value))
      }
    }
    return numbers
  }
}
