import ResLensResults

/// A run, or the mean over the seeds of one network, with its tables as sections show them.
struct ShownRun {
  /// The name in pictures and tables.
  let name: String
  /// The folders that `reslens measure` is to be called with.
  let folders: [String]
  /// nil where the run has not been measured.
  let results: MeasureResults?
  /// The tables of the largest number of samples; nil where the run has not been measured.
  let tables: MeasuredTables?
  /// The measured epochs of the training, in order.
  let epochs: [Epoch]

  /// The network as it was after one epoch.
  struct Epoch {
    var number: Int
    var batchNorm: BatchNormStatistics
    var tables: MeasuredTables
  }

  init(_ run: ReportedRun) {
    name = run.name
    folders = run.folders
    results = run.measures
    tables = run.measures?.widest
    let byEpoch = Dictionary(run.history.map { ($0.epoch, $0) }, uniquingKeysWith: { $1 })
    epochs = byEpoch.values.sorted { $0.epoch < $1.epoch }.map {
      Epoch(number: $0.epoch, batchNorm: $0.batchNorm, tables: $0.widest)
    }
  }
}

/// The measured runs that a figure shows.
struct Subjects {
  var runs: [Subject]
  /// Whether a panel says which run it shows. On a page about one run it does not; on a page about several it does, also
  /// where only one of them was measured.
  var areNamed: Bool

  /// One run of a figure.
  struct Subject {
    var name: String
    var tables: MeasuredTables
  }

  /// The title of a panel that shows a run, or a part of it.
  func title(_ run: String, _ part: String = "") -> String {
    guard areNamed else { return part }
    return part.isEmpty ? run : "\(run), \(part)"
  }
}
