import Results

/// The groups over the added steps, scaled and not; every step's direction and size; where the state goes.
func unrollingPictures(of subjects: Subjects) -> [Picture] {
  let groups: Markup = """
    Leftmost: the repeated step as it was trained; behind the dashed line, added steps. Means over each group; loss \
    and entropy in nats.
    """
  return [
    Picture(
      figure: groupFigure("unrolling", title: "scaled", of: subjects, \.scaled), caption: "Scaled. \(groups)"),
    Picture(
      figure: groupFigure("unrolling-unscaled", title: "not scaled", of: subjects, \.unscaled),
      caption: "Unscaled. \(groups) What is not finite is not drawn."),
    Picture(
      figure: directionFigure(of: subjects),
      caption: """
        Every step from the first of the repeated step’s stage, for each α of the added ones, which lie behind the \
        dashed line. Cosine losses with the gradient from the unrolled network’s end, and with that of the head \
        plugged in before the step. Band: one standard deviation over validation samples.
        """, projectionCaption: Measure.gradientOfProjection),
    Picture(
      figure: pathFigure(of: subjects),
      caption: """
        Where the iteration goes: the distance ‖h<sub>t</sub> − h<sub>t−1</sub>‖ that each step covers, and its turn, \
        the cosine between what it adds and what the step before added (1: straight on; −1: back).
        """),
  ].filter { !$0.figure.panels.isEmpty }
}

private func groupFigure(
  _ name: String, title: String, of subjects: Subjects, _ trajectory: (Unrolling) -> Unrolling.Trajectory?
) -> Figure {
  let rows = subjects.runs.flatMap { run -> [(title: String, states: [PlacedGroups], uprights: [Double])] in
    guard let unrolling = run.measures?.measures.unrolling, let shown = trajectory(unrolling) else { return [] }
    return splits(of: shown.steps).map { split, steps in
      let states = steps.filter { $0.place >= unrolling.repeated.step }.compactMap { step in
        step.groups.map { PlacedGroups(place: step.place, groups: $0) }
      }
      return (subjects.title(run, "\(split), α = \(significant(shown.scale))"), states, unrolling.uprights(in: steps))
    }
  }
  func panels(_ loss: Figure.Scale) -> [Figure.Panel] {
    rows.flatMap { groupPanels($0.title, x: "steps run", $0.states, loss: loss, uprights: $0.uprights) }
  }
  let losses = panels(.linear).filter { $0.y.label == "loss" }.flatMap(\.series)
  return Figure(
    name: name, title: "Accuracy, loss and entropy of three groups over added steps, \(title)",
    panels: panels(scale(of: losses)), columns: 3, panelHeight: 190)
}

/// Both cosine losses and the ℓ2 ratio of every step; a row a trajectory.
private func directionFigure(of subjects: Subjects) -> Figure {
  let quantities: [(label: String, rules: [Double], value: (UnrolledStep) -> Statistic?)] = [
    ("cosine loss", [0], \.cosineLoss), ("cosine loss, plugged", [0], \.pluggedCosineLoss),
    ("‖αF‖ / ‖h‖", [], \.l2Ratio),
  ]
  let panels = trajectoryPanels(of: subjects, quantities.map { (.init($0.label), $0.rules, $0.value) })
  return Figure(
    name: "unrolling-steps", title: "Cosine loss and ℓ2 ratio of every step of the unrolled network",
    panels: withFittingScale(panels, of: "‖αF‖ / ‖h‖"), columns: 3, panelHeight: 190)
}

/// How far every step goes and how much it turns; a row a trajectory.
private func pathFigure(of subjects: Subjects) -> Figure {
  Figure(
    name: "unrolling-path", title: "Distance that every step of the unrolled network covers, and its turn",
    panels: trajectoryPanels(
      of: subjects,
      [
        (.init("‖h − previous h‖", scale: .logarithmic), [], { $0.distance }),
        (.init("cosine with the step before"), [0], \.turn),
      ]), columns: 2, panelHeight: 190)
}

/// A row a trajectory of a run, a panel a quantity.
private func trajectoryPanels(
  of subjects: Subjects, _ quantities: [(axis: Figure.Axis, rules: [Double], value: (UnrolledStep) -> Statistic?)]
) -> [Figure.Panel] {
  subjects.runs.flatMap { run -> [Figure.Panel] in
    guard let unrolling = run.measures?.measures.unrolling else { return [] }
    return unrolling.trajectories.flatMap { trajectory in
      let steps = trajectory.steps.train + trajectory.steps.validation
      return quantities.enumerated().map { column, quantity in
        Figure.Panel(
          title: column == 0 ? subjects.title(run, "α = \(significant(trajectory.scale))") : "", x: .init("step run"),
          y: quantity.axis,
          series: zip(splits(of: trajectory.steps), [Figure.Style.train, .validation]).map { split, style in
            Figure.Series(
              split.label, style: style,
              points: split.values.compactMap { step in
                quantity.value(step).map {
                  .init(x: Double(step.place), y: $0.mean, spread: $0.std, marked: step.name.projection)
                }
              })
          }, rules: quantity.rules, uprights: unrolling.uprights(in: steps), spans: stages(of: steps.map(\.placedName)))
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

extension Unrolling {
  /// Where the added steps begin, and where they end if others follow.
  fileprivate func uprights(in steps: [UnrolledStep]) -> [Double] {
    let begin = Double(repeated.step) + 0.5
    let end = begin + Double(times)
    return (steps.map(\.place).max()).map { Double($0) > end } == true ? [begin, end] : [begin]
  }
}

extension UnrolledStep {
  /// Its name with its place in the unrolled network for a step number.
  fileprivate var placedName: StepName {
    StepName(step: place, stage: name.stage, block: name.block, use: name.use, projection: name.projection)
  }
}
