import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import ResLensTraining

extension Precision: ExpressibleByArgument {}

/// The options of every command that trains: on what, and how.
struct TrainingArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp("\(ImageDataset.sourceForms).", valueName: "source"),
    completion: .directory)
  var data: String?

  @Option(
    help: ArgumentHelp("paper, paper-likely, quick, or a YAML file. (default: quick)", valueName: "name|file"),
    completion: .recipes)
  var recipe: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Number of epochs. (default: the recipe's)", valueName: "n"))
  var epochs: Int?

  @Option(
    parsing: .unconditional, help: ArgumentHelp("Number of images in a batch. (default: the recipe's)", valueName: "n"))
  var batch: Int?

  @Option(help: ArgumentHelp("fp32, or bf16 for bfloat16 activations. (default: fp32)", valueName: "type"))
  var precision: Precision?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Number of training images, taken from the beginning. (default: all)", valueName: "n"))
  var trainSamples: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Number of validation images, taken from the beginning. (default: all)", valueName: "n"))
  var validationSamples: Int?

  @Option(
    help: ArgumentHelp(
      """
      Records measures at initialisation and after every n-th epoch, on the first samples of both splits; for instance \
      every=1,samples=2000 or every=5,samples=1000,dropped-step,first-order. batch-norm=batch normalises by each batch's own \
      statistics, as is always done at initialisation. (default of names: \
      \(MeasureSchedule.standard.joined(separator: ",")))
      """, valueName: "every=n,samples=n[,batch-norm=s][,names]"))
  var measure: String?

  /// The data to train on.
  /// - Parameter base: the configuration whose data are used where `--data` is not given
  /// - Throws: `ValidationError` where nothing says it.
  func source(base: RunConfiguration? = nil) throws -> String {
    guard let source = data ?? base?.data else {
      throw ValidationError("--data is missing: \(ImageDataset.sourceForms)")
    }
    return try ImageDataset.wholeName(of: source)
  }

  /// The configuration from the options, with the values of `base` for options that were not given.
  /// - Parameters:
  ///   - keepsLength: true if `base` also sets the epochs and the batch of a recipe that an option names
  ///   - statistics: the statistics that inputs are normalised by where weights are given; nil for the train set's
  func configuration(
    _ architecture: Architecture, _ dataset: ImageDataset, source: String, seed: UInt64?,
    base: RunConfiguration? = nil, keepsLength: Bool = false, statistics: ChannelStatistics? = nil
  ) throws -> RunConfiguration {
    var recipe =
      try recipe.map { try Recipe.find($0, for: architecture) } ?? base?.recipe ?? .find("quick", for: architecture)
    let kept = keepsLength ? base?.recipe : nil
    if let epochs = epochs ?? kept?.epochs { recipe.epochs = epochs }
    if let batch = batch ?? kept?.batch { recipe.batch = batch }
    if let problem = recipe.problem { throw ValidationError(problem) }
    // Only a network that was trained elsewhere has no epochs.
    if recipe.epochs == 0 { throw ValidationError("epochs: 0 is not between 1 and 99999") }
    var configuration = RunConfiguration(
      architecture: architecture, data: source, trainSamples: trainSamples ?? base?.trainSamples,
      validationSamples: validationSamples ?? base?.validationSamples, recipe: recipe,
      seed: seed ?? base?.seed ?? 0, precision: precision ?? base?.precision ?? .fp32)
    try configuration.setStatistics(statistics, trainingOn: dataset)
    configuration.measure = try measure.map { try MeasureSchedule(parsing: $0) } ?? base?.measure
    return configuration
  }
}
