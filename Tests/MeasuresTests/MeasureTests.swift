import Foundation
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

@Suite struct MeasureTests {
  @Test("Every measure of a two-step network equals what differences of its loss give, a sample at a time")
  func byDifferences() throws {
    let network = try network(tiny)
    let samples = try samples(5, batch: 2)
    let (cosine, ratio) = (CosineLoss(), L2Ratio())
    let (dropped, intermediate) = (DroppedStep(tiny), IntermediateScores())
    var progress: [Int] = []
    var own: [Int] = []
    try measure(
      [cosine, ratio, dropped, intermediate], on: network, samples, own: { own += $0.indices },
      progress: { progress.append($0) })
    #expect(progress == [0, 2, 4, 5] && own == [0, 1, 2, 3, 4])

    let none = [[Double]](repeating: [], count: 2)
    var (cosines, readout, ratios) = (none, none, none)
    var (dropLosses, losses) = (none, none)
    var (dropRight, right) = ([[Bool]](repeating: [], count: 2), [[Bool]](repeating: [], count: 2))
    let moves = network.plan.moves
    for index in 0..<5 {
      let sample = try SingleSample(network, samples, index)
      var h = sample.h0
      for step in 0..<2 {
        let next = try sample.run(moves[step...step], h)
        let residual = try zip(next.doubles(), h.doubles()).map { $0 - $1 }
        cosines[step].append(
          MeasuresTests.cosine(
            residual, try sample.slope(h) { try sample.loss(sample.run(moves[step...], $0)) }))
        readout[step].append(MeasuresTests.cosine(residual, try sample.slope(h, sample.loss)))
        ratios[step].append(norm(residual) / norm(try h.doubles()))
        let others = moves.indices.filter { $0 != step }.map { moves[$0] }
        let without = try sample.run(others, sample.h0)
        dropLosses[step].append(try sample.loss(without))
        dropRight[step].append(try sample.isRight(without))
        h = next
        losses[step].append(try sample.loss(h))
        right[step].append(try sample.isRight(h))
      }
    }
    func expectAll(_ found: [StepStatistic], _ wanted: [[Double]], within tolerance: Double) throws {
      #expect(found.map(\.step) == [1, 2])
      for (found, wanted) in zip(found, wanted) { try expectEqual(found.statistic, wanted, within: tolerance) }
    }
    try expectAll(cosine.steps(.backpropagated), cosines, within: 1e-6)
    try expectAll(cosine.steps(.readout), readout, within: 1e-6)
    try expectAll(ratio.steps(), ratios, within: 1e-10)
    let drops = try dropped.rows(of: DroppedStep.Row.self)
    let scores = try intermediate.rows(of: StepScore.self)
    #expect(drops.map(\.step) == [1, 2] && scores.map(\.step) == [1, 2])
    for step in 0..<2 {
      try expectEqual(drops[step].score, right: dropRight[step], losses: dropLosses[step], within: 1e-10)
      try expectEqual(scores[step].score, right: right[step], losses: losses[step], within: 1e-10)
    }
    #expect(try dropped.whole() == scores[1].score)
  }

  @Test(
    "Samples that became right or wrong without a step are those of single samples",
    arguments: [(sharedStages, 40, 9), (twoStages, 40, 40)])
  func flips(architecture: Architecture, count: Int, batch: Int) throws {
    let network = try network(architecture)
    let samples = try samples(count, batch: batch, of: architecture)
    let dropped = DroppedStep(architecture)
    try measure([dropped], on: network, samples)
    let found = try dropped.rows(of: DroppedStep.Row.self)
    let steps = architecture.steps.count
    var (right, wrong) = ([Int](repeating: 0, count: steps), [Int](repeating: 0, count: steps))
    var rightWithout = right
    var whole = 0
    for index in 0..<count {
      let sample = try SingleSample(network, samples, index)
      let isRight = try sample.isRight(sample.run(network.plan.moves, sample.h0))
      whole += isRight ? 1 : 0
      for step in 0..<steps {
        // The step's own move with F left out; a projection stays.
        var moves = network.plan.moves
        let place = network.plan.stepPlaces[step]
        guard case .step(var move) = moves[place] else { continue }
        move.scale = 0
        moves[place] = .step(move)
        let isRightWithout = try sample.isRight(sample.run(moves, sample.h0))
        rightWithout[step] += isRightWithout ? 1 : 0
        if isRightWithout && !isRight { right[step] += 1 }
        if isRight && !isRightWithout { wrong[step] += 1 }
      }
    }
    #expect(found.map(\.step) == Array(1...steps))
    #expect(found.map(\.becameRight) == right && found.map(\.becameWrong) == wrong)
    #expect(found.map(\.score.accuracy) == rightWithout.map { Double($0) / Double(count) })
    #expect(try dropped.whole()?.accuracy == Double(whole) / Double(count))
    // The samples tell something: some become right and some wrong.
    #expect(right.reduce(0, +) > 0 && wrong.reduce(0, +) > 0)
  }

