import Results

/// A part of the page: a text, a picture, its numbers.
struct Section {
  /// The target of links to the section.
  var id: String
  var title: String
  /// A paragraph each.
  var text: [Markup]
  var figures: [Figure] = []
  var caption: Markup = ""
  var gaps: [Gap] = []
  var tables: [Markup] = []

  static func all(of runs: [ReportedRun]) -> [Section] {
    [training(runs)] + Measure.all.map { Section($0, of: runs) }
  }

  private static func training(_ runs: [ReportedRun]) -> Section {
    let trained = runs.filter { !$0.epochs.isEmpty }
    return Section(
      id: "training", title: "Training",
      text: [
        """
        Mean cross-entropy in nats, and the share of samples classified wrongly. The train curve is taken over the \
        epoch’s augmented batches while the weights change; the validation curve after the epoch, in evaluation mode. \
        So train may well lie above validation.
        """
      ],
      figures: trained.isEmpty ? [] : [trainingCurves(of: trained), learningRates(of: trained)],
      caption: "Below: the learning rate of each epoch’s last step.",
      gaps: runs.filter(\.epochs.isEmpty).map {
        Gap(problem: "\($0.name) has no finished epoch", command: "reslens train --resume --out \($0.name)")
      },
      tables: trained.map { epochTable($0, captioned: runs.count > 1) })
  }
}

extension Section {
  /// A measure of those runs that have it.
  init(_ measure: Measure, of runs: [ReportedRun]) {
    id = measure.id
    title = measure.title
    text = ["\(measure.definition)", "<i>The paper (\(measure.place)):</i> \(measure.finding)"]
    var shown: [ReportedRun] = []
    for run in runs {
      guard let measures = run.measures?.measures, measure.isPresent(measures) else {
        let problem = run.measures == nil ? "has not been measured" : "has no values of this measure"
        gaps.append(Gap(problem: "\(run.name) \(problem)", command: "reslens measure \(run.name)"))
        continue
      }
      shown.append(run)
      tables.append(measure.table(measures, runs.count > 1 ? run.name : nil))
    }
    guard !shown.isEmpty else { return }
    var figure = measure.figure(shown)
    // The page's only run needs no title; the only one of several that was measured does.
    if runs.count == 1 { for panel in figure.panels.indices { figure.panels[panel].title = "" } }
    figures = [figure]
    caption = figure.hasMarkedPoints ? "\(measure.caption) \(measure.projectionCaption)" : measure.caption
  }
}

/// What is missing from a section, and the command that makes it.
struct Gap: CustomStringConvertible, Hashable {
  var problem: String
  var command: String

  var description: String { "\(problem): \(command)" }
}
