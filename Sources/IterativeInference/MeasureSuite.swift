import ResidualNetworks
import Results

/// Any of the paper's measures together, on train and validation samples: what `reslens measure` runs.
public struct MeasureSuite {
  private let network: ResidualNetwork
  private let options: MeasureOptions
  private let train: Samples
  private let validation: Samples
  private let listBorderline: ((_ isTrain: Bool, BorderlineExample) -> Void)?

  /// What the suite is at.
  public enum Phase: String, Sendable {
    case scale = "samples of the train set for the scale"
    case train = "samples of the train set"
    case validation = "samples of the validation set"
  }

  /// - Parameter listBorderline: receives every borderline example, and whether it is of the train set
  /// - Throws: `MeasureError` for anything that cannot be, before any work.
  public init(
    _ network: ResidualNetwork, _ options: MeasureOptions, train: Samples, validation: Samples,
    listBorderline: ((_ isTrain: Bool, BorderlineExample) -> Void)? = nil
  ) throws(MeasureError) {
    (self.network, self.options, self.train, self.validation) = (network, options, train, validation)
    self.listBorderline = listBorderline
    let unrolls = options.names.contains(.unrolling) && unrolledStep != nil
    if unrolls {
      let scales = options.unrolling.scale.candidates
      guard !scales.isEmpty else { throw MeasureError(option: "scale-grid", problem: "there is no scale in it") }
      _ = try unrolledSteps(scales.map { .init(scale: $0) })
      let most = train.set.count / MeasureOptions.recalibrationBatch
      if let batches = options.unrolling.recalibrationBatches, batches < 1 || batches > most {
        throw MeasureError(
          option: "recalibrate",
          problem:
            "\(batches) is not between 1 and \(most), the train set's batches of \(MeasureOptions.recalibrationBatch)")
      }
    }
    for isTrain in [true, false] {
      _ = try SplitMeasures(network.architecture, options, isTrain: isTrain, unrolled: nil, nil)
    }
  }

  /// - Parameter progress: told the phase, how many of its samples are done and how many there are
  public func run(
    progress: (Phase, Int, Int) throws -> Void = { _, _, _ in }
  ) throws -> (measures: MeasureResults.Measures, absent: [MeasureResults.Absence]) {
    var unrolling: PreparedUnrolling?
    if options.names.contains(.unrolling), let step = unrolledStep {
      unrolling = try prepareUnrolling(step) { try progress(.scale, $0, train.count) }
    }
    let network = unrolling?.network ?? network
    func split(_ samples: Samples, isTrain: Bool) throws -> SplitMeasures {
      let phase = isTrain ? Phase.train : .validation
      let measures = try SplitMeasures(
        network.architecture, options, isTrain: isTrain,
        unrolled: unrolling.map { try unrolledSteps($0.ways) }, listBorderline.map { list in { list(isTrain, $0) } })
      try measure(measures.all, on: network, samples) { try progress(phase, $0, samples.count) }
      return measures
    }
    let (onTrain, onValidation) = try (split(train, isTrain: true), split(validation, isTrain: false))
    return (results(onTrain, onValidation, unrolling), absences)
  }

  private func results(
    _ train: SplitMeasures, _ validation: SplitMeasures, _ unrolling: PreparedUnrolling?
  ) -> MeasureResults.Measures {
    /// What both splits have.
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
    return measures
  }

  // MARK: unrolling

  private struct PreparedUnrolling {
    /// With the added steps' own normalisations where they are asked for.
    let network: ResidualNetwork
    /// Unscaled, then scaled.
    let ways: [UnrolledSteps.Way]
    let tried: [Unrolling.TriedScale]?
  }

  /// The step that is to be repeated; nil where none was named and the last one changes h's shape.
  private var unrolledStep: Int? {
    let steps = network.architecture.steps
    return options.unrolling.step ?? (steps.last?.name.projection == false ? steps.count : nil)
  }

  private func unrolledSteps(_ ways: [UnrolledSteps.Way]) throws(MeasureError) -> UnrolledSteps {
    try UnrolledSteps(
      network.architecture, step: unrolledStep, times: options.unrolling.times, ways: ways, margin: options.margin)
  }