  @Test("Results do not depend on how samples fall into batches")
  func batches() throws {
    let network = try network(tiny)
    let found = try [1, 3, 12].map { batch in
      let (cosine, dropped) = (CosineLoss(), DroppedStep(tiny))
      try ResLensMeasures.measure([cosine, dropped], on: network, samples(12, batch: batch))
      return (cosine: try cosine.steps(.backpropagated), drops: try dropped.rows(of: DroppedStep.Row.self))
    }
    for other in found.dropFirst() {
      #expect(found[0].cosine.count == 2 && other.cosine.count == 2)
      for (a, b) in zip(found[0].cosine, other.cosine) {
        #expect(a.statistic.count == 12 && b.statistic.count == 12)
        #expect(abs(a.mean - b.mean) < 1e-12 && abs(a.statistic.std - b.statistic.std) < 1e-12)
      }
      #expect(found[0].drops.map(\.becameRight) == other.drops.map(\.becameRight))
      #expect(found[0].drops.map(\.becameWrong) == other.drops.map(\.becameWrong))
    }
  }

  @Test("A step that adds nothing has no angle and a ratio of 0, and its drop changes nothing")
  func silentStep() throws {
    let network = try network(tiny)
    for kind in ["weight", "bias"] {
      let parameter = try network.parameters.required("stages.0.1.conv2.\(kind)")
      try parameter.copy(from: parameter.scaled(by: 0))
    }
    let (cosine, ratio, dropped) = (CosineLoss(), L2Ratio(), DroppedStep(tiny))
    try measure([cosine, ratio, dropped], on: network, samples(4, batch: 4))
    #expect(try cosine.steps(.backpropagated).map(\.step) == [1])
    let still = try ratio.steps()[1]
    #expect(still.mean == 0 && still.statistic.count == 4)
    let drop = try dropped.rows(of: DroppedStep.Row.self)[1]
    #expect(try drop.score == dropped.whole() && drop.becameRight == 0 && drop.becameWrong == 0)
  }

  @Test("Measures by the readout exist for the last stage only")
  func lastStage() throws {
    let (cosine, intermediate) = (CosineLoss(), IntermediateScores())
    try measure([cosine, intermediate], on: network(twoStages), samples(4, batch: 2))
    #expect(try cosine.steps(.backpropagated).map(\.step) == [1, 2, 3, 4])
    #expect(try cosine.steps(.readout).map(\.step) == [3, 4])
    #expect(try intermediate.rows(of: StepScore.self).map(\.step) == [3, 4])
  }
}

@Suite struct MomentsTests {
  @Test("Mean and deviation far from zero keep their digits")
  func stability() {
    var moments = Moments()
    let values = noise(1000, seed: 1).map { 1e9 + $0 }
    for value in values { moments.add(value) }
    let shifted = values.map { $0 - 1e9 }
    let mean = shifted.reduce(0, +) / 1000
    let deviation = (shifted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 1000).squareRoot()
    #expect(abs(moments.mean - 1e9 - mean) < 1e-5)
    #expect(abs(moments.deviation - deviation) < 1e-6)
    #expect(Moments().deviation == 0 && Moments().statistic == nil)
  }

  @Test("Correlation of pairs follows its formula, and does not exist where one of the two stays put")
  func correlation() throws {
    var pairs = PairMoments()
    let a = noise(500, seed: 2).map { 1e6 + $0 }
    let b = zip(a, noise(500, seed: 3)).map { 0.3 * ($0 - 1e6) + $1 }
    for (a, b) in zip(a, b) { pairs.add(a, b) }
    let (ma, mb) = (moments(a), moments(b))
    let covariance = zip(a, b).reduce(0) { $0 + ($1.0 - ma.mean) * ($1.1 - mb.mean) } / 500
    let found = try #require(pairs.correlation)
    #expect(abs(found - covariance / (ma.deviation * mb.deviation)) < 1e-9)
    var still = PairMoments()
    for value in b { still.add(1, value) }
    #expect(still.correlation == nil)
  }
}
