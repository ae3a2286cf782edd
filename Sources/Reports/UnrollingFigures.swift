import ResLensSupport
import ResLensResults

/// The groups over the added steps, scaled and unscaled; every step's direction and size; where the state goes.
func unrollingPictures(of subjects: Subjects) throws -> [Picture] {
  let runs = try subjects.runs.compactMap { run in try Unrolled(run.tables).map { (name: run.name, unrolled: $0) } }
  let groups: Markup = """
    The leftmost points are the repeated step as it was trained; behind the dashed line are the added steps. Means over \
    each group.
    """
  return [
    Picture(
      figure: groupFigure("unrolling", way: "scaled", of: runs, subjects),
      caption: "The added steps are scaled. \(groups)"),
    Picture(
      figure: groupFigure("unrolling-unscaled", way: "unscaled", of: runs, subjects),
      caption: "The added steps are not scaled. \(groups) Values that are not finite are not drawn."),
    Picture(
      figure: directionFigure(of: runs, subjects),
      caption: """
        Every step from the first of the repeated step’s stage, for each α of the added ones, which lie behind the \
        dashed line. The cosine loss is taken with the gradient from the unrolled network’s end, and with the gradient \
        of the readout applied to the state before the step. \(subjects.bandCaption)
        """, markedCaption: Markup(verbatim: StepFigure.gradientOfProjection)),
    Picture(
      figure: pathFigure(of: runs, subjects),
      caption: """
        Left: the distance ‖h<sub>t</sub> − h<sub>t−1</sub>‖ that each step covers. Right: the update cosine, between \
        what the step adds and what the step before it added (1: straight on; −1: back).
        """),
  ].filter { !$0.figure.panels.isEmpty }
}

private typealias UnrolledRun = (name: String, unrolled: Unrolled)

private func groupFigure(
  _ name: String, way: String, of runs: [UnrolledRun], _ subjects: Subjects
) -> Figure {
  let rows = runs.flatMap { run -> [(title: String, scores: [GroupScore], uprights: [Double])] in
    guard let shown = run.unrolled.way(way) else { return [] }
    return Split.allCases.compactMap { split in
      let scores = run.unrolled.scores(shown, split)
      guard !scores.isEmpty else { return nil }
      return (
        subjects.title(run.name, "\(split.rawValue), α = \(significant(shown.scale))"),
        scores.filter { $0.place >= run.unrolled.repeated }, run.unrolled.uprights(shown)
      )
    }
  }
  func panels(_ loss: Figure.Scale) -> [Figure.Panel] {
    rows.flatMap { groupPanels($0.title, x: "steps run", $0.scores, loss: loss, uprights: $0.uprights) }
  }
  let losses = panels(.linear).filter { $0.y.label.hasPrefix("loss") }.flatMap(\.series)
  return Figure(
    name: name, title: "Accuracy, loss and entropy of three groups over added steps, \(way)",
    panels: panels(scale(of: losses)), columns: 3, panelHeight: 190,
    data: data(of: runs, Unrolled.groups) { $0 == .text(way) })
}

/// Both cosine losses and the ℓ2 ratio of every step; a row for each way of a run.
private func directionFigure(of runs: [UnrolledRun], _ subjects: Subjects) -> Figure {
  let ratio = "‖αF‖ / ‖h‖"
  let panels = wayPanels(
    of: runs, subjects,
    [
      ("cosine", .init("cosine loss"), [0]), ("cosine_readout", .init("cosine loss, readout"), [0]),
      ("ratio", .init(ratio), []),
    ])
  return Figure(
    name: "unrolling-steps", title: "Cosine loss and ℓ2 ratio of every step of the unrolled network",
    panels: withFittingScale(panels, of: ratio), columns: 3, panelHeight: 190,
    data: data(of: runs, Unrolled.steps, "quantity") { ["cosine", "cosine_readout", "ratio"].contains($0) })
}

/// How far every step goes and how much it departs from the direction of the step before; a row for each way of a run.
private func pathFigure(of runs: [UnrolledRun], _ subjects: Subjects) -> Figure {
  Figure(
    name: "unrolling-path", title: "Distance that every step of the unrolled network covers, and its update cosine",
    panels: wayPanels(
      of: runs, subjects,
      [
        ("distance", .init("‖h − previous h‖", scale: .logarithmic), []),
        ("update_cosine", .init("cosine with the update before"), [0]),
      ]), columns: 2, panelHeight: 190,
    data: data(of: runs, Unrolled.steps, "quantity") { ["distance", "update_cosine"].contains($0) })
}

/// The rows of a table of all runs whose cell in one column fulfils the condition.
private func data(
  of runs: [UnrolledRun], _ name: String, _ column: String = "way", _ isShown: (Cell) -> Bool
) -> FigureData {
  var data = FigureData()
  for run in runs {
    guard let table = run.unrolled.network[name],
      let index = table.columns.firstIndex(where: { $0.name == column })
    else { continue }
    data.add([("run", .name(run.name))], table.filter { isShown($0[index]) })
  }
  return data
}

/// A row for each way of a run, a panel for each quantity.
private func wayPanels(
  of runs: [UnrolledRun], _ subjects: Subjects, _ quantities: [(name: String, axis: Figure.Axis, rules: [Double])]
) -> [Figure.Panel] {
  runs.flatMap { run in
    run.unrolled.ways.filter { !run.unrolled.places($0).isEmpty }.flatMap { way in
      quantities.enumerated().map { column, quantity in
        Figure.Panel(
          title: column == 0 ? subjects.title(run.name, "α = \(significant(way.scale))") : "", x: .init("step run"),
          y: quantity.axis,
          series: Split.allCases.map { split in
            Figure.Series(
              split.rawValue, style: split.style,
              points: run.unrolled.quantity(quantity.name, way, split).map { place, statistic in
                .init(
                  x: Double(place.place), y: statistic.mean, spread: subjects.spread(of: statistic),
                  marked: run.unrolled.network.isMarked(place.step))
              })
          }, rules: quantity.rules, uprights: run.unrolled.uprights(way),
          spans: stages(
            of: run.unrolled.places(way).map { ($0.place, run.unrolled.network.step($0.step)?.stage) }))
      }
    }
  }
}

/// An exploding quantity on a logarithmic axis.
private func withFittingScale(_ panels: [Figure.Panel], of label: String) -> [Figure.Panel] {
  let fitting = scale(of: panels.filter { $0.y.label == label }.flatMap(\.series))
  return panels.map { panel in
    var panel = panel
    if panel.y.label == label { panel.y.scale = fitting }
    return panel
  }
}
