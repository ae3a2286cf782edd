import ResLensMeasures
import ResLensResults

// MARK: borderline examples and unrolling (§4.3, §4.4)

extension Claim {
  private static let deep = ["resnet-110"]

  static let borderline: [Claim] = [
    Claim(
      "A significant chunk of borderline examples is corrected by the immediate next block.", "§4.3, Fig. 6",
      rule: "on validation samples the first step after the reference corrects a tenth of the borderline examples or "
        + "more, more than it breaks, and no later step corrects more", of: deep
    ) { subject in
      let flips = try subject.measures?.rows(of: BorderlineGroups.Flips.self, in: "borderline-flips", .validation) ?? []
      guard let next = flips.min(by: { $0.step < $1.step }), next.count > 0 else { return nil }
      let most = flips.map(\.corrected).max() ?? 0
      return (
        10 * next.corrected >= next.count && next.corrected > next.broken && next.corrected == most,
        "step \(next.step) corrects \(next.corrected) of \(next.count) and breaks \(next.broken); the most that a "
          + "step corrects is \(most)"
      )
    },
    Claim(
      statement: "Entropy decreases for all considered subsets.", source: "§4.3, Fig. 6",
      rule: "on validation samples the mean entropy of the group is lower after the last step than at the reference"
    ) { evidence in
      let tables = evidence.subject("resnet-110")?.measures
      return try ["borderline", "already-correct", "all"].map { group in
        Finding.Part(
          group.replacing("-", with: " "),
          try tables?.change(of: group, .validation, \.entropy).map {
            ($0.last < $0.first, "from \(number($0.first)) to \(number($0.last))")
          })
      }
    },
    Claim(
      statement: "Train loss drops uniformly across the last blocks, test loss increases after the last.",
      source: "§4.3, Fig. 6",
      rule:
        "the mean loss of all train samples falls at every step, and that of all validation samples rises at the last"
    ) { evidence in
      let tables = evidence.subject("resnet-110")?.measures
      func losses(_ split: Split) throws -> [Double]? {
        let losses = try tables?.states(split).filter { $0.group == "all" }.map(\.score.loss) ?? []
        return losses.count > 1 ? losses : nil
      }
      let text = { (losses: [Double]) in losses.map { number($0, 4) }.joined(separator: ", ") }
      return [
        Finding.Part(
          "train",
          try losses(.train).map { losses in
            (zip(losses, losses.dropFirst()).allSatisfy { $0 > $1 }, text(losses))
          }),
        Finding.Part(
          "validation",
          try losses(.validation).map { losses in
            (losses[losses.count - 1] > losses[losses.count - 2], text(losses))
          }),
      ]
    },
    Claim(
      "The last block's output is negatively correlated with the gradient of the loss, by a cosine of around −0.1.",
      "caption of Fig. 6", rule: "its mean cosine loss on validation samples lies between −0.2 and −0.05", of: deep
    ) { subject in
      try subject.measures?.cosineLoss(.backpropagated).last.map { ((-0.2 ... -0.05).contains($0), number($0)) }
    },
  ]

  static let expense = Claim(
    "Performance on borderline examples improves at the expense of the loss of already correct ones.",
    "caption of Fig. 6",
    rule:
      "on validation samples accuracy on the borderline group is higher after the last step than at the reference, and "
      + "the mean loss of the already correct group is higher too", of: deep
  ) { subject in
    guard let border = try subject.measures?.change(of: "borderline", .validation, \.accuracy),
      let correct = try subject.measures?.change(of: "already-correct", .validation, \.loss)
    else { return nil }
    return (
      border.last > border.first && correct.last > correct.first,
      "accuracy from \(percentage(border.first)) to \(percentage(border.last)), loss from \(number(correct.first, 4)) to "
        + number(correct.last, 4)
    )
  }

  static let unrolling: [Claim] = [
    Claim(
      "Naively unrolling leads to activation explosion; scaled, it does not.", "§4.4",
      rule:
        "‖αF‖ (validation) at the last added step is over ten times that at the first without scaling, and less than "
        + "twice with it", of: deep
    ) { subject in
      func growth(scaled: Bool) throws -> Double? {
        guard let steps = try subject.measures?.addedSteps(scaled: scaled, .validation),
          let first = steps.first?[.distance], let last = steps.last?[.distance]
        else { return nil }
        return last / first
      }
      guard let unscaled = try growth(scaled: false), let scaled = try growth(scaled: true) else { return nil }
      // A value that is NaN has exploded.
      return (
        !(unscaled <= 10) && scaled < 2, "\(number(unscaled, 1)) times unscaled, \(number(scaled, 2)) times scaled"
      )
    },
    Claim(
      "Loss on the train set improves with scaled steps (from 0.0012 to 0.001), and increases on the test set.", "§4.4",
      rule: "after the scaled steps the mean loss is lower on train samples, and higher on validation samples", of: deep
    ) { subject in
      guard let train = try subject.measures?.changeByScaledSteps(of: "all", .train, \.loss),
        let test = try subject.measures?.changeByScaledSteps(of: "all", .validation, \.loss)
      else { return nil }
      return (
        train.last < train.first && test.last > test.first,
        "train from \(number(train.first, 4)) to \(number(train.last, 4)), validation from \(number(test.first, 4)) to "
          + number(test.last, 4)
      )
    },
    Claim(
      "Performance on borderline test examples improves (from 43 % to 53 %, on average 51 examples).", "§4.4, Fig. 7",
      rule: "after the scaled steps accuracy on borderline validation samples is higher", of: deep
    ) { subject in
      try subject.measures?.changeByScaledSteps(of: "borderline", .validation, \.accuracy).map {
        (
          $0.last > $0.first,
          "from \(percentage($0.first)) to \(percentage($0.last)), on average \($0.count) examples"
        )
      }
    },
    Claim(
      "That yields a slight improvement in accuracy on the test set.", "§4.4, Fig. 7",
      rule: "after the scaled steps accuracy on all validation samples is higher", of: deep
    ) { subject in
      try subject.measures?.changeByScaledSteps(of: "all", .validation, \.accuracy).map {
        ($0.last > $0.first, "from \(number(100 * $0.first, 2)) % to \(number(100 * $0.last, 2)) %")
      }
    },
  ]

