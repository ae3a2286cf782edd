import Foundation
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensTorch
import TestSupport
import Testing

/// Two stages, and more classes than five.
private let manyClasses = valid(
  try Architecture(
    name: "many", input: .init(channels: 1, height: 4, width: 4), classes: 12, stem: .init(width: 4),
    stages: [
      .init(width: 4, blocks: 1, entry: .none), .init(width: 4, blocks: 4, entry: .averagePooling),
    ], head: .init(pooling: 2)))

/// The measures that compare states, steps and predictions of one pass.
@Suite struct StateTests {
  @Test(
    "Influence, alignment and update cosine equal their formulas, a sample at a time",
    arguments: [tiny, twoStages, pooled, sharedStages])
  func byFormulas(architecture: Architecture) throws {
    let network = try network(architecture)
    let samples = try samples(7, batch: 3, of: architecture)
    let (influence, alignment) = (Influence(), Alignment())
    try measure([influence, alignment], on: network, samples)

    let steps = architecture.steps
    var influences: [Int: [Double]] = [:]
    var (alignments, updates) = (influences, influences)
    for index in 0..<7 {
      let sample = try SingleSample(network, samples, index)
      let states = try Self.states(of: sample, network)
      let added = states.map { state in zip(state.after, state.skip).map { $0 - $1 } }
      for (place, spec) in steps.enumerated() {
        let (number, state) = (spec.id.number, states[place])
        if spec.hasIdentitySkip {
          influences[number, default: []].append(1 - cosine(state.before, state.after))
          alignments[number, default: []].append(cosine(state.before, added[place]))
        }
        if place > 0, steps[place - 1].stage == spec.stage {
          updates[number, default: []].append(cosine(added[place - 1], added[place]))
        }
      }
    }
    func expectAll(_ found: [StepStatistic], _ wanted: [Int: [Double]]) throws {
      #expect(found.map(\.step) == wanted.keys.sorted())
      for row in found { try expectEqual(row.statistic, wanted[row.step] ?? [], within: 1e-9, "step \(row.step)") }
    }
    try expectAll(influence.rows(of: StepStatistic.self, in: "influence"), influences)
    try expectAll(alignment.rows(of: StepStatistic.self, in: "alignment"), alignments)
    try expectAll(alignment.rows(of: StepStatistic.self, in: "update-cosine"), updates)
    // The absences name exactly the steps that have no value.
    let context = MeasureContext(architecture, MeasureOptions(names: []))
    func absent(_ view: String) -> [Int] {
      (Influence.absences(in: context) + Alignment.absences(in: context)).filter { ($0.view ?? $0.measure) == view }
        .flatMap { ($0.steps ?? []).prefix(1) }
    }
    let numbers = Set(steps.map(\.id.number))
    for (view, present) in [("influence", influences), ("alignment", alignments), ("update-cosine", updates)] {
      #expect(Set(absent(view)) == numbers.subtracting(present.keys), "\(view)")
    }
  }

  @Test(
    "Angular distances of all ranges of a stage equal those of single samples",
    arguments: [tiny, twoStages, pooled, sharedStages])
  func distances(architecture: Architecture) throws {
    let network = try network(architecture)
    let samples = try samples(7, batch: 3, of: architecture)
    let distance = AngularDistance()
    try measure([distance], on: network, samples)
    let states = try (0..<7).map { try Self.states(of: SingleSample(network, samples, $0), network) }
    let steps = architecture.steps
    var wanted: [[Int]: [Double]] = [:]
    for first in steps.indices where steps[first].hasIdentitySkip {
      for last in steps.indices where last >= first && steps[last].stage == steps[first].stage {
        wanted[[first + 1, last - first + 1]] = states.map {
          acos(cosine($0[first].before, $0[last].after)) / .pi
        }
      }
    }
    let found = try distance.rows(of: AngularDistance.Row.self, in: "angular-distance")
    #expect(found.map { [$0.step, $0.length] } == wanted.keys.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) })
    for row in found {
      try expectEqual(row.statistic, wanted[[row.step, row.length]] ?? [], within: 1e-7, "\(row.steps)")
    }
    for best in AngularDistance.smallest(of: found) {
      #expect(best.statistic.mean == found.filter { $0.length == best.length }.map(\.statistic.mean).min())
    }
  }

