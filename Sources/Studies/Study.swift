import Host
import Results
import Torch

/// A study: which networks are trained on what, how and how often, and what is shown of them. A figure or table of the
/// paper is one (`Study.paper`), a YAML file of the same fields is another.
public struct Study: Codable, Hashable, Sendable, Checked {
  /// The name of the study on the command line and of its page.
  public var name: String
  /// The page's heading.
  public var title: String
  /// Names of architectures, or YAML files, each trained on every data set by every recipe with every seed.
  public var models: [String]
  /// "cifar-10", "cifar-100", which stand for what `--data` gives, or sources of their own.
  public var data: [String]
  /// Names or YAML files.
  public var recipes: [String]
  /// A training each.
  public var seeds: [UInt64]
  /// In place of the recipe's.
  public var epochs: Int?
  /// In place of the recipe's, images a step.
  public var batch: Int?
  /// Only the first so many images.
  public var trainSamples: Int?
  /// Only the first so many images.
  public var validationSamples: Int?
  /// The precision of activations: bfloat16 or float32, which is the default.
  public var precision: ElementType?
  /// The measures to record during training; the scale's where it is nil.
  public var record: Recording?
  /// How the trained networks are measured; as the scale has it where it is nil.
  public var measure: Measuring?
  /// The pictures and tables, in order; what they need is recorded and measured.
  public var figures: [Exhibit]

  /// How often and on what networks are measured while they are trained.
  public struct Recording: Codable, Hashable, Sendable {
    /// Epochs.
    public var every: Int
    /// The first so many train and validation images.
    public var samples: Int

    public init(every: Int, samples: Int) { (self.every, self.samples) = (every, samples) }
  }

  /// How the trained networks are measured.
  public struct Measuring: Codable, Hashable, Sendable {
    /// The first so many train and validation images; as many as the scale has where it is nil.
    public var samples: Int?
    /// Measures besides those that the figures need.
    public var measures: [String]?
    /// Added steps of an unrolling; 20 where it is nil.
    public var unroll: Int?
    /// α of the added steps; chosen on train data where it is nil.
    public var scale: Double?
    /// Train batches on which the added steps' statistics are taken anew.
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
    seeds: [UInt64] = [0], record: Recording? = nil, measure: Measuring? = nil, figures: [Exhibit]
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
    if let named = try values.decodeIfPresent(String.self, forKey: .precision) {
      guard let type = ElementType(rawValue: named) else {
        throw DecodingError.dataCorruptedError(
          forKey: .precision, in: values, debugDescription: "\(named) is neither float32 nor bfloat16")
      }
      precision = type
    }
    record = try values.decodeIfPresent(Recording.self, forKey: .record)
    measure = try values.decodeIfPresent(Measuring.self, forKey: .measure)
    figures = try values.decode([String].self, forKey: .figures).map { try values.named($0, forKey: .figures) }
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
    if let precision, precision != .float32, precision != .bfloat16 {
      return "precision: \(precision.rawValue) is neither float32 nor bfloat16"
    }
    if let record, record.every < 1 || record.samples < 1 { return "record: every and samples must be at least 1" }
    for (field, value) in [
      ("epochs", epochs), ("batch", batch), ("train-samples", trainSamples), ("validation-samples", validationSamples),
      ("measure.samples", measure?.samples), ("measure.unroll", measure?.unroll),
      ("measure.recalibrate", measure?.recalibrate),
    ] {
      if let value, value < 1 { return "\(field): \(value) is not at least 1" }
    }
    if let scale = measure?.scale, !scale.isFinite || scale == 0 {
      return "measure.scale: \(scale) is not a finite number other than 0"
    }
    return nil
  }
}
