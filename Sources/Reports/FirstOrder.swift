import Results

extension Measure {
  static var firstOrder: Measure {
    Measure(
      id: "first-order", name: "first-order", title: "First-order term: how much of a step’s work does it tell?",
      definition: """
        <b>L(h<sub>t</sub>) − L(h<sub>t−1</sub>) = F<sub>t</sub>(h<sub>t−1</sub>) · ∂L/∂h<sub>t−1</sub> + \
        O(‖F<sub>t</sub>‖²)</b>, with L computed by the head applied straight to the state. The left side is what a \
        step does to the loss, the first term on the right what the cosine loss looks at. Where they agree, a step’s \
        direction tells what it does; where they part, the step is too large for that. Their ratio (mean term over \
        mean change) is 1 where the first order tells all; their correlation over samples says whether it ranks the \
        examples rightly. Only the hidden states of the last stage fit the head.
        """,
      place: "§3, eq. 4",
      finding: "argues with this expansion; how much of the change it tells was not measured there.",
      isPresent: { $0.firstOrder.hasSteps },
      pictures: { subjects in
        [
          Picture(
            figure: firstOrderFigure(of: subjects),
            caption: """
              Means over samples, in nats; below the line the loss falls. Band: one standard deviation of the change \
              over samples, cut off where it would dwarf the means.
              """, projectionCaption: gradientOfProjection),
          Picture(
            figure: firstOrderShareFigure(of: subjects),
            caption: "Ratios beyond −1 and 3, where the mean change is near 0, are cut off; the table has them.",
            projectionCaption: gradientOfProjection),
        ]
      },
      table: { measures, run in
        stepTable(
          columns: ["change ± std", "term ± std", "ratio", "correlation", "n"],
          train: measures.firstOrder?.train ?? [], validation: measures.firstOrder?.validation ?? [], name: \.name,
          run: run
        ) {
          [
            spread($0.change.mean, $0.change.std), spread($0.term.mean, $0.term.std),
            $0.ratio.map { decimal($0, 3) } ?? "–", $0.correlation.map { decimal($0, 3) } ?? "–",
            String($0.change.count),
          ]
        }
      })
  }
}

/// Change and first-order term of every step, a panel for each set of a run.
func firstOrderFigure(of subjects: Subjects) -> Figure {
  let change = Figure.Style(colour: Figure.palette[2], marker: .circle)
  let term = Figure.Style(colour: Figure.palette[3], dash: .dashed, marker: .square, filled: false, hasBand: false)
  let panels = subjects.runs.flatMap { run in
    splits(of: run.measures?.measures.firstOrder).map { split, steps in
      Figure.Panel(
        title: subjects.title(run, split), x: .init("step"), y: .init("change of loss (nats)"),
        series: [
          Figure.Series("change of loss", style: change, points: points(steps) { $0.change }),
          Figure.Series("first-order term", style: term, points: points(steps) { $0.term }),
        ], rules: [0])
    }
  }
  return Figure(
    name: "first-order", title: "Change of loss by each step of the last stage, and its first-order term",
    panels: panels,
    columns: 2)
}

/// Ratio and correlation of every step, two panels a run.
func firstOrderShareFigure(of subjects: Subjects) -> Figure {
  let styles: [Figure.Style] = [.train, .validation]
  let panels = subjects.runs.flatMap { run in
    func panel(_ title: String, _ axis: Figure.Axis, rule: Double, _ value: (FirstOrderTerm) -> Double?) -> Figure.Panel
    {
      Figure.Panel(
        title: title, x: .init("step"), y: axis,
        series: zip(splits(of: run.measures?.measures.firstOrder), styles).map { split, style in
          let points = split.values.compactMap { step in
            value(step).map { Figure.Point(x: Double(step.name.step), y: $0, marked: step.name.projection) }
          }
          return Figure.Series(split.label, style: style, points: points)
        }, rules: [rule])
    }
    return [
      panel(subjects.title(run), .init("mean term / mean change", bounds: -1...3), rule: 1, \.ratio),
      panel("", .init("correlation"), rule: 0, \.correlation),
    ]
  }
  return Figure(
    name: "first-order-share", title: "How much of each step’s change of loss its first-order term tells",
    panels: panels, columns: 2, panelHeight: 200)
}

private func points(_ steps: [FirstOrderTerm], _ statistic: (FirstOrderTerm) -> Statistic) -> [Figure.Point] {
  steps.map { step in
    let value = statistic(step)
    return .init(x: Double(step.name.step), y: value.mean, spread: value.std, marked: step.name.projection)
  }
}

/// Both sets' values with their names, in the order in which pictures show them.
func splits<Value>(of values: BySplit<Value>?) -> [(label: String, values: Value)] {
  values.map { [("train", $0.train), ("validation", $0.validation)] } ?? []
}