  @Test("The influence of a step that hardly moves h, or turns it round, keeps its digits")
  func influence() throws {
    func influence(_ h: [Double], _ f: [Double]) -> Double? {
      let after = zip(h, f).map { $0 + $1 }
      return Influence.influence(dot: dot(h, f), input: dot(h, h), added: dot(f, f), output: dot(after, after))
    }
    // F = s·(−4, 3) stands across h = (3, 4), so that the tangent of the angle is s.
    for size in [1e-12, 1e-7, 1e-3, 1, 1e6] {
      let found = try #require(
        Influence.influence(dot: 0, input: 25, added: 25 * size * size, output: 25 + 25 * size * size))
      let wanted = size < 1e-4 ? size * size / 2 : 1 - cos(atan(size))
      #expect(abs(found / wanted - 1) < 1e-7, "\(size)")
    }
    // F = a·h changes the length alone, up to a = −1; beyond, it reverses h. Near −1, h + F is almost zero.
    let h = [0.3, 0.7, 0.11]
    for (factor, wanted) in [(0.5, 0.0), (-0.5, 0), (-1 + 3e-9, 0), (-1 - 3e-9, 2), (-2, 2)] {
      let found = try #require(influence(h, h.map { factor * $0 }))
      #expect(abs(found - wanted) < 1e-6, "\(factor): \(found)")
    }
    #expect(influence([0, 0], [1, 2]) == nil && influence([1, 2], [-1, -2]) == nil)
    // A step that explodes has no angle; an influence of 0 would say that it did nothing.
    for bad in [Double.infinity, -.infinity, .nan] { #expect(influence([1, 2], [bad, 1])?.isNaN == true, "\(bad)") }
    for seed in 0..<50 as Range<UInt64> {
      let (h, f) = (noise(9, seed: seed), noise(9, seed: seed + 100, from: -2, to: 2))
      let found = try #require(influence(h, f))
      #expect(abs(found - (1 - cosine(h, zip(h, f).map { $0 + $1 }))) < 1e-12)
    }
  }

  @Test("Agreement equals the divergence and the ranks of single samples", arguments: [tiny, pooled, manyClasses])
  func agreement(architecture: Architecture) throws {
    let network = try network(architecture)
    let samples = try samples(11, batch: 4, of: architecture)
    let agreement = Agreement()
    try measure([agreement], on: network, samples)
    let found = try agreement.rows(of: Agreement.Row.self, in: "agreement")
    let last = architecture.stages.count - 1
    #expect(found.map(\.step) == architecture.steps.filter { $0.stage == last }.map(\.id.number))
    for row in found {
      var (divergences, agreed, amongFive) = ([Double](), 0, 0)
      for index in 0..<11 {
        let sample = try SingleSample(network, samples, index)
        let place = network.plan.stepPlaces[row.step - 1]
        let read = try sample.probabilities(sample.run(network.plan.moves[...place], sample.h0))
        let final = try sample.probabilities(sample.run(network.plan.moves, sample.h0))
        divergences.append(zip(final, read).reduce(0) { $1.0 == 0 ? $0 : $0 + $1.0 * log($1.0 / $1.1) })
        let chosen = try #require(final.firstIndex(of: final.max() ?? 0))
        if read.firstIndex(of: read.max() ?? 0) == chosen { agreed += 1 }
        if read.sorted(by: >).prefix(5).contains(read[chosen]) { amongFive += 1 }
      }
      let divergence = Statistic(mean: row.divergence, std: row.divergenceStd, count: row.count)
      try expectEqual(divergence, divergences, within: 1e-9, "step \(row.step)")
      #expect(row.first == Double(agreed) / 11 && row.amongFive == Double(amongFive) / 11)
    }
    let end = try #require(found.last)
    #expect(end.divergence == 0 && end.first == 1 && end.amongFive == 1)
    // The network's classes must differ between steps, or the shares would show nothing.
    if architecture.classes > 5 {
      #expect(found.contains { $0.first < $0.amongFive } && found[0].first < 1, "\(found)")
    }
  }

