import Foundation
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

/// Two steps on two channels, small enough to take every derivative by differences.
let tiny = valid(
  try Architecture(
    name: "tiny", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
    stages: [.init(width: 2, blocks: 2, entry: .none)], head: .init(pooling: 2)))

/// Two stages, the second entered through a projection.
let twoStages = valid(
  try Architecture(
    name: "two", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
    stages: [
      .init(width: 2, blocks: 2, entry: .none), .init(width: 3, blocks: 2, entry: .projection, stride: 1),
    ], head: .init(pooling: 2)))

/// Two stages, the second entered through a pooling, so that the readout can read what enters it.
let pooled = valid(
  try Architecture(
    name: "pooled", input: .init(channels: 1, height: 4, width: 4), classes: 3, stem: .init(width: 2),
    stages: [
      .init(width: 2, blocks: 3, entry: .none), .init(width: 2, blocks: 3, entry: .averagePooling),
    ], head: .init(pooling: 2)))

/// Two stages in which steps run one block together, the second entered through a projection; wide enough for no sample to
/// be without a gradient.
let sharedStages = valid(
  try Architecture(
    name: "shared", input: .init(channels: 1, height: 2, width: 2), classes: 3, stem: .init(width: 4),
    stages: [
      .init(width: 4, blocks: 2, entry: .none, sharing: .init(from: 0, unsharedAffine: true)),
      .init(width: 4, blocks: 3, entry: .projection, stride: 1, sharing: .init(from: 1, unsharedStatistics: true)),
    ], head: .init(pooling: 2)))

/// A network in float64 with parameters that look random.
func network(_ architecture: Architecture) throws -> ResidualNetwork {
  let network = try ResidualNetwork(architecture, seed: 1, type: .float64)
  for (index, specification) in architecture.parameters.enumerated() {
    let isPositive =
      switch specification.role {
      case .runningVariance, .normWeight: true
      default: false
      }
    let values = noise(
      specification.count, seed: UInt64(index), from: isPositive ? 0.5 : -0.8, to: isPositive ? 1.5 : 0.8)
    try network.parameters.required(specification.path).copy(from: Tensor(values, shape: specification.shape))
  }
  return network
}

/// Images of noise that fit an architecture, with classes in turn.
func samples(_ count: Int, batch: Int, of architecture: Architecture = tiny, seed: UInt64 = 50) throws -> Samples {
  let input = architecture.input
  let pixels = noise(count * input.height * input.width, seed: seed, from: 0, to: 255).map { UInt8($0) }
  let set = try ImageSet(
    pixels: pixels, labels: (0..<count).map { $0 % architecture.classes }, channels: 1, height: input.height,
    width: input.width)
  return try Samples(
    set, batch: batch, maker: try BatchMaker(statistics: ChannelStatistics(of: set.images), type: .float64))
}

/// One sample by the definitions: every state is an array, every gradient is taken by differences.
struct SingleSample {
  let network: ResidualNetwork
  let label: Int
  let h0: Tensor
  private let labels: Tensor

  init(_ network: ResidualNetwork, _ samples: Samples, _ index: Int) throws {
    self.network = network
    let batch = try samples.maker.batch(samples.set, index..<index + 1)
    (labels, label) = (batch.labels, samples.set.labels[index])
    h0 = try network.begin(batch.images)
  }

  func run(_ moves: some Sequence<Plan.Move>, _ h: Tensor) throws -> Tensor {
    try network.run(Plan(moves: Array(moves)), on: h)
  }

  /// The softmax of the head.
  func probabilities(_ h: Tensor) throws -> [Double] {
    let logits = try network.classify(h).doubles()
    let powers = logits.map { exp($0 - (logits.max() ?? 0)) }
    return powers.map { $0 / powers.reduce(0, +) }
  }

  func loss(_ h: Tensor) throws -> Double { -log(try probabilities(h)[label]) }

