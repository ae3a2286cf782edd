import Foundation
import ResLensSupport

/// The options of a stage's blocks, by name: numbers, booleans and words. The stage's kind says which there are.
public struct BlockOptions: Codable, Hashable, Sendable, ExpressibleByDictionaryLiteral {
  /// The options' values, by name.
  public let values: [String: Value]

  /// The value of one option. Whole numbers are numbers like others.
  public enum Value: Codable, Hashable, Sendable, CustomStringConvertible {
    case number(Double)
    case flag(Bool)
    case word(String)

    public init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let flag = try? value.decode(Bool.self) {
        self = .flag(flag)
      } else if let number = try? value.decode(Double.self) {
        self = .number(number)
      } else {
        self = .word(try value.decode(String.self))
      }
    }

    public func encode(to encoder: any Encoder) throws {
      var value = encoder.singleValueContainer()
      switch self {
      case .number(let number):
        // Without a fraction, as it is written in a file.
        if let whole = Int(exactly: number) { try value.encode(whole) } else { try value.encode(number) }
      case .flag(let flag): try value.encode(flag)
      case .word(let word): try value.encode(word)
      }
    }

    public var description: String {
      switch self {
      case .number(let number): Int(exactly: number).map { "\($0)" } ?? "\(number)"
      case .flag(let flag): "\(flag)"
      case .word(let word): "\"\(word)\""
      }
    }
  }

  public init(_ values: [String: Value]) { self.values = values }

  public init(dictionaryLiteral elements: (String, Value)...) {
    self.init(Dictionary(elements) { _, last in last })
  }

  public init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode([String: Value].self))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: AnyKey.self)
    for (name, value) in values.sorted(by: { $0.key < $1.key }) { try container.encode(value, forKey: AnyKey(name)) }
  }

  /// The rule for words and for the names of kinds and options, as messages state it.
  static let wordRule =
    "a letter and up to 99 letters, digits, hyphens and underscores, and nothing that YAML reads otherwise, such as on or null"

  /// True if a text fulfils `wordRule`.
  static func isWord(_ text: String) -> Bool {
    let others = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"]
    return text.utf8.count <= 100 && text.wholeMatch(of: /[A-Za-z][A-Za-z0-9_\-]*/) != nil
      && !others.contains(text.lowercased())
  }

  /// - Throws: `ArchitectureError` for a name or a value that files cannot hold.
  func validate(field: String) throws(ArchitectureError) {
    guard values.count <= 100 else {
      throw ArchitectureError(field: field, problem: "there are \(values.count) options, and at most 100 are possible")
    }
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      guard Self.isWord(name) else {
        throw ArchitectureError(field: field, problem: "\"\(name.printable())\" cannot be the name of an option")
      }
      switch value {
      case .number(let number) where !number.isFinite:
        throw ArchitectureError(field: "\(field).\(name)", problem: "\(number) is not a finite number")
      case .word(let word) where !Self.isWord(word):
        throw ArchitectureError(
          field: "\(field).\(name)",
          problem: "\"\(word.printable())\" is not possible: a word is \(Self.wordRule)")
      default: break
      }
    }
  }
}

/// Reads the options of a stage for its kind; those that it does not read are refused.
public final class BlockOptionReader {
  private let options: BlockOptions
  private let field: String
  /// The options that were read, with the stage's values or their defaults.
  private(set) var found: [String: BlockOptions.Value] = [:]

  init(_ options: BlockOptions, field: String) { (self.options, self.field) = (options, field) }

  private func value(_ name: String, default fallback: BlockOptions.Value) -> BlockOptions.Value {
    let value = options.values[name] ?? fallback
    found[name] = value
    return value
  }

  private func refusal(_ name: String, _ problem: String) -> ArchitectureError {
    ArchitectureError(field: "\(field).\(name)", problem: problem)
  }

  /// The value of a numeric option, or `fallback` if the stage does not set it.
  /// - Throws: `ArchitectureError` if the value is not a number, or is outside `range`.
  public func number(
    _ name: String, default fallback: Double, in range: ClosedRange<Double>
  ) throws(ArchitectureError) -> Double {
    let value = value(name, default: .number(fallback))
    guard case .number(let number) = value, range.contains(number) else {
      throw refusal(name, "\(value) is not a number between \(range.lowerBound) and \(range.upperBound)")
    }
    return number
  }

  /// The value of an option that is a whole number, or `fallback` if the stage does not set it.
  /// - Throws: `ArchitectureError` if the value is not a whole number, or is outside `range`.
  public func integer(
    _ name: String, default fallback: Int, in range: ClosedRange<Int>
  ) throws(ArchitectureError) -> Int {
    let value = value(name, default: .number(Double(fallback)))
    guard case .number(let number) = value, let whole = Int(exactly: number), range.contains(whole) else {
      throw refusal(name, "\(value) is not a whole number between \(range.lowerBound) and \(range.upperBound)")
    }
    return whole
  }

  /// The value of an option that is true or false, or `fallback` if the stage does not set it.
  /// - Throws: `ArchitectureError` if the value is neither.
  public func flag(_ name: String, default fallback: Bool) throws(ArchitectureError) -> Bool {
    let value = value(name, default: .flag(fallback))
    guard case .flag(let flag) = value else { throw refusal(name, "\(value) is neither true nor false") }
    return flag
  }

  /// The value of an option that is one of several words, or `fallback` if the stage does not set it.
  /// - Throws: `ArchitectureError` if the value is none of them.
  public func word(
    _ name: String, default fallback: String, of words: [String]
  ) throws(ArchitectureError) -> String {
    let value = value(name, default: .word(fallback))
    guard case .word(let word) = value, words.contains(word) else {
      throw refusal(name, "\(value) is none of \(words.joined(separator: ", "))")
    }
    return word
  }

  /// - Throws: `ArchitectureError` if the stage has an option that nobody read.
  func checkAllRead(by kind: String) throws(ArchitectureError) {
    guard let stray = Set(options.values.keys).subtracting(found.keys).min() else { return }
    let there = found.isEmpty ? "none" : found.keys.sorted().joined(separator: ", ")
    throw refusal(stray, "blocks of kind \(kind) have no such option (known: \(there))")
  }
}
