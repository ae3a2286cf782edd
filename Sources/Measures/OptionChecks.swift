import ResLensNetworks
import ResLensResults

extension MeasureOptions {
  /// - Parameter trainImages: the number of images on which statistics can be taken anew
  /// - Throws: `MeasureError` for what is not possible in networks of this architecture; no network is built to know it.
  public func check(for architecture: Architecture, trainImages: Int, registry: Registry) throws(MeasureError) {
    try Groups.check(margin: margin)
    let measures = try registry.measures(named: names)
    if let name = measures.map({ $0.description }).first(where: { !$0.use.isPossible(way) })?.name {
      let possible = registry.names { $0.isPossible(way) }.joined(separator: ", ")
      switch way {
      case .batchStatistics:
        throw MeasureError(
          option: "batch-norm", problem: "by each batch's own statistics there is no \(name), only \(possible)")
      case .recalibrated:
        throw MeasureError(option: "recalibrate", problem: "it is not for \(name), only for \(possible)")
      case .lens, .usual:
        throw MeasureError(option: "lens", problem: "a trained lens is not for \(name), only for \(possible)")
      }
    }
    if measures.contains(where: { $0 == UnrolledSteps.self }), let step = repeatedStep(in: architecture) {
      try checkUnrolling(step, of: architecture)
    }
    if way == .recalibrated, recalibrationBatches == nil {
      throw MeasureError(option: "recalibrate", problem: "the number of batches is missing")
    }
    if let batches = recalibrationBatches,
      way == .recalibrated || measures.contains(where: { $0 == UnrolledSteps.self })
    {
      try Recalibration.check(batches: batches, images: trainImages)
    }
    for split in Split.allCases {
      let context = MeasureContext(architecture, self, split: split)
      for measure in measures { _ = try measure.init(context) }
    }
  }

  private func checkUnrolling(_ step: Int, of architecture: Architecture) throws(MeasureError) {
    let scales = unrolling.scale.candidates
    guard !scales.isEmpty else { throw MeasureError(option: "scale-grid", problem: "there is no scale in it") }
    try MeasureError.check(distinct: scales, option: "scale-grid")
    _ = try UnrolledSteps(
      architecture, step: step, times: unrolling.times, ways: scales.map { .init(scale: $0) }, margin: margin)
  }
}
