import ResLensNetworks
import ResLensResults
import ResLensTorch

/// Any measures together, on train and validation samples: what `reslens measure` runs.
public struct MeasureSuite {
  private let network: ResidualNetwork
  private let options: MeasureOptions
  private let measures: [any Measure.Type]
  /// Training images. The scale α is chosen and statistics are recomputed with these.
  public let train: Samples
  /// Images that were not used for training.
  public let validation: Samples
  private let listBorderline: ((Split, BorderlineExample) -> Void)?
  private let perSample: ((Split, Int, [Table]) throws -> Void)?
  private let group: ProcessGroup?
  private let lens: TrainedLens?

  /// The current phase of the suite.
  public enum Phase: String, Sendable {
    case recalibration = "batches of the train set for recalibration"
    case scale = "samples of the train set for the scale"
    case train = "samples of the train set"
    case validation = "samples of the validation set"
  }

  /// The results of a suite.
  public struct Found {
    /// The tables of all measures; their first keys are `split` and `samples`.
    public var tables: [Table]
    /// The values that cannot exist in the network, and why.
    public var absent: [MeasureResults.Absence]
    /// The network's own scores on the validation samples; of no sample where batch normalisations run by each batch's own
    /// statistics.
    public var validation: ScoreSum
  }

  /// - Parameters:
  ///   - registry: the measures that the options' names are of
  ///   - lens: reads the states inside the network, where the options ask for one of its kind
  ///   - group: processes that have a share of the batches each; all of them get what one would have found
  ///   - listBorderline: receives every borderline example
  ///   - perSample: receives the tables of every sample alone, with its split and its index in it
  /// - Throws: `MeasureError` for anything that is not possible, before any work.
  public init(
    _ network: ResidualNetwork, _ options: MeasureOptions, registry: Registry = .standard, train: Samples,
    validation: Samples, lens: TrainedLens? = nil, by group: ProcessGroup? = nil,
    listBorderline: ((Split, BorderlineExample) -> Void)? = nil,
    perSample: ((Split, Int, [Table]) throws -> Void)? = nil
  ) throws(MeasureError) {
    (self.network, self.options, self.train, self.validation) = (network, options, train, validation)
    (self.group, self.listBorderline, self.perSample) = (group, listBorderline, perSample)
    self.lens = lens
    guard lens?.kind == options.lens else {
      throw MeasureError(
        option: "lens", problem: "the lens is not of the kind that the options ask for")
    }
    try options.check(for: network.architecture, trainImages: train.set.count, registry: registry)
    measures = try registry.measures(named: options.names)
    if listBorderline != nil, MeasureContext(network.architecture, options).readableSteps.isEmpty {
      throw MeasureError(
        option: "list-borderline",
        problem: "\(network.architecture.name) has no state before a step that the lens reads")
    }
  }

  /// - Parameter progress: told the phase, how many of its samples are done and how many there are
  public func run(progress: (Phase, Int, Int) throws -> Void = { _, _, _ in }) throws -> Found {
    var unrolling: PreparedUnrolling?
    if measures.contains(where: { $0 == UnrolledSteps.self }),
      let step = options.repeatedStep(in: network.architecture)
    {
      unrolling = try PreparedUnrolling(network, step: step, options, train: train, by: group) {
        try progress(.scale, $0, train.count)
      }
    }
    let recalibrated = try recalibratedPlans(progress)
    var validationScore = ScoreSum()
    func tables(of split: Split) throws -> [Table] {
      let samples = split == .train ? train : validation
      var context = context(split)
      context.unrolling = unrolling
      let unlisted = context
      let single = perSample.map { receive in
        PerSample {
          try measures.compactMap { try $0.init(unlisted) }
        } take: { index, measures in
          try receive(split, index, measures.flatMap { try $0.tables() })
        }
      }
      context.listBorderline = listBorderline.map { list in { list(split, $0) } }
      let taken = try measures.compactMap { try $0.init(context) }
      try measure(
        taken, on: unrolling?.network ?? network, samples, batchNorm: options.batchNorm, lens: lens,
        recalibrated: recalibrated, by: group,
        own: { if split == .validation, options.batchNorm == .running { validationScore.add($0) } },
        perSample: single,
        progress: { try progress(split == .train ? .train : .validation, $0, samples.count) })
      let key = Table.Column("samples")
      return try taken.flatMap { measure in
        try measure.tables().filter { !$0.rows.isEmpty }.compactMap { table in
          var table = try Table.joined([(.number(Double(samples.count)), table)], by: key)
          table?.parameters = type(of: measure).parameters(in: context)
          return table
        }
      }
    }
    let all = try Split.allCases.map { (split: $0, tables: try tables(of: $0)) }
    var names: [String] = []
    for table in all.flatMap(\.tables) where !names.contains(table.name) { names.append(table.name) }
    let joined = try names.compactMap { name in
      try Table.joined(
        all.compactMap { part in part.tables.first { $0.name == name }.map { (part.split.cell, $0) } },
        by: .init("split"))
    }
    return Found(
      tables: joined, absent: measures.flatMap { $0.absences(in: context(.validation)) }, validation: validationScore)
  }

  /// The measures' plans with recalibrated statistics; nil where the options do not ask for them.
  private func recalibratedPlans(_ progress: (Phase, Int, Int) throws -> Void) throws -> RecalibratedPlans? {
    guard options.way == .recalibrated, let batches = options.recalibrationBatches else { return nil }
    let altering = try Split.allCases.flatMap { split in try measures.compactMap { try $0.init(context(split)) } }
    var done = 0
    return try RecalibratedPlans(of: altering, on: network, by: Recalibration(batches: batches, on: train)) {
      try progress(.recalibration, done, batches)
      done += 1
    }
  }

  /// The settings that each measure's numbers depend on, by the measures' names.
  public var parameters: [String: [String: Cell]] {
    let context = context(.validation)
    return Dictionary(
      measures.map { ($0.description.name, $0.parameters(in: context)) }, uniquingKeysWith: { first, _ in first })
  }

  private func context(_ split: Split) -> MeasureContext {
    MeasureContext(
      network.architecture, options, split: split, samples: split == .train ? train.count : validation.count)
  }
}
