import ImageDatasets
import ResidualNetworks
import Torch

/// One step of training after another: a batch forward, back, and into the optimiser.
public final class StepTrainer {
  public let network: ResidualNetwork
  let optimizer: Optimizer
  let maker: BatchMaker
  private let recipe: Recipe

  /// What the network said of a batch before it learnt from it.
  public struct Outcome: Sendable {
    /// Sum of the samples' losses; not finite where the training has run away.
    public var lossSum: Double
    /// Samples that were classified wrongly.
    public var wrong: Int
  }

  public convenience init(_ network: ResidualNetwork, _ recipe: Recipe, maker: BatchMaker) throws {
    try self.init(network, recipe, maker: maker, velocities: nil)
  }

  /// - Parameter velocities: the optimiser's state to go on from
  init(_ network: ResidualNetwork, _ recipe: Recipe, maker: BatchMaker, velocities: [String: Tensor]?) throws {
    self.network = network
    self.recipe = recipe
    self.maker = maker
    optimizer = try Optimizer(network, recipe, stored: velocities)
  }

  /// Learns from the images of `indices`, augmented as `epoch` has it. Where the loss is not finite
  /// nothing is learnt.
  public func step(
    on set: ImageSet, _ indices: some Collection<Int>, epoch: Int, rate: Double
  ) throws -> Outcome {
    let batch = try maker.batch(set, indices, augmentation: recipe.augmentation, epoch: epoch)
    let pass = try Pass(network, images: batch.images, mode: .training)
    let reading = try CrossEntropy(
      logits: pass.logits, labels: batch.labels, smoothing: recipe.labelSmoothing,
      gradientScale: 1 / Double(batch.count))
    let outcome = Outcome(
      lossSum: reading.losses.reduce(0, +),
      wrong: zip(reading.predictions, batch.indices).count { $0 != set.labels[$1] })
    guard outcome.lossSum.isFinite else { return outcome }
    let gradients = Gradients()
    try pass.backward(reading.requiredGradient(), into: gradients)
    try optimizer.step(gradients, rate: rate)
    return outcome
  }
}
