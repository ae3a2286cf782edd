import Results

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
  init(_ reference: LabelledReading, margin: Double) {
    borderline = reference.reading.margins.map { abs($0) < margin }
    alreadyCorrect = reference.right
  }
}

/// How the groups fare, summed over batches.
struct GroupSums {
  private var borderline = ScoreSum()
  private var alreadyCorrect = ScoreSum()
  private var all = ScoreSum()

  mutating func add(_ reading: LabelledReading, _ groups: Groups) {
    borderline.add(reading, counted: groups.borderline)
    alreadyCorrect.add(reading, counted: groups.alreadyCorrect)
    all.add(reading)
  }

  var scores: GroupScores {
    func score(_ sum: ScoreSum) -> Score? { sum.count == 0 ? nil : sum.score }
    return GroupScores(borderline: score(borderline), alreadyCorrect: score(alreadyCorrect), all: all.score)
  }
}
