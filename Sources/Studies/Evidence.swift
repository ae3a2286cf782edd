import ResLensResults

/// The results of a study's runs, by which claims are checked.
public struct Evidence: Sendable {
  /// The networks of the study on each data set, in the study's order.
  public var subjects: [Subject]

  /// One network of a study on one data set, with all its seeds.
  public struct Subject: Sendable {
    /// The name that the study gives the network.
    public var model: String
    /// The name that the study gives the data set.
    public var data: String
    /// The name of the architecture at the study's scale.
    public var architecture: String
    /// The number of trainable parameters.
    public var parameters: Int
    /// The number of classes.
    public var classes: Int
    /// The number of validation images that the errors are of.
    public var validationSamples: Int
    /// The trainings, one for each seed.
    public var runs: [Run]
    /// The measures of the trained networks, one entry for each seed that was measured.
    public var measures: [MeasuredTables]

    /// The training with one seed.
    public struct Run: Sendable {
      /// The epochs, in order.
      public var epochs: [EpochRecord]
      /// The results recorded at initialisation and after epochs, in order.
      public var history: [MeasureResults]

      public init(epochs: [EpochRecord], history: [MeasureResults]) {
        (self.epochs, self.history) = (epochs, history)
      }
    }

    /// - Parameter measures: the measures of each seed's trained network. A table that seeds were measured for with
    ///   different parameters, for instance with more added steps, is left out.
    public init(
      model: String, data: String, architecture: String, parameters: Int, classes: Int, validationSamples: Int,
      runs: [Run], measures: [MeasuredTables]
    ) {
      self.model = model
      self.data = data
      self.architecture = architecture
      self.parameters = parameters
      self.classes = classes
      self.validationSamples = validationSamples
      self.runs = runs
      self.measures = measures.map { seed in
        var seed = seed
        seed.tables.removeAll { table in
          measures.contains { other in other[table.name].map { $0.parameters != table.parameters } ?? false }
        }
        return seed
      }
    }
  }

  public init(subjects: [Subject]) { self.subjects = subjects }

  /// The network of a name on a data set; nil where the study has none.
  /// - Parameter data: the name of the data set; nil for any
  public func subject(_ model: String, data: String? = nil) -> Subject? {
    subjects.first { $0.model == model && (data == nil || $0.data == data) }
  }
}

extension Evidence.Subject {
  /// The train error after the last epoch, over seeds; nan without any.
  public var trainError: SeedStatistic { SeedStatistic(runs.compactMap { $0.epochs.last?.trainError }) }
  /// The validation error after the last epoch, over seeds; nan without any.
  public var validationError: SeedStatistic { SeedStatistic(runs.compactMap { $0.epochs.last?.validationError }) }

  /// The measures that were recorded during training: at initialisation (epoch 0), or after an epoch.
  public struct Recorded: Sendable {
    /// The number of epochs that were done.
    public var epoch: Int
    /// The tables of the seeds that were measured after this epoch.
    public var tables: [MeasuredTables]
  }

  /// The measures recorded during training, in the order of the epochs.
  public var history: [Recorded] {
    Set(runs.flatMap(\.history).map(\.epoch)).sorted().map { epoch in
      Recorded(epoch: epoch, tables: runs.compactMap { run in run.history.first { $0.epoch == epoch }?.widest })
    }
  }
}

// MARK: numbers of several seeds

/// A number at one step, with its uncertainty.
public struct StepEstimate: Sendable {
  /// The step's number, from 1.
  public var step: Int
  /// The step's description; nil where the tables do not describe it.
  public var spec: StepSpec?
  /// The number over the seeds that have it.
  public var estimate: Estimate
}

extension [MeasuredTables] {
  /// A number of the network over the seeds that have it; nil where none has.
  public func estimate(_ number: (MeasuredTables) throws -> Estimate?) rethrows -> Estimate? {
    Estimate(overSeeds: try compactMap(number))
  }

  /// A number for each step over the seeds that have it, in the order of the steps.
  /// - Parameter numbers: the steps' numbers of one seed
  public func steps(
    _ numbers: (MeasuredTables) throws -> [(step: Int, estimate: Estimate)]
  ) rethrows -> [StepEstimate] {
    let all = Dictionary(grouping: try flatMap(numbers), by: \.step)
    return all.keys.sorted().compactMap { step in
      Estimate(overSeeds: all[step]?.map(\.estimate) ?? []).map {
        StepEstimate(step: step, spec: first?.step(step), estimate: $0)
      }
    }
  }

  /// The mean over samples at each step of a table of distributions, in the order of the steps; none where it was not
  /// measured.
  /// - Parameter selection: further keys and the values that they must have
  public func statistics(
    _ table: String, _ split: Split = .validation, _ selection: [String: Cell] = [:]
  ) throws -> [StepEstimate] {
    try steps { tables in
      try tables.rows(of: StepStatistic.self, in: table, split, selection).map { ($0.step, $0.statistic.estimate) }
    }
  }
}

extension [StepEstimate] {
  /// The numbers without their steps.
  public var estimates: [Estimate] { map(\.estimate) }
}
