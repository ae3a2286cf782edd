import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks

/// How a network is trained: stochastic gradient descent with momentum on the mean cross-entropy of batches.
public struct Recipe: Codable, Hashable, Sendable, Checked {
  /// The name of the recipe on the command line and in a run's configuration.
  public var name: String
  /// Passes over the train set.
  public var epochs: Int
  /// Images a step.
  public var batch: Int
  /// Share of the velocity that a step keeps, 0 … 1.
  public var momentum: Double
  /// Nesterov's momentum, in PyTorch's form.
  public var nesterov: Bool
  /// Added to the gradient as this times the parameter.
  public var weightDecay: Double
  /// Leaves biases and normalisations out of the weight decay.
  public var decayWeightsOnly: Bool
  /// Mirrors half of the images left to right.
  public var flip: Bool
  /// Moves images by up to so many pixels along each axis.
  public var translate: Int
  /// s of the target (1 − s)·onehot + s/classes.
  public var labelSmoothing: Double
  /// The learning rate over the epochs.
  public var schedule: Schedule

  enum CodingKeys: String, CodingKey {
    case name, epochs, batch, momentum, nesterov, flip, translate, schedule
    case weightDecay = "weight-decay"
    case decayWeightsOnly = "decay-weights-only"
    case labelSmoothing = "label-smoothing"
  }

  public init(
    name: String, epochs: Int, batch: Int, momentum: Double, nesterov: Bool, weightDecay: Double,
    decayWeightsOnly: Bool, flip: Bool, translate: Int, labelSmoothing: Double, schedule: Schedule
  ) {
    self.name = name
    self.epochs = epochs
    self.batch = batch
    self.momentum = momentum
    self.nesterov = nesterov
    self.weightDecay = weightDecay
    self.decayWeightsOnly = decayWeightsOnly
    self.flip = flip
    self.translate = translate
    self.labelSmoothing = labelSmoothing
    self.schedule = schedule
  }

  /// How images are changed in training.
  public var augmentation: Augmentation { Augmentation(flip: flip, translate: translate) }
}

extension Recipe {
  /// The names that `find(_:for:)` knows.
  public static let names = ["paper", "paper-likely", "quick"]

  /// A recipe by its name, or from a YAML file.
  /// - `paper`: what the paper prints for the architecture (§4); an architecture of the user's own gets the original
  ///   ResNet's.
  /// - `paper-likely`: the same, with the original ResNet's last two rates as they were likely meant, 0.0001 and
  ///   0.00001 (printed are 0.00001 and 0.000011).
  /// - `quick`: ten epochs of one cycle.
  /// - Throws: `FileError` naming file and field, or the names there are.
  public static func find(_ nameOrPath: String, for architecture: Architecture) throws -> Recipe {
    switch nameOrPath {
    case "paper", "paper-likely": return paper(architecture.baseName, likely: nameOrPath == "paper-likely")
    case "quick": return quick
    default:
      guard nameOrPath.hasSuffix(".yaml") || nameOrPath.hasSuffix(".yml") || nameOrPath.contains("/") else {
        throw FileError(
          path: nameOrPath, problem: "there is no recipe of this name\(didYouMean(nameOrPath, among: names))",
          remedy: "known are \(names.joined(separator: ", ")), or name a YAML file")
      }
      return try YAML.read(Recipe.self, from: URL(filePath: nameOrPath))
    }
  }

  /// The recipe of a network that was trained elsewhere, the only one without epochs.
  public static let elsewhere = Recipe(
    name: "elsewhere", epochs: 0, batch: 128, momentum: 0.9, nesterov: false, weightDecay: 1e-4,
    decayWeightsOnly: false,
    flip: true, translate: 4, labelSmoothing: 0, schedule: .steps([.init(rate: 0.001)]))

  static let quick = Recipe(
    name: "quick", epochs: 10, batch: 128, momentum: 0.9, nesterov: true, weightDecay: 2e-4, decayWeightsOnly: true,
    flip: true, translate: 2, labelSmoothing: 0, schedule: .oneCycle(peak: 0.2, warmup: 0.2))

  private static func paper(_ architecture: String, likely: Bool) -> Recipe {
    var recipe = Recipe(
      name: likely ? "paper-likely" : "paper", epochs: 300, batch: 128, momentum: 0.9, nesterov: false,
      weightDecay: 1e-4, decayWeightsOnly: false, flip: true, translate: 4, labelSmoothing: 0,
      schedule: .steps([
        .init(until: 80, rate: 0.1), .init(until: 120, rate: 0.01), .init(until: 200, rate: 0.001),
        .init(until: 240, rate: likely ? 0.0001 : 0.00001), .init(rate: likely ? 0.00001 : 0.000011),
      ]))
    switch architecture {
    case "single-representation", "avg-pooling", "max-pooling":
      recipe.epochs = architecture == "single-representation" ? 200 : 100
      recipe.schedule = .steps([
        .init(until: 40, rate: 0.1), .init(until: 60, rate: 0.02), .init(until: 80, rate: 0.004), .init(rate: 0.0008),
      ])
    case "wide":
      recipe.epochs = 100
      recipe.weightDecay = 5e-4
      recipe.schedule = .steps([.init(until: 60, rate: 0.1), .init(rate: 0.02)])
    default: break
    }
    return recipe
  }

  /// The first value that cannot be, and why; nil where all can be.
  public var problem: String? {
    if self == .elsewhere { return nil }
    func outside(_ name: String, _ value: Double, _ range: ClosedRange<Double>) -> String? {
      func text(_ number: Double) -> String { Int(exactly: number).map { "\($0)" } ?? "\(number)" }
      return range.contains(value)
        ? nil : "\(name): \(text(value)) is not between \(text(range.lowerBound)) and \(text(range.upperBound))"
    }
    let rates: [Double] =
      switch schedule {
      case .steps(let parts): parts.map(\.rate)
      case .oneCycle(let peak, _): [peak]
      }
    if rates.isEmpty { return "schedule.parts: there are none" }
    if case .steps(let parts) = schedule {
      let ends = parts.dropLast().map { $0.until ?? .max } + [parts.last?.until ?? .max]
      if zip(ends, ends.dropFirst()).contains(where: { $0 >= $1 }) {
        return "schedule.parts: each needs an \"until\" later than the one before; the last needs none"
      }
    }
    if case .oneCycle(_, let warmup) = schedule, !(warmup > 0 && warmup < 1) {
      return "schedule.warmup: \(warmup) is not between 0 and 1"
    }
    return outside("epochs", Double(epochs), 1...99999) ?? outside("batch", Double(batch), 2...65536)
      ?? outside("momentum", momentum, 0...1) ?? outside("weight-decay", weightDecay, 0...1)
      ?? outside("translate", Double(translate), 0...127) ?? outside("label-smoothing", labelSmoothing, 0...1)
      ?? rates.lazy.compactMap { outside("schedule: the rate", $0, 0...1000) }.first
  }
}
