import ResLensSupport

/// The scores of a network whose steps were dropped one after the other, by one or several orders: the contents of
/// `pruning.json` in the run of the smaller network.
public struct PruningResults: Codable, Equatable, Sendable, Checked {
  /// The format of the file.
  public static let format = 1

  /// The run folder of the whole network, as it was named.
  public var run: String
  /// The settings on which all numbers depend.
  public var settings: Settings
  /// A row for each order and each number of dropped steps (`Point`).
  public private(set) var curves: Table
  /// The losses without each candidate, from which the greedy order was chosen (`Choice`).
  public private(set) var choices: Table
  /// The numbers of the steps that the smaller network lacks, in the order in which they were dropped; empty before all
  /// orders are scored.
  public var removed: [Int] = []
  private var format = Self.format

  /// The settings on which all numbers depend. Results of other settings do not stand in one file.
  public struct Settings: Codable, Equatable, Sendable {
    /// The architecture of the whole network.
    public var architecture: String
    /// SHA-256 of its weights.
    public var weights: String
    /// The source of the images.
    public var data: String
    /// SHA-256 of the train images that are used; nil where none are.
    public var trainImages: String?
    /// SHA-256 of the validation images that are scored.
    public var validationImages: String
    /// The statistics by which the images are normalised.
    public var statistics: ChannelStatistics
    /// The number of train images on which the greedy order is chosen, the first ones; nil without that order.
    public var chosenOn: Int?
    /// The number of validation images that are scored, the first ones.
    public var scoredOn: Int
    /// The number of batches of train images on which the running statistics behind each dropped step are recalibrated; nil
    /// for the trained statistics.
    public var recalibrationBatches: Int?

    enum CodingKeys: String, CodingKey {
      case architecture, weights, data, statistics
      case trainImages = "train_images"
      case validationImages = "validation_images"
      case chosenOn = "chosen_on"
      case scoredOn = "scored_on"
      case recalibrationBatches = "recalibration_batches"
    }

    public init(
      architecture: String, weights: String, data: String, trainImages: String?, validationImages: String,
      statistics: ChannelStatistics, chosenOn: Int?, scoredOn: Int, recalibrationBatches: Int?
    ) {
      (self.architecture, self.weights, self.data) = (architecture, weights, data)
      (self.trainImages, self.validationImages, self.statistics) = (trainImages, validationImages, statistics)
      (self.chosenOn, self.scoredOn, self.recalibrationBatches) = (chosenOn, scoredOn, recalibrationBatches)
    }

    /// The running statistics of the pruned networks, in words.
    public var runningStatistics: String {
      recalibrationBatches.map(recalibratedStatistics) ?? "the trained running statistics"
    }
  }

  /// The network without the first steps of an order.
  public struct Point: TableRow {
    /// The order's name, for instance "greedy".
    public var order: String
    /// The number of dropped steps.
    public var dropped: Int
    /// The number of the step that was dropped last; nil for the whole network.
    public var step: Int?
    /// The multiply-accumulates of the network that is left, for one sample.
    public var macs: Int
    /// The score on validation images.
    public var score: Score

    public static let keys = ["order", "dropped"]
    public static let units = Score.units

    public init(order: String, dropped: Int, step: Int?, macs: Int, score: Score) {
      (self.order, self.dropped, self.step) = (order, dropped, step)
      (self.macs, self.score) = (macs, score)
    }
  }

  /// A candidate of the greedy order.
  public struct Choice: TableRow {
    /// The number of steps that would be dropped with it.
    public var dropped: Int
    /// The candidate's number.
    public var step: Int
    /// The mean loss on train images without it and without the steps that were dropped before, in nats.
    public var loss: Double

    public static let keys = ["dropped", "step"]
    public static let units = ["loss": "nats"]

    public init(dropped: Int, step: Int, loss: Double) { (self.dropped, self.step, self.loss) = (dropped, step, loss) }
  }

  enum CodingKeys: String, CodingKey { case format, run, settings, curves, choices, removed }

  public init(of run: String, _ settings: Settings) throws {
    (self.run, self.settings) = (run, settings)
    curves = try Self.table(of: [Point]())
    choices = try Self.table(of: [Choice]())
  }

  private static func table(of points: [Point]) throws -> Table { try Table("pruning", points) }
  private static func table(of choices: [Choice]) throws -> Table {
    try Table("pruning-choices", of: "pruning", choices)
  }

  /// The first field that cannot be, and why; nil where all can be.
  public var problem: String? {
    if format != Self.format { return "it has format \(format), this program reads \(Self.format)" }
    if let problem = settings.statistics.problem { return "settings.statistics.\(problem)" }
    if let problem = curves.problem { return "curves: \(problem)" }
    if let problem = choices.problem { return "choices: \(problem)" }
    do {
      for order in try orders {
        let curve = try curve(of: order)
        guard curve.map(\.dropped) == Array(0..<curve.count), curve[0].step == nil,
          Self.areSteps(curve.dropFirst().map(\.step))
        else { return "curves: the curve of \(order) does not drop one step after the other" }
        guard curve.allSatisfy({ $0.macs >= 0 }) else {
          return "curves: multiply-accumulates of the curve of \(order) are below 0"
        }
      }
      let rounds = try rounds()
      guard rounds.joined().count == choices.rows.count, rounds.allSatisfy({ Self.areSteps($0.map(\.step)) }) else {
        return "choices: they are not of one dropped step after the other"
      }
    } catch { return "\(error)" }
    return Self.areSteps(removed) ? nil : "removed: a step occurs twice or has an impossible number"
  }

  /// True if these can be the numbers of different steps.
  private static func areSteps(_ numbers: [Int?]) -> Bool {
    Set(numbers).count == numbers.count && numbers.allSatisfy { $0.map { (1...StepSpec.most).contains($0) } ?? false }
  }

  /// The curve of an order, from the whole network on; empty where there is none.
  /// - Throws: `TableError` where the table has other columns.
  public func curve(of order: String) throws -> [Point] {
    try curves.rows(of: Point.self).filter { $0.order == order }
  }

  /// The orders, each once.
  /// - Throws: `TableError` where the table has other columns.
  public var orders: [String] {
    get throws {
      try curves.rows(of: Point.self).reduce(into: []) { orders, point in
        if !orders.contains(point.order) { orders.append(point.order) }
      }
    }
  }

  /// Puts a curve in place of an earlier one of the same order.
  public mutating func set(_ curve: [Point], of order: String) throws {
    curves = try Self.table(of: curves.rows(of: Point.self).filter { $0.order != order } + curve)
  }

  /// The greedy order's candidates for the first dropped step, the second, and so on.
  /// - Throws: `TableError` where the table has other columns.
  public func rounds() throws -> [[Choice]] {
    let byRound = Dictionary(grouping: try choices.rows(of: Choice.self), by: \.dropped)
    return (0..<byRound.count).compactMap { byRound[$0 + 1] }
  }

  /// Adds the candidates of one more dropped step.
  public mutating func add(_ round: [Choice]) throws {
    choices = try Self.table(of: choices.rows(of: Choice.self) + round)
  }
}

extension [PruningResults.Choice] {
  /// The candidate with the lowest loss, the first of several equal ones; nil without candidates.
  public var best: PruningResults.Choice? {
    // A network whose numbers overflow is worse than any other.
    self.min { ($0.loss.isNaN ? .infinity : $0.loss) < ($1.loss.isNaN ? .infinity : $1.loss) }
  }
}
