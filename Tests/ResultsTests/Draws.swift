import ResLensResults
import TestSupport

/// Values that look random and are the same in every run (SplitMix64).
struct Draws: RandomNumberGenerator {
  private var state: UInt64

  init(seed: Int) { state = UInt64(seed) &* 0xD1B5_4A32_D192_ED03 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }

  mutating func flag() -> Bool { Bool.random(using: &self) }

  mutating func element<Value>(of all: [Value]) -> Value { all[Int.random(in: all.indices, using: &self)] }

  private static let numbers = [
    1.0 / 3, 0.1 + 0.2, 1e-308, 5e-324, .leastNormalMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0,
    -0.0, 1, -1, 1e-9, 1e15, 1e16, 1e21, 9_007_199_254_740_993, -9_007_199_254_740_993, 9.3e18, -9.3e18,
    1.7976931348623155e308, 2.225073858507201e-308, .nan, .infinity, -.infinity,
  ]

  /// A number that a file may not give back.
  mutating func number() -> Double {
    if flag() { return element(of: Self.numbers) }
    let number = Double(bitPattern: next())
    // Files do not tell one NaN from another.
    return number.isNaN ? .nan : number
  }

  static let texts = [
    "plain", "a b", "a,b", "\"", "say \"so\"", ",", "two\nlines", "\r\n", "\r", "\n", "", " ", " before", "after ",
    "tab\t", "é", "e\u{301}", "日本", "🙂", "\u{85}", "\u{2028}", "\u{1}", "\\", "\\n", "'", ";", "nan", "inf", "-inf",
    "null", "true", "1", "1.5", "1e3", "nAn", "Inf", "NaN ", "=1+1", "#", "a\u{0}b",
  ]

  mutating func text() -> String { element(of: Self.texts) }

  /// A table of three keys and six values whose numbers and texts need care.
  mutating func table(number: (inout Self) -> Double = { $0.number() }) throws -> Table {
    var texts = Array(Set((0..<3).map { _ in text() })).sorted()
    texts.shuffle(using: &self)
    var rows: [[Cell]] = []
    for split in Split.allCases {
      for step in 0..<4 {
        for text in texts where Int.random(in: 0..<3, using: &self) > 0 {
          let values: [Cell] = [
            flag() ? .number(number(&self)) : .missing, .number(element(of: [0, 1.0 / 3, .nan, .infinity, 1e-308])),
            .number(Double(Int.random(in: 0...1_000_000_000_000, using: &self))),
            .number(element(of: [0, 1, 1.0 / 3, .leastNonzeroMagnitude])), flag() ? .text(self.text()) : .missing,
            .number(number(&self)),
          ]
          rows.append([split.cell, .number(Double(step)), .text(text)] + values)
        }
      }
    }
    rows.shuffle(using: &self)
    return try Table(
      "drawn", of: "measure", keys: [.init("split"), .init("step"), .init("label")],
      values: [
        .init("mean"), .init("std"), .init("count", unit: Table.Column.samples),
        .init("accuracy", unit: Table.Column.share), .init("comment"), .init("loss", unit: "nats"),
      ], rows: rows, parameters: ["margin": .number(number(&self)), "how": .text(text()), "none": .missing])
  }
}

extension Cell {
  /// A text that is the same for cells of the same kind and bits alone.
  var bits: String {
    switch self {
    case .number(let number): number.isNaN ? "NaN" : "number \(number.bitPattern)"
    case .text(let text): "text \(text.unicodeScalars.map(\.value))"
    case .missing: "missing"
    }
  }
}

extension Table {
  /// The table's parts as text, every number by its bits.
  var bits: [String] {
    [name, measure] + columns.map { "\($0)" } + ["\(keys.count)"]
      + parameters.sorted { $0.key < $1.key }.map { $0.key + $0.value.bits } + rows.map { "\($0.map(\.bits))" }
  }
}
