import ImageDatasets
import ResidualNetworks
import Torch

/// One step of training after another: a batch forward, back, and into the optimiser. Several processes may share each batch.
public final class StepTrainer {
  public let network: ResidualNetwork
  let optimizer: Optimizer
  let maker: BatchMaker
  private let recipe: Recipe
  private let exchange: GradientExchange?

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

  /// - Parameters:
  ///   - velocities: the optimiser's state to go on from
  ///   - processes: those that share every batch; nil where this one has it alone
  init(
    _ network: ResidualNetwork, _ recipe: Recipe, maker: BatchMaker, velocities: [String: Tensor]?,
    processes: DataParallel? = nil
  ) throws {
    self.network = network
    self.recipe = recipe
    self.maker = maker
    optimizer = try Optimizer(network, recipe, stored: velocities)
    exchange = processes.map { GradientExchange($0, network) }
  }

  /// Learns from the images of `indices`, augmented as `epoch` has it. Where the loss is not finite nothing is learnt.
  /// - Returns: what came of the whole batch, where processes share it
  public func step(
    on set: ImageSet, _ indices: some Collection<Int>, epoch: Int, rate: Double
  ) throws -> Outcome {
    let own = exchange?.share(of: Array(indices)) ?? Array(indices)
    let batch = try maker.batch(set, own, augmentation: recipe.augmentation, epoch: epoch)
    let pass = try Pass(network, images: batch.images, mode: exchange?.mode ?? .training)
    // By the whole batch's size: gradients of all processes then add up to that of its mean loss.
    let reading = try CrossEntropy(
      logits: pass.logits, labels: batch.labels, smoothing: recipe.labelSmoothing,
      gradientScale: 1 / Double(indices.count))
    var outcome = Outcome(
      lossSum: reading.losses.reduce(0, +),
      wrong: zip(reading.predictions, batch.indices).count { $0 != set.labels[$1] })
    let share = Double(batch.count) / Double(indices.count)
    let gradients = try exchange?.begin(share: share, outcome) ?? Gradients()
    try pass.backward(reading.requiredGradient(), into: gradients)
    if let exchange { outcome = try exchange.finish() }
    guard outcome.lossSum.isFinite else { return outcome }
    try optimizer.step(gradients, rate: rate)
    return outcome
  }
}