  /// log((1 − p_y) / p_y), whose slope points where the loss's does, and has digits where the loss is nearly nothing.
  func odds(_ h: Tensor) throws -> Double {
    let logits = try network.classify(h).doubles()
    let others = logits.indices.filter { $0 != label }.map { logits[$0] }
    let largest = others.max() ?? 0
    return largest + log(others.reduce(0) { $0 + exp($1 - largest) }) - logits[label]
  }

  func isRight(_ h: Tensor) throws -> Bool {
    let logits = try network.classify(h).doubles()
    return logits.firstIndex(of: logits.max() ?? 0) == label
  }

  /// p_y − max_{k≠y} p_k
  func margin(_ h: Tensor) throws -> Double {
    let p = try probabilities(h)
    return p[label] - (p.indices.filter { $0 != label }.map { p[$0] }.max() ?? 0)
  }

  /// The gradient of `value` at `h`.
  func slope(_ h: Tensor, _ value: (Tensor) throws -> Double) throws -> [Double] {
    let values = try h.doubles()
    return try values.indices.map { index in
      var (up, down) = (values, values)
      up[index] += 1e-6
      down[index] -= 1e-6
      return try (value(Tensor(up, shape: h.shape)) - value(Tensor(down, shape: h.shape))) / 2e-6
    }
  }
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

func norm(_ a: [Double]) -> Double { dot(a, a).squareRoot() }

func cosine(_ a: [Double], _ b: [Double]) -> Double { dot(a, b) / (norm(a) * norm(b)) }

/// Mean and population deviation, in two passes.
func moments(_ values: [Double]) -> (mean: Double, deviation: Double) {
  let mean = values.reduce(0, +) / Double(values.count)
  return (mean, (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot())
}

func expectEqual(
  _ found: Statistic?, _ values: [Double], within tolerance: Double, _ comment: Comment? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let found = try #require(found, comment, sourceLocation: sourceLocation)
  let wanted = moments(values)
  #expect(found.count == values.count, comment, sourceLocation: sourceLocation)
  #expect(abs(found.mean - wanted.mean) < tolerance, comment, sourceLocation: sourceLocation)
  #expect(abs(found.std - wanted.deviation) < tolerance, comment, sourceLocation: sourceLocation)
}

func expectEqual(
  _ found: Score?, right: [Bool], losses: [Double], within tolerance: Double, _ comment: Comment? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let found = try #require(found, comment, sourceLocation: sourceLocation)
  let wanted = moments(losses)
  #expect(found.count == losses.count, comment, sourceLocation: sourceLocation)
  #expect(
    found.accuracy == Double(right.count { $0 }) / Double(right.count), comment, sourceLocation: sourceLocation)
  #expect(abs(found.loss - wanted.mean) < tolerance, comment, sourceLocation: sourceLocation)
  #expect(abs(found.lossStd - wanted.deviation) < tolerance, comment, sourceLocation: sourceLocation)
}

extension Measure {
  /// The rows of one of the measure's tables, as values; none where it has no such table.
  /// - Parameter name: the table's name; the measure's own where it is nil
  func rows<Row: TableRow>(
    of type: Row.Type, in name: String? = nil, _ selection: [String: Cell] = [:]
  ) throws -> [Row] {
    let name = name ?? Self.description.name
    return try tables().first { $0.name == name }?.selecting(selection).rows(of: type) ?? []
  }

  /// The statistic of every step in one of the measure's tables.
  func steps(in name: String? = nil, _ selection: [String: Cell] = [:]) throws -> [StepStatistic] {
    try rows(of: StepStatistic.self, in: name, selection)
  }
}

extension CosineLoss {
  /// The statistic of every step by one of the gradients.
  func steps(_ gradient: Gradient) throws -> [StepStatistic] {
    try steps(in: nil, ["gradient": .text(gradient.rawValue)])
  }
}

extension DroppedStep {
  /// The score of the whole network.
  func whole() throws -> Score? { try rows(of: Score.self, in: "dropped-step-baseline").first }
}

extension MeasureDescription {
  /// A description that has a name and nothing else.
  static func named(_ name: String) -> MeasureDescription { MeasureDescription(name: name, views: []) }
}
