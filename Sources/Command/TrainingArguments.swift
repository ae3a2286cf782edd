import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensTorch
import ResLensTraining

enum Precision: String, ExpressibleByArgument, CaseIterable {
  case fp32, bf16
  var type: ElementType { self == .fp32 ? .float32 : .bfloat16 }
}

/// The options of every command that trains: on what, and how.
struct TrainingArguments: ParsableArguments {
  @Option(help: ArgumentHelp("synthetic, synthetic:SEED, or a folder or archive of CIFAR.", valueName: "source"))
  var data: String?

  @Option(help: ArgumentHelp("paper, paper-likely, quick, or a YAML file. (default: quick)", valueName: "name|file"))
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
  /// - Throws: `ValidationError` where nothing says it.
  func source(stored: RunConfiguration? = nil) throws -> String {
    guard let source = data ?? stored?.data else {
      throw ValidationError("--data is missing: \"synthetic\", or a folder or archive of CIFAR")
    }
    return try ImageDataset.wholeName(of: source)
  }

  /// The configuration from the options, with a stored run's values for those that were not given.
  func configuration(
    _ architecture: Architecture, _ dataset: ImageDataset, source: String, seed: UInt64?,
    stored: RunConfiguration? = nil
  ) throws -> RunConfiguration {
    var recipe =
      try recipe.map { try Recipe.find($0, for: architecture) } ?? stored?.recipe ?? .find("quick", for: architecture)
    // A run that is resumed keeps what --epochs and --batch made of its recipe, also where that is named again.
    if let epochs = epochs ?? stored?.recipe.epochs { recipe.epochs = epochs }
    if let batch = batch ?? stored?.recipe.batch { recipe.batch = batch }
    if let problem = recipe.problem { throw ValidationError(problem) }
    var configuration = RunConfiguration(
      architecture: architecture, data: source, trainSamples: trainSamples ?? stored?.trainSamples,
      validationSamples: validationSamples ?? stored?.validationSamples, recipe: recipe,
      seed: seed ?? stored?.seed ?? 0, precision: precision?.type ?? stored?.precision ?? .float32)
    configuration.statistics = dataset.statistics
    configuration.measure = try measure.map { try MeasureSchedule(parsing: $0) } ?? stored?.measure
    if let stored, let field = configuration.firstDifference(from: stored) {
      throw ValidationError(
        "--resume continues the run as it was, but \(field) differs; leave the option out, or train into "
          + "another folder")
    }
    return configuration
  }
}
