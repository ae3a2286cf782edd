/// The verdict on something that was claimed, by a rule that is stated beside it.
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

  /// A verdict on a claim, or on a part of it.
  public enum Verdict: String, Codable, Sendable, CaseIterable {
    /// The numbers fulfil the rule, by more than their uncertainty. Of a claim: every part holds.
    case holds
    /// Some parts hold and others do not. A part itself never has this verdict.
    case holdsPartly = "holds partly"
    /// The numbers contradict the rule, by more than their uncertainty. Of a claim: no part holds, and some do not.
    case doesNotHold = "does not hold"
    /// The numbers lie within their uncertainty of the rule's border, or are of too few networks.
    case notDecided = "not decided"
    /// There are no numbers for it.
    case notChecked = "not checked"
  }

  /// One thing that was looked at.
  public struct Part: Codable, Equatable, Sendable {
    /// The subject of the part, for instance a network.
    public var subject: String
    /// The verdict on the part.
    public var verdict: Verdict
    /// Why the part is not decided, in a few words; nil for other verdicts.
    public var reason: String?
    /// The numbers, in words.
    public var numbers: String

    public init(_ subject: String, _ verdict: Verdict, reason: String? = nil, _ numbers: String) {
      self.subject = subject
      self.verdict = verdict
      self.reason = reason
      self.numbers = numbers
    }

    /// The verdict with the reason, for instance "not decided (one seed)".
    public var verdictText: String { Finding.text(verdict, reason) }
  }

  /// The verdict follows from the parts.
  public init(claim: String, source: String, rule: String, parts: [Part]) {
    self.claim = claim
    self.source = source
    self.rule = rule
    self.parts = parts
    let verdicts = Set(parts.map(\.verdict))
    verdict =
      switch verdicts {
      case []: .notChecked
      case [.holds]: .holds
      case let some where some.contains(.holds): .holdsPartly
      case let some where some.contains(.doesNotHold): .doesNotHold
      case let some where some.contains(.notDecided): .notDecided
      default: .notChecked
      }
  }

  /// The verdict, with the reason where it is not decided for one reason alone.
  public var verdictText: String {
    let reasons = Set(parts.compactMap(\.reason))
    return Self.text(verdict, reasons.count == 1 && verdict == .notDecided ? reasons.first : nil)
  }

  private static func text(_ verdict: Verdict, _ reason: String?) -> String {
    verdict.rawValue + (reason.map { " (\($0))" } ?? "")
  }
}
