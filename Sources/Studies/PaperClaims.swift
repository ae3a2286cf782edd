import ResLensMeasures
import ResLensResults

// MARK: steps of trained networks

extension Claim {
  static func cosineLoss(_ figure: String, _ models: [String]) -> [Claim] {
    [
      Claim(
        "The cosine loss is negative for all residual blocks.", "§4.1, \(figure)",
        rule: "the mean over validation samples is below 0 at every step", of: models
      ) { subject in
        guard let steps = try subject.measures?.cosineLoss(.backpropagated), !steps.isEmpty else { return nil }
        let negative = steps.count { $0 < 0 }
        return (
          negative == steps.count,
          "\(negative) of \(steps.count) steps; largest \(number(steps.max() ?? .nan)), smallest \(number(steps.min() ?? .nan))"
        )
      },
      Claim(
        "It is more negative for the higher blocks.", "§4.1, \(figure)",
        rule: "the mean over the upper half of the steps is below that over the lower half", of: models
      ) { subject in
        guard let steps = try subject.measures?.cosineLoss(.backpropagated), steps.count > 1 else { return nil }
        let (lower, upper) = (average(steps.halves.lower), average(steps.halves.upper))
        return (upper < lower, "lower half \(number(lower)), upper half \(number(upper))")
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
        guard let tables = subject.measures else { return nil }
        let ratios = try tables.statistics("l2-ratio").filter { tables.step($0.step)?.hasIdentitySkip == true }
          .map(\.mean)
        guard let largest = ratios.max() else { return nil }
        return (largest < 1, "largest \(number(largest, 2)), median \(number(median(ratios), 2))")
      },
    ]
  }

  @Sendable private static func firstBlockChangesMost(_ subject: Evidence.Subject) throws -> (Bool, String)? {
    guard let ratios = try subject.measures?.means("l2-ratio"), ratios.count > 1 else { return nil }
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
        guard let losses = try subject.measures?.lossesWithoutSteps(), let first = losses.steps.first else {
          return nil
        }
        return (first.loss > most, "from \(percentage(losses.whole)) to \(percentage(losses.whole - first.loss))")
      },
      Claim(
        "With projections, dropping a block is not drastic.", "§4.2, \(figure)",
        rule: "no step without a projection costs more than \(percentage(most)) of validation accuracy (absolute)",
        of: projected
      ) { subject in
        guard let losses = try subject.measures?.lossesWithoutSteps(),
          let worst = losses.steps.filter(\.hasIdentitySkip).max(by: { $0.loss < $1.loss })
        else { return nil }
        return (
          worst.loss <= most, "step \(worst.step) costs most, \(percentage(worst.loss)) of \(percentage(losses.whole))"
        )
      },
      Claim(
        "Without projections, dropping most of the higher blocks has a minimal effect.", "§4.2, \(figure)",
        rule: "without a step of the upper half, the median loss of validation accuracy is below 5 % (absolute)",
        of: shallow
      ) { subject in
        guard let losses = try subject.measures?.lossesWithoutSteps(), losses.steps.count > 1 else { return nil }
        let middle = median(losses.steps.halves.upper.map(\.loss))
        return (middle < 0.05, "median \(percentage(middle))")
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

  @Sendable fileprivate static func rising(_ subject: Evidence.Subject) throws -> (Bool, String)? {
    guard let last = try subject.history().last else { return nil }
    let accuracies = try last.tables.rows(of: StepScore.self, in: "intermediate", .validation)
      .sorted { $0.step < $1.step }.map(\.score.accuracy)
    guard let start = accuracies.first, let end = accuracies.last, accuracies.count > 1 else { return nil }
    let rises = zip(accuracies, accuracies.dropFirst()).count { $1 > $0 }
    return (
      end > start && 4 * rises >= 3 * (accuracies.count - 1),
      "from \(percentage(start)) to \(percentage(end)), rising at \(rises) of \(accuracies.count - 1) steps"
    )
  }
}

extension MeasuredTables {
  /// The mean cosine of every step on validation samples, in the order of the steps; none where it was not measured.
  func cosineLoss(_ gradient: CosineLoss.Gradient) throws -> [Double] {
    try means("cosine-loss", .validation, ["gradient": .text(gradient.rawValue)])
  }

  fileprivate struct Losses {
    struct Step {
      var step: Int
      var hasIdentitySkip: Bool
      /// The loss of accuracy.
      var loss: Double
    }
    /// The accuracy of the whole network.
    var whole: Double
    /// In the order of the steps.
    var steps: [Step]
  }

  /// The accuracy that is lost without each step, on validation samples; nil where it was not measured.
  fileprivate func lossesWithoutSteps() throws -> Losses? {
    let rows = try rows(of: DroppedStep.Row.self, in: "dropped-step", .validation).sorted { $0.step < $1.step }
    guard let whole = try self.rows(of: Score.self, in: "dropped-step-baseline", .validation).first?.accuracy,
      !rows.isEmpty
    else { return nil }
    return Losses(
      whole: whole,
      steps: rows.map {
        .init(
          step: $0.step, hasIdentitySkip: step($0.step)?.hasIdentitySkip == true, loss: whole - $0.score.accuracy)
      })
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
        "by the readout's gradient, of all steps of the last stage after all measured epochs, nine tenths or more are "
        + "below 0 (mean over validation samples)", of: models
    ) { try mostlyNegative($0, by: .readout) }
  }

  private static func mostlyNegative(
    _ subject: Evidence.Subject, by gradient: CosineLoss.Gradient
  ) throws -> (Bool, String)? {
    let values = try subject.history().filter { $0.epoch > 0 }.flatMap { try $0.tables.cosineLoss(gradient) }
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
      let ratios = try subject.history().filter { $0.epoch > 0 }.compactMap { recorded -> Double? in
        let steps = try recorded.tables.statistics("l2-ratio").map { row in
          (stage: recorded.tables.step(row.step)?.stage ?? 0, mean: row.mean)
        }
        let last = steps.map(\.stage).max()
        return steps.isEmpty ? nil : average(steps.filter { $0.stage == last }.map(\.mean))
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
        return try [CosineLoss.Gradient.backpropagated, .readout].map { gradient in
          Finding.Part(gradient.rawValue, try subject.flatMap { try mostlyNegative($0, by: gradient) })
        }
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
        guard let ratios = try subject.history().last?.tables.means("l2-ratio"), ratios.count > 1 else { return nil }
        let middle = median(ratios.halves.upper)
        return (middle < 0.5, "median \(number(middle, 2))")
      },
    ]
  }
}
