import ResLensNetworks
import ResLensResults
import ResLensTorch

/// The ways of repeating a step in one network.
struct PreparedUnrolling {
  /// The network, with the added steps' own statistics where they are asked for.
  let network: ResidualNetwork
  /// The repeated step's number.
  let step: Int
  /// Unscaled, then scaled.
  let ways: [UnrolledSteps.Way]
  /// The scales that were tried on train data; nil where the scale was given.
  let tried: [UnrolledSteps.ScaleRow]?

  /// Recalibrates the added steps' statistics where that is asked for, and chooses the scale.
  init(
    _ network: ResidualNetwork, step: Int, _ options: MeasureOptions, train: Samples, by group: ProcessGroup?,
    progress: (Int) throws -> Void
  ) throws {
    self.step = step
    let (times, batches) = (options.unrolling.times, options.recalibrationBatches)
    let candidates = options.unrolling.scale.candidates
    let scales = (candidates.contains(1) ? [] : [1]) + candidates
    let ways = scales.enumerated().map { index, scale in
      UnrolledSteps.Way(scale: scale, firstStatistics: batches.map { _ in 1 + index * times })
    }
    let unscaled = ways.filter { $0.scale == 1 }.prefix(1)
    var prepared = network
    if let batches {
      let plans = try ways.map { try UnrolledSteps.plan(network.plan, step, times, $0) }
      prepared = try Recalibration(batches: batches, on: train).applied(to: network, for: plans)
    }
    self.network = prepared
    let possible = ways.filter { candidates.contains($0.scale) }
    guard case .chosen = options.unrolling.scale else {
      tried = nil
      self.ways = unscaled + possible.filter { $0.scale != 1 }
      return
    }
    let losses = try UnrolledSteps.losses(
      prepared, step: step, times: times, ways: possible, on: train, by: group, progress: progress)
    tried = zip(possible, losses).map { UnrolledSteps.ScaleRow(scale: $0.scale, loss: $1) }
    // An explosion is not a number, and worse than any.
    let best = zip(possible, losses).min { ($0.1.isNaN ? .infinity : $0.1) < ($1.1.isNaN ? .infinity : $1.1) }
    self.ways = unscaled + (best.map { [$0.0] } ?? []).filter { $0.scale != 1 }
  }
}
