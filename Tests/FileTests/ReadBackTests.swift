import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensStudies
import TestSupport
import Testing
import ResLensTraining

/// decode(encode(x)) == x for every value that goes into a file.
@Suite struct ReadBackTests {
  private static let rounds = 150

  @Test("YAML that stands for more than any memory holds, or is too large or too deep, is refused at once")
  func bombs() throws {
    var aliases = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    for level in 1...9 {
      let before = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
      aliases += "a\(level): &a\(level) [\(before)]\n"
    }
    for (text, words) in [
      (aliases + "? *a9\n: 1\n", "more than 16 aliases"),
      ("name: a\n" + String(repeating: "#", count: 2_000_000), "at most 1048576 are read"),
      (String(repeating: "[", count: 100_000), "not YAML"), (String(repeating: "{a: ", count: 100_000), "not YAML"),
      ("name: " + String(repeating: "x", count: 1_000_000), "stem is missing"), ("", "it is empty"),
      ("name: a\u{0}b", "character 0"),
    ] {
      let began = ContinuousClock.now
      #expect { try YAML.decode(Architecture.self, from: Data(text.utf8), path: "bomb.yaml") } throws: {
        "\($0)".contains(words) && "\($0)".utf8.count < 2000
      }
      #expect((ContinuousClock.now - began) / .seconds(1) < 2, "\(words)")
    }
  }

  @Test("Text that YAML would not give back is refused where it is written")
  func byteOrderMark() throws {
    var values = AwkwardValues(seed: 0)
    var recipe = values.recipe()
    recipe.name = "\u{feff}"
    #expect { try YAML.encode(recipe) } throws: { "\($0)".contains("YAML cannot hold this text") }
  }

  /// Draws values and compares each with what is read of its YAML.
  private func throughYAML<Value: Codable & Equatable>(_ draw: (inout AwkwardValues) -> Value) throws {
    for seed in 0..<Self.rounds {
      var values = AwkwardValues(seed: seed)
      let value = draw(&values)
      let text = try YAML.encode(value)
      let read = try YAML.decode(Value.self, from: text, path: "value \(seed)")
      try #require(read == value, "value \(seed) reads back as another one:\n\(text)")
    }
  }

  private func throughJSON<Value: Codable & Equatable>(_ draw: (inout AwkwardValues) -> Value) throws {
    for seed in 0..<Self.rounds {
      var values = AwkwardValues(seed: seed)
      let value = draw(&values)
      let data = try JSON.encode(value)
      let read = try JSON.decode(Value.self, from: data, path: "value \(seed)", remedy: "none")
      // NaN equals nothing, but its text does.
      let isSame = try read == value || JSON.encode(read) == data
      try #require(isSame, "value \(seed) reads back as another one:\n\(String(decoding: data, as: UTF8.self))")
    }
  }

  @Test("A run's configuration reads back exactly")
  func configuration() throws { try throughYAML { $0.configuration() } }

  @Test("An architecture reads back exactly, from YAML and from a checkpoint's JSON")
  func architecture() throws {
    try throughYAML { $0.architecture() }
    try throughJSON { $0.architecture() }
  }

  @Test("A recipe reads back exactly")
  func recipe() throws { try throughYAML { $0.recipe() } }

  @Test("A study reads back exactly")
  func study() throws { try throughYAML { $0.study() } }

  @Test("Plans read back exactly")
  func plans() throws {
    try throughJSON { $0.plan() }
    try throughJSON { $0.runs() }
  }

  @Test("A loop's state reads back exactly")
  func loop() throws { try throughJSON { $0.loop() } }

  @Test("Measures read back exactly, also numbers that are not finite")
  func measures() throws { try throughJSON { $0.measures() } }

  @Test("Epochs read back exactly from their CSV")
  func epochs() throws {
    for seed in 0..<Self.rounds {
      var values = AwkwardValues(seed: seed)
      let records = values.records()
      #expect(try EpochRecord.records(csv: EpochRecord.csv(records), file: "epochs.csv") == records)
    }
  }

  @Test("The files that an earlier version did not read back are read back")
  func cases() throws {
    let folder = Checkout.root.appending(path: "../shared/cases")
    for (name, check) in [
      ("config-not-read-back-1", readBack(RunConfiguration.self)),
      ("config-not-read-back-2", readBack(RunConfiguration.self)),
      ("architecture-not-read-back", readBack(Architecture.self)),
      ("model-gamma-16-digits", readBack(Architecture.self)),
      ("recipe-one-third", readBack(Recipe.self)), ("recipe-17-digits", readBack(Recipe.self)),
    ] {
      let file = folder.appending(path: name + ".yaml")
      // They lie beside the checkout where it is worked on, and nowhere else.
      guard FileManager.default.fileExists(atPath: file.path) else { continue }
      try check(file)
    }
    try readBack(Architecture.self, from: Self.sixteenDigits)
  }

  private static let sixteenDigits = """
    name: shared
    stem: {width: 4}
    stages: [{width: 4, blocks: 3, sharing: {from: 1, initial-gamma: 0.7071067811865476}}]
    """

  private func readBack<Value: Codable & Equatable>(_ type: Value.Type) -> (URL) throws -> Void {
    { file in try readBack(type, from: String(decoding: Data(contentsOf: file), as: UTF8.self)) }
  }

  private func readBack<Value: Codable & Equatable>(_ type: Value.Type, from text: String) throws {
    // One of the cases lacks a number, which is an error by now.
    guard let value = try? YAML.decode(type, from: text, path: "case") else { return }
    #expect(try YAML.decode(type, from: YAML.encode(value), path: "case again") == value)
  }
}
