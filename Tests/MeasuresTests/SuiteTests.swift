import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

@Suite struct SuiteTests {
  private static let all = Set(Registry.standard.names())

  /// Remembers which steps it saw.
  private final class Witness: Measure {
    static let description = MeasureDescription.named("witness")
    var seen: [ObjectIdentifier] = []
    private var steps: [StepView] = []
    init() {}
    init?(_ context: MeasureContext) {}
    func rows(of step: StepView) throws -> [[Double]]? {
      seen.append(ObjectIdentifier(step))
      steps.append(step)
      return nil
    }
    func tables() -> [Table] { [] }
  }

  @Test("However many measures there are, all look at the same steps, one a step and batch")
  func onePass() throws {
    let network = try network(pooled)
    let (first, last) = (Witness(), Witness())
    let all: [any Measure] = [
      first, CosineLoss(), L2Ratio(), FirstOrder(), IntermediateScores(), try BorderlineGroups(pooled),
      DroppedStep(pooled), try UnrolledSteps(pooled, times: 2, ways: [.init(scale: 1)]), try LesionScores(pooled), last,
    ]
    try measure(all, on: network, samples(10, batch: 4, of: pooled))
    #expect(first.seen == last.seen && Set(first.seen).count == 3 * 6)
  }

  @Test("No more tensors live after many batches than after one")
  func memory() throws {
    let network = try network(pooled)
    let options = MeasureOptions(names: Self.all)
    let samples = try samples(40, batch: 4, of: pooled)
    let suite = try MeasureSuite(network, options, train: samples, validation: samples)
    var alive: [MeasureSuite.Phase: Set<Int>] = [:]
    _ = try suite.run { phase, done, _ in
      if done > 0 { alive[phase, default: []].insert(Libtorch.liveTensors) }
    }
    #expect(alive.count == 3 && alive.values.allSatisfy { $0.count == 1 })
  }

