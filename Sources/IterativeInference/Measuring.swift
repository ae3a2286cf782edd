import ResidualNetworks
import Torch

/// Lets `measures` see every step of a network on the given samples, in evaluation mode: one forward and one backward
/// pass a batch, and besides only the measures' plans, with what they begin alike run once, and their trajectories from
/// where they leave the network's own way.
/// - Parameter progress: told after each batch how many samples are done
/// - Throws: `PlanError` before any work where the network cannot run a measure's plan.
public func measure(
  _ measures: [any Measure], on network: ResidualNetwork, _ samples: some BatchSource,
  progress: (Int) throws -> Void = { _ in }
) throws {
  let round = try Round(measures, on: network)
  var done = 0
  try samples.forEachBatch { batch in
    try round.measure(batch, after: done)
    done += batch.classes.count
    try progress(done)
  }
}

/// What is done with every batch.
private struct Round {
  private let network: ResidualNetwork
  private let measures: [any Measure]
  private let plans: [Asked<Plan>]
  private let trajectories: [Asked<Trajectory>]

  /// Something that a measure asked for.
  private struct Asked<Way> {
    let owner: any Measure
    /// Its place in what the owner asked for.
    let index: Int
    let way: Way
  }

  init(_ measures: [any Measure], on network: ResidualNetwork) throws {
    self.network = network
    self.measures = measures
    plans = measures.flatMap { owner in
      owner.plans(for: network).enumerated().map { Asked(owner: owner, index: $0, way: $1) }
    }
    trajectories = measures.flatMap { owner in
      owner.trajectories(for: network).enumerated().map { Asked(owner: owner, index: $0, way: $1) }
    }
    for plan in plans { try network.check(plan.way) }
    for trajectory in trajectories { try trajectory.way.check(on: network) }
  }

  /// - Parameter earlier: how many samples came before this batch
  func measure(_ batch: LabelledBatch, after earlier: Int) throws {
    let pass = try Pass(network, images: batch.images, mode: .evaluation, keepsResiduals: true)
    let h0 = pass.h0
    var starts = Dictionary(trajectories.map { ($0.way.first, Tensor?.none) }, uniquingKeysWith: { first, _ in first })
    try goBack(pass, batch, first: 1) { step in
      for measure in measures { try measure.observe(step) }
      if starts.keys.contains(step.number) { starts[step.number] = step.input }
    }
    try answer(batch, h0: h0, after: earlier)
    for trajectory in trajectories {
      let way = trajectory.way
      guard let start = starts[way.first] ?? nil else { continue }
      let moves = way.plan.moves[way.plan.stepPlaces[way.first - 1]...]
      try goBack(Pass(network, moves: moves, from: start), batch, first: way.first) {
        try trajectory.owner.observe(trajectory: trajectory.index, $0)
      }
    }
  }

  /// Shows every step of a pass on the way back.
  /// - Parameter first: the number of the pass's first step
  private func goBack(_ pass: Pass, _ batch: LabelledBatch, first: Int, show: (StepReading) throws -> Void) throws {
    let lastStage = network.architecture.stages.count - 1
    let output = try CrossEntropy(logits: pass.logits, labels: batch.labels)
    let odds = try LogOdds(logits: pass.logits, labels: batch.labels)
    var later: (stage: Int, state: ReadableState?) = (
      lastStage, ReadableState(network, pass.features, batch, said: output)
    )
    try pass.backward(odds.gradient, into: nil) { visited in
      let stage = visited.layout.name.stage
      let before = stage == lastStage ? ReadableState(network, visited.kept, batch) : nil
      // What the later step adds to is what this one ends with, unless a projection or a pooling lies between.
      let after = later.stage == stage ? later.state : nil
      try show(
        StepReading(visited, number: first + visited.number - 1, doubts: odds.doubts, before: before, after: after))
      later = (stage, before)
    }
  }

  /// Tells the measures what the head says after their plans.
  private func answer(_ batch: LabelledBatch, h0: Tensor, after earlier: Int) throws {
    // Plans that want no more than the first samples of this batch run on those alone.
    let wanted = Dictionary(grouping: plans.indices) { index in
      max(0, min(batch.classes.count, (plans[index].owner.plannedSamples ?? .max) - earlier))
    }
    for (count, members) in wanted where count > 0 {
      let part = try batch.prefix(count)
      try network.run(members.map { plans[$0].way }, on: h0.rows(0..<count)) { index, h in
        let asked = plans[members[index]]
        let reading = try CrossEntropy(logits: network.classify(h), labels: part.labels)
        asked.owner.observe(plan: asked.index, part.labelled(reading))
      }
    }
  }
}
