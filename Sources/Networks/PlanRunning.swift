import ResLensTorch

extension ResidualNetwork {
  /// h after all moves of `plan` on `h0`, in evaluation mode.
  /// - Throws: `PlanError` where the network cannot run it.
  public func run(_ plan: Plan, on h0: Tensor) throws -> Tensor {
    var h = h0
    for move in plan.moves { h = try apply(move, to: h) }
    return h
  }

  /// h after some moves on `h0`, in evaluation mode.
  /// - Parameter visit: receives F of each step that adds something, in order
  /// - Throws: `PlanError` where the network cannot make a move.
  public func run(
    _ moves: some Sequence<Plan.Move>, on h0: Tensor, visit: (Tensor) throws -> Void
  ) throws -> Tensor {
    var h = h0
    for move in moves {
      let record = try record(move, on: Stream(h), mode: .running, wants: .added)
      if case .step(_, let trace) = record, let added = trace.added { try visit(added) }
      h = record.output.h
    }
    return h
  }

  /// Logits N×classes of images by the network's own plan, in evaluation mode.
  /// - Parameter visit: receives h_0, the stem's output, and h after each step, with the number of steps made
  public func logits(_ images: Tensor, visit: (_ steps: Int, _ h: Tensor) throws -> Void) throws -> Tensor {
    let h = try run(images) { steps, h in
      try visit(steps, h)
      return h
    }
    guard let h else { throw TorchError.missingResult }
    return try classify(h)
  }

  /// The last h of images by the network's own plan, in evaluation mode.
  /// - Parameter goOn: receives h_0, the stem's output, and h after each step, with the number of steps made; returns the
  ///   state to go on with, or nil to stop
  /// - Returns: nil where it was stopped
  public func run(_ images: Tensor, goOn: (_ steps: Int, _ h: Tensor) throws -> Tensor?) throws -> Tensor? {
    var (state, steps) = (try goOn(0, begin(images)), 0)
    for move in plan.moves {
      guard let h = state else { return nil }
      state = try apply(move, to: h)
      guard case .step = move, let made = state else { continue }
      steps += 1
      state = try goOn(steps, made)
    }
    return state
  }

  /// Runs many plans on one batch in evaluation mode, each beginning that several share once: dropping every one of
  /// T steps in turn costs about T/2 forward passes instead of T.
  /// - Parameters:
  ///   - h0: the stem's output
  ///   - visit: receives a plan's place in `plans` and its last h; plans come in the order of `order(of:)`
  /// - Returns: how many moves were made
  @discardableResult
  public func run(_ plans: [Plan], on h0: Tensor, visit: (Int, Tensor) throws -> Void) throws -> Int {
    try PlanTree(plans: plans).run(on: h0, apply: { try apply($0, to: $1) }, visit: visit)
  }
}

extension ResidualNetwork {
  /// In which order `run(_:on:visit:)` comes to the ends of plans: their places in `plans`. It depends on them alone.
  public static func order(of plans: [Plan]) -> [Int] {
    var order: [Int] = []
    PlanTree(plans: plans).run(on: (), apply: { _, _ in }, visit: { place, _ in order.append(place) })
    return order
  }
}

/// Plans as a tree of the moves that they share.
struct PlanTree {
  let plans: [Plan]

  /// - Parameters:
  ///   - apply: h after a move
  ///   - visit: receives a plan's place in `plans` and its last h
  /// - Returns: how many moves were made
  @discardableResult
  func run<State>(
    on h0: State, apply: (Plan.Move, State) throws -> State, visit: (Int, State) throws -> Void
  ) rethrows -> Int {
    try descend(Array(plans.indices), depth: 0, h0, apply, visit)
  }

  /// `members` agree in their first `depth` moves, which led to `h`.
  private func descend<State>(
    _ members: [Int], depth: Int, _ h: State, _ apply: (Plan.Move, State) throws -> State,
    _ visit: (Int, State) throws -> Void
  ) rethrows -> Int {
    var (h, depth, members, moves) = (h, depth, members, 0)
    while true {
      for index in members where plans[index].moves.count == depth { try visit(index, h) }
      members.removeAll { plans[$0].moves.count == depth }
      let branches = Dictionary(grouping: members) { plans[$0].moves[depth] }.values.sorted {
        ($0.count, $0[0]) < ($1.count, $1[0])
      }
      // The largest branch goes on in this loop, so that a side branch holds one h beside its own and no more.
      guard let largest = branches.last else { return moves }
      for branch in branches.dropLast() {
        let beside = try apply(plans[branch[0]].moves[depth], h)
        moves += 1 + (try descend(branch, depth: depth + 1, beside, apply, visit))
      }
      h = try apply(plans[largest[0]].moves[depth], h)
      moves += 1
      members = largest
      depth += 1
    }
  }
}
