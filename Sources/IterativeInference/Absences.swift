import ResidualNetworks
import Results

extension MeasureOptions {
  /// The values that are asked for and cannot exist in a network of this architecture. The network need not be built
  /// for this.
  public func absences(in architecture: Architecture) -> [MeasureResults.Absence] {
    let steps = architecture.steps.map(\.name)
    let last = architecture.stages.count - 1
    var all: [MeasureResults.Absence] = []
    if mode == .training, names.contains(.cosineLoss) {
      all.append(
        .init(
          measure: "cosine-loss.plugged", reason: "the head was not plugged in: the batch's own statistics are used"))
    } else if let first = steps.first(where: { $0.stage == last })?.step, first > 1 {
      let reason = "the head reads an h of \(architecture.features), the last stage's shape, only"
      for (name, part) in [
        (MeasureName.cosineLoss, "cosine-loss.plugged"), (.firstOrder, "first-order"), (.intermediate, "intermediate"),
      ] where names.contains(name) {
        all.append(.init(measure: part, steps: 1...first - 1, reason: reason))
      }
      if names.contains(.unrolling), let step = repeatedStep(in: architecture), steps[step - 1].stage < last {
        let from = steps.first { $0.stage == steps[step - 1].stage }?.step ?? 1
        for part in ["unrolling.groups", "unrolling.cosine-loss-plugged"] {
          all.append(.init(measure: part, steps: from...first - 1, reason: reason))
        }
      }
    }
    let readable = architecture.readableSteps.count
    if names.contains(.borderline), lastSteps == nil, readable < min(5, steps.count) {
      all.append(
        readable == 0
          ? .init(measure: "borderline", reason: "the head can read the state before no step")
          : .init(
            measure: "borderline", steps: max(1, steps.count - 4)...steps.count - readable,
            reason: "the head cannot read the state before them"))
    }
    if names.contains(.unrolling), repeatedStep(in: architecture) == nil {
      all.append(
        .init(
          measure: "unrolling", reason: "the last step changes the shape of h and cannot be applied to what it makes"))
    }
    if names.contains(.gradientNorm), last == 0 {
      all.append(.init(measure: "gradient-norm.ratio", reason: "there is one stage, and so nothing to compare"))
    }
    if names.contains(.lesions) {
      if steps.allSatisfy(\.projection) {
        all.append(.init(measure: "lesions.dropped", reason: "every step changes the shape of h"))
      }
      if !steps.indices.dropFirst().contains(where: {
        steps[$0].stage == steps[$0 - 1].stage && !steps[$0].projection && !steps[$0 - 1].projection
      }) {
        let reason = "no stage has two steps that keep the shape of h"
        all += ["lesions.shuffled", "lesions.swapped"].map { .init(measure: $0, reason: reason) }
      }
    }
    return all
  }
}
