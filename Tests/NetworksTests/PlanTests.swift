import ResLensNetworks
import TestSupport
import Testing

@Suite struct PlanTests {
  private let pooling = valid(
    try Architecture(
      name: "pooling", input: .init(height: 8, width: 8), classes: 2, stem: .init(width: 4),
      stages: [.init(width: 4, blocks: 2, entry: .none), .init(width: 4, blocks: 3, entry: .averagePooling)],
      head: .init(pooling: 4)))
  private var plan: Plan { Plan(of: pooling) }

  private func step(_ stage: Int, _ block: Int, use: Int = 0, statistics: Int = 0, scale: Double = 1) -> Plan.Move {
    .step(.init(stage: stage, block: block, use: use, statistics: statistics, scale: scale))
  }

  @Test("Plans out of plans are the moves they should be")
  func moves() throws {
    let own = [step(0, 0), step(0, 1), .pool(stage: 1), step(1, 0), step(1, 1), step(1, 2)]
    #expect(plan.moves == own)
    #expect(plan.stepPlaces == [0, 1, 3, 4, 5])
    #expect(
      try plan.dropping(steps: [1, 4]).moves
        == [step(0, 0, scale: 0), step(0, 1), .pool(stage: 1), step(1, 0), step(1, 1, scale: 0), step(1, 2)])
    #expect(
      try plan.exchanging(step: 3, with: 5).moves
        == [step(0, 0), step(0, 1), .pool(stage: 1), step(1, 2), step(1, 1), step(1, 0)])
    #expect(
      try plan.unrolling(step: 2, times: 2, scale: 0.5).moves
        == [step(0, 0), step(0, 1), step(0, 1, scale: 0.5), step(0, 1, scale: 0.5)] + own[2...])
    #expect(
      try plan.scaling(step: 5, by: 2).unrolling(step: 5, times: 2, scale: 0.5, firstStatistics: 7).moves
        == own[..<5] + [step(1, 2, scale: 2), step(1, 2, statistics: 7), step(1, 2, statistics: 8)])
  }

  @Test("Everything that reads another state than in the own plan is recalibrated, and nothing before")
  func recalibrating() throws {
    func statistics(_ plan: Plan) -> [Int] {
      let other = plan.recalibrating(whereUnlike: self.plan, as: 7)
      let numbers = other.moves.compactMap { if case .step(let step) = $0 { step.statistics } else { nil } }
      return numbers + [other.readoutStatistics]
    }
    #expect(statistics(plan) == [0, 0, 0, 0, 0, 0])
    // F of a dropped or scaled step reads what it read before.
    #expect(statistics(try plan.dropping(step: 2)) == [0, 0, 7, 7, 7, 7])
    #expect(statistics(try plan.scaling(step: 5, by: 2)) == [0, 0, 0, 0, 0, 7])
    #expect(statistics(try plan.dropping(steps: [4, 1])) == [0, 7, 7, 7, 7, 7])
    // A step that stands elsewhere reads another state.
    #expect(statistics(try plan.exchanging(step: 1, with: 2)) == [7, 7, 7, 7, 7, 7])
    #expect(statistics(try plan.exchanging(step: 4, with: 5)) == [0, 0, 0, 7, 7, 7])
    #expect(statistics(try plan.unrolling(step: 5, times: 2, scale: 1)) == [0, 0, 0, 0, 0, 7, 7, 7])
    #expect(statistics(Plan(moves: Array(plan.moves.dropLast()))) == [0, 0, 0, 0, 7])
  }

  @Test("A step of a shared block keeps its use wherever a plan puts it")
  func uses() throws {
    var shared = pooling
    shared.stages[1].sharing = .init(from: 1)
    let plan = Plan(of: shared)
    #expect(plan.moves == [step(0, 0), step(0, 1), .pool(stage: 1), step(1, 0), step(1, 1), step(1, 1, use: 1)])
    #expect(try plan.exchanging(step: 3, with: 5).moves[3...] == [step(1, 1, use: 1), step(1, 1), step(1, 0)])
    #expect(try plan.unrolling(step: 5, times: 1, scale: 0.5).moves.last == step(1, 1, use: 1, scale: 0.5))
    try plan.exchanging(step: 4, with: 5).validate(for: shared)
    #expect {
      try Plan(moves: [.pool(stage: 1), step(1, 1, use: 2)]).validate(for: shared)
    } throws: {
      ($0 as? PlanError)?.problem == "pooling has no block stages.1.1.uses.2"
    }
    #expect(throws: PlanError.self) { try plan.validate(for: pooling) }
  }

  @Test("A plan that its architecture cannot run is refused with the move")
  func validation() throws {
    try plan.validate(for: pooling)
    try plan.unrolling(step: 3, times: 20, scale: 0.1).validate(for: pooling)
    func error(_ moves: [Plan.Move]) -> PlanError? {
      do {
        try Plan(moves: moves).validate(for: pooling)
        return nil
      } catch {
        return error
      }
    }
    #expect(error([step(0, 2)])?.problem == "pooling has no block stages.0.2")
    #expect(error([step(0, 0), step(1, 0)])?.move == 1)
    #expect(error([.pool(stage: 0)])?.problem.contains("no pooling") == true)
    #expect(error([step(0, 0)])?.problem == "the head takes 4×4×4, h ends as 4×8×8")
    #expect(error([step(0, 0, scale: .nan)])?.problem.contains("nan") == true)
  }
}
