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
    /// The trainings, one for each seed.
    public var runs: [Run]
    /// The measures of the trained networks: the mean over the seeds that were measured; nil where none was.
    public var measures: MeasuredTables?

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

    /// - Parameter measures: the measures of each seed's trained network
    /// - Throws: `TableError` where the tables of the seeds have different columns.
    public init(
      model: String, data: String, architecture: String, parameters: Int, runs: [Run], measures: [MeasuredTables]
    ) throws(TableError) {
      self.model = model
      self.data = data
      self.architecture = architecture
      self.parameters = parameters
      self.runs = runs
      self.measures = try MeasuredTables.mean(overSeeds: measures)
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
    /// The mean over the seeds that were measured after this epoch.
    public var tables: MeasuredTables
  }

  /// What was recorded during training, in the order of the epochs.
  /// - Throws: `TableError` where the tables of the seeds have different columns.
  public func history() throws -> [Recorded] {
    let all = runs.flatMap(\.history)
    return try Set(all.map(\.epoch)).sorted().compactMap { epoch in
      let seeds = runs.compactMap { run in run.history.first { $0.epoch == epoch }?.widest }
      return try MeasuredTables.mean(overSeeds: seeds).map { Recorded(epoch: epoch, tables: $0) }
    }
  }
}

// MARK: means over seeds

extension MeasuredTables {
  /// The mean over networks that differ in their seed; nil where there are none.
  ///
  /// A table that was measured with different parameters, for instance with more added steps, has no mean.
  /// - Throws: `TableError` where the networks' tables have different columns.
  static func mean(overSeeds all: [MeasuredTables]) throws(TableError) -> MeasuredTables? {
    guard all.count > 1 else { return all.first }
    let hasScaledSteps = all.contains { $0.tables.contains(where: \.hasScaledSteps) }
    var seeds: [MeasuredTables] = []
    for var seed in all {
      seed.tables.removeAll { table in
        all.contains { other in other[table.name].map { $0.parameters != table.parameters } ?? false }
      }
      if hasScaledSteps {
        for index in seed.tables.indices { try seed.tables[index].addScaledSteps() }
      }
      seeds.append(seed)
    }
    return try mean(of: seeds)
  }
}

extension Table {
  private static let (unscaled, scaled) = (Cell.text("unscaled"), Cell.text("scaled"))

  /// The index of the key that tells unscaled from scaled steps in the tables of an unrolling; nil in other tables.
  private var wayIndex: Int? { measure == "unrolling" ? keys.firstIndex { $0.name == "way" } : nil }

  /// Whether the table is of an unrolling whose added steps were scaled by another factor than 1.
  fileprivate var hasScaledSteps: Bool {
    wayIndex.map { way in rows.contains { $0[way] == Self.scaled } } ?? false
  }

  /// Adds the unscaled steps of an unrolling as scaled steps too, where there are none. Each network chooses the factor
  /// of its added steps, and where the best one is 1 its unscaled steps are its scaled ones.
  fileprivate mutating func addScaledSteps() throws(TableError) {
    guard let way = wayIndex, !hasScaledSteps else { return }
    var scaled = rows.filter { $0[way] == Self.unscaled }
    for index in scaled.indices { scaled[index][way] = Self.scaled }
    try append(
      Table(name, of: measure, keys: keys, values: values, rows: scaled, parameters: parameters))
  }
}

// MARK: reading tables in the order of the steps

extension MeasuredTables {
  /// One distribution for each step, in the order of the steps; none where it was not measured.
  /// - Parameter selection: further keys and the values that they must have
  func statistics(
    _ table: String, _ split: Split = .validation, _ selection: [String: Cell] = [:]
  ) throws -> [StepStatistic] {
    try rows(of: StepStatistic.self, in: table, split, selection).sorted { $0.step < $1.step }
  }

  /// The mean of each step, in the order of the steps; none where it was not measured.
  func means(_ table: String, _ split: Split = .validation, _ selection: [String: Cell] = [:]) throws -> [Double] {
    try statistics(table, split, selection).map(\.mean)
  }
}
