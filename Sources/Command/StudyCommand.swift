import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensReports
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensStudies
import ResLensTraining

struct StudyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "study",
    abstract: "Trains several networks with several seeds and reports them side by side.",
    discussion: """
      Each training has its own folder under --out, and one page reports all of them. Repeating the command continues \
      where it was cut off: runs that are finished, or that diverged, are not trained again. Without --measure, every \
      network is measured at initialisation and at the end.

      For example:
        reslens study resnet-20 resnet-20-shared resnet-20-ubn --data synthetic --seeds 0,1 --out studies/sharing
        reslens study resnet-110-ablation --data data/cifar-10-batches-bin --recipe paper --out studies/figure-9
        reslens study resnet-110-shared resnet-110-ubn --data synthetic --measure every=10 --out studies/appendix-d
        reslens study resnet-20 resnet-32 --data synthetic --seeds 0-3 --jobs 4 --out studies/depth
      """)

  @Argument(
    help: ArgumentHelp(
      "Names or YAML files; with the suffix -ablation, the eight networks of Fig. 9.", valueName: "model"),
    completion: .models)
  var models: [String]

  @OptionGroup var training: TrainingArguments

  @OptionGroup var seeds: SeedArguments

  @Option(help: ArgumentHelp("The folder for the runs and report.html.", valueName: "dir"))
  var out: String

  @OptionGroup var presentation: PresentationArguments
  @OptionGroup var launching: LaunchArguments
  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    if models.isEmpty { throw ValidationError("name at least one model, such as resnet-20-ubn") }
  }

  func run() throws {
    try threads.apply()
    let data = try DataSources([])
    let runs = try plannedRuns(data)
    let folder = StudyFolder(URL(filePath: out).standardizedFileURL)
    let terminal = Terminal()
    // Runs that cannot be resumed are reported before anything is trained.
    for (run, state) in zip(runs, try folder.states(of: runs, registry: Reslens.registry)) where state == .whole {
      if try folder.folder(of: run).configuration().measure != run.configuration.measure {
        terminal.note("note: \(run.folderName) is done already, and was measured as it was asked for then")
      }
    }
    try folder.check(for: runs)
    guard try launching.launch(runs, in: folder, data, device, threads: threads.threads, terminal) else { return }
    let page = folder.url.appending(path: "report.html")
    let names = Set(runs.map(\.configuration.architecture.name))
    let title = names.count == 1 ? "\(names.joined()), \(runs.count) runs" : "\(names.count) networks side by side"
    let paths = runs.map { "\(out)/runs/\($0.folderName)" }
    try ReportCommand.write(paths, title: title, to: page, try presentation.presentation(), terminal)
    if let summary = try GroupSummary(paths) { terminal.note(summary.text()) }
    print(page.path)
    let states = try folder.states(of: runs, registry: Reslens.registry)
    for case (let run, .diverged(let reason)) in zip(runs, states) { terminal.note("\(run.folderName): \(reason)") }
    let failed = zip(runs, states).filter { $0.1 != .whole }.map(\.0.folderName)
    guard failed.isEmpty else {
      terminal.note("not at their end: \(failed.joined(separator: ", "))")
      throw ExitCode.failure
    }
  }

  /// Every network with the first seed, then with the next, so that of a study that was cut off all networks have as many.
  /// - Throws: for anything that cannot be, before anything is trained.
  private func plannedRuns(_ data: DataSources) throws -> [PlannedRun] {
    let source = try training.source()
    let dataset = try data.load(source)
    let architectures = try Architecture.findAll(models, fitting: dataset)
    return try seeds.list().flatMap { seed in
      try architectures.map { architecture in
        var configuration = try training.configuration(architecture, dataset, source: source, seed: seed)
        if configuration.measure == nil { configuration.measure = configuration.bothEnds(of: dataset) }
        try configuration.check(against: dataset)
        return PlannedRun(
          name: "\(architecture.name)-seed-\(seed)", configuration: configuration, dataset: dataset.name)
      }
    }
  }
}

extension RunConfiguration {
  /// Measuring before the first step and after the last epoch, on as many samples as is usual or as there are.
  fileprivate func bothEnds(of dataset: ImageDataset) -> MeasureSchedule {
    let available = min(trainSamples ?? dataset.train.count, validationSamples ?? dataset.validation.count)
    return MeasureSchedule(
      every: recipe.epochs, samples: min(MeasureSchedule.standardSamples, available), names: MeasureSchedule.standard)
  }
}
