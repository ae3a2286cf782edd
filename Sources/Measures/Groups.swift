import ResLensResults

/// Which samples of a batch belong to which group (§4.3); one can belong to several.
struct Groups {
  let borderline: [Bool]
  let alreadyCorrect: [Bool]

  static func check(margin: Double) throws(MeasureError) {
    guard margin > 0, margin <= 1 else {
      throw MeasureError(option: "margin", problem: "\(margin) is not above 0 and at most 1")
    }
  }

  /// - Parameter margin: a sample is borderline where |p_y − max_{k≠y} p_k| is below it
  init(_ reference: LabelledPredictions, margin: Double) {
    borderline = reference.predictions.margins.map { abs($0) < margin }
    alreadyCorrect = reference.right
  }
}

/// How the groups fare, summed over batches.
struct GroupSums {
  private var borderline = ScoreSum()
  private var alreadyCorrect = ScoreSum()
  private var all = ScoreSum()

  mutating func add(_ predictions: LabelledPredictions, _ groups: Groups) {
    borderline.add(predictions, counted: groups.borderline)
    alreadyCorrect.add(predictions, counted: groups.alreadyCorrect)
    all.add(predictions)
  }

  /// The score of each group that has samples, by the group's name in tables.
  var scores: [(group: String, score: Score)] {
    [("borderline", borderline), ("already-correct", alreadyCorrect), ("all", all)].filter { $0.1.count > 0 }
      .map { (group: $0.0, score: $0.1.score) }
  }
}
