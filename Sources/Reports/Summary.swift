import Results

/// Sentences about a run's numbers that follow by stated rules. They are about validation data unless they say
/// otherwise; of steps with equal values the lowest counts.
struct Summary {
  let run: ReportedRun

  static let rule = "The sentences follow from the numbers below: means on validation data; of equals, the lowest step."

  var sentences: [String] {
    let epochs = [training, propagation].compactMap { $0 }
    guard run.isTrained else { return epochs }
    guard let measures = run.measures?.measures else { return epochs + ["What its steps do has not been measured."] }
    let sentences = [
      measured, descent(measures), dropping(measures), magnitude(measures), explanation(measures), gradual(measures),
      mending(measures), iteration(measures), robustness(measures),
    ]
    return epochs + sentences.compactMap { $0 }
  }

  private var training: String? {
    guard let last = run.epochs.last else { return nil }
    let best = run.epochs.filter(\.validationError.isFinite).min { $0.validationError < $1.validationError }
    var text =
      "After \(counted(last.epoch, "epoch")) it classifies \(percent(last.validationError)) of the validation samples "
      + "wrongly, and \(percent(last.trainError)) of the augmented train samples"
    if let best, best.validationError < last.validationError {
      text += " (the lowest validation error, \(percent(best.validationError)), was after epoch \(best.epoch))"
    }
    return text + "."
  }

  /// The errors above are of other samples where fewer were measured.
  private var measured: String? {
    run.measures.map { "What follows was measured on the first \(counted($0.samples.validation, "validation image"))." }
  }

  private func descent(_ measures: MeasureResults.Measures) -> String? {
    let all = measures.cosineLoss?.backpropagated.validation.filter(\.mean.isFinite) ?? []
    guard let stage = all.map(\.name.stage).max() else { return nil }
    let last = all.filter { $0.name.stage == stage }
    let downhill = { (steps: [StepStatistic]) in steps.count { $0.mean < 0 } }
    var text = "The mean cosine loss is negative in \(downhill(all)) of \(counted(all.count, "step"))"
    if last.count < all.count { text += ", in the last stage in \(downhill(last)) of \(last.count)" }
    return text + "."
  }

  private func dropping(_ measures: MeasureResults.Measures) -> String? {
    guard let dropped = measures.droppedStep else { return nil }
    let baseline = dropped.baseline.validation.accuracy
    let steps = dropped.validation.filter(\.score.accuracy.isFinite)
    guard baseline.isFinite, let worst = steps.min(by: { $0.score.accuracy < $1.score.accuracy }) else { return nil }
    guard worst.score.accuracy < baseline else { return "No single step lowers the accuracy when it is dropped." }
    let mild = steps.count { $0.score.accuracy > baseline - 0.01 }
    return "Dropping step \(worst.name.step) costs the most accuracy, from \(percent(baseline)) to "
      + "\(percent(worst.score.accuracy)); less than one point is lost at \(mild) of \(counted(steps.count, "step"))."
  }

  private func magnitude(_ measures: MeasureResults.Measures) -> String? {
    let steps = measures.l2Ratio?.validation.filter(\.mean.isFinite) ?? []
    guard let largest = steps.max(by: { $0.mean < $1.mean }), let smallest = steps.min(by: { $0.mean < $1.mean }) else {
      return nil
    }
    return "The ℓ2 ratio is largest at step \(largest.name.step) (\(decimal(largest.mean, 2))) and smallest at step "
      + "\(smallest.name.step) (\(decimal(smallest.mean, 2)))."
  }

  private func gradual(_ measures: MeasureResults.Measures) -> String? {
    let steps = measures.intermediate?.validation.filter(\.score.accuracy.isFinite) ?? []
    guard let first = steps.first, let last = steps.last, steps.count > 1 else { return nil }
    let rises = zip(steps, steps.dropFirst()).count { $1.score.accuracy > $0.score.accuracy }
    return "Read off by the head inside the last stage, accuracy goes from \(percent(first.score.accuracy)) after step "
      + "\(first.name.step) to \(percent(last.score.accuracy)) after step \(last.name.step), rising at \(rises) of "
      + "\(counted(steps.count - 1, "step"))."
  }

  func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
}
