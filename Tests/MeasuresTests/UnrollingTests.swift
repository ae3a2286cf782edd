import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

@Suite struct FateTests {
  @Test("Added steps explode, settle or do neither by how far the last one goes")
  func fate() {
    #expect(UnrolledSteps.Fate(first: 1, last: 10.5) == .explodes(growth: 10.5))
    #expect(UnrolledSteps.Fate(first: 2, last: 20) == .drifts(growth: 10))
    #expect(UnrolledSteps.Fate(first: 2, last: 0.2) == .drifts(growth: 0.1))
    #expect(UnrolledSteps.Fate(first: 2, last: 0.1) == .settles(growth: 0.05))
    #expect(UnrolledSteps.Fate(first: 1, last: .infinity) == .explodes(growth: .infinity))
    guard case .explodes = UnrolledSteps.Fate(first: 1, last: .nan) else {
      Issue.record("a value that is not a number has exploded")
      return
    }
  }
}

@Suite struct UnrollingTests {
  @Test(
    "Every number of every step of an unrolled network equals that of differences, a sample at a time",
    arguments: [
      (tiny, 2), (tiny, 1), (pooled, 4), (pooled, 3), (pooled, 2), (twoStages, 2), (sharedStages, 5), (sharedStages, 2),
    ])
  func byDifferences(architecture: Architecture, step: Int) throws {
    let network = try network(architecture)
    let samples = try samples(5, batch: 3, of: architecture)
    let (times, scale) = (3, 0.4)
    let measure = try UnrolledSteps(
      architecture, step: step, times: times, ways: [.init(scale: 1), .init(scale: scale)], margin: 0.3)
    try ResLensMeasures.measure([measure], on: network, samples)
    let count = architecture.steps.count
    let stage = measure.repeated.stage
    let first = try #require(architecture.steps.first { $0.stage == stage }).id.number
    for (way, scale) in [1, scale].enumerated() {
      // The moves written out: the repeated step follows itself.
      let own = network.plan.moves
      let place = network.plan.stepPlaces[step - 1]
      guard case .step(let block) = own[place] else { return }
      let added = Plan.Move.step(.init(stage: block.stage, block: block.block, use: block.use, scale: scale))
      let moves = own[...place] + Array(repeating: added, count: times) + own[(place + 1)...]
      let begun = network.plan.stepPlaces[first - 1]
      let name = way == 0 ? "unscaled" : "scaled"
      let quantities = try measure.rows(of: UnrolledSteps.StepRow.self, in: "unrolling-steps").filter { $0.way == name }
      let scores = try measure.rows(of: UnrolledSteps.GroupRow.self).filter { $0.way == name }
      let found = quantities.filter { $0.quantity == "distance" }
      #expect(found.map(\.place) == Array(first...count + times))
      let behind = (step..<count).map { $0 + 1 }
      #expect(found.map(\.step) == Array(first...step) + Array(repeating: step, count: times) + behind)
      #expect(
        found.map(\.repetition)
          == Array(repeating: 0, count: step - first + 1) + [1, 2, 3] + Array(repeating: 0, count: count - step))
      #expect(quantities.allSatisfy { $0.scale == scale } && scores.allSatisfy { $0.scale == scale })
      var rows = found.map { _ in Row() }
      for index in 0..<5 {
        let sample = try SingleSample(network, samples, index)
        let end = try sample.run(own, sample.h0)
        let members =
          ["all"] + (try abs(sample.margin(end)) < 0.3 ? ["borderline"] : [])
          + (try sample.isRight(end) ? ["already-correct"] : [])
        var h = try sample.run(moves[..<begun], sample.h0)
        var before: [Double]?
        var row = 0
        for place in begun..<moves.count {
          let next = try sample.run(moves[place...place], h)
          guard case .step(let step) = moves[place] else {
            // A pooling: no step, and the next one follows none of its stage.
            (h, before) = (next, nil)
            continue
          }
          let layout = try #require(
            architecture.steps.first { $0.stage == step.stage && $0.block == step.block }
          )
          let isReadable = step.stage == architecture.stages.count - 1
          let kept = try sample.run([.step(.init(stage: step.stage, block: step.block, scale: 0))], h)
          let residual = try zip(next.doubles(), kept.doubles()).map { $0 - $1 }
          let added = try Tensor(residual, shape: next.shape)
          // At a projection the gradient is with respect to its output, which F does not depend on.
          let gradient =
            !layout.hasIdentitySkip
            ? try sample.slope(kept) { try sample.odds(sample.run(moves[(place + 1)...], $0.adding(added))) }
            : try sample.slope(h) { try sample.odds(sample.run(moves[place...], $0)) }
          rows[row].cosines.append(cosine(residual, gradient))
          if isReadable { rows[row].readout.append(cosine(residual, try sample.slope(kept, sample.odds))) }
          rows[row].ratios.append(norm(residual) / norm(try h.doubles()))
          rows[row].distances.append(norm(residual))
          if let before, layout.hasIdentitySkip { rows[row].updates.append(cosine(residual, before)) }
          if isReadable {
            let (isRight, loss) = try (sample.isRight(next), sample.loss(next))
            for group in members { rows[row].groups[group, default: ([], [])].right.append(isRight) }
            for group in members { rows[row].groups[group, default: ([], [])].losses.append(loss) }
          }
          (h, before, row) = (next, residual, row + 1)
        }
      }
      for (found, row) in zip(found, rows) {
        let comment = Comment(rawValue: "place \(found.place), scale \(scale)")
        for (quantity, values, tolerance) in [
          ("cosine", row.cosines, 1e-6), ("cosine_readout", row.readout, 1e-6), ("ratio", row.ratios, 1e-10),
          ("distance", row.distances, 1e-10), ("update_cosine", row.updates, 1e-10),
        ] {
          let own = quantities.filter { $0.place == found.place && $0.quantity == quantity }
          #expect(own.isEmpty == values.isEmpty, comment)
          guard let own = own.first else { continue }
          #expect(own.step == found.step && own.repetition == found.repetition)
          try expectEqual(own.statistic, values, within: tolerance, comment)
        }
        let groups = scores.filter { $0.place == found.place }
        #expect(Set(groups.map(\.group)) == Set(row.groups.keys), comment)
        for own in groups {
          #expect(own.step == found.step && own.repetition == found.repetition)
          let wanted = try #require(row.groups[own.group])
          try expectEqual(own.score, right: wanted.right, losses: wanted.losses, within: 1e-10, comment)
        }
      }
    }
  }

  private struct Row {
    var (cosines, readout, ratios, distances, updates) = ([Double](), [Double](), [Double](), [Double](), [Double]())
    var groups: [String: (right: [Bool], losses: [Double])] = [:]
  }

  @Test("A step before the last stage can be repeated too, and what the readout cannot read is absent there")
  func earlierStage() throws {
    let network = try network(twoStages)
    let measure = try UnrolledSteps(twoStages, step: 2, times: 2, ways: [.init(scale: 0.5)])
    try ResLensMeasures.measure([measure], on: network, samples(6, batch: 4))
    let rows = try measure.rows(of: UnrolledSteps.StepRow.self, in: "unrolling-steps")
    #expect(rows.allSatisfy { $0.statistic.count == 6 && $0.way == "scaled" && $0.scale == 0.5 })
    let found = rows.filter { $0.quantity == "distance" }
    #expect(found.map(\.step) == [1, 2, 2, 2, 3, 4] && found.map(\.repetition) == [0, 0, 1, 2, 0, 0])
    func places(_ quantity: UnrolledSteps.Quantity) -> [Int] {
      rows.filter { $0.quantity == quantity.rawValue }.map(\.place)
    }
    #expect(places(.cosine) == Array(1...6) && places(.ratio) == Array(1...6) && places(.cosineReadout) == [5, 6])
    #expect(places(.updateCosine) == [2, 3, 4, 6])
    let scores = try measure.rows(of: UnrolledSteps.GroupRow.self).filter { $0.group == "all" }
    #expect(scores.map(\.place) == [5, 6] && scores.map(\.step) == [3, 4])
  }

  @Test("The mean loss over added steps of each scale is that of the plans written out")
  func scaleLosses() throws {
    let network = try network(tiny)
    let samples = try samples(7, batch: 3)
    let scales = [1, 0.3, -0.2]
    let losses = try UnrolledSteps.losses(
      network, step: 2, times: 4, ways: scales.map { .init(scale: $0) }, on: samples)
    for (scale, loss) in zip(scales, losses) {
      var all: [Double] = []
      for index in 0..<7 {
        let sample = try SingleSample(network, samples, index)
        for times in 1...4 {
          let added = Array(repeating: Plan.Move.step(.init(stage: 0, block: 1, scale: scale)), count: times)
          all.append(try sample.loss(sample.run(network.plan.moves + added, sample.h0)))
        }
      }
      #expect(abs(loss - moments(all).mean) < 1e-12)
    }
  }

  @Test("The suite takes the scale with the lowest train loss, and unscaled beside it")
  func choice() throws {
    let network = try network(tiny)
    let samples = try samples(12, batch: 5)
    var options = MeasureOptions(names: ["unrolling"])
    options.unrolling.times = 3
    options.unrolling.scale = .chosen(from: [0.4, 0.01, 0.2])
    let suite = try MeasureSuite(network, options, train: samples, validation: samples)
    let found = MeasuredTables(tables: try suite.run().tables)
    let own: [String: Cell] = ["samples": 12]
    let tried = try found.rows(of: UnrolledSteps.ScaleRow.self, in: "unrolling-scales", .train, own)
    #expect(tried.map(\.scale) == [0.4, 0.01, 0.2])
    let losses = try UnrolledSteps.losses(
      network, step: 2, times: 3, ways: tried.map { .init(scale: $0.scale) }, on: samples)
    #expect(tried.map(\.loss) == losses)
    // Scales are chosen on train samples alone.
    #expect(try found.rows(of: UnrolledSteps.ScaleRow.self, in: "unrolling-scales", .validation, own).isEmpty)
    let best = try #require(tried.min { $0.loss < $1.loss })
    for split in Split.allCases {
      let rows = try found.rows(of: UnrolledSteps.StepRow.self, in: "unrolling-steps", split, own)
      let ways = rows.filter { $0.quantity == "distance" && $0.place == 5 }
      #expect(ways.map(\.way) == ["unscaled", "scaled"] && ways.map(\.scale) == [1, best.scale])
    }
    for name in ["unrolling", "unrolling-steps", "unrolling-scales"] {
      #expect(
        found[name]?.parameters == ["step": 2, "times": 3, "margin": 0.1, "recalibration_batches": .missing], "\(name)")
      #expect(found[name]?.measure == "unrolling")
    }
  }

  @Test("Added steps' own statistics are the means over batches, and the trained network stays as it was")
  func recalibration() throws {
    let network = try network(tiny)
    let samples = try samples(12, batch: 4)
    let before = try network.parameters.mapValues { try $0.doubles() }
    let plan = try network.plan.unrolling(step: 2, times: 1, scale: 1, firstStatistics: 1)
    let batches = try (0..<3).map { try samples.maker.batch(samples.set, $0 * 4..<$0 * 4 + 4).images }
    let recalibrated = try network.recalibrated(for: [plan], batches: 3) { batches[$0] }
    #expect(try network.parameters.mapValues { try $0.doubles() } == before)

    let block = try HandBlock(network, "stages.0.1")
    var (first, second) = (HandBlock.Statistics(), HandBlock.Statistics())
    for images in batches {
      let h = try network.run(network.plan, on: network.begin(images)).doubles()
      let own = HandBlock.Statistics(of: h)
      let middle = block.convolved(block.normed(h, "norm1", own, unbiased: false), "conv1")
      first.add(own, share: 1.0 / 3)
      second.add(HandBlock.Statistics(of: middle), share: 1.0 / 3)
    }
    let h = try network.run(network.plan, on: network.begin(batches[0]))
    let middle = block.convolved(block.normed(try h.doubles(), "norm1", first, unbiased: true), "conv1")
    let residual = block.convolved(block.normed(middle, "norm2", second, unbiased: true), "conv2")
    let step = Plan(moves: [.step(.init(stage: 0, block: 1, statistics: 1))])
    let found = try zip(recalibrated.run(step, on: h).doubles(), h.doubles()).map { $0 - $1 }
    #expect(zip(found, residual).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(throws: PlanError.self) { try network.run(step, on: h) }
  }

  /// A block of two channels on 2×2 pixels, written out.
  private struct HandBlock {
    private let parameters: [String: [Double]]

    /// Statistics of a batch in two channels.
    struct Statistics {
      var means = [0.0, 0.0]
      /// Divided by the count.
      var variances = [0.0, 0.0]
      /// Divided by the count less one.
      var unbiased = [0.0, 0.0]

      init() {}

      init(of values: [Double]) {
        for channel in 0..<2 {
          let own = values.indices.filter { $0 / 4 % 2 == channel }.map { values[$0] }
          let (mean, deviation) = moments(own)
          (means[channel], variances[channel]) = (mean, deviation * deviation)
          unbiased[channel] = deviation * deviation * Double(own.count) / Double(own.count - 1)
        }
      }

      mutating func add(_ other: Statistics, share: Double) {
        for channel in 0..<2 {
          means[channel] += share * other.means[channel]
          unbiased[channel] += share * other.unbiased[channel]
        }
      }
    }

    init(_ network: ResidualNetwork, _ path: String) throws {
      parameters = try network.parameters.filter { $0.key.hasPrefix(path) }.reduce(into: [:]) {
        $0[String($1.key.dropFirst(path.count + 1))] = try $1.value.doubles()
      }
    }

    private func parameter(_ path: String, _ index: Int) -> Double { parameters[path]?[index] ?? .nan }

    /// N×2×2×2 normalised and rectified.
    func normed(_ values: [Double], _ path: String, _ statistics: Statistics, unbiased: Bool) -> [Double] {
      values.enumerated().map { index, value in
        let channel = index / 4 % 2
        let variance = (unbiased ? statistics.unbiased : statistics.variances)[channel]
        let normal = (value - statistics.means[channel]) / (variance + 1e-5).squareRoot()
        return max(0, normal * parameter(path + ".weight", channel) + parameter(path + ".bias", channel))
      }
    }

    /// A 3×3 convolution with a border of zeros.
    func convolved(_ values: [Double], _ path: String) -> [Double] {
      values.indices.map { index in
        let (sample, channel, row, column) = (index / 8, index / 4 % 2, index / 2 % 2, index % 2)
        var sum = parameter(path + ".bias", channel)
        for input in 0..<2 {
          for (r, c) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let weight = parameter(path + ".weight", ((channel * 2 + input) * 3 + r - row + 1) * 3 + c - column + 1)
            sum += weight * values[sample * 8 + input * 4 + r * 2 + c]
          }
        }
        return sum
      }
    }
  }

  @Test(
    "A step that changes shape, or is not there, a scale that is no number and no repetition are refused",
    arguments: [
      (4, 1001, 1, "unroll"), (3, 2, 1, "unroll-step"), (5, 2, 1, "unroll-step"), (0, 2, 1, "unroll-step"),
      (4, 0, 1, "unroll"),
      (4, 2, .nan, "scale"), (4, 2, .infinity, "scale"), (4, 2, 0, "scale"),
    ])
  func misuse(step: Int, times: Int, scale: Double, option: String) {
    #expect {
      try UnrolledSteps(twoStages, step: step, times: times, ways: [.init(scale: scale)])
    } throws: { ($0 as? MeasureError)?.option == option }
  }
}
