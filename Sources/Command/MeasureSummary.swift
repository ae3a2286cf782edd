import Foundation
import ResLensSupport
import ResLensResults

/// The output of `reslens measure` about validation samples: a line that says what was measured, a table with a row each
/// step, and a table for each measure that is not one number for each step.
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

  func text(width: Int = TextTable.terminalWidth) throws -> String {
    let printed = try measures.flatMap { measure in measure.printed.map { (measure.name, $0) } }.compactMap {
      try text(of: $1, named: $0, width: width)
    }
    let notes = [try remarks(), absences].compactMap { $0 }.map { wrapped($0, width: width) }
    return ([wrapped(subject, width: width)] + [try steps(width: width)].compactMap { $0 } + printed + notes)
      .joined(separator: "\n\n")
  }

  /// The network, the checkpoint, the samples and the statistics that the numbers are of.
  private var subject: String {
    let trained =
      results.epoch == 0
      ? "with the weights that it started from" : "after epoch \(results.epoch) (\(results.checkpoint))"
    let way =
      switch results.way {
      case .usual: "running statistics"
      case .batchStatistics: "each batch's own statistics"
      case .recalibrated: recalibratedStatistics(on: results.recalibrationBatches ?? 0)
      case .lens(let kind): "states read by the \(kind.rawValue) lens"
      }
    return
      "\(results.architecture) \(trained), \(results.samples(of: .validation) ?? 0) validation samples, \(way)"
  }

  /// A row each step, a column each number.
  private func steps(width: Int) throws -> String? {
    guard let card = try DepthCard(measures, tables, .validation) else { return nil }
    let specs = card.steps.map(tables.step)
    let hasProjection = specs.contains { $0?.hasIdentitySkip == false }
    let isShared = specs.contains { $0?.use ?? 0 > 0 }
    var table = TextTable(columns: [
      .init("step", cells: zip(card.steps, specs).map { "\($0)\($1?.hasIdentitySkip == false ? "*" : "")" })
    ])
    var shown: Set<String> = []
    for column in card.columns {
      // Where not all fit, the first quantity of each measure stays longest.
      let isFirst = shown.insert(column.measure).inserted
      let rank = (measures.firstIndex { $0.name == column.measure } ?? 0) + (isFirst ? 0 : measures.count)
      let cells = card.steps.map { column.values[$0].map(column.format.bareText) ?? "–" }
      table.columns.append(.init(column.measure, column.quantity, column.unit, cells: cells, rank: rank))
    }
    // Every line of the head that no column needs goes.
    for line in (0..<3).reversed() where table.columns.dropFirst().allSatisfy({ $0.head[line].isEmpty }) {
      for index in table.columns.indices.dropFirst() { table.columns[index].head.remove(at: line) }
    }
    if isShared { table.columns.append(.init("block", cells: specs.map { $0?.id.path ?? "" }, rank: .max)) }
    return table.text(width: width) + (hasProjection ? "\n* a step with a projection" : "")
  }

  private func text(of printed: PrintedTable, named measure: String, width: Int) throws -> String? {
    guard var shown = try tables.table(printed.table, .validation), !shown.rows.isEmpty else { return nil }
    var heads = printed.values.map { ("", $0.column) }
    var names = printed.values.map(\.column)
    if let pivot = printed.pivot {
      // A pivoted column is named after the key's value, with the quantity behind it where there are several.
      let groups = try shown.cells(pivot).map(\.plainText).reduce(into: [String]()) { names, name in
        if !names.contains(name) { names.append(name) }
      }
      shown = try shown.pivoted(by: pivot, values: printed.values.map(\.column))
      names = shown.values.map(\.name)
      heads = groups.flatMap { group in printed.values.map { (group, printed.values.count > 1 ? $0.column : "") } }
    }
    var table = TextTable(
      columns: try shown.keys.map { .init($0.name, cells: try shown.cells($0.name).map(\.plainText)) })
    for (index, (name, head)) in zip(names, heads).enumerated() {
      let format = printed.values[index % printed.values.count].format
      let unit = shown.values.first { $0.name == name }?.unit
      let shownUnit = format.unit ?? (unit == Table.Column.samples ? nil : unit)
      let lines = [head.0, head.1, shownUnit ?? ""].filter { !$0.isEmpty }
      var column = TextTable.Column("", cells: try shown.numbers(name).map { $0.map(format.bareText) ?? "–" })
      (column.head, column.rank) = (lines, index + 1)
      table.columns.append(column)
    }
    let settings = shown.parameters.sorted { $0.key < $1.key }.filter { $0.value != .missing }
      .map { "\($0.key) \($0.value.plainText)" }
    let title = ([printed.title] + settings).joined(separator: ", ")
    return wrapped("\(measure): \(title)", width: width) + "\n" + table.text(width: width)
  }

  private func remarks() throws -> String? {
    let remarks = try measures.compactMap { try $0.remark?(tables) }.filter { !$0.isEmpty }
    return remarks.isEmpty ? nil : remarks.joined(separator: "\n")
  }

  private var absences: String? {
    let lines = SharedAbsence.all(of: results.absent).map { absence in
      "no \(absence.names.joined(separator: ", "))\(absence.steps.map { " of \($0)" } ?? ""): \(absence.reason)"
    }
    return lines.isEmpty ? nil : lines.joined(separator: "\n")
  }
}
