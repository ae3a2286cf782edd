import ArgumentParser

/// The seeds of commands that do the same with each.
struct SeedArguments: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Seeds of every network, separated by commas. 5-7 stands for 5,6,7.", valueName: "n,n-n,…"))
  var seeds = "0"

  /// More seeds are never meant.
  private static let most: UInt64 = 10_000

  func validate() throws { _ = try list() }

  func list() throws -> [UInt64] { try Self.list(seeds) }

  /// The seeds that a list of numbers and ranges names, in its order.
  /// - Throws: `ValidationError` for text that is no seed, and for a seed that occurs twice.
  static func list(_ text: String) throws -> [UInt64] {
    var seeds: [UInt64] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map {
        UInt64($0.trimmingCharacters(in: .whitespaces))
      }
      guard let first = ends[0], let last = ends[ends.count - 1] else {
        throw ValidationError(
          "--seeds \(text): \"\(part)\" is neither a whole number of at least 0 nor a range such as 0-3")
      }
      guard first <= last else {
        throw ValidationError("--seeds \(text): the range \(part) ends before it begins; write \(last)-\(first)")
      }
      guard last - first < most else { throw ValidationError("--seeds \(text): \(part) has more than \(most) seeds") }
      seeds += first...last
    }
    guard Set(seeds).count == seeds.count else { throw ValidationError("--seeds \(text): a seed occurs twice") }
    return seeds
  }
}
