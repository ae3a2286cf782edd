import ResidualNetworks
import Results

extension MeasureSuite {
  struct PreparedUnrolling {
    /// With the added steps' own normalisations where they are asked for.
    let network: ResidualNetwork
    /// Unscaled, then scaled.
    let ways: [UnrolledSteps.Way]
    let tried: [Unrolling.TriedScale]?
  }

  /// The step that is to be repeated; nil where none was named and the last one changes h's shape.
  var unrolledStep: Int? { options.repeatedStep(in: network.architecture) }

  func unrolledSteps(_ ways: [UnrolledSteps.Way]) throws(MeasureError) -> UnrolledSteps {
    try UnrolledSteps(
      network.architecture, step: unrolledStep, times: options.unrolling.times, ways: ways, margin: options.margin)
  }

  /// Takes the added steps' statistics anew where that is asked for, and chooses the scale.
  func prepareUnrolling(_ step: Int, progress: (Int) throws -> Void) throws -> PreparedUnrolling {
    let (times, batches) = (options.unrolling.times, options.unrolling.recalibrationBatches)
    let candidates = options.unrolling.scale.candidates
    let scales = (candidates.contains(1) ? [] : [1]) + candidates
    let ways = scales.enumerated().map { index, scale in
      UnrolledSteps.Way(scale: scale, firstStatistics: batches.map { _ in 1 + index * times })
    }
    let unscaled = ways.filter { $0.scale == 1 }.prefix(1)
    var network = network
    if let batches {
      let plans = try ways.map { try UnrolledSteps.plan(network.plan, step, times, $0) }
      network = try network.recalibrated(for: plans, batches: batches) { batch in
        let first = batch * MeasureOptions.recalibrationBatch
        return try train.maker.batch(train.set, first..<first + MeasureOptions.recalibrationBatch).images
      }
    }
    let tried = ways.filter { candidates.contains($0.scale) }
    guard case .chosen = options.unrolling.scale else {
      return PreparedUnrolling(network: network, ways: unscaled + tried.filter { $0.scale != 1 }, tried: nil)
    }
    let losses = try UnrolledSteps.losses(
      network, step: step, times: times, ways: tried, on: train, by: group, progress: progress)
    let results = zip(tried, losses).map { Unrolling.TriedScale(scale: $0.scale, loss: $1) }
    // An explosion is no number, and worse than any.
    let best = zip(tried, losses).min { ($0.1.isNaN ? .infinity : $0.1) < ($1.1.isNaN ? .infinity : $1.1) }
    let chosen = best.map { [$0.0] }?.filter { $0.scale != 1 } ?? []
    return PreparedUnrolling(network: network, ways: unscaled + chosen, tried: results)
  }
}
