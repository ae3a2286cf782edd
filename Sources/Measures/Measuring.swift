import ResLensNetworks
import ResLensResults
import ResLensTasks
import ResLensTorch

/// Folds samples into measures: one forward and one backward pass a batch, and besides only the measures' plans, with
/// what they begin alike run once, and their trajectories from where they leave the network's own way.
///
/// Several processes can share the work: each runs some of the batches, and all of them get the rows of all batches, so that
/// every process finds what one alone would have found, to the bit (by a batch's own or recalibrated statistics, where it
/// has as many threads).
/// - Parameters:
///   - batchNorm: the statistics by which normalisations run; by each batch's own, no state is read by the lens, and there
///     are no plans and trajectories
///   - task: scores the network's outputs
///   - lens: reads the states inside the network; the network's own readout where it is nil
///   - recalibrated: recalibrated statistics for the measures' plans; nil to run them by the trained ones
///   - group: the processes; nil where this one is alone
///   - own: receives the network's own predictions for each batch
///   - perSample: what is done with the measures of each sample alone
///   - progress: told before the first batch and after each how many samples are done
/// - Throws: `PlanError` before any work where the network cannot run a measure's plan; `MeasureError` for a plan by a
///   batch's own statistics; `RowError` where processes measure different things; `ProcessError.lost`
public func measure(
  _ measures: [any Measure], on network: ResidualNetwork, _ samples: some BatchSource,
  batchNorm: BatchNormStatistics = .running, task: any LearningTask = ImageClassification(), lens: (any Lens)? = nil,
  recalibrated: RecalibratedPlans? = nil, by group: ProcessGroup? = nil, own: (LabelledPredictions) -> Void = { _ in },
  perSample: PerSample? = nil,
  progress: (Int) throws -> Void = { _ in }
) throws {
  let work = try MeasuringWork(measures, on: network, batchNorm, task, lens, recalibrated)
  try progress(0)
  try samples.forEachShared(by: group) { batch, earlier in
    try work.rows(of: batch, after: earlier)
  } take: { batch, earlier, rows in
    own(try work.add(rows, of: batch, after: earlier, to: measures))
    if let perSample {
      for (place, index) in batch.indices.enumerated() {
        let single = try perSample.make()
        let part = try work.rows(rows, ofSample: place, in: batch, after: earlier)
        _ = try work.add(part, of: batch.sample(place), after: earlier + place, to: single)
        try perSample.take(index, single)
      }
    }
    try progress(earlier + batch.classes.count)
  }
}

/// The measures of one sample alone, for every sample: they fold the rows of that sample only, so that their means are
/// the sample's values.
public struct PerSample {
  /// Makes measures of the same types as those that fold all samples, in the same order.
  let make: () throws -> [any Measure]
  /// Receives the index of a sample and its measures.
  let take: (_ index: Int, _ measures: [any Measure]) throws -> Void
}

/// The work to do with every batch.
private struct MeasuringWork {
  private let network: ResidualNetwork
  private let batchNorm: BatchNormStatistics
  private let task: any LearningTask
  private let lens: any Lens
  /// True if the lens is the network's own readout.
  private let isOwnReadout: Bool
  private let measures: [any Measure]
  /// The measures' names and the numbers of their plans and trajectories, as the numbers of a row: other processes must
  /// have the same.
  private let names: [Double]
  private let plans: [Request<Plan>]
  private let trajectories: [Request<Trajectory>]

  /// Something that a measure asked for.
  private struct Request<Way> {
    /// The index of the measure.
    let owner: Int
    /// Its index in what the owner asked for.
    let index: Int
    let way: Way
  }

