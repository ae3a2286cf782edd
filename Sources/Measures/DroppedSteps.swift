import ResLensNetworks
import ResLensResults
import ResLensSupport

/// A network with steps dropped one after the other, and perhaps with the running statistics behind each recalibrated.
///
/// Where they are, dropping a step takes the statistics of everything behind it anew, each time on the same batches of train
/// images. What comes before the step stays as it is.
public struct DroppedSteps {
  /// The network, with all statistics that `plan` names.
  public private(set) var network: ResidualNetwork
  /// The network's plan without the dropped steps.
  public private(set) var plan: Plan
  /// The numbers of the dropped steps, in the order in which they were dropped.
  public private(set) var dropped: [Int] = []
  private let recalibration: Recalibration?

  /// - Parameter recalibration: nil to keep the trained statistics
  public init(_ network: ResidualNetwork, recalibration: Recalibration? = nil) {
    (self.network, plan, self.recalibration) = (network, network.plan, recalibration)
  }

  /// The steps that can be dropped next: those that a smaller network can do without, except a step that is the only one left
  /// in its stage.
  public var candidates: [Int] {
    get throws {
      let left = network.architecture.steps.filter { !dropped.contains($0.id.number) }
      let lasts = Dictionary(grouping: left, by: \.stage).values.filter { $0.count == 1 }.map { $0[0].id.number }
      return try network.removableSteps.filter { !dropped.contains($0) && !lasts.contains($0) }
    }
  }

  /// The number of steps that can be dropped from a network one after the other.
  public static func most(of network: ResidualNetwork) throws -> Int {
    let removable = Set(try network.removableSteps)
    return Dictionary(grouping: network.architecture.steps, by: \.stage).values.reduce(0) { sum, steps in
      sum + min(steps.count - 1, steps.count { removable.contains($0.id.number) })
    }
  }

  /// Drops one more step.
  /// - Throws: `ArgumentError` where it is not among `candidates`.
  public mutating func drop(_ step: Int) throws {
    guard try candidates.contains(step) else {
      throw ArgumentError("step", "\(network.architecture.name) cannot do without step \(step) now")
    }
    let next = try dropping(each: [step])
    (network, plan) = (next.network, next.plans[0])
    dropped.append(step)
  }

  /// Drops the candidate without which the mean loss on some samples is the lowest; the first of several equal ones.
  /// - Parameter progress: told how many samples are done, before each batch of recalibration and after each batch of samples
  /// - Returns: the candidates with their losses, in the order of the steps; empty where there are none
  public mutating func dropCheapest(
    on samples: some BatchSource, progress: (Int) throws -> Void = { _ in }
  ) throws -> [PruningResults.Choice] {
    let steps = try candidates
    let next = try dropping(each: steps) { try progress(0) }
    let scores = try next.network.scores(by: next.plans, on: samples, progress: progress)
    let choices = zip(steps, scores).map { step, score in
      PruningResults.Choice(dropped: dropped.count + 1, step: step, loss: score.loss)
    }
    if let best = choices.best { try drop(best.step) }
    return choices
  }

  /// For each of some steps a plan without it and without the steps that were dropped before, and the network with the
  /// statistics that these plans name.
  private func dropping(
    each steps: [Int], beforeBatch: () throws -> Void = {}
  ) throws -> (network: ResidualNetwork, plans: [Plan]) {
    var plans = try steps.map { try plan.dropping(step: $0) }
    guard let recalibration else { return (network, plans) }
    for (index, step) in steps.enumerated() {
      // The statistics of the steps that were dropped before are numbered from 1 on.
      plans[index] = try plans[index].recalibrating(behind: step, as: dropped.count + 1 + index)
    }
    return (try recalibration.applied(to: network, for: plans, beforeBatch: beforeBatch), plans)
  }
}
