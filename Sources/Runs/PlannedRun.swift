import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensTorch
import ResLensTraining

/// A training of one or more studies, and what is to be measured in the trained network.
public struct PlannedRun: Codable, Hashable, Sendable, Checked {
  /// The name of the run's folder; nil where it follows from the configuration that the run's numbers depend on.
  public var name: String?
  /// The training.
  public var configuration: RunConfiguration
  /// The data set's own name.
  public var dataset: String
  /// The measures to take after training.
  public var measurement: Measurement

  /// The measures to take after the last epoch.
  public struct Measurement: Codable, Hashable, Sendable {
    /// The names of the measures, in order.
    public var names: [String]
    /// The first so many samples of each set.
    public var samples: Int
    /// The number of steps that an unrolling adds.
    public var unroll: Int
    /// α of the added steps; chosen on train data where it is nil.
    public var scale: Double?
    /// The number of train batches on which the added steps' statistics are taken anew; nil to use the block's own.
    public var recalibrate: Int?

    public init(names: [String], samples: Int, unroll: Int, scale: Double? = nil, recalibrate: Int? = nil) {
      (self.names, self.samples, self.unroll) = (names, samples, unroll)
      (self.scale, self.recalibrate) = (scale, recalibrate)
    }

    /// No measures besides those that are recorded during training.
    public static let none = Measurement(names: [], samples: 0, unroll: 0)

    /// The options with which a suite takes the measures.
    public var options: MeasureOptions {
      var options = MeasureOptions(names: Set(names))
      options.unrolling.times = unroll
      if let scale { options.unrolling.scale = .given(scale) }
      options.recalibrationBatches = recalibrate
      options.lesions.samples = min(options.lesions.samples ?? samples, samples)
      return options
    }
  }

  public init(
    name: String? = nil, configuration: RunConfiguration, dataset: String, measurement: Measurement = .none
  ) {
    self.name = name
    self.configuration = configuration
    self.dataset = dataset
    self.measurement = measurement
  }

  /// The first value that cannot be, and why; nil where all can be.
  public var problem: String? {
    if let problem = configuration.problem { return "configuration.\(problem)" }
    // The name is that of a folder inside the study's.
    if name?.contains("/") == true || name?.hasPrefix(".") == true || name?.isEmpty == true {
      return "name: \"\(name ?? "")\" cannot be the name of a folder"
    }
    let isMeasured = !measurement.names.isEmpty
    if isMeasured, measurement.samples < 1 { return "measurement.samples: \(measurement.samples) is not at least 1" }
    if isMeasured, !(1...100_000).contains(measurement.unroll) {
      return "measurement.unroll: \(measurement.unroll) is not between 1 and 100000"
    }
    return measurement.scale.flatMap(MeasureOptions.Scale.problem).map { "measurement.scale: \($0)" }
  }

  /// The name of the run's folder: `name`, or the network, data and seed with a hash of everything that the run's numbers
  /// depend on, by which the run is found again. The images' statistics are part of that; the place of the data is not.
  public var folderName: String {
    if let name { return name }
    var identity = configuration
    identity.data = dataset
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let text = (try? encoder.encode(identity)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    // In the words of version 0.1.0, so that its runs are found.
    let type = configuration.precision.type.rawValue
    let hash = TextHash.digits(
      of: text.replacing("\"precision\":\"\(configuration.precision.rawValue)\"", with: "\"precision\":\"\(type)\""))
    let digits = String(repeating: "0", count: 16 - hash.count) + hash
    return "\(configuration.architecture.name)-\(dataset)-seed-\(configuration.seed)-\(digits.prefix(10))"
  }

  /// The number of images that the training goes through, over all epochs.
  public func images(in dataset: ImageDataset) -> Int {
    (configuration.trainSamples ?? dataset.train.count) * configuration.recipe.epochs
  }
}
