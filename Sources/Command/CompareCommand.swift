import ArgumentParser
import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensTraining

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Prints a table of runs with their errors and measures.",
    discussion: """
      Each row is a run: errors after its last epoch, number of trainable parameters, seconds of training, and one or \
      two numbers of most measures on validation samples. They are from its measures.json and from measures that were \
      recorded for the same network during training. Where networks were trained with several seeds, a second table has \
      their means, and says which differences are within the noise.

      For example:
        reslens compare runs/first runs/second
        reslens compare studies/depth
        reslens compare reproduction/small --format csv > runs.csv
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, csv, json }

  @Argument(help: ArgumentHelp("Run folders, or folders of studies.", valueName: "run"))
  var runs: [String]

  @Option(help: "text, csv or json.")
  var format = Format.text

  func validate() throws {
    if runs.isEmpty { throw ValidationError("name at least one run folder") }
  }

  func run() throws {
    let terminal = Terminal()
    let columns = ComparedRun.columns(Reslens.registry.descriptions)
    var failed = false
    var found: [String] = []
    var known: Set<String> = []
    let paths = runs.flatMap(RunFolder.paths).filter {
      known.insert(URL(filePath: $0).standardizedFileURL.resolvingSymlinksInPath().path).inserted
    }
    let rows = try paths.compactMap { path -> ComparedRun? in
      do {
        let folder = RunFolder(URL(filePath: path))
        if let note = try folder.mismatchNote(path) { terminal.note(note) }
        let row = try ComparedRun(folder, name: path, columns)
        found.append(path)
        return row
      } catch let error as FileError where runs.count > 1 {
        // One that cannot be read does not keep the others from being seen.
        terminal.note("left out: \(error)")
        failed = true
        return nil
      }
    }
    noteTraining(rows, terminal)
    noteSamples(rows, terminal)
    switch format {
    case .text:
      print(text(rows, columns))
      if let summary = try GroupSummary(found) { print("\n" + summary.text()) }
    case .csv: print(csv(rows, columns), terminator: "")
    case .json: print(String(decoding: try JSON.encode(rows, pretty: true), as: UTF8.self))
    }
    if failed { throw ExitCode.failure }
  }

  /// Says where runs that stand beside each other were trained for other times or on other data.
  private func noteTraining(_ rows: [ComparedRun], _ terminal: Terminal) {
    func note(_ what: String, _ values: [String]) {
      var different: [String] = []
      for value in values where !different.contains(value) { different.append(value) }
      guard different.count > 1 else { return }
      terminal.note("note: the runs were trained \(what): \(different.joined(separator: ", "))")
    }
    note("for different numbers of epochs", rows.map { "\($0.epochs)" })
    note("on different data", rows.map(\.data))
  }

  /// Says where numbers that stand beside each other are of other numbers of samples.
  private func noteSamples(_ rows: [ComparedRun], _ terminal: Terminal) {
    let counts = rows.compactMap { $0[ComparedRun.samples] }.map { decimal($0, 0) }
    if Set(counts).count > 1 {
      terminal.note(
        "note: the runs were measured on different numbers of validation samples: \(counts.joined(separator: ", "))")
    }
    for row in rows {
      guard let recorded = row.recorded, let count = row[ComparedRun.samples],
        Double(recorded.validation) != count
      else { continue }
      terminal.note(
        "note: \(row.run): \(recorded.names.joined(separator: ", ")) were recorded while training, on "
          + "\(recorded.validation) validation samples")
    }
  }

  /// Columns that no run has a number for are left out.
  private func text(_ rows: [ComparedRun], _ all: [ComparedRun.Column]) -> String {
    let columns = all.filter { column in rows.contains { $0[column] != nil } }
    var table = TextTable(columns: [
      .init("run", cells: rows.map(\.run)),
      .init("seed", cells: rows.map { "\($0.seed)" }, rank: ComparedRun.leastRank),
      .init("epochs", cells: rows.map { "\($0.epochs)/\($0.ofEpochs)" }, rank: ComparedRun.leastRank),
    ])
    // Each run is named, also one without a finished epoch.
    table.keepsEmptyRows = true
    for column in columns {
      let cells = rows.map { row in row[column].map(column.format.bareText) ?? "–" }
      var shown = TextTable.Column("", cells: cells, rank: column.rank)
      shown.head = column.head + [column.format.unit].compactMap { $0 }
      table.columns.append(shown)
    }
    return table.text()
  }

  private func csv(_ rows: [ComparedRun], _ columns: [ComparedRun.Column]) -> String {
    let lines = rows.map { row in
      ([row.run.csvField, row.architecture.csvField, "\(row.seed)", "\(row.epochs)", "\(row.ofEpochs)"]
        + columns.map { column in row[column].map(column.csv) ?? "" }).joined(separator: ",")
    }
    let heads = ["run", "architecture", "seed", "epochs", "of-epochs"] + columns.map(\.key)
    return ([heads.joined(separator: ",").replacing("-", with: "_")] + lines)
      .map { $0 + "\n" }.joined()
  }
}
