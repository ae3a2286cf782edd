import Foundation
import Host
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Torch
import Training

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
    /// In order, as `measures.json` calls them.
    public var names: [String]
    /// The first so many samples of each set.
    public var samples: Int
    /// How many steps an unrolling adds.
    public var unroll: Int
    /// α of the added steps; chosen on train data where it is nil.
    public var scale: Double?
    /// On how many train batches the added steps' statistics are taken anew; nil for not at all.
    public var recalibrate: Int?

    /// Nothing but what is recorded on the way.
    public static let none = Measurement(names: [], samples: 0, unroll: 0)

    /// As a suite takes it.
    public var options: MeasureOptions {
      var options = MeasureOptions(names: Set(names.compactMap(MeasureName.init(rawValue:))))
      options.unrolling.times = unroll
      if let scale { options.unrolling.scale = .given(scale) }
      options.unrolling.recalibrationBatches = recalibrate
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
    if let scale = measurement.scale, !scale.isFinite || scale == 0 {
      return "measurement.scale: \(scale) is not a finite number other than 0"
    }
    return nil
  }

  /// The run folder's name: its own, or what it is and the hash of what its numbers depend on, by which it is found again.
  /// Where the data lie is not part of that; what they are like is.
  public var folderName: String {
    if let name { return name }
    var identity = configuration
    identity.data = dataset
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let text = (try? encoder.encode(identity)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let hash = String(RandomStream(seed: 0, name: text).bits(0), radix: 16)
    let digits = String(repeating: "0", count: 16 - hash.count) + hash
    return "\(configuration.architecture.name)-\(dataset)-seed-\(configuration.seed)-\(digits.prefix(10))"
  }

  /// Images that its training goes through, over all epochs.
  public func images(in dataset: ImageDataset) -> Int {
    (configuration.trainSamples ?? dataset.train.count) * configuration.recipe.epochs
  }
}
