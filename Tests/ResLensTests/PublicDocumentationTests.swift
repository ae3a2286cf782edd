import Foundation
import TestSupport
import Testing

/// The doc comments of the library's public declarations.
@Suite struct PublicDocumentationTests {
  /// One line that declares something, and whether a doc comment stands above it.
  private struct Declaration {
    let place: String
    let name: String
    let isPublic: Bool
    /// Whether it stands in a public protocol, which says what conforming types must have.
    let isRequirement: Bool
    let isDocumented: Bool
  }

  /// The members by which types conform to protocols of the standard library.
  private static let standardMembers: Set<String> = ["description", "encode", "hash", "rawValue"]

  private static func declarations() throws -> [Declaration] {
    let sources = Checkout.root.appending(path: "Sources")
    var all: [Declaration] = []
    for file in try FileManager.default.subpathsOfDirectory(atPath: sources.path).sorted() {
      // The command is no library: its functions are called by its own files alone.
      guard file.hasSuffix(".swift"), !file.hasPrefix("Command/"), !file.hasPrefix("reslens/") else { continue }
      let text = try String(contentsOf: sources.appending(path: file), encoding: .utf8)
      var (isInProtocol, isDocumented) = (false, false)
      for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        let trimmed = line.trimmingCharacters(in: .whitespaces)
        if line.hasPrefix("}") { isInProtocol = false }
        if let match = trimmed.firstMatch(of: Self.pattern) {
          all.append(
            Declaration(
              place: "\(file):\(index + 1)", name: String(match.2), isPublic: trimmed.contains("public "),
              isRequirement: isInProtocol, isDocumented: isDocumented))
        }
        if line.hasPrefix("public protocol ") { isInProtocol = true }
        // Attributes and conditions may stand between the comment and the declaration.
        if !trimmed.hasPrefix("@") && !trimmed.hasPrefix("#") { isDocumented = trimmed.hasPrefix("///") }
      }
    }
    return all
  }

  private static var pattern: Regex<(Substring, Substring, Substring)> {
    /^(?:@\w+(?:\([^)]*\))? |public |private\(set\) |fileprivate\(set\) |internal\(set\) |static |final |mutating |nonmutating |indirect |nonisolated )*(class|struct|enum|protocol|func|var|let|typealias|actor) `?(\w+)/
  }

  @Test("Every public type, function and property of the library has a doc comment")
  func documented() throws {
    let declarations = try Self.declarations()
    let requirements = declarations.filter(\.isRequirement)
    #expect(requirements.count > 30 && declarations.filter(\.isPublic).count > 800)
    // The comment of a requirement is that of the members that fulfil it.
    let known = Set(requirements.map(\.name)).union(Self.standardMembers)
    let silent = declarations.filter { declaration in
      !declaration.isDocumented
        && (declaration.isRequirement || declaration.isPublic && !known.contains(declaration.name))
    }
    #expect(silent.isEmpty, "\(silent.map { "\($0.place) \($0.name)" }.joined(separator: "\n"))")
  }
}
