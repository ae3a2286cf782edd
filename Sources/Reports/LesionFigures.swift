import ResLensSupport
import ResLensResults

func lesionPictures(of subjects: Subjects) throws -> [Picture] {
  let runs = try subjects.runs.map { run in
    LesionedRun(title: subjects.title(run.name), run: run, lesions: try Lesions(run.tables))
  }
  return [
    Picture(
      figure: randomFigure(of: runs),
      caption: "Means over random draws; band: one standard deviation over them. Dotted: the whole network."),
    Picture(
      figure: swapFigure(of: runs),
      caption: "A point stands at the first of the two steps. Dotted: the whole network."),
    Picture(
      figure: scaledFigure(of: runs), caption: "Each step’s F alone is multiplied; with the factor 1 nothing changes."),
  ].filter { $0.figure.panels.contains { $0.map != nil || !$0.series.isEmpty } }
}

private struct LesionedRun {
  /// The title of the run's panel.
  var title: String
  var run: Subjects.Subject
  var lesions: Lesions

  /// The stages of steps as stretches of the axis.
  func spans(_ steps: [Int]) -> [Figure.Span] { stages(of: steps.map { ($0, run.tables.step($0)?.stage) }) }

  /// The whole network's error as a line from the lowest to the highest of the places.
  func whole(over places: [Double]) -> [Figure.Series] {
    guard let error = lesions.wholeError, let low = places.min(), let high = places.max() else { return [] }
    return [
      Figure.Series(
        "whole network", style: Figure.Style.lesion.dotted, points: [low, high].map { .init(x: $0, y: 100 * error) })
    ]
  }
}

/// The rows of one table of all runs.
private func data(of runs: [LesionedRun], _ name: String) -> FigureData {
  var data = FigureData()
  for run in runs {
    guard let table = run.run.tables[name] else { continue }
    // The whole network's error is drawn as a line.
    let whole = run.lesions.wholeError.map { [(column: "error_whole", cell: Cell.number($0))] } ?? []
    data.add([("run", .name(run.run.name))], table, name == Lesions.scaled ? [] : whole)
  }
  return data
}

private func randomFigure(of runs: [LesionedRun]) -> Figure {
  let panels = runs.flatMap { run -> [Figure.Panel] in
    func panel(_ title: String, _ x: String, _ kind: String) -> Figure.Panel {
      let points = run.lesions.random.filter { $0.kind == kind }.map { lesion in
        Figure.Point(x: Double(lesion.size), y: 100 * lesion.error, spread: 100 * lesion.errorStd)
      }
      return Figure.Panel(
        title: title, x: .init(x), y: .init("error (%)"),
        series: points.isEmpty
          ? [] : [.init("lesioned", style: .lesion, points: points)] + run.whole(over: points.map(\.x)))
    }
    return [panel(run.title, "steps dropped", "dropped"), panel("", "pairs exchanged", "shuffled")]
  }
  return Figure(
    name: "lesions", title: "Validation error by the number of steps dropped, and of pairs exchanged", panels: panels,
    columns: 2, data: data(of: runs, Lesions.random))
}

private func swapFigure(of runs: [LesionedRun]) -> Figure {
  let panels = runs.filter { !$0.lesions.swapped.isEmpty }.map { run in
    let swapped = run.lesions.swapped
    let points = swapped.map { pair, score in
      Figure.Point(x: Double(pair.first), y: 100 * (1 - score.accuracy), marked: run.run.tables.isMarked(pair.first))
    }
    return Figure.Panel(
      title: run.title, x: .init("first of the swapped steps"), y: .init("error (%)"),
      series: [.init("lesioned", style: .lesion, points: points)]
        + run.whole(over: swapped.flatMap { [Double($0.pair.first) - 0.5, Double($0.pair.second) + 0.5] }),
      spans: run.spans(swapped.flatMap { [$0.pair.first, $0.pair.second] }))
  }
  return Figure(
    name: "lesions-swapped", title: "Validation error with two adjacent steps swapped", panels: panels,
    columns: min(2, panels.count), data: data(of: runs, Lesions.swapped))
}

/// A curve for each factor, or a map where there are so many that curves would hide one another.
private func scaledFigure(of runs: [LesionedRun]) -> Figure {
  let shown = runs.filter { !$0.lesions.scaled.steps.isEmpty }
  let factors = Set(shown.flatMap(\.lesions.scaled.factors)).sorted()
  let panels = shown.map { run -> Figure.Panel in
    let grid = run.lesions.scaled
    guard factors.count > 4 else {
      return Figure.Panel(
        title: run.title, x: .init("step"), y: .init("error (%)"),
        series: factors.enumerated().map { index, factor in
          Figure.Series(
            "× \(significant(factor))",
            style: .init(
              colour: Figure.ramp(Double(index) / Double(max(1, factors.count - 1))),
              marker: [.circle, .square, .triangle, .pentagon][index]),
            points: grid.steps.compactMap { step in
              grid.error(step, factor).map { .init(x: Double(step), y: 100 * $0) }
            })
        }, spans: run.spans(grid.steps))
    }
    return Figure.Panel(
      title: run.title, x: .init("step"), y: .init("factor", names: factors.map(significant)),
      map: .init(
        colour: .init("error (%)"), columns: grid.steps.map(Double.init), rows: factors.indices.map { Double($0 + 1) }
      ) { step, factor in grid.error(grid.steps[step], factors[factor]).map { 100 * $0 } },
      spans: run.spans(grid.steps))
  }
  return Figure(
    name: "lesions-scaled", title: "Validation error with one step’s F multiplied", panels: panels,
    columns: min(2, panels.count), panelHeight: factors.count > 4 ? 24 * factors.count + 30 : 220,
    data: data(of: runs, Lesions.scaled))
}

extension Figure.Style {
  /// The style of lesions, which are made on validation samples only.
  fileprivate static let lesion = Figure.Style(colour: Figure.palette[1], marker: .square, filled: false)
}
