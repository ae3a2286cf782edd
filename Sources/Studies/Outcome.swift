import Foundation
import ResLensResults
import ResLensSupport

/// The outcome of looking at the numbers for one part of a claim.
public struct Outcome: Equatable, Sendable {
  /// True if the part's condition is fulfilled; nil where the numbers do not decide it.
  public var decision: Bool?
  /// Why the numbers do not decide it, in a few words.
  public var reason: String
  /// The numbers, in words.
  public var numbers: String

  public init(_ decision: Bool?, reason: String = "within the noise", _ numbers: String) {
    (self.decision, self.reason, self.numbers) = (decision, reason, numbers)
  }

  static let oneSeed = "one seed"
  static let hardlyTrained = "hardly trained"

  /// The same numbers, which do not decide anything for a reason that lies in the networks.
  func undecided(_ reason: String) -> Outcome { Outcome(nil, reason: reason, numbers) }
}

extension Finding.Part {
  /// - Parameter outcome: nil where there are no numbers for the part
  init(_ subject: String, _ outcome: Outcome?) {
    guard let outcome else {
      self.init(subject, .notChecked, "there are no numbers for it")
      return
    }
    switch outcome.decision {
    case true?: self.init(subject, .holds, outcome.numbers)
    case false?: self.init(subject, .doesNotHold, outcome.numbers)
    case nil: self.init(subject, .notDecided, reason: outcome.reason, outcome.numbers)
    }
  }
}

// MARK: decisions from decisions, where nil is "not decided"

/// True if all of some conditions hold; nil if none fails and some are not decided.
func all(_ decisions: [Bool?]) -> Bool? {
  if decisions.contains(false) { return false }
  return decisions.contains(nil) ? nil : true
}

/// True if at least a share of some conditions holds; nil if that depends on the conditions that are not decided.
func share(of decisions: [Bool?], atLeast least: Double) -> Bool? {
  let wanted = least * Double(decisions.count) - 1e-9
  let (yes, open) = (decisions.count { $0 == true }, decisions.count { $0 == nil })
  if Double(yes) >= wanted { return true }
  return Double(yes + open) < wanted ? false : nil
}

// MARK: numbers in words

func number(_ value: Double, _ digits: Int = 3) -> String {
  guard value.isFinite else { return "\(value)" }
  return abs(value) < 1e6 ? decimal(value, digits) : significant(value)
}

/// The number with two standard errors, for instance "−0.102 ± 0.004".
func number(_ estimate: Estimate, _ digits: Int = 3) -> String {
  number(estimate.value, digits) + (estimate.margin.isFinite ? " ± \(number(estimate.margin, digits))" : "")
}

func percentage(_ share: Double) -> String { number(100 * share, 1) + " %" }

/// The share with two standard errors, for instance "88.6 ± 1.4 %".
func percentage(_ estimate: Estimate, _ digits: Int = 1) -> String { number(100 * estimate, digits) + " %" }

extension Array {
  /// The lower and the upper half; an element in the middle belongs to neither.
  var halves: (lower: ArraySlice<Element>, upper: ArraySlice<Element>) { (prefix(count / 2), suffix(count / 2)) }
}

extension Collection<Estimate> {
  /// The estimate in the middle by value, or the mean of the two in the middle; nil of none.
  var median: Estimate? {
    let sorted = sorted { $0.value < $1.value }
    guard !sorted.isEmpty else { return nil }
    return Estimate(overSteps: [sorted[(sorted.count - 1) / 2], sorted[sorted.count / 2]])
  }
  /// The estimate with the largest value.
  var largest: Estimate? { self.max { $0.value < $1.value } }
  /// The estimate with the smallest value.
  var smallest: Estimate? { self.min { $0.value < $1.value } }
}
