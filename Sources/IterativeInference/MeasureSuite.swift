import ResidualNetworks
import Results
import Torch

/// Any of the paper's measures together, on train and validation samples: what `reslens measure` runs.
public struct MeasureSuite {
  let network: ResidualNetwork
  let options: MeasureOptions
  /// Training images. The scale α is chosen and statistics are recomputed with these.
  public let train: Samples
  /// Images that were not used for training.
  public let validation: Samples
  private let listBorderline: ((_ isTrain: Bool, BorderlineExample) -> Void)?
  let group: ProcessGroup?

  /// The current phase of the suite.
  public enum Phase: String, Sendable {
    case scale = "samples of the train set for the scale"
    case train = "samples of the train set"
    case validation = "samples of the validation set"
  }

  /// - Parameters:
  ///   - group: processes that have a share of the batches each; all of them get what one would have found
  ///   - listBorderline: receives every borderline example, and whether it is of the train set
  /// - Throws: `MeasureError` for anything that cannot be, before any work.
  public init(
    _ network: ResidualNetwork, _ options: MeasureOptions, train: Samples, validation: Samples,
    by group: ProcessGroup? = nil, listBorderline: ((_ isTrain: Bool, BorderlineExample) -> Void)? = nil
  ) throws(MeasureError) {
    (self.network, self.options, self.train, self.validation) = (network, options, train, validation)
    (self.group, self.listBorderline) = (group, listBorderline)
    try options.check(for: network.architecture, trainImages: train.set.count)
    if listBorderline != nil, network.architecture.readableSteps.isEmpty {
      throw MeasureError(
        option: "list-borderline",
        problem: "\(network.architecture.name) has no state before a step that the head reads")
    }
  }

  /// - Parameter progress: told the phase, how many of its samples are done and how many there are
  /// - Returns: the measures, which of them cannot be and why, and what the network says of the validation samples: of none
  ///   where measuring does not look at them in evaluation mode
  public func run(
    progress: (Phase, Int, Int) throws -> Void = { _, _, _ in }
  ) throws -> (measures: MeasureResults.Measures, absent: [MeasureResults.Absence], validation: ScoreSum) {
    var unrolling: PreparedUnrolling?
    if options.names.contains(.unrolling), let step = unrolledStep {
      unrolling = try prepareUnrolling(step) { try progress(.scale, $0, train.count) }
    }
    let network = unrolling?.network ?? network
    func split(_ samples: Samples, isTrain: Bool) throws -> SplitMeasures {
      let phase = isTrain ? Phase.train : .validation
      let tell = listBorderline.map { list in { list(isTrain, $0) } }
      return try measure(
        { isTold in
          try SplitMeasures(
            network.architecture, options, isTrain: isTrain, unrolled: unrolling.map { try unrolledSteps($0.ways) },
            isTold ? tell : nil)
        }, all: \.all, on: network, samples, mode: options.mode, by: group
      ) { try progress(phase, $0, samples.count) }
    }
    let (onTrain, onValidation) = try (split(train, isTrain: true), split(validation, isTrain: false))
    return (
      results(onTrain, onValidation, unrolling), options.absences(in: network.architecture), onValidation.whole.sum
    )
  }

  private func results(
    _ train: SplitMeasures, _ validation: SplitMeasures, _ unrolling: PreparedUnrolling?
  ) -> MeasureResults.Measures {
    /// The value of both splits; nil where a split has none.
    func both<Kind, Value>(_ measure: (SplitMeasures) -> Kind?, _ value: (Kind) -> Value) -> BySplit<Value>? {
      guard let train = measure(train), let validation = measure(validation) else { return nil }
      return BySplit(train: value(train), validation: value(validation))
    }
    var measures = MeasureResults.Measures()
    if let backpropagated = both(\.cosineLoss, \.backpropagated), let plugged = both(\.cosineLoss, \.plugged) {
      measures.cosineLoss = .init(backpropagated: backpropagated, plugged: plugged)
    }
    measures.l2Ratio = both(\.l2Ratio, \.result)
    measures.firstOrder = both(\.firstOrder, \.result)
    measures.intermediate = both(\.intermediate, \.result)
    if let dropped = both(\.droppedStep, \.result), let baseline = both(\.droppedStep, \.baseline) {
      measures.droppedStep = .init(train: dropped.train, validation: dropped.validation, baseline: baseline)
    }
    if let states = both(\.borderline, \.states), let turns = both(\.borderline, \.turned),
      let reference = train.borderline?.reference
    {
      measures.borderline = .init(margin: options.margin, reference: reference, states: states, turns: turns)
    }
    if let unrolling, let repeated = train.unrolled?.repeated {
      measures.unrolling = Unrolling(
        repeated: repeated, times: options.unrolling.times, margin: options.margin,
        recalibrationBatches: options.unrolling.recalibrationBatches, tried: unrolling.tried,
        trajectories: unrolling.ways.enumerated().compactMap { index, way in
          both(\.unrolled) { $0.result(way: index) }.map { .init(scale: way.scale, steps: $0) }
        })
    }
    measures.lesions = validation.lesions?.result
    measures.activationNorm = both(\.activationNorm?.result) { $0 }
    measures.gradientNorm = both(\.gradientNorm?.result) { $0 }
    return measures
  }
}
