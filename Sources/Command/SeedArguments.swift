import ArgumentParser

/// The seeds of commands that do the same with each.
struct SeedArguments: ParsableArguments {
  @Option(
    parsing: .unconditional, help: ArgumentHelp("Seeds of every network, separated by commas.", valueName: "n,n,…"))
  var seeds = "0"

  func validate() throws { _ = try list() }

  /// - Throws: `ValidationError` for what is no seed, and for one that comes twice.
  func list() throws -> [UInt64] {
    let list = try seeds.split(separator: ",", omittingEmptySubsequences: false).map {
      guard let seed = UInt64($0.trimmingCharacters(in: .whitespaces)) else {
        throw ValidationError("--seeds \(seeds): \"\($0)\" is not a whole number of at least 0")
      }
      return seed
    }
    guard Set(list).count == list.count else { throw ValidationError("--seeds \(seeds): a seed occurs twice") }
    return list
  }
}
