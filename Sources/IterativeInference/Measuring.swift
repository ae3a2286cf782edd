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
    try round.measure(batch, after: done, Numbers(keeps: false))
    done += batch.classes.count
    try progress(done)
  }
}

/// As `measure(_:on:_:mode:progress:)`, by several processes: each runs some of the batches, and all of them get what one
/// alone would have found, to the bit (by a batch's own statistics, where it has as many threads).
/// - Parameters:
///   - measures: makes them; where several processes share the work one lot looks at the batches that this process runs, and
///     another, for which this is called with `true`, is told what was found of all of them
///   - all: the measures of a lot
///   - group: the processes; nil where this one is alone
/// - Returns: the measures that were told of all batches
/// - Throws: as that; `UnlikeMeasures` where the lots do not ask the same of a batch; `ProcessError.lost`
public func measure<Measures>(
  _ measures: (_ isTold: Bool) throws -> Measures, all: (Measures) -> [any Measure], on network: ResidualNetwork,
  _ samples: some BatchSource, mode: MeasureMode = .evaluation, by group: ProcessGroup?,
  progress: (Int) throws -> Void = { _ in }
) throws -> Measures {
  let told = try measures(true)
  guard let group else {
    try measure(all(told), on: network, samples, mode: mode, progress: progress)
    return told
  }
  let (looking, telling) = (
    try Round(all(measures(false)), on: network, mode), try Round(all(told), on: network, mode)
  )
  try samples.forEachShared(by: group) { batch, earlier in
    let numbers = Numbers(keeps: true)
    try looking.measure(batch, after: earlier, numbers)
    return numbers.kept
  } tell: { batch, earlier, numbers in
    let sent = Numbers(sent: numbers)
    try telling.measure(batch, after: earlier, sent)
    try sent.checkAllAsked()
    try progress(earlier + batch.classes.count)
  }
  return told
}

