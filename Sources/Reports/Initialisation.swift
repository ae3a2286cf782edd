import ResLensSupport
import ResLensResults

// Activations and gradients before the first training step (§4.5, Fig. 8 and 9).

/// The norms of activations and gradients of one network on one split.
struct Norms {
  static let activations = "activation-norm"
  static let gradients = "gradient-norm"
  static let ratio = "gradient-norm-ratio"

  /// ‖h_t‖ after every step; step 0 is what the stem makes.
  let activations: [Step]
  /// ‖∂L/∂h_{t−1}‖ before every step.
  let gradients: [Step]
  /// The ratio of gradient norms between the first steps of the first and of the last stage.
  let ratio: Statistic?
  private let tables: MeasuredTables

  /// The norm at one step.
  typealias Step = (number: Int, norm: Statistic)

  /// The key of the tables.
  private struct Key: TableRow {
    var step: Int

    static let keys = ["step"]
  }

  init(_ results: MeasureResults, _ split: Split) throws {
    var part = results
    part.tables.removeAll { ![Self.activations, Self.gradients, Self.ratio].contains($0.name) }
    let tables = part.widest
    func steps(_ name: String) throws -> [Step] {
      zip(try tables.rows(of: Key.self, in: name, split), try tables.rows(of: Statistic.self, in: name, split))
        .map { ($0.step, $1) }.sorted { $0.number < $1.number }
    }
    self.tables = tables
    activations = try steps(Self.activations)
    gradients = try steps(Self.gradients)
    ratio = try tables.rows(of: Statistic.self, in: Self.ratio, split).first
  }

  /// ‖h_0‖
  var start: Double? { activations.first { $0.number == 0 }?.norm.mean }
  /// The norm of the last state; nil where no state after a step was measured.
  var end: Double? { activations.last { $0.number > 0 }?.norm.mean }
  /// The largest norm after a step.
  var largest: Double? { activations.filter { $0.number > 0 }.map(\.norm.mean).max() }
  /// The norm of the gradient where the last stage begins.
  var gradientAtLastStage: Double? {
    gradients.first { tables.step($0.number)?.stage == tables.lastStage }?.norm.mean
  }
}

extension ReportedRun {
  /// The network as it was initialised; nil where that was not measured.
  var initialisation: MeasureResults? {
    history.first { $0.epoch == 0 && $0.tables.contains { $0.name == Norms.activations && !$0.rows.isEmpty } }
  }

  /// The norms of the network as it was initialised, on train samples.
  fileprivate var initialNorms: Norms? {
    get throws { try initialisation.map { try Norms($0, .train) } }
  }
}

extension Section {
  /// nil where no run was measured as it was initialised.
  static func initialisation(_ runs: [ReportedRun]) throws -> Section? {
    let groups = RunGroup.all(of: runs) { $0.initialisation != nil }
    guard let batchNorm = groups.first?.runs.first?.initialisation?.batchNorm else { return nil }
    let statistics: Markup =
      batchNorm == .batch
      ? "The batch normalisations run by each batch’s own statistics, as in the first step of a training."
      : """
      The batch normalisations run by their running statistics, which nothing has updated yet: they do not normalise.
      """
    let without = runs.filter { $0.initialisation == nil }
    let sizes = try groups.flatMap(\.runs).map { run in
      let counts = try run.initialNorms?.activations.map { Double($0.norm.count) } ?? []
      return (name: run.name, sizes: SampleSizes([(.train, counts)]))
    }
    return Section(
      id: "initialisation", title: "At initialisation: do activations and gradients explode?",
      text: [
        """
        <b>‖h<sub>t</sub>‖</b> after every step, and <b>‖∂L/∂h<sub>t−1</sub>‖</b> before it, of the networks <b>before \
        the first step of training</b>. Norms are taken over a sample’s whole tensor; the numbers are means over \
        samples. \(statistics)
        """,
        """
        <i>The paper (Fig. 8, 9):</i> where later steps share one block, the same operation again and again makes \
        activations explode on the way forward, and so gradients on the way back; all parts of unshared batch \
        normalization are important, and most of all unsharing the statistics. By each batch’s own statistics only the γ \
        that they begin at can show before the first step: statistics, γ and β of all uses are equal then.
        """,
      ] + SampleSizes.sentences(sizes),
      overview: try initialisationTable(groups),
      illustrations: [
        Illustration(
          figures: [try initialisationFigure(groups)],
          caption: """
            Train samples; logarithmic scales. Left: step 0 is what the stem makes. Right: below a rising step, the \
            gradient grows on its way back to the first block. Curves that coincide lie on one another. \
            \(seedsCaption(groups))
            """)
      ], notes: without.map { run -> Markup in "<b>\(run.name)</b> was not measured as it was initialised." })
  }
}

