import ResLensNetworks
import ResLensResults
import ResLensTasks
import ResLensTorch

extension ResidualNetwork {
  /// The network's predictions by several plans on all samples. What plans begin alike is run once.
  /// - Parameters:
  ///   - group: processes that have a share of the batches each; all of them get the predictions for all batches
  ///   - progress: told after each batch how many samples are done
  ///   - take: receives a plan's index and its predictions for one batch, batch after batch
  /// - Throws: `PlanError` where the network cannot run a plan, before any work.
  func forEachPrediction(
    by plans: [Plan], on samples: some BatchSource, sharedBy group: ProcessGroup? = nil,
    progress: (Int) throws -> Void, take: (_ plan: Int, LabelledPredictions) throws -> Void
  ) throws {
    for plan in plans { try check(plan) }
    let order = Self.order(of: plans)
    try samples.forEachShared(by: group) { batch, _ in
      var numbers: [Double] = []
      try run(plans, on: begin(batch.images)) { plan, h in
        let logits = try classify(h, statistics: plans[plan].readoutStatistics)
        numbers += try ImageClassification().predictions(logits, batch.labels).rows.joined()
      }
      return numbers
    } take: { batch, earlier, numbers in
      let count = batch.classes.count
      guard count > 0 else { return }
      var rows = stride(from: 0, to: numbers.count, by: count).map {
        Array(numbers[$0..<min($0 + count, numbers.count)])
      }
      guard rows.count == Predictions.rowCount * order.count, rows.allSatisfy({ $0.count == count }) else {
        throw RowError()
      }
      for plan in order {
        try take(plan, LabelledPredictions(Array(rows.prefix(Predictions.rowCount)), of: batch))
        rows.removeFirst(Predictions.rowCount)
      }
      try progress(earlier + count)
    }
  }

  /// The network's scores by several plans.
  /// - Throws: `PlanError` where the network cannot run a plan, before any work.
  public func scores(
    by plans: [Plan], on samples: some BatchSource, sharedBy group: ProcessGroup? = nil,
    progress: (Int) throws -> Void = { _ in }
  ) throws -> [Score] {
    var sums = plans.map { _ in ScoreSum() }
    try forEachPrediction(by: plans, on: samples, sharedBy: group, progress: progress) { sums[$0].add($1) }
    return sums.map(\.score)
  }
}