/// The work to do with every batch.
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
    plans = try measures.flatMap { owner in
      try owner.plans(for: network).enumerated().map { Asked(owner: owner, index: $0, way: $1) }
    }
    trajectories = try measures.flatMap { owner in
      try owner.trajectories(for: network).enumerated().map { Asked(owner: owner, index: $0, way: $1) }
    }
    if mode == .training, !plans.isEmpty || !trajectories.isEmpty {
      throw MeasureError(option: "mode", problem: "in training mode there is the network's own pass alone, and no plan")
    }
    for plan in plans { try network.check(plan.way) }
    for trajectory in trajectories { try trajectory.way.check(on: network) }
  }

  /// - Parameters:
  ///   - earlier: how many samples came before this batch
  ///   - numbers: what is found of it; where they are sent nothing is computed
  func measure(_ batch: LabelledBatch, after earlier: Int, _ numbers: Numbers) throws {
    let statistics = mode == .evaluation ? Mode.evaluation : .batchStatistics
    let pass =
      numbers.areSent ? nil : try Pass(network, images: batch.images, mode: statistics, keepsResiduals: true)
    let h0 = pass?.h0
    var starts = Dictionary(trajectories.map { ($0.way.first, Tensor?.none) }, uniquingKeysWith: { first, _ in first })
    try goBack(pass, network.plan.moves[...], batch, mode, first: 1, numbers) { step, visited in
      for measure in measures { try measure.observe(step) }
      if starts.keys.contains(step.number) { starts[step.number] = visited?.input }
    }
    try answer(batch, h0: h0, after: earlier, numbers)
    for trajectory in trajectories {
      let way = trajectory.way
      let moves = way.plan.moves[way.plan.stepPlaces[way.first - 1]...]
      let pass = try starts[way.first]?.map { try Pass(network, moves: moves, from: $0) }
      try goBack(pass, moves, batch, .evaluation, first: way.first, numbers) { step, _ in
        try trajectory.owner.observe(trajectory: trajectory.index, step)
      }
    }
  }

  /// A step as the way back meets it.
  private struct Met {
    let layout: StepLayout
    /// Among the steps of the pass, from 1.
    let number: Int
    /// Whether the next step takes what this one makes, with no pooling between.
    let isTaken: Bool
  }

  /// The steps of a pass that add something, from the last to the first.
  private func steps(of moves: ArraySlice<Plan.Move>) throws -> [Met] {
    var met: [Met] = []
    var number = 0
    for (place, move) in zip(moves.indices, moves) {
      guard case .step(let step) = move else { continue }
      number += 1
      guard step.scale != 0 else { continue }
      let rest = moves[(place + 1)...]
      let isTaken = if case .step = rest.first { true } else { false }
      met.append(Met(layout: try network.layout(of: step), number: number, isTaken: isTaken))
    }
    return met.reversed()
  }

  /// Shows every step of a pass on the way back.
  /// - Parameters:
  ///   - pass: of these moves; nil where another process made it
  ///   - first: the number of the pass's first step
  private func goBack(
    _ pass: Pass?, _ moves: ArraySlice<Plan.Move>, _ batch: LabelledBatch, _ mode: MeasureMode, first: Int,
    _ numbers: Numbers, show: (StepReading, Pass.VisitedStep?) throws -> Void
  ) throws {
    let lastStage = network.architecture.stages.count - 1
    let isReadable = mode == .evaluation
    let begun = try pass.map { try start($0, batch, mode) }
    let doubts: [Double] = try numbers.ask { try begun.wanted().doubts }
    func readable(_ h: Tensor?, said: CrossEntropy? = nil) -> ReadableState {
      ReadableState(network, batch, numbers, said: said) { try h.wanted() }
    }
    func normed(_ h: Tensor?, _ squares: [Double]?) -> NormedState {
      NormedState(numbers) { try squares ?? h.wanted().sampleSquares() }
    }
    var later: (stage: Int, state: ReadableState?) = (
      lastStage, isReadable ? readable(pass?.features, said: begun?.said) : nil
    )
    var following: NormedState?
    func meet(_ step: Met, _ visited: Pass.VisitedStep?) throws {
      let stage = step.layout.name.stage
      let before = isReadable && stage == lastStage ? readable(visited?.kept) : nil
      // The later step adds to the state that this step ends with, unless a projection or a pooling lies between them.
      let after = later.stage == stage ? later.state : nil
      let made = step.isTaken ? following : nil
      let taken = normed(visited?.input, visited?.inputSquares)
      try show(
        StepReading(
          step.layout, number: first + step.number - 1, visited, numbers, doubts: doubts, before: before, after: after,
          inputState: taken, outputState: made ?? normed(visited?.output, visited?.outputSquares)), visited)
      later = (stage, before)
      following = taken
    }
    var steps = try steps(of: moves)[...]
    guard let pass, let begun else { return try steps.forEach { try meet($0, nil) } }
    try pass.backward(begun.gradient, into: nil) { visited in
      guard let step = steps.popFirst(), step.number == visited.number else { throw PassError.goneBack }
      try meet(step, visited)
    }
  }

  /// The start of the backward pass: the gradient to propagate, the factor that turns each sample's part of it into
  /// ∂L/∂h, and the head's predictions.
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
  private func answer(_ batch: LabelledBatch, h0: Tensor?, after earlier: Int, _ numbers: Numbers) throws {
    // Plans that want no more than the first samples of this batch run on those alone.
    let wanted = Dictionary(grouping: plans.indices) { index in
      max(0, min(batch.classes.count, (plans[index].owner.plannedSamples ?? .max) - earlier))
    }
    for (count, members) in wanted.sorted(by: { $0.key < $1.key }) where count > 0 {
      let part = try batch.prefix(count)
      func tell(_ place: Int, _ h: Tensor?) throws {
        let asked = plans[members[place]]
        let reading: CrossEntropy = try numbers.ask {
          try CrossEntropy(logits: network.classify(h.wanted()), labels: part.labels)
        }
        asked.owner.observe(plan: asked.index, part.labelled(reading))
      }
      let ways = members.map { plans[$0].way }
      if let h0 {
        try network.run(ways, on: h0.rows(0..<count), visit: tell)
      } else {
        for place in ResidualNetwork.order(of: ways) { try tell(place, nil) }
      }
    }
  }
}

extension Optional {
  /// The values of a batch that this process runs.
  /// - Throws: `PassError` where another one runs it.
  fileprivate func wanted() throws -> Wrapped {
    guard let self else { throw PassError.goneBack }
    return self
  }
}
