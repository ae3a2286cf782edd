import ArgumentParser
import Foundation
import ResLensSupport
import ResLensMeasures
import ResLensResults
import ResLensRuns
import ResLensTorch
import ResLensTraining

struct PruneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Drops steps of a trained network one after the other and makes a run of the smaller network.",
    discussion: """
      The greedy order drops, again and again, the step without which the loss on train images is the lowest. An order by \
      a quantity begins with the step that is expected to matter least by its value on train samples. The quantities are \
      columns of the depth card, which reslens measure makes. Steps with a projection stay, and so does one step of every \
      stage.

      Prints the error on validation images after each dropped step. The smaller network is that of the first order; its \
      run folder is measured, exported and trained on like any other. The folder's pruning.json has all numbers. A call \
      that was cut off goes on where it was when it is made again.

      For example:
        reslens prune runs/r110 --drop 20 --out runs/r110-small
        reslens prune runs/r56 --drop 8 --recalibrate 4 --out runs/r56-small
        reslens prune runs/r56 --drop 8 --greedy --by influence,dropped-step --out runs/r56-small
        reslens train --from runs/r56-small --data data --recipe quick --out runs/r56-tuned
      """)

  @Argument(help: ArgumentHelp("The run folder.", valueName: "run"), completion: .directory)
  var path: String

  @Option(parsing: .unconditional, help: ArgumentHelp("Number of steps to drop.", valueName: "k"))
  var drop: Int

  @Flag(help: "Drops the steps in the greedy order. (default, unless --by names another)")
  var greedy = false

  @Option(
    help: ArgumentHelp(
      """
      Quantities by which the steps are ordered, each of which makes an order of its own: any of \
      \(Self.quantities.joined(separator: ", ")). Each begins with the step that is expected to matter least: that with \
      the smallest value, or of \(Self.largestFirst.joined(separator: ", ")) the largest. Write :smallest or :largest \
      behind a quantity to begin at that end.
      """, valueName: "quantity[:largest],…"))
  var by: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Recalibrates the running statistics of everything behind each dropped step, on this many batches of \
      \(Recalibration.batch) training images.
      """, valueName: "n"))
  var recalibrate: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Number of training images on which the greedy order is chosen. (default: \(Pruning.Options.usuallyChosenOn), or all)",
      valueName: "n"))
  var chooseOn: Int?

  @Option(help: ArgumentHelp("The smaller network's run folder.", valueName: "dir"), completion: .directory)
  var out: String

  @OptionGroup var images: ImageOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  private static var quantities: [String] {
    Reslens.registry.descriptions.flatMap(DropOrder.quantities).map(\.word)
  }

  private static var largestFirst: [String] {
    Reslens.registry.descriptions.flatMap(DropOrder.quantities).filter(\.largestMattersLeast).map(\.word)
  }

  private func orders() throws -> [DropOrder] {
    let named = try (by?.split(separator: ",", omittingEmptySubsequences: false) ?? []).map {
      try DropOrder($0.trimmingCharacters(in: .whitespaces), among: Reslens.registry.descriptions)
    }
    return (greedy || named.isEmpty ? [.greedy] : []) + named
  }

  func validate() throws {
    try Self.requireAtLeastOne(["drop": drop, "choose-on": chooseOn, "recalibrate": recalibrate])
    let named = try Self.asking { try orders() }
    if let twice = named.first(where: { order in named.count { $0 == order } > 1 }) {
      throw ValidationError("--by: \(twice.name) is named twice")
    }
  }

  func run() throws {
    try threads.apply()
    let device = try device.use(by: nil, exchangesTensors: false)
    let terminal = Terminal()
    Interrupt.listen(answer: "stopping after this batch; the same command goes on from the last whole step")
    let (source, folder) = (RunFolder(URL(filePath: path)), RunFolder(URL(filePath: out)))
    try folder.requireNoRun()
    let images = try images.imagesToScore(of: source.configuration(), on: device)
    let options = Pruning.Options(
      drop: drop, orders: try orders(), chosenOn: chooseOn, recalibrationBatches: recalibrate)
    let pruning = try Self.asking {
      try Pruning(source, options, measures: Reslens.registry.descriptions, on: images, device: device)
    }
    let results = try pruning.run(into: folder) { phase, done, count in
      if Interrupt.received { throw ExitCode(Interrupt.exitCode) }
      let words =
        switch phase {
        case .choosing(let drop): "samples of the train set, to choose step \(drop) of \(self.drop)"
        case .scoring(let order): "samples of the validation set, \(order)"
        }
      terminal.progress(done, of: count, words)
    }
    terminal.clear()
    print(try Self.table(of: results, options))
    terminal.note("written to \(out); measure it with: reslens measure \(out.shellQuoted)")
  }

  private static func table(of results: PruningResults, _ options: Pruning.Options) throws -> String {
    var table = TextTable(columns: [.init("dropped", cells: (0...options.drop).map { "\($0)" })])
    table.keepsEmptyRows = true
    let curves = try options.orders.map { try results.curve(of: $0.name).prefix(options.drop + 1) }
    func costs(_ curve: ArraySlice<PruningResults.Point>) -> [String] {
      curve.map { percent(Double($0.macs) / Double(curve.first?.macs ?? 1), 1) }
    }
    let haveEqualCosts = Set(curves.map(costs)).count == 1
    if haveEqualCosts, let first = curves.first { table.columns.append(.init("MACs", cells: costs(first))) }
    for (index, (order, curve)) in zip(options.orders, curves).enumerated() {
      table.columns += [
        .init(order.name, "step", cells: curve.map { $0.step.map { "\($0)" } ?? "–" }, rank: 2 * index + 1),
        .init(order.name, "error", cells: curve.map { percent(1 - $0.score.accuracy) }, rank: 2 * index),
      ]
      if !haveEqualCosts {
        table.columns.append(.init(order.name, "MACs", cells: costs(curve), rank: 2 * options.orders.count))
      }
    }
    let settings = results.settings
    return table.text() + "\n"
      + wrapped(
        """
        step: the step dropped last. error: of \(settings.scoredOn) validation images of \(settings.data). MACs: \
        multiply-accumulates left. Batch normalisations have \(settings.runningStatistics).
        """)
  }
}
