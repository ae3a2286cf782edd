import ResLensResults

extension Figure.Style {
  /// The style of train samples. It has no band: the band would lie on the validation samples' band, and two that overlap
  /// hide the means.
  static let train = Figure.Style(colour: Figure.palette[0], marker: .circle, hasBand: false)
  /// The style of validation samples.
  static let validation = Figure.Style(colour: Figure.palette[1], dash: .dashed, marker: .square, filled: false)

  /// The same colour as a plain dotted line.
  var dotted: Figure.Style { Figure.Style(colour: colour, dash: .dotted) }
}

extension Split {
  /// The style of a curve of the split.
  var style: Figure.Style { self == .train ? .train : .validation }
}

extension Quantity {
  /// The y axis of the quantity.
  var y: Figure.Axis { .init(label, scale: isLogarithmic ? .logarithmic : .linear, bounds: bounds) }
}

extension Figure {
  /// A view's quantities over the steps. With one quantity there is a panel for each run; with several they stand side
  /// by side, and each run has a row.
  /// - Throws: `TableError` where a table lacks a column of the description.
  init(_ figure: StepFigure, of view: MeasureView, _ subjects: Subjects) throws(TableError) {
    var panels: [Panel] = []
    var data = FigureData()
    for run in subjects.runs {
      for (column, quantity) in figure.quantities.enumerated() {
        panels.append(
          Panel(
            title: column == 0 ? subjects.title(run.name) : "", x: .init(figure.axis), y: quantity.y,
            series: try Self.series(quantity, of: view, run.tables), rules: quantity.rules,
            spans: try Self.spans(of: view, run.tables)))
      }
      try data.add(run, view, figure.quantities)
    }
    let isRow = figure.quantities.count > 1
    self.init(
      name: figure.name, title: figure.title, panels: panels,
      columns: isRow ? figure.quantities.count : min(2, panels.count), panelHeight: isRow ? 220 : 250, data: data)
  }

  /// A curve for each split, then the lines that they are to be compared with.
  private static func series(
    _ quantity: Quantity, of view: MeasureView, _ tables: MeasuredTables
  ) throws(TableError) -> [Series] {
    var (curves, lines): ([Series], [Series]) = ([], [])
    for split in Split.allCases {
      guard let rows = try StepRows(view, in: tables, split) else { continue }
      let values = try rows.numbers(quantity.column)
      // A deviation above its mean has no lower edge on a logarithmic axis.
      let bands =
        if let band = quantity.band, !quantity.isLogarithmic { try rows.numbers(band) } else { [Double?]() }
      let points = rows.steps.indices.compactMap { index in
        values[index].map { value in
          Point(
            x: Double(rows.steps[index]), y: quantity.factor * value,
            spread: (bands.isEmpty ? nil : bands[index]).map { quantity.factor * $0 },
            marked: tables.isMarked(rows.steps[index]))
        }
      }
      curves.append(Series(split.rawValue, style: split.style, points: points))
      guard let reference = quantity.reference, let value = try tables.value(of: quantity, split) else { continue }
      let ends = [rows.steps[0], rows.steps[rows.steps.count - 1]].map(Double.init)
      lines.append(
        Series(
          "\(split.rawValue), \(reference.label)", style: split.style.dotted,
          points: [ends[0] - 0.5, ends[1] + 0.5].map { Point(x: $0, y: quantity.factor * value) }))
    }
    return curves + lines
  }

  private static func spans(of view: MeasureView, _ tables: MeasuredTables) throws(TableError) -> [Span] {
    var steps: Set<Int> = []
    for split in Split.allCases { steps.formUnion(try StepRows(view, in: tables, split)?.steps ?? []) }
    return stages(of: steps.sorted().map { ($0, tables.step(max(1, $0))?.stage) })
  }
}

extension FigureData {
  /// Adds the rows that a view shows of a run. Where a quantity has a reference, its value stands in every row, in a
  /// column such as `accuracy_reference`.
  fileprivate mutating func add(
    _ run: Subjects.Subject, _ view: MeasureView, _ quantities: [Quantity]
  ) throws(TableError) {
    guard let table = run.tables[view.table] else { return }
    for split in Split.allCases {
      var references: [(column: String, cell: Cell)] = []
      for quantity in quantities where quantity.reference != nil {
        references.append(("\(quantity.column)_reference", .optional(try run.tables.value(of: quantity, split))))
      }
      let rows = try table.rows(where: view.selection.merging(["split": split.cell]) { $1 })
      add([("run", .name(run.name))], rows, references)
    }
  }
}

extension MeasuredTables {
  /// Whether a step is drawn as a marked point: its skip is not the identity.
  func isMarked(_ number: Int) -> Bool { step(number).map { !$0.hasIdentitySkip } ?? false }

  /// The value of a quantity's reference; nil where there is none.
  /// - Throws: `TableError` where the reference's table lacks the column.
  fileprivate func value(of quantity: Quantity, _ split: Split) throws(TableError) -> Double? {
    guard let reference = quantity.reference else { return nil }
    return try table(reference.table, split)?.numbers(quantity.column).first ?? nil
  }
}

/// The stages as stretches of the step axis, called as in a checkpoint.
/// - Parameter steps: the places on the axis, and the stage of each; one without a stage lies in none
func stages(of steps: [(place: Int, stage: Int?)]) -> [Figure.Span] {
  var places: [Int: [Double]] = [:]
  for (place, stage) in steps { if let stage { places[stage, default: []].append(Double(place)) } }
  return places.keys.sorted().compactMap { stage in
    guard let low = places[stage]?.min(), let high = places[stage]?.max() else { return nil }
    return Figure.Span(places.count > 4 ? "\(stage)" : "stages.\(stage)", (low - 0.5)...(high + 0.5))
  }
}
