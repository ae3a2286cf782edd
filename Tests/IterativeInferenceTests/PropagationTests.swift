import IterativeInference
import ResidualNetworks
import Results
import TestSupport
import Testing
import Torch

@Suite struct PropagationTests {
  @Test(
    "Norms of states and gradients, and the gradients' ratio, equal those of differences, a sample at a time",
    arguments: [tiny, twoStages, pooled, sharedStages])
  func byDifferences(architecture: Architecture) throws {
    let network = try network(architecture)
    let samples = try samples(4, batch: 3, of: architecture)
    let (activations, gradients) = (ActivationNorm(), GradientNorm(architecture))
    // The products that another measure asks for are taken over.
    try measure([CosineLoss(), activations, gradients], on: network, samples)

    let (moves, places) = (network.plan.moves, network.plan.stepPlaces)
    var sizes = [[Double]](repeating: [], count: places.count)
    var (starts, pulls, ratios) = ([Double](), sizes, [Double]())
    let lastStage = architecture.stages.count - 1
    let firstOfLast = try #require(architecture.steps.firstIndex { $0.name.stage == lastStage })
    for index in 0..<4 {
      let sample = try SingleSample(network, samples, index)
      for (step, place) in places.enumerated() {
        let h = try sample.run(moves[..<place], sample.h0)
        if step == 0 { starts.append(norm(try h.doubles())) }
        sizes[step].append(norm(try sample.run(moves[place...place], h).doubles()))
        pulls[step].append(norm(try sample.slope(h) { try sample.loss(sample.run(moves[place...], $0)) }))
      }
      ratios.append(pulls[0][index] / pulls[firstOfLast][index])
    }
    let (found, back) = (try #require(activations.result), try #require(gradients.result))
    try expectEqual(found.start, starts, within: 1e-10)
    #expect(found.steps.count == places.count && back.steps.count == places.count)
    for step in places.indices {
      try expectEqual(found.steps[step].statistic, sizes[step], within: 1e-10, "step \(step + 1)")
      try expectEqual(back.steps[step].statistic, pulls[step], within: 1e-6, "step \(step + 1)")
    }
    if lastStage > 0 {
      try expectEqual(back.ratio, ratios, within: 1e-4)
    } else {
      #expect(back.ratio == nil)
    }
  }

  @Test("In training mode nothing depends on the running statistics, and they stay as they are")
  func trainingMode() throws {
    func measured(_ network: ResidualNetwork) throws -> (ActivationNorms, GradientNorms, [StepStatistic]) {
      let measures = (ActivationNorm(), GradientNorm(twoStages), CosineLoss(), FirstOrder())
      try measure(
        [measures.0, measures.1, measures.2, measures.3], on: network, samples(6, batch: 6, of: twoStages),
        mode: .training)
      #expect(measures.2.plugged.isEmpty && measures.3.result.isEmpty)
      return (try #require(measures.0.result), try #require(measures.1.result), measures.2.backpropagated)
    }
    let network = try network(twoStages)
    let running = network.parameters.filter { $0.key.contains("running") }
    let before = try running.mapValues { try $0.doubles() }
    let first = try measured(network)
    #expect(try running.mapValues { try $0.doubles() } == before && !before.isEmpty)
    for tensor in running.values { try tensor.copy(from: .full(tensor.shape, 0.7, .float64)) }
    let second = try measured(network)
    #expect(first.0 == second.0 && first.1 == second.1 && first.2 == second.2)
    // In evaluation mode they do.
    let evaluated = ActivationNorm()
    try measure([evaluated], on: network, samples(6, batch: 6, of: twoStages))
    #expect(evaluated.result != first.0)
  }

  @Test("A network that is sure of its samples has its gradients' ratio from all of them")
  func saturated() throws {
    let network = try network(twoStages)
    func ratio() throws -> Statistic {
      let gradients = GradientNorm(twoStages)
      try measure([gradients], on: network, samples(6, batch: 6, of: twoStages))
      return try #require(gradients.result?.ratio)
    }
    let before = try ratio()
    // Of two classes the log-odds are linear in the logits: a sharper head changes the size of all gradients alike.
    let weight = try network.parameters.required("head.linear.weight")
    try weight.copy(from: weight.scaled(by: 1e6))
    let gradients = GradientNorm(twoStages)
    try measure([gradients], on: network, samples(6, batch: 6, of: twoStages))
    #expect(try #require(gradients.result).steps.contains { $0.mean > 1e3 || $0.mean == 0 })
    let after = try ratio()
    #expect(after.count == 6 && abs(after.mean / before.mean - 1) < 1e-6)
  }

  @Test("Training mode refuses what is no number of the network's own pass")
  func trainingModeAlone() throws {
    let (network, samples) = try (network(twoStages), samples(4, batch: 2, of: twoStages))
    func suite(_ names: Set<MeasureName>) throws(MeasureError) -> MeasureSuite {
      var options = MeasureOptions(names: names)
      options.mode = .training
      return try MeasureSuite(network, options, train: samples, validation: samples)
    }
    for name in MeasureName.allCases where !MeasureName.inTrainingMode.contains(name) {
      #expect {
        _ = try suite([.l2Ratio, name])
      } throws: {
        ($0 as? MeasureError)?.option == "mode" && "\($0)".contains(name.rawValue)
      }
    }
    #expect(throws: MeasureError.self) {
      try measure([DroppedStep(twoStages)], on: network, samples, mode: .training)
    }
    let found = try suite(MeasureName.inTrainingMode).run()
    #expect(found.measures.gradientNorm != nil && found.measures.cosineLoss?.backpropagated.train.count == 4)
    #expect(found.absent.map(\.measure) == ["cosine-loss.plugged"])
  }

  @Test("Of one stage there is no ratio, and the results say why")
  func oneStage() throws {
    let samples = try samples(4, batch: 2)
    let suite = try MeasureSuite(
      network(tiny), MeasureOptions(names: [.gradientNorm]), train: samples, validation: samples)
    let found = try suite.run()
    #expect(found.measures.gradientNorm?.train.ratio == nil)
    #expect(found.absent.map(\.measure) == ["gradient-norm.ratio"])
  }
}

extension StepStatistic {
  fileprivate var statistic: Statistic { .init(mean: mean, std: std, count: count) }
}
