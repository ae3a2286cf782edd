import ResLensResults

/// The values of one view of a run over the epochs of its training.
struct RunHistory {
  /// The run's name.
  let name: String
  /// Epochs with values, in order.
  let epochs: [Int]
  /// The steps that have a value at some epoch, ascending.
  let steps: [Int]
  /// The values of each epoch: by split, then by step.
  private let values: [[Split: [Int: Double]]]
  /// The tables of each epoch.
  let tables: [MeasuredTables]

  /// - Returns: nil where no epoch has a value
  /// - Throws: `TableError` where a table lacks the column of the quantity.
  init?(_ run: ShownRun, _ view: MeasureView, _ quantity: Quantity) throws(TableError) {
    var measured: [(epoch: ShownRun.Epoch, values: [Split: [Int: Double]])] = []
    for epoch in run.epochs {
      var values: [Split: [Int: Double]] = [:]
      for split in Split.allCases {
        guard let rows = try StepRows(view, in: epoch.tables, split) else { continue }
        let numbers = zip(rows.steps, try rows.numbers(quantity.column)).compactMap { step, value in
          value.map { (step, quantity.factor * $0) }
        }
        values[split] = Dictionary(numbers, uniquingKeysWith: { first, _ in first })
      }
      if values.contains(where: { !$0.value.isEmpty }) { measured.append((epoch, values)) }
    }
    guard !measured.isEmpty else { return nil }
    name = run.name
    epochs = measured.map(\.epoch.number)
    tables = measured.map(\.epoch.tables)
    values = measured.map(\.values)
    steps = Set(values.flatMap { $0.values.flatMap(\.keys) }).sorted()
  }

  /// The values of one split: an entry for each epoch, by step.
  func values(_ split: Split) -> [[Int: Double]] { values.map { $0[split] ?? [:] } }
}

extension Section {
  /// A view over the epochs of training; nil where no run has it from its training.
  init?(historyOf view: MeasureView, in runs: [ShownRun]) throws {
    guard let history = view.history else { return nil }
    let histories = try runs.compactMap { try RunHistory($0, view, history.quantity) }
    guard !histories.isEmpty else { return nil }
    id = FigureKind.history(of: view).rawValue
    title = history.title
    let shown = runs.filter { run in histories.contains { $0.name == run.name } }
    text = [
      """
      The same measure of the network <b>as it was after each measured epoch</b>. \
      \(Markup(verbatim: history.explanation)) \
      \(statisticsOfHistory(shown.flatMap { $0.epochs.map { ($0.number, $0.batchNorm) } }))
      """,
      """
      <i>The paper (Fig. 5, 13–19)</i> draws its measures over training in the same way: a curve for each block, from \
      blue for the lowest to red for the highest.
      """,
    ]
    text += SampleSizes.sentences(try histories.map { ($0.name, try SampleSizes($0, view)) })
    let subjects = Subjects(runs: [], areNamed: runs.count > 1)
    notes = runs.filter { run in !histories.contains { $0.name == run.name } }.map { run -> Markup in
      "<b>\(run.name)</b> has no such numbers from its training."
    }
    let data = try FigureData(histories, view)
    // The curves of many networks would make a page that no browser likes.
    let areMany = histories.count > Presentation.mostOverlaid
    illustrations =
      areMany
      ? []
      : [
        Illustration(
          figures: [historyCurves(id, history, histories, subjects, data)],
          caption:
            "There is one curve for each step, from blue for the lowest to red for the highest; means over samples."
        )
      ]
    illustrations.append(
      Illustration(
        figures: [historyMap(id, history, histories, subjects, data)],
        caption: areMany
          ? """
          A row for each step, on validation samples. Of many epochs an even choice is shown. A step without a value has no \
          cell. The numbers on train samples are in the CSV file.
          """
          : """
          The same numbers with a row for each step. Of many epochs an even choice is shown. A step without a value has \
          no cell.
          """))
    tables = histories.map { historyTable($0, run: runs.count > 1 ? $0.name : nil) }
  }
}

extension SampleSizes {
  fileprivate init(_ history: RunHistory, _ view: MeasureView) throws {
    self.init(
      try Split.allCases.map { split in
        (split, try history.tables.flatMap { try StepRows(view, in: $0, split)?.sampleCounts ?? [] })
      })
  }
}

extension FigureData {
  /// The rows of a view's table after each epoch.
  fileprivate init(_ histories: [RunHistory], _ view: MeasureView) throws(TableError) {
    self.init()
    for history in histories {
      for (epoch, tables) in zip(history.epochs, history.tables) {
        guard let table = tables[view.table] else { continue }
        add(
          [("run", .name(history.name)), ("epoch", .integer(epoch))], try table.rows(where: view.selection))
      }
    }
  }
}
