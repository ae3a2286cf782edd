import Foundation
import Results

/// A claim about a figure or table, and the rule that decides from numbers whether it holds.
public struct Claim: Sendable {
  /// One sentence.
  public var statement: String
  /// Where it was said.
  public var source: String
  /// The condition that each part must fulfil.
  public var rule: String
  /// The parts that are examined, one by one.
  var parts: @Sendable (Evidence) -> [Finding.Part]

  init(
    statement: String, source: String, rule: String, parts: @escaping @Sendable (Evidence) -> [Finding.Part]
  ) {
    (self.statement, self.source, self.rule, self.parts) = (statement, source, rule, parts)
  }

  /// The finding: what the numbers say about the claim.
  public func finding(in evidence: Evidence) -> Finding {
    Finding(claim: statement, source: source, rule: rule, parts: parts(evidence))
  }
}

extension Claim {
  /// A claim of each of some networks: a part each, not checked where its numbers are missing.
  init(
    _ statement: String, _ source: String, rule: String, of models: [String],
    _ check: @escaping @Sendable (Evidence.Subject) -> (Bool, String)?
  ) {
    self.init(statement: statement, source: source, rule: rule) { evidence in
      models.flatMap { model -> [Finding.Part] in
        let subjects = evidence.subjects.filter { $0.model == model }
        return subjects.isEmpty
          ? [Finding.Part(model, nil, "not in this study")] : subjects.map { Finding.Part($0.title, check($0)) }
      }
    }
  }
}

extension Evidence.Subject {
  /// The name of the network in a part.
  var title: String { architecture == model ? model : "\(model) (as \(architecture))" }
}

extension Finding.Part {
  /// - Parameter outcome: nil where there are no numbers for it
  init(_ subject: String, _ outcome: (Bool, String)?) {
    self.init(subject, outcome?.0, outcome?.1 ?? "there are no numbers for it")
  }
}

// MARK: numbers in words

func number(_ value: Double, _ digits: Int = 3) -> String {
  value.isFinite ? String(format: "%.\(digits)f", value).replacing("-", with: "−") : "\(value)"
}

func percentage(_ share: Double) -> String { number(100 * share, 1) + " %" }

/// Their mean; nan of none.
func average(_ values: some Collection<Double>) -> Double { values.reduce(0, +) / Double(values.count) }

extension Array {
  /// The lower and the upper half; a middle one belongs to neither.
  var halves: (lower: ArraySlice<Element>, upper: ArraySlice<Element>) { (prefix(count / 2), suffix(count / 2)) }
}
