import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensTorch

/// Trains a network, one step at a time. Several processes may share each batch.
///
/// On a GPU, results are read some steps later, so that the next steps can be prepared meanwhile. After two steps of the
/// same size on the same set, the third is captured as a CUDA graph and replayed from then on.
public final class StepTrainer {
  /// The network that is trained: every step changes its parameters.
  public let network: ResidualNetwork
  let optimizer: Optimizer
  let maker: BatchMaker
  private let recipe: Recipe
  private let task: any LearningTask
  private let exchange: GradientExchange?
  /// Σ loss, wrong classifications and steps, float64.
  private let totals: Tensor
  private var readings: [Reading] = []
  private var stepsUnread = 0
  private let capturesSteps: Bool
  private var captured: [Shape: CapturedStep] = [:]
  private var plain: [Shape: (set: ImageSet, times: Int)] = [:]

  /// The scores of batches before the network learnt from them.
  public struct Outcome: Sendable, Equatable {
    /// Sum of the samples' losses; not finite where the training has run away.
    public var lossSum: Double
    /// Samples that were classified wrongly.
    public var wrong: Int
    /// The number of steps after which the sum of losses was still finite.
    public var steps: Int

    public init(lossSum: Double = 0, wrong: Int = 0, steps: Int = 0) {
      (self.lossSum, self.wrong, self.steps) = (lossSum, wrong, steps)
    }

    fileprivate init(_ totals: [Double]) {
      self.init(lossSum: totals[0], wrong: Int(totals[1]), steps: Int(totals[2]))
    }
  }

  /// The outcome of the steps since `begin`, as far as it is known: of all steps on the processor, of all but up
  /// to 31 of the last steps on a GPU.
  public private(set) var latest = Outcome()

  /// - Parameters:
  ///   - maker: makes batches on the network's device
  ///   - task: the loss that the network learns by
  ///   - capturesSteps: whether a GPU's steps become graphs, where that is possible
  /// - Throws: `ArgumentError` for a recipe that cannot be.
  public convenience init(
    _ network: ResidualNetwork, _ recipe: Recipe, maker: BatchMaker, task: any LearningTask = ImageClassification(),
    capturesSteps: Bool = true
  ) throws {
    try self.init(network, recipe, maker: maker, task: task, velocities: nil, capturesSteps: capturesSteps)
  }

  /// - Parameters:
  ///   - velocities: the optimiser's state to go on from
  ///   - processes: those that share every batch; nil where this one has it alone
  init(
    _ network: ResidualNetwork, _ recipe: Recipe, maker: BatchMaker, task: any LearningTask = ImageClassification(),
    velocities: [String: Tensor]?, processes: DataParallel? = nil, capturesSteps: Bool = true
  ) throws {
    if let problem = recipe.problem { throw ArgumentError("recipe", problem) }
    self.network = network
    self.recipe = recipe
    self.task = task
    self.maker = maker
    optimizer = try Optimizer(network, recipe, stored: velocities)
    exchange = processes.map { GradientExchange($0, network) }
    totals = try .zeros([3], .float64).moved(to: maker.device)
    // Exchanges between processes cannot be part of a graph.
    self.capturesSteps =
      capturesSteps && exchange == nil && network.isCapturable && DeviceGraph.isPossible(on: maker.device)
  }

  // MARK: outcomes

  /// Starts counting anew from `outcome`.
  public func begin(_ outcome: Outcome = Outcome()) throws {
    try totals.copy(from: Tensor([outcome.lossSum, Double(outcome.wrong), Double(outcome.steps)], shape: [3]))
    (latest, readings, stepsUnread) = (outcome, [], 0)
  }

  /// The outcome of all steps since `begin`. Waits for the last of them.
  public func outcome() throws -> Outcome {
    latest = Outcome(try Reading(totals).values())
    (readings, stepsUnread) = ([], 0)
    return latest
  }

  /// How many steps a GPU does between two readings; it is at most twice as many behind.
  private static let stepsBetweenReadings = 16

  /// Updates `latest` with what is known by now.
  private func look() throws {
    guard maker.device.isAsynchronous else {
      _ = try outcome()
      return
    }
    stepsUnread += 1
    guard stepsUnread == Self.stepsBetweenReadings else { return }
    stepsUnread = 0
    readings.append(try Reading(totals))
    if readings.count > 1 { latest = Outcome(try readings.removeFirst().values()) }
  }

