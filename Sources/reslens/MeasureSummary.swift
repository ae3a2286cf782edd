import Foundation
import Results

/// The output of `reslens measure`: validation data, with a table for each measure that is not one number for each
/// step.
struct MeasureSummary {
  private let results: MeasureResults
  private var measures: MeasureResults.Measures { results.measures }

  init(_ results: MeasureResults) { self.results = results }

  var text: String {
    let parts = [steps, borderline, unrolling, lesions, absences].compactMap { $0 }
    return parts.joined(separator: "\n\n")
  }

  /// A row a step, a column a measure.
  private var steps: String? {
    var columns: [(head: String, cell: (StepName) -> String?)] = []
    var names: [StepName] = []
    func add<Row>(
      _ head: String, _ rows: [Row]?, _ name: KeyPath<Row, StepName>, _ cell: @escaping (Row) -> String?
    ) {
      guard let rows else { return }
      names += rows.map { $0[keyPath: name] }
      let byStep = Dictionary(uniqueKeysWithValues: rows.map { ($0[keyPath: name], $0) })
      columns.append((head, { byStep[$0].flatMap(cell) }))
    }
    add("cosine loss", measures.cosineLoss?.backpropagated.validation, \.name) { fixed($0.mean, 4) }
    add("plugged", measures.cosineLoss?.plugged.validation, \.name) { fixed($0.mean, 4) }
    add("ℓ2 ratio", measures.l2Ratio?.validation, \.name) { fixed($0.mean, 4) }
    add("loss change", measures.firstOrder?.validation, \.name) { fixed($0.change.mean, 4) }
    add("first order", measures.firstOrder?.validation, \.name) { fixed($0.term.mean, 4) }
    add("correlation", measures.firstOrder?.validation, \.name) { $0.correlation.map { fixed($0, 2) } }
    add("accuracy without", measures.droppedStep?.validation, \.name) { percent($0.score.accuracy) }
    add("accuracy here", measures.intermediate?.validation, \.name) { percent($0.score.accuracy) }
    add("‖h‖ after", measures.activationNorm?.validation.steps, \.name) { significant($0.mean) }
    add("‖∂L/∂h‖ before", measures.gradientNorm?.validation.steps, \.name) { significant($0.mean) }
    guard !columns.isEmpty else { return nil }
    let rows = Set(names).sorted { $0.step < $1.step }.map { name in
      ["\(name.step)\(name.projection ? " (projection)" : name.use > 0 ? " (\(name.path))" : "")"]
        + columns.map { $0.cell(name) ?? "–" }
    }
    var text = table([["step"] + columns.map(\.head)] + rows) + "\nvalidation, n = \(results.samples.validation)"
    if results.mode == .training { text += ", by each batch's own statistics" }
    if let ratio = measures.gradientNorm?.validation.ratio {
      text += "; gradient norm ratio, first over last stage: \(significant(ratio.mean))"
    }
    if let baseline = measures.droppedStep?.baseline.validation {
      text += "; the whole network: accuracy \(percent(baseline.accuracy)), loss \(fixed(baseline.loss, 4))"
    }
    return text
  }

  private var borderline: String? {
    guard let found = measures.borderline else { return nil }
    let turns = Dictionary(uniqueKeysWithValues: found.turns.validation.map { ($0.name.step, $0) })
    let rows = found.states.validation.map { state in
      let turned = turns[state.step]
      return ["\(state.step)"] + cells(state.groups)
        + [turned.map { "\($0.corrected)" } ?? "–", turned.map { "\($0.broken)" } ?? "–"]
    }
    let count = found.turns.validation.first?.count ?? 0
    return table([["after step"] + Self.groupHeads + ["corrected", "broken"]] + rows)
      + "\n\(count) borderline validation examples (margin below \(found.margin) after step \(found.reference)); accuracy "
      + "and loss of each group"
  }

  private static let groupHeads = ["borderline", "", "already correct", "", "all", ""]

