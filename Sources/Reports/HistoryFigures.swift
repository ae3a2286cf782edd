import Results

private typealias Split = (
  label: String, values: KeyPath<BySplit<[HistoryMeasure.StepValue]>, [HistoryMeasure.StepValue]>
)

/// Validation data first: they are what the sections are about.
private var bothSplits: [Split] { [("validation", \.validation), ("train", \.train)] }

/// A curve a step over epochs; a row a run, a panel a set.
func historyCurves(_ measure: HistoryMeasure, _ histories: [RunHistory], _ subjects: Subjects) -> Figure {
  let panels = histories.flatMap { history in
    let steps = history.names.map(\.step)
    // One epoch alone makes no line; many markers hide the lines.
    let isSparse = history.epochs.count == 1 || history.epochs.count <= 12 && steps.count <= 20
    return bothSplits.map { split in
      let values = history.values(split.values)
      return Figure.Panel(
        title: subjects.title(history.run, split.label), x: .init("epoch"), y: measure.quantity,
        series: steps.map { step in
          let points = history.epochs.indices.compactMap { index in
            values[index][step].map { Figure.Point(x: Double(history.epochs[index]), y: $0) }
          }
          let style = Figure.Style(
            colour: Figure.ramp(step, in: steps), marker: isSparse ? .circle : .none)
          return Figure.Series("step \(step)", style: style, points: points)
        }, rules: measure.rules)
    }
  }
  return Figure(
    name: measure.id, title: "\(measure.title.subject), a curve a step", panels: panels, columns: 2, panelHeight: 260,
    legend: Figure.rampLegend(histories.map { $0.names.map(\.step) }))
}

/// Epochs that a map shows: a page with all cells of hundreds of epochs would take a browser long to open.
private let mapColumns = 50

/// Step by epoch; a row a run, a panel a set.
func historyMap(_ measure: HistoryMeasure, _ histories: [RunHistory], _ subjects: Subjects) -> Figure {
  let panels = histories.flatMap { history in
    let steps = history.names.map(\.step)
    return bothSplits.map { split in
      let values = history.values(split.values)
      let shown = history.choice(of: mapColumns)
      let map = Figure.Map(
        colour: measure.quantity, centre: measure.centre, columns: shown.map { Double(history.epochs[$0]) },
        rows: steps.map(Double.init)
      ) { column, step in values[shown[column]][steps[step]] }
      return Figure.Panel(
        title: subjects.title(history.run, split.label), x: .init("epoch"), y: .init("step"), map: map)
    }
  }
  let most = histories.map(\.names.count).max() ?? 0
  return Figure(
    name: measure.id + "-map", title: "\(measure.title.subject), by step and epoch", panels: panels, columns: 2,
    panelHeight: min(280, max(120, 14 * most)))
}

/// The values on validation data, a row a step. Of many epochs an even choice: the curves' CSV has all of them.
func historyTable(_ history: RunHistory, run: String?) -> Markup {
  let shown = history.choice(of: 12)
  let values = history.values(\.validation)
  let all = history.epochs.count
  let part = shown.count == all ? "validation" : "validation, \(shown.count) of \(all) epochs"
  return table(
    ["step", "block"] + shown.map { "epoch \(history.epochs[$0])" },
    rows: history.names.map { name in
      [String(name.step), name.path]
        + shown.map { values[$0][name.step].map { readable($0, 4) } ?? "–" }
    }, caption: tableCaption(run, part))
}

extension RunHistory {
  /// Which of the epochs to show: all, or so many of them, evenly, with the first and the last.
  fileprivate func choice(of count: Int) -> [Int] {
    let last = epochs.count - 1
    return last < count ? Array(0...last) : (0..<count).map { $0 * last / (count - 1) }
  }
}

extension String {
  /// The part of a title before the colon.
  var subject: String { String(prefix { $0 != ":" }) }
}
