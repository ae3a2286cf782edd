import ResLensSupport
import ResLensResults

/// Sentences about a run's numbers that follow by stated rules.
///
/// The sentences about measures are those of the measures' descriptions, in their order. They are about validation
/// samples unless they say otherwise; of steps with equal values they name the lowest.
struct Summary {
  let run: ReportedRun
  let measures: [MeasureDescription]

  static let rule = """
    The sentences follow from the numbers below. They are about means on validation samples; of equal steps they name \
    the lowest.
    """

  var sentences: [String] {
    get throws {
      let epochs = [training, guesses, try propagation].compactMap { $0 }
      guard run.isTrained else { return epochs }
      guard let tables = run.measures?.widest else { return epochs + ["Its steps have not been measured."] }
      return epochs + [measured].compactMap { $0 } + (try measures.compactMap { try $0.sentence?(tables) })
    }
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

  private var guesses: String? {
    run.hasLearnt == false
      ? "It has hardly learnt: this is within the noise of guessing, and so may be what follows about its steps." : nil
  }

  /// A sentence about the samples that were measured: the errors above are of other samples where these are fewer.
  private var measured: String? {
    run.measures?.samples(of: .validation).map {
      "What follows was measured on the first \(counted($0, "validation image"))."
    }
  }
}
