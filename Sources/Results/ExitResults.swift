import Foundation
import ResLensSupport

/// A rule by which a sample leaves a network early: what is read after a step must be sure enough.
public enum ExitRule: String, Codable, CaseIterable, Sendable {
  /// The largest probability is at least the threshold.
  case confidence
  /// The entropy of the distribution is at most the threshold, in nats.
  case entropy
  /// KL(step‖step before) of what is read after two exits in a row is at most the threshold, in nats.
  case agreement

  /// A number that is larger the surer a reading is, so that a sample leaves where it is at least a limit; NaN where there is
  /// nothing to compare with.
  /// - Parameters:
  ///   - logs: the logarithms of the probabilities that are read after a step
  ///   - earlier: those that were read at the exit before; nil at the first exit
  public func sureness(_ logs: [Double], after earlier: [Double]?) -> Double {
    switch self {
    case .confidence: exp(logs.max() ?? .nan)
    case .entropy: logs.reduce(0) { $0 + ($1 == -.infinity ? 0 : exp($1) * $1) }
    case .agreement:
      earlier.map { earlier in
        -divergence(of: earlier, from: logs)
      } ?? .nan
    }
  }

  /// The threshold in the rule's own unit of a limit of sureness, and the limit of a threshold.
  public func mirrored(_ limit: Double) -> Double { self == .confidence ? limit : -limit }

  /// The reason why no sample of a network of so many classes can leave by a threshold, or why all would, in a clause; nil
  /// where some may.
  public func problem(of threshold: Double, classes: Int) -> String? {
    switch self {
    case .confidence:
      if threshold > 1 { return "no probability is above 1" }
      return threshold > 1 / Double(classes) ? nil : "the largest of \(classes) probabilities is at least 1/\(classes)"
    case .entropy:
      if threshold < 0 { return "no entropy is below 0" }
      let most = log(Double(classes))
      return threshold <= most ? nil : "every entropy of \(classes) classes is at most \(decimal(most, 4))"
    case .agreement: return threshold >= 0 ? nil : "no divergence is below 0"
    }
  }
}

/// The result of letting samples leave a network early, by one lens and one rule.
public struct ExitResults: Codable, Equatable, Sendable, Checked {
  /// The format of the file.
  public static let format = 1

  /// The settings on which all numbers but times depend.
  public var settings: Settings
  /// The call that measured, on which times depend.
  public var session: Session
  /// A row for each threshold (`Threshold`).
  public private(set) var curve: Table
  /// The whole network, and the network by chosen thresholds (`Point`).
  public private(set) var points: Table
  /// The number of samples that left after each step (`Left`).
  public private(set) var left: Table
  private var format = Self.format

  /// The call that measured.
  public struct Session: Codable, Equatable, Sendable {
    /// The checkpoint's name.
    public var checkpoint: String
    /// The source of the images.
    public var data: String
    /// The number of samples of a batch.
    public var batch: Int
    /// The device that computed.
    public var device: String
    /// The version of reslens.
    public var program: String
    /// The time of the call, in ISO 8601.
    public var date: String

    public init(checkpoint: String, data: String, batch: Int, device: String, program: String, date: String) {
      (self.checkpoint, self.data, self.batch, self.device) = (checkpoint, data, batch, device)
      (self.program, self.date) = (program, date)
    }
  }

  /// The settings on which all numbers but times depend. Results of other settings do not stand in one file.
  public struct Settings: Codable, Equatable, Sendable {
    /// The architecture.
    public var architecture: String
    /// SHA-256 of the weights.
    public var weights: String
    /// The lens that reads the states: "readout", "linear" or "affine".
    public var lens: String
    /// SHA-256 of the lens's maps; nil for the readout.
    public var maps: String?
    /// The rule.
    public var rule: ExitRule
    /// The numbers of the steps after which samples can leave, in order.
    public var exits: [Int]
    /// The threshold that was given, in the rule's own unit; nil where thresholds are chosen.
    public var threshold: Double?
    /// SHA-256 of the train images on which thresholds are chosen; nil where the threshold was given.
    public var trainImages: String?
    /// SHA-256 of the validation images.
    public var validationImages: String
    /// The statistics by which the images are normalised.
    public var statistics: ChannelStatistics
    /// The number of train images on which thresholds are chosen; nil where the threshold was given.
    public var chosenOn: Int?
    /// The number of train images before them, on which the lens was fitted; nil for none.
    public var chosenAfter: Int?
    /// True if the lens was fitted on some of the images on which thresholds are chosen, so that it is surer of them than of
    /// others; nil if not.
    public var isLensFittedOnThem: Bool?
    /// The number of validation images.
    public var scoredOn: Int

    /// The name of the network's own readout as a lens.
    public static let readout = "readout"

    enum CodingKeys: String, CodingKey {
      case architecture, weights, lens, maps, rule, exits, threshold, statistics
      case trainImages = "train_images"
      case validationImages = "validation_images"
      case chosenOn = "chosen_on"
      case chosenAfter = "chosen_after"
      case isLensFittedOnThem = "lens_fitted_on_them"
      case scoredOn = "scored_on"
    }

    public init(
      architecture: String, weights: String, lens: String, maps: String?, rule: ExitRule, exits: [Int],
      threshold: Double?,
      trainImages: String?, validationImages: String, statistics: ChannelStatistics, chosenOn: Int?,
      chosenAfter: Int? = nil, isLensFittedOnThem: Bool? = nil, scoredOn: Int
    ) {
      (self.architecture, self.weights, self.lens, self.maps) = (architecture, weights, lens, maps)
      (self.rule, self.exits, self.threshold) = (rule, exits, threshold)
      (self.trainImages, self.validationImages) = (trainImages, validationImages)
      (self.statistics, self.chosenOn, self.scoredOn) = (statistics, chosenOn, scoredOn)
      (self.chosenAfter, self.isLensFittedOnThem) = (chosenAfter, isLensFittedOnThem)
    }
  }

