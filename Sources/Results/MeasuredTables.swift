/// A set of samples.
public enum Split: String, Codable, CaseIterable, Sendable {
  /// Samples that the network was trained on.
  case train
  /// Samples that the network was not trained on.
  case validation

  /// The split as a key's value.
  public var cell: Cell { .text(rawValue) }
}

/// The tables of one network, of one number of samples each, or the means of several networks that differ in their seed.
///
/// Each table's first key is `split`.
public struct MeasuredTables: Equatable, Sendable {
  /// The steps of the network, in order.
  public var steps: [StepSpec]
  /// In the order in which they were measured.
  public var tables: [Table]

  public init(steps: [StepSpec] = [], tables: [Table] = []) { (self.steps, self.tables) = (steps, tables) }

  /// The table of a name; nil where it was not measured.
  public subscript(name: String) -> Table? { tables.first { $0.name == name } }

  /// The rows of one table for one split, without that key; nil where the table was not measured.
  /// - Parameter selection: further keys and the values that they must have; they are left out too
  /// - Throws: `TableError` where the table lacks a key of the selection.
  public func table(_ name: String, _ split: Split, _ selection: [String: Cell] = [:]) throws(TableError) -> Table? {
    guard let table = self[name] else { return nil }
    return try table.selecting(selection.merging(["split": split.cell]) { $1 })
  }

  /// The rows of one table for one split, as values; none where the table was not measured.
  /// - Throws: `TableError` or `DecodingError` where the table has other columns.
  public func rows<Row: TableRow>(
    of type: Row.Type, in name: String, _ split: Split, _ selection: [String: Cell] = [:]
  ) throws -> [Row] {
    try table(name, split, selection)?.rows(of: type) ?? []
  }

  /// The step of a number; nil where the network has none.
  public func step(_ number: Int) -> StepSpec? {
    steps.indices.contains(number - 1) ? steps[number - 1] : nil
  }

  /// The stage of the last step, counted from 0.
  public var lastStage: Int { steps.last?.stage ?? 0 }

  /// The mean over networks that differ in their seed. A table is the mean over the networks that have it; one whose
  /// parameters differ between them has no mean and is left out.
  /// - Returns: nil where there are no networks; one network's own tables where there is one
  /// - Throws: `TableError` where the networks' tables have different columns.
  public static func mean(of all: [MeasuredTables]) throws(TableError) -> MeasuredTables? {
    guard all.count > 1 else { return all.first }
    var names: [String] = []
    for table in all.flatMap(\.tables) where !names.contains(table.name) { names.append(table.name) }
    var mean = MeasuredTables(steps: all[0].steps)
    for name in names {
      let parts = all.enumerated().compactMap { index, tables in
        tables[name].map { (value: Cell.number(Double(index)), table: $0) }
      }
      guard parts.allSatisfy({ $0.table.parameters == parts[0].table.parameters }),
        let joined = try Table.joined(parts, by: .init("network"))
      else { continue }
      mean.tables.append(try joined.mean(over: "network"))
    }
    return mean
  }
}
