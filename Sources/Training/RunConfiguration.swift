import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// Everything that a run's numbers depend on, save the machine, and what is measured meanwhile: `config.yaml` of a run
/// folder.
public struct RunConfiguration: Codable, Hashable, Sendable, Checked {
  /// The network.
  public var architecture: Architecture
  /// "synthetic", "synthetic:SEED", or a folder or archive of CIFAR.
  public var data: String
  /// Only the first so many images of the train set; nil for all.
  public var trainSamples: Int?
  /// Only the first so many images of the validation set; nil for all.
  public var validationSamples: Int?
  /// The statistics by which the network's inputs are normalised: the train set's, those with which a network was trained
  /// elsewhere, or those of the run whose weights it starts from.
  public var statistics: ChannelStatistics?
  /// The channel statistics of the train set, where the training started from weights whose inputs are normalised by others,
  /// which are then `statistics`; nil otherwise.
  public var dataStatistics: ChannelStatistics?
  /// How it is trained.
  public var recipe: Recipe
  /// Splits into the streams of initial weights, order and augmentation.
  public var seed: UInt64
  /// The weights that the training starts from; nil to draw them by the seed.
  public var initialWeights: InitialWeights?
  /// The element type of activations.
  public var precision: Precision
  /// True if several processes normalise a batch by the statistics of the whole of it, as one process does, instead of each its
  /// part by that part's; nil is no. A run that is resumed may change it, as it may the number of processes.
  public var synchronisesStatistics: Bool?
  /// The measures to take during training; nil for none. They do not change the training.
  public var measure: MeasureSchedule?
  /// The checkpoints that stay beside the newest; nil for none. They do not change the training.
  public var keptCheckpoints: KeptCheckpoints?

  enum CodingKeys: String, CodingKey {
    case architecture, data, statistics, recipe, seed, precision, measure
    case dataStatistics = "data-statistics"
    case initialWeights = "from"
    case keptCheckpoints = "keep-checkpoints"
    case trainSamples = "train-samples"
    case validationSamples = "validation-samples"
    case synchronisesStatistics = "sync-batch-norm"
  }

  public init(
    architecture: Architecture, data: String, trainSamples: Int? = nil, validationSamples: Int? = nil, recipe: Recipe,
    seed: UInt64 = 0, precision: Precision = .fp32
  ) {
    self.architecture = architecture
    self.data = data
    self.trainSamples = trainSamples
    self.validationSamples = validationSamples
    self.recipe = recipe
    self.seed = seed
    self.precision = precision
  }

  /// The first value that cannot be, and why; nil where all can be.
  public var problem: String? {
    for (field, count) in [("train-samples", trainSamples), ("validation-samples", validationSamples)] {
      if let count, count < 1 { return "\(field): \(count) is not at least 1" }
    }
    for (field, statistics) in [("statistics", statistics), ("data-statistics", dataStatistics)] {
      guard let statistics else { continue }
      if let problem = statistics.problem { return "\(field).\(problem)" }
      if statistics.means.count != architecture.input.channels {
        return "\(field).means: there are \(statistics.means.count), and the images have "
          + "\(architecture.input.channels) channels"
      }
    }
    return recipe.problem.map { "recipe.\($0)" } ?? measure?.problem.map { "measure.\($0)" }
  }

  /// The channel statistics by which the train set is recognised: its own, unless the network was trained elsewhere.
  var statisticsOfData: ChannelStatistics? { dataStatistics ?? statistics }

  /// The statistics by which inputs are normalised: the configuration's, or the train set's where it has none.
  public func inputStatistics(on dataset: ImageDataset) throws -> ChannelStatistics {
    try statistics ?? dataset.statistics
  }

  /// True if the run is trained on this data set, wherever it lies now: its channel statistics tell.
  public func isTrained(on dataset: ImageDataset) throws -> Bool {
    try statisticsOfData.map { $0.isEqual(to: try dataset.statistics) } ?? false
  }

  /// True if the run was trained on other images than the data set has. It is false for weights that were trained
  /// elsewhere, whose images are not known.
  public func isKnownToDiffer(from dataset: ImageDataset) throws -> Bool {
    try statistics != nil && recipe != .elsewhere && !isTrained(on: dataset)
  }

  /// The statistics by which the inputs of the network with the initial weights are normalised; nil where the weights are
  /// drawn.
  public var statisticsOfInitialWeights: ChannelStatistics? { initialWeights == nil ? nil : statistics }

  /// Sets the statistics of a training on a data set.
  /// - Parameter given: those by which the inputs of the network with the initial weights are normalised; nil for the train set's
  public mutating func setStatistics(_ given: ChannelStatistics?, trainingOn dataset: ImageDataset) throws {
    let own = try dataset.statistics
    let foreign = given.flatMap { $0.isEqual(to: own) ? nil : $0 }
    statistics = foreign ?? own
    dataStatistics = foreign == nil ? nil : own
  }

  /// - Throws: `FileError` where the data set does not fit the architecture or is smaller than asked for.
  public func check(against dataset: ImageDataset) throws {
    func wrong(_ problem: String, _ remedy: String) -> FileError {
      FileError(path: data, problem: problem, remedy: remedy)
    }
    let input = architecture.input
    guard dataset.imageShape == [input.channels, input.height, input.width] else {
      throw wrong(
        "its images are \(dataset.imageShape), \(architecture.name) takes [\(input.channels), \(input.height), \(input.width)]",
        "change the architecture's input or the data")
    }
    guard dataset.classNames.count == architecture.classes else {
      throw wrong(
        "it has \(dataset.classNames.count) classes, \(architecture.name) tells \(architecture.classes) apart",
        "write classes: \(dataset.classNames.count) in the model's file")
    }
    let (train, validation) = (dataset.train.count, dataset.validation.count)
    for (asked, count, name) in [
      (trainSamples, train, "train"), (validationSamples, validation, "validation"),
      // Train samples are those that were trained on.
      (measure?.samples, min(trainSamples ?? train, train), "train"),
      (measure?.samples, min(validationSamples ?? validation, validation), "validation"),
    ] {
      guard let asked else { continue }
      guard asked >= 1, asked <= count else {
        throw wrong("\(asked) \(name) samples were asked for, there are \(count)", "ask for 1 to \(count)")
      }
    }
  }
}
