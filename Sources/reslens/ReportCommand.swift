import ArgumentParser
import Foundation
import Host
import Reports
import ResidualNetworks
import Results
import Training

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Makes a page about one run, or about several side by side.",
    discussion: """
      The page is self-contained. The numbers (.csv) and the gnuplot script (.gp) of each figure are written to \
      report-figures/ beside it.

      For example: reslens report runs/first runs/second --out comparison/report.html
      """)

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run"))
  var runs: [String]

  @Option(
    help: ArgumentHelp("The file to write. (default: report.html in the first run's folder)", valueName: "file.html"))
  var out: String?

  func validate() throws {
    if runs.isEmpty { throw ValidationError("name at least one run folder") }
    if let out { try check(out, endsWith: "html") }
  }

  func run() throws {
    let page = out.map { URL(filePath: $0) } ?? RunFolder(URL(filePath: runs[0])).reportFile
    let title = runs.count == 1 ? "What every step of \(runs[0]) does" : "\(runs.count) runs, step by step"
    try Self.write(runs, title: title, to: page, Terminal())
    print(page.path)
  }

  /// Makes the page of these run folders.
  static func write(_ paths: [String], title: String, to page: URL, _ terminal: Terminal) throws {
    let configurations = try paths.map { try RunFolder(URL(filePath: $0)).configuration() }
    let groups = groupNames(configurations)
    let runs = try zip(paths, configurations).enumerated().map { index, run in
      var reported = try ReportedRun(run.0, run.1)
      try RunFolder(URL(filePath: run.0)).noteMismatch(run.0, terminal)
      reported.group = groups[index]
      return reported
    }
    try Files.makeFolder(page.deletingLastPathComponent())
    for note in try Reports.Report(title: title, runs: runs).write(to: page, gnuplot: .find()) {
      terminal.note("note: \(note)")
    }
  }

  /// For each of several runs what it is called together with those that differ from it in nothing but the seed: its
  /// architecture's name, with the first such run's number where others of that name were trained otherwise. nil where
  /// nothing tells it from another run.
  private static func groupNames(_ configurations: [RunConfiguration]) -> [String?] {
    guard configurations.count > 1 else { return [nil] }
    let kinds = configurations.map { configuration in
      var kind = configuration
      (kind.seed, kind.measure) = (0, nil)
      return kind
    }
    return zip(kinds, configurations).map { kind, configuration in
      let name = kind.architecture.name
      let alike = zip(kinds, configurations).filter { $0.0 == kind }
      guard alike.count(where: { $0.1.seed == configuration.seed }) == 1 else { return nil }
      let isOnly = kinds.allSatisfy { $0 == kind || $0.architecture.name != name }
      return isOnly ? name : kinds.firstIndex(of: kind).map { "\(name) (as run \($0 + 1))" }
    }
  }
}
