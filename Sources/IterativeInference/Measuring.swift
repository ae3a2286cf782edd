import ResidualNetworks
import Results
import Torch

/// Lets `measures` see every step of a network on the given samples: one forward and one backward pass a batch, and
/// besides only the measures' plans, with what they begin alike run once, and their trajectories from where they leave
/// the network's own way.
/// - Parameters:
///   - mode: by which statistics normalisations run; by the batch's own (`training`) no state is shown to the plugged head,
///     and there are no plans and trajectories.
///   - progress: told after each batch how many samples are done
/// - Throws: `PlanError` before any work where the network cannot run a measure's plan; `MeasureError` for one in training
///   mode.
public func measure(
  _ measures: [any Measure], on network: ResidualNetwork, _ samples: some BatchSource, mode: MeasureMode = .evaluation,
  progress: (Int) throws -> Void = { _ in }
) throws {
  let round = try Round(measures, on: network, mode)
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
  private let mode: MeasureMode
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

  init(_ measures: [any Measure], on network: ResidualNetwork, _ mode: MeasureMode) throws {
    (self.network, self.mode) = (network, mode)
    self.measures = measures
    plans = measures.flatMap { owner in
      owner.plans(for: network).enumerated().map { Asked(owner: owner, index: $0, way: $1) }
    }
    trajectories = measures.flatMap { owner in
      owner.trajectories(for: network).enumerated().map { Asked(owner: owner, index: $0, way: $1) }
    }
    if mode == .training, !plans.isEmpty || !trajectories.isEmpty {
      throw MeasureError(option: "mode", problem: "in training mode there is the network's own pass alone, and no plan")
    }
    for plan in plans { try network.check(plan.way) }
    for trajectory in trajectories { try trajectory.way.check(on: network) }
  }

  /// - Parameter earlier: how many samples came before this batch
  func measure(_ batch: LabelledBatch, after earlier: Int) throws {
    let pass = try Pass(
      network, images: batch.images, mode: mode == .evaluation ? .evaluation : .batchStatistics, keepsResiduals: true)
    let h0 = pass.h0
    var starts = Dictionary(trajectories.map { ($0.way.first, Tensor?.none) }, uniquingKeysWith: { first, _ in first })
    try goBack(pass, batch, mode, first: 1) { step in
      for measure in measures { try measure.observe(step) }
      if starts.keys.contains(step.number) { starts[step.number] = step.input }
    }
    try answer(batch, h0: h0, after: earlier)
    for trajectory in trajectories {
      let way = trajectory.way
      guard let start = starts[way.first] ?? nil else { continue }
      let moves = way.plan.moves[way.plan.stepPlaces[way.first - 1]...]
      try goBack(Pass(network, moves: moves, from: start), batch, .evaluation, first: way.first) {
        try trajectory.owner.observe(trajectory: trajectory.index, $0)
      }
    }
  }

  /// Shows every step of a pass on the way back.
  /// - Parameter first: the number of the pass's first step
  private func goBack(
    _ pass: Pass, _ batch: LabelledBatch, _ mode: MeasureMode, first: Int, show: (StepReading) throws -> Void
  ) throws {
    let lastStage = network.architecture.stages.count - 1
    let isReadable = mode == .evaluation
    let (gradient, doubts, output) = try start(pass, batch, mode)
    var later: (stage: Int, state: ReadableState?) = (
      lastStage, isReadable ? ReadableState(network, pass.features, batch, said: output) : nil
    )
    var following: NormedState?
    try pass.backward(gradient, into: nil) { visited in
      let stage = visited.layout.name.stage
      let before = isReadable && stage == lastStage ? ReadableState(network, visited.kept, batch) : nil
      // What the later step adds to is what this one ends with, unless a projection or a pooling lies between.
      let after = later.stage == stage ? later.state : nil
      let made =
        following.flatMap { $0.h === visited.output ? $0 : nil }
        ?? NormedState(visited.output, squares: visited.outputSquares)
      let taken = NormedState(visited.input, squares: visited.inputSquares)
      try show(
        StepReading(
          visited, number: first + visited.number - 1, doubts: doubts, before: before, after: after,
          inputState: taken, outputState: made))
      later = (stage, before)
      following = taken
    }
  }

  /// What goes back through a pass, by what each sample's part of it is to be multiplied to be ∂L/∂h, and what the head
  /// says.
  private func start(
    _ pass: Pass, _ batch: LabelledBatch, _ mode: MeasureMode
  ) throws -> (gradient: Tensor, doubts: [Double], said: CrossEntropy) {
    guard mode == .evaluation else {
      let said = try CrossEntropy(logits: pass.logits, labels: batch.labels, gradientScale: 1)
      return (try said.requiredGradient(), batch.classes.map { _ in 1 }, said)
    }
    let odds = try LogOdds(logits: pass.logits, labels: batch.labels)
    return (odds.gradient, odds.doubts, try CrossEntropy(logits: pass.logits, labels: batch.labels))
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
