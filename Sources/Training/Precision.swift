import ResLensSupport
import ResLensTorch

/// The element type of activations in training. Parameters are float32 in both cases.
public enum Precision: String, Codable, Hashable, Sendable, CaseIterable {
  /// float32
  case fp32
  /// bfloat16
  case bf16

  /// The element type that it stands for.
  public var type: ElementType { self == .fp32 ? .float32 : .bfloat16 }

  /// Reads `fp32` or `bf16`, or the name of the element type, as files of version 0.1.0 have it.
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    let found = Self.allCases.first { $0.rawValue == text || $0.type.rawValue == text }
    try decoder.require(found != nil, "\(text.printable(60)) is neither fp32 nor bf16")
    self = found ?? .fp32
  }
}
