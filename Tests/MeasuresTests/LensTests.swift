import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

/// A lens whose loss is L = ‖h‖², whose prediction is always class 0, and which reads some of the stages.
private struct NormLens: Lens {
  let stages: Set<Int>

  func obstacle(to place: StatePlace) -> String? {
    stages.contains(place.stage) ? nil : "stage \(place.stage) is not read"
  }

  func read(_ h: Tensor, at place: StatePlace, labels: Tensor) throws -> any LensReading { try Reading(h) }

  private final class Reading: LensReading {
    private let h: Tensor
    var outputs: Tensor { h }
    let predictions: Predictions
    let errorProbabilities: [Double]

    init(_ h: Tensor) throws {
      self.h = h
      let squares = try h.sampleSquares()
      predictions = Predictions(
        losses: squares, entropies: squares.map { $0 / 2 }, margins: squares.map { _ in 0.05 },
        classes: squares.map { _ in 0 })
      // ∂L/∂h = 2h.
      errorProbabilities = squares.map { _ in 2 }
    }

    func gradient() throws -> Tensor { h }
  }
}

@Suite struct LensTests {
  @Test(
    "A lens is used in place of the readout, and the states that it has an obstacle for are left out",
    arguments: [twoStages, pooled], [[], [0], [1], [0, 1]] as [Set<Int>])
  func inPlace(architecture: Architecture, stages: Set<Int>) throws {
    let network = try network(architecture)
    let samples = try samples(6, batch: 4, of: architecture)
    let (cosine, order, intermediate) = (CosineLoss(), FirstOrder(), IntermediateScores())
    try measure([cosine, order, intermediate], on: network, samples, lens: NormLens(stages: stages))

    let readable = architecture.steps.filter { stages.contains($0.stage) }
    let (angles, changes) = (try cosine.steps(.readout), try order.rows(of: FirstOrder.Row.self))
    let scores = try intermediate.rows(of: StepScore.self)
    let numbers = readable.map(\.id.number)
    #expect(angles.map(\.step) == numbers && changes.map(\.step) == numbers && scores.map(\.step) == numbers)
    for (index, spec) in readable.enumerated() {
      let place = network.plan.stepPlaces[spec.id.number - 1]
      guard case .step(var still) = network.plan.moves[place] else { return }
      still.scale = 0
      var (cosines, terms, differences, losses) = ([Double](), [Double](), [Double](), [Double]())
      for index in 0..<6 {
        let sample = try SingleSample(network, samples, index)
        let before = try sample.run(network.plan.moves[..<place] + [.step(still)], sample.h0).doubles()
        let after = try sample.run(network.plan.moves[...place], sample.h0).doubles()
        let added = zip(after, before).map { $0 - $1 }
        cosines.append(MeasuresTests.cosine(added, before))
        terms.append(2 * dot(added, before))
        differences.append(dot(after, after) - dot(before, before))
        losses.append(dot(after, after))
      }
      let comment = Comment(rawValue: "step \(spec.id.number)")
      let change = changes[index]
      try expectEqual(angles[index].statistic, cosines, within: 1e-10, comment)
      try expectEqual(
        Statistic(mean: change.term, std: change.termStd, count: change.count), terms, within: 1e-10, comment)
      try expectEqual(
        Statistic(mean: change.change, std: change.changeStd, count: change.count), differences, within: 1e-10, comment)
      let right = (0..<6).map { $0 % architecture.classes == 0 }
      try expectEqual(scores[index].score, right: right, losses: losses, within: 1e-10, comment)
      #expect(abs(scores[index].score.entropy - scores[index].score.loss / 2) < 1e-12)
    }
  }

