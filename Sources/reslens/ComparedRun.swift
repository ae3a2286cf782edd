import Host
import Results
import Training

/// One run in a few numbers. Of measures, on validation samples.
struct ComparedRun {
  let run: String
  let architecture: String
  let seed: UInt64
  let epochs: Int
  let ofEpochs: Int
  /// The measures that were recorded while training, perhaps on another number of samples.
  let recorded: RunFolder.Recorded?
  /// By the columns' keys.
  private let values: [String: Double]

  /// - Throws: `FileError` where there is no run, or its files cannot be read.
  init(_ folder: RunFolder, name: String) throws {
    let configuration = try folder.configuration()
    let records = try folder.epochs()
    let (known, recorded) = try folder.measures(recordedAfter: records.count)
    let facts = Facts(
      configuration: configuration, records: records, measures: known?.measures ?? .init(),
      samples: known?.samples.validation)
    self.recorded = recorded
    run = name
    architecture = configuration.architecture.name
    seed = configuration.seed
    epochs = facts.records.count
    ofEpochs = configuration.recipe.epochs
    values = Self.columns.reduce(into: [:]) { $0[$1.key] = $1.value(facts) }
  }

  subscript(_ column: Column) -> Double? { values[column.key] }

  /// The facts from which the columns are computed.
  struct Facts {
    var configuration: RunConfiguration
    var records: [EpochRecord]
    var measures: MeasureResults.Measures
    /// Validation samples that were measured; nil where none were.
    var samples: Int?

    /// The mean cosine loss of every step, in order; nil where there are none.
    var cosines: [Double]? { means(measures.cosineLoss?.backpropagated.validation) }
    var ratios: [Double]? { means(measures.l2Ratio?.validation) }

    private func means(_ steps: [StepStatistic]?) -> [Double]? {
      steps.flatMap { $0.isEmpty ? nil : $0.map(\.mean) }
    }
  }

  /// A number of every run: nil where a run has none.
  struct Column: Sendable {
    var head: String
    /// In JSON; in CSV with underscores.
    var key: String
    var kind = Kind.number
    var value: @Sendable (Facts) -> Double?
  }

  enum Kind: Sendable {
    case number, count
    /// Shown in per cent.
    case share

    func text(_ value: Double) -> String {
      switch self {
      case .number: significant(value)
      case .count: fixed(value, 0)
      case .share: percent(value)
      }
    }

    func csv(_ value: Double) -> String { self == .count ? fixed(value, 0) : "\(value)" }
  }

  static let samples = Column(head: "n", key: "samples", kind: .count) { $0.samples.map(Double.init) }

  static var columns: [Column] {
    [
      Column(head: "train error", key: "train-error", kind: .share) { $0.records.last?.trainError },
      Column(head: "validation error", key: "validation-error", kind: .share) { $0.records.last?.validationError },
      Column(head: "lowest", key: "lowest-validation-error", kind: .share) {
        $0.records.map(\.validationError).filter(\.isFinite).min()
      },
      Column(head: "parameters", key: "parameters", kind: .count) {
        Double($0.configuration.architecture.trainableParameters)
      },
      // The seconds of all epochs so far.
      Column(head: "seconds", key: "seconds", kind: .count) {
        $0.records.isEmpty ? nil : $0.records.map(\.seconds).reduce(0, +)
      },
      // Validation samples of the measures.
      samples,
      // As a share of all steps.
      Column(head: "cosine < 0", key: "cosine-loss-negative", kind: .share) {
        $0.cosines.map { Double($0.count { $0 < 0 }) / Double($0.count) }
      },
      Column(head: "last cosine", key: "cosine-loss-last") { $0.cosines?.last },
      Column(head: "largest ℓ2", key: "l2-ratio-largest") { $0.ratios?.max() },
      Column(head: "median ℓ2", key: "l2-ratio-median") { $0.ratios.map(median) },
      // Accuracy lost without the step that costs most.
      Column(head: "worst drop", key: "dropped-step-worst", kind: .share) { facts in
        facts.measures.droppedStep.flatMap { dropped in
          dropped.validation.map(\.score.accuracy).min().map { dropped.baseline.validation.accuracy - $0 }
        }
      },
      // The head's accuracy after the last stage's first step.
      Column(head: "first exit", key: "intermediate-first", kind: .share) {
        $0.measures.intermediate?.validation.first?.score.accuracy
      },
      // Accuracy of borderline examples, at the reference and at the end.
      Column(head: "borderline", key: "borderline-reference", kind: .share) {
        $0.measures.borderline?.states.validation.first?.groups.borderline?.accuracy
      },
      Column(head: "at the end", key: "borderline-end", kind: .share) {
        $0.measures.borderline?.states.validation.last?.groups.borderline?.accuracy
      },
      Column(head: "unroll α", key: "unrolling-scale") { $0.measures.unrolling?.trajectories.last?.scale },
      // The change of mean loss; behind another step than the last the head's answer is not the trained network's.
      Column(head: "its Δ loss", key: "unrolling-loss-change") { facts in
        guard let unrolling = facts.measures.unrolling, unrolling.repeatsLastStep,
          let steps = unrolling.trajectories.last?.steps.validation,
          let before = steps.last(where: { $0.repetition == 0 })?.groups, let after = steps.last?.groups
        else { return nil }
        return after.all.loss - before.all.loss
      },
      Column(head: "gradient ratio", key: "gradient-norm-ratio") { $0.measures.gradientNorm?.validation.ratio?.mean },
    ]
  }
}

extension ComparedRun: Encodable {
  func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: AnyKey.self)
    try object.encode(run, forKey: AnyKey("run"))
    try object.encode(architecture, forKey: AnyKey("architecture"))
    try object.encode(seed, forKey: AnyKey("seed"))
    try object.encode(epochs, forKey: AnyKey("epochs"))
    try object.encode(ofEpochs, forKey: AnyKey("of-epochs"))
    for (key, value) in values { try object.encode(value, forKey: AnyKey(key)) }
  }
}
