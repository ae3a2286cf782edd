import IterativeInference
import ResidualNetworks
import Results
import TestSupport
import Testing
import Torch

@Suite struct LesionTests {
  private let options = LesionScores.Options(
    drops: [1, 3], shuffles: [1, 2, 5], factors: [0, 1, 0.5, 2], seeds: 4, samples: nil)

  @Test("Every lesion scores what its order of steps scores when it is run by hand")
  func orders() throws {
    let network = try network(pooled)
    let samples = try samples(30, batch: 8, of: pooled)
    let measure = try LesionScores(pooled, options)
    try IterativeInference.measure([measure], on: network, samples)
    let found = measure.result

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
    try expect(whole, found.baseline)
    #expect(found.dropped.map(\.size) == [1, 3] && found.shuffled.map(\.size) == [1, 2, 5])
    for lesion in found.dropped {
      #expect(lesion.trials.map(\.seed) == [0, 1, 2, 3])
      for trial in lesion.trials {
        #expect(trial.order.count == 6 - lesion.size && trial.order == trial.order.sorted())
        try expect(trial.order, trial.score)
      }
    }
    for lesion in found.shuffled {
      for trial in lesion.trials {
        // Steps stay within their stage.
        #expect(trial.order.prefix(3).sorted() == [1, 2, 3] && trial.order.suffix(3).sorted() == [4, 5, 6])
        #expect(lesion.size > 1 || zip(trial.order, whole).count { $0 != $1 } == 2)
        try expect(trial.order, trial.score)
      }
    }
    for lesion in found.dropped + found.shuffled {
      try expectEqual(lesion.error, lesion.trials.map { 1 - $0.score.accuracy }, within: 1e-12)
    }
    #expect(found.swapped.map { [$0.first.step, $0.second.step] } == [[1, 2], [2, 3], [4, 5], [5, 6]])
    for swap in found.swapped {
      var order = whole
      order.swapAt(swap.first.step - 1, swap.second.step - 1)
      try expect(order, swap.score)
    }
    #expect(found.scaled.count == 24)
    for scaled in found.scaled { try expect(whole, scaled.score, scaled: (scaled.name.step, scaled.factor)) }
  }

  @Test("A factor of 0 is a drop, and of 1 the whole network")
  func factors() throws {
    let network = try network(pooled)
    let (lesions, dropped) = (try LesionScores(pooled, options), DroppedStep(pooled))
    try IterativeInference.measure([lesions, dropped], on: network, samples(20, batch: 8, of: pooled))
    let scaled = lesions.result.scaled
    #expect(scaled.filter { $0.factor == 0 }.map(\.score) == dropped.result.map(\.score))
    #expect(scaled.filter { $0.factor == 1 }.allSatisfy { $0.score == lesions.result.baseline })
  }

  @Test("Only the samples that are asked for are run, also where they end within a batch", arguments: [1, 8, 13, 30])
  func fewerSamples(count: Int) throws {
    let network = try network(pooled)
    let samples = try samples(30, batch: 8, of: pooled)
    func result(_ samples: Samples, _ limit: Int?) throws -> Lesions {
      let measure = try LesionScores(pooled, .init(drops: [2], shuffles: [1], factors: [2], seeds: 1, samples: limit))
      try IterativeInference.measure([measure], on: network, samples)
      return measure.result
    }
    let whole = try Samples(samples.set, count: count, batch: 8, maker: samples.maker)
    #expect(try result(samples, count) == result(whole, nil))
    #expect(try result(samples, count).baseline.count == count)
  }

  @Test("Steps that change shape are neither dropped nor moved")
  func projections() throws {
    let measure = try LesionScores(twoStages, .init(drops: [1, 2, 3], shuffles: [4], seeds: 5))
    try IterativeInference.measure([measure], on: network(twoStages), samples(4, batch: 4))
    for lesion in measure.result.dropped + measure.result.shuffled {
      // Step 3 has the projection: it stays, and stays before step 4.
      #expect(lesion.trials.allSatisfy { $0.order.filter { $0 > 2 }.first == 3 })
    }
    #expect(measure.result.swapped.map { [$0.first.step, $0.second.step] } == [[1, 2]])
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
