import ArgumentParser
import Foundation
import Host
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import Training

struct MeasureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure",
    abstract: "Measures what every step of a trained network does.",
    discussion: """
      Writes measures.json into the run folder and prints a table. Always in float32, with the running statistics.

      For example: reslens measure runs/first --samples 2000
      """)

  @Argument(help: ArgumentHelp("A run folder.", valueName: "run"))
  var path: String

  @Option(help: ArgumentHelp("Other data than the run's.", valueName: "source"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "The first so many samples of each split, in file order; all where it is left out.", valueName: "n"))
  var samples: Int?

  @Option(help: ArgumentHelp("Samples a pass; more take more memory.", valueName: "n"))
  var batch = 128

  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    if let samples, samples < 1 { throw ValidationError("--samples \(samples): at least one is needed") }
    if !(1...100_000).contains(batch) { throw ValidationError("--batch \(batch) is not between 1 and 100000") }
  }

  func run() throws {
    try threads.apply()
    let folder = RunFolder(URL(filePath: path))
    let configuration = try folder.configuration()
    let (network, checkpoint) = try newestNetwork(folder, configuration)
    let source = data ?? configuration.data
    let dataset = try ImageDataset.load(source)
    var fitting = configuration
    (fitting.data, fitting.trainSamples, fitting.validationSamples) = (source, samples, samples)
    try fitting.check(against: dataset)
    let terminal = Terminal()
    // Other data are normalised as the network is used to.
    let maker = BatchMaker(statistics: configuration.statistics ?? dataset.statistics)
    let splits = try [dataset.train, dataset.validation].enumerated().map { index, set in
      let part = Samples(set, count: samples, batch: batch, maker: maker)
      return try MainMeasures(network, part) {
        terminal.progress($0, of: part.count, "samples of the \(index == 0 ? "train" : "validation") set")
      }
    }
    terminal.clear()
    let results = MeasureResults(
      run: folder.name, architecture: network.architecture.name, checkpoint: checkpoint, data: source,
      steps: network.architecture.steps.count, measures: MainMeasures.results(train: splits[0], validation: splits[1]))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try Files.write(encoder.encode(results), to: folder.measuresFile)
    print(Self.summary(results))
    terminal.note("written to \(folder.measuresFile.path); see it with: reslens report \(path)")
  }

  /// The network of the newest checkpoint, and the checkpoint's name.
  private func newestNetwork(
    _ folder: RunFolder, _ configuration: RunConfiguration
  ) throws -> (ResidualNetwork, String) {
    guard let checkpoint = folder.latestCheckpoint() else {
      throw FileError(
        path: path, problem: "there is no checkpoint in this run yet",
        remedy: "let it train for an epoch: reslens train --resume --out \(path)")
    }
    do {
      return (try checkpoint.network(expecting: configuration.architecture), checkpoint.url.lastPathComponent)
    } catch  where folder.latestCheckpoint()?.url != checkpoint.url {
      // The run is being trained, and a newer checkpoint has just taken this one's place.
      return try newestNetwork(folder, configuration)
    }
  }

  /// The validation means, a row a step.
  static func summary(_ results: MeasureResults) -> String {
    let measures = results.measures
    func means(_ statistics: [StepStatistic]) -> [StepName: Double] {
      Dictionary(uniqueKeysWithValues: statistics.map { ($0.name, $0.mean) })
    }
    let cosine = means(measures.cosineLoss.backpropagated.validation)
    let plugged = means(measures.cosineLoss.plugged.validation)
    let ratio = means(measures.l2Ratio.validation)
    let here = Dictionary(uniqueKeysWithValues: measures.intermediate.validation.map { ($0.name, $0.score.accuracy) })
    let rows = measures.droppedStep.validation.map { dropped in
      let name = dropped.name
      return ["\(name.step)\(name.projection ? " (projection)" : "")"]
        + [cosine[name], plugged[name], ratio[name]].map { $0.map { fixed($0, 4) } ?? "–" }
        + [percent(dropped.score.accuracy), here[name].map(percent) ?? "–"]
    }
    let header = ["step", "cosine loss", "plugged", "ℓ2 ratio", "accuracy without", "accuracy here"]
    let baseline = measures.droppedStep.baseline.validation
    return table([header] + rows)
      + "\nvalidation, n = \(baseline.count); the whole network: accuracy \(percent(baseline.accuracy)), "
      + "loss \(fixed(baseline.loss, 4))"
  }
}