  private func prepareUnrolling(_ step: Int, progress: (Int) throws -> Void) throws -> PreparedUnrolling {
    let (times, batches) = (options.unrolling.times, options.unrolling.recalibrationBatches)
    let candidates = options.unrolling.scale.candidates
    let scales = (candidates.contains(1) ? [] : [1]) + candidates
    let ways = scales.enumerated().map { index, scale in
      UnrolledSteps.Way(scale: scale, firstUse: batches.map { _ in 1 + index * times })
    }
    let unscaled = ways.filter { $0.scale == 1 }.prefix(1)
    var network = network
    if let batches {
      let plans = ways.map { UnrolledSteps.plan(network.plan, step, times, $0) }
      network = try network.recalibrated(for: plans, batches: batches) { batch in
        let first = batch * MeasureOptions.recalibrationBatch
        return try train.maker.batch(train.set, first..<first + MeasureOptions.recalibrationBatch).images
      }
    }
    let tried = ways.filter { candidates.contains($0.scale) }
    guard case .chosen = options.unrolling.scale else {
      return PreparedUnrolling(network: network, ways: unscaled + tried.filter { $0.scale != 1 }, tried: nil)
    }
    let losses = try UnrolledSteps.losses(network, step: step, times: times, ways: tried, on: train, progress: progress)
    let results = zip(tried, losses).map { Unrolling.TriedScale(scale: $0.scale, loss: $1) }
    // An explosion is no number, and worse than any.
    let best = zip(tried, losses).min { ($0.1.isNaN ? .infinity : $0.1) < ($1.1.isNaN ? .infinity : $1.1) }
    let chosen = best.map { [$0.0] }?.filter { $0.scale != 1 } ?? []
    return PreparedUnrolling(network: network, ways: unscaled + chosen, tried: results)
  }

  // MARK: what cannot exist

  private var absences: [MeasureResults.Absence] {
    let steps = network.architecture.steps.map(\.name)
    let last = network.architecture.stages.count - 1
    var all: [MeasureResults.Absence] = []
    if let first = steps.first(where: { $0.stage == last })?.step, first > 1 {
      let reason = "the head reads an h of \(network.architecture.features), the last stage's shape, only"
      for (name, part) in [
        (MeasureName.cosineLoss, "cosine-loss.plugged"), (.firstOrder, "first-order"), (.intermediate, "intermediate"),
      ] where options.names.contains(name) {
        all.append(.init(measure: part, steps: 1...first - 1, reason: reason))
      }
      if options.names.contains(.unrolling), let step = unrolledStep, steps[step - 1].stage < last {
        all.append(.init(measure: "unrolling.groups", steps: 1...first - 1, reason: reason))
      }
    }
    let readable = network.architecture.readableSteps.count
    if options.names.contains(.borderline), options.lastSteps == nil, readable < min(5, steps.count) {
      let reason = "the head cannot read the state before them"
      all.append(
        .init(
          measure: "borderline", steps: max(1, steps.count - 4)...steps.count - readable, reason: reason))
    }
    if options.names.contains(.unrolling), unrolledStep == nil {
      all.append(
        .init(
          measure: "unrolling", reason: "the last step changes the shape of h and cannot be applied to what it makes"))
    }
    if options.names.contains(.lesions) {
      if steps.allSatisfy(\.projection) {
        all.append(.init(measure: "lesions.dropped", reason: "every step changes the shape of h"))
      }
      if !steps.indices.dropFirst().contains(where: {
        steps[$0].stage == steps[$0 - 1].stage && !steps[$0].projection && !steps[$0 - 1].projection
      }) {
        let reason = "no stage has two steps that keep the shape of h"
        all += ["lesions.shuffled", "lesions.swapped"].map { .init(measure: $0, reason: reason) }
      }
    }
    return all
  }
}

/// The measures of one split.
private struct SplitMeasures {
  var cosineLoss: CosineLoss?
  var l2Ratio: L2Ratio?
  var firstOrder: FirstOrder?
  var intermediate: IntermediateScores?
  var borderline: BorderlineGroups?
  var droppedStep: DroppedStep?
  var unrolled: UnrolledSteps?
  var lesions: LesionScores?

  var all: [any Measure] {
    let all: [(any Measure)?] = [
      cosineLoss, l2Ratio, firstOrder, intermediate, borderline, droppedStep, unrolled, lesions,
    ]
    return all.compactMap { $0 }
  }

  init(
    _ architecture: Architecture, _ options: MeasureOptions, isTrain: Bool, unrolled: UnrolledSteps?,
    _ tell: ((BorderlineExample) -> Void)?
  ) throws(MeasureError) {
    func asked(_ name: MeasureName) -> Bool { options.names.contains(name) }
    cosineLoss = asked(.cosineLoss) ? CosineLoss() : nil
    l2Ratio = asked(.l2Ratio) ? L2Ratio() : nil
    firstOrder = asked(.firstOrder) ? FirstOrder() : nil
    intermediate = asked(.intermediate) ? IntermediateScores() : nil
    droppedStep = asked(.droppedStep) ? DroppedStep(architecture) : nil
    self.unrolled = unrolled
    // Where nobody said how many of the last steps, and the head can read the state before none, there is nothing.
    if asked(.borderline), options.lastSteps != nil || !architecture.readableSteps.isEmpty {
      borderline = try BorderlineGroups(
        architecture, margin: options.margin, lastSteps: options.lastSteps, tell: tell)
    }
    if asked(.lesions), !isTrain { lesions = try LesionScores(architecture, options.lesions) }
  }
}
