import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTorch
import TestSupport
import Testing

@Suite struct DroppedStepsTests {
  /// The mean loss over all samples by a plan, one sample at a time.
  private func loss(_ network: ResidualNetwork, _ plan: Plan, _ samples: Samples) throws -> Double {
    let losses = try (0..<samples.count).map { index in
      let batch = try samples.maker.batch(samples.set, index..<index + 1)
      let logits = try network.logits(batch.images, plan: plan)
      return try Predictions(logits: logits, labels: batch.labels).losses[0]
    }
    return moments(losses).mean
  }

  @Test(
    "The greedy order drops the best step, and then the best of all pairs with it", arguments: [pooled, sharedStages])
  func greedy(architecture: Architecture) throws {
    let network = try network(architecture)
    let samples = try samples(7, batch: 3, of: architecture)
    var left = DroppedSteps(network)
    var chosen: [Int] = []
    for number in 1...2 {
      let candidates = try left.candidates
      let choices = try left.dropCheapest(on: samples)
      #expect(choices.map(\.step) == candidates && choices.allSatisfy { $0.dropped == number })
      for choice in choices {
        let plan = try network.plan.dropping(steps: chosen + [choice.step])
        #expect(try abs(loss(network, plan, samples) - choice.loss) < 1e-12)
      }
      let best = try #require(choices.min { $0.loss < $1.loss })
      chosen.append(best.step)
      #expect(left.dropped == chosen)
      #expect(try left.plan == network.plan.dropping(steps: chosen))
    }
  }

  @Test("With recalibration each candidate is scored by statistics that were taken anew behind it, and only there")
  func recalibration() throws {
    let network = try network(pooled)
    let (train, samples) = (try samples(256, batch: 8, of: pooled), try samples(7, batch: 3, of: pooled, seed: 9))
    var left = DroppedSteps(network, recalibration: try Recalibration(batches: 2, on: train))
    try left.drop(4)
    let choices = try left.dropCheapest(on: samples)
    for choice in choices {
      // By hand: everything behind the first dropped step, and then everything behind the other, in that order.
      let both = try network.plan.dropping(steps: [4, choice.step])
      let after4 = try network.plan.dropping(step: 4).recalibrating(behind: 4, as: 1)
      let plan = try after4.dropping(step: choice.step).recalibrating(behind: choice.step, as: 2)
      let known = try network.recalibrated(for: [after4], batches: 2) {
        try train.maker.batch(train.set, $0 * 128..<($0 + 1) * 128).images
      }
      let taken = try known.recalibrated(for: [plan], batches: 2) {
        try train.maker.batch(train.set, $0 * 128..<($0 + 1) * 128).images
      }
      #expect(try abs(loss(taken, plan, samples) - choice.loss) < 1e-12)
      #expect(try abs(loss(network, both, samples) - choice.loss) > 1e-6)
    }
    let best = try #require(choices.min { $0.loss < $1.loss })
    #expect(try abs(loss(left.network, left.plan, samples) - best.loss) < 1e-12)
  }

  @Test("The only step left in a stage and steps that change the shape of h stay, and no step goes twice")
  func candidates() throws {
    let two = try network(twoStages)
    #expect(try DroppedSteps.most(of: two) == 2)
    #expect(try DroppedSteps.most(of: network(tiny)) == 1)
    var left = DroppedSteps(two)
    #expect(try left.candidates == [1, 2, 4])
    try left.drop(1)
    #expect(try left.candidates == [4])
    try left.drop(4)
    #expect(try left.candidates.isEmpty)
    for step in 0...5 { #expect(throws: ArgumentError.self) { try left.drop(step) } }
    #expect(left.dropped == [1, 4])
    #expect(try left.dropCheapest(on: samples(3, batch: 3, of: twoStages)).isEmpty)
  }

  @Test("Fewer images than the batches of recalibration have are refused")
  func fewImages() throws {
    let train = try samples(255, batch: 8)
    for batches in [0, 2] {
      #expect { try Recalibration(batches: batches, on: train) } throws: {
        ($0 as? MeasureError)?.option == "recalibrate"
      }
    }
    #expect(try Recalibration(batches: 1, on: train).batches == 1)
  }

  @Test("A network whose loss is no number is the worst candidate")
  func overflow() {
    let choices = [Double.nan, 3, 2, 2].enumerated().map { PruningResults.Choice(dropped: 1, step: $0 + 1, loss: $1) }
    #expect(choices.best?.step == 3)
    #expect([choices[0]].best?.step == 1)
    #expect([PruningResults.Choice]().best == nil)
  }
}
