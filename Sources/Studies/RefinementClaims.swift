import ResLensMeasures
import ResLensResults

// MARK: borderline examples and unrolling (§4.3, §4.4)

extension Claim {
  private static let sameSamples = "by two standard errors of the change on the same samples"

  static func borderline(_ models: [String]) -> [Claim] {
    [
      Claim(
        "A significant chunk of borderline examples is corrected by the immediate next block.", "§4.3, Fig. 6",
        rule: "on validation samples the first step after the reference corrects a tenth of the borderline examples or "
          + "more, more than it breaks, and more than any later step, each by two standard errors from the samples that "
          + "flip", of: models
      ) { subject in
        func share(_ count: KeyPath<BorderlineGroups.Flips, Int>) throws -> [Estimate] {
          try subject.measures.steps { tables in
            try tables.rows(of: BorderlineGroups.Flips.self, in: "borderline-flips", .validation).filter {
              $0.count > 0
            }
            .map { ($0.step, Estimate(share: Double($0[keyPath: count]) / Double($0.count), of: $0.count)) }
          }.estimates
        }
        let (corrected, broken) = (try share(\.corrected), try share(\.broken))
        guard let next = corrected.first, let breaks = broken.first else { return nil }
        let later = corrected.dropFirst()
        return Outcome(
          all([next.isAbove(0.1), (next - breaks).isAbove(0)] + later.map { (next - $0).isAbove(0) }),
          "the next step corrects \(percentage(next)) and breaks \(percentage(breaks))"
            + (later.largest.map { "; the most that a later step corrects is \(percentage($0))" } ?? ""))
      },
      Claim(
        "Entropy decreases for all considered subsets.", "§4.3, Fig. 6",
        rule: "on validation samples the mean entropy of the group is lower after the last step than at the reference, "
          + sameSamples, of: models,
        parts: ["borderline", "already-correct", "all"].map { ($0.replacing("-", with: " "), $0) }
      ) { group, measures in
        try measures.changes(of: group, .validation, from: "reference", \.entropyEstimate).last.map {
          Outcome($0.isBelow(0), "it changes by \(number($0))")
        }
      },
      Claim(
        "Train loss drops uniformly across the last blocks, test loss increases after the last.", "§4.3, Fig. 6",
        rule: "the mean loss of all train samples falls at every step, and that of all validation samples rises at the "
          + "last, \(sameSamples)", of: models, parts: Split.allCases.map { ($0.rawValue, $0) }
      ) { split, measures in
        let changes = try measures.changes(of: "all", split, from: "before", \.lossEstimate)
        let text = "changes at the steps: " + changes.map { number($0, 4) }.joined(separator: ", ")
        return changes.last.map { last in
          Outcome(split == .train ? all(changes.map { $0.isBelow(0) }) : last.isAbove(0), text)
        }
      },
      Claim(
        "The last block's output is negatively correlated with the gradient of the loss, by a cosine of around −0.1.",
        "caption of Fig. 6",
        rule:
          "its mean cosine loss on validation samples lies between −0.2 and −0.05, by two standard errors over samples",
        of: models
      ) { subject in
        try subject.measures.cosineLoss(.backpropagated).last.map {
          Outcome(all([$0.estimate.isAbove(-0.2), $0.estimate.isBelow(-0.05)]), number($0.estimate))
        }
      },
      Claim(
        "Performance on borderline examples improves at the expense of the loss of already correct ones.",
        "caption of Fig. 6",
        rule:
          "on validation samples accuracy on the borderline group is higher after the last step than at the reference, and "
          + "the mean loss of the already correct group is higher too, \(sameSamples)", of: models
      ) { subject in
        let accuracies = try subject.measures.changes(
          of: "borderline", .validation, from: "reference", \.accuracyEstimate)
        let losses = try subject.measures.changes(of: "already-correct", .validation, from: "reference", \.lossEstimate)
        guard let accuracy = accuracies.last, let loss = losses.last else { return nil }
        return Outcome(
          all([accuracy.isAbove(0), loss.isAbove(0)]),
          "accuracy changes by \(percentage(accuracy)), loss by \(number(loss, 4))")
      },
    ]
  }

  static func unrolling(_ models: [String]) -> [Claim] {
    [
      Claim(
        "Naively unrolling leads to activation explosion; scaled, it does not.", "§4.4",
        rule:
          "‖αF‖ (validation) at the last added step is over ten times that at the first without scaling, and less than "
          + "twice with it, by two standard errors over samples; a value that is not a finite number has exploded",
        of: models
      ) { subject in
        func norms(scaled: Bool) throws -> (first: Estimate, last: Estimate)? {
          let steps = try subject.measures.addedSteps(.distance, scaled: scaled, .validation)
          return steps.first.flatMap { first in steps.last.map { (first, $0) } }
        }
        guard let unscaled = try norms(scaled: false), let scaled = try norms(scaled: true) else { return nil }
        func exceeds(_ factor: Double, _ norms: (first: Estimate, last: Estimate)) -> Bool? {
          norms.last.value.isFinite ? (norms.last - factor * norms.first).isAbove(0) : true
        }
        return Outcome(
          all([exceeds(10, unscaled), exceeds(2, scaled).map { !$0 }]),
          "unscaled from \(number(unscaled.first, 1)) to \(number(unscaled.last, 1)), scaled from "
            + "\(number(scaled.first, 2)) to \(number(scaled.last, 2))")
      },
      Claim(
        "Loss on the train set improves with scaled steps (from 0.0012 to 0.001), and increases on the test set.",
        "§4.4",
        rule: "after the scaled steps the mean loss is lower on train samples, and higher on validation samples, "
          + sameSamples, of: models
      ) { subject in
        guard let train = try subject.measures.changeByScaledSteps(of: "all", .train, \.lossEstimate),
          let test = try subject.measures.changeByScaledSteps(of: "all", .validation, \.lossEstimate)
        else { return nil }
        return Outcome(
          all([train.isBelow(0), test.isAbove(0)]),
          "train changes by \(number(train, 5)), validation by \(number(test, 5))")
      },
      Claim(
        "Performance on borderline test examples improves (from 43 % to 53 %, on average 51 examples).", "§4.4, Fig. 7",
        rule: "after the scaled steps accuracy on borderline validation samples is higher, \(sameSamples)", of: models
      ) { subject in
        try subject.measures.changeByScaledSteps(of: "borderline", .validation, \.accuracyEstimate).map {
          Outcome($0.isAbove(0), "it changes by \(percentage($0))")
        }
      },
      Claim(
        "That yields a slight improvement in accuracy on the test set.", "§4.4, Fig. 7",
        rule: "after the scaled steps accuracy on all validation samples is higher, \(sameSamples)", of: models
      ) { subject in
        try subject.measures.changeByScaledSteps(of: "all", .validation, \.accuracyEstimate).map {
          Outcome($0.isAbove(0), "it changes by \(percentage($0, 2))")
        }
      },
    ]
  }

