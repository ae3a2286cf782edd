import ResidualNetworks
import Results

extension MeasureOptions {
  /// - Parameter trainImages: how many there are to take statistics on anew
  /// - Throws: `MeasureError` for what cannot be of networks of this architecture; nothing needs to be built to know it.
  public func check(for architecture: Architecture, trainImages: Int) throws(MeasureError) {
    try Groups.check(margin: margin)
    if mode == .training, let name = names.subtracting(MeasureName.inTrainingMode).map(\.rawValue).min() {
      let possible = MeasureName.allCases.filter(MeasureName.inTrainingMode.contains).map(\.rawValue)
      throw MeasureError(
        option: "mode",
        problem: "in training mode there is no \(name), only \(possible.joined(separator: ", "))")
    }
    if names.contains(.unrolling), let step = repeatedStep(in: architecture) {
      try checkUnrolling(step, of: architecture, trainImages: trainImages)
    }
    for isTrain in [true, false] {
      _ = try SplitMeasures(architecture, self, isTrain: isTrain, unrolled: nil, nil)
    }
  }

  private func checkUnrolling(
    _ step: Int, of architecture: Architecture, trainImages: Int
  ) throws(MeasureError) {
    let scales = unrolling.scale.candidates
    guard !scales.isEmpty else { throw MeasureError(option: "scale-grid", problem: "there is no scale in it") }
    try MeasureError.check(distinct: scales, option: "scale-grid")
    _ = try UnrolledSteps(
      architecture, step: step, times: unrolling.times, ways: scales.map { .init(scale: $0) }, margin: margin)
    let most = trainImages / Self.recalibrationBatch
    if let batches = unrolling.recalibrationBatches, batches < 1 || batches > most {
      throw MeasureError(
        option: "recalibrate",
        problem:
          "\(batches) is not between 1 and \(most), the batches of \(Self.recalibrationBatch) images that were trained on"
      )
    }
  }
}
