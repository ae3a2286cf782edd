import ResLensResults

/// The groups of a batch's samples (§4.3); a sample can belong to several.
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

/// One sum for each group of samples.
struct GroupSums<Sum> {
  private var borderline: Sum
  private var alreadyCorrect: Sum
  private var all: Sum

  init(_ empty: Sum) { (borderline, alreadyCorrect, all) = (empty, empty, empty) }

  /// The sums by the groups' names in tables.
  private var named: [(group: String, sum: Sum)] {
    [("borderline", borderline), ("already-correct", alreadyCorrect), ("all", all)]
  }
}

extension GroupSums<ScoreSum> {
  init() { self.init(ScoreSum()) }

  mutating func add(_ predictions: LabelledPredictions, _ groups: Groups) {
    borderline.add(predictions, counted: groups.borderline)
    alreadyCorrect.add(predictions, counted: groups.alreadyCorrect)
    all.add(predictions)
  }

  /// The score of each group that has samples.
  var scores: [(group: String, score: Score)] {
    named.filter { $0.sum.count > 0 }.map { (group: $0.group, score: $0.sum.score) }
  }
}

extension GroupSums<ScoreChangeSum> {
  init() { self.init(ScoreChangeSum()) }

  mutating func add(from first: LabelledPredictions, to second: LabelledPredictions, _ groups: Groups) {
    borderline.add(from: first, to: second, counted: groups.borderline)
    alreadyCorrect.add(from: first, to: second, counted: groups.alreadyCorrect)
    all.add(from: first, to: second)
  }

  /// The change of each group that has samples.
  var changes: [(group: String, change: ScoreChange)] {
    named.compactMap { named in named.sum.change.map { (group: named.group, change: $0) } }
  }
}
