import Crypto
import Foundation

/// A SHA-256 that is taken of one thing after the other, each with its length, so that what lies where is part of it.
public struct Fingerprint {
  private var hash = SHA256()

  public init() {}

  /// Adds bytes.
  public mutating func add(_ bytes: [UInt8]) {
    withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { hash.update(bufferPointer: $0) }
    bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
  }

  /// Adds bytes that come in parts, as if they came at once.
  /// - Parameters:
  ///   - count: the number of all bytes
  ///   - parts: calls its argument with each part
  public mutating func add(byteCount count: Int, parts: (([UInt8]) -> Void) throws -> Void) rethrows {
    var sum = hash
    withUnsafeBytes(of: UInt64(count).littleEndian) { sum.update(bufferPointer: $0) }
    try parts { part in part.withUnsafeBytes { sum.update(bufferPointer: $0) } }
    hash = sum
  }

  /// Adds text, in UTF-8.
  public mutating func add(_ text: String) { add(Array(text.utf8)) }

  /// Adds numbers, as 64 bits each.
  public mutating func add(_ numbers: [Int]) {
    add(numbers.flatMap { number in withUnsafeBytes(of: Int64(number).littleEndian) { Array($0) } })
  }

  /// 64 hexadecimal digits.
  public var digits: String { hash.finalize().map { String(format: "%02x", $0) }.joined() }

  /// The MD5 of a file, 32 hexadecimal digits, as publishers of archives still give it. It guards against accidents only.
  /// - Throws: `FileError` where the file cannot be read.
  public static func md5(of file: URL) throws(FileError) -> String {
    Insecure.MD5.hash(data: try Files.read(file)).map { String(format: "%02x", $0) }.joined()
  }
}
