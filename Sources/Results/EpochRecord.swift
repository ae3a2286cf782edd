import ResLensSupport

/// The results of one epoch of training: a row of a run folder's `epochs.csv`.
public struct EpochRecord: Codable, Equatable, Sendable {
  /// Counted from 1.
  public var epoch: Int
  /// The rate of the epoch's last step.
  public var learningRate: Double
  /// Mean training loss in nats over the epoch's augmented batches, as they were seen while training: the cross-entropy,
  /// with the recipe's label smoothing in it.
  public var trainLoss: Double
  /// Share of the same samples that were classified wrongly, 0 … 1.
  public var trainError: Double
  /// Mean cross-entropy in nats over the validation set after the epoch, in evaluation mode and float32.
  public var validationLoss: Double
  /// Share of validation samples that are classified wrongly, 0 … 1.
  public var validationError: Double
  /// Training images a second, without validation and checkpoints.
  public var imagesPerSecond: Double
  /// Wall-clock seconds of the epoch, with the scoring of what measuring had not scored, without measuring.
  public var seconds: Double

  public init(
    epoch: Int, learningRate: Double, trainLoss: Double, trainError: Double, validationLoss: Double,
    validationError: Double, imagesPerSecond: Double, seconds: Double
  ) {
    self.epoch = epoch
    self.learningRate = learningRate
    self.trainLoss = trainLoss
    self.trainError = trainError
    self.validationLoss = validationLoss
    self.validationError = validationError
    self.imagesPerSecond = imagesPerSecond
    self.seconds = seconds
  }
}

extension EpochRecord {
  /// The first line of `epochs.csv`.
  public static let csvHeader =
    "epoch,learning_rate,train_loss,train_error,validation_loss,validation_error,images_per_second,seconds"

  /// The record as a line of `epochs.csv`; every number reads back as the same Double.
  public var csvLine: String {
    let values = [
      learningRate, trainLoss, trainError, validationLoss, validationError, imagesPerSecond, seconds,
    ]
    return ([String(epoch)] + values.map { String($0) }).joined(separator: ",")
  }

  /// `epochs.csv` of these records, header first.
  public static func csv(_ records: [EpochRecord]) -> String {
    ([csvHeader] + records.map(\.csvLine)).map { $0 + "\n" }.joined()
  }

  /// Reads `epochs.csv`.
  /// - Throws: `MalformedResult` with the line and column that could not be read.
  public static func records(csv: String, file: String) throws(MalformedResult) -> [EpochRecord] {
    // A spreadsheet may have ended the lines in its own way.
    let lines = csv.split(whereSeparator: \.isNewline)
    guard lines.first.map(String.init) == csvHeader else {
      throw MalformedResult(file: file, problem: "the first line is not \"\(csvHeader)\"")
    }
    let names = csvHeader.split(separator: ",")
    var records: [EpochRecord] = []
    for (number, line) in lines.enumerated().dropFirst() {
      let fields = line.split(separator: ",", omittingEmptySubsequences: false)
      guard fields.count == names.count else {
        throw MalformedResult(
          file: file, problem: "line \(number + 1) has \(fields.count) columns instead of \(names.count)")
      }
      var values: [Double] = []
      for (name, field) in zip(names, fields) {
        guard let value = Double(field) else {
          throw MalformedResult(file: file, problem: "line \(number + 1): \(name) is \"\(field)\", not a number")
        }
        values.append(value)
      }
      guard let epoch = Int(exactly: values[0]) else {
        throw MalformedResult(file: file, problem: "line \(number + 1): epoch is \"\(fields[0])\", not a whole number")
      }
      let record = EpochRecord(
        epoch: epoch, learningRate: values[1], trainLoss: values[2], trainError: values[3],
        validationLoss: values[4], validationError: values[5], imagesPerSecond: values[6], seconds: values[7])
      if let problem = record.problem {
        throw MalformedResult(file: file, problem: "line \(number + 1): \(problem)")
      }
      guard epoch == (records.last?.epoch ?? epoch - 1) + 1 else {
        throw MalformedResult(
          file: file, problem: "line \(number + 1): epoch \(epoch) does not follow \(records.last?.epoch ?? 0)")
      }
      records.append(record)
    }
    return records
  }

  /// The first value that no epoch gives, and why; nil where all can be.
  public var problem: String? {
    if !(1...99_999).contains(epoch) { return "epoch \(epoch) is not between 1 and 99999" }
    for (name, value) in [("train_error", trainError), ("validation_error", validationError)]
    where !(0...1).contains(value) { return "\(name) \(value) is not between 0 and 1" }
    for (name, value) in [
      ("learning_rate", learningRate), ("train_loss", trainLoss), ("validation_loss", validationLoss),
      ("images_per_second", imagesPerSecond), ("seconds", seconds),
    ] where !value.isFinite || value < 0 { return "\(name) \(value) is not a number of at least 0" }
    return nil
  }
}

/// A result file that cannot be read.
public struct MalformedResult: Error, CustomStringConvertible, Equatable {
  /// Its path.
  public var file: String
  /// The line, the column, and the fault there.
  public var problem: String

  public init(file: String, problem: String) {
    self.file = file
    self.problem = problem
  }

  public var description: String { "\(file): \(problem)" }
}
