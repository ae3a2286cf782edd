import Results

// Activations and gradients before the first training step (§4.5, Fig. 8 and 9).

extension ReportedRun {
  /// The network as it was initialised; nil where that was not measured.
  var initialisation: MeasureResults? {
    history.first { $0.epoch == 0 && $0.measures.activationNorm != nil }
  }
}

extension Section {
  /// nil where no run was measured as it was initialised.
  static func initialisation(_ runs: [ReportedRun]) -> Section? {
    let groups = RunGroup.all(of: runs) { $0.initialisation != nil }
    guard let mode = groups.first?.runs.first?.initialisation?.mode else { return nil }
    let statistics: Markup =
      mode == .training
      ? "The batch normalisations run by each batch’s own statistics, as in the first step of a training."
      : "The batch normalisations run by their running statistics, which are still those of nothing: they do not normalise."
    let without = runs.filter { $0.initialisation == nil }
    return Section(
      id: "initialisation", title: "At initialisation: do activations and gradients explode?",
      text: [
        """
        <b>‖h<sub>t</sub>‖</b> after every step, and <b>‖∂L/∂h<sub>t−1</sub>‖</b> before it, of the networks <b>before \
        the first step of training</b>; norms over a sample’s whole tensor, means over samples. \(statistics)
        """,
        """
        <i>The paper (Fig. 8, 9):</i> where later steps share one block, the same operation again and again makes \
        activations explode on the way forward, and so gradients on the way back; all parts of unshared batch \
        normalization are important, and most of all unsharing the statistics. By each batch’s own statistics only the γ \
        that they begin at can show before the first step: statistics, γ and β of all uses are equal then.
        """,
      ],
      overview: initialisationTable(groups),
      illustrations: [
        Illustration(
          figures: [initialisationFigure(groups)],
          caption: """
            Train samples; logarithmic scales. Left, step 0 is what the stem makes. Below a rising step, the gradient \
            grows on its way back to the first block. Curves that coincide lie on one another. \
            \(seedsCaption(groups, of: ""))
            """)
      ], notes: without.map { run -> Markup in "<b>\(run.name)</b>. Was not measured as it was initialised." })
  }
}

private func initialisationFigure(_ groups: [RunGroup]) -> Figure {
  func panel(_ label: String, _ x: String, _ values: @escaping (ReportedRun) -> [(x: Double, y: Double)])
    -> Figure.Panel
  {
    Figure.Panel(
      x: .init(x), y: .init(label, scale: .logarithmic),
      series: groups.map { group in
        let points = group.points(values)
        return Figure.Series(group.label, style: group.style(.solid, points: points.count), points: points)
      })
  }
  return Figure(
    name: "initialisation", title: "Norms of activations and gradients at initialisation",
    panels: [
      panel("‖h‖", "after step") { run in
        guard let norms = run.initialisation?.measures.activationNorm?.train else { return [] }
        return [Figure.Point.place(0, norms.start.mean)] + norms.steps.map { Figure.Point.place($0.name.step, $0.mean) }
      },
      panel("‖∂L/∂h‖", "before step") { run in
        run.initialisation?.measures.gradientNorm?.train.steps.map { Figure.Point.place($0.name.step, $0.mean) } ?? []
      },
    ], columns: 2, panelHeight: 270, legend: RunGroup.legend(groups))
}

/// A row a group: how large h begins, becomes and ends, the gradients where stages begin, and their ratio.
private func initialisationTable(_ groups: [RunGroup]) -> Markup {
  let columns: [(head: String, value: (MeasureResults.Measures) -> Double?)] = [
    ("‖h₀‖", { $0.activationNorm?.train.start.mean }), ("‖h_T‖", { $0.activationNorm?.train.steps.last?.mean }),
    ("largest ‖h‖", { $0.activationNorm?.train.steps.map(\.mean).max() }),
    ("ratio", { $0.gradientNorm?.train.ratio?.mean }),
    ("first ‖∂L/∂h‖", { $0.gradientNorm?.train.steps.first?.mean }),
    (
      "last stage’s",
      { measures in
        let steps = measures.gradientNorm?.train.steps
        return steps?.first { $0.name.stage == steps?.last?.name.stage }?.mean
      }
    ),
  ]
  return table(
    ["network", "seeds"] + columns.map(\.head),
    rows: groups.map { group in
      [group.name, "\(group.runs.count)"]
        + columns.map { column in
          SeedStatistic(group.runs.compactMap { $0.initialisation.flatMap { column.value($0.measures) } }).text
        }
    }, caption: "train samples" + (groups.contains { $0.runs.count > 1 } ? "; ± one standard deviation over seeds" : "")
  )
}

extension Summary {
  var propagation: String? {
    guard let measures = run.initialisation?.measures, let norms = measures.activationNorm?.train,
      let last = norms.steps.last, norms.start.mean > 0, last.mean.isFinite
    else { return nil }
    let growth =
      "As it is initialised, ‖h‖ goes from \(significant(norms.start.mean)) to \(significant(last.mean)) on train samples"
    guard let ratio = measures.gradientNorm?.train.ratio?.mean, ratio.isFinite else { return growth + "." }
    return growth + ", and the gradient at the first block is \(significant(ratio)) times that at the last stage’s."
  }
}
