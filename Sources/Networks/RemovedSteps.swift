import ResLensSupport
import ResLensResults
import ResLensTorch

extension ResidualNetwork {
  /// The numbers of the steps without which the network can go on as a smaller network: dropping one by a plan leaves h as
  /// it was. A step with a projection is not among them, nor one that ends in a ReLU where h may have values below 0.
  public var removableSteps: [Int] {
    get throws {
      var isRectified = architecture.stem.norm == true
      var removable: [Int] = []
      for (spec, step) in zip(architecture.steps, plan.steps) {
        let wasRectified = isRectified
        isRectified = try self.step(step).isRectified
        if spec.hasIdentitySkip, wasRectified || !isRectified { removable.append(spec.id.number) }
      }
      return removable
    }
  }

  /// The network that this one is by a plan with dropped steps, as a network of its own: without the blocks that no step runs
  /// any more, and with the running statistics that the plan names as its trained ones. It shares its weights with this
  /// network.
  ///
  /// Steps that share running statistics, and to which the plan gives others, have statistics of their own in the new
  /// network (`Architecture.Sharing.unsharedStatistics`).
  /// - Parameters:
  ///   - plan: the network's own plan, with removable steps dropped and perhaps with other statistics
  ///   - name: the name of the new network's architecture
  /// - Throws: `ArgumentError` for any other plan, for one that leaves a stage without steps, and for blocks that have
  ///   several steps; `PlanError` for statistics that the network lacks.
  public func removingDroppedSteps(of plan: Plan, named name: String) throws -> ResidualNetwork {
    try check(plan)
    let kept = try keptSteps(of: plan)
    let smaller = try architecture.keeping(kept, named: name)
    var tensors: [String: Tensor] = [:]
    func take(_ statistics: RunningStatistics, as new: RunningStatistics, _ number: Int) throws {
      let set = try statistics.set(number)
      for (path, tensor) in [(new.paths.mean, set.mean), (new.paths.variance, set.variance)] {
        // Uses that shared statistics must not go on sharing them under different names.
        let isAnother = parameters[path].map { $0 !== tensor } ?? true
        tensors[path] = isAnother ? try tensor.scaled(by: 1) : tensor
      }
    }
    let parts = try NetworkParts(smaller, tensors: nil)
    for (new, step) in zip(parts.steps, kept) {
      let old = try built(step)
      guard new.trainable.count == old.trainable.count, new.statistics.count == old.statistics.count else {
        throw ArgumentError("plan", "\(architecture.name) has blocks that depend on their place in the stage")
      }
      for (path, source) in zip(new.trainable, old.trainable) { tensors[path] = try parameters.required(source) }
      for (new, source) in zip(new.statistics, old.statistics) { try take(source, as: new, step.statistics) }
    }
    if let statistics = readout.statistics { try take(statistics, as: statistics, plan.readoutStatistics) }
    // The rest belongs to the stem and the readout, whose paths stay.
    for specification in smaller.parameters
    where tensors[specification.path] == nil && !specification.path.hasPrefix("stages.") {
      tensors[specification.path] = try parameters.required(specification.path)
    }
    return try ResidualNetwork(smaller, parameters: tensors)
  }

  /// The steps of a plan that are not dropped.
  /// - Throws: `ArgumentError` where the plan is not the network's own with removable steps dropped.
  private func keptSteps(of plan: Plan) throws -> [Plan.Step] {
    func refuse(_ problem: String) -> ArgumentError { ArgumentError("plan", problem) }
    let removable = Set(try removableSteps)
    guard plan.moves.map(\.unscaled) == self.plan.moves else {
      throw refuse("it does more than dropping steps of \(architecture.name)")
    }
    return try plan.steps.enumerated().compactMap { index, step in
      guard step.scale == 0 else {
        guard step.scale == 1 else { throw refuse("it scales step \(index + 1) by \(step.scale)") }
        return step
      }
      guard removable.contains(index + 1) else {
        throw refuse("it drops step \(index + 1), without which h does not stay as it was")
      }
      return nil
    }
  }
}

extension Plan {
  /// The steps, in order.
  var steps: [Step] { moves.compactMap { if case .step(let step) = $0 { step } else { nil } } }
}

extension Plan.Move {
  /// The move with scale 1 and the trained statistics.
  fileprivate var unscaled: Plan.Move {
    guard case .step(var step) = self else { return self }
    (step.scale, step.statistics) = (1, 0)
    return .step(step)
  }
}

extension Architecture {
  /// The architecture of the network that has these steps of this one alone.
  /// - Parameter steps: steps of the own plan, in order
  /// - Throws: `ArgumentError` where a stage has none of them, or where its blocks have several steps.
  fileprivate func keeping(_ steps: [Plan.Step], named name: String) throws -> Architecture {
    var smaller = self
    smaller.name = name
    for (index, stage) in stages.enumerated() {
      let kept = steps.filter { $0.stage == index }
      guard !kept.isEmpty else { throw ArgumentError("plan", "it leaves no step in stage \(index)") }
      smaller.stages[index].blocks = kept.count
      guard let sharing = stage.sharing else { continue }
      let shared = kept.filter { $0.block == sharing.from }
      smaller.stages[index].sharing = shared.isEmpty ? nil : sharing
      smaller.stages[index].sharing?.from = kept.count - shared.count
      if shared.contains(where: { $0.statistics != 0 }) {
        smaller.stages[index].sharing?.unsharedStatistics = true
      }
    }
    try smaller.validate()
    guard smaller.steps.count == steps.count else {
      throw ArgumentError("plan", "\(self.name) has blocks of several steps, of which none can be removed alone")
    }
    return smaller
  }
}