  @Test("Ranks count more likely classes, the lower of equal ones first; a divergence is never below 0, nor lost")
  func ranks() {
    func divergence(of read: [Double], from final: [Double]) -> Double {
      ResLensResults.divergence(of: logProbabilities(read), from: logProbabilities(final))
    }
    let outputs = [1.0, 3, 2, 3, 0, 2.5, 2.2]
    #expect((0..<7).map { Agreement.rank(of: $0, in: outputs) } == [5, 0, 4, 1, 6, 2, 3])
    #expect(divergence(of: outputs, from: outputs.map { $0 + 1e4 }) < 1e-9)
    // Two classes whose outputs are z apart, and the same two exchanged, diverge by (2p − 1)·z, where p = 1/(1 + e^−z).
    for z in [0.1, 1, 5] {
      let p = 1 / (1 + exp(-z))
      #expect(abs(divergence(of: [0, z], from: [z, 0]) - (2 * p - 1) * z) < 1e-12)
    }
    #expect(abs(divergence(of: [0, 2000], from: [2000, 0]) - 2000) < 1e-9)
    // A class that is impossible in both counts for nothing.
    #expect(divergence(of: [0, 0, -.infinity], from: [0, 0, -.infinity]) == 0)
    // An output that is not finite agrees with nothing.
    #expect(divergence(of: [.nan, 0], from: [1, 0]).isNaN)
    #expect(divergence(of: [.infinity, 0], from: [1, 0]).isNaN)
    #expect(Agreement.rank(of: 0, in: [.nan, 0, 1]) == 3)
  }

  @Test("A step that adds nothing has no alignment and turns nothing; states that are zero have no angle at all")
  func zeros() throws {
    let network = try network(tiny)
    func silence(_ paths: [String]) throws {
      for path in paths {
        let parameter = try network.parameters.required(path)
        try parameter.copy(from: parameter.scaled(by: 0))
      }
    }
    func found() throws -> [[StepStatistic]] {
      let (influence, alignment, distance) = (Influence(), Alignment(), AngularDistance())
      try measure([influence, alignment, distance], on: network, samples(4, batch: 4))
      return try (influence.tables() + alignment.tables() + distance.tables()).map { table in
        let rows = table.name == "angular-distance" ? try table.selecting(["length": 1]) : table
        return rows.rows.isEmpty ? [] : try rows.rows(of: StepStatistic.self)
      }
    }
    try silence(["stages.0.1.conv2.weight", "stages.0.1.conv2.bias"])
    let still = try found()
    #expect(still[0].map(\.step) == [1, 2] && still[0][1].mean == 0 && still[0][1].statistic.count == 4)
    #expect(still[1].map(\.step) == [1] && still[2].isEmpty)
    #expect(still[3].map(\.step) == [1, 2] && still[3][1].mean < 1e-7 && still[3][1].statistic.count == 4)
    // The stem makes zeros, from which the first step goes on.
    try silence(network.parameters.keys.filter { $0.hasPrefix("stem.") })
    let zero = try found()
    #expect(zero[0].map(\.step) == [2] && zero[1].isEmpty && zero[2].isEmpty && zero[3].map(\.step) == [2])
  }

  /// The states before, beside and after every step of a sample.
  private static func states(
    of sample: SingleSample, _ network: ResidualNetwork
  ) throws -> [(before: [Double], skip: [Double], after: [Double])] {
    let moves = network.plan.moves
    return try network.plan.stepPlaces.map { place in
      let h = try sample.run(moves[..<place], sample.h0)
      guard case .step(var still) = moves[place] else { return ([], [], []) }
      still.scale = 0
      let skip = try sample.run([.step(still)], h)
      return (try h.doubles(), try skip.doubles(), try sample.run(moves[place...place], h).doubles())
    }
  }
}
