import ResLensSupport
import ResLensResults

/// A part of the page: a text, pictures, and their numbers.
struct Section {
  /// The target of links to the section.
  var id: String
  var title: String
  /// One entry for each paragraph.
  var text: [Markup]
  /// Numbers that stand before the pictures.
  var overview: Markup = ""
  var illustrations: [Illustration] = []
  var gaps: [Gap] = []
  /// Remarks, one paragraph for each: which values cannot exist, and whether numbers are means over seeds.
  var notes: [Markup] = []
  var tables: [Markup] = []

  var figures: [Figure] { illustrations.flatMap(\.figures) }

  /// Figures under one another with a caption for them all.
  struct Illustration {
    var figures: [Figure]
    var caption: Markup
  }

  /// All sections of a report.
  /// - Parameter measures: all measures, in the order of the page
  static func all(
    of runs: [ReportedRun], _ measures: [MeasureDescription], _ presentation: Presentation = Presentation()
  ) throws -> [Section] {
    let propagation = [try initialisation(runs), try gradientRatio(runs)].compactMap { $0 }
    let trained = runs.filter(\.isTrained)
    guard !trained.isEmpty else { return propagation }
    let groups = RunGroup.all(of: trained)
    let shown = try groups.map { try ShownRun($0) }
    let cards = [try Section(depthCardsOf: shown, measures)].compactMap { $0 }
    var steps: [Section] = []
    for measure in measures {
      for view in measure.views where try view.isAlwaysShown || view.isMentioned(in: shown, of: measure) {
        steps.append(try Section(view, of: measure, in: shown, presentation))
      }
    }
    if let proxies = try Section(proxiesOf: shown, measures) { steps.append(proxies) }
    if let pruning = try Section(pruningOf: trained) { steps.append(pruning) }
    if let exits = try Section(exitsOf: trained) { steps.append(exits) }
    for comparison in WayComparison.all { steps += try comparison.sections(of: groups, measures, presentation) }
    for view in measures.flatMap(\.views) {
      if let section = try Section(historyOf: view, in: shown) { steps.append(section) }
    }
    let here = trained.filter { !$0.isFromElsewhere }
    return cards + (here.isEmpty ? [] : [training(here)]) + propagation + steps
  }

  static let meanOverSeeds: Markup = """
    Where a network was trained with several seeds, the numbers are means over the seeds; so are the standard deviations \
    over samples.
    """

  static func training(_ runs: [ReportedRun]) -> Section {
    let groups = RunGroup.all(of: runs) { !$0.epochs.isEmpty }
    let trained = groups.flatMap(\.runs)
    return Section(
      id: "training", title: "Training",
      text: [
        """
        Mean cross-entropy in nats, and the share of samples classified wrongly. The train curve is taken over the \
        epoch’s augmented batches while the weights change. The validation curve is taken after the epoch, with running \
        statistics. So the train curve can lie above the validation curve.
        """
      ],
      overview: groups.count > 1 ? outcomeTable(groups) : "",
      illustrations: trained.isEmpty
        ? []
        : [
          Illustration(
            figures: [trainingCurves(of: groups), learningRates(of: groups)],
            caption: """
              \(seedsCaption(groups)) Below: the learning rate of each epoch’s last step.
              """)
        ],
      gaps: runs.filter(\.epochs.isEmpty).map {
        Gap(
          problem: "\($0.name) has no finished epoch",
          command: "reslens train --resume --out \($0.folders[0].shellQuoted)")
      },
      tables: trained.map { epochTable($0, captioned: runs.count > 1) })
  }
}

extension Section {
  /// A view of a measure, of those runs that have it.
  /// - Parameters:
  ///   - areNamed: true if each run is named; nil for true where there are several
  ///   - allOfThem: the words for all runs
  init(
    _ view: MeasureView, of measure: MeasureDescription, in runs: [ShownRun],
    _ presentation: Presentation = Presentation(), areNamed: Bool? = nil, allOfThem: Markup = "All networks"
  ) throws {
    let display = view.display
    id = view.id
    title = view.title
    text = [Markup(verbatim: view.definition)]
    if !view.finding.isEmpty { text.append(view.sourcedFinding) }
    let isOneOfMany = areNamed ?? (runs.count > 1)
    func named(_ run: ShownRun, _ markup: Markup) -> Markup {
      isOneOfMany ? "<b>\(run.name)</b>. \(markup)" : markup
    }
    var subjects = Subjects(runs: [], presentation: presentation, areNamed: isOneOfMany)
    var (missing, sizes): ([ShownRun], [(name: String, sizes: SampleSizes)]) = ([], [])
    let allAbsences = runs.map { $0.results?.absent.filter { view.isMeant(by: $0, of: measure) } ?? [] }
    // Values that all networks lack are named once.
    let isSame = runs.count > 1 && allAbsences.allSatisfy { $0 == allAbsences[0] }
    if isSame, !allAbsences[0].isEmpty { notes.append("\(allOfThem): \(note(on: allAbsences[0]))") }
    for (run, absences) in zip(runs, allAbsences) {
      if !absences.isEmpty, !isSame { notes.append(named(run, note(on: absences))) }
      guard let tables = run.tables, try display.isPresent(in: tables) else {
        if absences.isEmpty { missing.append(run) }
        continue
      }
      subjects.runs.append(
        .init(name: run.name, tables: tables, seeds: run.seeds, style: run.style))
      if let remark = try display.remark(on: tables) { text.append(named(run, remark)) }
      if let remark = try view.remark?(tables) { text.append(named(run, Markup(verbatim: remark))) }
      sizes.append((run.name, try SampleSizes(display, tables, run.results)))
      let table = try display.table(of: tables, run: isOneOfMany ? run.name : nil)
      if !table.text.isEmpty { self.tables.append(table) }
    }
    gaps =
      missing.count > 3 || missing.count > 1 && missing.count == runs.count
      ? [Gap(measure, ofAll: missing)] : missing.map { Gap(measure, of: $0) }
    guard !subjects.runs.isEmpty else { return }
    text += SampleSizes.sentences(sizes)
    illustrations = try display.pictures(of: subjects).map {
      Illustration(figures: [$0.figure], caption: $0.fullCaption)
    }
  }
}