  /// Accuracy and loss of each group.
  private func cells(_ groups: GroupScores?) -> [String] {
    guard let groups else { return Self.groupHeads.map { _ in "–" } }
    return [groups.borderline, groups.alreadyCorrect, groups.all].flatMap { score in
      score.map { [percent($0.accuracy), fixed($0.loss, 4)] } ?? ["–", "–"]
    }
  }

  private var unrolling: String? {
    guard let found = measures.unrolling else { return nil }
    let tables = found.trajectories.map { trajectory in
      let rows = trajectory.steps.validation.map { step in
        ["\(step.name.step)\(step.repetition > 0 ? " +\(step.repetition)" : "")"] + cells(step.groups)
          + [step.cosineLoss, step.pluggedCosineLoss, step.l2Ratio].map { $0.map { fixed($0.mean, 4) } ?? "–" }
          + [short(step.distance.mean), step.turn.map { fixed($0.mean, 2) } ?? "–"]
      }
      let head =
        ["scale \(trajectory.scale)"] + Self.groupHeads + ["cosine loss", "plugged", "ℓ2 ratio", "distance", "turn"]
      return table([head] + rows)
    }
    var text =
      "step \(found.repeated.step) repeated \(found.times) times, "
      + (found.recalibrationBatches.map { "added steps' statistics from \($0) train batches" }
        ?? "added steps with the block's trained statistics")
    if let tried = found.tried {
      text += "; mean train loss by scale: " + tried.map { "\($0.scale): \(short($0.loss))" }.joined(separator: ", ")
      if tried.count > 1, let smallest = tried.map(\.scale).min(), found.trajectories.last?.scale == smallest {
        text += " (the smallest is the best of these; --scale-grid can go further)"
      }
    }
    return (tables + [text]).joined(separator: "\n\n")
  }

  private var lesions: String? {
    guard let found = measures.lesions else { return nil }
    func rows(_ what: String, _ lesions: [Lesions.RandomLesion]) -> [[String]] {
      lesions.map { ["\(what): \($0.size)", "\(percent($0.error.mean)) ± \(percent($0.error.std))"] }
    }
    func worst(_ what: String, _ scores: [(String, Score)]) -> [[String]] {
      guard let worst = scores.min(by: { $0.1.accuracy < $1.1.accuracy }) else { return [] }
      var mean = Moments()
      for score in scores { mean.add(1 - score.1.accuracy) }
      return [
        ["\(what): mean of \(scores.count)", percent(mean.mean)],
        ["\(what): worst, \(worst.0)", percent(1 - worst.1.accuracy)],
      ]
    }
    var all = [["lesion", "error"], ["none", percent(1 - found.baseline.accuracy)]]
    all += rows("steps dropped", found.dropped) + rows("pairs exchanged", found.shuffled)
    all += worst(
      "adjacent steps swapped", found.swapped.map { ("steps \($0.first.step) and \($0.second.step)", $0.score) })
    for factor in Set(found.scaled.map(\.factor)).sorted() {
      let scaled = found.scaled.filter { $0.factor == factor }
      all += worst("one step's F times \(factor)", scaled.map { ("step \($0.name.step)", $0.score) })
    }
    let trials = found.dropped.first?.trials.count ?? found.shuffled.first?.trials.count ?? 0
    return table(all) + "\nvalidation, n = \(found.baseline.count); random lesions: mean ± deviation of \(trials)"
  }

  private var absences: String? {
    results.absent.isEmpty
      ? nil
      : results.absent.map { absence in
        let steps = absence.steps.map { $0[0] == $0[1] ? " of step \($0[0])" : " of steps \($0[0]) to \($0[1])" } ?? ""
        return "no \(absence.measure)\(steps): \(absence.reason)"
      }.joined(separator: "\n")
  }

  /// A number of any size.
  private func short(_ value: Double) -> String {
    abs(value) < 1e4 || !value.isFinite ? fixed(value, 4) : String(format: "%.3g", value)
  }
}
