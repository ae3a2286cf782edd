import Results

/// The results of a study's runs, by which claims are checked.
public struct Evidence: Sendable {
  /// A network each, in the study's order.
  public var subjects: [Subject]

  /// One network of a study on one data set, with all its seeds.
  public struct Subject: Sendable {
    /// As the study names it.
    public var model: String
    /// The data set, as the study names it.
    public var data: String
    /// As it is at this scale.
    public var architecture: String
    /// Trainable ones.
    public var parameters: Int
    /// The results of each seed's training.
    public var runs: [Run]
    /// The mean over the seeds that were measured.
    public var measures: MeasureResults.Measures?

    /// One seed's training.
    public struct Run: Sendable {
      /// In order.
      public var epochs: [EpochRecord]
      /// The results recorded at initialisation and after epochs, in order.
      public var history: [MeasureResults]

      public init(epochs: [EpochRecord], history: [MeasureResults]) {
        (self.epochs, self.history) = (epochs, history)
      }
    }

    public init(
      model: String, data: String, architecture: String, parameters: Int, runs: [Run],
      measures: [MeasureResults.Measures]
    ) {
      self.model = model
      self.data = data
      self.architecture = architecture
      self.parameters = parameters
      self.runs = runs
      self.measures = MeasureResults.Measures.mean(of: measures)
    }
  }

  public init(subjects: [Subject]) { self.subjects = subjects }

  /// The network of that name on that data set; on any where none is named. nil where the study has none.
  func subject(_ model: String, data: String? = nil) -> Subject? {
    subjects.first { $0.model == model && (data == nil || $0.data == data) }
  }
}

extension Evidence.Subject {
  /// Over seeds, of the last epoch; nan without any.
  public var trainError: SeedStatistic { SeedStatistic(runs.compactMap { $0.epochs.last?.trainError }) }
  /// Over seeds, of the last epoch; nan without any.
  public var validationError: SeedStatistic { SeedStatistic(runs.compactMap { $0.epochs.last?.validationError }) }

  /// The mean over seeds of what was measured as the network was initialised (epoch 0), and after each epoch.
  var history: [MeasureResults] {
    let epochs = Set(runs.flatMap(\.history).map(\.epoch)).sorted()
    return epochs.compactMap { epoch in
      MeasureResults.mean(of: runs.compactMap { run in run.history.first { $0.epoch == epoch } }, called: model)
    }
  }
}
