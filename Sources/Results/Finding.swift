/// Whether something that was claimed shows in numbers, by a rule that is stated beside it.
public struct Finding: Codable, Equatable, Sendable {
  /// The claim, in one sentence.
  public var claim: String
  /// The author of the claim, and its place in the text.
  public var source: String
  /// The condition that a part must fulfil.
  public var rule: String
  /// The verdict on the claim, which follows from the parts.
  public var verdict: Verdict
  /// The parts that were examined, one by one.
  public var parts: [Part]

  /// The verdict on a claim.
  public enum Verdict: String, Codable, Sendable {
    /// Every part was looked at and holds.
    case holds
    case holdsPartly = "holds partly"
    case doesNotHold = "does not hold"
    /// There are no numbers for it.
    case notChecked = "not checked"
  }

  /// One thing that was looked at.
  public struct Part: Codable, Equatable, Sendable {
    /// The subject of the part, for instance a network.
    public var subject: String
    /// nil where there are no numbers for it.
    public var holds: Bool?
    /// The numbers, in words.
    public var numbers: String

    public init(_ subject: String, _ holds: Bool?, _ numbers: String) {
      self.subject = subject
      self.holds = holds
      self.numbers = numbers
    }
  }

  /// The verdict follows from the parts.
  public init(claim: String, source: String, rule: String, parts: [Part]) {
    self.claim = claim
    self.source = source
    self.rule = rule
    self.parts = parts
    let looked = parts.compactMap(\.holds)
    verdict =
      looked.isEmpty
      ? .notChecked
      : looked.allSatisfy { $0 } && looked.count == parts.count
        ? .holds : looked.contains(true) ? .holdsPartly : .doesNotHold
  }
}
