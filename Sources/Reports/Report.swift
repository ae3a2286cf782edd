import Foundation
import ResLensSupport
import ResLensResults

/// A trained network as a report shows it.
public struct ReportedRun: Equatable, Sendable {
  /// The name of the run in pictures and tables.
  public var name: String
  /// The run's folder, which `reslens measure` is to be called with; of a mean over seeds, the folder of each.
  public var folders: [String]
  /// The name that the run shares with the runs that differ only in their seed; nil where there are none.
  public var group: String?
  /// The facts about the run and its training, in the order in which they are shown.
  public var facts: [Fact]
  /// The losses and errors after each epoch, in order.
  public var epochs: [EpochRecord]
  /// nil where the run has not been measured.
  public var measures: MeasureResults?
  /// The results of measuring in other ways than the usual one.
  public var otherMeasures: [MeasuringWay: MeasureResults] = [:]
  /// The results recorded during training: one entry for each measured epoch, in order. Epoch 0 is the initialised
  /// network.
  public var history: [MeasureResults]
  /// The results of the pruning that made the network; nil where it was made otherwise.
  public var pruning: PruningResults?
  /// The results of letting samples leave the network early.
  public var exits: [ExitResults] = []
  /// True if another program trained the network. Nothing is known of its training then.
  public var isFromElsewhere = false
  /// True if the validation accuracy after the last epoch is beyond guessing; nil where that is not known.
  public var hasLearnt: Bool?
  /// True if the network was trained at all. Of one that was not, only the initialisation is on the page.
  public var isTrained: Bool

  /// - Parameter name: the run's folder, by which it is called until it is given another name
  public init(
    name: String, facts: [Fact], epochs: [EpochRecord], measures: MeasureResults?, history: [MeasureResults] = []
  ) {
    self.name = name
    folders = [name]
    self.facts = facts
    self.epochs = epochs
    self.measures = measures
    self.history = history
    isTrained = true
  }

  /// A network as it was initialised, measured as epoch 0.
  public init(untrained results: MeasureResults, facts: [Fact]) {
    self.init(name: results.run, facts: facts, epochs: [], measures: nil, history: [results])
    isTrained = false
  }
}

/// One thing to know about a run, for instance "seed" and "0".
public struct Fact: Equatable, Sendable {
  /// The name of the fact.
  public var label: String
  /// The fact itself, as text.
  public var value: String

  public init(_ label: String, _ value: String) {
    self.label = label
    self.value = value
  }
}

/// A page about one run, or about several side by side.
public struct Report: Sendable {
  /// The heading of the page.
  public var title: String
  /// The runs that the page shows, in order.
  public var runs: [ReportedRun]
  /// The descriptions of all measures, in the order of the page.
  public var measures: [MeasureDescription]
  /// How pictures are drawn.
  public var presentation: Presentation
  /// The verdicts on the paper's claims; none where they were not checked.
  public var findings: [Finding] = []
  /// How verdicts on claims count uncertainty, in sentences.
  public var verdictRules = ""

  public init(
    title: String, runs: [ReportedRun], measures: [MeasureDescription], presentation: Presentation = Presentation()
  ) {
    self.title = title
    self.runs = runs
    self.measures = measures
    self.presentation = presentation
  }

  /// Writes the page, and beside it a folder with each figure's `.csv`, `.gp` and pictures: `report-figures` beside
  /// `report.html`, so that several pages can lie in one folder.
  ///
  /// Everything is made in a hidden folder beside the page and moved into place at the end, the page last. Where making
  /// anything fails, an earlier report stays as it was.
  /// - Returns: notes for the reader about what is missing from the report, a line each
  /// - Throws: `FileError`, and `TableError` where a table lacks what a measure's description shows of it.
  public func write(to html: URL, gnuplot: Gnuplot?) throws -> [String] {
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: html.path, isDirectory: &isDirectory), isDirectory.boolValue {
      throw FileError(path: html.path, problem: "is a folder", remedy: "name a file, for instance report.html")
    }
    let sections = try Section.all(of: runs, measures, presentation)
    let staging = try Staging(
      in: html.deletingLastPathComponent(), figureFolder: figureFolder(of: html), formats: presentation.formats)
    defer { staging.discard() }
    let pictures = try Pictures(of: sections, staging, gnuplot)
    try staging.write(
      Page(report: self, sections: sections, pictures: pictures, figureFolder: staging.figureFolder).markup().text,
      as: html.lastPathComponent)
    try staging.publish(figures: pictures.names, pictures: gnuplot != nil, pages: [html.lastPathComponent])
    return notes(on: sections, gnuplot)
  }

  private func figureFolder(of html: URL) -> String { html.deletingPathExtension().lastPathComponent + "-figures" }
}

/// Notes for the reader on values that are missing from some sections, one on each line.
func notes(on sections: [Section], _ gnuplot: Gnuplot?) -> [String] {
  var notes = gnuplot == nil ? ["there are no pictures: \(Gnuplot.installation)"] : []
  for note in sections.flatMap(\.gaps).map(\.description) where !notes.contains(note) { notes.append(note) }
  return notes
}