  init(
    _ measures: [any Measure], on network: ResidualNetwork, _ batchNorm: BatchNormStatistics,
    _ task: any LearningTask, _ lens: (any Lens)?, _ recalibrated: RecalibratedPlans?
  ) throws {
    let network = recalibrated?.network ?? network
    (self.network, self.batchNorm, self.task) = (network, batchNorm, task)
    (self.lens, isOwnReadout) = (lens ?? ReadoutLens(network, task: task), lens == nil)
    self.measures = measures
    plans = try measures.enumerated().flatMap { owner, measure in
      try measure.plans(for: network).enumerated().map {
        Request(owner: owner, index: $0, way: try recalibrated?.recalibrated($1) ?? $1)
      }
    }
    trajectories = try measures.enumerated().flatMap { owner, measure in
      try measure.trajectories(for: network).enumerated().map { Request(owner: owner, index: $0, way: $1) }
    }
    let all = measures.map { type(of: $0).description.name } + ["\(plans.count) \(trajectories.count)"]
    names = all.joined(separator: "\n").utf8.map { Double($0) }
    if batchNorm == .batch, !plans.isEmpty || !trajectories.isEmpty {
      throw MeasureError(
        option: "batch-norm",
        problem: "by each batch's own statistics there is the network's own pass alone, and no plan")
    }
    guard recalibrated == nil || trajectories.isEmpty else {
      throw MeasureError(
        option: "recalibrate", problem: "the steps of another plan are seen by trained statistics alone")
    }
    for plan in plans { try network.check(plan.way) }
    for trajectory in trajectories { try trajectory.way.check(on: network) }
  }

  /// The moves of a trajectory that are seen.
  private func moves(of trajectory: Trajectory) -> ArraySlice<Plan.Move> {
    trajectory.plan.moves[trajectory.plan.stepPlaces[trajectory.first - 1]...]
  }

  /// The plans that run on as many samples of this batch, in ascending order of that number.
  private func plansBySamples(_ batch: LabelledBatch, after earlier: Int) -> [(samples: Int, plans: [Int])] {
    Dictionary(grouping: plans.indices) { index in
      max(0, min(batch.classes.count, (measures[plans[index].owner].plannedSamples ?? .max) - earlier))
    }.filter { $0.key > 0 }.sorted { $0.key < $1.key }.map { (samples: $0.key, plans: $0.value) }
  }

  // MARK: from tensors to rows

  /// Runs a batch.
  /// - Parameter earlier: the number of samples before the batch
  /// - Returns: the rows of all measures, as `add(_:of:after:)` reads them
  func rows(of batch: LabelledBatch, after earlier: Int) throws -> [Double] {
    var rows = RowWriter()
    rows.append([names])
    let mode = batchNorm == .running ? NormMode.running : .batch
    let readsJacobians = measures.contains { type(of: $0).readsJacobians }
    let pass = try Pass(
      network, images: batch.images, mode: mode, wants: readsJacobians ? [.added, .keptTape] : .added)
    let h0 = pass.h0
    let wanted = Set(trajectories.map(\.way.first))
    var starts: [Int: Tensor] = [:]
    let output = try task.outputGradient(pass.logits, batch.labels, samplesAreIndependent: batchNorm == .running)
    rows.append(output.predictions.rows)
    try goBack(pass, output, network.plan.moves[...], batch, batchNorm, first: 1, after: earlier) { step in
      for measure in measures { rows.append(try measure.rows(of: step)) }
      if wanted.contains(step.number) { starts[step.number] = step.input }
    }
    for (count, members) in plansBySamples(batch, after: earlier) {
      let part = try batch.prefix(count)
      let ways = members.map { plans[$0].way }
      try network.run(ways, on: h0.rows(0..<count)) { index, h in
        let logits = try network.classify(h, statistics: ways[index].readoutStatistics)
        rows.append(try task.predictions(logits, part.labels).rows)
      }
    }
    for trajectory in trajectories {
      guard let start = starts[trajectory.way.first] else { continue }
      let moves = moves(of: trajectory.way)
      let pass = try Pass(network, moves: moves, from: start)
      let output = try task.outputGradient(pass.logits, batch.labels, samplesAreIndependent: true)
      try goBack(pass, output, moves, batch, .running, first: trajectory.way.first, after: earlier) {
        rows.append(try measures[trajectory.owner].rows(of: $0, onTrajectory: trajectory.index))
      }
    }
    return rows.numbers
  }

