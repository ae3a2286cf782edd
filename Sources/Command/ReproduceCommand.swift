import ArgumentParser
import Foundation
import ResLensSupport
import ResLensReports
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensStudies
import ResLensTasks
import ResLensTraining

extension Scale: ExpressibleByArgument {}

struct ReproduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce",
    abstract: "Reproduces figures and tables of the paper, or studies of your own.",
    discussion: """
      Trains and measures the runs that the studies need; a run that several studies need is trained once. Writes an \
      index and a page for each study, with figures, the paper's claims, and verdicts by stated rules. The command may \
      be stopped or killed at any moment; repeating it does only what is missing.

      For example:
        reslens reproduce all --scale smoke --data synthetic
        reslens reproduce figure-4 figure-3 figure-2 --scale small --data data/cifar-10-batches-bin
        reslens reproduce all --list --scale paper --data data --data data100
        reslens reproduce table-1 --scale paper --data data --data data100 --launcher slurm --gpus 1 --time 24:00:00
        reslens reproduce table-1 --scale paper --precision bf16 --data data --data data100 --adopt gpu/resnet-110
        reslens reproduce my-study.yaml --data synthetic

      Scales other than paper, which does all of the work:
        small  \(Scale.small.reductions.joined(separator: " "))
        smoke  \(Scale.smoke.reductions.joined(separator: " "))
      """)

  @Argument(
    help: ArgumentHelp(
      "all, any of \(Study.paper.map(\.name).joined(separator: ", ")), or YAML files.", valueName: "study"),
    completion: .studies)
  var studies: [String]

  @Option(help: "Size of the work: paper, small or smoke. (default: small; paper if only YAML files are given)")
  var scale: Scale?

  @Option(
    help: ArgumentHelp(
      """
      \(ImageDataset.sourceForms), or a folder with both CIFAR-10 and CIFAR-100. May be given more than \
      once.
      """, valueName: "source"))
  var data: [String] = []

  @Option(
    help: ArgumentHelp(
      "The folder for runs and pages. (default: reproduction/SCALE, or reproduction/NAME if only YAML files are given)",
      valueName: "dir"))
  var out: String?

  @Option(
    help: "The type of the activations: fp32 or bf16, which rounds them to 8 bits. (default: what each study says)")
  var precision: Precision?

  @Option(
    help: ArgumentHelp(
      """
      A run that was trained elsewhere, finished or cut off, whose configuration is that of a run of the studies. Its \
      folder is copied, and the run goes on from there. May be given more than once.
      """, valueName: "run"))
  var adopt: [String] = []

  @Flag(help: "Prints the studies and estimates their cost on this machine, without running them.")
  var list = false

  @OptionGroup var presentation: PresentationArguments
  @OptionGroup var launching: LaunchArguments
  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    if studies.isEmpty { throw ValidationError("name at least one study, such as figure-4, or all") }
  }

  func run() throws {
    try threads.apply()
    let chosen = try studies.flatMap(Self.find).map { study in
      var study = study
      if let precision { study.precision = precision }
      return study
    }
    let isOfFiles = studies.allSatisfy { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }
    let scale = scale ?? (isOfFiles ? .paper : .small)
    let sources = try DataSources(data)
    let reproduction = try Reproduction(
      Self.distinct(chosen), scale: scale, data: sources, registry: Reslens.registry)
    // A study of one's own does not take the place of the paper's index.
    let place = "reproduction/" + (isOfFiles ? chosen[0].name : scale.rawValue)
    let folder = StudyFolder(URL(filePath: out ?? place).standardizedFileURL)
    let terminal = Terminal()
    if list { return print(try StudyList(reproduction, folder, sources, device.use()).text(terminal)) }
    try folder.check(for: reproduction.runs)
    for path in adopt {
      let adopted = try folder.adopt(RunFolder(URL(filePath: path)), as: reproduction.runs) { run in
        let dataset = try sources.load(run.configuration.data)
        return (dataset.train.count, dataset.validation.count)
      }
      terminal.note(
        adopted.map { "\(path) is now \($0.folderName)" } ?? "note: \(path) was not adopted: the run is there already")
    }
    let isDone = try launching.launch(
      reproduction.runs, in: folder, sources, device, threads: threads.threads, terminal)
    guard isDone else { return }
    let failed = try StudyPages(reproduction, folder, sources, try presentation.presentation()).write(terminal)
    print(folder.url.appending(path: StudyReport.index).path)
    guard failed.isEmpty else {
      terminal.note("not at their end: \(failed.joined(separator: ", "))")
      throw ExitCode.failure
    }
  }

  /// - Throws: `FileError` for a name that is none, or a file that cannot be read.
  private static func find(_ name: String) throws -> [Study] {
    if name == "all" { return Study.paper }
    if let study = Study.paper.first(where: { $0.name == name }) { return [study] }
    guard name.hasSuffix(".yaml") || name.hasSuffix(".yml") else {
      throw FileError(
        path: name, problem: "there is no study of this name\(didYouMean(name, among: Study.paper.map(\.name)))",
        remedy: "there are \(Study.paper.map(\.name).joined(separator: ", ")), all of them as \"all\", and YAML files")
    }
    let study = try YAML.read(Study.self, from: URL(filePath: name))
    if Study.paper.contains(where: { $0.name == study.name }) || study.name == "index" {
      throw FileError(
        path: name, problem: "name: \"\(study.name)\" is taken", remedy: "give the study another name")
    }
    return [study]
  }

  /// Each once, where one was named and is among all too.
  private static func distinct(_ studies: [Study]) throws -> [Study] {
    var distinct: [Study] = []
    for study in studies where !distinct.contains(study) {
      guard !distinct.contains(where: { $0.name == study.name }) else {
        throw ValidationError("two studies are called \(study.name)")
      }
      distinct.append(study)
    }
    return distinct
  }
}
