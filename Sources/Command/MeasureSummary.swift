import Foundation
import ResLensSupport
import ResLensResults

/// The output of `reslens measure`: validation samples, in one table with a row each step, and a table for each measure
/// that is not one number for each step.
struct MeasureSummary {
  private let results: MeasureResults
  private let tables: MeasuredTables
  private let measures: [MeasureDescription]

  /// - Parameter measures: the descriptions of all measures
  init(_ results: MeasureResults, _ measures: [MeasureDescription]) {
    self.results = results
    tables = results.widest
    self.measures = measures.filter { results.names.contains($0.name) }
  }

  func text() throws -> String {
    let printed = try measures.flatMap(\.printed).compactMap { try text(of: $0) }
    return ([try steps()] + printed + [try remarks(), absences]).compactMap { $0 }.joined(separator: "\n\n")
  }

  /// A row each step, a column each number.
  private func steps() throws -> String? {
    var columns: [(head: String, cells: [Int: String])] = []
    for column in measures.flatMap(\.columns) {
      guard let table = try tables.table(column.table, .validation, column.selection) else { continue }
      let numbers = zip(try table.cells("step"), try table.numbers(column.column))
      let cells = numbers.map { step, number in (step.integer ?? 0, number.map(column.format.text) ?? "–") }
      columns.append((column.head, Dictionary(cells, uniquingKeysWith: { first, _ in first })))
    }
    let numbers = Set(columns.flatMap(\.cells.keys)).sorted()
    guard !numbers.isEmpty else { return nil }
    let rows = numbers.map { number in
      let spec = tables.step(number)
      let remark = spec.map { $0.hasIdentitySkip ? ($0.use > 0 ? " (\($0.id.path))" : "") : " (projection)" }
      return ["\(number)\(remark ?? "")"] + columns.map { $0.cells[number] ?? "–" }
    }
    var text = table([["step"] + columns.map(\.head)] + rows)
    text += "\nvalidation, n = \(results.samples(of: .validation) ?? 0)"
    if results.batchNorm == .batch { text += ", by each batch's own statistics" }
    return text
  }

  private func text(of printed: PrintedTable) throws -> String? {
    guard var shown = try tables.table(printed.table, .validation), !shown.rows.isEmpty else { return nil }
    if let pivot = printed.pivot { shown = try shown.pivoted(by: pivot, values: printed.values.map(\.column)) }
    let values =
      printed.pivot == nil
      ? printed.values : shown.values.enumerated().map { ($1.name, printed.values[$0 % printed.values.count].format) }
    var columns = try shown.keys.map { key in [key.name] + (try shown.cells(key.name).map(\.plainText)) }
    for (column, format) in values {
      columns.append([column] + (try shown.numbers(column).map { $0.map(format.text) ?? "–" }))
    }
    let rows = columns[0].indices.map { row in columns.map { $0[row] } }
    let settings = shown.parameters.sorted { $0.key < $1.key }.filter { $0.value != .missing }
      .map { "\($0.key) \($0.value.plainText)" }
    return table(rows) + "\nvalidation: \(([printed.title] + settings).joined(separator: ", "))"
  }

  private func remarks() throws -> String? {
    let remarks = try measures.compactMap { try $0.remark?(tables) }.filter { !$0.isEmpty }
    return remarks.isEmpty ? nil : remarks.joined(separator: "\n")
  }

  private var absences: String? {
    results.absent.isEmpty
      ? nil
      : results.absent.map { absence in
        let steps = absence.steps.map { $0[0] == $0[1] ? " of step \($0[0])" : " of steps \($0[0]) to \($0[1])" } ?? ""
        return "no \(absence.view ?? absence.measure)\(steps): \(absence.reason)"
      }.joined(separator: "\n")
  }
}
