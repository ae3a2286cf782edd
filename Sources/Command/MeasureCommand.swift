import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensTorch
import ResLensTraining

struct MeasureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure",
    abstract: "Measures what every step of a trained network does.",
    discussion: """
      Writes measures.json to the run folder and prints tables. All measures are computed in float32. Results of \
      earlier calls on the same weights and data stay, those on other numbers of samples beside the new ones; a call \
      that would discard results needs --replace. Results of --batch-norm batch are written to measures-batch.json, \
      those of --lens to measures-linear.json and measures-affine.json, and those of --recalibrate to \
      measures-recalibrated.json.

      The tables of measures.json are tidy: key columns, then values. --csv writes each as a CSV file, which pandas reads \
      by pandas.read_csv("DIR/intermediate.csv").

      For example:
        reslens measure runs/first --samples 2000
        reslens measure runs/first --measures all
        reslens measure runs/* --samples 2000
        reslens measure runs/first --measures borderline --list-borderline borderline.csv
        reslens measure runs/first --unroll 20 --scale auto --recalibrate 16
        reslens measure runs/first --lens affine --measures borderline,first-order
        reslens measure runs/first --csv runs/first/tables
        reslens measure runs/first --per-sample samples.csv
      """)

  @Argument(
    help: ArgumentHelp(
      "Run folders, or folders of studies. Their runs are measured one after the other; one that fails does not stop the others.",
      valueName: "run"),
    completion: .directory)
  var folders: [String]

  /// The folders of the runs.
  private var paths: [String] { folders.flatMap(RunFolder.paths) }

  @Option(help: ArgumentHelp("Writes each table of the results as a CSV file into this folder.", valueName: "dir"))
  var csv: String?

  @Option(
    help: ArgumentHelp(
      "Writes what the measures are for each sample, in file order, to this CSV or safetensors file.",
      valueName: "file.csv|file.safetensors"))
  var perSample: String?

  @Flag(help: "Replaces earlier results of another network, or by other settings.")
  var replace = false

  @OptionGroup var arguments: MeasureArguments
  @OptionGroup var images: ImageOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    if paths.isEmpty { throw ValidationError("name at least one run") }
    if paths.count > 1,
      let option = csv.map({ _ in "--csv" }) ?? perSample.map({ _ in "--per-sample" })
        ?? arguments.listBorderline.map({ _ in "--list-borderline" })
    {
      throw ValidationError("\(option) is for one run, as the next one would overwrite its files")
    }
    if let perSample, !perSample.hasSuffix(".csv"), !perSample.hasSuffix(".safetensors") {
      throw ValidationError("--per-sample \(perSample): name a file that ends in .csv or .safetensors")
    }
    _ = try arguments.recalibrated(arguments.options())
  }

  func run() throws {
    try threads.apply()
    let group = try LaunchedProcess.join()
    let device = try device.use(by: group, exchangesTensors: false)
    let terminal = Terminal()
    terminal.isQuiet = !group.isFirst
    Interrupt.listen(
      answer: group.isFirst ? "stopping after this batch; what is not written yet of this run is lost" : nil)
    Interrupt.parent = LaunchedProcess.parent
    let paths = paths
    try SeveralRuns(names: paths, terminal: terminal, group: group).each { index, _ in
      try measure(paths[index], on: device, by: group, terminal)
    }
  }

  private func measure(_ path: String, on device: Device, by group: ProcessGroup?, _ terminal: Terminal) throws {
    var options = try arguments.options()
    let folder = RunFolder(URL(filePath: path))
    let configuration = try folder.configuration()
    let run = try RunMeasuring(
      folder, expecting: configuration.architecture, on: device, registry: Reslens.registry, by: group)
    if arguments.asksToUnroll && options.unrolling.step == nil {
      options.unrolling.step = run.network.architecture.steps.count
    }
    let images = try images.images(of: configuration, on: device)
    if let asked = arguments.lesionSamples, asked > images.validation.count {
      throw ValidationError("--lesion-samples \(asked): there are \(images.validation.count) validation samples")
    }
    if let csv { try Files.makeFolder(URL(filePath: csv)) }
    for file in [arguments.listBorderline, perSample].compactMap({ $0 }) {
      try Self.checkFolder(of: URL(filePath: file))
    }
    images.noteUntrained(terminal)
    var listed = BorderlineList(classNames: images.classNames)
    var values = PerSampleValues()
    let prepared = [
      try run.prepared(
        options, on: images, replaces: replace,
        listBorderline: arguments.listBorderline.map { _ in { listed.add($1, of: $0) } },
        perSample: perSample.map { _ in { values.add($2, of: $1, $0) } }, note: terminal.note),
      try arguments.recalibrated(options).map {
        try run.prepared($0, on: images, replaces: replace, note: terminal.note)
      },
    ].compactMap { $0 }
    if paths.count > 1, group.isFirst { print("\(path)\n") }
    for (index, measures) in prepared.enumerated() {
      let found = try measures.run { phase, done, count in
        if Interrupt.received { throw ExitCode(Interrupt.exitCode) }
        terminal.progress(done, of: count, phase.rawValue)
      }
      terminal.clear()
      guard group.isFirst else { continue }
      print((index > 0 ? "\n" : "") + (try MeasureSummary(found, Reslens.registry.descriptions).text()))
      let hint = found.way == .batchStatistics ? "" : "; see it with: reslens report \(path.shellQuoted)"
      terminal.note("written to \(measures.file.path)\(hint)")
      // Lists of samples are of the first time, by the trained statistics.
      if index == 0 { try writeLists(listed, values, terminal) }
      guard let csv, let all = try folder.measures(found.way) else { continue }
      let count = try all.writeCSV(to: URL(filePath: csv), describedBy: Reslens.registry.descriptions)
      terminal.note("\(count) tables written to \(csv)")
    }
    if paths.count > 1, group.isFirst { print("") }
  }

  /// Writes the borderline examples and the values of each sample to the files that were asked for.
  private func writeLists(_ listed: BorderlineList, _ values: PerSampleValues, _ terminal: Terminal) throws {
    if let file = arguments.listBorderline {
      try Files.write(listed.csv, to: URL(filePath: file))
      terminal.note("\(listed.count) borderline examples listed in \(file)")
    }
    if let perSample {
      let url = URL(filePath: perSample)
      if perSample.hasSuffix(".csv") {
        try Files.write(values.csv, to: url)
      } else {
        try values.tensors().write(to: url)
      }
      terminal.note("values of each sample written to \(perSample)")
    }
  }

  /// - Throws: `FileError` where a file could not be written for want of its folder, before hours of measuring.
  private static func checkFolder(of file: URL) throws {
    let folder = file.deletingLastPathComponent()
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder.boolValue else {
      throw FileError(path: file.path, problem: "its folder does not exist", remedy: "make it, or name another file")
    }
    if FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), isFolder.boolValue {
      throw FileError(path: file.path, problem: "it is a folder", remedy: "name a file in it")
    }
  }
}

/// The table of borderline examples.
struct BorderlineList {
  let classNames: [String]
  private(set) var count = 0
  private(set) var csv = "split,index,class,margin,right_at_reference,right_at_end,flipped_by\n"

  init(classNames: [String]) { self.classNames = classNames }

  mutating func add(_ example: BorderlineExample, of split: Split) {
    count += 1
    let flips = example.flippedBy.map { String($0) }.joined(separator: " ")
    csv +=
      "\(split.rawValue),\(example.index),\(classNames[example.label].csvField),\(example.margin),"
      + "\(example.isRightAtReference ? 1 : 0),\(example.isRightAtEnd ? 1 : 0),\(flips)\n"
  }
}