  /// Shows every step of a pass on the way back.
  /// - Parameters:
  ///   - output: the gradient at the pass's logits
  ///   - moves: the moves of the pass
  ///   - first: the number of the pass's first step
  ///   - earlier: the number of samples before the batch
  private func goBack(
    _ pass: Pass, _ output: OutputGradient, _ moves: ArraySlice<Plan.Move>, _ batch: LabelledBatch,
    _ batchNorm: BatchNormStatistics, first: Int, after earlier: Int, show: (StepView) throws -> Void
  ) throws {
    func state(
      _ h: Tensor, at place: StatePlace, known: (outputs: Tensor, predictions: Predictions)? = nil
    ) -> LensState? {
      guard batchNorm == .running, lens.obstacle(to: place) == nil else { return nil }
      return LensState(known: known) { try lens.read(h, at: place, labels: batch.labels) }
    }
    /// The step that was shown last, which follows in the pass.
    var next: StepView?
    let steps = try planSteps(of: moves, first: first)
    var index = steps.count
    try pass.backward(output.gradient, into: nil) { visited in
      index -= 1
      let (step, spec) = (steps[index].step, visited.spec)
      let before = state(visited.skip, at: StatePlace(before: spec, of: network.architecture))
      let follower = next.flatMap { $0.spec.stage == spec.stage ? $0 : nil }
      // The step after this one adds to the state that this one ends with, unless a projection or a pooling is between.
      let adding = follower.flatMap { $0.spec.hasIdentitySkip ? $0 : nil }
      // The network's own readout has read the state at the end of the pass already.
      let known = next == nil && isOwnReadout ? (outputs: pass.logits, predictions: output.predictions) : nil
      let after = adding == nil ? state(visited.output, at: StatePlace(after: spec), known: known) : adding?.before
      let view = StepView(
        visited, number: step.number, earlier: earlier, end: output, outputs: pass.logits, before: before, after: after,
        next: follower, isLast: next == nil,
        following: steps[index].isTaken ? next.map { next in { try next.inputSquares() } } : nil,
        withoutAdded: { [network] visit in
          let place = steps[index].place
          let left = try network.run([moves[place].withoutAdded], on: visited.input) { _ in }
          return try network.classify(network.run(moves[(place + 1)...], on: left, visit: visit))
        })
      try show(view)
      // A chain of all steps would keep all of their tensors.
      (view.next, view.following) = (nil, nil)
      next = view
    }
  }

  // MARK: from rows to sums

  /// Folds the rows of a batch, whichever process ran it.
  /// - Parameter measures: the work's own, or others of the same types
  /// - Returns: the network's own predictions
  func add(
    _ numbers: [Double], of batch: LabelledBatch, after earlier: Int, to measures: [any Measure]
  ) throws -> LabelledPredictions {
    var rows = RowReader(numbers)
    guard try rows.next() == [names], let own = try rows.next() else { throw RowError() }
    for (step, _, _) in try planSteps(of: network.plan.moves[...], first: 1).reversed() {
      for measure in measures { if let found = try rows.next() { measure.add(found, of: step, batch) } }
    }
    for (count, plan) in orderedPlans(batch, after: earlier) {
      guard let found = try rows.next() else { throw RowError() }
      let request = plans[plan]
      measures[request.owner].add(LabelledPredictions(found, of: try batch.prefix(count)), ofPlan: request.index)
    }
    for trajectory in trajectories {
      let steps = try planSteps(of: moves(of: trajectory.way), first: trajectory.way.first)
      for (step, _, _) in steps.reversed() {
        guard let found = try rows.next() else { continue }
        measures[trajectory.owner].add(found, of: step, onTrajectory: trajectory.index, batch)
      }
    }
    try rows.checkIsAtEnd()
    return LabelledPredictions(own, of: batch)
  }

