import Foundation
import ResLensResults

/// A claim about a figure or table, and the rule that decides from numbers whether it holds.
public struct Claim: Sendable {
  /// The claim, in one sentence.
  public var statement: String
  /// The place in the text where it is made.
  public var source: String
  /// The condition that each part must fulfil.
  public var rule: String
  /// Examines the parts, one by one.
  private var parts: @Sendable (Evidence) throws -> [Finding.Part]

  /// - Parameter parts: examines the parts; it throws where a table lacks a column that the rule needs
  public init(
    statement: String, source: String, rule: String, parts: @escaping @Sendable (Evidence) throws -> [Finding.Part]
  ) {
    (self.statement, self.source, self.rule, self.parts) = (statement, source, rule, parts)
  }

  /// The finding: what the numbers say about the claim.
  /// - Throws: `TableError` or `DecodingError` where a table has other columns than the rule reads.
  public func finding(in evidence: Evidence) throws -> Finding {
    Finding(claim: statement, source: source, rule: rule, parts: try parts(evidence))
  }
}

extension Claim {
  /// A claim about several networks, with one part for each network on each data set. A part without numbers is not
  /// checked.
  /// - Parameter check: whether the claim holds for a network, and the numbers in words; nil where there are none
  public init(
    _ statement: String, _ source: String, rule: String, of models: [String],
    _ check: @escaping @Sendable (Evidence.Subject) throws -> (Bool, String)?
  ) {
    self.init(statement: statement, source: source, rule: rule) { evidence in
      try models.flatMap { model -> [Finding.Part] in
        let subjects = evidence.subjects.filter { $0.model == model }
        return subjects.isEmpty
          ? [Finding.Part(model, nil, "not in this study")]
          : try subjects.map { Finding.Part($0.title, try check($0)) }
      }
    }
  }
}

extension Evidence.Subject {
  /// The name of the network in a part.
  var title: String { architecture == model ? model : "\(model) (as \(architecture))" }
}

extension Finding.Part {
  /// - Parameter outcome: whether the part holds, and the numbers in words; nil where there are no numbers for it
  init(_ subject: String, _ outcome: (Bool, String)?) {
    self.init(subject, outcome?.0, outcome?.1 ?? "there are no numbers for it")
  }
}

// MARK: numbers in words

func number(_ value: Double, _ digits: Int = 3) -> String {
  value.isFinite ? String(format: "%.\(digits)f", value).replacing("-", with: "−") : "\(value)"
}

func percentage(_ share: Double) -> String { number(100 * share, 1) + " %" }

/// The mean of some numbers; nan of none.
func average(_ values: some Collection<Double>) -> Double { values.reduce(0, +) / Double(values.count) }

extension Array {
  /// The lower and the upper half; an element in the middle belongs to neither.
  var halves: (lower: ArraySlice<Element>, upper: ArraySlice<Element>) { (prefix(count / 2), suffix(count / 2)) }
}
