import ResLensResults

/// A view that is shown as a map over the steps and another key of its table.
struct MapDisplay: ViewDisplay {
  let view: MeasureView
  let map: StepMap

  /// The table of a split; nil where it has no rows.
  private func table(_ tables: MeasuredTables, _ split: Split) throws(TableError) -> Table? {
    try tables.table(view.table, split, view.selection).flatMap { $0.rows.isEmpty ? nil : $0 }
  }

  func isPresent(in tables: MeasuredTables) throws -> Bool {
    try Split.allCases.contains { try table(tables, $0) != nil }
  }

  func remark(on tables: MeasuredTables) throws -> Markup? { nil }

  func sampleCounts(in tables: MeasuredTables, _ split: Split) throws -> [Double] {
    (try? table(tables, split)?.presentNumbers("count")) ?? []
  }

  func pictures(of subjects: Subjects) throws -> [Picture] {
    var data = FigureData()
    var panels: [Figure.Panel] = []
    for run in subjects.runs {
      for split in Split.allCases {
        guard let table = try table(run.tables, split) else { continue }
        data.add([("run", .name(run.name)), ("split", split.cell)], table)
        if split == .validation { panels.append(try panel(table, run, subjects)) }
      }
    }
    let most = panels.compactMap { $0.map.map { Set($0.cells.map(\.y)).count } }.max() ?? 0
    let figure = Figure(
      name: map.name, title: map.title, panels: panels, columns: min(2, max(1, panels.count)),
      panelHeight: min(320, max(140, 16 * most)), data: data)
    let caption: Markup = "Means over validation samples; one without a value has no cell. Vertical lines: stages."
    return [Picture(figure: figure, caption: caption, markedCaption: "")]
  }

  private func panel(_ table: Table, _ run: Subjects.Subject, _ subjects: Subjects) throws -> Figure.Panel {
    let places = zip(try table.presentNumbers("step"), try table.presentNumbers(map.key))
    var values: [[Double]: Double] = [:]
    for (place, value) in zip(places, try table.numbers(map.quantity.column)) {
      if let value { values[[place.0, place.1]] = map.quantity.factor * value }
    }
    // The axes have all whole numbers, so that a step without a value leaves a gap.
    let (steps, others) = (Self.range(values.keys.map { $0[0] }), Self.range(values.keys.map { $0[1] }))
    return Figure.Panel(
      title: subjects.title(run.name), x: .init(map.axis), y: .init(map.label),
      map: .init(colour: map.quantity.y, columns: steps, rows: others) { values[[steps[$0], others[$1]]] },
      spans: stages(of: steps.map { (Int($0), run.tables.step(Int($0))?.stage) }))
  }

  private static func range(_ numbers: [Double]) -> [Double] {
    guard let low = numbers.min(), let high = numbers.max() else { return [] }
    return Array(stride(from: low, through: high, by: 1))
  }

  /// The numbers of maps are many; they are in the figure's CSV file.
  func table(of tables: MeasuredTables, run: String?) throws -> Markup { "" }
}
