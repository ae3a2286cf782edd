import ArgumentParser
import Foundation
import Host
import ImageDatasets
import Reports
import ResidualNetworks
import Results
import Training

struct StudyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "study",
    abstract: "Trains several networks with several seeds in the same way, and reports them side by side.",
    discussion: """
      One training after the other, each in a folder of its own under --out, and a page of all of them at the end. The \
      same call again goes on where it was cut off: what is whole is not done twice. Where --measure says nothing else, \
      every network is measured as it is initialised and as it is at the end.

      For example:
        reslens study resnet-20 resnet-20-shared resnet-20-ubn --data synthetic --seeds 0,1 --out studies/sharing
        reslens study resnet-110-ablation --data data/cifar-10-batches-bin --recipe paper --out studies/figure-9
        reslens study resnet-110-shared resnet-110-ubn --data synthetic --measure every=10 --out studies/appendix-d
      """)

  @Argument(
    help: ArgumentHelp("Names or YAML files, with -ablation behind them for the eight of Fig. 9.", valueName: "model"))
  var models: [String]

  @OptionGroup var training: TrainingArguments

  @OptionGroup var seeds: SeedArguments

  @Option(help: ArgumentHelp("The study's folder: the runs, and report.html.", valueName: "dir"))
  var out: String

  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    if models.isEmpty { throw ValidationError("name at least one model, such as resnet-20-ubn") }
  }

  func run() throws {
    let device = try device.use()
    try threads.apply()
    let runs = try plannedRuns()
    let terminal = Terminal()
    var diverged: [String] = []
    Interrupt.listen()
    for (index, run) in runs.enumerated() {
      terminal.note("run \(index + 1) of \(runs.count): \(run.folder.name)")
      if try run.isWhole {
        let isMeasured = try run.folder.configuration().measure == run.configuration.measure
        terminal.note(isMeasured ? "done already" : "done already, and measured as it was asked for then")
        continue
      }
      let session = TrainingSession(
        run.configuration, run.dataset, run.folder, threads: threads.threads,
        checkpointSeconds: training.checkpointSeconds, device: device)
      do {
        guard try session.run(terminal) == .finished else {
          terminal.note("stopped and saved; the same call again goes on with the study")
          throw ExitCode(Interrupt.exitCode)
        }
      } catch let error as TrainingError {
        // A network that cannot be trained this way is a finding; the others are still to be seen.
        terminal.clear()
        terminal.note("\(run.folder.name) did not come to its end: \(error)")
        diverged.append(run.folder.name)
      }
    }
    let page = URL(filePath: out).appending(path: "report.html")
    let title = "\(Set(runs.map(\.configuration.architecture.name)).count) networks side by side"
    let paths = runs.map { "\(out)/\($0.folder.name)" }
    try ReportCommand.write(paths, title: title, to: page, terminal)
    print(page.path)
    guard diverged.isEmpty else {
      terminal.note("not at their end: \(diverged.joined(separator: ", "))")
      throw ExitCode.failure
    }
  }

  /// One training of the study.
  private struct PlannedRun {
    var configuration: RunConfiguration
    var dataset: ImageDataset
    var folder: RunFolder

    var isWhole: Bool {
      get throws { try folder.epochs().count == configuration.recipe.epochs }
    }
  }

  /// Every network with the first seed, then with the next, so that of a study that was cut off all networks have as many.
  /// - Throws: for anything that cannot be, before anything is trained.
  private func plannedRuns() throws -> [PlannedRun] {
    let source = try training.source()
    let dataset = try ImageDataset.load(source)
    let architectures = try Architecture.findAll(models, fitting: dataset)
    return try seeds.list().flatMap { seed in
      try architectures.map { architecture in
        let name = "\(architecture.name)-seed-\(seed)"
        let folder = RunFolder(URL(filePath: out).appending(path: name))
        let stored = folder.holdsRun ? try folder.configuration() : nil
        var configuration = try training.configuration(architecture, dataset, source: source, seed: seed)
        if configuration.measure == nil { configuration.measure = configuration.bothEnds(of: dataset) }
        try configuration.check(against: dataset)
        if let stored, let field = configuration.firstDifference(from: stored) {
          throw FileError(
            path: folder.url.path, problem: "it holds a run of this study in which \(field) is another one",
            remedy: "call the study as before, or give it another folder with --out")
        }
        return PlannedRun(configuration: configuration, dataset: dataset, folder: folder)
      }
    }
  }
}

extension RunConfiguration {
  /// Measuring before the first step and after the last epoch, on as many samples as is usual or as there are.
  fileprivate func bothEnds(of dataset: ImageDataset) -> MeasureSchedule {
    let available = min(trainSamples ?? dataset.train.count, dataset.validation.count)
    return MeasureSchedule(
      every: recipe.epochs, samples: min(MeasureSchedule.standardSamples, available), names: MeasureSchedule.standard)
  }
}
