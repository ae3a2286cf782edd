import ResLensSupport
import ResLensTorch

extension ResidualNetwork {
  /// This network with all statistics other than 0 in `plans`: the normalisations keep their γ and β, and their running
  /// statistics are taken anew. The weights are shared with this network.
  ///
  /// The steps of such statistics run by the batch's own statistics meanwhile, all others by running statistics; what is kept is
  /// the mean over batches (PyTorch's `momentum=None`), the variance being the unbiased one.
  /// - Precondition: no two plans come to the same statistics in different ways, which would count its batches twice.
  /// - Parameters:
  ///   - batches: how many batches to take the statistics on; at least 1
  ///   - images: N×C×H×W of a batch, counted from 0
  /// - Throws: `ArgumentError` for fewer than one batch; `PlanError` where the network cannot run a plan.
  public func recalibrated(
    for plans: [Plan], batches: Int, images: (Int) throws -> Tensor
  ) throws -> ResidualNetwork {
    try ArgumentError.check("batches", batches, atLeast: 1)
    let network = try ResidualNetwork(architecture, parameters: parameters)
    for plan in plans {
      try plan.validate(for: architecture)
      for case .step(let step) in plan.moves where step.statistics != 0 {
        try network.addStatistics(of: step)
      }
    }
    for batch in 0..<batches {
      try PlanTree(plans: plans).run(
        on: network.begin(images(batch)),
        apply: { move, h in
          guard case .step(let step) = move, step.statistics != 0, step.scale != 0 else {
            return try network.apply(move, to: h)
          }
          return try network.record(
            move, on: Stream(h), mode: .batchUpdating(momentum: 1 / Double(batch + 1)), wants: []
          )
          .output.h
        }, visit: { _, _ in })
    }
    return network
  }
}
