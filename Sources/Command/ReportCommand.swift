import ArgumentParser
import Foundation
import ResLensSupport
import ResLensReports
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensStudies
import ResLensTraining

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Makes a page about one run, or about several side by side.",
    discussion: """
      The page shows every measure, and which of the paper's claims the numbers support. It is self-contained. The numbers (.csv) and the gnuplot script (.gp) of each figure are written to \
      report-figures/ beside it. The folder of a study or reproduction stands for all of its runs.

      For example:
        reslens report runs/first runs/second --out comparison/report.html
        reslens report runs/first --figures pdf --bands deviation
        reslens report studies/depth --layout panels
      """)

  @Argument(help: ArgumentHelp("Run folders, or folders of studies.", valueName: "run"))
  var runs: [String]

  @Option(
    help: ArgumentHelp("The file to write. (default: report.html in the first run's folder)", valueName: "file.html"))
  var out: String?

  @OptionGroup var presentation: PresentationArguments

  func validate() throws {
    if runs.isEmpty { throw ValidationError("name at least one run folder") }
    if let out { try check(out, endsWith: "html") }
  }

  func run() throws {
    let page = out.map { URL(filePath: $0) } ?? RunFolder(URL(filePath: runs[0])).reportFile
    try Self.write(
      runs.flatMap(RunFolder.paths), title: nil, to: page, try presentation.presentation(), Terminal())
    print(page.path)
  }

  /// Makes the page of these run folders.
  static func write(
    _ paths: [String], title: String?, to page: URL, _ presentation: Presentation, _ terminal: Terminal
  ) throws {
    var report = try ResLensReports.Report(
      title: title, ofRuns: paths, measures: Reslens.registry.descriptions, presentation: presentation,
      note: terminal.note)
    (report.findings, report.verdictRules) = (try Finding.ofPaper(onRuns: paths), Claim.generalRules)
    try Files.makeFolder(page.deletingLastPathComponent())
    for note in try report.write(to: page, gnuplot: .find()) { terminal.note("note: \(note)") }
  }
}
