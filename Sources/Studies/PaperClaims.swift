import ResLensMeasures
import ResLensResults

// MARK: steps of trained networks

extension Claim {
  static func cosineLoss(_ figure: String, _ models: [String]) -> [Claim] {
    [
      Claim(
        "The cosine loss is negative for all residual blocks.", "§4.1, \(figure)",
        rule: "the mean over validation samples is below 0 at every step, by two standard errors over samples",
        of: models
      ) { subject in
        let steps = try subject.measures.cosineLoss(.backpropagated).estimates
        guard let largest = steps.largest, let smallest = steps.smallest else { return nil }
        let isNegative = steps.map { $0.isBelow(0) }
        return Outcome(
          all(isNegative),
          "\(isNegative.count { $0 == true }) of \(steps.count) steps below 0, \(isNegative.count { $0 == false }) above; "
            + "largest \(number(largest)), smallest \(number(smallest))")
      },
      Claim(
        "It is more negative for the higher blocks.", "§4.1, \(figure)",
        rule:
          "the mean over the upper half of the steps (validation samples) is below that over the lower half, by two "
          + "standard errors of the difference", of: models
      ) { subject in
        let steps = try subject.measures.cosineLoss(.backpropagated).estimates
        guard let lower = Estimate(overSteps: steps.halves.lower), let upper = Estimate(overSteps: steps.halves.upper)
        else { return nil }
        return Outcome((upper - lower).isBelow(0), "lower half \(number(lower)), upper half \(number(upper))")
      },
    ]
  }

  static func l2Ratio(_ figure: String, shallow: [String], projected: [String]) -> [Claim] {
    [
      Claim(
        "Without projections, the first block changes the representation most, and the higher ones far less.",
        "§4.2, \(figure)",
        rule:
          "the first step's ratio (validation) is above every other step's and above twice the median of all, by two "
          + "standard errors of the difference", of: shallow,
        firstBlockChangesMost),
      Claim(
        "With projections the effect is not as drastic: all blocks change it little.", "§4.2, \(figure)",
        rule:
          "the ratio (validation) is below 1 at every step that has no projection, by two standard errors over samples",
        of: projected
      ) { subject in
        let ratios = try subject.measures.statistics("l2-ratio").filter { $0.spec?.hasIdentitySkip == true }.estimates
        guard let largest = ratios.largest, let median = ratios.median else { return nil }
        return Outcome(
          all(ratios.map { $0.isBelow(1) }), "largest \(number(largest, 2)), median \(number(median.value, 2))")
      },
    ]
  }

  @Sendable private static func firstBlockChangesMost(_ subject: Evidence.Subject) throws -> Outcome? {
    let ratios = try subject.measures.statistics("l2-ratio").estimates
    guard let first = ratios.first, let next = ratios.dropFirst().largest, let median = ratios.median else {
      return nil
    }
    return Outcome(
      all([(first - next).isAbove(0), (first - 2 * median).isAbove(0)]),
      "first \(number(first, 2)), largest of the others \(number(next, 2)), median \(number(median.value, 2))")
  }

  static func dropping(_ figure: String, shallow: [String], projected: [String]) -> [Claim] {
    let most = 0.2
    let flips = "by two standard errors from the samples that flip each way"
    return [
      Claim(
        "Without projections, dropping the first block is catastrophic.", "§4.2, \(figure)",
        rule: "validation accuracy falls by more than \(percentage(most)) (absolute) without the first step, \(flips)",
        of: shallow
      ) { subject in
        guard let first = try subject.measures.lossesWithoutSteps().first else { return nil }
        return Outcome(first.estimate.isAbove(most), "it falls by \(percentage(first.estimate))")
      },
      Claim(
        "With projections, dropping a block is not drastic.", "§4.2, \(figure)",
        rule: "no step without a projection costs more than \(percentage(most)) of validation accuracy (absolute), "
          + flips, of: projected
      ) { subject in
        let losses = try subject.measures.lossesWithoutSteps().filter { $0.spec?.hasIdentitySkip == true }
        guard let worst = losses.max(by: { $0.estimate.value < $1.estimate.value }) else { return nil }
        return Outcome(
          all(losses.map { $0.estimate.isBelow(most) }),
          "step \(worst.step) costs most, \(percentage(worst.estimate))")
      },
      Claim(
        "Without projections, dropping most of the higher blocks has a minimal effect.", "§4.2, \(figure)",
        rule:
          "without a step of the upper half, the median loss of validation accuracy is below 5 % (absolute), \(flips)",
        of: shallow
      ) { subject in
        try subject.measures.lossesWithoutSteps().halves.upper.map(\.estimate).median.map {
          Outcome($0.isBelow(0.05), "median \(percentage($0))")
        }
      },
    ]
  }

  static func gradual(_ figure: String, _ models: [String]) -> Claim {
    Claim(
      "Accuracy increases gradually with more blocks of the last stage.", "§4.2, \(figure)", rule: risingRule,
      of: models, rising)
  }

  fileprivate static let risingRule =
    "after the last epoch, validation accuracy rises from the last stage's first step to its last, by two standard errors, "
    + "and at three quarters of the steps or more, by two standard errors from the samples that flip each way"

