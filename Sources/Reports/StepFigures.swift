import ResLensResults

extension Figure.Style {
  /// The style of train samples. It has no band where both splits share axes: two bands that overlap hide the means.
  static let train = Figure.Style(colour: Figure.palette[0], marker: .circle, hasBand: false)
  /// The style of validation samples.
  static let validation = Figure.Style(colour: Figure.palette[1], dash: .dashed, marker: .square, filled: false)

  /// The same colour as a plain dotted line.
  var dotted: Figure.Style { Figure.Style(colour: colour, dash: .dotted) }

  /// A thin line of the same colour, for one seed behind the mean over seeds.
  var thin: Figure.Style { Figure.Style(colour: colour, dash: dash, isThin: true, hasBand: false) }
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
  /// A view's quantities over the steps. Where networks share axes there is a panel for each split and quantity; else one
  /// for each network and quantity. Several quantities stand side by side.
  /// - Throws: `TableError` where a table lacks a column of the description.
  init(_ figure: StepFigure, of view: MeasureView, _ subjects: Subjects) throws(TableError) {
    let curves = StepCurves(view: view, band: subjects.presentation.band)
    var panels: [Panel] = []
    var legend: [LegendEntry]?
    if subjects.isOverlaid {
      legend = subjects.runs.map { LegendEntry($0.name, style: $0.style) }
      for split in [Split.validation, .train] {
        for (column, quantity) in figure.quantities.enumerated() {
          var series: [Series] = []
          for run in subjects.runs { series += try curves.series(quantity, of: run, split, style: run.style) }
          panels.append(
            Panel(
              title: column == 0 ? split.rawValue : "", x: .init(figure.axis), y: quantity.y, series: series,
              rules: quantity.rules, spans: try curves.spans(subjects.runs.map(\.tables))))
        }
      }
    } else {
      for run in subjects.runs {
        for (column, quantity) in figure.quantities.enumerated() {
          var series: [Series] = []
          for split in Split.allCases {
            series += try curves.series(quantity, of: run, split, style: split.style)
          }
          panels.append(
            Panel(
              title: column == 0 ? subjects.title(run.name) : "", x: .init(figure.axis), y: quantity.y,
              series: series.filter { !$0.isReference } + series.filter(\.isReference), rules: quantity.rules,
              spans: try curves.spans([run.tables])))
        }
      }
    }
    var data = FigureData()
    for run in subjects.runs { try data.add(run, view, figure.quantities) }
    let isRow = figure.quantities.count > 1
    self.init(
      name: figure.name, title: figure.title, panels: panels,
      columns: isRow ? figure.quantities.count : subjects.isOverlaid ? 2 : subjects.columns(of: panels.count),
      panelHeight: isRow ? 220 : 250, legend: legend, data: data)
  }
}

/// Curves over the steps of a view.
private struct StepCurves {
  let view: MeasureView
  let band: Presentation.Band

  /// The curve of one split of a network, with its seeds as thin lines behind it, then the line that it is to be compared
  /// with.
  func series(
    _ quantity: Quantity, of run: Subjects.Subject, _ split: Split, style: Figure.Style
  ) throws(TableError) -> [Figure.Series] {
    guard let rows = try StepRows(view, in: run.tables, split) else { return [] }
    let label = split.rawValue
    var (style, series): (Figure.Style, [Figure.Series]) = (style, [])
    // Two standard errors are so narrow that the bands of both splits can be seen.
    if band == .error { style.hasBand = true }
    for seed in run.seeds {
      guard let rows = try StepRows(view, in: seed, split) else { continue }
      series.append(.init("", style: style.thin, points: try points(quantity, rows, seed, hasBand: false)))
    }
    series.append(.init(label, style: style, points: try points(quantity, rows, run.tables, hasBand: true)))
    guard let reference = quantity.reference, let value = try run.tables.value(of: quantity, split) else {
      return series
    }
    let ends = [rows.steps[0], rows.steps[rows.steps.count - 1]].map(Double.init)
    var line = Figure.Series(
      "\(label), \(reference.label)", style: style.dotted,
      points: [ends[0] - 0.5, ends[1] + 0.5].map { .init(x: $0, y: quantity.factor * value) })
    line.isReference = true
    return series + [line]
  }

  private func points(
    _ quantity: Quantity, _ rows: StepRows, _ tables: MeasuredTables, hasBand: Bool
  ) throws(TableError) -> [Figure.Point] {
    let estimates = try rows.estimates(quantity.column)
    let deviations = band == .deviation ? try rows.deviations(of: quantity.column) : []
    return rows.steps.indices.compactMap { index in
      estimates[index].map { estimate in
        // A deviation above its mean has no lower edge on a logarithmic axis.
        let spread =
          !hasBand || quantity.isLogarithmic && band == .deviation
          ? nil : band == .deviation ? deviations[index] : estimate.margin
        return Figure.Point(
          x: Double(rows.steps[index]), y: quantity.factor * estimate.value,
          spread: spread.flatMap { $0.isFinite && $0 > 0 ? abs(quantity.factor) * $0 : nil },
          marked: tables.isMarked(rows.steps[index]))
      }
    }
  }

  /// The stages of the steps that some of the networks have values for; none where their stages lie elsewhere.
  func spans(_ networks: [MeasuredTables]) throws(TableError) -> [Figure.Span] {
    var steps: Set<Int> = []
    for tables in networks {
      for split in Split.allCases { steps.formUnion(try StepRows(view, in: tables, split)?.steps ?? []) }
    }
    let spans = networks.map { tables in stages(of: steps.sorted().map { ($0, tables.step(max(1, $0))?.stage) }) }
    return spans.allSatisfy { $0 == spans.first } ? spans.first ?? [] : []
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
  /// True if a step is drawn as a marked point: its skip is not the identity.
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
