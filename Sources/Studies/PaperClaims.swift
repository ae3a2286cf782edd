import Results

extension Study {
  /// The paper's claims about the figure or table with this study's name; none for a study of the user's own.
  public var claims: [Claim] {
    let (all, shallow, projected) = (
      ["resnet-110", "single-representation", "avg-pooling", "wide"], ["single-representation", "avg-pooling"],
      ["resnet-110", "wide"]
    )
    return switch name {
    case "figure-2", "figure-11": Claim.l2Ratio(number, shallow: shallow, projected: projected)
    case "figure-3", "figure-12": Claim.dropping(number, shallow: shallow, projected: projected)
    case "figure-4", "figure-10": Claim.cosineLoss(number, all)
    case "figure-5", "figure-17": [Claim.gradual(number, all)]
    case "figure-6": Claim.borderline + [Claim.expense]
    case "figure-7": Claim.unrolling
    case "figure-8": Claim.naiveSharing
    case "figure-9": Claim.ablation
    case "figure-13", "figure-15": [Claim.cosineLossInTraining(number, all)]
    case "figure-14", "figure-16": [Claim.l2RatioInTraining(number, all)]
    case "figure-18": Claim.sharedTrend(number, "resnet-110-ubn")
    case "figure-19": Claim.sharedTrend(number, "resnet-110-shared")
    case "figure-20": Claim.unrolledSteps
    case "table-1": Claim.table1
    default: []
    }
  }

  /// "Fig. 4"
  private var number: String { "Fig. " + name.drop { !$0.isNumber } }
}

// MARK: steps of trained networks

extension Claim {
  static func cosineLoss(_ figure: String, _ models: [String]) -> [Claim] {
    [
      Claim(
        "The cosine loss is negative for all residual blocks.", "§4.1, \(figure)",
        rule: "the mean over validation samples is below 0 at every step", of: models
      ) { subject in
        subject.cosineLoss.map { steps in
          let negative = steps.count { $0 < 0 }
          return (
            negative == steps.count,
            "\(negative) of \(steps.count) steps; largest \(number(steps.max() ?? .nan)), smallest \(number(steps.min() ?? .nan))"
          )
        }
      },
      Claim(
        "It is more negative for the higher blocks.", "§4.1, \(figure)",
        rule: "the mean over the upper half of the steps is below that over the lower half", of: models
      ) { subject in
        subject.cosineLoss.flatMap { steps in
          guard steps.count > 1 else { return nil }
          let (lower, upper) = (average(steps.halves.lower), average(steps.halves.upper))
          return (upper < lower, "lower half \(number(lower)), upper half \(number(upper))")
        }
      },
    ]
  }

  static func l2Ratio(_ figure: String, shallow: [String], projected: [String]) -> [Claim] {
    [
      Claim(
        "Without projections, the first block changes the representation most, and the higher ones far less.",
        "§4.2, \(figure)",
        rule: "the largest ratio (validation) is the first step's, and at least twice the median of all", of: shallow,
        firstBlockChangesMost),
      Claim(
        "With projections the effect is not as drastic: all blocks change it little.", "§4.2, \(figure)",
        rule: "the ratio (validation) is below 1 at every step that has no projection", of: projected
      ) { subject in
        guard let steps = subject.measures?.l2Ratio?.validation.filter({ !$0.name.projection }), !steps.isEmpty else {
          return nil
        }
        let largest = steps.map(\.mean).max() ?? .nan
        return (largest < 1, "largest \(number(largest, 2)), median \(number(median(steps.map(\.mean)), 2))")
      },
    ]
  }

  @Sendable private static func firstBlockChangesMost(_ subject: Evidence.Subject) -> (Bool, String)? {
    guard let ratios = subject.measures?.l2Ratio?.validation.map(\.mean), ratios.count > 1 else { return nil }
    let (first, middle, largest) = (ratios[0], median(ratios), ratios.max() ?? .nan)
    return (
      first >= largest && first >= 2 * middle,
      "first \(number(first, 2)), largest \(number(largest, 2)), median \(number(middle, 2))"
    )
  }

  static func dropping(_ figure: String, shallow: [String], projected: [String]) -> [Claim] {
    let most = 0.2
    return [
      Claim(
        "Without projections, dropping the first block is catastrophic.", "§4.2, \(figure)",
        rule: "validation accuracy falls by more than \(percentage(most)) (absolute) without the first step",
        of: shallow
      ) { subject in
        subject.losses.flatMap { losses in
          losses.first.map {
            ($0.loss > most, "from \(percentage(losses.whole)) to \(percentage(losses.whole - $0.loss))")
          }
        }
      },
      Claim(
        "With projections, dropping a block is not drastic.", "§4.2, \(figure)",
        rule: "no step without a projection costs more than \(percentage(most)) of validation accuracy (absolute)",
        of: projected
      ) { subject in
        subject.losses.flatMap { losses in
          let worst = losses.steps.filter { !$0.name.projection }.max { $0.loss < $1.loss }
          return worst.map {
            ($0.loss <= most, "step \($0.name.step) costs most, \(percentage($0.loss)) of \(percentage(losses.whole))")
          }
        }
      },
      Claim(
        "Without projections, dropping most of the higher blocks has a minimal effect.", "§4.2, \(figure)",
        rule: "without a step of the upper half, the median loss of validation accuracy is below 5 % (absolute)",
        of: shallow
      ) { subject in
        subject.losses.flatMap { losses in
          guard losses.steps.count > 1 else { return nil }
          let middle = median(losses.steps.halves.upper.map(\.loss))
          return (middle < 0.05, "median \(percentage(middle))")
        }
      },
    ]
  }

