import ResLensSupport
import ResLensMeasures
import ResLensResults
import ResLensTraining

/// A study: which networks are trained on what, how and how often, and what is shown of them.
///
/// The figures and tables of the paper are studies (`Study.paper`). A YAML file describes a study by the same fields, but
/// for the claims and the printed errors: these are set in Swift, and take no part in comparing, hashing and coding.
public struct Study: Codable, Hashable, Sendable, Checked {
  /// The name of the study on the command line and of its page.
  public var name: String
  /// The heading of the study's page.
  public var title: String
  /// Names of architectures, or YAML files, each trained on every data set by every recipe with every seed.
  public var models: [String]
  /// "cifar-10", "cifar-100", which stand for what `--data` gives, or sources of their own.
  public var data: [String]
  /// Names of recipes, or YAML files.
  public var recipes: [String]
  /// The seeds; each network is trained once with each of them.
  public var seeds: [UInt64]
  /// The number of epochs; the recipe's where it is nil.
  public var epochs: Int?
  /// The number of images of a training step; the recipe's where it is nil.
  public var batch: Int?
  /// The number of train images, the first ones; all where it is nil.
  public var trainSamples: Int?
  /// The number of validation images, the first ones; all where it is nil.
  public var validationSamples: Int?
  /// The precision of activations: bfloat16 or float32, which is the default.
  public var precision: Precision?
  /// How networks are measured during training; as the scale has it where it is nil.
  public var record: Recording?
  /// How the trained networks are measured; as the scale has it where it is nil.
  public var measure: Measuring?
  /// The figures and tables, in order; what they need is recorded and measured. A registry of measures knows their kinds
  /// (`problem(in:)`).
  public var figures: [FigureKind]
  /// The claims about the figures.
  @Uncompared public var claims: [Claim]
  /// The errors that a publication prints of the networks; nil where there are none.
  @Uncompared public var printed: PrintedErrors?

  /// How often, and on how many images, networks are measured while they are trained.
  public struct Recording: Codable, Hashable, Sendable {
    /// The number of epochs from one measuring to the next.
    public var every: Int
    /// The number of train and of validation images, the first ones.
    public var samples: Int

    public init(every: Int, samples: Int) { (self.every, self.samples) = (every, samples) }
  }

  /// How the trained networks are measured.
  public struct Measuring: Codable, Hashable, Sendable {
    /// The number of train and of validation images, the first ones; as many as the scale has where it is nil.
    public var samples: Int?
    /// The names of measures besides those that the figures need.
    public var measures: [String]?
    /// The number of added steps of an unrolling; 20 where it is nil.
    public var unroll: Int?
    /// α of the added steps; chosen on train data where it is nil.
    public var scale: Double?
    /// The number of train batches on which the statistics of an unrolling's added steps are recalibrated; nil to use the
    /// block's own. Dropped steps and lesions are not taken again.
    public var recalibrate: Int?

    public init(
      samples: Int? = nil, measures: [String]? = nil, unroll: Int? = nil, scale: Double? = nil, recalibrate: Int? = nil
    ) {
      self.samples = samples
      self.measures = measures
      self.unroll = unroll
      self.scale = scale
      self.recalibrate = recalibrate
    }
  }

  public init(
    name: String, title: String, models: [String], data: [String] = ["cifar-10"], recipes: [String] = ["paper"],
    seeds: [UInt64] = [0], record: Recording? = nil, measure: Measuring? = nil, figures: [FigureKind],
    claims: [Claim] = [], printed: PrintedErrors? = nil
  ) {
    self.name = name
    self.title = title
    self.models = models
    self.data = data
    self.recipes = recipes
    self.seeds = seeds
    self.record = record
    self.measure = measure
    self.figures = figures
    self.claims = claims
    self.printed = printed
  }

  enum CodingKeys: String, CodingKey {
    case name, title, models, data, recipes, seeds, epochs, batch
    case trainSamples = "train-samples"
    case validationSamples = "validation-samples"
    case precision, record, measure, figures
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    name = try values.decode(String.self, forKey: .name)
    title = try values.decodeIfPresent(String.self, forKey: .title) ?? name
    models = try values.decode([String].self, forKey: .models)
    data = try values.decodeIfPresent([String].self, forKey: .data) ?? ["cifar-10"]
    recipes = try values.decodeIfPresent([String].self, forKey: .recipes) ?? ["quick"]
    seeds = try values.decodeIfPresent([UInt64].self, forKey: .seeds) ?? [0]
    epochs = try values.decodeIfPresent(Int.self, forKey: .epochs)
    batch = try values.decodeIfPresent(Int.self, forKey: .batch)
    trainSamples = try values.decodeIfPresent(Int.self, forKey: .trainSamples)
    validationSamples = try values.decodeIfPresent(Int.self, forKey: .validationSamples)
    precision = try values.decodeIfPresent(Precision.self, forKey: .precision)
    record = try values.decodeIfPresent(Recording.self, forKey: .record)
    measure = try values.decodeIfPresent(Measuring.self, forKey: .measure)
    figures = try values.decode([FigureKind].self, forKey: .figures)
    claims = []
    printed = nil
  }

  /// The first value that cannot be, and why; nil where all can be.
  public var problem: String? {
    for (field, count) in [
      ("models", models.count), ("data", data.count), ("recipes", recipes.count), ("seeds", seeds.count),
      ("figures", figures.count),
    ] where count == 0 { return "\(field): there are none" }
    for (field, list) in [
      ("models", models), ("data", data), ("recipes", recipes), ("seeds", seeds.map { "\($0)" }),
      ("figures", figures.map(\.rawValue)),
    ]
    where Set(list).count < list.count { return "\(field): one of them occurs twice" }
    // The name is that of files, in links and in gnuplot's scripts.
    if name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) == nil {
      return "name: \"\(name)\" cannot be the name of a page: letters, digits, \"-\", \"_\" and \".\" can"
    }
    if let record, record.every < 1 || record.samples < 1 { return "record: every and samples must be at least 1" }
    for (field, value) in [
      ("epochs", epochs), ("batch", batch), ("train-samples", trainSamples), ("validation-samples", validationSamples),
      ("measure.samples", measure?.samples), ("measure.unroll", measure?.unroll),
      ("measure.recalibrate", measure?.recalibrate),
    ] {
      if let value, value < 1 { return "\(field): \(value) is not at least 1" }
    }
    return (measure?.scale).flatMap(MeasureOptions.Scale.problem).map { "measure.scale: \($0)" }
  }

  /// The first figure or measure that is not known, and what is known; nil where all are.
  /// - Parameter registry: the measures that the study can name
  public func problem(in registry: Registry) -> String? {
    let descriptions = registry.descriptions
    if let stray = figures.first(where: { $0.needs(of: descriptions) == nil }) {
      let known = FigureKind.all(of: descriptions).map(\.rawValue)
      return "figures: there is no \"\(stray.rawValue)\"\(didYouMean(stray.rawValue, among: known)); known are "
        + known.joined(separator: ", ")
    }
    let known = registry.names()
    if let stray = measure?.measures?.first(where: { !known.contains($0) }) {
      return "measure.measures: there is no measure \"\(stray)\"\(didYouMean(stray, among: known)); known are "
        + known.joined(separator: ", ")
    }
    return nil
  }
}
