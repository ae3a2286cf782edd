import ArgumentParser
import Foundation
import ResLensSupport
import ResLensResults
import ResLensRuns
import ResLensTraining

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Says which cheap quantity tells what dropping a step costs.",
    discussion: """
      Prints Spearman's rank correlation, over the steps of a measured run, of each quantity with the cost of dropping the \
      step. The quantities were measured on train samples; the cost is the rise of the mean loss on validation samples. \
      Steps with a projection are left out. A scatter plot of each quantity is in the run's report.

      For example:
        reslens measure runs/first
        reslens predict runs/first
        reslens predict runs/first runs/second --format csv > proxies.csv
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, csv }

  @Argument(help: ArgumentHelp("Run folders, or folders of studies.", valueName: "run"))
  var runs: [String]

  @Option(help: "text or csv.")
  var format = Format.text

  func run() throws {
    let paths = runs.flatMap(RunFolder.paths).reduce(into: [String]()) { paths, path in
      if !paths.contains(path) { paths.append(path) }
    }
    let found = try paths.map { path in (run: path, proxies: try Self.proxies(of: path)) }
    let names = found.flatMap(\.proxies).map(\.name).reduce(into: [String]()) { names, name in
      if !names.contains(name) { names.append(name) }
    }
    func proxy(_ name: String, _ proxies: [DropCost.Proxy]) -> DropCost.Proxy? { proxies.first { $0.name == name } }
    guard format == .text else {
      let rows = found.flatMap { run, proxies in
        proxies.map { proxy -> [Cell] in
          let correlation = proxy.correlation.map { Cell.number($0) } ?? .missing
          return [.text(run), .text(proxy.name), correlation, .number(Double(proxy.points.count))]
        }
      }
      let table = try Table(
        "proxies", keys: [.init("run"), .init("quantity")], values: [.init("spearman"), .init("steps")], rows: rows)
      print(table.csv, terminator: "")
      return
    }
    func strength(_ name: String) -> Double {
      let sizes = found.compactMap { proxy(name, $0.proxies)?.correlation.map(abs) }
      return sizes.isEmpty ? -1 : sizes.reduce(0, +) / Double(sizes.count)
    }
    let ranked = names.sorted { strength($0) > strength($1) }
    var table = TextTable(columns: [.init("quantity", cells: ranked)])
    for (index, (run, proxies)) in found.enumerated() {
      let cells = ranked.map { name -> (String, String) in
        guard let proxy = proxy(name, proxies), let correlation = proxy.correlation else { return ("–", "–") }
        return (decimal(correlation, 2) + (proxy.isBeyondNoise ? "" : "°"), "\(proxy.points.count)")
      }
      table.columns.append(.init(found.count > 1 ? run : "", "ρ", cells: cells.map(\.0), rank: 2 * index))
      table.columns.append(.init("", "steps", cells: cells.map(\.1), rank: 2 * index + 1))
    }
    print(table.text())
    print(
      wrapped(
        """
        ρ: Spearman's rank correlation over the steps of the quantity on train samples with the rise of the validation \
        loss where the step is dropped. °: within two standard errors of 0.
        """, width: TextTable.terminalWidth))
  }

  /// - Throws: `FileError` for a run that has not been measured, or has no dropped steps.
  private static func proxies(of path: String) throws -> [DropCost.Proxy] {
    let folder = RunFolder(URL(filePath: path))
    _ = try folder.configuration()
    let remedy = "run: reslens measure \(path.shellQuoted)"
    guard let results = try folder.measures() else {
      throw FileError(path: path, problem: "it has not been measured", remedy: remedy)
    }
    guard let cost = try DropCost(Reslens.registry.descriptions, results.widest) else {
      throw FileError(path: folder.measuresFile.path, problem: "there are no dropped steps in it", remedy: remedy)
    }
    return cost.proxies
  }
}
