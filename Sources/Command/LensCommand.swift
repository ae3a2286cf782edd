import ArgumentParser
import Foundation
import ResLensMeasures
import ResLensResults
import ResLensRuns
import ResLensSupport
import ResLensTorch
import ResLensTraining

extension LensKind: ExpressibleByArgument {}

struct LensCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lens",
    abstract: "Fits a lens to every state of a trained network and measures what it reads.",
    discussion: """
      The network's own readout reads states of the last stage only. A trained lens has a map of its own for the state after \
      every step, so that every stage can be read. The network stays as it is.

      linear   logits of the state's mean over pixels, by logistic regression on the labels: a linear probe
      affine   the state pooled to the readout's grid, each pixel mapped affinely to its channels, and read by the \
      network's own readout; fitted to the network's final distribution, as the tuned lens is

      The lens is fitted on train images and written to the run folder. Then the measures intermediate and agreement are \
      taken with it on train and validation images, and written to measures-linear.json or measures-affine.json. More \
      measures are taken with it by reslens measure --lens.

      For example:
        reslens lens runs/first --kind linear
        reslens lens runs/first --kind affine --fit-on 5000 --epochs 5
        reslens measure runs/first --lens affine --measures borderline,first-order
        reslens report runs/first
      """)

  @Argument(help: ArgumentHelp("The run folder.", valueName: "run"), completion: .directory)
  var path: String

  @Option(help: "The kind of lens: linear or affine.")
  var kind: LensKind

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Number of training images to fit on. (default: \(Self.usuallyFittedOn), or all)", valueName: "n"))
  var fitOn: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Number of passes of an affine lens over the training images after the first one. (default: \(LensFitting.Options.epochs))",
      valueName: "n"))
  var epochs: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Factor of the squared weights that the fit pays for. A linear lens has the optimum of scikit-learn's LogisticRegression with C = 1/(λ·n) on standardised features.",
      valueName: "λ"))
  var penalty = LensFitting.Options.penalty

  @Flag(help: "Replaces an earlier lens of this kind, and what was measured with it.")
  var replace = false

  @OptionGroup var images: ImageOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  private static let usuallyFittedOn = 10_000

  func validate() throws {
    try Self.requireAtLeastOne(["fit-on": fitOn, "epochs": epochs])
    if kind == .linear, epochs != nil { throw ValidationError("--epochs is for affine lenses only") }
  }

  func run() throws {
    try threads.apply()
    let device = try device.use(by: nil, exchangesTensors: false)
    let terminal = Terminal()
    Interrupt.listen(answer: "stopping after this batch")
    let folder = RunFolder(URL(filePath: path))
    let configuration = try folder.configuration()
    let run = try RunMeasuring(
      folder, expecting: configuration.architecture, on: device, registry: Reslens.registry)
    let images = try images.images(of: configuration, on: device)
    let most = images.train.set.count
    if let fitOn, fitOn > most { throw ValidationError("--fit-on \(fitOn): there are \(most) train images") }
    images.noteUntrained(terminal)
    let fitted = try Samples(
      images.train.set, count: fitOn ?? min(Self.usuallyFittedOn, images.trainedOn ?? most), batch: images.train.batch,
      maker: images.train.maker)
    let options = LensFitting.Options(kind, penalty: penalty, epochs: epochs ?? LensFitting.Options.epochs)
    try Self.asking {
      try run.fitLens(options, on: fitted, replaces: replace) { phase, done, count in
        if Interrupt.received { throw ExitCode(Interrupt.exitCode) }
        terminal.progress(done, of: count, phase.text)
      }
    }
    terminal.clear()
    terminal.note("written to \(folder.lensFile(kind).path), fitted on \(fitted.count) train images")
    var measured = MeasureOptions(names: [IntermediateScores.description.name, Agreement.description.name])
    measured.way = .lens(kind)
    let found = try run.measure(measured, on: images, replaces: replace, note: terminal.note) { phase, done, count in
      if Interrupt.received { throw ExitCode(Interrupt.exitCode) }
      terminal.progress(done, of: count, phase.rawValue)
    }
    terminal.clear()
    print(try MeasureSummary(found, Reslens.registry.descriptions).text())
    terminal.note(
      "written to \(folder.measuresFile(.lens(kind)).path); see it with: reslens report \(path.shellQuoted)")
  }
}

extension LensFitting.Phase {
  /// The things that are counted in the phase.
  fileprivate var text: String {
    switch self {
    case .reading: "train images read"
    case .solving: "states fitted"
    case .descending(let epoch): "train images of epoch \(epoch)"
    }
  }
}
