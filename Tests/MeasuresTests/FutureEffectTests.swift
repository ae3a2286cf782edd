import Foundation
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing

@Suite struct FutureEffectTests {
  @Test(
    "Every later step's change, and the output's, equal their formulas, a sample and a plan at a time",
    arguments: [tiny, twoStages, pooled, sharedStages])
  func byFormulas(architecture: Architecture) throws {
    let network = try network(architecture)
    let samples = try samples(5, batch: 3, of: architecture)
    let measure = FutureEffect()
    try ResLensMeasures.measure([measure], on: network, samples)

    let places = network.plan.stepPlaces
    var changes: [[Int]: [Double]] = [:]
    var divergences: [Int: [Double]] = [:]
    for index in 0..<5 {
      let sample = try SingleSample(network, samples, index)
      /// F of a step after the moves of a plan before it: what the step makes, less what its skip alone makes.
      func added(_ step: Int, _ plan: Plan) throws -> [Double] {
        let before = try sample.run(plan.moves.prefix(places[step]), sample.h0)
        let (whole, skip) = (plan.moves[places[step]], plan.moves[places[step]].withoutAdded)
        return try zip(sample.run([whole], before).doubles(), sample.run([skip], before).doubles()).map { $0 - $1 }
      }
      func output(_ plan: Plan) throws -> [Double] { try sample.probabilities(sample.run(plan.moves, sample.h0)) }
      for step in places.indices {
        let without = try network.plan.dropping(step: step + 1)
        for later in places.indices where later > step {
          let (altered, own) = (try added(later, without), try added(later, network.plan))
          changes[[step + 1, later + 1], default: []].append(norm(zip(altered, own).map { $0 - $1 }) / norm(own))
        }
        let pairs = try zip(output(network.plan), output(without))
        divergences[step + 1, default: []].append(pairs.reduce(0) { $0 + $1.0 * log($1.0 / $1.1) })
      }
    }
    let found = try measure.rows(of: FutureEffect.Row.self)
    #expect(found.map { [$0.step, $0.later] } == changes.keys.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) })
    for row in found {
      try expectEqual(row.statistic, changes[[row.step, row.later]] ?? [], within: 1e-6, "\(row.step), \(row.later)")
    }
    let outputs = try measure.steps(in: "future-effect-output")
    #expect(outputs.map(\.step) == divergences.keys.sorted())
    for row in outputs { try expectEqual(row.statistic, divergences[row.step] ?? [], within: 1e-9, "step \(row.step)") }
  }

  @Test("The changes of a batch do not depend on how samples are put into batches")
  func batches() throws {
    let network = try network(pooled)
    func tables(batch: Int) throws -> [Table] {
      let measure = FutureEffect()
      try ResLensMeasures.measure([measure], on: network, samples(7, batch: batch, of: pooled))
      return try measure.tables()
    }
    for (one, other) in try zip(tables(batch: 7), tables(batch: 2)) {
      for (a, b) in try zip(one.presentNumbers("mean"), other.presentNumbers("mean")) { #expect(abs(a - b) < 1e-9) }
    }
  }
}
