import Results

extension Measure {
  static var borderline: Measure {
    Measure(
      id: "borderline", name: "borderline", title: "Borderline examples: what do the last steps mend?",
      definition: """
        An example of class y is borderline where the head is nearly undecided about it, <b>|p<sub>y</sub> − \
        max<sub>k≠y</sub> p<sub>k</sub>| &lt; margin</b>, by what it says of an earlier state, the reference. The \
        groups stay as they are there while the later steps run: the borderline examples, those that were classified \
        rightly already (borderline or not), and all. Of the borderline ones a step corrects those that were wrong \
        before it and are right after it, and breaks those that go the other way.
        """,
      place: "Fig. 6",
      finding: """
        a significant chunk of borderline examples gets corrected by the immediate next residual block; what the last \
        blocks improve on borderline examples is at the expense of the loss of examples that are correct already.
        """,
      isPresent: { $0.borderline?.states.hasNoSteps == false },
      details: { $0.borderline.map(borderlineDetails) },
      pictures: { subjects in
        [
          Picture(
            figure: borderlineFigure(of: subjects),
            caption: """
              Means over each group; loss and entropy in nats. Leftmost: the reference. A group without examples has \
              no curve.
              """),
          Picture(
            figure: turnedFigure(of: subjects),
            caption: "Shares of the borderline examples of each set.",
            projectionCaption: "Diamonds: steps with a projection."),
        ]
      }, table: borderlineTable)
  }
}

private func borderlineDetails(_ borderline: BorderlineExamples) -> Markup {
  let sizes = splits(of: borderline.states).map { label, states in
    let groups = states.first?.groups
    return "\(groups?.borderline?.count ?? 0) of \(groups?.all.count ?? 0) \(label) examples are borderline, "
      + "\(groups?.alreadyCorrect?.count ?? 0) already correct"
  }
  return """
    Margin \(significant(borderline.margin)), reference: after step \(borderline.reference). There \
    \(sizes.joined(separator: "; ")).
    """
}

/// The three groups over the states from the reference on; a row a set.
func borderlineFigure(of subjects: Subjects) -> Figure {
  let panels = subjects.runs.flatMap { run in
    splits(of: run.measures?.measures.borderline?.states).flatMap { split, states in
      groupPanels(subjects.title(run, split), x: "after step", states.map(\.placed))
    }
  }
  return Figure(
    name: "borderline", title: "Accuracy, loss and entropy of borderline, already correct and all examples",
    panels: panels, columns: 3, panelHeight: 200)
}

/// The shares of borderline examples that each step corrects and breaks.
func turnedFigure(of subjects: Subjects) -> Figure {
  stepFigure("borderline-turns", title: "Borderline examples corrected and broken by each step", of: subjects) {
    measures in
    guard let turns = measures.borderline?.turns else { return nil }
    let series = zip(splits(of: turns), [Figure.Style.train, .validation]).flatMap { split, style in
      func series(_ what: String, _ style: Figure.Style, _ number: (TurnedExamples) -> Int) -> Figure.Series {
        Figure.Series(
          "\(split.label), \(what)", style: style,
          points: split.values.filter { $0.count > 0 }.map {
            .init(
              x: Double($0.name.step), y: 100 * Double(number($0)) / Double($0.count), marked: $0.name.projection)
          })
      }
      var plain = style
      (plain.dash, plain.filled) = (.solid, true)
      var open = style
      (open.dash, open.filled) = (.dashed, false)
      return [series("corrected", plain, \.corrected), series("broken", open, \.broken)]
    }
    return Figure.Panel(x: .init("step"), y: .init("of the borderline examples (%)"), series: series)
  }
}

private func borderlineTable(_ measures: MeasureResults.Measures, run: String?) -> Markup {
  guard let borderline = measures.borderline else { return "" }
  let states = splits(of: borderline.states).map { split, states in
    ExampleGroup.table(states.map(\.placed), place: "after step", caption: tableCaption(run, split))
  }
  let turns = stepTable(
    columns: ["corrected", "broken", "borderline"], train: borderline.turns.train,
    validation: borderline.turns.validation, name: \.name, run: tableCaption(run, "borderline examples turned")
  ) { [String($0.corrected), String($0.broken), String($0.count)] }
  return "\(states + [turns])"
}

extension GroupedState {
  fileprivate var placed: PlacedGroups { PlacedGroups(place: step, groups: groups) }
}
