import Foundation

/// Values as JSON text. Numbers that are not finite, for which JSON has no word, are the strings "NaN", "Infinity" and
/// "-Infinity".
public enum JSON {
  private static let (infinite, negative, undefined) = ("Infinity", "-Infinity", "NaN")

  /// The value as JSON, keys in alphabetical order, every number so that it reads back exactly.
  /// - Parameters:
  ///   - pretty: whether there are line breaks and indents
  ///   - snakeCase: whether keys such as `trainLoss` are written as `train_loss`
  public static func encode(_ value: some Encodable, pretty: Bool = false, snakeCase: Bool = false) throws -> Data {
    let encoder = JSONEncoder()
    if snakeCase { encoder.keyEncodingStrategy = .convertToSnakeCase }
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: infinite, negativeInfinity: negative, nan: undefined)
    return try encoder.encode(value)
  }

  /// Reads a value from JSON.
  /// - Parameters:
  ///   - path: names the file in errors
  ///   - remedy: what the user can do where it cannot be read
  /// - Throws: `FileError` that names the file and the field.
  public static func decode<Value: Decodable>(
    _ type: Value.Type, from data: Data, path: String, remedy: String
  ) throws -> Value {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: infinite, negativeInfinity: negative, nan: undefined)
    let value: Value
    do {
      value = try decoder.decode(type, from: data)
    } catch let error as DecodingError {
      throw FileError(path: path, problem: "it is damaged (\(error.fieldAndProblem))", remedy: remedy)
    }
    if let problem = (value as? any Checked)?.problem {
      throw FileError(path: path, problem: problem, remedy: remedy)
    }
    return value
  }

  /// Reads a value from a JSON file.
  /// - Throws: as `decode(_:from:path:remedy:)`; `FileError` where there is no such file.
  public static func read<Value: Decodable>(_ type: Value.Type, from url: URL, remedy: String) throws -> Value {
    try decode(type, from: Files.read(url), path: url.path, remedy: remedy)
  }

  /// The first thing in a text that strict readers refuse and Foundation's takes: an object that does not begin with "{", a key
  /// that comes twice, a comma before the end, a number that is not a whole one of at least 0.
  /// - Parameter text: JSON of an object
  /// - Returns: the first such thing; nil where there is none
  public static func leniency(in text: some Collection<UInt8>) -> String? {
    guard text.first == UInt8(ascii: "{") else { return "it does not begin with \"{\"" }
    let bytes = Array(text)
    /// The keys so far of each open object; nil for a list.
    var open: [Set<String>?] = []
    var before = UInt8(ascii: "{")
    var place = 0
    while place < bytes.count {
      let (byte, start) = (bytes[place], place)
      place += 1
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): continue
      case UInt8(ascii: "{"): open.append([])
      case UInt8(ascii: "["): open.append(nil)
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if before == UInt8(ascii: ",") { return "there is a comma before a closing bracket" }
        _ = open.popLast()
      case UInt8(ascii: "\""):
        while place < bytes.count, bytes[place] != UInt8(ascii: "\"") {
          place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1
        }
        place = min(place + 1, bytes.count)
        guard let keys = open.last ?? nil, before == UInt8(ascii: "{") || before == UInt8(ascii: ",") else { break }
        let key = (try? JSONDecoder().decode(String.self, from: Data(bytes[start..<place]))) ?? ""
        if keys.contains(key) { return "the key \"\(key)\" comes twice" }
        open[open.count - 1]?.insert(key)
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
        while place < bytes.count, !" \t\n\r,]}".utf8.contains(bytes[place]) { place += 1 }
        let number = String(decoding: bytes[start..<place], as: UTF8.self)
        if number.wholeMatch(of: /0|[1-9][0-9]*/) == nil { return "\(number) is not a whole number of at least 0" }
      default: break
      }
      before = byte
    }
    return nil
  }
}
