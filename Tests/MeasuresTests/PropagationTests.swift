import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

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
    let firstOfLast = try #require(architecture.steps.firstIndex { $0.stage == lastStage })
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
    let (found, back) = try (activations.steps(), gradients.steps())
    // Step 0 is the state that the stem makes.
    #expect(found.map(\.step) == Array(0...places.count) && back.map(\.step) == Array(1...places.count))
    try expectEqual(found[0].statistic, starts, within: 1e-10)
    for step in places.indices {
      try expectEqual(found[step + 1].statistic, sizes[step], within: 1e-10, "step \(step + 1)")
      try expectEqual(back[step].statistic, pulls[step], within: 1e-6, "step \(step + 1)")
    }
    let ratio = try gradients.ratio()
    if lastStage > 0 {
      try expectEqual(ratio, ratios, within: 1e-4)
    } else {
      #expect(ratio == nil)
    }
  }

  @Test("By a batch's own statistics nothing depends on the running statistics, and they stay as they are")
  func batchStatistics() throws {
    func measured(_ network: ResidualNetwork) throws -> [Table] {
      let measures: [any Measure] = [ActivationNorm(), GradientNorm(twoStages), CosineLoss(), L2Ratio()]
      let unreadable: [any Measure] = [FirstOrder(), IntermediateScores()]
      try measure(
        measures + unreadable, on: network, samples(6, batch: 6, of: twoStages), batchNorm: .batch)
      // The lens reads no state inside the network.
      let cosines = try measures[2].rows(of: CosineLoss.Row.self)
      #expect(cosines.count == 4 && cosines.allSatisfy { $0.gradient == "backpropagated" })
      #expect(try unreadable.allSatisfy { try $0.tables()[0].rows.isEmpty })
      return try measures.flatMap { try $0.tables() }
    }
    let network = try network(twoStages)
    let running = network.parameters.filter { $0.key.contains("running") }
    let before = try running.mapValues { try $0.doubles() }
    let first = try measured(network)
    #expect(try running.mapValues { try $0.doubles() } == before && !before.isEmpty)
    for tensor in running.values { try tensor.copy(from: .full(tensor.shape, 0.7, .float64)) }
    let second = try measured(network)
    #expect(first == second && first.map(\.rows.count) == [5, 4, 1, 4, 4])
    // By the running statistics it does.
    let evaluated = ActivationNorm()
    try measure([evaluated], on: network, samples(6, batch: 6, of: twoStages))
    #expect(try evaluated.tables()[0] != first[0])
  }

  @Test("A network that is sure of its samples has its gradients' ratio from all of them")
  func saturated() throws {
    let network = try network(twoStages)
    func ratio() throws -> Statistic {
      let gradients = GradientNorm(twoStages)
      try measure([gradients], on: network, samples(6, batch: 6, of: twoStages))
      return try #require(try gradients.ratio())
    }
    let before = try ratio()
    // With two classes the log-odds are linear in the logits: a sharper readout changes the size of all gradients alike.
    let weight = try network.parameters.required("head.linear.weight")
    try weight.copy(from: weight.scaled(by: 1e6))
    let gradients = GradientNorm(twoStages)
    try measure([gradients], on: network, samples(6, batch: 6, of: twoStages))
    #expect(try gradients.steps().contains { $0.mean > 1e3 || $0.mean == 0 })
    let after = try ratio()
    #expect(after.count == 6 && abs(after.mean / before.mean - 1) < 1e-6)
  }

  @Test("By a batch's own statistics, what is no number of the network's own pass is refused")
  func batchStatisticsAlone() throws {
    let (network, samples) = try (network(twoStages), samples(4, batch: 2, of: twoStages))
    func suite(_ names: Set<String>) throws(MeasureError) -> MeasureSuite {
      var options = MeasureOptions(names: names)
      options.way = .batchStatistics
      return try MeasureSuite(network, options, train: samples, validation: samples)
    }
    let possible = Registry.standard.names(where: \.withBatchStatistics)
    #expect(
      Set(possible) == [
        "l2-ratio", "cosine-loss", "activation-norm", "gradient-norm", "influence", "alignment",
        "angular-distance",
      ])
    for name in Registry.standard.names() where !possible.contains(name) {
      #expect {
        _ = try suite(["l2-ratio", name])
      } throws: {
        ($0 as? MeasureError)?.option == "batch-norm" && "\($0)".contains(name)
      }
    }
    #expect(throws: MeasureError.self) {
      try measure([DroppedStep(twoStages)], on: network, samples, batchNorm: .batch)
    }
    let found = try suite(Set(possible)).run()
    let tables = MeasuredTables(tables: found.tables)
    #expect(tables["gradient-norm"] != nil && tables["gradient-norm-ratio"] != nil)
    let cosines = try tables.rows(of: CosineLoss.Row.self, in: "cosine-loss", .train, ["samples": 4])
    #expect(cosines.map(\.step) == [1, 2, 3, 4] && cosines.allSatisfy { $0.gradient == "backpropagated" })
    #expect(found.absent.filter { $0.measure == "cosine-loss" }.map(\.view) == ["cosine-loss-readout"])
    #expect(Set(found.absent.map(\.measure)) == ["cosine-loss", "influence", "alignment", "angular-distance"])
    // The network's own scores are those by the running statistics.
    #expect(found.validation.count == 0)
  }

  @Test("Of one stage there is no ratio, and the results say why")
  func oneStage() throws {
    let samples = try samples(4, batch: 2)
    let suite = try MeasureSuite(
      network(tiny), MeasureOptions(names: ["gradient-norm"]), train: samples, validation: samples)
    let found = try suite.run()
    #expect(found.tables.map(\.name) == ["gradient-norm"])
    #expect(found.absent.map(\.measure) == ["gradient-norm"] && found.absent.map(\.view) == ["gradient-norm-ratio"])
  }
}

extension GradientNorm {
  /// The ratio between the first steps of the first and of the last stage; nil where there is none.
  fileprivate func ratio() throws -> Statistic? { try rows(of: Statistic.self, in: "gradient-norm-ratio").first }
}
