import ArgumentParser
import Foundation
import ResLensMeasures
import ResLensResults
import ResLensRuns
import ResLensSupport
import ResLensTorch
import ResLensTraining

extension ExitRule: ExpressibleByArgument {}

struct ExitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exits",
    abstract: "Lets samples leave a trained network early, and says what that saves and costs.",
    discussion: """
      After each step a lens reads the state. A sample leaves at the first step where what is read is sure enough, and gets \
      that answer:

      confidence   the largest probability is at least the threshold
      entropy      the entropy of the distribution is at most the threshold, in nats
      agreement    KL(step‖step before) of what two exits in a row read is at most the threshold, in nats

      Two thresholds are chosen on train images: the one that saves most and loses no accuracy there, and the best one that \
      halves the multiply-accumulates. Then samples really leave: they are removed from the batch, and the network is \
      timed with and without exits on validation images, in turns. The multiply-accumulates of all readings are counted.

      Writes exits-LENS-RULE.json to the run folder; the report draws accuracy against multiply-accumulates. A call that \
      would discard results by other settings needs --replace.

      For example:
        reslens lens runs/r56 --kind linear
        reslens exits runs/r56 --lens linear
        reslens exits runs/r56 --lens affine --by entropy --after 9,18,22
        reslens exits runs/r56 --lens linear --threshold 0.95
      """)

  @Argument(help: ArgumentHelp("The run folder.", valueName: "run"), completion: .directory)
  var path: String

  @Option(
    help:
      "The trained lens that reads the states: linear or affine. (default: the network's own readout, which reads the last stage)"
  )
  var lens: LensKind?

  @Option(help: ArgumentHelp("The rule by which samples leave: confidence, entropy or agreement.", valueName: "rule"))
  var by = ExitRule.confidence

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The threshold. (default: two are chosen on training images)", valueName: "x"))
  var threshold: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Steps after which samples can leave. (default: all that the lens reads but the last)", valueName: "t,t,…"))
  var after: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Number of training images on which thresholds are chosen: if as many are left, of those that the lens was not fitted \
      on. (default: \(RunExits.Options.usuallyChosenOn), or all)
      """, valueName: "n"))
  var chooseOn: Int?

  @Flag(help: "Replaces earlier results by this lens and rule with other settings.")
  var replace = false

  @OptionGroup var images: ImageOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    try Self.requireAtLeastOne(["choose-on": chooseOn])
    if threshold != nil, chooseOn != nil {
      throw ValidationError("--choose-on is for thresholds that are chosen, and --threshold gives one")
    }
    _ = try steps()
  }

  private func steps() throws -> [Int]? {
    try after?.split(separator: ",", omittingEmptySubsequences: false).map {
      guard let step = Int($0.trimmingCharacters(in: .whitespaces)) else {
        throw ValidationError("--after: \"\($0)\" is not the number of a step")
      }
      return step
    }
  }

  func run() throws {
    try threads.apply()
    let device = try device.use(by: nil, exchangesTensors: false)
    let terminal = Terminal()
    Interrupt.listen(answer: "stopping after this batch; nothing is written")
    let folder = RunFolder(URL(filePath: path))
    let configuration = try folder.configuration()
    let run = try RunMeasuring(
      folder, expecting: configuration.architecture, on: device, registry: Reslens.registry)
    let images = try images.imagesToScore(of: configuration, on: device)
    var options = RunExits.Options()
    (options.rule, options.lens, options.threshold, options.chosenOn) = (by, lens, threshold, chooseOn)
    options.steps = try steps()
    let exits = try Self.asking { try RunExits(run, options, on: images, replaces: replace) }
    let results = try exits.run { phase, done, count in
      if Interrupt.received { throw ExitCode(Interrupt.exitCode) }
      terminal.progress(done, of: count, phase.rawValue)
    }
    terminal.clear()
    print(try Self.table(of: results))
    let file = folder.exitsFile(results.settings.lens, by)
    terminal.note("written to \(file.path); see it with: reslens report \(path.shellQuoted)")
  }

  private static func table(of results: ExitResults) throws -> String {
    let points = try results.points.rows(of: ExitResults.Point.self)
    let whole = points.first
    func cells(_ text: (ExitResults.Point) -> String) -> [String] { points.map(text) }
    let table = TextTable(columns: [
      .init("network", cells: cells { ExitResults.Choice(rawValue: $0.choice)?.words ?? $0.choice }),
      .init("threshold", cells: cells { $0.threshold.map { significant($0) } ?? "–" }),
      .init("accuracy", cells: cells { percent($0.accuracy) }),
      .init("MACs", cells: cells { percent($0.macs / (whole?.macs ?? 1), 1) }),
      .init("steps", cells: cells { decimal($0.steps, 1) }),
      .init("images/s", cells: cells { decimal($0.imagesPerSecond, 0) }),
      .init("speed", cells: cells { decimal($0.imagesPerSecond / (whole?.imagesPerSecond ?? 1), 2) + "×" }),
    ])
    let settings = results.settings
    let missing =
      settings.chosenOn == nil
      ? []
      : [ExitResults.Choice.lossless, .half].filter { choice in
        !points.contains { $0.choice == choice.rawValue }
      }
    let overlap =
      settings.isLensFittedOnThem == true
      ? [
        """
        The lens was fitted on some of these train images and is surer of them than of others: choose on fewer images with \
        --choose-on, or fit the lens on fewer with reslens lens --fit-on.
        """
      ] : []
    let notes =
      [
        """
        \(settings.scoredOn) validation images of \(results.session.data)\
        \(settings.chosenOn.map { "; thresholds of \(settings.rule.rawValue) chosen on \($0) train images" } ?? ""). States are \
        read by the \(settings.lens == ExitResults.Settings.readout ? "network's own readout" : "\(settings.lens) lens") after \
        \(SharedAbsence.words(for: settings.exits)).
        """
      ] + overlap
      + missing.map { choice in
        // To save nothing, and so to lose nothing, no threshold is needed.
        "No threshold \(choice == .lossless ? "saves something and " : "")\(choice.words) on the train images."
      }
    return table.text() + "\n" + wrapped(notes.joined(separator: "\n"))
  }
}
