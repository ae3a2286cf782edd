/// How a network's blocks are run: a list of moves over h, from the stem's output to the head's input.
///
/// The network's own forward pass is one plan; everything that is done to a trained network (leaving a step out,
/// stopping early, scaling what a step adds) is another plan over the same blocks.
public struct Plan: Codable, Hashable, Sendable {
  public enum Move: Codable, Hashable, Sendable {
    /// The pooling through which h enters a stage.
    case pool(stage: Int)
    case step(Step)
  }

  /// h ← s(h) + scale·F(h) with the s and F of a block. With scale 0, F is not computed.
  public struct Step: Codable, Hashable, Sendable {
    public var stage: Int
    public var block: Int
    public var scale: Double

    public init(stage: Int, block: Int, scale: Double = 1) {
      self.stage = stage
      self.block = block
      self.scale = scale
    }
  }

  public var moves: [Move]

  public init(moves: [Move]) { self.moves = moves }

  /// Every block once, in order.
  public init(of architecture: Architecture) {
    moves = architecture.stages.enumerated().flatMap { index, stage -> [Move] in
      let blocks = (0..<stage.blocks).map { Move.step(Step(stage: index, block: $0)) }
      return (stage.entry.isPooling ? [.pool(stage: index)] : []) + blocks
    }
  }

  /// The places in `moves` of the steps, so that `stepPlaces[t − 1]` is step t.
  public var stepPlaces: [Int] {
    moves.indices.filter { if case .step = moves[$0] { true } else { false } }
  }

  /// The plan with step `number` (from 1) adding `scale` times what it does now.
  /// - Precondition: the plan has that step.
  public func scaling(step number: Int, by scale: Double) -> Plan {
    var plan = self
    let place = stepPlaces[number - 1]
    if case .step(var step) = moves[place] {
      step.scale *= scale
      plan.moves[place] = .step(step)
    }
    return plan
  }

  /// The plan without what step `number` (from 1) adds: F is left out and s stays.
  /// - Precondition: the plan has that step.
  public func dropping(step number: Int) -> Plan { scaling(step: number, by: 0) }
}
