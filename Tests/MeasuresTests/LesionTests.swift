import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

@Suite struct LesionTests {
  private let options = LesionScores.Options(
    drops: [1, 3], shuffles: [1, 2, 5], factors: [0, 1, 0.5, 2], seeds: 4, samples: nil)

  @Test("Every lesion scores what its order of steps scores when it is run by hand")
  func orders() throws {
    let network = try network(pooled)
    let samples = try samples(30, batch: 8, of: pooled)
    let measure = try LesionScores(pooled, options)
    try ResLensMeasures.measure([measure], on: network, samples)
    let draws = try measure.rows(of: LesionScores.DrawRow.self, in: "lesions-draws")
    let random = try measure.rows(of: LesionScores.RandomRow.self, in: "lesions-random")
    let swapped = try measure.rows(of: LesionScores.SwapRow.self, in: "lesions-swapped")
    let scaled = try measure.rows(of: LesionScores.ScaleRow.self, in: "lesions-scaled")

    /// The steps in this order, the pooling before the first of the second stage's.
    func expect(_ order: [Int], _ score: Score, scaled: (step: Int, factor: Double)? = nil) throws {
      var moves: [Plan.Move] = []
      for stage in 0..<2 {
        if stage == 1 { moves.append(.pool(stage: 1)) }
        for step in order where (step - 1) / 3 == stage {
          let scale = scaled?.step == step ? scaled?.factor ?? 1 : 1
          moves.append(.step(.init(stage: stage, block: (step - 1) % 3, scale: scale)))
        }
      }
      var (right, losses) = (0, [Double]())
      for index in 0..<30 {
        let sample = try SingleSample(network, samples, index)
        let h = try sample.run(moves, sample.h0)
        right += try sample.isRight(h) ? 1 : 0
        losses.append(try sample.loss(h))
      }
      #expect(score.count == 30 && score.accuracy == Double(right) / 30)
      #expect(abs(score.loss - moments(losses).mean) < 1e-12)
    }
    let whole = Array(1...6)
    try expect(whole, #require(measure.rows(of: Score.self, in: "lesions-whole").first))
    let sizes = [("dropped", 1), ("dropped", 3), ("shuffled", 1), ("shuffled", 2), ("shuffled", 5)]
    #expect(random.map(\.kind) == sizes.map(\.0) && random.map(\.size) == sizes.map(\.1))
    for (row, (kind, size)) in zip(random, sizes) {
      let own = draws.filter { $0.kind == kind && $0.size == size }
      #expect(own.map(\.draw) == [0, 1, 2, 3] && row.draws == 4)
      try expectEqual(
        Statistic(mean: row.error, std: row.errorStd, count: row.draws), own.map { 1 - $0.score.accuracy },
        within: 1e-12)
      for draw in own {
        let order = draw.steps
        if kind == "dropped" {
          #expect(order.count == 6 - size && order == order.sorted())
        } else {
          // Steps stay within their stage.
          #expect(order.prefix(3).sorted() == [1, 2, 3] && order.suffix(3).sorted() == [4, 5, 6])
          #expect(size > 1 || zip(order, whole).count { $0 != $1 } == 2)
        }
        try expect(order, draw.score)
      }
    }
    #expect(draws.count == 4 * sizes.count)
    #expect(swapped.map { [$0.first, $0.second] } == [[1, 2], [2, 3], [4, 5], [5, 6]])
    for swap in swapped {
      var order = whole
      order.swapAt(swap.first - 1, swap.second - 1)
      try expect(order, swap.score)
    }
    #expect(scaled.count == 24)
    for row in scaled { try expect(whole, row.score, scaled: (row.step, row.factor)) }
  }

  @Test("A factor of 0 is a drop, and of 1 the whole network")
  func factors() throws {
    let network = try network(pooled)
    let (lesions, dropped) = (try LesionScores(pooled, options), DroppedStep(pooled))
    try ResLensMeasures.measure([lesions, dropped], on: network, samples(20, batch: 8, of: pooled))
    let scaled = try lesions.rows(of: LesionScores.ScaleRow.self, in: "lesions-scaled")
    let whole = try #require(try lesions.rows(of: Score.self, in: "lesions-whole").first)
    #expect(try scaled.filter { $0.factor == 0 }.map(\.score) == dropped.rows(of: DroppedStep.Row.self).map(\.score))
    #expect(scaled.filter { $0.factor == 1 }.map(\.score) == Array(repeating: whole, count: 6))
    #expect(try dropped.whole() == whole)
  }

  @Test("Only the samples that are asked for are run, also where they end within a batch", arguments: [1, 8, 13, 30])
  func fewerSamples(count: Int) throws {
    let network = try network(pooled)
    let samples = try samples(30, batch: 8, of: pooled)
    func result(_ samples: Samples, _ limit: Int?) throws -> [Table] {
      let measure = try LesionScores(pooled, .init(drops: [2], shuffles: [1], factors: [2], seeds: 1, samples: limit))
      try ResLensMeasures.measure([measure], on: network, samples)
      return try measure.tables()
    }
    let whole = try Samples(samples.set, count: count, batch: 8, maker: samples.maker)
    #expect(try result(samples, count) == result(whole, nil))
    let counts = try result(samples, count).filter { $0.name != "lesions-random" }.flatMap { try $0.numbers("count") }
    #expect(counts.count == 1 + 2 + 4 + 6 && counts.allSatisfy { $0 == Double(count) })
  }

  @Test("Steps that change shape are neither dropped nor moved")
  func projections() throws {
    let measure = try LesionScores(twoStages, .init(drops: [1, 2, 3], shuffles: [4], seeds: 5))
    try ResLensMeasures.measure([measure], on: network(twoStages), samples(4, batch: 4))
    let draws = try measure.rows(of: LesionScores.DrawRow.self, in: "lesions-draws")
    // Step 3 has the projection: it stays, and stays before step 4.
    #expect(draws.count == 5 * 4 && draws.allSatisfy { $0.steps.filter { $0 > 2 }.first == 3 })
    let swapped = try measure.rows(of: LesionScores.SwapRow.self, in: "lesions-swapped")
    #expect(swapped.map { [$0.first, $0.second] } == [[1, 2]])
  }

  @Test("Impossible lesions are refused")
  func misuse() {
    for (options, option) in [
      (LesionScores.Options(drops: [4]), "lesion-drops"), (.init(drops: [0]), "lesion-drops"),
      (.init(shuffles: [0]), "lesion-shuffles"), (.init(factors: [.nan]), "lesion-factors"),
      (.init(drops: [1, 1]), "lesion-drops"), (.init(factors: [2, 0.5, 2]), "lesion-factors"),
      (.init(seeds: 0), "lesion-seeds"), (.init(samples: 0), "lesion-samples"),
    ] {
      #expect { try LesionScores(twoStages, options) } throws: { ($0 as? MeasureError)?.option == option }
    }
  }
}

extension LesionScores.DrawRow {
  /// The numbers of the steps that add their F, in the order in which they ran.
  fileprivate var steps: [Int] { order.split(separator: " ").compactMap { Int($0) } }
}
