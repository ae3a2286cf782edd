/// The learning rate over a training, as a function of the epoch. The epoch is fractional: 2.5 is half way through the
/// third.
public enum Schedule: Hashable, Sendable {
  /// Constant pieces, each until an epoch, the last for good.
  case steps([Part])
  /// From 0 up to `peak` in a straight line over the share `warmup` of the training, and down to 0 over the rest.
  case oneCycle(peak: Double, warmup: Double)

  /// A rate and how long it holds.
  public struct Part: Codable, Hashable, Sendable {
    /// The first epoch that has another rate; nil for the last part.
    public var until: Int?
    /// The learning rate meanwhile.
    public var rate: Double

    public init(until: Int? = nil, rate: Double) {
      self.until = until
      self.rate = rate
    }
  }

  /// True if the rate at an epoch depends on the number of epochs. The epochs of steps are counted from the start of
  /// the training.
  public var dependsOnEpochs: Bool {
    switch self {
    case .steps: false
    case .oneCycle: true
    }
  }

  /// The rate at `epoch` of `epochs`.
  public func rate(at epoch: Double, of epochs: Int) -> Double {
    switch self {
    case .steps(let parts):
      return (parts.first { part in part.until.map { epoch < Double($0) } ?? true } ?? parts.last)?.rate ?? 0
    case .oneCycle(let peak, let warmup):
      let progress = epoch / Double(epochs)
      return peak * (progress < warmup ? progress / warmup : (1 - progress) / (1 - warmup))
    }
  }
}

extension Schedule: Codable {
  private enum CodingKeys: String, CodingKey { case kind, parts, peak, warmup }
  private enum Kind: String, Codable {
    case steps
    case oneCycle = "one-cycle"
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let name = try values.decode(String.self, forKey: .kind)
    switch Kind(rawValue: name) {
    case nil:
      throw DecodingError.dataCorruptedError(
        forKey: .kind, in: values, debugDescription: "\(name) is neither steps nor one-cycle")
    case .steps: self = .steps(try values.decode([Part].self, forKey: .parts))
    case .oneCycle:
      self = .oneCycle(
        peak: try values.decode(Double.self, forKey: .peak), warmup: try values.decode(Double.self, forKey: .warmup))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .steps(let parts):
      try values.encode(Kind.steps, forKey: .kind)
      try values.encode(parts, forKey: .parts)
    case .oneCycle(let peak, let warmup):
      try values.encode(Kind.oneCycle, forKey: .kind)
      try values.encode(peak, forKey: .peak)
      try values.encode(warmup, forKey: .warmup)
    }
  }
}
