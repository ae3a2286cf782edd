import ResLensSupport
import ResLensResults

/// After which epochs a network is measured while it is trained, besides as it was initialised, on how many samples, and
/// what. `Trainer.measureEpoch` does it; without that nothing is measured. Training itself does not depend on it.
public struct MeasureSchedule: Codable, Hashable, Sendable, Checked {
  /// After every so many epochs, and after the last one.
  public var every: Int
  /// The first so many samples of each set.
  public var samples: Int
  /// The number of samples in a pass.
  public static let batch = 128
  /// The measures, as they are called in `measures.json`.
  public var names: [String]
  /// The statistics by which batch normalisations run after an epoch; nil for the running ones. At initialisation they are
  /// always each batch's own, unless the training starts from given weights.
  public var batchNorm: BatchNormStatistics?

  public init(every: Int, samples: Int, names: [String], batchNorm: BatchNormStatistics? = nil) {
    self.every = every
    self.samples = samples
    self.names = names
    self.batchNorm = batchNorm
  }

  enum CodingKeys: String, CodingKey {
    case every, samples, names
    case batchNorm = "batch-norm"
    /// The name of `batchNorm` in files of version 0.1.0: "evaluation" or "training".
    case mode
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    every = try values.decode(Int.self, forKey: .every)
    samples = try values.decode(Int.self, forKey: .samples)
    names = try values.decode([String].self, forKey: .names)
    batchNorm = try values.decodeIfPresent(String.self, forKey: .batchNorm).map {
      try values.named($0, forKey: .batchNorm)
    }
    if let mode = try values.decodeIfPresent(String.self, forKey: .mode) {
      try decoder.require(["evaluation", "training"].contains(mode), "mode: there is no \"\(mode)\"")
      batchNorm = mode == "training" ? .batch : nil
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(every, forKey: .every)
    try values.encode(samples, forKey: .samples)
    try values.encode(names, forKey: .names)
    try values.encodeIfPresent(batchNorm, forKey: .batchNorm)
  }

  /// The first value that cannot be, and why; nil where all can be.
  public var problem: String? {
    if !(1...99_999).contains(every) { return "every: \(every) is not between 1 and 99999" }
    if samples < 1 { return "samples: \(samples) is not at least 1" }
    return names.isEmpty ? "names: there are none" : nil
  }

  /// True if epoch `epoch` is measured, 0 being the network as it was initialised; none where there is a `problem`.
  public func includes(_ epoch: Int, of epochs: Int) -> Bool {
    problem == nil && (epoch % every == 0 || epoch == epochs)
  }
}
