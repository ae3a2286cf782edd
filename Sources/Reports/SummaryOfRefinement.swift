import Results

/// The sentences about what the last steps do to the answer, and about what the network stands.
extension Summary {
  func explanation(_ measures: MeasureResults.Measures) -> String? {
    guard let last = measures.firstOrder?.validation.last(where: { $0.change.mean.isFinite && $0.term.mean.isFinite })
    else { return nil }
    let change = last.change.mean
    let start = "At step \(last.name.step) the mean change of loss is \(significant(change))"
    guard let ratio = last.ratio, ratio.isFinite, change != 0 else { return start + "." }
    let part =
      ratio < 0
      ? "the first-order term (\(significant(last.term.mean))) has the opposite sign"
      : "the first-order term is \(percent(ratio, 0)) of it"
    return "\(start); \(part)."
  }

  func mending(_ measures: MeasureResults.Measures) -> String? {
    guard let borderline = measures.borderline, let first = borderline.states.validation.first else { return nil }
    guard let before = first.groups.borderline, before.count > 0 else {
      return "No validation example is borderline after step \(first.step)."
    }
    var text = "Of \(counted(before.count, "validation example")) that \(before.count == 1 ? "is" : "are") borderline "
    text += "after step \(first.step), "
    let turns = borderline.turns.validation.filter { $0.count > 0 }
    let best = turns.max { ($0.corrected, $1.name.step) < ($1.corrected, $0.name.step) }
    if let best, best.corrected > 0 {
      let place = best.name.step == borderline.reference + 1 ? ", the very next one," : ""
      let most = turns.count > 1 ? "\(place) corrects the most" : " corrects some"
      text += "step \(best.name.step)\(most) (\(percent(share(best.corrected, of: best.count), 1)), "
      text += "and breaks \(percent(share(best.broken, of: best.count), 1)))"
    } else {
      text += "no step corrects any"
    }
    guard let last = borderline.states.validation.last, let after = last.groups.borderline, last.step > first.step
    else {
      return text + "."
    }
    return text + "; the share that is right goes from \(percent(before.accuracy, 1)) to \(percent(after.accuracy, 1)) "
      + "after step \(last.step)."
  }

  func iteration(_ measures: MeasureResults.Measures) -> String? {
    guard let unrolling = measures.unrolling, let unscaled = unrolling.unscaled ?? unrolling.trajectories.first,
      let explosion = Outcome(unscaled)
    else { return nil }
    let trained = unrolling.repeatsLastStep ? Outcome(unscaled, place: unrolling.repeated.step) : nil
    let scaled = unrolling.scaled.flatMap { trajectory in Outcome(trajectory).map { (trajectory.scale, $0) } }
    func loss(_ split: KeyPath<Outcome, Score>) -> String {
      var text = trained.map { "from \(significant($0[keyPath: split].loss)) " } ?? ""
      text += "to \(significant(explosion[keyPath: split].loss)) unscaled"
      if let scaled {
        text += " and to \(significant(scaled.1[keyPath: split].loss)) scaled by \(significant(scaled.0))"
      }
      return text
    }
    var text = "With step \(unrolling.repeated.step) run \(counted(unrolling.times, "more time")), the train loss goes "
    text += "\(loss(\.train)), the validation loss \(loss(\.validation))"
    if let (_, outcome) = scaled { text += "; scaling is \(verdict(outcome, explosion))" }
    guard let trained else { return text + "." }
    let end = scaled?.1.validation.accuracy ?? explosion.validation.accuracy
    let start = trained.validation.accuracy
    let way = end == start ? "stays at \(percent(start))" : "goes from \(percent(start)) to \(percent(end))"
    return "\(text). Validation accuracy \(scaled == nil ? "" : "with scaling ")\(way)."
  }

  func robustness(_ measures: MeasureResults.Measures) -> String? {
    guard let lesions = measures.lesions else { return nil }
    func largest(_ random: [Lesions.RandomLesion]) -> Lesions.RandomLesion? {
      random.filter(\.error.mean.isFinite).max { $0.size < $1.size }
    }
    let parts = [
      largest(lesions.dropped).map {
        "with \(counted($0.size, "random step")) dropped it is \(percent($0.error.mean))"
      },
      largest(lesions.shuffled).map {
        "with \(counted($0.size, "random pair")) exchanged it is \(percent($0.error.mean))"
      },
    ].compactMap { $0 }
    guard !parts.isEmpty else { return nil }
    return "On the first \(lesions.baseline.count) validation samples the error of the whole network is "
      + "\(percent(1 - lesions.baseline.accuracy)); "
      + parts.joined(separator: ", ") + "."
  }

  /// Whether scaling lowers the loss on both sets; a loss that is not a number is above all.
  private func verdict(_ scaled: Outcome, _ unscaled: Outcome) -> String {
    func isBetter(_ split: KeyPath<Outcome, Score>) -> Bool {
      let (new, old) = (scaled[keyPath: split].loss, unscaled[keyPath: split].loss)
      return !new.isNaN && (old.isNaN || new < old)
    }
    switch (isBetter(\.train), isBetter(\.validation)) {
    case (true, true): return "better on both"
    case (true, false): return "better on train data only"
    case (false, true): return "better on validation data only"
    case (false, false): return "better on neither"
    }
  }

  private func share(_ part: Int, of whole: Int) -> Double { Double(part) / Double(whole) }
}

/// The scores of all examples at one state of an unrolled network.
private struct Outcome {
  var train: Score
  var validation: Score

  /// Without a place: at the end.
  init?(_ trajectory: Unrolling.Trajectory, place: Int? = nil) {
    func score(_ steps: [UnrolledStep]) -> Score? {
      (place.map { place in steps.last { $0.place == place } } ?? steps.last)?.groups?.all
    }
    guard let train = score(trajectory.steps.train), let validation = score(trajectory.steps.validation) else {
      return nil
    }
    self.train = train
    self.validation = validation
  }
}
