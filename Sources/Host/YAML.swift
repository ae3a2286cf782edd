import Foundation
import Yams

/// Values as YAML text, where a key that means nothing is an error and not silence.
public enum YAML {
  /// Reads a value from a YAML file.
  /// - Throws: `FileError` that names the file and the field.
  public static func read<Value: Codable>(_ type: Value.Type, from url: URL) throws -> Value {
    try decode(type, from: String(decoding: Files.read(url), as: UTF8.self), path: url.path)
  }

  /// Reads a value from YAML text; `path` names it in errors.
  public static func decode<Value: Codable>(_ type: Value.Type, from text: String, path: String) throws -> Value {
    let remedy = "mend the file"
    let value: Value
    do {
      value = try YAMLDecoder().decode(type, from: text)
    } catch let error as DecodingError {
      throw FileError(path: path, problem: describe(error), remedy: remedy)
    } catch {
      throw FileError(path: path, problem: "not YAML: \(error)", remedy: remedy)
    }
    // What the value has to say about itself is everything it understood.
    if let given = try compose(yaml: text), let understood = try compose(yaml: encode(value)),
      let stray = strayKey(in: given, understood: understood, at: "")
    {
      throw FileError(
        path: path, problem: "\(stray.field) means nothing here (known: \(stray.known.joined(separator: ", ")))",
        remedy: remedy)
    }
    return value
  }

  /// The value as YAML text, in the order of its fields, numbers as every YAML reader takes them.
  public static func encode<Value: Encodable>(_ value: Value) throws -> String {
    let encoder = YAMLEncoder()
    encoder.options.sortKeys = false
    guard let node = try compose(yaml: encoder.encode(value)) else { return "" }
    return try serialize(node: plain(node), sortKeys: false)
  }

  /// Yams writes 0.9 as 9e-1, which YAML 1.1 readers take for text.
  private static func plain(_ node: Node) -> Node {
    switch node {
    case .mapping(let mapping):
      return .mapping(Node.Mapping(mapping.map { ($0.key, plain($0.value)) }))
    case .sequence(let sequence):
      return .sequence(Node.Sequence(sequence.map(plain)))
    case .scalar(let scalar):
      // Text that looks like a number is in quotes.
      let isQuoted = scalar.style == .singleQuoted || scalar.style == .doubleQuoted
      guard !isQuoted, scalar.string.contains("e"), let number = Double(scalar.string) else { return node }
      let text = "\(number)"
      return Node(text.contains(".") ? text : text.replacingOccurrences(of: "e", with: ".0e"))
    default:
      return node
    }
  }

  private static func strayKey(in given: Node, understood: Node, at path: String) -> (field: String, known: [String])? {
    if let given = given.mapping, let understood = understood.mapping {
      for (key, value) in given {
        let field = path + (path.isEmpty ? "" : ".") + (key.string ?? "?")
        guard let other = understood.first(where: { $0.key.string == key.string })?.value else {
          if value.null != nil { continue }
          return (field, understood.keys.compactMap(\.string))
        }
        if let stray = strayKey(in: value, understood: other, at: field) { return stray }
      }
    } else if let given = given.sequence, let understood = understood.sequence {
      for (index, pair) in zip(given, understood).enumerated() {
        if let stray = strayKey(in: pair.0, understood: pair.1, at: "\(path)[\(index)]") { return stray }
      }
    }
    return nil
  }

  private static func describe(_ error: DecodingError) -> String {
    func field(_ path: [any CodingKey]) -> String {
      path.reduce("") { text, key in
        if let index = key.intValue { return text + "[\(index)]" }
        return text + (text.isEmpty ? "" : ".") + key.stringValue
      }
    }
    func at(_ path: [any CodingKey]) -> String { path.isEmpty ? "" : field(path) + ": " }
    switch error {
    case .keyNotFound(let key, let context): return field(context.codingPath + [key]) + " is missing"
    case .typeMismatch(let type, let context): return at(context.codingPath) + "not of type \(type)"
    case .valueNotFound(_, let context): return at(context.codingPath) + "it is empty"
    case .dataCorrupted(let context):
      return at(context.codingPath) + (context.underlyingError.map { "not YAML: \($0)" } ?? context.debugDescription)
    @unknown default: return "\(error)"
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
    let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
    throw DecodingError.dataCorruptedError(
      forKey: key, in: self, debugDescription: "there is no \"\(name)\"; known are \(known)")
  }
}
