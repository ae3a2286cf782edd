import ResLensResults

/// A claim about a figure or table, and the rule that decides from numbers and their uncertainty whether it holds.
public struct Claim: Sendable {
  /// The claim, in one sentence.
  public var statement: String
  /// The place in the text where it is made.
  public var source: String
  /// The condition that each part must fulfil, and what uncertainty it counts.
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

  /// The rules that hold for all claims, in sentences.
  public static let generalRules = """
    A number counts as above or below another only where it is so by more than two standard errors; otherwise the claim \
    is not decided. Standard errors are over samples, and over seeds where there are several; a rule that looks at many \
    steps makes no correction for their number. A claim that compares trained networks needs at least two seeds of each. \
    A network whose validation accuracy is within three standard errors of chance decides nothing. Behind ± stand two \
    standard errors.
    """
}

extension Claim {
  /// A claim about several trained networks, with one part for each network on each data set. A part without numbers is
  /// not checked.
  /// - Parameter check: what the numbers of a network say; nil where there are none
  public init(
    _ statement: String, _ source: String, rule: String, of models: [String],
    _ check: @escaping @Sendable (Evidence.Subject) throws -> Outcome?
  ) {
    self.init(statement: statement, source: source, rule: rule) { evidence in
      try models.flatMap { model -> [Finding.Part] in
        let subjects = evidence.subjects.filter { $0.model == model }
        return subjects.isEmpty
          ? [Finding.Part(model, .notChecked, "not in this study")]
          : try subjects.map { Finding.Part($0.title, try $0.decided(try check($0))) }
      }
    }
  }
}

extension Claim {
  /// A claim about several parts of each network's measures, such as groups of samples. A part without numbers is not
  /// checked.
  /// - Parameters:
  ///   - parts: the parts by their names
  ///   - check: what the measures of a network say about a part; nil where there are none
  init<Part: Sendable>(
    _ statement: String, _ source: String, rule: String, of models: [String], parts: [(name: String, part: Part)],
    _ check: @escaping @Sendable (Part, [MeasuredTables]) throws -> Outcome?
  ) {
    self.init(statement: statement, source: source, rule: rule) { evidence in
      try models.flatMap { model in
        try parts.map { name, part in
          let outcome = try evidence.subject(model).flatMap { try $0.decided(try check(part, $0.measures)) }
          return Finding.Part(models.count == 1 ? name : "\(model): \(name)", outcome)
        }
      }
    }
  }
}

extension Evidence.Subject {
  /// The name of the network in a part.
  var title: String { architecture == model ? model : "\(model) (as \(architecture))" }

  /// The outcome, which decides nothing where the network has hardly learnt.
  func decided(_ outcome: Outcome?) throws -> Outcome? {
    try hasLearnt() == false ? outcome?.undecided(Outcome.hardlyTrained) : outcome
  }

  /// True if the validation accuracy is beyond guessing: after the last epoch, or behind the last measured step of a network
  /// without epochs. nil if neither is known.
  /// - Throws: `TableError` where a table has other columns than are read.
  func hasLearnt() throws -> Bool? {
    if !runs.allSatisfy(\.epochs.isEmpty) {
      return isBeyondGuessing(accuracy: 1 - validationError.mean, classes: classes, samples: validationSamples)
    }
    let scores = try measures.compactMap { tables in
      try tables.rows(of: StepScore.self, in: "intermediate", .validation).max { $0.step < $1.step }?.score
    }
    guard let first = scores.first else { return nil }
    let accuracy = scores.reduce(0) { $0 + $1.accuracy } / Double(scores.count)
    return isBeyondGuessing(accuracy: accuracy, classes: classes, samples: first.count)
  }
}
