import ResLensResults

/// The parts of a section that show the numbers of one view of a measure.
protocol ViewDisplay {
  /// True if a run has something to show.
  func isPresent(in tables: MeasuredTables) throws -> Bool
  /// Facts about one run's measurement that a reader must know.
  func remark(on tables: MeasuredTables) throws -> Markup?
  /// The numbers of samples that one split's numbers are of; empty where the tables do not say.
  func sampleCounts(in tables: MeasuredTables, _ split: Split) throws -> [Double]
  /// The figures of all runs.
  func pictures(of subjects: Subjects) throws -> [Picture]
  /// The numbers of one run, under its name where it is given.
  func table(of tables: MeasuredTables, run: String?) throws -> Markup
}

/// A figure and what stands below it.
struct Picture {
  var figure: Figure
  var caption: Markup
  /// The sentence that is added where a point is marked.
  var markedCaption: Markup = "Diamonds: steps whose skip is a projection instead of the identity."

  var fullCaption: Markup { figure.hasMarkedPoints ? "\(caption) \(markedCaption)" : caption }
}

extension MeasureView {
  /// The way in which a report shows the view: over the steps, or as a page of its own kind.
  var display: any ViewDisplay {
    switch id {
    case FigureKind.borderline.rawValue: BorderlineDisplay()
    case FigureKind.unrolling.rawValue: UnrollingDisplay()
    case FigureKind.lesions.rawValue: LesionsDisplay()
    default: if let map { MapDisplay(view: self, map: map) } else { StepDisplay(view: self) }
    }
  }
}

extension FigureKind {
  static let borderline: FigureKind = "borderline"
  static let unrolling: FigureKind = "unrolling"
  static let lesions: FigureKind = "lesions"
}

/// A view that is shown over the steps by what its description says.
struct StepDisplay: ViewDisplay {
  let view: MeasureView

  func isPresent(in tables: MeasuredTables) throws -> Bool {
    try Split.allCases.contains { try StepRows(view, in: tables, $0) != nil }
  }

  func remark(on tables: MeasuredTables) throws -> Markup? { nil }

  func sampleCounts(in tables: MeasuredTables, _ split: Split) throws -> [Double] {
    try StepRows(view, in: tables, split)?.sampleCounts ?? []
  }

  func pictures(of subjects: Subjects) throws -> [Picture] {
    try view.figures.map { figure in
      let drawn = try Figure(figure, of: view, subjects)
      return Picture(
        figure: drawn, caption: "\(Markup(verbatim: figure.caption)) \(subjects.caption(of: drawn))",
        markedCaption: Markup(verbatim: figure.markedCaption))
    }
  }

  func table(of tables: MeasuredTables, run: String?) throws -> Markup {
    guard !view.columns.isEmpty else { return "" }
    func cells(_ split: Split) throws -> [Int: [String]] {
      try StepRows(view, in: tables, split)?.cells(view.columns) ?? [:]
    }
    return stepTable(
      columns: view.columns.map(\.head), train: try cells(.train), validation: try cells(.validation), of: tables,
      run: run)
  }
}

/// The rows of a view's table for one split, in the order of their steps.
struct StepRows {
  /// The numbers of the steps, ascending.
  let steps: [Int]
  private let table: Table
  /// The table's row of each step.
  private let order: [Int]

  /// - Returns: nil where there are no rows
  /// - Throws: `TableError` where the table has no key `step`, or a key of which the view does not say the value.
  init?(_ view: MeasureView, in tables: MeasuredTables, _ split: Split) throws(TableError) {
    guard let table = try tables.table(view.table, split, view.selection), !table.rows.isEmpty else { return nil }
    if let key = table.keys.first(where: { $0.name != Self.step }) {
      throw TableError(
        table: view.table,
        problem: "the view \"\(view.id)\" does not say which value of the key \"\(key.name)\" it shows")
    }
    let numbers = try table.cells(Self.step).map { $0.integer ?? 0 }
    self.table = table
    order = numbers.indices.sorted { numbers[$0] < numbers[$1] }
    steps = order.map { numbers[$0] }
  }

  private static let step = "step"

  /// The numbers of one column, a step each; nil where a step has none.
  /// - Throws: `TableError` where there is no such column.
  func numbers(_ column: String) throws(TableError) -> [Double?] {
    let numbers = try table.numbers(column)
    return order.map { numbers[$0] }
  }

  /// The numbers of one column with their uncertainty, a step each; nil where a step has none.
  /// - Throws: `TableError` where there is no such column.
  func estimates(_ column: String) throws(TableError) -> [Estimate?] {
    let estimates = try table.estimates(column)
    return order.map { estimates[$0] }
  }

  /// The standard deviations over samples of one column, a step each; nil where a step, or the column, has none.
  func deviations(of column: String) throws(TableError) -> [Double?] {
    guard let deviation = table.deviationColumn(of: column) else { return order.map { _ in nil } }
    return try numbers(deviation)
  }

  /// The numbers of samples counted, a step each; empty where the table does not say.
  var sampleCounts: [Double] { (try? table.presentNumbers("count")) ?? [] }

  /// The cells of a table of numbers, by step.
  /// - Throws: `TableError` where there is no such column.
  func cells(_ columns: [ViewColumn]) throws(TableError) -> [Int: [String]] {
    var cells: [Int: [String]] = [:]
    for column in columns {
      for (estimate, step) in zip(try estimates(column.column), steps) {
        cells[step, default: []].append(estimate.map { column.format.text($0) } ?? "–")
      }
    }
    return cells
  }
}
