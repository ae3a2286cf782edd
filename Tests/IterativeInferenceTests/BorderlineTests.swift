import IterativeInference
import ResidualNetworks
import Results
import TestSupport
import Testing

@Suite struct BorderlineTests {
  @Test(
    "Groups, their scores and every turn equal those of single samples",
    arguments: [(tiny, 2, 0), (pooled, 3, 3), (pooled, 1, 5)])
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

    var told: [BorderlineExample] = []
    let measure = try BorderlineGroups(architecture, margin: margin, lastSteps: lastSteps) { told.append($0) }
    try IterativeInference.measure([measure], on: network, samples)
    #expect(measure.reference == reference)
    #expect(told.map(\.index) == members)
    for example in told {
      let own = states[example.index]
      #expect(example.label == example.index % architecture.classes)
      #expect(abs(example.margin - own[0].margin) < 1e-12)
      #expect(example.isRightAtReference == own[0].right && example.isRightAtEnd == own[lastSteps].right)
      let turns = (1...lastSteps).filter { own[$0].right != own[$0 - 1].right }.map { reference + $0 }
      #expect(example.turnedBy == turns)
    }
    #expect(measure.states.map(\.step) == Array(reference...reference + lastSteps))
    for (place, state) in measure.states.enumerated() {
      func expect(_ score: Score?, _ group: [Int]) {
        #expect(score?.count ?? 0 == group.count)
        guard let score else { return }
        let right = group.count { states[$0][place].right }
        #expect(score.accuracy == Double(right) / Double(group.count))
        #expect(abs(score.loss - moments(group.map { states[$0][place].loss }).mean) < 1e-12)
      }
      expect(state.groups.borderline, members)
      expect(state.groups.alreadyCorrect, states.indices.filter { states[$0][0].right })
      expect(state.groups.all, Array(states.indices))
    }
    for (place, turn) in measure.turned.enumerated() {
      #expect(turn.name.step == reference + place + 1 && turn.count == members.count)
      #expect(turn.corrected == members.count { !states[$0][place].right && states[$0][place + 1].right })
      #expect(turn.broken == members.count { states[$0][place].right && !states[$0][place + 1].right })
    }
  }

  @Test("The reference is the state entering the last five steps, or the first that the head can read")
  func references() throws {
    #expect(try BorderlineGroups(.find("resnet-110")).reference == 49)
    #expect(try BorderlineGroups(.find("resnet-20")).reference == 7)
    #expect(try BorderlineGroups(.find("single-representation")).reference == 5)
    #expect(try BorderlineGroups(.find("avg-pooling")).reference == 25)
    #expect(try BorderlineGroups(.find("avg-pooling"), lastSteps: 10).reference == 20)
  }

  @Test("An empty group has no scores, and no example is told")
  func nobody() throws {
    var told = 0
    let measure = try BorderlineGroups(tiny, margin: 1e-9) { _ in told += 1 }
    try IterativeInference.measure([measure], on: network(tiny), samples(8, batch: 8))
    #expect(told == 0 && measure.states.allSatisfy { $0.groups.borderline == nil && $0.groups.all.count == 8 })
  }

  @Test("A margin out of range, and more steps than the head can read, are refused", arguments: [0, -0.1, 1.5, .nan])
  func misuse(margin: Double) throws {
    #expect { try BorderlineGroups(tiny, margin: margin) } throws: { ($0 as? MeasureError)?.option == "margin" }
    #expect { try BorderlineGroups(twoStages, lastSteps: 2) } throws: {
      ($0 as? MeasureError)?.option == "last-steps" && "\($0)".contains("between 1 and 1")
    }
    #expect(throws: MeasureError.self) { try BorderlineGroups(tiny, lastSteps: 0) }
  }
}