  @Test("What does not go through the lens is the same by any", arguments: [[], [0], [1]] as [Set<Int>])
  func others(stages: Set<Int>) throws {
    func found(_ lens: (any Lens)?) throws -> [Table] {
      let network = try network(pooled)
      let all: [any Measure] = [
        L2Ratio(), DroppedStep(pooled), try LesionScores(pooled), ActivationNorm(), GradientNorm(pooled),
      ]
      let (cosine, unrolled) = (CosineLoss(), try UnrolledSteps(pooled, times: 2, ways: [.init(scale: 1)]))
      var own: [Int] = []
      try measure(
        all + [cosine, unrolled], on: network, samples(20, batch: 8, of: pooled), lens: lens,
        own: { own += $0.predictions.classes })
      #expect(own.count == 20)
      let backpropagated = try #require(try cosine.tables().first).selecting(["gradient": "backpropagated"])
      let steps = try #require(try unrolled.tables().first { $0.name == "unrolling-steps" })
      let places = try #require(steps.columns.firstIndex { $0.name == "quantity" })
      return try all.flatMap { try $0.tables() } + [backpropagated, steps.filter { $0[places] != "cosine_readout" }]
    }
    #expect(try found(NormLens(stages: stages)) == found(nil))
  }

  @Test("The steps of another plan are read through the lens too, in the groups of the network's own predictions")
  func trajectories() throws {
    let network = try network(pooled)
    let samples = try samples(20, batch: 8, of: pooled)
    func found(_ lens: (any Lens)?) throws -> [UnrolledSteps.GroupRow] {
      let measure = try UnrolledSteps(pooled, times: 2, ways: [.init(scale: 1)], margin: 0.5)
      try ResLensMeasures.measure([measure], on: network, samples, lens: lens)
      return try measure.rows(of: UnrolledSteps.GroupRow.self)
    }
    let (own, other) = (try found(nil), try found(NormLens(stages: [1])))
    #expect(own.map(\.group) == other.map(\.group) && own.map(\.score.count) == other.map(\.score.count))
    #expect(own.map(\.place) == other.map(\.place) && own.count > 5)
    // A prediction of class 0 is right for every third sample.
    for row in other where row.group == "all" { #expect(row.score.accuracy == 7.0 / 20) }
    #expect(try found(NormLens(stages: [0])).isEmpty)
  }

  @Test("The network's own readout as a lens gives what the default gives")
  func readout() throws {
    let network = try network(pooled)
    func found(_ lens: (any Lens)?) throws -> [Table] {
      let all = try Registry.standard.measures.compactMap {
        try $0.init(MeasureContext(pooled, MeasureOptions(names: [])))
      }
      try measure(all, on: network, samples(12, batch: 5, of: pooled), lens: lens)
      return try all.flatMap { try $0.tables() }
    }
    #expect(try found(ReadoutLens(network)) == found(nil))
    let lens = ReadoutLens(network)
    let obstacle = try #require(lens.obstacle(to: StatePlace(steps: 1, stage: 0, shape: [2, 4, 4])))
    #expect(obstacle.contains("last stage"))
    #expect(lens.obstacle(to: StatePlace(steps: nil, stage: 1, shape: [2, 2, 2])) == nil)
  }

  @Test("The readout of another network reads the last state too")
  func otherReadout() throws {
    let (network, samples) = (try network(pooled), try samples(8, batch: 8, of: pooled))
    let other = try ResidualNetwork(pooled, seed: 3, type: .float64)
    let scores = IntermediateScores()
    try measure([scores], on: network, samples, lens: ReadoutLens(other))
    let last = try #require(try scores.rows(of: StepScore.self).last)
    var (right, losses) = ([Bool](), [Double]())
    for index in 0..<8 {
      let own = try SingleSample(network, samples, index)
      let reader = try SingleSample(other, samples, index)
      let h = try own.run(network.plan.moves, own.h0)
      right.append(try reader.isRight(h))
      losses.append(try reader.loss(h))
    }
    #expect(last.step == 6)
    try expectEqual(last.score, right: right, losses: losses, within: 1e-10)
  }
}
