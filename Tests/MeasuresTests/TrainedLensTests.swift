import Foundation
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTasks
import ResLensTorch
import TestSupport
import Testing

@Suite struct TrainedLensTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// Three stages, the second of which cannot be pooled to the third's grid.
  private let uneven = valid(
    try Architecture(
      name: "uneven", input: .init(channels: 1, height: 6, width: 6), classes: 3, stem: .init(width: 2),
      stages: [
        .init(width: 2, blocks: 1, entry: .none), .init(width: 2, blocks: 1, entry: .projection, stride: 2),
        .init(width: 3, blocks: 2, entry: .projection, stride: 2),
      ], head: .init(pooling: 2)))

  /// Two stages, the second on a coarser grid.
  private let coarser = valid(
    try Architecture(
      name: "coarser", input: .init(channels: 1, height: 4, width: 4), classes: 3, stem: .init(width: 2),
      stages: [
        .init(width: 2, blocks: 2, entry: .none), .init(width: 3, blocks: 2, entry: .projection, stride: 2),
      ], head: .init(pooling: 2)))

  private func origin(_ options: LensFitting.Options, _ network: ResidualNetwork) throws -> TrainedLens.Origin {
    .init(options: options, weights: try network.fingerprint(), samples: 24, images: "none")
  }

  /// A lens of a network in float64, and the tensors of its file.
  private func fitted(
    _ options: LensFitting.Options, _ architecture: Architecture
  ) throws -> (network: ResidualNetwork, lens: TrainedLens, tensors: [String: Tensor]) {
    let network = try network(architecture)
    let lens = try LensFitting(network, options, on: samples(24, batch: 8, of: architecture)).fitted()
    let file = scratch.file("lens.safetensors")
    try lens.write(origin(options, network), to: file)
    return (network, lens, try Safetensors(contentsOf: file).tensors)
  }

  @Test(
    "A lens reads a state by its formula, and its gradient is the slope of the log-odds", arguments: LensKind.allCases)
  func reading(kind: LensKind) throws {
    for architecture in [coarser, pooled, sharedStages] {
      let (network, lens, tensors) = try fitted(.init(kind, epochs: 2), architecture)
      let batch = try samples(3, batch: 3, of: architecture, seed: 8).first()
      var (states, grid) = ([(StatePlace, Tensor)](), architecture.features[1])
      _ = try network.logits(batch.images) { steps, h in
        let place =
          steps == 0
          ? StatePlace(steps: 0, stage: 0, shape: Array(h.shape.dropFirst()))
          : StatePlace(after: architecture.steps[steps - 1])
        states.append((place, h))
      }
      #expect(states.count == architecture.steps.count + 1)
      for (place, h) in states {
        #expect(lens.obstacle(to: place) == nil && Array(h.shape.dropFirst()) == place.shape)
        let steps = try #require(place.steps)
        let weight = try #require(tensors["state-\(steps).weight"]).doubles()
        let bias = try #require(tensors["state-\(steps).bias"]).doubles()
        if kind == .linear { grid = 1 }
        /// Σ over channels of the pooled pixels.
        func outputs(_ values: [Double]) throws -> [Double] {
          let (channels, side) = (place.shape[0], place.shape[1])
          let window = side / grid
          var mapped: [Double] = []
          for sample in 0..<3 {
            for output in bias.indices {
              for row in 0..<grid {
                for column in 0..<grid {
                  var sum = bias[output]
                  for channel in 0..<channels {
                    let start = (sample * channels + channel) * side
                    let pixels = (0..<window * window).map {
                      values[(start + row * window + $0 / window) * side + column * window + $0 % window]
                    }
                    sum += weight[output * channels + channel] * pixels.reduce(0, +) / Double(pixels.count)
                  }
                  mapped.append(sum)
                }
              }
            }
          }
          guard kind == .affine else { return mapped }
          return try network.classify(Tensor(mapped, shape: [3, bias.count, grid, grid])).doubles()
        }
        let reading = try lens.read(h, at: place, labels: Tensor(batch.classes.map(Int64.init), shape: [3]))
        let values = try h.doubles()
        #expect(largestDistance(try reading.outputs.doubles(), try outputs(values)) < 1e-10)
        /// The log-odds against one sample's class.
        func odds(_ values: [Double], _ sample: Int) throws -> Double {
          let logits = try outputs(values)[(sample * 3)..<(sample * 3 + 3)].map { exp($0) }
          let own = logits[batch.classes[sample]]
          return log((logits.reduce(0, +) - own) / own)
        }
        let gradient = try reading.gradient().doubles()
        for index in stride(from: 0, to: values.count, by: 5) {
          let sample = index / (values.count / 3)
          var (low, high) = (values, values)
          low[index] -= 1e-6
          high[index] += 1e-6
          let slope = (try odds(high, sample) - odds(low, sample)) / 2e-6
          #expect(abs(gradient[index] - slope) < 1e-5, "\(architecture.name), state \(steps)")
        }
      }
    }
  }

  @Test(
    "An affine lens begins as the identity at the last state, and descending brings it nearer to the final distribution"
  )
  func descent() throws {
    func divergences(_ epochs: Int) throws -> [Double] {
      let (network, lens, tensors) = try fitted(.init(.affine, epochs: epochs), coarser)
      let measure = Agreement()
      try ResLensMeasures.measure([measure], on: network, samples(24, batch: 8, of: coarser), lens: lens)
      let rows = try measure.rows(of: Agreement.Row.self)
      #expect(rows.map(\.step) == [1, 2, 3, 4])
      if epochs == 0 {
        #expect(rows[3].divergence < 1e-20 && rows[3].first == 1)
        let weight = try #require(tensors["state-4.weight"]).doubles()
        #expect(largestDistance(weight, [1, 0, 0, 0, 1, 0, 0, 0, 1]) < 1e-12)
      }
      return rows.map(\.divergence)
    }
    let (start, end) = (try divergences(0), try divergences(40))
    for step in 0..<3 { #expect(end[step] < start[step], "step \(step + 1)") }
    #expect(end[3] < 1e-3)
  }

  @Test("States that a lens cannot read are left out, and said to be")
  func obstacles() throws {
    let steps = uneven.steps
    let (affine, linear) = (
      try fitted(.init(.affine, epochs: 1), uneven).lens, try fitted(.init(.linear), uneven).lens
    )
    // 6×6 pixels can be pooled to 2×2, and 3×3 cannot.
    let obstacle = try #require(affine.obstacle(to: StatePlace(after: steps[1])))
    #expect(obstacle.contains("3×3") && obstacle.contains("2×2"))
    for step in [0, 2, 3] { #expect(affine.obstacle(to: StatePlace(after: steps[step])) == nil) }
    for step in steps { #expect(linear.obstacle(to: StatePlace(after: step)) == nil) }
    for lens in [affine, linear] {
      let before = steps.map { lens.obstacle(to: StatePlace(before: $0, of: uneven)) != nil }
      #expect(before == [false, true, true, false])
    }
    let entering = StatePlace(before: pooled.steps[3], of: pooled)
    #expect(try fitted(.init(.linear), pooled).lens.obstacle(to: entering)?.contains("pooling") == true)
    var options = MeasureOptions(names: [])
    options.way = .lens(.affine)
    let context = MeasureContext(uneven, options)
    #expect(Agreement.absences(in: context).map(\.steps) == [[2, 2]])
    #expect(FirstOrder.absences(in: context).map(\.steps) == [[2, 2], [3, 3]])
    // The measures have values at exactly the other steps.
    let (agreement, order) = (Agreement(), FirstOrder())
    try measure([agreement, order], on: network(uneven), samples(8, batch: 8, of: uneven), lens: affine)
    #expect(try agreement.rows(of: Agreement.Row.self).map(\.step) == [1, 3, 4])
    #expect(try order.rows(of: FirstOrder.Row.self).map(\.step) == [1, 4])
  }

  @Test("Borderline examples are followed through stages by a lens")
  func borderline() throws {
    let (network, lens, _) = try fitted(.init(.linear), coarser)
    for last in [1, 3, 4] {
      let groups = try BorderlineGroups(coarser, margin: 0.9, lastSteps: last, lens: .linear)
      try measure([groups], on: network, samples(24, batch: 8, of: coarser), lens: lens)
      let rows = try groups.rows(of: BorderlineGroups.Row.self).filter { $0.group == "all" }
      #expect(rows.map(\.step) == Array((4 - last)...4) && rows.allSatisfy { $0.score.count == 24 })
    }
    // Step 3 has a projection: what it makes of h_2 is no state that a map was fitted to.
    #expect(throws: MeasureError.self) { try BorderlineGroups(coarser, lastSteps: 2, lens: .linear) }
  }

  @Test("A lens is read back as it was, and one of other weights or with damaged maps is refused")
  func file() throws {
    for kind in LensKind.allCases {
      let options = LensFitting.Options(kind, epochs: 1)
      let (network, lens, tensors) = try fitted(options, coarser)
      let file = scratch.file("lens.safetensors")
      let back = try TrainedLens.read(kind, of: network, from: file, remedy: "fit it again")
      #expect(try back.identity == lens.identity && back.identity.kind == kind)
      func refused(_ words: String, _ network: ResidualNetwork) {
        let error = #expect(throws: FileError.self) {
          try TrainedLens.read(kind, of: network, from: file, remedy: "fit it again")
        }
        #expect(error.map { "\($0)".contains(words) && "\($0)".contains("fit it again") } == true, "\(words)")
      }
      refused("other weights", try ResidualNetwork(coarser, seed: 9, type: .float64))
      let metadata = try Safetensors(contentsOf: file).metadata
      for (change, words) in [
        ("missing", "no state-2.weight"), ("shape", "no state-2.weight"), ("nan", "not finite"),
      ] {
        var damaged = tensors
        let old = try #require(tensors["state-2.weight"])
        damaged["state-2.weight"] =
          switch change {
          case "missing": nil
          case "shape": try old.reshaped([old.count])
          default: try old.scaled(by: .nan)
          }
        try Safetensors(tensors: damaged, metadata: metadata).write(to: file)
        refused(words, network)
      }
      let other = LensKind.allCases.first { $0 != kind } ?? kind
      try lens.write(origin(.init(other), network), to: file)
      let error = #expect(throws: FileError.self) {
        try TrainedLens.read(other, of: network, from: file, remedy: "fit it again")
      }
      #expect(error.map { "\($0)".contains("of the kind") } == true)
    }
  }

  @Test("The suite takes with a lens what a lens can read, and refuses anything else before any work")
  func suite() throws {
    let (network, lens, _) = try fitted(.init(.linear), coarser)
    let samples = try samples(24, batch: 8, of: coarser)
    let possible = Set(Registry.standard.names { $0.isPossible(.lens(.linear)) })
    #expect(possible == ["first-order", "intermediate", "borderline", "agreement"])
    var options = MeasureOptions(names: possible)
    options.way = .lens(.linear)
    let found = try MeasureSuite(network, options, train: samples, validation: samples, lens: lens).run()
    #expect(Set(found.tables.map(\.measure)) == possible)
    func refused(_ words: String, _ lens: TrainedLens?, _ change: (inout MeasureOptions) -> Void) {
      var asked = options
      change(&asked)
      let error = #expect(throws: MeasureError.self) {
        try MeasureSuite(network, asked, train: samples, validation: samples, lens: lens)
      }
      #expect(error?.option == "lens" && error?.problem.contains(words) == true, "\(words)")
    }
    refused("only for first-order", lens) { $0.names.insert("l2-ratio") }
    refused("not of the kind", lens) { $0.way = .lens(.affine) }
    refused("not of the kind", nil) { _ in }
    for penalty in [0, -1, .nan, .infinity] {
      #expect(throws: ArgumentError.self) { try LensFitting(network, .init(.linear, penalty: penalty), on: samples) }
    }
    #expect(throws: ArgumentError.self) { try LensFitting(network, .init(.affine, epochs: -1), on: samples) }
  }
}

extension Samples {
  /// The first batch.
  fileprivate func first() throws -> LabelledBatch {
    var found: LabelledBatch?
    try forEachBatch { if found == nil { found = $0 } }
    return try #require(found)
  }
}
