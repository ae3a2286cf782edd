import Foundation
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import TestSupport
import Testing
import Torch

/// Two steps on two channels with every norm a known affine map, small enough to write out.
private let tiny = Architecture(
  name: "tiny", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
  stages: [.init(width: 2, blocks: 2, entry: .none)], head: .init(pooling: 2))

@Suite struct MeasureTests {
  /// A network in float64 with parameters that look random.
  private func network(_ architecture: Architecture) throws -> ResidualNetwork {
    let network = try ResidualNetwork(architecture, seed: 1, type: .float64)
    for (index, specification) in architecture.parameters.enumerated() {
      let isPositive = specification.role == .runningVariance || specification.role == .normWeight
      let values = noise(
        specification.count, seed: UInt64(index), from: isPositive ? 0.5 : -0.8, to: isPositive ? 1.5 : 0.8)
      try network.parameters.required(specification.path).copy(from: Tensor(values, shape: specification.shape))
    }
    return network
  }

  private func samples(_ count: Int, batch: Int) throws -> Samples {
    let pixels = noise(count * 4, seed: 50, from: 0, to: 255).map { UInt8($0) }
    let set = try ImageSet(pixels: pixels, labels: (0..<count).map { $0 % 2 }, channels: 1, height: 2, width: 2)
    return Samples(
      set, batch: batch, maker: BatchMaker(statistics: try ChannelStatistics(of: set.images), type: .float64))
  }

  @Test("Every measure of a two-step network equals what differences of its loss give, a sample at a time")
  func byDifferences() throws {
    let network = try network(tiny)
    let samples = try samples(5, batch: 2)
    let (cosine, ratio) = (CosineLoss(), L2Ratio())
    let (dropped, intermediate) = (DroppedStep(tiny), IntermediateScores())
    var progress: [Int] = []
    try measure([cosine, ratio, dropped, intermediate], on: network, samples) { progress.append($0) }
    #expect(progress == [2, 4, 5])

    var cosines = [Moments(), Moments()]
    var plugged = [Moments(), Moments()]
    var ratios = [Moments(), Moments()]
    var dropLosses = [Moments(), Moments()]
    var losses = [Moments(), Moments()]
    for sample in 0..<5 {
      let batch = try samples.maker.batch(samples.set, sample..<sample + 1)
      let h0 = try network.begin(batch.images)
      let moves = network.plan.moves
      func run(_ moves: some Sequence<Plan.Move>, _ h: Tensor) throws -> Tensor {
        try network.run(Plan(moves: Array(moves)), on: h)
      }
      func loss(_ h: Tensor) throws -> Double {
        try CrossEntropy(logits: network.classify(h), labels: batch.labels).losses[0]
      }
      func slope(_ h: Tensor, _ value: (Tensor) throws -> Double) throws -> [Double] {
        let values = try h.doubles()
        return try values.indices.map { index in
          var (up, down) = (values, values)
          up[index] += 1e-6
          down[index] -= 1e-6
          return try (value(Tensor(up, shape: h.shape)) - value(Tensor(down, shape: h.shape))) / 2e-6
        }
      }
      var h = h0
      for step in 0..<2 {
        let next = try run(moves[step...step], h)
        let residual = try zip(next.doubles(), h.doubles()).map { $0 - $1 }
        func angle(_ gradient: [Double]) -> Double {
          let dot = zip(residual, gradient).reduce(0) { $0 + $1.0 * $1.1 }
          let squares = { (values: [Double]) in values.reduce(0) { $0 + $1 * $1 } }
          return dot / (squares(residual) * squares(gradient)).squareRoot()
        }
        cosines[step].add(angle(try slope(h) { try loss(run(moves[step...], $0)) }))
        plugged[step].add(angle(try slope(h, loss)))
        let norms = try (residual.reduce(0) { $0 + $1 * $1 }, h.doubles().reduce(0) { $0 + $1 * $1 })
        ratios[step].add((norms.0 / norms.1).squareRoot())
        dropLosses[step].add(try loss(run(moves.indices.filter { $0 != step }.map { moves[$0] }, h0)))
        h = next
        losses[step].add(try loss(h))
      }
    }
    func expectEqual(_ found: [StepStatistic], _ wanted: [Moments], within tolerance: Double) {
      #expect(found.map(\.name.step) == [1, 2])
      for (found, wanted) in zip(found, wanted) {
        #expect(found.count == 5)
        #expect(abs(found.mean - wanted.mean) < tolerance)
        #expect(abs(found.std - wanted.deviation) < tolerance)
      }
    }
    expectEqual(cosine.backpropagated, cosines, within: 1e-6)
    expectEqual(cosine.plugged, plugged, within: 1e-6)
    expectEqual(ratio.result, ratios, within: 1e-10)
    for step in 0..<2 {
      #expect(abs(dropped.result[step].score.loss - dropLosses[step].mean) < 1e-10)
      #expect(abs(intermediate.result[step].score.loss - losses[step].mean) < 1e-10)
      #expect(abs(intermediate.result[step].score.lossStd - losses[step].deviation) < 1e-10)
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
    let architecture = Architecture(
      name: "two", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
      stages: [
        .init(width: 2, blocks: 2, entry: .none), .init(width: 3, blocks: 2, entry: .projection, stride: 1),
      ], head: .init(pooling: 2))
    let (cosine, intermediate) = (CosineLoss(), IntermediateScores())
    try measure([cosine, intermediate], on: network(architecture), samples(4, batch: 2))
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
    #expect(Moments().deviation == 0)
  }
}
