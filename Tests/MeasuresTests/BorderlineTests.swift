import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing

@Suite struct BorderlineTests {
  @Test(
    "Groups, their scores and every flip equal those of single samples",
    arguments: [(tiny, 2, 0), (pooled, 3, 3), (pooled, 1, 5), (sharedStages, 2, 3)])
  func bySamples(architecture: Architecture, lastSteps: Int, reference: Int) throws {
    let network = try network(architecture)
    let samples = try samples(40, batch: 7, of: architecture)
    let places = network.plan.stepPlaces
    // The state before step `reference` + 1; pooled, where that opens a stage.
    let begun = places[reference]
    var states: [[(right: Bool, loss: Double, margin: Double)]] = []
    for index in 0..<40 {
      let sample = try SingleSample(network, samples, index)
      var h = try sample.run(network.plan.moves[..<begun], sample.h0)
      var own = [(try sample.isRight(h), try sample.loss(h), try sample.margin(h))]
      for move in network.plan.moves[begun...] {
        h = try sample.run([move], h)
        own.append((try sample.isRight(h), try sample.loss(h), try sample.margin(h)))
      }
      states.append(own)
    }
    // A border with half of the examples below it.
    let distances = states.map { abs($0[0].margin) }.sorted()
    let margin = (distances[19] + distances[20]) / 2
    let members = states.indices.filter { abs(states[$0][0].margin) < margin }
    try #require(members.count == 20)

    var listed: [BorderlineExample] = []
    let measure = try BorderlineGroups(architecture, margin: margin, lastSteps: lastSteps) { listed.append($0) }
    try ResLensMeasures.measure([measure], on: network, samples)
    #expect(measure.reference == reference)
    #expect(listed.map(\.index) == members)
    for example in listed {
      let own = states[example.index]
      #expect(example.label == example.index % architecture.classes)
      #expect(abs(example.margin - own[0].margin) < 1e-12)
      #expect(example.isRightAtReference == own[0].right && example.isRightAtEnd == own[lastSteps].right)
      let flips = (1...lastSteps).filter { own[$0].right != own[$0 - 1].right }.map { reference + $0 }
      #expect(example.flippedBy == flips)
    }
    let rows = try measure.rows(of: BorderlineGroups.Row.self)
    for place in 0...lastSteps {
      let scores = rows.filter { $0.step == reference + place }
      for (name, group) in [
        ("borderline", members), ("already-correct", states.indices.filter { states[$0][0].right }),
        ("all", Array(states.indices)),
      ] {
        let score = scores.first { $0.group == name }?.score
        #expect((score == nil) == group.isEmpty)
        guard let score else { continue }
        try expectEqual(
          score, right: group.map { states[$0][place].right }, losses: group.map { states[$0][place].loss },
          within: 1e-12)
      }
    }
    #expect(Set(rows.map(\.step)) == Set(reference...reference + lastSteps))
    #expect(rows.count == Set(rows.map(\.group)).count * (lastSteps + 1) && Set(rows.map(\.group)).count >= 2)
    let flips = try measure.rows(of: BorderlineGroups.Flips.self, in: "borderline-flips")
    #expect(flips.map(\.step) == (1...lastSteps).map { reference + $0 })
    for (place, flip) in flips.enumerated() {
      #expect(flip.count == members.count)
      #expect(flip.corrected == members.count { !states[$0][place].right && states[$0][place + 1].right })
      #expect(flip.broken == members.count { states[$0][place].right && !states[$0][place + 1].right })
    }
    // Where predictions are not the same for all samples, some flip.
    #expect(architecture != sharedStages || flips.contains { $0.corrected + $0.broken > 0 })
  }

  @Test("The reference is the state entering the last five steps, or the first that the readout can read")
  func references() throws {
    #expect(try BorderlineGroups(.find("resnet-110")).reference == 49)
    #expect(try BorderlineGroups(.find("resnet-20")).reference == 7)
    #expect(try BorderlineGroups(.find("single-representation")).reference == 5)
    #expect(try BorderlineGroups(.find("avg-pooling")).reference == 25)
    #expect(try BorderlineGroups(.find("avg-pooling"), lastSteps: 10).reference == 20)
  }

  @Test("An empty group has no rows, and no example is listed")
  func nobody() throws {
    var listed = 0
    let measure = try BorderlineGroups(tiny, margin: 1e-9) { _ in listed += 1 }
    try ResLensMeasures.measure([measure], on: network(tiny), samples(8, batch: 8))
    let rows = try measure.rows(of: BorderlineGroups.Row.self)
    #expect(listed == 0 && rows.filter { $0.group == "borderline" }.isEmpty)
    #expect(rows.filter { $0.group == "all" }.map(\.score.count) == [8, 8, 8])
    let flips = try measure.rows(of: BorderlineGroups.Flips.self, in: "borderline-flips")
    #expect(flips.map(\.step) == [1, 2] && flips.allSatisfy { $0.count == 0 && $0.corrected == 0 && $0.broken == 0 })
  }

  @Test(
    "A margin out of range, and more steps than the readout can read, are refused", arguments: [0, -0.1, 1.5, .nan])
  func misuse(margin: Double) throws {
    #expect { try BorderlineGroups(tiny, margin: margin) } throws: { ($0 as? MeasureError)?.option == "margin" }
    #expect { try BorderlineGroups(twoStages, lastSteps: 2) } throws: {
      ($0 as? MeasureError)?.option == "last-steps" && "\($0)".contains("before the last 1")
    }
    #expect(throws: MeasureError.self) { try BorderlineGroups(tiny, lastSteps: 0) }
  }
}
