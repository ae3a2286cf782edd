import Results

/// A part of the page: a text, a picture, its numbers.
struct Section {
  /// The target of links to the section.
  var id: String
  var title: String
  /// A paragraph each.
  var text: [Markup]
  /// Numbers to be seen at once, before any picture.
  var overview: Markup = ""
  var illustrations: [Illustration] = []
  var gaps: [Gap] = []
  /// Values that cannot exist, one paragraph for each.
  var notes: [Markup] = []
  var tables: [Markup] = []

  var figures: [Figure] { illustrations.flatMap(\.figures) }

  /// Figures under one another with a caption for them all.
  struct Illustration {
    var figures: [Figure]
    var caption: Markup
  }

  static func all(of runs: [ReportedRun]) -> [Section] {
    let propagation = [initialisation(runs), gradientRatio(runs)].compactMap { $0 }
    let trained = runs.filter(\.isTrained)
    guard !trained.isEmpty else { return propagation }
    // Panels a network.
    let shown = RunGroup.all(of: trained).map(\.mean)
    let measures = Measure.all.filter { $0.isAlwaysShown || $0.isMentioned(in: shown) }
    var steps = measures.map { Section($0, of: shown) } + HistoryMeasure.all.compactMap { Section($0, of: shown) }
    if shown.count < trained.count {
      for index in steps.indices { steps[index].notes.append(meanOverSeeds) }
    }
    return [training(trained)] + propagation + steps
  }

  static let meanOverSeeds: Markup =
    "Of several seeds the mean is shown, of standard deviations over samples too; lesions are the first seed’s."

  static func training(_ runs: [ReportedRun]) -> Section {
    let groups = RunGroup.all(of: runs) { !$0.epochs.isEmpty }
    let trained = groups.flatMap(\.runs)
    return Section(
      id: "training", title: "Training",
      text: [
        """
        Mean cross-entropy in nats, and the share of samples classified wrongly. The train curve is taken over the \
        epoch’s augmented batches while the weights change; the validation curve after the epoch, in evaluation mode. \
        So train may well lie above validation.
        """
      ],
      overview: groups.count > 1 ? outcomeTable(groups) : "",
      illustrations: trained.isEmpty
        ? []
        : [
          Illustration(
            figures: [trainingCurves(of: groups), learningRates(of: groups)],
            caption: """
              \(seedsCaption(groups, of: groups.count > 3 ? "" : " of the validation curves")) Below: the learning rate of each epoch’s last step.
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
  /// A measure of those runs that have it.
  init(_ measure: Measure, of runs: [ReportedRun]) {
    id = measure.id
    title = measure.title
    text = ["\(measure.definition)", "<i>\(measure.source) (\(measure.place)):</i> \(measure.finding)"]
    let isOneOfMany = runs.count > 1
    var (shown, missing): ([ReportedRun], [ReportedRun]) = ([], [])
    for run in runs {
      let absences = run.measures?.absent.filter { measure.concerns($0.measure) } ?? []
      if !absences.isEmpty { notes.append(note(on: absences, run: isOneOfMany ? run.name : nil)) }
      guard let measures = run.measures?.measures, measure.isPresent(measures) else {
        if absences.isEmpty { missing.append(run) }
        continue
      }
      shown.append(run)
      if let details = measure.details(measures) {
        text.append(isOneOfMany ? "<b>\(run.name)</b>. \(details)" : details)
      }
      tables.append(measure.table(measures, isOneOfMany ? run.name : nil))
    }
    gaps = missing.count > 3 ? [Gap(measure, ofAll: missing)] : missing.map { Gap(measure, of: $0) }
    guard !shown.isEmpty else { return }
    illustrations = measure.pictures(Subjects(runs: shown, areNamed: isOneOfMany)).map {
      Illustration(figures: [$0.figure], caption: $0.fullCaption)
    }
  }
}

extension Measure {
  /// Whether a run has it, or says why it cannot have it.
  fileprivate func isMentioned(in runs: [ReportedRun]) -> Bool {
    runs.compactMap(\.measures).contains { results in
      isPresent(results.measures) || results.absent.contains { concerns($0.measure) }
    }
  }
}

/// The values of a measure that a run does not have, and the reason.
private func note(on absences: [MeasureResults.Absence], run: String?) -> Markup {
  let sentences = absences.map { absence -> Markup in
    let steps = absence.steps ?? []
    let place =
      switch steps.count {
      case 0: ""
      case 1: " at step \(steps[0])"
      default: steps[0] == steps[1] ? " at step \(steps[0])" : " at steps \(steps[0]) to \(steps[1])"
      }
    return "Absent\(place): \(absence.reason)."
  }
  return run.map { run -> Markup in "<b>\(run)</b>. \(sentences)" } ?? "\(sentences)"
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
  init(_ measure: Measure, ofAll runs: [ReportedRun]) {
    self.init(measure, of: runs[0])
    problem = "\(runs.count) runs have no values of this measure"
    lead = Self.each
  }

  /// A run that does not have the measure.
  init(_ measure: Measure, of run: ReportedRun) {
    let isMeasured = run.measures != nil
    problem = "\(run.name) \(isMeasured ? "has no values of this measure" : "has not been measured")"
    if run.folders.count > 1 { lead = Self.each }
    // The default of `reslens measure` contains everything that the page always shows.
    let isAmongAll = measure.isAlwaysShown && !isMeasured
    command = "reslens measure \(run.folders[0].shellQuoted)" + (isAmongAll ? "" : " --measures \(measure.name)")
  }

  private static let each = ", and each run needs a call such as"

  var description: String { "\(introduction): \(command)" }

  /// The sentence before the command.
  var introduction: String { problem + lead }
}
