import Foundation

/// A value from a file whose parts can be out of range or contradict each other. `YAML` and `JSON` ask every value that
/// they read.
public protocol Checked {
  /// The first field that cannot be, and why, for instance "recipe.epochs: 0 is not between 1 and 99999"; nil where
  /// nothing is wrong.
  var problem: String? { get }
}

extension DecodingError {
  /// A field as messages call it, for instance "stages[1].width".
  static func path(_ keys: [any CodingKey]) -> String {
    keys.reduce("") { text, key in
      if let index = key.intValue { return text + "[\(index)]" }
      return text + (text.isEmpty ? "" : ".") + key.stringValue
    }
  }

  /// The field, as a path, and what is wrong with it.
  var fieldAndProblem: String {
    func at(_ keys: [any CodingKey]) -> String { keys.isEmpty ? "" : Self.path(keys) + ": " }
    return switch self {
    case .keyNotFound(let key, let context): Self.path(context.codingPath + [key]) + " is missing"
    case .typeMismatch(let type, let context): at(context.codingPath) + "not of type \(type)"
    case .valueNotFound(_, let context): at(context.codingPath) + "it is empty"
    case .dataCorrupted(let context):
      at(context.codingPath) + (context.underlyingError.map { "\($0)" } ?? context.debugDescription)
    @unknown default: "\(self)"
    }
  }
}

extension Decoder {
  /// - Throws: `DecodingError` at this place of the file unless `condition` holds.
  public func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    if !condition {
      throw DecodingError.dataCorrupted(.init(codingPath: codingPath, debugDescription: problem()))
    }
  }
}

extension KeyedDecodingContainer {
  /// The value that `name`, read under `key`, stands for.
  /// - Throws: `DecodingError` that says which names there are.
  public func named<Value: RawRepresentable & CaseIterable>(
    _ name: String, forKey key: Key
  ) throws -> Value where Value.RawValue == String {
    if let value = Value(rawValue: name) { return value }
    let known = Value.allCases.map(\.rawValue)
    throw DecodingError.dataCorruptedError(
      forKey: key, in: self,
      debugDescription: "there is no \"\(name)\"\(didYouMean(name, among: known)); known are "
        + known.joined(separator: ", "))
  }
}