  @Sendable fileprivate static func rising(_ subject: Evidence.Subject) throws -> Outcome? {
    func accuracies(_ tables: [MeasuredTables]) throws -> [StepEstimate] {
      try tables.steps { tables in
        try tables.rows(of: StepScore.self, in: "intermediate", .validation).map {
          ($0.step, $0.score.accuracyEstimate)
        }
      }
    }
    // Values that were recorded in training come before those that were measured afterwards.
    let candidates = [subject.history.last?.tables, subject.measures].compactMap { $0 }
    guard let last = try candidates.first(where: { try !accuracies($0).isEmpty }) else { return nil }
    let accuracies = try accuracies(last)
    let changes = try last.steps { tables in
      try tables.rows(of: StepScoreChange.self, in: "intermediate-changes", .validation).map {
        ($0.step, $0.change.accuracyEstimate)
      }
    }.estimates
    guard let start = accuracies.first?.estimate, let end = accuracies.last?.estimate, !changes.isEmpty else {
      return nil
    }
    let rises = changes.map { $0.isAbove(0) }
    return Outcome(
      all([(end - start).isAbove(0), share(of: rises, atLeast: 0.75)]),
      "from \(percentage(start)) to \(percentage(end)); it rises at \(rises.count { $0 == true }) of \(rises.count) "
        + "steps and falls at \(rises.count { $0 == false })")
  }
}

extension [MeasuredTables] {
  /// The mean cosine of every step on validation samples, in the order of the steps; none where it was not measured.
  func cosineLoss(_ gradient: CosineLoss.Gradient) throws -> [StepEstimate] {
    try statistics("cosine-loss", .validation, ["gradient": .text(gradient.rawValue)])
  }

  /// The accuracy that is lost without each step, on validation samples; none where it was not measured.
  fileprivate func lossesWithoutSteps() throws -> [StepEstimate] {
    try steps { tables in
      try tables.rows(of: DroppedStep.Row.self, in: "dropped-step", .validation).map {
        ($0.step, Estimate(gained: $0.becameWrong, lost: $0.becameRight, of: $0.score.count))
      }
    }
  }
}

// MARK: over training

extension Claim {
  /// By the readout: appendix C shows the last stage's blocks alone, "by plugging the classifier right after each hidden
  /// representation".
  static func cosineLossInTraining(_ figure: String, _ models: [String]) -> Claim {
    Claim(
      "The cosine loss consistently remains negative in training.", "App. C, \(figure)",
      rule:
        "by the readout's gradient, of all steps of the last stage after all measured epochs, \(mostlyNegativeRule)",
      of: models
    ) { try mostlyNegative($0, by: .readout) }
  }

  private static let mostlyNegativeRule =
    "nine tenths or more are below 0 (mean over validation samples), by two standard errors over samples"

  private static func mostlyNegative(
    _ subject: Evidence.Subject, by gradient: CosineLoss.Gradient
  ) throws -> Outcome? {
    let isNegative = try subject.history.filter { $0.epoch > 0 }.flatMap {
      try $0.tables.cosineLoss(gradient).map { $0.estimate.isBelow(0) }
    }
    guard !isNegative.isEmpty else { return nil }
    return Outcome(
      share(of: isNegative, atLeast: 0.9),
      "of \(isNegative.count), \(isNegative.count { $0 == true }) below 0 and \(isNegative.count { $0 == false }) above"
    )
  }

  static func l2RatioInTraining(_ figure: String, _ models: [String]) -> Claim {
    Claim(
      "The ℓ2 ratio tends to increase as training progresses.", "App. C, \(figure)",
      rule: "its mean over the last stage's steps (validation) is larger after the last epoch than after the first "
        + "measured one, by two standard errors of the difference", of: models
    ) { subject in
      let ratios = try subject.history.filter { $0.epoch > 0 }.compactMap { recorded -> Estimate? in
        let steps = try recorded.tables.statistics("l2-ratio")
        let last = steps.compactMap(\.spec?.stage).max()
        return Estimate(overSteps: steps.filter { $0.spec?.stage == last }.estimates)
      }
      guard let first = ratios.first, let last = ratios.last, ratios.count > 1 else { return nil }
      return Outcome((last - first).isAbove(0), "from \(number(first)) to \(number(last))")
    }
  }

  static func sharedTrend(_ figure: String, _ model: String) -> [Claim] {
    let source = "§4.5, \(figure)"
    return [
      Claim(
        statement: "The shared network's cosine loss has the same trend as an unshared one's: negative.",
        source: source,
        rule:
          "of all steps after all measured epochs, \(mostlyNegativeRule); the paper does not say by which gradient, so "
          + "both are looked at"
      ) { evidence in
        let subject = evidence.subject(model)
        return try [CosineLoss.Gradient.backpropagated, .readout].map { gradient in
          Finding.Part(
            gradient.rawValue, try subject.flatMap { try $0.decided(try mostlyNegative($0, by: gradient)) })
        }
      },
      Claim("So has its intermediate accuracy, which rises.", source, rule: risingRule, of: [model], rising),
      Claim(
        "So has its ℓ2 ratio, which is small in the higher blocks.", source,
        rule:
          "after the last epoch, the median ratio (validation) over the upper half of the steps is below 0.5, by two "
          + "standard errors over samples", of: [model]
      ) { subject in
        try subject.history.last?.tables.statistics("l2-ratio").estimates.halves.upper.median.map {
          Outcome($0.isBelow(0.5), "median \(number($0, 2))")
        }
      },
    ]
  }
}
