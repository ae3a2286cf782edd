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
    guard let checkpoint = folder.latestCheckpoint() else {
      throw FileError(
        path: path, problem: "there is no checkpoint in this run yet",
        remedy: "let it train for an epoch: reslens train --resume --out \(path)")
    }
    let network = try checkpoint.network(expecting: configuration.architecture)
    let source = data ?? configuration.data
    let dataset = try ImageDataset.load(source)
    var fitting = configuration
    (fitting.data, fitting.trainSamples, fitting.validationSamples) = (source, samples, samples)
    try fitting.check(against: dataset)
    let terminal = Terminal()
    let maker = BatchMaker(statistics: dataset.statistics)
    let splits = try [dataset.train, dataset.validation].enumerated().map { index, set in
      let part = Samples(set, count: samples, batch: batch, maker: maker)
      return try MainMeasures(network, part) {
        terminal.progress($0, of: part.count, "samples of the \(index == 0 ? "train" : "validation") set")
      }
    }
    terminal.clear()
    let results = MeasureResults(
      run: folder.name, architecture: network.architecture.name, data: dataset.name,
      steps: network.architecture.steps.count, measures: MainMeasures.results(train: splits[0], validation: splits[1]))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try Files.write(encoder.encode(results), to: folder.measuresFile)
    print(Self.summary(results))
    terminal.note("written to \(folder.measuresFile.path); see it with: reslens report \(path)")
  }

  /// The validation means, a row a step.
  static func summary(_ results: MeasureResults) -> String {
    let measures = results.measures
    let plugged = Dictionary(uniqueKeysWithValues: measures.cosineLoss.plugged.validation.map { ($0.name, $0.mean) })
    let head = Dictionary(uniqueKeysWithValues: measures.intermediate.validation.map { ($0.name, $0.score.accuracy) })
    let rows = zip(
      measures.cosineLoss.backpropagated.validation, zip(measures.l2Ratio.validation, measures.droppedStep.validation)
    ).map { cosine, others in
      [
        "\(cosine.name.step)\(cosine.name.projection ? " (projection)" : "")", fixed(cosine.mean, 4),
        plugged[cosine.name].map { fixed($0, 4) } ?? "–", fixed(others.0.mean, 4),
        percent(others.1.score.accuracy), head[cosine.name].map(percent) ?? "–",
      ]
    }
    let header = ["step", "cosine loss", "plugged", "ℓ2 ratio", "accuracy without", "accuracy here"]
    let baseline = measures.droppedStep.baseline.validation
    return table([header] + rows)
      + "\nvalidation, n = \(baseline.count); the whole network: accuracy \(percent(baseline.accuracy)), loss \(fixed(baseline.loss, 4))"
  }
}
