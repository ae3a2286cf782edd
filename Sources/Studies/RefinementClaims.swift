import Results

// MARK: borderline examples and unrolling (§4.3, §4.4)

extension Claim {
  private static let deep = ["resnet-110"]

  static let borderline: [Claim] = [
    Claim(
      "A significant chunk of borderline examples is corrected by the immediate next block.", "§4.3, Fig. 6",
      rule: "on validation samples the first step after the reference corrects a tenth of the borderline examples or "
        + "more, more than it breaks, and no later step corrects more", of: deep
    ) { subject in
      guard let turns = subject.measures?.borderline?.turns.validation, let next = turns.first, next.count > 0 else {
        return nil
      }
      let most = turns.map(\.corrected).max() ?? 0
      return (
        10 * next.corrected >= next.count && next.corrected > next.broken && next.corrected == most,
        "step \(next.name.step) corrects \(next.corrected) of \(next.count) and breaks \(next.broken); the most that a "
          + "step corrects is \(most)"
      )
    },
    Claim(
      statement: "Entropy decreases for all considered subsets.", source: "§4.3, Fig. 6",
      rule: "on validation samples the mean entropy of the group is lower after the last step than at the reference"
    ) { evidence in
      groups.map { name, group in
        Finding.Part(
          name,
          evidence.subject("resnet-110")?.change(of: group, \.validation) { $0.entropy }.map {
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
      let borderline = evidence.subject("resnet-110")?.measures?.borderline
      func losses(_ states: [GroupedState]?) -> [Double]? {
        let losses = states?.map(\.groups.all.loss) ?? []
        return losses.count > 1 ? losses : nil
      }
      let text = { (losses: [Double]) in losses.map { number($0, 4) }.joined(separator: ", ") }
      return [
        Finding.Part(
          "train",
          losses(borderline?.states.train).map { losses in
            (zip(losses, losses.dropFirst()).allSatisfy { $0 > $1 }, text(losses))
          }),
        Finding.Part(
          "validation",
          losses(borderline?.states.validation).map { losses in
            (losses[losses.count - 1] > losses[losses.count - 2], text(losses))
          }),
      ]
    },
    Claim(
      "The last block's output is negatively correlated with the gradient of the loss, by a cosine of around −0.1.",
      "caption of Fig. 6", rule: "its mean cosine loss on validation samples lies between −0.2 and −0.05", of: deep
    ) { subject in
      subject.measures?.cosineLoss?.backpropagated.validation.last.map {
        ((-0.2 ... -0.05).contains($0.mean), number($0.mean))
      }
    },
  ]

  static let expense = Claim(
    "Performance on borderline examples improves at the expense of the loss of already correct ones.",
    "caption of Fig. 6",
    rule:
      "on validation samples accuracy on the borderline group is higher after the last step than at the reference, and "
      + "the mean loss of the already correct group is higher too", of: deep
  ) { subject in
    guard let border = subject.change(of: { $0.borderline }, \.validation, { $0.accuracy }),
      let correct = subject.change(of: { $0.alreadyCorrect }, \.validation, { $0.loss })
    else { return nil }
    return (
      border.last > border.first && correct.last > correct.first,
      "accuracy from \(percentage(border.first)) to \(percentage(border.last)), loss from \(number(correct.first, 4)) to "
        + number(correct.last, 4)
    )
  }

  private static let groups: [(String, @Sendable (GroupScores) -> Score?)] = [
    ("borderline", { $0.borderline }), ("already correct", { $0.alreadyCorrect }), ("all", { $0.all }),
  ]

  static let unrolling: [Claim] = [
    Claim(
      "Naively unrolling leads to activation explosion; scaled, it does not.", "§4.4",
      rule:
        "‖αF‖ (validation) at the last added step is over ten times that at the first without scaling, and less than "
        + "twice with it", of: deep
    ) { subject in
      func growth(scaled: Bool) -> Double? {
        guard let steps = subject.added(scaled: scaled), let first = steps.first, let last = steps.last else {
          return nil
        }
        return last.distance.mean / first.distance.mean
      }
      guard let unscaled = growth(scaled: false), let scaled = growth(scaled: true) else { return nil }
      // A value that is NaN has exploded.
      return (
        !(unscaled <= 10) && scaled < 2, "\(number(unscaled, 1)) times unscaled, \(number(scaled, 2)) times scaled"
      )
    },
    Claim(
      "Loss on the train set improves with scaled steps (from 0.0012 to 0.001), and increases on the test set.", "§4.4",
      rule: "after the scaled steps the mean loss is lower on train samples, and higher on validation samples", of: deep
    ) { subject in
      guard let train = subject.unrolled(scaled: true, \.train, { $0.all }, { $0.loss }),
        let test = subject.unrolled(scaled: true, \.validation, { $0.all }, { $0.loss })
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
      subject.unrolled(scaled: true, \.validation, { $0.borderline }, { $0.accuracy }).map {
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
      subject.unrolled(scaled: true, \.validation, { $0.all }, { $0.accuracy }).map {
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
    ) { parts(of: $0, scaled: false, steps: 2) },
    Claim(
      statement: "With scaling it remains negative on all added steps.", source: "§4.4, Fig. 20",
      rule: "the mean cosine loss on train and on validation samples is below 0 at every added step, by either gradient"
    ) { parts(of: $0, scaled: true, steps: .max) },
    Claim(
      "The ℓ2 ratio of scaled steps stays small.", "our reading of Fig. 20",
      rule: "the mean ratio on validation samples is below 0.5 at every added step", of: deep
    ) { subject in
      guard let steps = subject.added(scaled: true), !steps.isEmpty else { return nil }
      let largest = steps.compactMap { $0.l2Ratio?.mean }.max() ?? .nan
      return (largest < 0.5, "largest \(number(largest, 3))")
    },
  ]

  /// Whether the cosine losses of added steps are negative, by each gradient on each set.
  private static func parts(of evidence: Evidence, scaled: Bool, steps: Int) -> [Finding.Part] {
    let kinds: [(String, (UnrolledStep) -> Statistic?)] = [
      ("backpropagated", { $0.cosineLoss }), ("plugged", { $0.pluggedCosineLoss }),
    ]
    let splits: [(String, KeyPath<BySplit<[UnrolledStep]>, [UnrolledStep]>)] = [
      ("train", \.train), ("validation", \.validation),
    ]
    return splits.flatMap { split, path in
      let added = evidence.subject("resnet-110")?.added(scaled: scaled, path)?.prefix(steps)
      return kinds.map { kind, value in
        let means = added?.compactMap { value($0)?.mean } ?? []
        return Finding.Part(
          "\(kind), \(split)",
          means.isEmpty
            ? nil
            : (
              means.allSatisfy { $0 < 0 } && means.count == added?.count,
              "negative at \(means.count { $0 < 0 }) of \(added?.count ?? 0); largest \(number(means.max() ?? .nan))"
            ))
      }
    }
  }
}

extension Evidence.Subject {
  fileprivate typealias Ends = (first: Double, last: Double, count: Int)

  /// A number of a group of examples at the reference and after the last step.
  fileprivate func change(
    of group: (GroupScores) -> Score?, _ split: KeyPath<BySplit<[GroupedState]>, [GroupedState]>,
    _ value: (Score) -> Double
  ) -> Ends? {
    let states = measures?.borderline?.states[keyPath: split] ?? []
    guard states.count > 1, let first = group(states[0].groups), let last = group(states[states.count - 1].groups)
    else {
      return nil
    }
    return (value(first), value(last), first.count)
  }

  /// The added steps; nil where nothing was unrolled so.
  fileprivate func added(
    scaled: Bool, _ split: KeyPath<BySplit<[UnrolledStep]>, [UnrolledStep]> = \.validation
  ) -> [UnrolledStep]? {
    trajectory(scaled: scaled)?.steps[keyPath: split].filter { $0.repetition > 0 }
  }

  /// The scaled one is the unscaled one too where no smaller scale was better.
  private func trajectory(scaled: Bool) -> Unrolling.Trajectory? {
    let all = measures?.unrolling?.trajectories
    return scaled ? all?.last : all?.first
  }

  /// A number of a group of examples after the trained network's last step, and after the last added one.
  fileprivate func unrolled(
    scaled: Bool, _ split: KeyPath<BySplit<[UnrolledStep]>, [UnrolledStep]>, _ group: (GroupScores) -> Score?,
    _ value: (Score) -> Double
  ) -> Ends? {
    guard let steps = trajectory(scaled: scaled)?.steps[keyPath: split],
      let first = steps.last(where: { $0.repetition == 0 })?.groups.flatMap(group),
      let last = steps.last(where: { $0.repetition > 0 })?.groups.flatMap(group)
    else { return nil }
    return (value(first), value(last), first.count)
  }
}
