import ArgumentParser
import Foundation
import Host
import ImageDatasets
import IterativeInference
import Reports
import ResidualNetworks
import Results
import Training

struct ProbeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe",
    abstract: "Shows the norms of activations and gradients in networks at initialisation.",
    discussion: """
      Nothing is trained. Each model runs one forward and one backward pass with the batch's own statistics, as in the \
      first training step. The command prints the norm of h along the network, and the ratio of the gradient's norms \
      at the first block of the first stage and at the first block of the last stage (§4.5, Fig. 8).

      For example:
        reslens probe resnet-110 resnet-110-shared resnet-110-ubn
        reslens probe resnet-110-ablation --seeds 0,1,2,3 --out ablation.html
      """)

  @Argument(
    help: ArgumentHelp(
      "Names or YAML files; with the suffix -ablation, the eight networks of Fig. 9.", valueName: "model"))
  var models: [String]

  @Option(help: ArgumentHelp("synthetic, synthetic:SEED, or a folder or archive of CIFAR.", valueName: "source"))
  var data = "synthetic"

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Number of samples of each split, taken from its beginning, in one batch.", valueName: "n"))
  var samples = 128

  @OptionGroup var seeds: SeedArguments

  @Option(help: "Statistics of the batch normalisations: each batch's own (training) or the running ones (evaluation).")
  var mode = MeasureMode.training

  @Option(help: ArgumentHelp("Writes a page with figures.", valueName: "file.html"))
  var out: String?

  @Flag(help: "Prints every step of every model as JSON.")
  var json = false

  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    if models.isEmpty { throw ValidationError("name at least one model, such as resnet-110-ubn") }
    if let out { try check(out, endsWith: "html") }
    if samples < 2 { throw ValidationError("--samples \(samples): at least two are needed to be normalised") }
  }

  func run() throws {
    try threads.apply()
    let dataset = try ImageDataset.load(data)
    let architectures = try Architecture.findAll(models, fitting: dataset)
    for architecture in architectures {
      try RunConfiguration(
        architecture: architecture, data: data, trainSamples: samples, validationSamples: samples,
        recipe: .find("quick", for: architecture)
      ).check(against: dataset)
    }
    let terminal = Terminal()
    var probed: [Probed] = []
    let seeds = try seeds.list()
    for architecture in architectures {
      for seed in seeds {
        terminal.progress(probed.count, of: architectures.count * seeds.count, architecture.name)
        probed.append(
          Probed(architecture: architecture, seed: seed, results: try probe(architecture, seed: seed, dataset)))
      }
    }
    terminal.clear()
    print(
      json
        ? String(decoding: try JSON.encode(probed.map(\.results), pretty: true), as: UTF8.self) : table(probed, dataset)
    )
    guard let out else { return }
    let page = URL(filePath: out)
    try Files.makeFolder(page.deletingLastPathComponent())
    let report = Reports.Report(
      title: "Activations and gradients at initialisation", runs: probed.map { reported($0, dataset) })
    for note in try report.write(to: page, gnuplot: .find()) { terminal.note("note: \(note)") }
    terminal.note("see it in \(page.path)")
  }

  private struct Probed {
    var architecture: Architecture
    var seed: UInt64
    var results: MeasureResults
  }

  private func probe(_ architecture: Architecture, seed: UInt64, _ dataset: ImageDataset) throws -> MeasureResults {
    let network = try ResidualNetwork(architecture, seed: seed)
    let maker = try BatchMaker(statistics: dataset.statistics)
    var options = MeasureOptions(names: [.activationNorm, .gradientNorm])
    options.mode = mode
    let train = try Samples(dataset.train, count: samples, batch: samples, maker: maker)
    let validation = try Samples(dataset.validation, count: samples, batch: samples, maker: maker)
    let suite = try MeasureSuite(network, options, train: train, validation: validation)
    let (measures, absent, _) = try suite.run()
    return try MeasureResults(
      run: "\(architecture.name)-seed-\(seed)", architecture: architecture.name, checkpoint: "initialisation", epoch: 0,
      data: data, samples: .init(train: samples, validation: samples), steps: architecture.steps.count, mode: mode,
      batch: mode == .training ? samples : nil,
      provenance: Provenance(
        of: network, images: Provenance.fingerprints(of: train, validation), statistics: dataset.statistics,
        isOwnData: true, program: Program.version), measures: measures, absent: absent)
  }

  private func reported(_ probed: Probed, _ dataset: ImageDataset) -> ReportedRun {
    var run = ReportedRun(
      untrained: probed.results,
      facts: probed.architecture.facts + [
        Fact("data", "\(dataset.name), the first \(samples) train and validation images, a batch each"),
        Fact("seed", "\(probed.seed)"), Fact("mode", mode.rawValue),
      ])
    run.group = probed.architecture.name
    return run
  }

  /// A row a model: ‖h‖ before the first step and after each stage, and the gradient where each stage begins.
  private func table(_ probed: [Probed], _ dataset: ImageDataset) -> String {
    typealias Value = (MeasureResults.Measures) -> Double?
    let stages = 0..<(probed.map(\.architecture.stages.count).max() ?? 0)
    var columns: [(head: String, value: Value)] = [("‖h_0‖", { $0.activationNorm?.train.start.mean })]
    columns += stages.map { stage in
      ("‖h‖ after stage \(stage)", { $0.activationNorm?.train.steps.last { $0.name.stage == stage }?.mean })
    }
    columns += stages.map { stage in
      ("‖∂L/∂h‖ at stage \(stage)", { $0.gradientNorm?.train.steps.first { $0.name.stage == stage }?.mean })
    }
    columns.append(("ratio", { $0.gradientNorm?.train.ratio?.mean }))
    var names: [String] = []
    for name in probed.map(\.architecture.name) where !names.contains(name) { names.append(name) }
    let rows = names.map { name in
      let models = probed.filter { $0.architecture.name == name }
      return [name]
        + columns.map { column in
          SeedStatistic(models.compactMap { column.value($0.results.measures) }).text
        }
    }
    return reslens.table([["model"] + columns.map(\.head)] + rows)
      + "\nat initialisation, \(mode.rawValue) mode, the first \(samples) train images of \(dataset.name) in one batch; "
      + "means over samples"
      + (rows.count < probed.count ? ", and over seeds ± one standard deviation (n − 1)" : "")
      + ";\nratio: the gradient's norm at the first block of the first stage over that at the first block of the last"
      + (isAblation(probed) ? "\n" + Self.beforeTheFirstStep : "")
  }

  /// Whether there are networks that differ only in what shows later.
  private func isAblation(_ probed: [Probed]) -> Bool {
    mode == .training
      && Set(probed.flatMap(\.architecture.stages).compactMap(\.sharing)).contains {
        $0.unsharedStatistics != $0.unsharedAffine
      }
  }

  private static let beforeTheFirstStep =
    "unshared statistics, γ and β change nothing before the first step: all uses' are equal, and batches have their own; "
    + "they show while training (reslens study)"
}
