import Foundation
import ResLensTorch

/// Changes bytes as accidents and fuzzers do. The same seed gives the same changes.
struct Mutator {
  private let stream: RandomStream
  private var drawn = 0
  /// Valid files of one kind.
  let originals: [[UInt8]]

  init(_ originals: [[UInt8]], seed: UInt64, input: Int) {
    self.originals = originals
    stream = RandomStream(seed: seed, name: "mutations").stream(input)
  }

  private mutating func integer(below bound: Int) -> Int {
    drawn += 1
    return (try? stream.integer(drawn, below: max(1, bound))) ?? 0
  }

  private mutating func place(in bytes: [UInt8]) -> Int { integer(below: bytes.count + 1) }

  private static let tokens = [
    "-1", "0", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "1e300", "1e999", "NaN", ".nan",
    "-.inf",
    "\"NaN\"", "\"Infinity\"", "null", "~", "true", "\"\"", "[]", "{}", "[", "]", "{", "}", ",", ":", "\"", "'", "\n",
    " ", "\t",
    "&a ", "*a", "!!binary ", "010", "1_0", "1:30", "2.0", "0x10", "\u{feff}", "\u{0}", "\u{2028}", "\\u0000", "\\",
    "<<: ", "? ",
    "- ", "--- ", "...", "%", "|", ">", "#", "1.7976931348623157e308", "5e-324", "0.7071067811865476",
    "99999999999999999999999",
  ].map { Array($0.utf8) }

  /// The next input: one of the originals with one to four changes.
  mutating func next() -> [UInt8] {
    var bytes = originals[integer(below: originals.count)]
    for _ in 0...integer(below: 4) { change(&bytes) }
    return bytes
  }

  private mutating func change(_ bytes: inout [UInt8]) {
    let (start, length) = (place(in: bytes), 1 + integer(below: integer(below: 8) == 0 ? 400 : 12))
    let range = start..<min(bytes.count, start + length)
    switch integer(below: 9) {
    case 0: if start < bytes.count { bytes[start] ^= 1 << UInt8(integer(below: 8)) }
    case 1: if start < bytes.count { bytes[start] = UInt8(integer(below: 256)) }
    case 2: bytes.removeSubrange(range)
    case 3: bytes.insert(contentsOf: bytes[range], at: place(in: bytes))
    case 4: bytes.insert(contentsOf: Self.tokens[integer(below: Self.tokens.count)], at: start)
    case 5: bytes.replaceSubrange(range, with: Self.tokens[integer(below: Self.tokens.count)])
    case 6:
      let other = originals[integer(below: originals.count)]
      let from = place(in: other)
      bytes.insert(contentsOf: other[from..<min(other.count, from + length)], at: start)
    case 7: bytes.removeLast(bytes.count - start)
    default: replaceNumber(&bytes, from: start)
    }
  }

  /// Puts something else in place of the next number.
  private mutating func replaceNumber(_ bytes: inout [UInt8], from start: Int) {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard let first = bytes[start...].firstIndex(where: digits.contains) else { return }
    let end = bytes[first...].firstIndex { !digits.contains($0) && !".eE-+".utf8.contains($0) } ?? bytes.endIndex
    bytes.replaceSubrange(first..<end, with: Self.tokens[integer(below: Self.tokens.count)])
  }
}
