import Foundation
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTorch
import TestSupport
import Testing

@Suite struct EarlyExitTests {
  /// The logarithms of one sample's probabilities.
  private func logs(_ outputs: [Double]) -> [Double] {
    let total = outputs.map { exp($0) }.reduce(0, +)
    return outputs.map { $0 - log(total) }
  }

  @Test("A rule's sureness is its formula, and grows as a reading gets surer", arguments: ExitRule.allCases)
  func rules(rule: ExitRule) throws {
    let (read, before) = (logs([2, 0.5, -1]), logs([1, 0.7, -0.5]))
    let (p, q) = (read.map { exp($0) }, before.map { exp($0) })
    let expected =
      switch rule {
      case .confidence: p.max() ?? 0
      case .entropy: p.reduce(0) { $0 + $1 * log($1) }
      case .agreement: -zip(p, q).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }
      }
    #expect(abs(rule.sureness(read, after: before) - expected) < 1e-12)
    if rule == .agreement {
      #expect(rule.sureness(read, after: nil).isNaN && rule.sureness(read, after: read) == 0)
    } else {
      #expect(rule.sureness(logs([9, 0.5, -1]), after: before) > expected)
      // A class that is impossible counts for nothing.
      let certain = rule.sureness([0, -.infinity, -.infinity], after: nil)
      #expect(certain == (rule == .confidence ? 1 : 0))
    }
    #expect(rule.mirrored(rule.mirrored(0.3)) == 0.3)
    let (possible, impossible) =
      switch rule {
      case .confidence: ([0.4, 1], [0, -1, 1.0 / 3, 1.01])
      case .entropy: ([0, 1], [-0.1, 1.2])
      case .agreement: ([0, 5], [-0.1])
      }
    for threshold in possible { #expect(rule.problem(of: threshold, classes: 3) == nil) }
    for threshold in impossible { #expect(rule.problem(of: threshold, classes: 3) != nil) }
  }

  @Test(
    "Samples that are removed from the batch get the answers, and pay the costs, that their readings say",
    arguments: ExitRule.allCases)
  func leaving(rule: ExitRule) throws {
    for architecture in [twoStages, sharedStages, pooled] {
      let network = try network(architecture)
      let samples = try samples(40, batch: 8, of: architecture)
      let lens = try LensFitting(network, .init(.linear), on: samples).fitted()
      for lens in [ReadoutLens(network), lens] as [any ExitLens] {
        let steps = architecture.steps
        let readable = steps.dropLast().filter { lens.obstacle(to: StatePlace(after: $0)) == nil }
        if rule == .agreement, readable.count == 1 {
          #expect(throws: MeasureError.self) { try EarlyExits(network, by: rule, through: lens) }
          continue
        }
        let exits = try EarlyExits(network, by: rule, through: lens)
        #expect(exits.exits == readable.map(\.id.number) && !readable.isEmpty)
        let readings = try exits.readings(on: samples)
        let limits = EarlyExits.limits(of: readings, count: 7)
        #expect(readings.count == 40 && limits == limits.sorted(by: >))
        #expect(limits.count > 2)
        // A limit is a reading: a little below it, rounding decides nothing.
        for limit in limits.map({ $0 - 1e-9 }) + [.infinity] {
          // The definition: one sample after the other, in the network as it is.
          var (right, cost, classes, ran): (Int, Double, [Int], [Int]) = (0, 0, [], [])
          try samples.forEachBatch { batch in
            for index in batch.classes.indices {
              let image = try batch.images.rows(index..<index + 1)
              var (answer, made, spent, earlier): (Int?, Int, Int, [Double]?) = (nil, steps.count, 0, nil)
              let final = try network.logits(image) { done, h in
                guard done > 0, answer == nil, exits.exits.contains(done) else { return }
                let place = StatePlace(after: steps[done - 1])
                spent += lens.multiplyAccumulates(at: place)
                let read = logs(try lens.outputs(of: h, at: place).doubles())
                if rule.sureness(read, after: earlier) >= limit {
                  (answer, made) = (read.indices.max { read[$0] < read[$1] }, done)
                }
                earlier = read
              }
              let own = try final.doubles()
              let chosen = answer ?? own.indices.max { own[$0] < own[$1] } ?? 0
              let network = architecture.multiplyAccumulates
              let left = steps[made...].reduce(0) { $0 + $1.macs }
              spent += network - left - (answer == nil ? 0 : architecture.readoutMultiplyAccumulates)
              #expect(exits.multiplyAccumulates(afterSteps: made) == spent)
              if chosen == batch.classes[index] { right += 1 }
              cost += Double(spent)
              classes.append(chosen)
              ran.append(made)
            }
            let found = try exits.run(batch.images, from: limit)
            #expect(found.classes == Array(classes.suffix(8)) && found.steps == Array(ran.suffix(8)))
          }
          let outcome = exits.outcome(readings, from: limit)
          #expect(outcome.accuracy == Double(right) / 40 && abs(outcome.macs - cost / 40) < 1e-6)
          if limit == .infinity {
            #expect(exits.whole(readings).accuracy == outcome.accuracy && Set(ran) == [steps.count])
          }
        }
      }
    }
  }

  @Test("The chosen limits are the best ones")
  func choice() throws {
    let network = try network(twoStages)
    let samples = try samples(8, batch: 8, of: twoStages)
    let exits = try EarlyExits(network, by: .confidence, through: ReadoutLens(network))
    let whole = exits.whole(try exits.readings(on: samples))
    func outcome(_ accuracy: Double, _ share: Double) -> EarlyExits.Outcome {
      .init(accuracy: whole.accuracy + accuracy, macs: whole.macs * share)
    }
    let limits = [
      (limit: 5.0, outcome: outcome(0, 1.1)), (4, outcome(0, 0.9)), (3, outcome(0.1, 0.8)), (2, outcome(-0.1, 0.5)),
      (1, outcome(-0.05, 0.4)), (0, outcome(-0.3, 0.2)),
    ]
    #expect(exits.limit(for: .lossless, among: limits, whole: whole) == 3)
    #expect(exits.limit(for: .half, among: limits, whole: whole) == 1)
    // No limit is chosen if none saves anything, or if none saves a half.
    #expect(exits.limit(for: .lossless, among: Array(limits.prefix(1)), whole: whole) == nil)
    #expect(exits.limit(for: .half, among: Array(limits.prefix(3)), whole: whole) == nil)
  }

  @Test("Steps after which no sample can leave are refused, and a network without any")
  func refusals() throws {
    let network = try network(twoStages)
    let lens = ReadoutLens(network)
    for (steps, words) in [
      ([4], "not between 1 and 3"), ([0], "not between"), ([1], "cannot be read"), ([3, 3], "twice"),
      ([.min], "not between"),
    ] {
      let error = #expect(throws: MeasureError.self) {
        try EarlyExits(network, by: .entropy, through: lens, after: steps)
      }
      #expect(error?.option == "after" && error?.problem.contains(words) == true, "\(steps): \(error as Any)")
    }
    #expect(try EarlyExits(network, by: .entropy, through: lens, after: [3]).exits == [3])
    let single = try Architecture(
      name: "one", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
      stages: [.init(width: 2, blocks: 1, entry: .none)], head: .init(pooling: 2))
    let one = try ResidualNetwork(single, seed: 0)
    #expect(throws: MeasureError.self) { try EarlyExits(one, by: .confidence, through: ReadoutLens(one)) }
  }
}