  static func gradual(_ figure: String, _ models: [String]) -> Claim {
    Claim(
      "Accuracy increases gradually with more blocks of the last stage.", "§4.2, \(figure)",
      rule:
        "after the last epoch, validation accuracy rises from the stage's first step to its last, at three quarters "
        + "of the steps or more", of: models, rising)
  }

  @Sendable fileprivate static func rising(_ subject: Evidence.Subject) -> (Bool, String)? {
    guard let scores = subject.history.last?.measures.intermediate?.validation.map(\.score.accuracy), scores.count > 1
    else { return nil }
    let rises = zip(scores, scores.dropFirst()).count { $1 > $0 }
    return (
      scores[scores.count - 1] > scores[0] && 4 * rises >= 3 * (scores.count - 1),
      "from \(percentage(scores[0])) to \(percentage(scores[scores.count - 1])), rising at \(rises) of "
        + "\(scores.count - 1) steps"
    )
  }
}

extension Evidence.Subject {
  /// The mean of every step, backpropagated, on validation samples.
  fileprivate var cosineLoss: [Double]? {
    let steps = measures?.cosineLoss?.backpropagated.validation.map(\.mean)
    return steps?.isEmpty == false ? steps : nil
  }

  fileprivate struct Losses {
    struct Step {
      var name: StepName
      /// The loss of accuracy.
      var loss: Double
    }
    var whole: Double
    var steps: [Step]
    var first: Step? { steps.first }
  }

  /// The accuracy that is lost without each step, on validation samples.
  fileprivate var losses: Losses? {
    guard let dropped = measures?.droppedStep, !dropped.validation.isEmpty else { return nil }
    let whole = dropped.baseline.validation.accuracy
    return Losses(whole: whole, steps: dropped.validation.map { .init(name: $0.name, loss: whole - $0.score.accuracy) })
  }
}

// MARK: over training

extension Claim {
  /// Plugged: appendix C shows the last stage's blocks alone, "by plugging the classifier right after each hidden
  /// representation".
  static func cosineLossInTraining(_ figure: String, _ models: [String]) -> Claim {
    Claim(
      "The cosine loss consistently remains negative in training.", "App. C, \(figure)",
      rule:
        "with the head plugged in, of all steps of the last stage after all measured epochs, nine tenths or more are "
        + "below 0 (mean over validation samples)", of: models
    ) { mostlyNegative($0) { $0.plugged } }
  }

  fileprivate static func mostlyNegative(
    _ subject: Evidence.Subject, _ gradient: (MeasureResults.CosineLoss) -> BySplit<[StepStatistic]>
  ) -> (Bool, String)? {
    let values = subject.history.filter { $0.epoch > 0 }
      .flatMap { $0.measures.cosineLoss.map(gradient)?.validation ?? [] }.map(\.mean)
    guard !values.isEmpty else { return nil }
    let share = Double(values.count { $0 < 0 }) / Double(values.count)
    return (share >= 0.9, "\(percentage(share)) of \(values.count)")
  }

  static func l2RatioInTraining(_ figure: String, _ models: [String]) -> Claim {
    Claim(
      "The ℓ2 ratio tends to increase as training progresses.", "App. C, \(figure)",
      rule: "its mean over the last stage's steps (validation) is larger after the last epoch than after the first "
        + "measured one", of: models
    ) { subject in
      let ratios = subject.history.filter { $0.epoch > 0 }.compactMap { results -> Double? in
        let steps = results.measures.l2Ratio?.validation ?? []
        let last = steps.map(\.name.stage).max()
        return steps.isEmpty ? nil : average(steps.filter { $0.name.stage == last }.map(\.mean))
      }
      guard let first = ratios.first, let last = ratios.last, ratios.count > 1 else { return nil }
      return (last > first, "from \(number(first)) to \(number(last))")
    }
  }

  static func sharedTrend(_ figure: String, _ model: String) -> [Claim] {
    let source = "§4.5, \(figure)"
    return [
      Claim(
        statement: "The shared network's cosine loss has the same trend as an unshared one's: negative.",
        source: source,
        rule:
          "of all steps after all measured epochs, nine tenths or more are below 0 (mean over validation samples); the "
          + "paper does not say by which gradient, so both are looked at"
      ) { evidence in
        let subject = evidence.subject(model)
        return [
          Finding.Part("backpropagated", subject.flatMap { mostlyNegative($0) { $0.backpropagated } }),
          Finding.Part("plugged", subject.flatMap { mostlyNegative($0) { $0.plugged } }),
        ]
      },
      Claim(
        "So has its intermediate accuracy, which rises.", source,
        rule: "after the last epoch, validation accuracy rises from the last stage's first step to its last, at three "
          + "quarters of the steps or more", of: [model], rising),
      Claim(
        "So has its ℓ2 ratio, which is small in the higher blocks.", source,
        rule: "after the last epoch, the median ratio (validation) over the upper half of the steps is below 0.5",
        of: [model]
      ) { subject in
        guard let ratios = subject.history.last?.measures.l2Ratio?.validation.map(\.mean), ratios.count > 1 else {
          return nil
        }
        let middle = median(ratios.halves.upper)
        return (middle < 0.5, "median \(number(middle, 2))")
      },
    ]
  }
}
