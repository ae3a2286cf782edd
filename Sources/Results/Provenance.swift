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

extension ChannelStatistics {
  /// The means, then the deviations, as a page shows them.
  public var text: String {
    func list(_ values: [Double]) -> String { values.map { decimal($0, 4) }.joined(separator: ", ") }
    return "means \(list(means)), deviations \(list(deviations))"
  }

  /// Statistics that people normalise by, by the names that they have here.
  public static let known: [(name: String, statistics: ChannelStatistics)] = [
    // As torchvision's documentation states them.
    ("imagenet", .init(means: [0.485, 0.456, 0.406], deviations: [0.229, 0.224, 0.225])),
    // The means and deviations of the 50,000 train images.
    ("cifar10", .init(means: [0.4914, 0.4822, 0.4465], deviations: [0.2470, 0.2435, 0.2616])),
    ("half", .init(means: [0.5, 0.5, 0.5], deviations: [0.5, 0.5, 0.5])),
  ]

  /// Statistics by a name in `known`, or as "R,G,B/R,G,B": the means, then the deviations, of pixels from 0 to 1.
  /// - Returns: nil for other text
  public init?(text: String) {
    if let known = Self.known.first(where: { $0.name == text }) {
      self = known.statistics
      return
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(Double.init)
    }
    guard parts.count == 2, !parts.joined().contains(where: { $0 == nil }) else { return nil }
    self.init(means: parts[0].compactMap { $0 }, deviations: parts[1].compactMap { $0 })
    if problem != nil { return nil }
  }
}

/// The network that measured numbers are of.
public struct Provenance: Codable, Equatable, Sendable {
  /// SHA-256 of the network's weights: names, shapes and bytes, in the order of the names.
  public var weights: String
  /// The statistics by which the network's inputs were normalised.
  public var statistics: ChannelStatistics
  /// True if the images are of the data set that the run is trained on.
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