  // MARK: steps

  /// The inputs of a step that differ from step to step.
  private struct Inputs {
    /// This process's images.
    let selection: Tensor
    let rate: Tensor

    func moved(to device: Device) throws -> Inputs {
      Inputs(selection: try selection.moved(to: device), rate: try rate.moved(to: device))
    }
  }

  /// Trains on the images of `indices`, augmented as in `epoch`. Once the sum of losses is not finite, weights no longer
  /// change until `begin`.
  /// - Throws: `ArgumentError` for a rate below 0 or that is not finite; `CaptureError` if a GPU's step cannot be captured;
  ///   `TorchError`
  public func step(on set: ImageSet, _ indices: some Collection<Int>, epoch: Int, rate: Double) throws {
    try ArgumentError.check("rate", rate, in: 0...Double.greatestFiniteMagnitude)
    let own = exchange?.share(of: Array(indices)) ?? Array(indices)
    let inputs = Inputs(
      selection: try maker.selection(of: own, augmentation: recipe.augmentation, epoch: epoch),
      rate: try Tensor([rate], shape: [1]))
    let shape = Shape(set: ObjectIdentifier(set), count: own.count)
    if let captured = try captured(shape, set, inputs) {
      try captured.run(inputs)
    } else {
      try run(inputs.moved(to: maker.device), on: set, of: indices.count)
    }
    try look()
  }

  /// The part of a step that runs on the device.
  /// - Parameter count: the whole batch's images
  private func run(_ inputs: Inputs, on set: ImageSet, of count: Int) throws {
    let (images, labels) = try maker.batch(set, inputs.selection)
    let pass = try Pass(network, images: images, mode: exchange?.mode ?? .batchUpdating())
    // Dividing by the size of the whole batch makes the sum over processes the gradient of its mean loss.
    let loss = try task.loss(
      pass.logits, labels, smoothing: recipe.labelSmoothing, gradientScale: 1 / Double(count))
    let share = Double(labels.count) / Double(count)
    let gradients = try exchange?.begin(share: share, sums: loss.sums) ?? Gradients()
    try pass.backward(loss.gradient, into: gradients)
    try exchange?.finish()
    let skip = try BatchLoss.count(loss.sums, in: totals)
    try optimizer.step(gradients, rate: inputs.rate, unless: skip)
  }

  // MARK: captured steps

  /// The properties that steps must have in common to share a graph: the image set and the batch size.
  private struct Shape: Hashable {
    let set: ObjectIdentifier
    let count: Int
  }

  private struct CapturedStep {
    let inputs: Inputs
    let graph: DeviceGraph
    /// The image set, kept alive because the graph reads it.
    let set: ImageSet

    func run(_ inputs: Inputs) throws {
      try self.inputs.selection.copy(from: inputs.selection)
      try self.inputs.rate.copy(from: inputs.rate)
      try graph.replay()
    }
  }

  /// The number of steps that are run before one is captured: libtorch and cuDNN initialise themselves in the first one,
  /// and that cannot be captured.
  private static let plainSteps = 2

  /// The captured step of this shape; nil where steps are not captured, or not yet.
  private func captured(_ shape: Shape, _ set: ImageSet, _ inputs: Inputs) throws -> CapturedStep? {
    guard capturesSteps else { return nil }
    if let step = captured[shape] { return step }
    let times = plain[shape]?.times ?? 0
    plain[shape] = (set, times + 1)
    guard times >= Self.plainSteps else { return nil }
    let own = try inputs.moved(to: maker.device)
    let graph: DeviceGraph
    do {
      graph = try DeviceGraph(on: maker.device) { try run(own, on: set, of: shape.count) }
    } catch let error as TorchError {
      throw CaptureError(cause: error)
    }
    let step = CapturedStep(inputs: own, graph: graph, set: set)
    captured[shape] = step
    return step
  }
}

/// A step that a GPU did not capture as a graph; it can be run without, operation by operation.
public struct CaptureError: Error, CustomStringConvertible {
  /// The error that libtorch reported.
  public var cause: TorchError

  public var description: String { "a step could not be captured as a CUDA graph: \(cause)" }
}
