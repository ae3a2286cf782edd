/// All quantities of a network's steps side by side, on the samples of one split: a row for each step, and the columns that
/// the measures' descriptions name. Reports show it, and `reslens measure` prints that of the measures it has just taken.
public struct DepthCard: Sendable {
  /// The numbers of the steps that have values, ascending; 0 is the state before the first step.
  public let steps: [Int]
  /// The quantities, in the order of the measures.
  public let columns: [Column]

  /// One quantity.
  public struct Column: Sendable {
    /// The name of the measure.
    public var measure: String
    /// The quantity in a word or two; empty where the measure's name says it.
    public var quantity: String
    /// The unit of the numbers as `format` writes them; empty for none.
    public var unit: String
    /// How the numbers are written.
    public var format: NumberFormat
    /// The number of each step that has one.
    public var values: [Int: Double]

    /// The measure and the quantity, for instance "cosine-loss readout".
    public var name: String { Self.name(measure, quantity) }

    static func name(_ measure: String, _ quantity: String) -> String {
      quantity.isEmpty ? measure : "\(measure) \(quantity)"
    }
  }

  /// - Parameter measures: the descriptions of the measures to show, in order
  /// - Returns: nil where no step has a value
  /// - Throws: `TableError` where a table lacks a column that a description names.
  public init?(_ measures: [MeasureDescription], _ tables: MeasuredTables, _ split: Split) throws(TableError) {
    var columns: [Column] = []
    for measure in measures {
      for column in measure.columns {
        guard let table = try tables.table(column.table, split, column.selection), !table.rows.isEmpty else { continue }
        var values: [Int: Double] = [:]
        for (step, number) in zip(try table.cells("step"), try table.numbers(column.column)) {
          if let number { values[step.integer ?? 0] = number }
        }
        let unit = column.format.unit ?? table.columns.first { $0.name == column.column }?.unit
        columns.append(
          Column(
            measure: measure.name, quantity: column.quantity, unit: unit ?? "", format: column.format, values: values))
      }
    }
    self.columns = columns
    steps = Set(columns.flatMap(\.values.keys)).sorted()
    if steps.isEmpty { return nil }
  }

  /// The cards of both splits as one table with the keys `split` and `step`; nil where no step has a value.
  /// - Throws: `TableError` where a table lacks a column that a description names.
  public static func table(_ measures: [MeasureDescription], _ tables: MeasuredTables) throws(TableError) -> Table? {
    var cards: [(split: Split, card: DepthCard)] = []
    for split in Split.allCases { if let card = try DepthCard(measures, tables, split) { cards.append((split, card)) } }
    var columns: [Column] = []
    for column in cards.flatMap(\.card.columns) where !columns.contains(where: { $0.name == column.name }) {
      columns.append(column)
    }
    guard !cards.isEmpty else { return nil }
    return try Table(
      "depth-card", keys: [.init("split"), .init("step")],
      // Shares are numbers from 0 to 1 here, as in the other tables.
      values: columns.map { .init($0.name, unit: $0.format.unit == nil && !$0.unit.isEmpty ? $0.unit : nil) },
      rows: cards.flatMap { split, card in
        card.steps.map { step in
          [split.cell, .number(Double(step))]
            + columns.map { column in
              card.columns.first { $0.name == column.name }?.values[step].map { .number($0) } ?? .missing
            }
        }
      })
  }
}
