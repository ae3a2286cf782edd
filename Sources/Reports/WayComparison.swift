import ResLensResults

/// Ways of measuring that sections show together, beside the usual way.
struct WayComparison {
  /// The ways but the usual one.
  let ways: [MeasuringWay]
  /// The end of the sections' titles.
  let title: String
  /// The end of the names of sections and figures.
  let suffix: String
  /// The name of the usual way's numbers.
  let usual: String

  /// All comparisons, in the order of the page.
  static let all = [
    WayComparison(
      ways: [.batchStatistics], title: "by each batch’s own statistics", suffix: "-batch", usual: "running statistics"),
    WayComparison(ways: [.recalibrated], title: "recalibrated", suffix: "-recalibrated", usual: "trained statistics"),
    WayComparison(
      ways: LensKind.allCases.map(MeasuringWay.lens), title: "by lens", suffix: "-lenses", usual: "own readout"),
  ]

  /// The views that were measured in one of the ways: a section each.
  func sections(
    of groups: [RunGroup], _ measures: [MeasureDescription], _ presentation: Presentation
  ) throws -> [Section] {
    var (usual, others): ([ShownRun], [(way: MeasuringWay, run: ShownRun)]) = ([], [])
    var place = 0
    for group in groups {
      let found = ways.filter { way in group.runs.contains { $0.otherMeasures[way] != nil } }
      guard !found.isEmpty else { continue }
      func shown(_ way: MeasuringWay) throws -> ShownRun {
        defer { place += 1 }
        let name = way == .usual ? self.usual : way.name
        return try ShownRun(group, by: way, place: place) { groups.count > 1 ? "\($0), \(name)" : name }
      }
      usual.append(try shown(.usual))
      others += try found.map { ($0, try shown($0)) }
    }
    return try measures.flatMap { measure in
      try measure.views.compactMap { view in
        let measured = try others.filter { try view.isMentioned(in: [$0.run], of: measure) }
        guard !measured.isEmpty else { return nil }
        let compared = try (usual.filter { try $0.has(view) } + measured.map(\.run)).sorted { $0.place < $1.place }
        var section = try Section(view, of: measure, in: compared, presentation)
        section.id += suffix
        section.title = "\(view.title.subject), \(title)"
        // The definition and the paper's finding stand in the section of the usual way.
        let texts = ways.filter { way in measured.contains { $0.way == way } }.map(\.text)
        section.text.replaceSubrange(..<(view.finding.isEmpty ? 1 : 2), with: texts)
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

extension MeasuringWay {
  /// The name of the way's numbers in pictures and tables; empty for the usual way, whose name depends on the comparison.
  fileprivate var name: String {
    switch self {
    case .usual: ""
    case .batchStatistics: "each batch’s own"
    case .recalibrated: "recalibrated"
    case .lens(let kind): "\(kind.rawValue) lens"
    }
  }

  /// The explanation of the way; empty for the usual one.
  fileprivate var text: Markup {
    switch self {
    case .usual: ""
    case .batchStatistics:
      "The same measure also with batch normalisation by each batch’s own statistics, as while training."
    case .recalibrated:
      """
      The same measure also with the running statistics of everything behind the altered place <b>recalibrated</b>: means \
      over batches of train images of what the normalisations read there. Where this is much better, a network lacked \
      fitting statistics rather than the step’s work.
      """
    case .lens(.linear):
      """
      The <b>linear lens</b> is a linear probe of each state: logits of the state’s mean over pixels, by logistic regression \
      on the labels of train images (Alain & Bengio 2016). It says how much of the answer a state holds, where the \
      network’s own readout says how much of it the readout can use.
      """
    case .lens(.affine):
      """
      The <b>affine lens</b> pools each state to the readout’s grid, maps it affinely to its channels, and has the network’s \
      own readout read that. The maps are fitted on train images to the network’s final distribution, as those of the tuned \
      lens are (Belrose et al. 2023).
      """
    }
  }
}

extension ShownRun {
  /// True if the run has values of the view.
  fileprivate func has(_ view: MeasureView) throws -> Bool {
    try tables.map { try view.display.isPresent(in: $0) } ?? false
  }
}
