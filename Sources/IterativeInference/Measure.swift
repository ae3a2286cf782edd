import ImageDatasets
import ResidualNetworks
import Results
import Torch

/// A question put to every batch: it folds what it sees into a few numbers and lets the activations go.
///
/// All measures of a call ride on the same forward and backward pass (`measure(_:on:_:)`). One that looks at the steps
/// of the network's own pass implements `observe(_:)`; one that runs the blocks in other ways names its `plans` and
/// implements `observe(plan:_:)`.
public protocol Measure: AnyObject {
  /// One step of one batch; from the last step to the first.
  func observe(_ step: StepReading) throws

  /// Plans to be run on every batch besides the network's own.
  func plans(for network: ResidualNetwork) -> [Plan]

  /// What the head says after `plans(for:)[plan]` for one batch.
  func observe(plan: Int, _ reading: LabelledReading)
}

extension Measure {
  public func observe(_ step: StepReading) throws {}
  public func plans(for network: ResidualNetwork) -> [Plan] { [] }
  public func observe(plan: Int, _ reading: LabelledReading) {}
}

/// What a classifier says about a batch, with the truth beside it.
public struct LabelledReading {
  public let reading: CrossEntropy
  /// The class of each sample.
  public let labels: [Int]
}

extension ScoreSum {
  public mutating func add(_ batch: LabelledReading) {
    add(
      losses: batch.reading.losses, entropies: batch.reading.entropies, predictions: batch.reading.predictions,
      labels: batch.labels)
  }
}

/// One step of one batch, as a measure sees it. What several measures need is computed once.
public final class StepReading {
  public let layout: StepLayout
  /// h_{t−1}, N×C×H×W
  public var input: Tensor { visited.input }
  /// F_t(h_{t−1})
  public var residual: Tensor { visited.residual }
  /// ∂L_n/∂h_{t−1} of each sample n, through all later steps; with respect to the projection's output where the step
  /// has one.
  public var gradient: Tensor { visited.gradient }
  /// What the head says at h_t; nil before the last stage, whose shape alone it can read.
  public let after: LabelledReading?
  /// The head applied straight to what the step adds to (h_{t−1}, or the projection's output), and the gradient there;
  /// nil before the last stage.
  public let plugged: (reading: LabelledReading, gradient: Tensor)?

  private let visited: Pass.VisitedStep
  private var knownInputSquares: [Double]?
  private var knownProducts: SampleProducts?

  /// For each sample ‖h_{t−1}‖²
  public func inputSquares() throws -> [Double] {
    if let knownInputSquares { return knownInputSquares }
    let squares = try input.sampleSquares()
    knownInputSquares = squares
    return squares
  }

  /// Of F (`squares`) and the gradient (`otherSquares`).
  public func products() throws -> SampleProducts {
    if let knownProducts { return knownProducts }
    let products = try residual.sampleProducts(gradient)
    knownProducts = products
    return products
  }

  init(
    _ visited: Pass.VisitedStep, after: LabelledReading?, plugged: (reading: LabelledReading, gradient: Tensor)?
  ) {
    layout = visited.layout
    self.visited = visited
    self.after = after
    self.plugged = plugged
  }
}

/// The first images of a set in file order, not augmented, in batches.
public struct Samples {
  public let set: ImageSet
  public let count: Int
  public let batch: Int
  public let maker: BatchMaker

  /// - Parameters:
  ///   - count: the first so many, no more than there are; all where it is nil
  ///   - batch: samples a pass
  public init(_ set: ImageSet, count: Int? = nil, batch: Int = 128, maker: BatchMaker) {
    self.set = set
    self.count = min(count ?? set.count, set.count)
    self.batch = batch
    self.maker = maker
  }
}

/// Lets `measures` see every step of a network on the given samples, in evaluation mode: one forward and one backward
/// pass a batch, and the measures' plans with what they begin alike run once.
/// - Parameter progress: told after each batch how many samples are done
public func measure(
  _ measures: [any Measure], on network: ResidualNetwork, _ samples: Samples, progress: (Int) throws -> Void = { _ in }
) throws {
  let plans = measures.map { $0.plans(for: network) }
  // Which measure, and which of its plans, a plan of the joint list belongs to.
  let owners = plans.enumerated().flatMap { owner, own in own.indices.map { (owner: owner, plan: $0) } }
  let lastStage = network.architecture.stages.count - 1
  for start in stride(from: 0, to: samples.count, by: samples.batch) {
    let end = min(start + samples.batch, samples.count)
    let batch = try samples.maker.batch(samples.set, start..<end)
    let labels = batch.indices.map { samples.set.labels[$0] }
    let pass = try Pass(network, images: batch.images, mode: .evaluation, keepsResiduals: true)
    // A scale of 1: the gradient of every sample's own loss.
    let output = try CrossEntropy(logits: pass.logits, labels: batch.labels, gradientScale: 1)
    var after: LabelledReading? = LabelledReading(reading: output, labels: labels)
    try pass.backward(output.requiredGradient(), into: nil) { visited in
      var plugged: (reading: LabelledReading, gradient: Tensor)?
      if visited.layout.name.stage == lastStage {
        let (reading, gradient) = try network.plugged(visited.kept, labels: batch.labels)
        plugged = (LabelledReading(reading: reading, labels: labels), gradient)
      }
      let step = StepReading(visited, after: after, plugged: plugged)
      for measure in measures { try measure.observe(step) }
      // What this step starts from is what the step before ends with, where that is of the same stage.
      after = visited.layout.name.block == 0 ? nil : plugged?.reading
    }
    try network.run(plans.flatMap { $0 }, on: pass.h0) { index, h in
      let reading = try CrossEntropy(logits: network.classify(h), labels: batch.labels)
      measures[owners[index].owner].observe(
        plan: owners[index].plan, LabelledReading(reading: reading, labels: labels))
    }
    try progress(end)
  }
}