extension MeasureView {
  /// True if a run has the view, or says why it cannot have it.
  func isMentioned(in runs: [ShownRun], of measure: MeasureDescription) throws -> Bool {
    try runs.contains { run in
      if run.results?.absent.contains(where: { isMeant(by: $0, of: measure) }) == true { return true }
      return try run.has(self)
    }
  }

  /// True if something absent is noted in this section. What belongs to no view of the measure is noted in the first.
  fileprivate func isMeant(by absence: MeasureResults.Absence, of measure: MeasureDescription) -> Bool {
    let hasNoView = absence.measure == measure.name && !measure.views.contains { $0.id == absence.view }
    return absence.concerns(self, of: measure) || hasNoView && measure.views.first?.id == id
  }

  /// The author, the place and the finding.
  fileprivate var sourcedFinding: Markup {
    let origin = place.isEmpty ? source : "\(source) (\(place))"
    return "<i>\(origin):</i> \(Markup(verbatim: finding))"
  }
}

/// The values of a view that a run does not have, and the reason.
private func note(on absences: [MeasureResults.Absence]) -> Markup {
  let sentences = SharedAbsence.all(of: absences).map { absence -> Markup in
    "Values are missing\(absence.steps.map { " at \($0)" } ?? ""): \(absence.reason)."
  }
  return "\(sentences)"
}

/// The numbers of samples that a section was measured on.
struct SampleSizes: Equatable {
  private var splits: [Size] = []

  private struct Size: Equatable {
    var split: Split
    var most: Double
    /// True if some numbers are of fewer samples.
    var varies: Bool
  }

  init(_ counts: [(split: Split, counts: [Double])]) {
    splits = counts.compactMap { split, counts in
      counts.max().map { most in Size(split: split, most: most, varies: counts.contains { $0 < most }) }
    }
  }

  /// Where the tables do not count samples, the number of samples that were measured at most.
  init(_ display: any ViewDisplay, _ tables: MeasuredTables, _ results: MeasureResults?) throws {
    let counts = try Split.allCases.map { (split: $0, counts: try display.sampleCounts(in: tables, $0)) }
    let isCounted = counts.contains { !$0.counts.isEmpty }
    self.init(
      isCounted
        ? counts
        : Split.allCases.map { split in
          (split: split, counts: results?.samples(of: split).map { [Double($0)] } ?? [])
        })
  }

  private var text: String {
    let parts = splits.map { "\($0.varies ? "up to " : "")\(decimal($0.most, 0)) \($0.split.rawValue)" }
    let isOne = splits.count == 1 && splits[0].most == 1
    return parts.joined(separator: " and ") + (isOne ? " sample" : " samples")
  }

  /// A sentence about all runs where they agree, and else one about each run.
  static func sentences(_ runs: [(name: String, sizes: SampleSizes)]) -> [Markup] {
    let known = runs.filter { !$0.sizes.splits.isEmpty }
    guard let first = known.first else { return [] }
    if known.allSatisfy({ $0.sizes == first.sizes }) { return ["The numbers were measured on \(first.sizes.text)."] }
    return known.map { "<b>\($0.name)</b>. The numbers were measured on \($0.sizes.text)." }
  }
}

/// A value that is missing from a section, and the command that makes it.
struct Gap: CustomStringConvertible, Hashable {
  /// The missing value.
  var problem: String
  var command: String
  /// The words between the problem and the command.
  private var lead = ""

  init(problem: String, command: String) {
    self.problem = problem
    self.command = command
  }

  /// Many runs that do not have the measure.
  init(_ measure: MeasureDescription, ofAll runs: [ShownRun]) {
    self.init(measure, of: runs[0])
    problem = "\(runs.map(\.folders.count).reduce(0, +)) runs have no values of \(measure.name)"
    lead = Self.each
  }

  /// A run that does not have the measure.
  init(_ measure: MeasureDescription, of run: ShownRun) {
    let isMeasured = run.results != nil
    problem = "\(run.name) \(isMeasured ? "has no values of this measure" : "has not been measured")"
    if run.folders.count > 1 { lead = Self.each }
    // One call takes all measures that are taken by default.
    let isAmongAll = measure.use.byDefault && !isMeasured
    command = "reslens measure \(run.folders[0].shellQuoted)" + (isAmongAll ? "" : " --measures \(measure.name)")
  }

  private static let each = ", and each run needs a call such as"

  var description: String { "\(introduction): \(command)" }

  /// The sentence before the command.
  var introduction: String { problem + lead }
}
