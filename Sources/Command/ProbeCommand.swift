import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensReports
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensTraining

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
        reslens probe resnet-110-ablation --seeds 0-3 --out ablation.html
      """)

  @Argument(
    help: ArgumentHelp(
      "Names or YAML files; with the suffix -ablation, the eight networks of Fig. 9.", valueName: "model"),
    completion: .models)
  var models: [String]

  @Option(help: ArgumentHelp("\(ImageDataset.sourceForms).", valueName: "source"))
  var data = "synthetic"

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Number of samples of each split, taken from its beginning, in one batch.", valueName: "n"))
  var samples = 128

  @OptionGroup var seeds: SeedArguments

  @Option(help: "Statistics of the batch normalisations: each batch's own (batch) or the running ones (running).")
  var batchNorm = BatchNormStatistics.batch

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
        ? String(decoding: try JSON.encode(probed.map(\.results), pretty: true), as: UTF8.self)
        : try table(probed, dataset)
    )
    guard let out else { return }
    let page = URL(filePath: out)
    try Files.makeFolder(page.deletingLastPathComponent())
    let report = ResLensReports.Report(
      title: "Activations and gradients at initialisation", runs: probed.map { reported($0, dataset) },
      measures: Reslens.registry.descriptions)
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
    var options = MeasureOptions(names: [ActivationNorm.description.name, GradientNorm.description.name])
    options.way = MeasuringWay(by: batchNorm)
    let train = try Samples(dataset.train, count: samples, batch: samples, maker: maker)
    let validation = try Samples(dataset.validation, count: samples, batch: samples, maker: maker)
    let found = try MeasureSuite(network, options, train: train, validation: validation).run()
    return try MeasureResults(
      run: "\(architecture.name)-seed-\(seed)", architecture: architecture.name, checkpoint: "initialisation", epoch: 0,
      data: data, batchNorm: batchNorm, batch: batchNorm == .batch ? samples : nil,
      provenance: Provenance(weights: network.fingerprint(), statistics: dataset.statistics, isOwnData: true),
      samplings: MeasureResults.Sampling.now(train: train, validation: validation, program: ResLensVersion.number),
      steps: architecture.steps, tables: found.tables, absent: found.absent)
  }

  private func reported(_ probed: Probed, _ dataset: ImageDataset) -> ReportedRun {
    var run = ReportedRun(
      untrained: probed.results,
      facts: probed.architecture.facts + [
        Fact("data", "\(dataset.name), the first \(samples) train and validation images, a batch each"),
        Fact("seed", "\(probed.seed)"),
        Fact("batch normalisation", "by the \(batchNorm == .batch ? "batch's own" : "running") statistics"),
      ])
    run.group = probed.architecture.name
    return run
  }

  /// A row a model: ‖h‖ before the first step and after each stage, and the gradient where each stage begins.
  private func table(_ probed: [Probed], _ dataset: ImageDataset) throws -> String {
    typealias Value = (MeasuredTables) throws -> Double?
    /// The mean of one step on train samples.
    func mean(_ measure: any Measure.Type, _ isMeant: @escaping (StepSpec?) -> Bool, last: Bool = false) -> Value {
      { tables in
        let rows = try tables.rows(of: StepStatistic.self, in: measure.description.name, .train)
          .filter { isMeant(tables.step($0.step)) }
        return (last ? rows.last : rows.first)?.mean
      }
    }
    let stages = 0..<(probed.map(\.architecture.stages.count).max() ?? 0)
    // The ratio stays where a terminal is too narrow for all; the norms between the stages go first.
    var columns: [(head: [String], rank: Int, value: Value)] = [
      (["‖h‖", "start"], 1, mean(ActivationNorm.self) { $0 == nil })
    ]
    columns += stages.map { stage in
      (["‖h‖", "after \(stage)"], 2, mean(ActivationNorm.self, { $0?.stage == stage }, last: true))
    }
    columns += stages.map { stage in
      (["‖∂L/∂h‖", "at \(stage)"], 1, mean(GradientNorm.self) { $0?.stage == stage })
    }
    columns.append((["‖∂L/∂h‖", "ratio"], 0, { try GradientNorm.ratio($0, .train) }))
    var names: [String] = []
    for name in probed.map(\.architecture.name) where !names.contains(name) { names.append(name) }
    var table = TextTable(columns: [.init("model", cells: names)])
    for (head, rank, value) in columns {
      var column = TextTable.Column(
        "",
        cells: try names.map { name in
          let models = probed.filter { $0.architecture.name == name }
          return SeedStatistic(try models.compactMap { try value($0.results.widest) }).text
        })
      (column.head, column.rank) = (head, rank)
      table.columns.append(column)
    }
    let statistics = batchNorm == .batch ? "the batch's own" : "running"
    let isOverSeeds = names.count < probed.count
    return table.text() + "\n"
      + wrapped(
        "At initialisation, by \(statistics) statistics, the first \(samples) train images of \(dataset.name) in one batch; "
          + "means over samples"
          + (isOverSeeds ? ", and over seeds ± one standard deviation (n − 1)" : "")
          + ". Numbers behind \"after\" and \"at\" are stages. Ratio: the gradient's norm at the first block of the first "
          + "stage over that at the first block of the last."
          + (isAblation(probed) ? "\n" + Self.beforeTheFirstStep : ""))
  }

  /// True if there are networks that differ only in what shows later.
  private func isAblation(_ probed: [Probed]) -> Bool {
    batchNorm == .batch
      && Set(probed.flatMap(\.architecture.stages).compactMap(\.sharing)).contains {
        $0.unsharedStatistics != $0.unsharedAffine
      }
  }

  private static let beforeTheFirstStep =
    "Unshared statistics, γ and β change nothing before the first step: all uses' are equal, and batches have their own. "
    + "They show while training (reslens study)."
}
