import Foundation
import Yams

/// Values as YAML text. A key that means nothing is an error, and every number reads back as it was written.
public enum YAML {
  /// Configurations have a few thousand bytes; more is not read.
  static let mostBytes = 1 << 20
  /// Aliases of aliases can stand for more than any memory holds.
  static let mostAliases = 16

  /// Reads a value from a YAML file.
  /// - Throws: `FileError` that names the file and the field.
  public static func read<Value: Codable>(_ type: Value.Type, from url: URL) throws -> Value {
    try decode(type, from: Files.read(url), path: url.path)
  }

  /// Reads a value from a YAML file's bytes; `path` names it in errors.
  /// - Throws: `FileError` that names the file and the field.
  public static func decode<Value: Codable>(_ type: Value.Type, from data: Data, path: String) throws -> Value {
    guard data.count <= mostBytes else {
      throw FileError(
        path: path, problem: "it has \(data.count) bytes, and at most \(mostBytes) are read",
        remedy: "name a file that was written for ResLens")
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw FileError(path: path, problem: "it is not UTF-8 text", remedy: "save it as UTF-8")
    }
    return try decode(type, from: text, path: path)
  }

  /// Reads a value from YAML text; `path` names it in errors.
  public static func decode<Value: Codable>(_ type: Value.Type, from text: String, path: String) throws -> Value {
    func wrong(_ problem: String) -> FileError { FileError(path: path, problem: problem, remedy: "correct the file") }
    if let character = text.unicodeScalars.first(where: { $0.value == 0 }) {
      throw wrong("not YAML: it holds the character \(character.value)")
    }
    guard aliases(in: text) <= mostAliases else {
      throw wrong("it has more than \(mostAliases) aliases (*name); write out what they stand for")
    }
    let given: Node
    do {
      guard let node = try compose(yaml: text) else { throw wrong("it is empty") }
      given = node
    } catch let error as YamlError {
      throw wrong("not YAML: \(error)")
    }
    if let number = largeSexagesimal(in: given) { throw wrong("\(number) is a number of base 60, which is not read") }
    let value: Value
    do {
      value = try YAMLDecoder().decode(type, from: given)
    } catch DecodingError.keyNotFound(let key, let context) {
      // The likely cause of a key that is missing is one that is misspelt.
      let missing = DecodingError.keyNotFound(key, context).fieldAndProblem
      guard let stray = strayKey(beside: key, in: given, at: context.codingPath[...]) else { throw wrong(missing) }
      throw wrong("\(DecodingError.path(context.codingPath + [stray])) means nothing here, and \(missing)")
    } catch let error as DecodingError {
      throw wrong(error.fieldAndProblem)
    } catch {
      throw wrong("not YAML: \(error)")
    }
    // Encoding the value again gives everything that was understood of the file.
    let understood = try node(of: value)
    if let difference = difference(given, understood, at: "") { throw wrong(difference) }
    if let problem = (value as? any Checked)?.problem { throw wrong(problem) }
    return value
  }

  /// The value as YAML text, in the order of its fields, numbers as every YAML reader takes them and with as many digits
  /// as they need to read back exactly.
  /// - Throws: `FileError` for text that YAML would not give back: one that begins with a byte-order mark.
  public static func encode<Value: Encodable>(_ value: Value) throws -> String {
    try serialize(node: node(of: value), sortKeys: false)
  }

  // MARK: numbers

  private static func node(of value: some Encodable) throws -> Node {
    let encoder = YAMLEncoder()
    encoder.options.sortKeys = false
    let rounded = try compose(yaml: encoder.encode(value)) ?? Node("null")
    return try plain(rounded, JSONDecoder().decode(Exact.self, from: JSON.encode(value)))
  }

  /// The numbers and texts of a value, in the same tree as its YAML. Yams writes 15 digits of a Double, JSONEncoder as many as
  /// it has.
  private enum Exact: Decodable {
    case number(Double)
    case text(String)
    case list([Exact])
    case object([String: Exact])
    case other

    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      // The most frequent first, as each wrong guess costs an error.
      if let number = try? value.decode(Double.self) {
        self = .number(number)
      } else if let text = try? value.decode(String.self) {
        self = .text(text)
      } else if let object = try? value.decode([String: Exact].self) {
        self = .object(object)
      } else {
        self = (try? value.decode([Exact].self)).map(Self.list) ?? .other
      }
    }