  @Test("The suite gives what each measure gives alone, and the train and validation sets are not mixed up")
  func together() throws {
    let network = try network(pooled)
    let (train, validation) = try (samples(20, batch: 8, of: pooled), samples(12, batch: 8, of: pooled, seed: 7))
    var options = MeasureOptions(names: Self.all)
    options.unrolling.scale = .given(0.5)
    options.unrolling.times = 3
    options.lastSteps = 2
    let found = try MeasureSuite(network, options, train: train, validation: validation).run()
    #expect(found.tables.allSatisfy { $0.keys.prefix(2) == [.init("split"), .init("samples")] })
    for (split, samples) in [(Split.train, train), (.validation, validation)] {
      var all: [any Measure] = [
        L2Ratio(), DroppedStep(pooled), CosineLoss(), FirstOrder(), IntermediateScores(),
        try BorderlineGroups(pooled, lastSteps: 2),
        try UnrolledSteps(pooled, times: 3, ways: [.init(scale: 1), .init(scale: 0.5)]), ActivationNorm(),
        GradientNorm(pooled), Influence(), Alignment(), Agreement(), AngularDistance(), FutureEffect(),
        SpectralRadius(samples: 256),
      ]
      // Lesions are measured on validation samples.
      if split == .validation { all.append(try LesionScores(pooled, options.lesions)) }
      var names: Set<String> = []
      for alone in all {
        try measure([alone], on: network, samples)
        for table in try alone.tables() {
          names.insert(table.name)
          var own = try #require(found.tables.first { $0.name == table.name }, "\(table.name)")
            .selecting(["split": split.cell, "samples": .number(Double(samples.count))])
          own.parameters = [:]
          #expect(own == table && !own.rows.isEmpty && own.measure == type(of: alone).description.name)
        }
      }
      let measured = found.tables.filter { $0.rows.contains { $0[0] == split.cell } }
      #expect(Set(measured.map(\.name)) == names && measured.count == names.count)
    }
    #expect(Set(found.tables.map(\.measure)) == Self.all)
    // No row of other samples.
    let counts = Set(found.tables.flatMap(\.rows).map { "\($0[0].plainText) \($0[1].plainText)" })
    #expect(counts == ["train 20", "validation 12"])
    let tables = MeasuredTables(steps: pooled.steps, tables: found.tables)
    let whole = try tables.rows(of: Score.self, in: "dropped-step-baseline", .validation)
    #expect(whole == [found.validation.score])
    #expect(tables["borderline"]?.parameters == ["margin": 0.1, "reference": 4])
    #expect(
      tables["unrolling"]?.parameters == ["step": 6, "times": 3, "margin": 0.1, "recalibration_batches": .missing])
    #expect(tables["unrolling-scales"] == nil && tables["l2-ratio"]?.parameters == [:])
    #expect(
      SharedAbsence.all(of: found.absent).map { [$0.steps ?? ""] + $0.names } == [
        ["steps 1 to 3", "cosine-loss-readout", "first-order", "intermediate", "agreement"],
        ["steps 1 and 4", "update-cosine"],
      ])
  }

  /// The suite's parameters, which results are compared by before they are measured, are those of its tables.
  @Test("A suite knows its measures' settings before it runs")
  func parameters() throws {
    let samples = try samples(12, batch: 8, of: pooled)
    var options = MeasureOptions(names: ["borderline", "l2-ratio", "unrolling"])
    (options.margin, options.lastSteps, options.unrolling.times) = (0.25, 1, 2)
    let suite = try MeasureSuite(network(pooled), options, train: samples, validation: samples)
    #expect(Set(suite.parameters.keys) == options.names)
    for table in try suite.run().tables {
      #expect(table.parameters == suite.parameters[table.measure], "\(table.name)")
    }
    #expect(suite.parameters["borderline"] == ["margin": 0.25, "reference": 5])
  }

  @Test(
    "Several processes find what one does, to the bit, and list the same borderline examples",
    .enabled(if: ProcessGroup.isPossible, "this build has no Gloo: install libgloo-dev and build again"),
    arguments: [(2, BatchNormStatistics.running), (3, .running), (2, .batch)])
  func processes(size: Int, batchNorm: BatchNormStatistics) throws {
    @Sendable func found(by group: ProcessGroup?) throws -> [String] {
      let network = try network(pooled)
      // Five batches, the last of them a part of one; and fewer than there are processes.
      let (train, validation) = try (samples(33, batch: 8, of: pooled), samples(12, batch: 8, of: pooled, seed: 7))
      var options = MeasureOptions(
        names: batchNorm == .batch ? Set(Registry.standard.names(where: \.withBatchStatistics)) : Self.all)
      options.way = MeasuringWay(by: batchNorm)
      options.unrolling.scale = .chosen(from: [0.5, 0.1])
      options.unrolling.times = 3
      options.lesions.samples = 9
      var listed: [String] = []
      let found = try MeasureSuite(
        network, options, train: train, validation: validation, by: group,
        listBorderline: batchNorm == .batch ? nil : { listed.append("\($0) \($1)") }
      ).run()
      return try found.tables.map { String(decoding: try JSON.encode($0), as: UTF8.self) }
        + ["\(found.validation)"] + listed
    }
    let one = try found(by: nil)
    #expect(one.count > (batchNorm == .batch ? 4 : 17))
    let all = try asProcesses(size) { try found(by: $0) }
    #expect(all.count == size)
    for other in all { #expect(other == one) }
  }

  @Test(
    "Measures that are not the same in every process are an error of all processes",
    .enabled(if: ProcessGroup.isPossible, "this build has no Gloo: install libgloo-dev and build again"),
    arguments: [
      [["l2-ratio"], ["cosine-loss"]], [["l2-ratio"], ["l2-ratio", "cosine-loss"]],
      [["l2-ratio", "cosine-loss"], ["cosine-loss", "l2-ratio"]], [["l2-ratio", "activation-norm"], ["l2-ratio"]],
      [["activation-norm"], ["l2-ratio"]], [["dropped-step"], ["intermediate"]], [[], ["l2-ratio"]],
      [["l2-ratio"], ["l2-ratio"]],
    ])
  func unlikeMeasures(names: [[String]]) throws {
    let errors = try asProcesses(2) { group in
      let context = MeasureContext(pooled, MeasureOptions(names: []))
      let measures = try names[group.rank].flatMap { name in
        try Registry.standard.measures(named: [name]).compactMap { try $0.init(context) }
      }
      do {
        try measure(measures, on: network(pooled), samples(8, batch: 4, of: pooled), by: group)
        return "none"
      } catch is RowError {
        return "refused"
      }
    }
    #expect(errors == Array(repeating: names[0] == names[1] ? "none" : "refused", count: 2))
  }

  @Test("What cannot exist is absent with a reason")
  func absences() throws {
    let single = try Architecture(
      name: "steps", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
      stages: [
        .init(width: 2, blocks: 1, entry: .none), .init(width: 3, blocks: 1, entry: .projection, stride: 1),
      ], head: .init(pooling: 2))
    let samples = try samples(6, batch: 3)
    let suite = try MeasureSuite(
      network(single), MeasureOptions(names: Self.all), train: samples, validation: samples)
    let found = try suite.run()
    let tables = MeasuredTables(tables: found.tables)
    #expect(tables["borderline"] == nil && tables["borderline-flips"] == nil)
    #expect(tables["unrolling"] == nil && tables["unrolling-steps"] == nil && tables["lesions-swapped"] == nil)
    let random = try tables.rows(of: LesionScores.RandomRow.self, in: "lesions-random", .validation)
    #expect(random.map(\.kind) == ["dropped"] && random.map(\.size) == [1])
    for name in ["borderline", "unrolling", "lesions", "first-order", "cosine-loss", "intermediate"] {
      #expect(found.absent.contains { $0.measure == name && !$0.reason.isEmpty }, "\(name)")
    }
    let everywhere = try MeasureSuite(
      network(tiny), MeasureOptions(names: Self.all), train: samples, validation: samples)
    // One stage has all but a ratio of two stages' gradients, and a step before the first.
    let absent = try everywhere.run().absent
    #expect(absent.map(\.view) == ["gradient-norm-ratio", "update-cosine"] && absent.map(\.steps) == [nil, [1, 1]])
  }

  @Test(
    "By recalibrated statistics each altered network has its own, taken on the train images, and the whole one stays")
  func recalibrated() throws {
    let network = try network(sharedStages)
    let train = try samples(300, batch: 64, of: sharedStages)
    let validation = try samples(20, batch: 8, of: sharedStages, seed: 9)
    var options = MeasureOptions(names: ["dropped-step", "lesions"])
    (options.way, options.recalibrationBatches) = (.recalibrated, 2)
    options.lesions = .init(drops: [2], shuffles: [1], factors: [0.5, 1], seeds: 1)
    let suite = try MeasureSuite(network, options, train: train, validation: validation)
    var batches = 0
    let found = MeasuredTables(
      tables: try suite.run { phase, done, count in
        guard phase == .recalibration else { return }
        #expect(done == batches && count == 2)
        batches += 1
      }.tables)
    #expect(batches == 2)
    let batch = try validation.maker.batch(validation.set, 0..<20)
    /// The accuracy and loss by a plan in a network that was recalibrated for it alone.
    func score(_ plan: Plan) throws -> (accuracy: Double, loss: Double) {
      var own = plan
      var altered = network
      if plan != network.plan {
        own = plan.recalibrating(whereUnlike: network.plan, as: 5)
        altered = try network.recalibrated(for: [own], batches: 2) {
          try train.maker.batch(train.set, $0 * 128..<($0 + 1) * 128).images
        }
      }
      let predictions = try Predictions(logits: altered.logits(batch.images, plan: own), labels: batch.labels)
      let right = zip(predictions.classes, validation.set.labels).count { $0 == $1 }
      return (Double(right) / 20, predictions.losses.reduce(0, +) / 20)
    }
    func expect(_ found: Score, _ plan: Plan, _ comment: Comment) throws {
      let expected = try score(plan)
      #expect(found.accuracy == expected.accuracy && abs(found.loss - expected.loss) < 1e-10, comment)
    }
    for row in try found.rows(of: DroppedStep.Row.self, in: "dropped-step", .validation) {
      try expect(row.score, network.plan.dropping(step: row.step), "step \(row.step) dropped")
    }
    for row in try found.rows(of: LesionScores.ScaleRow.self, in: "lesions-scaled", .validation) {
      try expect(
        row.score, network.plan.scaling(step: row.step, by: row.factor), "step \(row.step) times \(row.factor)")
    }
    for row in try found.rows(of: LesionScores.SwapRow.self, in: "lesions-swapped", .validation) {
      try expect(
        row.score, network.plan.exchanging(step: row.first, with: row.second), "steps \(row.first), \(row.second)")
    }
    let whole = try #require(try DroppedStep.whole(found, .validation))
    try expect(whole, network.plan, "the whole network")
  }

  @Test("What cannot be is refused before any work")
  func misuse() throws {
    let samples = try samples(6, batch: 3)
    func refused(_ change: (inout MeasureOptions) -> Void) throws -> String? {
      var options = MeasureOptions(names: Self.all)
      change(&options)
      do {
        _ = try MeasureSuite(network(twoStages), options, train: samples, validation: samples)
        return nil
      } catch let error as MeasureError {
        return error.option
      }
    }
    #expect(try refused { _ in } == nil)
    #expect(try refused { $0.margin = 2 } == "margin")
    #expect(try refused { ($0.names, $0.margin) = (["l2-ratio"], .nan) } == "margin")
    #expect(try refused { $0.unrolling.scale = .chosen(from: [0.1, 0.1]) } == "scale-grid")
    #expect(try refused { $0.lastSteps = 9 } == "last-steps")
    #expect(try refused { $0.unrolling.step = 3 } == "unroll-step")
    #expect(try refused { $0.unrolling.scale = .given(.nan) } == "scale")
    #expect(try refused { $0.unrolling.scale = .chosen(from: [0.1, .infinity]) } == "scale")
    #expect(try refused { $0.unrolling.scale = .chosen(from: []) } == "scale-grid")
    #expect(try refused { $0.recalibrationBatches = 1 } == "recalibrate")
    #expect(try refused { $0.way = .recalibrated } == "recalibrate")
    #expect(try refused { ($0.names, $0.way) = (["dropped-step"], .recalibrated) } == "recalibrate")
    #expect(try refused { $0.way = .lens(.linear) } == "lens")
    #expect(try refused { $0.way = .batchStatistics } == "batch-norm")
    #expect(try refused { $0.lesions.drops = [9] } == "lesion-drops")
    #expect(try refused { $0.names.insert("l3-ratio") } == "measures")
  }

  @Test("A plan that the network cannot run is refused before any work")
  func impossiblePlan() throws {
    final class Wrong: Measure {
      static let description = MeasureDescription.named("wrong")
      init() {}
      init?(_ context: MeasureContext) {}
      func tables() -> [Table] { [] }
      func plans(for network: ResidualNetwork) throws -> [Plan] { [try network.plan.exchanging(step: 1, with: 3)] }
    }
    #expect(throws: PlanError.self) { try measure([Wrong()], on: network(twoStages), samples(3, batch: 3)) }
    final class Elsewhere: Measure {
      static let description = MeasureDescription.named("elsewhere")
      let make: (Plan) throws -> Trajectory
      init?(_ context: MeasureContext) { nil }
      func tables() -> [Table] { [] }
      init(_ make: @escaping (Plan) throws -> Trajectory) { self.make = make }
      func trajectories(for network: ResidualNetwork) throws -> [Trajectory] { [try make(network.plan)] }
    }
    for (make, words) in [
      ({ Trajectory(try $0.dropping(step: 1), from: 2) }, "before step 2"), ({ Trajectory($0, from: 9) }, "no step 9"),
      ({ Trajectory(try $0.unrolling(step: 2, times: 1, scale: 1, firstStatistics: 5), from: 2) }, "statistics 5"),
    ] as [((Plan) throws -> Trajectory, String)] {
      #expect {
        try measure([Elsewhere(make)], on: network(twoStages), samples(3, batch: 3))
      } throws: { error in error is PlanError && "\(error)".contains(words) }
    }
  }
}
