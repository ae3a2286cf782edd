import Results

extension Figure.Style {
  /// Without a band: it would lie on the validation data's, and two that overlap hide the means.
  static let train = Figure.Style(colour: Figure.palette[0], marker: .circle, hasBand: false)
  static let validation = Figure.Style(colour: Figure.palette[1], dash: .dashed, marker: .square, filled: false)

  /// The same colour as a plain dotted line.
  var dotted: Figure.Style { Figure.Style(colour: colour, dash: .dotted) }
}

/// One statistic of every step, a panel a run.
func statisticFigure(
  _ name: String, title: String, of subjects: Subjects, quantity: String, scale: Figure.Scale = .linear,
  rules: [Double] = [], values: (MeasureResults.Measures) -> BySplit<[StepStatistic]>?
) -> Figure {
  stepFigure(name, title: title, of: subjects) { measures in
    guard let statistics = values(measures) else { return nil }
    func series(_ label: String, _ style: Figure.Style, _ values: [StepStatistic]) -> Figure.Series {
      // A deviation above its mean has no lower edge on a logarithmic axis.
      Figure.Series(
        label, style: style,
        points: values.map {
          .init(
            x: Double($0.name.step), y: $0.mean, spread: scale == .linear ? $0.std : nil, marked: $0.name.projection)
        })
    }
    return Figure.Panel(
      x: .init("step"), y: .init(quantity, scale: scale),
      series: [
        series("train", .train, statistics.train), series("validation", .validation, statistics.validation),
      ],
      rules: rules, spans: stages(of: (statistics.train + statistics.validation).map(\.name)))
  }
}

/// Accuracy with each step dropped, beside the whole network's.
func droppedStepFigure(of subjects: Subjects) -> Figure {
  stepFigure("dropped-step", title: "Accuracy with one step dropped", of: subjects) { measures in
    guard let dropped = measures.droppedStep else { return nil }
    let names = (dropped.train + dropped.validation).map(\.name)
    let steps = names.map { Double($0.step) }
    func whole(_ label: String, _ style: Figure.Style, _ score: Score) -> Figure.Series {
      let ends = [(steps.min() ?? 1) - 0.5, (steps.max() ?? 1) + 0.5]
      return Figure.Series(label, style: style.dotted, points: ends.map { .init(x: $0, y: 100 * score.accuracy) })
    }
    return Figure.Panel(
      x: .init("dropped step"), y: .init("accuracy (%)"),
      series: [
        scores("train", .train, dropped.train) { 100 * $0.accuracy },
        scores("validation", .validation, dropped.validation) { 100 * $0.accuracy },
        whole("train, whole network", .train, dropped.baseline.train),
        whole("validation, whole network", .validation, dropped.baseline.validation),
      ].filter { !$0.points.isEmpty }, spans: stages(of: names))
  }
}

/// Accuracy, loss and entropy of the head after each step of the last stage; a row a run.
func intermediateFigure(of subjects: Subjects) -> Figure {
  let quantities: [(label: String, value: (Score) -> Double)] = [
    ("accuracy (%)", { 100 * $0.accuracy }), ("loss", \.loss), ("entropy", \.entropy),
  ]
  let panels = subjects.runs.flatMap { run in
    quantities.enumerated().map { column, quantity in
      let scored = run.measures?.measures.intermediate
      return Figure.Panel(
        title: column == 0 ? subjects.title(run) : "", x: .init("after step"), y: .init(quantity.label),
        series: [
          scores("train", .train, scored?.train ?? [], quantity.value),
          scores("validation", .validation, scored?.validation ?? [], quantity.value),
        ])
    }
  }
  return Figure(
    name: "intermediate", title: "Accuracy, loss and entropy after each step of the last stage", panels: panels,
    columns: 3, panelHeight: 220)
}

/// A panel a run, side by side where there are several.
func stepFigure(
  _ name: String, title: String, of subjects: Subjects, panel: (MeasureResults.Measures) -> Figure.Panel?
) -> Figure {
  let panels = subjects.runs.compactMap { run in
    run.measures.flatMap { panel($0.measures) }.map { panel in
      var one = panel
      one.title = subjects.title(run)
      return one
    }
  }
  return Figure(name: name, title: title, panels: panels, columns: min(2, panels.count))
}

private func scores(
  _ label: String, _ style: Figure.Style, _ scores: [StepScore], _ value: (Score) -> Double
) -> Figure.Series {
  Figure.Series(
    label, style: style,
    points: scores.map { .init(x: Double($0.name.step), y: value($0.score), marked: $0.name.projection) })
}

/// The stages as stretches of the step axis, called as in a checkpoint.
func stages(of names: [StepName]) -> [Figure.Span] {
  let steps = Dictionary(grouping: names, by: \.stage).mapValues { $0.map { Double($0.step) } }
  return steps.keys.sorted().compactMap { stage in
    guard let low = steps[stage]?.min(), let high = steps[stage]?.max() else { return nil }
    return Figure.Span(steps.count > 4 ? "\(stage)" : "stages.\(stage)", (low - 0.5)...(high + 0.5))
  }
}