  static let unrolledSteps: [Claim] = [
    Claim(
      statement: "The cosine loss remains negative on the first two added steps without rescaling.",
      source: "§4.4, Fig. 20",
      rule:
        "the mean cosine loss on train and on validation samples is below 0 at added steps 1 and 2; the paper does not say "
        + "by which gradient, so both are looked at"
    ) { try parts(of: $0, scaled: false, steps: 2) },
    Claim(
      statement: "With scaling it remains negative on all added steps.", source: "§4.4, Fig. 20",
      rule: "the mean cosine loss on train and on validation samples is below 0 at every added step, by either gradient"
    ) { try parts(of: $0, scaled: true, steps: .max) },
    Claim(
      "The ℓ2 ratio of scaled steps stays small.", "our reading of Fig. 20",
      rule: "the mean ratio on validation samples is below 0.5 at every added step", of: deep
    ) { subject in
      guard let steps = try subject.measures?.addedSteps(scaled: true, .validation), !steps.isEmpty else { return nil }
      let largest = steps.compactMap { $0[.ratio] }.max() ?? .nan
      return (largest < 0.5, "largest \(number(largest, 3))")
    },
  ]

  /// Whether the cosine losses of added steps are negative, by each gradient on each set.
  private static func parts(of evidence: Evidence, scaled: Bool, steps: Int) throws -> [Finding.Part] {
    let gradients: [(String, UnrolledSteps.Quantity)] = [("backpropagated", .cosine), ("readout", .cosineReadout)]
    return try Split.allCases.flatMap { split in
      let added = try evidence.subject("resnet-110")?.measures?.addedSteps(scaled: scaled, split).prefix(steps) ?? []
      return gradients.map { gradient, quantity in
        let means = added.compactMap { $0[quantity] }
        return Finding.Part(
          "\(gradient), \(split.rawValue)",
          means.isEmpty
            ? nil
            : (
              means.allSatisfy { $0 < 0 } && means.count == added.count,
              "negative at \(means.count { $0 < 0 }) of \(added.count); largest \(number(means.max() ?? .nan))"
            ))
      }
    }
  }
}

// MARK: reading the tables

extension MeasuredTables {
  /// A number of a group of examples before some steps and after them, and the number of examples.
  fileprivate typealias Change = (first: Double, last: Double, count: Int)

  /// The scores of each group of examples from the reference on, in the order of the steps.
  fileprivate func states(_ split: Split) throws -> [BorderlineGroups.Row] {
    try rows(of: BorderlineGroups.Row.self, in: "borderline", split).sorted { $0.step < $1.step }
  }

  /// A number of a group of examples at the reference and after the last step; nil where the group has none.
  fileprivate func change(of group: String, _ split: Split, _ number: KeyPath<Score, Double>) throws -> Change? {
    let states = try states(split)
    guard let reference = states.first?.step, let end = states.last?.step, end > reference,
      let first = states.first(where: { $0.step == reference && $0.group == group })?.score,
      let last = states.first(where: { $0.step == end && $0.group == group })?.score
    else { return nil }
    return (first[keyPath: number], last[keyPath: number], first.count)
  }

  /// The means of an added step's quantities over samples; a quantity without a single counted sample is left out.
  fileprivate typealias AddedStep = [UnrolledSteps.Quantity: Double]

  /// The added steps of an unrolled network, in order; none where nothing was unrolled.
  fileprivate func addedSteps(scaled: Bool, _ split: Split) throws -> [AddedStep] {
    let rows = try rows(of: UnrolledSteps.StepRow.self, in: "unrolling-steps", split)
    let way = Self.way(of: rows.map(\.way), scaled: scaled)
    var steps: [Int: AddedStep] = [:]
    for row in rows where row.way == way && row.repetition > 0 {
      guard let quantity = UnrolledSteps.Quantity(rawValue: row.quantity) else { continue }
      steps[row.place, default: [:]][quantity] = row.statistic.mean
    }
    return steps.sorted { $0.key < $1.key }.map(\.value)
  }

  /// A number of a group of examples after the trained network's last step, and after the last added one that is scaled;
  /// nil where the group has none.
  fileprivate func changeByScaledSteps(
    of group: String, _ split: Split, _ number: KeyPath<Score, Double>
  ) throws -> Change? {
    let rows = try rows(of: UnrolledSteps.GroupRow.self, in: "unrolling", split).sorted { $0.place < $1.place }
    let way = Self.way(of: rows.map(\.way), scaled: true)
    let own = rows.filter { $0.way == way && $0.group == group }
    guard let first = own.last(where: { $0.repetition == 0 })?.score,
      let last = own.last(where: { $0.repetition > 0 })?.score
    else { return nil }
    return (first[keyPath: number], last[keyPath: number], first.count)
  }

  /// The name of the way of repeating; the unscaled steps are the scaled ones too where no smaller scale was better.
  private static func way(of names: [String], scaled: Bool) -> String {
    scaled && names.contains("scaled") ? "scaled" : "unscaled"
  }
}
