import Results

// How much larger the gradient is at the first stage than at the last, over training (§4.5, Fig. 8).

extension Section {
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
