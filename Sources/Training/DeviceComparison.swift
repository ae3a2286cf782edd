import ImageDatasets
import ResidualNetworks
import Torch

/// Whether a device computes what the processor does: a small network on made-up images.
public struct DeviceComparison: Sendable {
  /// Of the logits in float32: the size of the difference, relative to theirs.
  public let outputs: Double
  /// Of all parameters' gradients together, in float64. In float32 a ReLU whose input is within rounding of 0 lets through on
  /// one and not on the other: our kernels and libtorch's operations, both on the processor, are 6e-4 apart.
  public let gradients: Double
  /// Of all parameters' gradients together in float32, by our kernels and by libtorch's operations, both on the device; 0
  /// where it has none of ours.
  public let kernels: Double
  /// Of all weights after a few steps, captured and not; nil where steps are not captured.
  public let captured: Double?

  /// Above this a device cannot be trusted: rounding leaves less.
  public static let tolerance = 1e-4
  /// Above this our kernels on it cannot: what a few ReLUs make of rounding is less.
  public static let kernelTolerance = 5e-3

  /// Whether all agrees.
  public var agrees: Bool {
    [outputs, gradients, captured ?? 0].allSatisfy { $0 <= Self.tolerance } && kernels <= Self.kernelTolerance
  }

  /// Takes a second.
  /// - Parameter kernels: the kernel set that the processor is compared on, where that is the device; its own where it is nil
  /// - Throws: `TorchError` where the device fails, or there is no such kernel set.
  public init(of device: Device, kernels: String? = nil) throws {
    let architecture = try Architecture.find("resnet-20")
    let dataset = try Synthetic.dataset(train: Self.images, validation: 1)
    func made(_ type: ElementType, on device: Device) throws -> (logits: [Double], gradients: [Double]) {
      let network = try ResidualNetwork(architecture, seed: 0, type: type).moved(to: device)
      let batch = try BatchMaker(statistics: dataset.statistics, type: type, device: device)
        .batch(dataset.train, 0..<Self.images)
      let pass = try Pass(network, images: batch.images, mode: .training)
      let loss = try BatchLoss(logits: pass.logits, labels: batch.labels, gradientScale: 1 / Double(Self.images))
      let gradients = Gradients()
      try pass.backward(loss.gradient, into: gradients)
      return (try pass.logits.doubles(), try Self.flat(gradients.byPath))
    }
    let own = (try made(.float32, on: .cpu), try made(.float64, on: .cpu))
    let other = try KernelSet.using(kernels ?? KernelSet.current) {
      (try made(.float32, on: device), try made(.float64, on: device))
    }
    outputs = Self.difference(own.0.logits, other.0.logits)
    gradients = Self.difference(own.1.gradients, other.1.gradients)
    let operations = try KernelSet.using("libtorch") { try made(.float32, on: device) }
    self.kernels = Self.difference(operations.gradients, other.0.gradients)

    func trained(capturing: Bool) throws -> [Double] {
      let network = try ResidualNetwork(architecture, seed: 0).moved(to: device)
      let maker = try BatchMaker(statistics: dataset.statistics, device: device)
      let recipe = try Recipe.find("quick", for: architecture)
      let trainer = try StepTrainer(network, recipe, maker: maker, capturesSteps: capturing)
      for step in 0..<6 { try trainer.step(on: dataset.train, 0..<Self.images, epoch: step, rate: 0.01) }
      return try Self.flat(network.parameters)
    }
    guard DeviceGraph.isPossible(on: device) else {
      captured = nil
      return
    }
    captured = Self.difference(try trained(capturing: false), try trained(capturing: true))
  }

  private static let images = 32

  /// All elements, in the order of the paths.
  private static func flat(_ tensors: [String: Tensor]) throws -> [Double] {
    try tensors.sorted { $0.key < $1.key }.flatMap { try $0.value.doubles() }
  }

  /// ‖other − one‖ / ‖one‖; infinite where there is no number.
  private static func difference(_ one: [Double], _ other: [Double]) -> Double {
    func size(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    guard one.count == other.count else { return .infinity }
    let relative = size(zip(one, other).map { $1 - $0 }) / size(one)
    return relative.isFinite ? relative : .infinity
  }
}