private func initialisationFigure(_ groups: [RunGroup]) throws -> Figure {
  func panel(_ label: String, _ x: String, _ values: (Norms) -> [Norms.Step]) throws -> Figure.Panel {
    Figure.Panel(
      x: .init(x), y: .init(label, scale: .logarithmic),
      series: try groups.flatMap { group in
        let seeds = try group.runs.map { run in
          try run.initialNorms.map(values)?.map { Figure.Point.place($0.number, $0.norm.mean) } ?? []
        }
        return group.series(group.label, of: seeds) { group.style(.solid, points: $0) }
      })
  }
  var data = FigureData()
  for group in groups {
    for run in group.runs {
      guard let norms = try run.initialNorms else { continue }
      for (quantity, steps) in [(Norms.activations, norms.activations), (Norms.gradients, norms.gradients)] {
        for step in steps {
          data.add(
            group.cells(of: run) + [
              ("quantity", .text(quantity)), ("split", Split.train.cell), ("step", .integer(step.number)),
              ("mean", .number(step.norm.mean)), ("std", .number(step.norm.std)), ("count", .integer(step.norm.count)),
            ])
        }
      }
    }
  }
  return Figure(
    name: "initialisation", title: "Norms of activations and gradients at initialisation",
    panels: [
      try panel("‖h‖", "after step", \.activations), try panel("‖∂L/∂h‖", "before step", \.gradients),
    ], columns: 2, panelHeight: 270, legend: RunGroup.legend(groups), data: data)
}

/// A row for each group: the size of h at the start, at its largest and at the end, the gradients where stages begin, and
/// their ratio.
private func initialisationTable(_ groups: [RunGroup]) throws -> Markup {
  let columns: [(head: String, value: (Norms) -> Double?)] = [
    ("‖h₀‖", \.start), ("‖h_T‖", \.end), ("largest ‖h‖", \.largest), ("ratio", { $0.ratio?.mean }),
    ("first ‖∂L/∂h‖", { $0.gradients.first?.norm.mean }), ("last stage’s", \.gradientAtLastStage),
  ]
  return table(
    ["network", "seeds"] + columns.map(\.head),
    rows: try groups.map { group in
      let norms = try group.runs.compactMap { try $0.initialNorms }
      return [group.name, "\(group.runs.count)"] + columns.map { SeedStatistic(norms.compactMap($0.value)).text }
    }, caption: "train samples" + (groups.contains { $0.runs.count > 1 } ? "; ± one standard deviation over seeds" : "")
  )
}

extension Summary {
  /// A sentence about the norms at initialisation.
  var propagation: String? {
    get throws {
      guard let norms = try run.initialNorms, let start = norms.start, let end = norms.end, start > 0, end.isFinite
      else { return nil }
      let growth = "As it is initialised, ‖h‖ goes from \(significant(start)) to \(significant(end)) on train samples"
      guard let ratio = norms.ratio?.mean, ratio.isFinite else { return growth + "." }
      return growth + ", and the gradient at the first block is \(significant(ratio)) times that at the last stage’s."
    }
  }
}
