import ResLensSupport
import ResLensResults

/// The splits in the order of a history's panels: the sections are about validation samples.
private let panelOrder: [Split] = [.validation, .train]

/// A curve for each step over epochs; a row of panels for each run, a panel for each split.
func historyCurves(
  _ name: String, _ measure: MeasureHistory, _ histories: [RunHistory], _ subjects: Subjects, _ data: FigureData
) -> Figure {
  let panels = histories.flatMap { history in
    // One epoch alone makes no line; many markers hide the lines.
    let isSparse = history.epochs.count == 1 || history.epochs.count <= 12 && history.steps.count <= 20
    return panelOrder.map { split in
      let values = history.values(split)
      return Figure.Panel(
        title: subjects.title(history.name, split.rawValue), x: .init("epoch"), y: measure.quantity.y,
        series: history.steps.map { step in
          let points = history.epochs.indices.compactMap { index in
            values[index][step].map { Figure.Point(x: Double(history.epochs[index]), y: $0) }
          }
          let style = Figure.Style(
            colour: Figure.ramp(step, in: history.steps), marker: isSparse ? .circle : .none)
          return Figure.Series("step \(step)", style: style, points: points)
        }, rules: measure.quantity.rules)
    }
  }
  return Figure(
    name: name, title: "\(measure.title.subject), a curve for each step", panels: panels, columns: 2, panelHeight: 260,
    legend: Figure.rampLegend(histories.map(\.steps)), data: data)
}

/// The number of epochs that a map shows: a browser would take long to open a page with the cells of hundreds of epochs.
private let mapColumns = 50

/// Step by epoch; a row of panels for each run, a panel for each split. Many runs have a panel each, for validation samples.
func historyMap(
  _ name: String, _ measure: MeasureHistory, _ histories: [RunHistory], _ subjects: Subjects, _ data: FigureData
) -> Figure {
  let areMany = histories.count > Presentation.mostOverlaid
  let panels = histories.flatMap { history in
    let steps = history.steps
    return panelOrder.prefix(areMany ? 1 : 2).map { split in
      let values = history.values(split)
      let shown = history.choice(of: mapColumns)
      let map = Figure.Map(
        colour: measure.quantity.y, centre: measure.centre, columns: shown.map { Double(history.epochs[$0]) },
        rows: steps.map(Double.init)
      ) { column, step in values[shown[column]][steps[step]] }
      return Figure.Panel(
        title: areMany ? history.name : subjects.title(history.name, split.rawValue), x: .init("epoch"),
        y: .init("step"), map: map)
    }
  }
  let most = histories.map(\.steps.count).max() ?? 0
  return Figure(
    name: name + "-map", title: "\(measure.title.subject), by step and epoch", panels: panels,
    columns: areMany ? 3 : 2, panelHeight: min(280, max(120, 14 * most)), data: data)
}

/// The values on validation samples, a row for each step. Of many epochs an even choice is shown; the figures' CSV has
/// all of them.
func historyTable(_ history: RunHistory, run: String?) -> Markup {
  let shown = history.choice(of: 12)
  let values = history.values(.validation)
  let all = history.epochs.count
  let part = shown.count == all ? "validation" : "validation, \(shown.count) of \(all) epochs"
  return table(
    ["step", "block"] + shown.map { "epoch \(history.epochs[$0])" },
    rows: history.steps.map { step in
      [String(step), history.tables[0].path(step)] + shown.map { values[$0][step].map { readable($0, 4) } ?? "–" }
    }, caption: tableCaption(run, part))
}

extension RunHistory {
  /// The indices of the epochs to show: all, or so many of them, evenly, with the first and the last.
  fileprivate func choice(of count: Int) -> [Int] {
    let last = epochs.count - 1
    return last < count ? Array(0...last) : (0..<count).map { $0 * last / (count - 1) }
  }
}

extension String {
  /// The part of a title before the colon.
  var subject: String { String(prefix { $0 != ":" }) }
}
