import Foundation
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import TestSupport
import Testing
import Torch

@Suite struct MeasureTests {
  @Test("Every measure of a two-step network equals what differences of its loss give, a sample at a time")
  func byDifferences() throws {
    let network = try network(tiny)
    let samples = try samples(5, batch: 2)
    let (cosine, ratio) = (CosineLoss(), L2Ratio())
    let (dropped, intermediate) = (DroppedStep(tiny), IntermediateScores())
    var progress: [Int] = []
    try measure([cosine, ratio, dropped, intermediate], on: network, samples) { progress.append($0) }
    #expect(progress == [2, 4, 5])

    var (cosines, plugged, ratios) = (
      [[Double]](repeating: [], count: 2), [[Double]](repeating: [], count: 2), [[Double]](repeating: [], count: 2)
    )
    var (dropLosses, losses) = (cosines, cosines)
    let moves = network.plan.moves
    for index in 0..<5 {
      let sample = try SingleSample(network, samples, index)
      var h = sample.h0
      for step in 0..<2 {
        let next = try sample.run(moves[step...step], h)
        let residual = try zip(next.doubles(), h.doubles()).map { $0 - $1 }
        cosines[step].append(
          IterativeInferenceTests.cosine(
            residual, try sample.slope(h) { try sample.loss(sample.run(moves[step...], $0)) }))
        plugged[step].append(IterativeInferenceTests.cosine(residual, try sample.slope(h, sample.loss)))
        ratios[step].append(norm(residual) / norm(try h.doubles()))
        let others = moves.indices.filter { $0 != step }.map { moves[$0] }
        dropLosses[step].append(try sample.loss(sample.run(others, sample.h0)))
        h = next
        losses[step].append(try sample.loss(h))
      }
    }
    func expectAll(_ found: [StepStatistic], _ wanted: [[Double]], within tolerance: Double) throws {
      #expect(found.map(\.name.step) == [1, 2])
      for (found, wanted) in zip(found, wanted) {
        try expectEqual(Statistic(mean: found.mean, std: found.std, count: found.count), wanted, within: tolerance)
      }
    }
    try expectAll(cosine.backpropagated, cosines, within: 1e-6)
    try expectAll(cosine.plugged, plugged, within: 1e-6)
    try expectAll(ratio.result, ratios, within: 1e-10)
    for step in 0..<2 {
      #expect(abs(dropped.result[step].score.loss - moments(dropLosses[step]).mean) < 1e-10)
      #expect(abs(intermediate.result[step].score.loss - moments(losses[step]).mean) < 1e-10)
      #expect(abs(intermediate.result[step].score.lossStd - moments(losses[step]).deviation) < 1e-10)
    }
    #expect(dropped.baseline.loss == intermediate.result[1].score.loss)
  }

  @Test("Results do not depend on how samples fall into batches")
  func batches() throws {
    let network = try network(tiny)
    let found = try [1, 3, 12].map { batch in
      let measure = CosineLoss()
      try IterativeInference.measure([measure], on: network, samples(12, batch: batch))
      return measure.backpropagated
    }
    for other in found.dropFirst() {
      for (a, b) in zip(found[0], other) {
        #expect(a.count == 12 && b.count == 12)
        #expect(abs(a.mean - b.mean) < 1e-12 && abs(a.std - b.std) < 1e-12)
      }
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
    #expect(cosine.backpropagated.map(\.name.step) == [1])
    #expect(ratio.result[1].mean == 0 && ratio.result[1].count == 4)
    #expect(dropped.result[1].score == dropped.baseline)
  }

  @Test("Plugged measures exist for the last stage only")
  func lastStage() throws {
    let (cosine, intermediate) = (CosineLoss(), IntermediateScores())
    try measure([cosine, intermediate], on: network(twoStages), samples(4, batch: 2))
    #expect(cosine.backpropagated.map(\.name.step) == [1, 2, 3, 4])
    #expect(cosine.plugged.map(\.name.step) == [3, 4])
    #expect(intermediate.result.map(\.name.step) == [3, 4])
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
