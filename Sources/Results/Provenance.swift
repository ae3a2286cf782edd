import ResLensSupport

/// Mean and standard deviation (population) of each channel of images, pixels scaled to 0 … 1.
public struct ChannelStatistics: Codable, Hashable, Sendable, Checked {
  /// A channel each, 0 … 1.
  public var means: [Double]
  /// A channel each, 0 … 1; 0 where a channel never changes.
  public var deviations: [Double]

  public init(means: [Double], deviations: [Double]) { (self.means, self.deviations) = (means, deviations) }

  /// The first value that no byte images have, and why; nil where all can be.
  public var problem: String? {
    for (field, values) in [("means", means), ("deviations", deviations)] {
      if let value = values.first(where: { !(0...1).contains($0) }) {
        return "\(field): \(value) is not between 0 and 1"
      }
    }
    // Bytes that differ at all differ by more, and the reciprocal must be a number in float32.
    if let value = deviations.first(where: { $0 > 0 && $0 < 1e-9 }) {
      return "deviations: \(value) is less than images of bytes have"
    }
    if means.isEmpty { return "means: there are none" }
    return means.count == deviations.count
      ? nil : "deviations: there are \(deviations.count), and \(means.count) means"
  }
}

/// The network that measured numbers are of.
public struct Provenance: Codable, Equatable, Sendable {
  /// SHA-256 of the network's weights: names, shapes and bytes, in the order of the names.
  public var weights: String
  /// The statistics by which the network's inputs were normalised.
  public var statistics: ChannelStatistics
  /// Whether the images are of the data set that the run is trained on.
  public var isOwnData: Bool

  enum CodingKeys: String, CodingKey {
    case weights, statistics
    case isOwnData = "own-data"
  }

  public init(weights: String, statistics: ChannelStatistics, isOwnData: Bool) {
    self.weights = weights
    self.statistics = statistics
    self.isOwnData = isOwnData
  }
}
