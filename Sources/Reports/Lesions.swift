import Results

extension Measure {
  static var lesions: Measure {
    Measure(
      id: "lesions", name: "lesions", title: "Lesions: how much can be taken out or moved?",
      definition: """
        The share of validation samples that the trained network classifies wrongly when <b>k random steps are \
        dropped</b>, when <b>n random pairs of steps are exchanged</b> one after the other within their stages, when \
        <b>two adjacent steps</b> swap places, and when one step’s <b>F is multiplied by a factor</b> (0 drops it, 1 \
        changes nothing). Nothing is retrained; poolings and steps with a projection stay where they are. A chain in \
        which each step needs exactly what the one before made breaks at once; steps that refine one another’s work \
        can do without some of it, and can stand in another order.
        """,
      source: "Veit et al. 2016", place: "Fig. 5",
      finding: "the error grows smoothly with the number of blocks that are dropped or shuffled.",
      isPresent: { $0.lesions != nil },
      details: { measures in
        measures.lesions.map { lesions in
          """
          The whole network: \(percent(1 - lesions.baseline.accuracy)) wrong, \
          loss \(decimal(lesions.baseline.loss, 4)) (n = \(lesions.baseline.count)).
          """
        }
      },
      pictures: lesionPictures, table: lesionTables)
  }
}

private func lesionTables(_ measures: MeasureResults.Measures, run: String?) -> Markup {
  guard let lesions = measures.lesions else { return "" }
  func random(_ what: String, _ size: String, _ lesions: [Lesions.RandomLesion]) -> Markup? {
    guard !lesions.isEmpty else { return nil }
    return table(
      [size, "error ± std over trials", "trials"],
      rows: lesions.map {
        [String($0.size), "\(percent($0.error.mean)) ± \(percent($0.error.std))", String($0.error.count)]
      }, caption: tableCaption(run, what))
  }
  let swapped = table(
    ["steps", "blocks", "error", "loss ± std"],
    rows: lesions.swapped.map {
      [
        "\($0.first.step), \($0.second.step)",
        "\($0.first.path), \($0.second.path)",
        percent(1 - $0.score.accuracy), spread($0.score.loss, $0.score.lossStd),
      ]
    }, caption: tableCaption(run, "adjacent steps swapped"))
  let grid = ScaledGrid(lesions.scaled)
  let scaled = table(
    ["step"] + grid.factors.map { "× " + significant($0) },
    rows: grid.steps.map { step in
      [String(step)] + grid.factors.map { factor in grid.error(step, factor).map { percent($0) } ?? "–" }
    }, caption: tableCaption(run, "error with F of one step multiplied"))
  let tables = [
    random("random steps dropped", "dropped", lesions.dropped),
    random("random pairs exchanged", "pairs", lesions.shuffled), lesions.swapped.isEmpty ? nil : swapped,
    lesions.scaled.isEmpty ? nil : scaled,
  ]
  return "\(tables.compactMap { $0 })"
}

/// The errors with one step's F multiplied, by step and factor.
struct ScaledGrid {
  private(set) var steps: [Int]
  private(set) var factors: [Double]
  private var errors: [Int: [Double: Double]] = [:]

  init(_ scaled: [Lesions.ScaledStep]) {
    steps = Set(scaled.map(\.name.step)).sorted()
    factors = Set(scaled.map(\.factor).filter(\.isFinite)).sorted()
    for one in scaled { errors[one.name.step, default: [:]][one.factor] = 1 - one.score.accuracy }
  }

  /// A share, 0 … 1; nil where that was not measured.
  func error(_ step: Int, _ factor: Double) -> Double? { errors[step]?[factor] }
}
