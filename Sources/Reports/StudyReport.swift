import Foundation
import ResLensSupport
import ResLensResults

/// Pages of several studies, one each, and an index of them all.
public struct StudyReport: Sendable {
  /// The heading of the index.
  public var title: String
  /// Sentences that a reader of any page must know: the scale, the data.
  public var notes: [String]
  /// How verdicts on claims count uncertainty, in sentences.
  public var verdictRules: String
  /// The pages, in the order of the index.
  public var pages: [Page]
  /// The descriptions of all measures.
  public var measures: [MeasureDescription]
  /// How pictures are drawn.
  public var presentation: Presentation

  /// A study's page.
  public struct Page: Sendable {
    /// The page's file without its suffix; its figures' names begin with it.
    public var name: String
    /// The heading of the page.
    public var title: String
    /// The verdicts on the claims of the study, in order.
    public var findings: [Finding]
    /// Sentences about what is missing here, or differs from the study's description.
    public var notes: [String]
    /// The figures and tables that the page shows, in this order.
    public var figures: [FigureKind]
    /// Runs of one group are shown as their mean.
    public var runs: [ReportedRun]
    /// The table of errors; nil if the study has none.
    public var errors: ErrorTable?
    /// The layout of several networks where the report does not say; nil for shared axes up to six networks.
    public var layout: Presentation.Layout?

    public init(
      name: String, title: String, findings: [Finding], notes: [String], figures: [FigureKind], runs: [ReportedRun],
      errors: ErrorTable? = nil, layout: Presentation.Layout? = nil
    ) {
      self.name = name
      self.title = title
      self.findings = findings
      self.notes = notes
      self.figures = figures
      self.runs = runs
      self.errors = errors
      self.layout = layout
    }
  }

  public init(
    title: String, notes: [String], verdictRules: String, pages: [Page], measures: [MeasureDescription],
    presentation: Presentation = Presentation()
  ) {
    self.title = title
    self.notes = notes
    self.verdictRules = verdictRules
    self.pages = pages
    self.measures = measures
    self.presentation = presentation
  }

  /// The file of the page of all studies.
  public static let index = "index.html"
  /// The folder of the figures of all pages.
  static let figureFolder = "figures"

  /// Writes `index.html`, a page for each study, `findings.json`, a `.csv` of each table of errors, and `figures/` with
  /// each figure's `.csv`, `.gp` and pictures. Pages of other studies that are there already stay, but are not in the index.
  /// - Returns: notes for the reader about what is missing, a line each
  /// - Throws: `FileError`, and `TableError` where a table lacks what a measure's description shows of it.
  public func write(to folder: URL, gnuplot: Gnuplot?) throws -> [String] {
    try Files.makeFolder(folder)
    let staging = try Staging(in: folder, figureFolder: Self.figureFolder, formats: presentation.formats)
    defer { staging.discard() }
    var (names, files): ([String], [String]) = ([], [])
    var cards: [Markup] = []
    for page in pages {
      let sections = try page.sections(measures, presentation)
      let pictures = try Pictures(of: sections, staging, gnuplot)
      names += pictures.names
      try staging.write(page.markup(of: self, sections, pictures).text, as: page.name + ".html")
      files.append(page.name + ".html")
      if let errors = page.errors {
        try staging.write(errors.csv, as: page.name + ".csv")
        files.append(page.name + ".csv")
      }
      cards.append(page.card(sections, hasPictures: gnuplot != nil))
    }
    try staging.write(findings(), as: "findings.json")
    try staging.write(markup(of: cards).text, as: Self.index)
    try staging.publish(figures: names, pictures: gnuplot != nil, pages: files + ["findings.json", Self.index])
    return ResLensReports.notes(on: [], gnuplot)
  }

  private func findings() throws(FileError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let all = Dictionary(pages.map { ($0.name, $0.findings) }, uniquingKeysWith: { first, _ in first })
    guard let data = try? encoder.encode(all) else { return "{}" }
    return String(decoding: data, as: UTF8.self) + "\n"
  }

  private func markup(of cards: [Markup]) -> Markup {
    let all = pages.flatMap(\.findings)
    let counts = Finding.Verdict.allCases.compactMap { verdict -> Markup? in
      let count = all.count { $0.verdict == verdict }
      return count == 0 ? nil : "\(badge(verdict, verdict.rawValue)) \(count)"
    }
    let summary: Markup =
      all.isEmpty ? "" : "<p>Of \(all.count) claims of the paper: \(Markup(joining: counts, by: " · ")).</p>"
    return document(
      title: title, figureFolder: StudyReport.figureFolder,
      """
      <header>
      <h1>\(title)</h1>
      <div class="summary">\(summary)\(notes.map { note -> Markup in "<p>\(note)</p>" })</div>
      <nav aria-label="Studies">\(pages.map { page -> Markup in "<a href=\"#\(page.name)\">\(page.title.subject)</a>" })</nav>
      </header>
      \(cards)
      """)
  }
}

extension Markup {
  init(joining parts: [Markup], by separator: String) {
    self.init(verbatim: parts.map(\.text).joined(separator: separator))
  }
}

