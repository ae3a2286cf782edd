import ResLensSupport
import ResLensTorch

extension ResidualNetwork {
  /// This network with all statistics that `plans` name and that it lacks: the normalisations keep their γ and β, and
  /// their running statistics are taken anew. The weights, and the statistics that it has, are shared with this network.
  ///
  /// The normalisations whose statistics are taken run by the batch's own statistics meanwhile, all others by running
  /// statistics; what is kept is the mean over batches (PyTorch's `momentum=None`), the variance being the unbiased one.
  /// - Precondition: the plans differ, and no two come to the same statistics in different ways, which would count the
  ///   batches twice.
  /// - Parameters:
  ///   - batches: how many batches to take the statistics on; at least 1
  ///   - images: N×C×H×W of a batch, counted from 0
  /// - Throws: `ArgumentError` for fewer than one batch; `PlanError` where the network cannot run a plan.
  public func recalibrated(
    for plans: [Plan], batches: Int, images: (Int) throws -> Tensor
  ) throws -> ResidualNetwork {
    try ArgumentError.check("batches", batches, atLeast: 1)
    let network = try withSameStatistics()
    /// The statistics that are taken: by the step's place, nil for the readout, and their number.
    struct Taken: Hashable { let place: StepPlace?, number: Int }
    var taken: Set<Taken> = []
    func add(_ number: Int, at place: StepPlace?, to all: [RunningStatistics]) throws {
      for statistics in all where !statistics.has(number) {
        try statistics.add(number)
        taken.insert(Taken(place: place, number: number))
      }
    }
    for plan in plans {
      try plan.validate(for: architecture)
      for case .step(let step) in plan.moves {
        try add(step.statistics, at: step.place, to: network.statistics(of: step))
      }
      try add(plan.readoutStatistics, at: nil, to: [network.readout.statistics].compactMap { $0 })
    }
    for batch in 0..<batches {
      let mode = NormMode.batchUpdating(momentum: 1 / Double(batch + 1))
      try PlanTree(plans: plans).run(
        on: network.begin(images(batch)),
        apply: { move, h in
          guard case .step(let step) = move,
            taken.contains(Taken(place: step.place, number: step.statistics))
          else { return try network.apply(move, to: h) }
          return try network.record(move, on: Stream(h), mode: mode, wants: []).output.h
        },
        visit: { index, h in
          let number = plans[index].readoutStatistics
          guard taken.contains(Taken(place: nil, number: number)) else { return }
          _ = try network.classify(h, mode: mode, statistics: number)
        })
    }
    return network
  }
}