  static func unrolledSteps(_ models: [String]) -> [Claim] {
    [
      Claim(
        "The cosine loss remains negative on the first two added steps without rescaling.", "§4.4, Fig. 20",
        rule:
          "the mean cosine loss on train and on validation samples is below 0 at added steps 1 and 2, by two standard "
          + "errors over samples; the paper does not say by which gradient, so both are looked at", of: models,
        parts: cosines
      ) { try outcome($0, $1, scaled: false, steps: 2) },
      Claim(
        "With scaling it remains negative on all added steps.", "§4.4, Fig. 20",
        rule:
          "the mean cosine loss on train and on validation samples is below 0 at every added step, by either gradient, "
          + "by two standard errors over samples", of: models, parts: cosines
      ) { try outcome($0, $1, scaled: true, steps: .max) },
      Claim(
        "The ℓ2 ratio of scaled steps stays small.", "our reading of Fig. 20",
        rule:
          "the mean ratio on validation samples is below 0.5 at every added step, by two standard errors over samples",
        of: models
      ) { subject in
        let ratios = try subject.measures.addedSteps(.ratio, scaled: true, .validation)
        return ratios.largest.map { Outcome(all(ratios.map { $0.isBelow(0.5) }), "largest \(number($0))") }
      },
    ]
  }

  /// The cosine losses of added steps: by each gradient on each set.
  private static let cosines: [(String, AddedCosine)] = Split.allCases.flatMap { split in
    [("backpropagated", UnrolledSteps.Quantity.cosine), ("readout", .cosineReadout)].map { gradient, quantity in
      ("\(gradient), \(split.rawValue)", AddedCosine(split: split, quantity: quantity))
    }
  }

  private struct AddedCosine: Sendable {
    let split: Split
    let quantity: UnrolledSteps.Quantity
  }

  /// The outcome of asking if the cosine losses of the first added steps are negative.
  private static func outcome(
    _ cosine: AddedCosine, _ measures: [MeasuredTables], scaled: Bool, steps: Int
  ) throws -> Outcome? {
    let cosines = try measures.addedSteps(cosine.quantity, scaled: scaled, cosine.split).prefix(steps)
    guard let largest = cosines.largest else { return nil }
    let isNegative = cosines.map { $0.isBelow(0) }
    return Outcome(
      all(isNegative), "below 0 at \(isNegative.count { $0 == true }) of \(cosines.count); largest \(number(largest))")
  }
}

// MARK: reading the tables

extension [MeasuredTables] {
  /// The change of a group's number after each step from the reference on, in the order of the steps.
  /// - Parameter from: the earlier state, "reference" or "before"
  fileprivate func changes(
    of group: String, _ split: Split, from: String, _ number: KeyPath<ScoreChange, Estimate>
  ) throws -> [Estimate] {
    try steps { tables in
      try tables.rows(of: BorderlineGroups.ChangeRow.self, in: "borderline-changes", split)
        .filter { $0.group == group && $0.from == from }.map { ($0.step, $0.change[keyPath: number]) }
    }.estimates
  }

  /// The mean of a quantity over samples at each added step of the unrolled network, in order; none where nothing was
  /// unrolled.
  fileprivate func addedSteps(
    _ quantity: UnrolledSteps.Quantity, scaled: Bool, _ split: Split
  ) throws -> [Estimate] {
    try steps { tables in
      let rows = try tables.rows(of: UnrolledSteps.StepRow.self, in: "unrolling-steps", split)
      let way = Self.way(of: rows.map(\.way), scaled: scaled)
      return rows.filter { $0.way == way && $0.repetition > 0 && $0.quantity == quantity.rawValue }
        .map { ($0.place, $0.statistic.estimate) }
    }.estimates
  }

  /// The change of a group's number from the trained network's own output to the last added step that is scaled; nil where
  /// the group has none.
  fileprivate func changeByScaledSteps(
    of group: String, _ split: Split, _ number: KeyPath<ScoreChange, Estimate>
  ) throws -> Estimate? {
    try estimate { tables in
      let rows = try tables.rows(of: UnrolledSteps.ChangeRow.self, in: "unrolling-changes", split)
      let way = Self.way(of: rows.map(\.way), scaled: true)
      return rows.filter { $0.way == way && $0.group == group }.max { $0.place < $1.place }?.change[keyPath: number]
    }
  }

  /// The name of the way of repeating; the unscaled steps are the scaled ones too where no smaller scale was better.
  private static func way(of names: [String], scaled: Bool) -> String {
    scaled && names.contains("scaled") ? "scaled" : "unscaled"
  }
}
