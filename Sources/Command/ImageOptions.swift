import ArgumentParser
import ResLensRuns
import ResLensTorch
import ResLensTraining

/// The options of the commands that work on a trained run: on which images, on how many, and how many at a time.
struct ImageOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The data to work on. (default: the run's)", valueName: "source"))
  var data: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Number of images of each split to measure, in file order; with exits and prune, of validation images to score. \
      (default: all that the run was trained or scored on; all of other data)
      """, valueName: "n"))
  var samples: Int?

  @Option(
    parsing: .unconditional, help: ArgumentHelp("Images in each pass. More images need more memory.", valueName: "n"))
  var batch = 128

  func validate() throws {
    try Self.requireAtLeastOne(["samples": samples])
    if !(1...100_000).contains(batch) { throw ValidationError("--batch \(batch) is not between 1 and 100000") }
  }

  /// The images of both splits, as many of each as `--samples` says.
  func images(of configuration: RunConfiguration, on device: Device) throws -> RunMeasuring.Data {
    try RunMeasuring.Data(of: configuration, named: data, samples: samples, batch: batch, on: device)
  }

  /// All train images, and as many validation images as `--samples` says. A command takes its own number of train images.
  func imagesToScore(of configuration: RunConfiguration, on device: Device) throws -> RunMeasuring.Data {
    var images = try RunMeasuring.Data(of: configuration, named: data, batch: batch, on: device)
    try Self.asking { try images.limitValidation(to: samples) }
    return images
  }
}

extension ParsableArguments {
  /// - Parameter counts: the values of options by the options' names; nil for those that were not given
  /// - Throws: `ValidationError` where one is less than 1.
  static func requireAtLeastOne(_ counts: KeyValuePairs<String, Int?>) throws {
    for case (let name, let count?) in counts where count < 1 {
      throw ValidationError("--\(name) \(count): at least one is needed")
    }
  }
}
