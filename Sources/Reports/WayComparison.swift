import ResLensResults

/// Ways of measuring that sections show beside the usual way.
struct WayComparison: Equatable {
  /// The end of the sections' titles.
  let title: String
  /// The end of the names of sections and figures.
  let suffix: String
  /// The name of the usual way's numbers.
  let usual: String

  /// All comparisons, in the order of the page.
  static var all: [WayComparison] {
    MeasuringWay.allCases.compactMap { $0.words?.comparison }.reduce(into: []) { all, comparison in
      if !all.contains(comparison) { all.append(comparison) }
    }
  }

  /// The ways that are compared with the usual one, in the order of their curves.
  var ways: [MeasuringWay] { MeasuringWay.allCases.filter { $0.words?.comparison == self } }

  /// A section for each view that was measured in one of the ways.
  func sections(
    of groups: [RunGroup], _ measures: [MeasureDescription], _ presentation: Presentation
  ) throws -> [Section] {
    var (curves, notes): ([(way: MeasuringWay, run: ShownRun)], [Markup]) = ([], [])
    for group in groups {
      let found = ways.filter { way in group.runs.contains { $0.otherMeasures[way] != nil } }
      guard !found.isEmpty else { continue }
      for (index, way) in ([.usual] + found).enumerated() {
        let measured = way == .usual ? group.measuredUsually(beside: found) : group.measured(by: way)
        guard !measured.runs.isEmpty else {
          if group.runs.contains(where: { $0.measures != nil }) {
            notes.append(
              "<b>\(group.name)</b>. The numbers of the usual way are left out: they are of other weights or other data."
            )
          }
          continue
        }
        let (seeds, all) = (measured.runs.count, group.runs.count)
        let name = [
          groups.count > 1 ? group.name : nil, way.words?.name ?? usual,
          all > 1 ? seeds < all ? "\(seeds) of \(all) seeds" : "\(all) seeds" : nil,
        ]
        let style = groups.count > 1 ? group.style(ofWay: index) : RunGroup.style(of: index)
        curves.append(
          (way, try ShownRun(measured, named: name.compactMap { $0 }.joined(separator: ", "), style: style)))
      }
    }
    return try measures.flatMap { measure in
      try measure.views.compactMap { view in
        let shown = try curves.filter { try view.isMentioned(in: [$0.run], of: measure) }
        let ways = try ways.filter { way in try shown.contains { try $0.way == way && $0.run.has(view) } }
        guard !ways.isEmpty else { return nil }
        var section = try Section(
          view, of: measure, in: shown.map(\.run), presentation, areNamed: true, allOfThem: "All of them")
        section.id += suffix
        section.title = "\(view.title.subject), \(title)"
        // The definition and the paper's finding stand in the section of the usual way.
        section.text.replaceSubrange(..<(view.finding.isEmpty ? 1 : 2), with: ways.compactMap { $0.words?.text })
        section.notes += notes
        section.gaps = []
        for illustration in section.illustrations.indices {
          for figure in section.illustrations[illustration].figures.indices {
            section.illustrations[illustration].figures[figure].name += suffix
          }
        }
        return section
      }
    }
  }
}

extension RunGroup {
  /// The runs that were measured in a way other than the usual one, with its results as their measures.
  fileprivate func measured(by way: MeasuringWay) -> RunGroup {
    var group = self
    group.runs = runs.compactMap { run in
      guard let results = run.otherMeasures[way] else { return nil }
      var run = run
      run.measures = results
      return run
    }
    return group
  }

  /// The runs that were measured in the usual way, on the weights and the data of their results by the other ways.
  fileprivate func measuredUsually(beside ways: [MeasuringWay]) -> RunGroup {
    var group = self
    group.runs = runs.filter { run in
      guard let usual = run.measures else { return false }
      return ways.compactMap { run.otherMeasures[$0] }.allSatisfy { usual.differenceOfSubject(from: $0) == nil }
    }
    return group
  }

  /// The style of the curve of one of the ways in which a group was measured, where there are several groups: the group's
  /// colour, with another dash and another marker for each way.
  fileprivate func style(ofWay index: Int) -> Figure.Style {
    var style = Self.style(of: place)
    let dashes: [Figure.Dash] = [.solid, .dashed, .dotted]
    let markers: [Figure.Marker] = [.circle, .square, .triangle]
    (style.dash, style.marker) = (dashes[index % dashes.count], markers[index % markers.count])
    style.filled = index == 0
    return style
  }
}

extension MeasuringWay {
  /// The words for a way on a page.
  fileprivate struct Words {
    /// The comparison that shows the way.
    var comparison: WayComparison
    /// The name of the way's numbers in pictures and tables.
    var name: String
    /// The explanation of the way.
    var text: Markup
  }

  /// The words for the way; nil for the usual one, which is part of every comparison.
  fileprivate var words: Words? {
    switch self {
    case .usual: nil
    case .batchStatistics:
      Words(
        comparison: .init(title: "by each batch’s own statistics", suffix: suffix, usual: "running statistics"),
        name: "batch statistics",
        text: "The same measure also with batch normalisation by each batch’s own statistics, as while training.")
    case .recalibrated:
      Words(
        comparison: .init(title: "recalibrated", suffix: suffix, usual: "trained statistics"), name: "recalibrated",
        text: """
          The same measure also with the running statistics of everything behind the altered place <b>recalibrated</b>: \
          means over batches of train images of what the normalisations read there. Where this is much better, a network \
          lacked fitting statistics rather than the step’s work.
          """)
    case .lens(let kind):
      Words(
        comparison: .init(title: "by lens", suffix: "-lenses", usual: "own readout"), name: "\(kind.rawValue) lens",
        text: kind.text)
    }
  }
}

extension LensKind {
  /// The explanation of a lens of the kind.
  fileprivate var text: Markup {
    switch self {
    case .linear:
      """
      The <b>linear lens</b> is a linear probe of each state: logits of the state’s mean over pixels, by logistic regression \
      on the labels of train images (Alain & Bengio 2016). It says how much of the answer a state holds, where the \
      network’s own readout says how much of it the readout can use.
      """
    case .affine:
      """
      The <b>affine lens</b> pools each state to the readout’s grid, maps it affinely to its channels, and has the network’s \
      own readout read that. The maps are fitted on train images to the network’s final distribution, as those of the tuned \
      lens are (Belrose et al. 2023).
      """
    }
  }
}