extension StudyReport.Page {
  /// The sections of the page's figures, which are named after the page.
  /// - Parameter measures: the descriptions of all measures
  func sections(
    _ measures: [MeasureDescription], _ presentation: Presentation = Presentation()
  ) throws -> [Section] {
    let means = try RunGroup.all(of: runs).map { try ShownRun($0) }
    var presentation = presentation
    presentation.layout = presentation.layout ?? layout
    return try figures.compactMap { kind -> Section? in
      guard var section = try Section(kind, of: runs, means, measures, presentation) else { return nil }
      // The study's own command makes what is missing, so no other command is named.
      section.notes += section.gaps.map { gap -> Markup in "\(gap.problem)." }
      section.gaps = []
      for illustration in section.illustrations.indices {
        for figure in section.illustrations[illustration].figures.indices {
          section.illustrations[illustration].figures[figure].name =
            "\(name)-\(section.illustrations[illustration].figures[figure].name)"
        }
      }
      return section
    }
  }

  func markup(of report: StudyReport, _ sections: [Section], _ pictures: Pictures) -> Markup {
    let table: Markup =
      if let errors { "<section id=\"errors\"><h2>Errors</h2>\(errors.markup)</section>" } else { "" }
    let hasSeeds = RunGroup.all(of: runs).contains { $0.runs.count > 1 }
    let seeds: Markup = hasSeeds ? "<p>\(Section.meanOverSeeds)</p>" : ""
    let trained: Markup = runs.isEmpty ? "" : factSection("What was trained, and how", runs)
    return document(
      title: title, figureFolder: StudyReport.figureFolder,
      """
      <header>
      <p><a href="\(StudyReport.index)">\(report.title)</a></p>
      <h1>\(title)</h1>
      <div class="summary">\((report.notes + notes).map { note -> Markup in "<p>\(note)</p>" })\(seeds)</div>
      </header>
      \(findingSection("What the paper says, and what we found", findings, report.verdictRules))
      \(table)
      \(sections.map(pictures.markup))
      \(trained)
      """)
  }

  /// The study in the index: its pictures, what was claimed and what came of it.
  func card(_ sections: [Section], hasPictures: Bool) -> Markup {
    let pictures = sections.compactMap { $0.illustrations.first?.figures.first }.map { figure -> Markup in
      hasPictures
        ? """
        <a href="\(name).html"><img class="thumb" src="\(StudyReport.figureFolder)/\(figure.name).svg" alt="\(figure.title)"/></a>
        """
        : "<p class=\"gap\">\(figure.title): there is no gnuplot to draw it</p>"
    }
    let missing: Markup =
      sections.allSatisfy(\.illustrations.isEmpty) && errors == nil
      ? "<p class=\"gap\">There are no numbers to show yet.</p>" : ""
    let items = findings.map { finding -> Markup in "<li>\(badge(finding)) \(finding.claim)</li>" }
    let claims: Markup = items.isEmpty ? "" : "<ul class=\"claims\">\(items)</ul>"
    return """
      <section id="\(name)"><h2><a href="\(name).html">\(title)</a></h2>
      \(notes.map { note -> Markup in "<p class=\"note\">\(note)</p>" })
      \(claims)
      \(errors?.markup ?? "")
      \(missing)
      <div class="thumbs">\(pictures)</div>
      </section>
      """
  }
}

extension Section {
  /// A figure of a study's page; nil where there is nothing to show, and for the table of errors, which is no section.
  /// - Parameters:
  ///   - runs: all seeds
  ///   - means: the mean over each network's seeds
  ///   - measures: the descriptions of all measures
  init?(
    _ kind: FigureKind, of runs: [ReportedRun], _ means: [ShownRun], _ measures: [MeasureDescription],
    _ presentation: Presentation = Presentation()
  ) throws {
    var section: Section?
    switch kind {
    case .errors: return nil
    case .training: section = .training(runs)
    case .initialisation: section = try .initialisation(runs)
    case .gradientNormRatio: section = try .gradientRatio(runs)
    default:
      // The steps of the unrolled network have a figure of their own beside the one of the groups.
      let view = kind == .unrollingSteps ? FigureKind.unrolling.rawValue : kind.rawValue
      let shown = measures.lazy.flatMap { measure in measure.views.map { (measure: measure, view: $0) } }
      if let (measure, view) = shown.first(where: { $0.view.id == view }) {
        section = try Section(view, of: measure, in: means, presentation)
        if [.unrolling, .unrollingSteps].contains(kind) {
          section?.illustrations.removeAll {
            $0.figures.contains { ($0.name == FigureKind.unrollingSteps.rawValue) != (kind == .unrollingSteps) }
          }
        }
        section?.id = kind.rawValue
      } else if let view = shown.map(\.view).first(where: { FigureKind.history(of: $0) == kind }) {
        section = try Section(historyOf: view, in: means)
        // The paper has a curve for each block; the map shows the same numbers once more.
        if section?.illustrations.count ?? 0 > 1 {
          section?.illustrations.removeAll { $0.figures.contains { $0.name != kind.rawValue } }
        }
      }
    }
    guard let section else { return nil }
    self = section
  }
}
