import Foundation
import ResLensSupport
import ResLensResults

/// The checkpoints that stay beside a run's newest one, each of a whole epoch: `keep-checkpoints` in a configuration.
public enum KeptCheckpoints: Hashable, Sendable {
  /// The checkpoints after every so many epochs.
  case every(Int)
  /// The checkpoint with the lowest validation error; the first of several with the same error.
  case best
  /// The checkpoints after every epoch.
  case all

  /// The choice that `text` names: `every=N`, `best` or `all`; nil for another text.
  public init?(_ text: String) {
    switch text {
    case "best": self = .best
    case "all": self = .all
    default:
      let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard sides.count == 2, sides[0] == "every", let number = Int(sides[1]), (1...99_999).contains(number) else {
        return nil
      }
      self = .every(number)
    }
  }

  /// The epochs whose checkpoints stay.
  /// - Parameters:
  ///   - epochs: the epochs that there are checkpoints of
  ///   - records: the epochs that are done, in order
  func epochs(among epochs: [Int], _ records: [EpochRecord]) -> Set<Int> {
    switch self {
    case .all: return Set(epochs)
    case .every(let number): return Set(epochs.filter { $0 % number == 0 })
    case .best:
      let scored = records.filter { epochs.contains($0.epoch) }
      return Set(scored.min { $0.validationError < $1.validationError }.map { [$0.epoch] } ?? [])
    }
  }
}

extension KeptCheckpoints: CustomStringConvertible {
  public var description: String {
    switch self {
    case .every(let number): "every=\(number)"
    case .best: "best"
    case .all: "all"
    }
  }
}

extension KeptCheckpoints: Codable {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    let found = Self(text)
    try decoder.require(found != nil, "\"\(text.printable(60))\" is none of every=N, best and all")
    self = found ?? .all
  }

  public func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    try value.encode(description)
  }
}
