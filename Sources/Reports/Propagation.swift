import Results

// Activations and gradients: at initialisation, while training, and of the trained network (§4.5, Fig. 8 and 9).

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

  /// nil where no run has the ratio from its training.
  static func gradientRatio(_ runs: [ReportedRun]) -> Section? {
    let groups = RunGroup.all(of: runs) { run in
      run.isTrained && run.history.contains { $0.epoch > 0 && $0.measures.gradientNorm?.train.ratio != nil }
    }
    guard !groups.isEmpty else { return nil }
    return Section(
      id: "gradient-norm-ratio", title: "Gradient norm ratio over training: do the first blocks dominate?",
      text: [
        """
        <b>r = ‖∂L/∂h‖ at the first block of the first stage over ‖∂L/∂h‖ at the first block of the last stage</b>, for \
        each sample, then averaged; beside it the size of the last state, ‖h<sub>T</sub>‖. \
        \(modesOfHistory(groups.flatMap(\.runs)))
        """,
        """
        <i>The paper (Fig. 8):</i> the ratio of the naively shared ResNet-110 is far larger than that of an unshared \
        network all through training, which suggests that its early layers dominate the learning.
        """,
      ],
      illustrations: [
        Illustration(
          figures: [ratioFigure(groups)],
          caption: "Logarithmic scales. \(seedsCaption(groups, of: " of the train curves"))")
      ],
      tables: groups.map { ratioTable($0, captioned: runs.count > 1) })
  }
}

/// By which statistics epochs were measured; the initialisation may differ from what follows.
func modesOfHistory(_ runs: [ReportedRun]) -> Markup {
  let history = runs.flatMap(\.history)
  guard let start = history.first(where: { $0.epoch == 0 })?.mode,
    let later = history.first(where: { $0.epoch > 0 })?.mode
  else { return "" }
  func statistics(_ mode: MeasureMode) -> Markup { mode == .training ? "each batch’s own" : "the running" }
  return start == later
    ? "Epoch 0 is the network as it was initialised; batch normalisations run by \(statistics(start)) statistics."
    : """
    Epoch 0 is the network as it was initialised, <b>by \(statistics(start)) statistics</b>; later epochs are measured \
    by \(statistics(later)) ones, so a jump behind epoch 0 may be of that.
    """
}

