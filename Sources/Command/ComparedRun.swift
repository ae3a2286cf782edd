import ResLensSupport
import ResLensResults
import ResLensTraining

/// One run in a few numbers, of measures on validation samples.
struct ComparedRun {
  let run: String
  let architecture: String
  let seed: UInt64
  let epochs: Int
  let ofEpochs: Int
  /// The data that it was trained on, and how much of them.
  let data: String
  /// The measures that were recorded while training, perhaps on another number of samples.
  let recorded: RunFolder.Recorded?
  /// By the columns' keys.
  private let values: [String: Double]

  /// - Throws: `FileError` where there is no run, or its files cannot be read.
  init(_ folder: RunFolder, name: String, _ columns: [Column]) throws {
    let configuration = try folder.configuration()
    let records = try folder.epochs()
    let (known, recorded) = try folder.measures(recordedAfter: records.count)
    let facts = Facts(
      configuration: configuration, records: records, tables: known?.widest ?? MeasuredTables(),
      samples: known?.samples(of: .validation))
    self.recorded = recorded
    run = name
    architecture = configuration.architecture.name
    seed = configuration.seed
    epochs = facts.records.count
    ofEpochs = configuration.recipe.epochs
    data = configuration.data + (configuration.trainSamples.map { " (\(counted($0, "train image")))" } ?? "")
    values = try columns.reduce(into: [:]) { $0[$1.key] = try $1.value(facts) }
  }

  subscript(_ column: Column) -> Double? { values[column.key] }

  /// The facts from which the columns are computed.
  struct Facts {
    var configuration: RunConfiguration
    var records: [EpochRecord]
    var tables: MeasuredTables
    /// Validation samples that were measured; nil where none were.
    var samples: Int?
  }

  /// A number of every run: nil where a run has none.
  struct Column: Sendable {
    /// The lines of the column's head.
    var head: [String]
    /// The higher, the sooner the column is left out where a terminal is too narrow.
    var rank = 0
    /// In JSON; in CSV with underscores.
    var key: String
    var format = NumberFormat.significant
    var value: @Sendable (Facts) throws -> Double?

    /// The number as a field of a CSV line.
    func csv(_ value: Double) -> String { if case .count = format { "\(Int(value))" } else { "\(value)" } }
  }

  /// The rank of columns that a narrow terminal loses first.
  static let leastRank = Int.max

  static let samples = Column(head: ["n"], rank: leastRank, key: "samples", format: .count) {
    $0.samples.map(Double.init)
  }

  /// - Parameter measures: the descriptions of all measures
  static func columns(_ measures: [MeasureDescription]) -> [Column] {
    [
      Column(head: ["train", "error"], key: "train-error", format: .percent) { $0.records.last?.trainError },
      Column(head: ["validation", "error"], key: "validation-error", format: .percent) {
        $0.records.last?.validationError
      },
      Column(head: ["validation", "lowest"], rank: leastRank, key: "lowest-validation-error", format: .percent) {
        $0.records.map(\.validationError).filter(\.isFinite).min()
      },
      Column(head: ["parameters"], rank: leastRank, key: "parameters", format: .count) {
        Double($0.configuration.architecture.trainableParameters)
      },
      // The seconds of all epochs so far.
      Column(head: ["seconds"], rank: leastRank, key: "seconds", format: .count) {
        $0.records.isEmpty ? nil : $0.records.map(\.seconds).reduce(0, +).rounded()
      },
      // The validation samples of the measures.
      samples,
    ]
      + measures.enumerated().flatMap { index, measure in
        measure.compared.map { number in
          Column(head: [measure.name, number.quantity], rank: index + 1, key: number.key, format: number.format) {
            try number.value($0.tables)
          }
        }
      }
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
