import ResLensResults

// The ratio of gradient norms between the first stage and the last, over training (§4.5, Fig. 8).

extension Section {
  /// The section on the gradient norm ratio; nil where no run has it from its training.
  static func gradientRatio(_ runs: [ReportedRun]) throws -> Section? {
    let groups = RunGroup.all(of: runs) { run in
      run.isTrained
        && run.history.contains { $0.epoch > 0 && $0.tables.contains { $0.name == Norms.ratio && !$0.rows.isEmpty } }
    }
    guard !groups.isEmpty else { return nil }
    let epochs = try groups.map { group in try group.runs.map { try Epochs($0) } }
    return Section(
      id: FigureKind.gradientNormRatio.rawValue,
      title: "Gradient norm ratio over training: do the first blocks dominate?",
      text: [
        """
        <b>r = ‖∂L/∂h‖ at the first block of the first stage over ‖∂L/∂h‖ at the first block of the last stage</b>, for \
        each sample, then averaged; beside it the size of the last state, ‖h<sub>T</sub>‖. \
        \(statisticsOfHistory(groups.flatMap(\.runs).flatMap(\.history).map { ($0.epoch, $0.batchNorm) }))
        """,
        """
        <i>The paper (Fig. 8):</i> the ratio of the naively shared ResNet-110 is far larger than that of an unshared \
        network all through training, which suggests that its early layers dominate the learning.
        """,
      ] + SampleSizes.sentences(epochs.joined().map { ($0.name, $0.sizes) }),
      illustrations: [
        Illustration(
          figures: [try ratioFigure(zip(groups, epochs).map { ($0, $1) })],
          caption: "Logarithmic scales. \(seedsCaption(groups))")
      ],
      tables: zip(groups, epochs).map { ratioTable($0, $1, captioned: runs.count > 1) })
  }
}

/// The norms of one run after each measured epoch.
private struct Epochs {
  let run: ReportedRun
  private let norms: [(epoch: Int, split: Split, norms: Norms)]

  init(_ run: ReportedRun) throws {
    self.run = run
    norms = try run.history.flatMap { results in
      try Split.allCases.map { (results.epoch, $0, try Norms(results, $0)) }
    }
  }

  var name: String { run.name }

  /// The epochs that were measured, in order.
  var epochs: [Int] { Set(norms.map(\.epoch)).sorted() }

  /// The norms of one split, an entry for each epoch.
  func norms(_ split: Split) -> [(epoch: Int, norms: Norms)] {
    norms.filter { $0.split == split }.map { ($0.epoch, $0.norms) }
  }

  var sizes: SampleSizes {
    SampleSizes(
      Split.allCases.map { split in
        (split, norms(split).compactMap { $0.norms.ratio.map { Double($0.count) } })
      })
  }
}

/// A sentence on the statistics by which epochs were measured; those of the initialisation may differ from those of later epochs.
func statisticsOfHistory(_ epochs: [(epoch: Int, batchNorm: BatchNormStatistics)]) -> Markup {
  guard let start = epochs.first(where: { $0.epoch == 0 })?.batchNorm,
    let later = epochs.first(where: { $0.epoch > 0 })?.batchNorm
  else { return "" }
  func name(_ statistics: BatchNormStatistics) -> Markup { statistics == .batch ? "each batch’s own" : "the running" }
  return start == later
    ? "Epoch 0 is the network before its training; batch normalisations run by \(name(start)) statistics."
    : """
    Epoch 0 is the network before its training, <b>by \(name(start)) statistics</b>; later epochs are measured by \
    \(name(later)) ones, so a jump after epoch 0 can come from that.
    """
}

/// The two quantities of the section, one for each panel.
private let quantities: [(label: String, value: @Sendable (Norms) -> Double?)] = [
  ("gradient norm ratio", { $0.ratio?.mean }), ("‖h_T‖", { $0.end }),
]

private func ratioFigure(_ groups: [(group: RunGroup, epochs: [Epochs])]) throws -> Figure {
  let panels = quantities.map { label, value in
    Figure.Panel(
      x: .init("epoch"), y: .init(label, scale: .logarithmic),
      series: groups.flatMap { group, epochs in
        Split.allCases.flatMap { split in
          let seeds = epochs.map { run in
            run.norms(split).compactMap { epoch, norms in value(norms).map { Figure.Point.place(epoch, $0) } }
          }
          return group.series("\(group.label) \(split.rawValue)", of: seeds) {
            group.style(split == .train ? .solid : .dashed, points: $0)
          }
        }
      })
  }
  var data = FigureData()
  for (group, epochs) in groups {
    for run in epochs {
      for split in Split.allCases {
        for (epoch, norms) in run.norms(split) {
          data.add(
            group.cells(of: run.run) + [
              ("epoch", .integer(epoch)), ("split", split.cell), ("gradient_norm_ratio", .optional(norms.ratio?.mean)),
              ("last_activation_norm", .optional(norms.end)),
            ])
        }
      }
    }
  }
  return Figure(
    name: FigureKind.gradientNormRatio.rawValue,
    title: "Gradient norm ratio and size of the last state over training", panels: panels, columns: 2,
    legend: RunGroup.legend(groups.map(\.group), solid: "train", dashed: "validation"), data: data)
}

private func ratioTable(_ group: RunGroup, _ runs: [Epochs], captioned: Bool) -> Markup {
  table(
    ["epoch"] + quantities.flatMap { quantity in Split.allCases.map { "\(quantity.label), \($0.rawValue)" } },
    rows: Set(runs.flatMap(\.epochs)).sorted().map { epoch in
      [String(epoch)]
        + quantities.flatMap { quantity in
          Split.allCases.map { split in
            SeedStatistic(
              runs.compactMap { run in
                run.norms(split).first { $0.epoch == epoch }.flatMap { quantity.value($0.norms) }
              }
            ).text
          }
        }
    }, caption: captioned ? group.label : nil)
}