  /// The part of a batch's rows that is about one of its samples, in the order of a batch that is this sample alone.
  func rows(
    _ numbers: [Double], ofSample place: Int, in batch: LabelledBatch, after earlier: Int
  ) throws -> [Double] {
    var (rows, part) = (RowReader(numbers), RowWriter())
    /// The sample's part of the next rows, which are of so many samples. Vectors of another length are about no sample.
    func next(of count: Int) throws -> [[Double]]? {
      try rows.next()?.map { place < count && $0.count == count ? [$0[place]] : $0 }
    }
    part.append(try rows.next())
    let count = batch.classes.count
    part.append(try next(of: count))
    for _ in try planSteps(of: network.plan.moves[...], first: 1) {
      for _ in measures { part.append(try next(of: count)) }
    }
    var ofPlans: [Int: [[Double]]] = [:]
    for (count, plan) in orderedPlans(batch, after: earlier) { ofPlans[plan] = try next(of: count) }
    for (_, plan) in orderedPlans(try batch.sample(place), after: earlier + place) { part.append(ofPlans[plan]) }
    for trajectory in trajectories {
      let steps = try planSteps(of: moves(of: trajectory.way), first: trajectory.way.first)
      for _ in steps { part.append(try next(of: count)) }
    }
    try rows.checkIsAtEnd()
    return part.numbers
  }

  /// The plans that run on samples of this batch, in the order in which their rows come, with these samples' number.
  private func orderedPlans(_ batch: LabelledBatch, after earlier: Int) -> [(samples: Int, plan: Int)] {
    plansBySamples(batch, after: earlier).flatMap { count, members in
      ResidualNetwork.order(of: members.map { plans[$0].way }).map { (samples: count, plan: members[$0]) }
    }
  }

  /// The steps of some moves that add something, their moves' places, and whether the next move is a step too, which takes
  /// what the step makes.
  private func planSteps(
    of moves: ArraySlice<Plan.Move>, first: Int
  ) throws -> [(step: PlanStep, place: Int, isTaken: Bool)] {
    var steps: [(step: PlanStep, place: Int, isTaken: Bool)] = []
    var number = first - 1
    for (index, move) in zip(moves.indices, moves) {
      guard case .step(let step) = move else { continue }
      number += 1
      guard step.scale != 0 else { continue }
      let isTaken = if case .step = moves[(index + 1)...].first { true } else { false }
      steps.append((PlanStep(spec: try network.spec(of: step), number: number), index, isTaken))
    }
    return steps
  }
}

// MARK: rows as numbers

/// Writes rows one after the other as numbers: for each the number of vectors, and for each vector its length and its
/// elements; −1 where there are no rows.
private struct RowWriter {
  private(set) var numbers: [Double] = []

  mutating func append(_ rows: [[Double]]?) {
    numbers.append(Double(rows?.count ?? -1))
    for vector in rows ?? [] { numbers += [Double(vector.count)] + vector }
  }
}

/// Reads what `RowWriter` wrote.
private struct RowReader {
  private let numbers: [Double]
  private var index = 0

  init(_ numbers: [Double]) { self.numbers = numbers }

  private mutating func take(_ count: Int) throws(RowError) -> ArraySlice<Double> {
    guard count >= 0, count <= numbers.count - index else { throw RowError() }
    defer { index += count }
    return numbers[index..<(index + count)]
  }

  private mutating func count() throws(RowError) -> Int {
    guard let count = try take(1).first.flatMap({ Int(exactly: $0) }) else { throw RowError() }
    return count
  }

  /// The next rows; nil where there are none.
  mutating func next() throws(RowError) -> [[Double]]? {
    let vectors = try count()
    guard vectors >= 0 else { return nil }
    var rows: [[Double]] = []
    for _ in 0..<vectors { rows.append(Array(try take(count()))) }
    return rows
  }

  func checkIsAtEnd() throws(RowError) { if index != numbers.count { throw RowError() } }
}

/// Processes that share the measuring and do not measure the same things.
public struct RowError: Error, CustomStringConvertible, Equatable {
  public let description = "the processes do not take the same measures: start all of them with the same options"
}
