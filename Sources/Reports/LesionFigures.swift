import Results

func lesionPictures(of subjects: Subjects) -> [Picture] {
  [
    Picture(
      figure: randomLesionFigure(of: subjects),
      caption: "Means over random trials; band: one standard deviation over them. Dotted: the whole network."),
    Picture(
      figure: swapFigure(of: subjects),
      caption: "At the first of the two steps. Dotted: the whole network."),
    Picture(figure: scaledFigure(of: subjects), caption: "Each step’s F alone is multiplied; factor 1 is the network."),
  ].filter { $0.figure.panels.contains { $0.map != nil || !$0.series.isEmpty } }
}

private func randomLesionFigure(of subjects: Subjects) -> Figure {
  let panels = subjects.runs.flatMap { run -> [Figure.Panel] in
    guard let lesions = run.measures?.measures.lesions else { return [] }
    func panel(_ title: String, _ x: String, _ random: [Lesions.RandomLesion]) -> Figure.Panel {
      let points = random.map { lesion in
        Figure.Point(x: Double(lesion.size), y: 100 * lesion.error.mean, spread: 100 * lesion.error.std)
      }
      return Figure.Panel(
        title: title, x: .init(x), y: .init("error (%)"),
        series: [.init("lesioned", style: .lesion, points: points)]
          + [lesions.whole(over: points.map(\.x))].filter {
            !$0.points.isEmpty
          })
    }
    return [
      panel(subjects.title(run), "steps dropped", lesions.dropped), panel("", "pairs exchanged", lesions.shuffled),
    ]
  }
  return Figure(
    name: "lesions", title: "Validation error by the number of steps dropped, and of pairs exchanged", panels: panels,
    columns: 2)
}

private func swapFigure(of subjects: Subjects) -> Figure {
  stepFigure("lesions-swapped", title: "Validation error with two adjacent steps swapped", of: subjects) { measures in
    guard let lesions = measures.lesions, !lesions.swapped.isEmpty else { return nil }
    let points = lesions.swapped.map {
      Figure.Point(x: Double($0.first.step), y: 100 * (1 - $0.score.accuracy), marked: $0.first.projection)
    }
    let ends = lesions.swapped.flatMap { [Double($0.first.step) - 0.5, Double($0.second.step) + 0.5] }
    return Figure.Panel(
      x: .init("first of the swapped steps"), y: .init("error (%)"),
      series: [.init("lesioned", style: .lesion, points: points), lesions.whole(over: ends)],
      spans: stages(of: lesions.swapped.flatMap { [$0.first, $0.second] }))
  }
}

/// A curve a factor, or a map where there are so many that curves would hide one another.
private func scaledFigure(of subjects: Subjects) -> Figure {
  let grids = subjects.runs.compactMap { run -> (run: ReportedRun, grid: ScaledGrid)? in
    guard let lesions = run.measures?.measures.lesions, !lesions.scaled.isEmpty else { return nil }
    return (run, ScaledGrid(lesions.scaled))
  }
  let factors = Set(grids.flatMap(\.grid.factors)).sorted()
  let panels = grids.map { run, grid -> Figure.Panel in
    let names = run.measures?.measures.lesions?.scaled.map(\.name) ?? []
    guard factors.count > 4 else {
      return Figure.Panel(
        title: subjects.title(run), x: .init("step"), y: .init("error (%)"),
        series: factors.enumerated().map { index, factor in
          Figure.Series(
            "× \(significant(factor))",
            style: .init(
              colour: Figure.ramp(Double(index) / Double(max(1, factors.count - 1))),
              marker: [.circle, .square, .triangle, .pentagon][index]),
            points: grid.steps.compactMap { step in
              grid.error(step, factor).map { .init(x: Double(step), y: 100 * $0) }
            })
        }, spans: stages(of: names))
    }
    return Figure.Panel(
      title: subjects.title(run), x: .init("step"), y: .init("factor", names: factors.map(significant)),
      map: .init(
        colour: .init("error (%)"), columns: grid.steps.map(Double.init), rows: factors.indices.map { Double($0 + 1) }
      ) { step, factor in grid.error(grid.steps[step], factors[factor]).map { 100 * $0 } },
      spans: stages(of: names))
  }
  return Figure(
    name: "lesions-scaled", title: "Validation error with one step’s F multiplied", panels: panels,
    columns: min(2, panels.count), panelHeight: factors.count > 4 ? 24 * factors.count + 30 : 220)
}

extension Lesions {
  /// The whole network's error as a line from the lowest to the highest of the places.
  fileprivate func whole(over places: [Double]) -> Figure.Series {
    let ends = [places.min(), places.max()].compactMap { $0 }
    return Figure.Series(
      "whole network", style: Figure.Style.lesion.dotted,
      points: ends.map { .init(x: $0, y: 100 * (1 - baseline.accuracy)) })
  }
}

extension Figure.Style {
  /// Lesions are made on validation data only.
  fileprivate static let lesion = Figure.Style(colour: Figure.palette[1], marker: .square, filled: false)
}