    subscript(key: String?) -> Exact {
      if case .object(let object) = self { object[key ?? ""] ?? .other } else { .other }
    }
    subscript(index: Int) -> Exact { if case .list(let list) = self { list[index] } else { .other } }
  }

  /// A node with the exact numbers, as every YAML reader takes them: Yams writes 0.9 as 9e-1, which YAML 1.1 readers take for
  /// text.
  private static func plain(_ node: Node, _ exact: Exact) throws -> Node {
    switch node {
    case .mapping(let mapping):
      return .mapping(Node.Mapping(try mapping.map { ($0.key, try plain($0.value, exact[$0.key.string])) }))
    case .sequence(let sequence):
      return .sequence(Node.Sequence(try sequence.enumerated().map { try plain($1, exact[$0]) }))
    case .scalar(let scalar):
      if case .text(let text) = exact, text != scalar.string, !infinities.contains(text) {
        throw FileError(path: text, problem: "YAML cannot hold this text", remedy: "choose another one")
      }
      // Text that looks like a number is in quotes, and whole numbers are written without an exponent.
      guard case .number(let number) = exact, scalar.isPlain, Int(scalar.string) == nil, UInt(scalar.string) == nil
      else { return node }
      let text = "\(number)"
      return Node(text.contains(".") ? text : text.replacingOccurrences(of: "e", with: ".0e"))
    default:
      return node
    }
  }

  /// JSON's words for numbers that YAML calls .inf, -.inf and .nan.
  private static let infinities = ["Infinity", "-Infinity", "NaN"]

  // MARK: bounds

  /// How many aliases (`*name`) the text has at most: all places where one could begin are counted.
  private static func aliases(in text: String) -> Int {
    var count = 0
    var before = UInt8(ascii: "\n")
    var isStar = false
    for byte in text.utf8 {
      if isStar, byte > UInt8(ascii: " ") { count += 1 }
      isStar = byte == UInt8(ascii: "*") && " \t\r\n[{,:?-".utf8.contains(before)
      before = byte
    }
    return count
  }

  /// The first text that looks like a number of base 60, as 1:30 does, and is so long that Yams would trap on its overflow.
  private static func largeSexagesimal(in node: Node) -> String? {
    switch node {
    case .mapping(let mapping): mapping.lazy.compactMap { largeSexagesimal(in: $0.value) }.first
    case .sequence(let sequence): sequence.lazy.compactMap { largeSexagesimal(in: $0) }.first
    case .scalar(let scalar):
      scalar.string.utf8.count > 15 && scalar.string.utf8.contains(UInt8(ascii: ":"))
        && scalar.string.utf8.allSatisfy("0123456789:_+-.".utf8.contains) ? scalar.string : nil
    default: nil
    }
  }

  // MARK: what was not understood

  /// The first thing in which a file differs from what was understood of it: a key that means nothing, or a number that
  /// means another one than it looks like (YAML 1.1 takes 010 for 8 and 1:30 for 90).
  private static func difference(_ given: Node, _ understood: Node, at path: String) -> String? {
    if let given = given.mapping, let understood = understood.mapping {
      for (key, value) in given {
        let field = path + (path.isEmpty ? "" : ".") + (key.string ?? "?")
        guard let other = understood.first(where: { $0.key.string == key.string })?.value else {
          if value.null != nil { continue }
          let known = understood.keys.compactMap(\.string).joined(separator: ", ")
          return "\(field) means nothing here (known: \(known))"
        }
        if let difference = difference(value, other, at: field) { return difference }
      }
    } else if let given = given.sequence, let understood = understood.sequence {
      for (index, pair) in zip(given, understood).enumerated() {
        if let difference = difference(pair.0, pair.1, at: "\(path)[\(index)]") { return difference }
      }
    } else if let text = given.scalar?.string, let scalar = understood.scalar, scalar.isPlain,
      let number = Double(scalar.string)
    {
      let isSame =
        Int(scalar.string).map { Int(text) == $0 } ?? UInt(scalar.string).map { UInt(text) == $0 }
        ?? (Double(text) == number)
      if !isSame { return "\(path): \"\(text)\" is read as \(scalar.string) here; write that, in decimal digits" }
    }
    return nil
  }

  /// A key of the mapping in which `key` is missing that its type does not know.
  private static func strayKey(
    beside key: any CodingKey, in node: Node, at path: ArraySlice<any CodingKey>
  ) -> (any CodingKey)? {
    guard let next = path.first else {
      let type = type(of: key)
      return node.mapping?.keys.compactMap(\.string).first { type.init(stringValue: $0) == nil }.map(AnyKey.init)
    }
    let inner = next.intValue.flatMap { index in node.sequence.flatMap { $0.indices.contains(index) ? $0[index] : nil }
    }
    guard let child = inner ?? node.mapping?.first(where: { $0.key.string == next.stringValue })?.value else {
      return nil
    }
    return strayKey(beside: key, in: child, at: path.dropFirst())
  }
}

extension Node.Scalar {
  /// True of a scalar without quotes, as numbers are written.
  fileprivate var isPlain: Bool { style == .plain || style == .any }
}