/// What a band means where a curve is a mean over seeds.
func seedsCaption(_ groups: [RunGroup], of curves: String) -> Markup {
  groups.contains { $0.runs.count > 1 }
    ? "A curve of several seeds is their mean; band: one standard deviation over seeds (n − 1)\(curves)." : ""
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

private func ratioFigure(_ groups: [RunGroup]) -> Figure {
  func panel(_ label: String, _ value: @escaping (MeasureResults.Measures) -> BySplit<Double?>) -> Figure.Panel {
    let series = groups.flatMap { group in
      [(\BySplit<Double?>.train, Figure.Dash.solid), (\.validation, .dashed)].map { split, dash in
        let points = group.points { run in
          run.history.compactMap { results in
            value(results.measures)[keyPath: split].map { Figure.Point.place(results.epoch, $0) }
          }
        }
        var style = group.style(dash, points: points.count)
        style.hasBand = dash == .solid
        return Figure.Series("\(group.label) \(dash == .solid ? "train" : "validation")", style: style, points: points)
      }
    }
    return Figure.Panel(x: .init("epoch"), y: .init(label, scale: .logarithmic), series: series)
  }
  return Figure(
    name: "gradient-norm-ratio", title: "Gradient norm ratio and size of the last state over training",
    panels: [
      panel("gradient norm ratio") {
        BySplit(train: $0.gradientNorm?.train.ratio?.mean, validation: $0.gradientNorm?.validation.ratio?.mean)
      },
      panel("‖h_T‖") {
        BySplit(
          train: $0.activationNorm?.train.steps.last?.mean, validation: $0.activationNorm?.validation.steps.last?.mean)
      },
    ], columns: 2, legend: RunGroup.legend(groups, solid: "train", dashed: "validation"))
}

private func ratioTable(_ group: RunGroup, captioned: Bool) -> Markup {
  let epochs = Set(group.runs.flatMap(\.history).map(\.epoch)).sorted()
  func cell(_ epoch: Int, _ value: (MeasureResults.Measures) -> Double?) -> String {
    SeedStatistic(
      group.runs.compactMap { run in run.history.first { $0.epoch == epoch }.flatMap { value($0.measures) } }
    ).text
  }
  return table(
    ["epoch", "ratio, train", "ratio, validation", "‖h_T‖, train", "‖h_T‖, validation"],
    rows: epochs.map { epoch in
      [
        String(epoch), cell(epoch) { $0.gradientNorm?.train.ratio?.mean },
        cell(epoch) { $0.gradientNorm?.validation.ratio?.mean },
        cell(epoch) { $0.activationNorm?.train.steps.last?.mean },
        cell(epoch) { $0.activationNorm?.validation.steps.last?.mean },
      ]
    }, caption: captioned ? group.label : nil)
}

extension Measure {
  static var activationNorm: Measure {
    Measure(
      id: "activation-norm", name: "activation-norm", title: "Activation norm: how large is the hidden state?",
      definition: """
        <b>‖h<sub>t</sub>‖</b> after every step, for each sample, then averaged over samples. A pooling or a projection \
        between stages changes what the norm is taken over.
        """,
      place: "§4.5, Fig. 8, 9",
      finding: "explodes at initialisation where blocks are shared naively; unshared batch normalization mends it.",
      isPresent: { $0.activationNorm != nil },
      pictures: { subjects in
        let figure = statisticFigure(
          "activation-norm", title: "Norm of the hidden state after every step", of: subjects, quantity: "‖h‖",
          scale: .logarithmic
        ) { measures in measures.activationNorm.map { BySplit(train: $0.train.steps, validation: $0.validation.steps) }
        }
        return [Picture(figure: figure, caption: "Means over samples, on a logarithmic scale.")]
      },
      table: { measures, run in
        statisticTable(
          measures.activationNorm.map { BySplit(train: $0.train.steps, validation: $0.validation.steps) }, run: run,
          isNorm: true)
      })
  }

  static var gradientNorm: Measure {
    Measure(
      id: "gradient-norm", name: "gradient-norm", title: "Gradient norm: how strongly does the loss pull?",
      definition: """
        <b>‖∂L/∂h<sub>t−1</sub>‖</b> where each step’s block takes h, for each sample, then averaged over samples; at a \
        projection too, with respect to what the block takes.
        """,
      place: "§4.5, Fig. 8",
      finding: "far larger at the first block than at later ones where blocks are shared naively.",
      isPresent: { $0.gradientNorm != nil },
      details: { measures in
        guard let train = measures.gradientNorm?.train.ratio, let validation = measures.gradientNorm?.validation.ratio
        else { return nil }
        return """
          The ratio of the first block of the first stage to that of the last stage is \(significant(train.mean)) on train \
          and \(significant(validation.mean)) on validation samples.
          """
      },
      pictures: { subjects in
        let figure = statisticFigure(
          "gradient-norm", title: "Norm of the gradient before every step", of: subjects, quantity: "‖∂L/∂h‖",
          scale: .logarithmic
        ) { measures in measures.gradientNorm.map { BySplit(train: $0.train.steps, validation: $0.validation.steps) } }
        return [
          Picture(
            figure: figure, caption: "Means over samples, on a logarithmic scale.",
            projectionCaption: "Diamonds: steps with a projection.")
        ]
      },
      table: { measures, run in
        statisticTable(
          measures.gradientNorm.map { BySplit(train: $0.train.steps, validation: $0.validation.steps) }, run: run,
          isNorm: true)
      })
  }
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