  /// The network by one threshold.
  public struct Threshold: TableRow {
    /// The threshold, in the rule's own unit.
    public var threshold: Double
    /// The accuracy on the train images on which thresholds are chosen; nil where the threshold was given.
    public var trainAccuracy: Double?
    /// The mean of multiply-accumulates over these images; nil where the threshold was given.
    public var trainMACs: Double?
    /// The accuracy on validation images.
    public var accuracy: Double
    /// The mean of multiply-accumulates over validation images, the lens's own included.
    public var macs: Double

    public static let keys = ["threshold"]
    public static let units = ["train_accuracy": Table.Column.share, "accuracy": Table.Column.share]

    enum CodingKeys: String, CodingKey {
      case threshold, accuracy, macs
      case trainAccuracy = "train_accuracy"
      case trainMACs = "train_macs"
    }

    public init(threshold: Double, trainAccuracy: Double?, trainMACs: Double?, accuracy: Double, macs: Double) {
      (self.threshold, self.trainAccuracy, self.trainMACs) = (threshold, trainAccuracy, trainMACs)
      (self.accuracy, self.macs) = (accuracy, macs)
    }
  }

  /// The purpose that a threshold was chosen for.
  public enum Choice: String, Codable, CaseIterable, Sendable {
    /// No threshold: the network without exits.
    case whole
    /// The threshold with the fewest multiply-accumulates that loses no accuracy on train images.
    case lossless
    /// The threshold with the highest accuracy on train images among those that halve the multiply-accumulates there.
    case half
    /// The threshold that the user gave.
    case given

    /// The choice in words, as they follow "the network".
    public var words: String {
      switch self {
      case .whole: "without exits"
      case .lossless: "loses nothing"
      case .half: "saves a half"
      case .given: "as given"
      }
    }
  }

  /// The network by a chosen threshold, as it ran on validation images with samples removed from the batch where they left.
  public struct Point: TableRow {
    /// The kind of choice, a `Choice`.
    public var choice: String
    /// The threshold; nil for the whole network.
    public var threshold: Double?
    /// The accuracy.
    public var accuracy: Double
    /// The mean of multiply-accumulates over samples, the lens's own included.
    public var macs: Double
    /// The mean number of steps that ran for a sample.
    public var steps: Double
    /// The number of images a second, in batches as they were timed.
    public var imagesPerSecond: Double

    public static let keys = ["choice"]
    public static let units = ["accuracy": Table.Column.share, "images_per_second": "images/s"]

    enum CodingKeys: String, CodingKey {
      case choice, threshold, accuracy, macs, steps
      case imagesPerSecond = "images_per_second"
    }

    public init(
      _ choice: Choice, threshold: Double?, accuracy: Double, macs: Double, steps: Double, imagesPerSecond: Double
    ) {
      (self.choice, self.threshold) = (choice.rawValue, threshold)
      (self.accuracy, self.macs, self.steps, self.imagesPerSecond) = (accuracy, macs, steps, imagesPerSecond)
    }
  }

  /// The samples that left at one place by a chosen threshold.
  public struct Left: TableRow {
    /// The kind of choice, a `Choice`.
    public var choice: String
    /// The number of the step after which they left.
    public var step: Int
    /// The number of samples.
    public var count: Int

    public static let keys = ["choice", "step"]
    public static let units = ["count": Table.Column.samples]

    public init(_ choice: Choice, step: Int, count: Int) {
      (self.choice, self.step, self.count) = (choice.rawValue, step, count)
    }
  }

  enum CodingKeys: String, CodingKey { case format, settings, session, curve, points, left }

  public init(_ settings: Settings, _ session: Session, curve: [Threshold], points: [Point], left: [Left]) throws {
    (self.settings, self.session) = (settings, session)
    self.curve = try Table("exits", curve)
    self.points = try Table("exit-points", of: "exits", points)
    self.left = try Table("exit-steps", of: "exits", left)
  }

  /// The first field that cannot be, and why; nil where all can be.
  public var problem: String? {
    if format != Self.format { return "it has format \(format), this program reads \(Self.format)" }
    if let problem = settings.statistics.problem { return "settings.statistics.\(problem)" }
    for (name, count) in [("scored_on", settings.scoredOn), ("chosen_on", settings.chosenOn ?? 1)] where count < 1 {
      return "settings.\(name): \(count) is not a number of samples"
    }
    if session.batch < 1 { return "session.batch: \(session.batch) is not a number of samples" }
    if settings.threshold?.isFinite == false { return "settings.threshold: it is not a finite number" }
    for (name, table) in [("curve", curve), ("points", points), ("left", left)] {
      if let problem = table.problem { return "\(name): \(problem)" }
    }
    do {
      _ = try curve.rows(of: Threshold.self)
      let points = try points.rows(of: Point.self)
      guard points.allSatisfy({ Choice(rawValue: $0.choice) != nil }) else {
        return "points: one has an unknown choice"
      }
      guard points.contains(where: { $0.choice == Choice.whole.rawValue && $0.macs > 0 }) else {
        return "points: there is none of the whole network"
      }
      guard try left.rows(of: Left.self).allSatisfy({ (1...StepSpec.most).contains($0.step) && $0.count >= 0 }) else {
        return "left: a step or a count is not possible"
      }
    } catch { return "\(error)" }
    return nil
  }
}
