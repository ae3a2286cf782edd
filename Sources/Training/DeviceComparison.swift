import ResLensTasks
import ResLensNetworks
import ResLensTorch

/// A comparison of a device with the processor: a small network on made-up images.
public struct DeviceComparison: Sendable {
  /// The size of the difference of the logits in float32, relative to the size of the logits.
  public let outputs: Double
  /// The relative difference of all parameters' gradients together in float32, with the network's ReLUs held open and
  /// shut (`held`).
  public let gradients: Double
  /// The relative difference between our kernels and libtorch's operations, both on the device; 0 where the device has
  /// no kernels of ours.
  public let kernels: Double
  /// How far the gradients of a network as it begins are in bfloat16 from float32's: by our kernels, over what it is by libtorch's
  /// operations.
  public let kernelsInHalf: Double
  /// The relative difference of all weights after a few steps with and without capture; nil where steps are not
  /// captured.
  public let captured: Double?

  /// Above this a device cannot be trusted: rounding leaves less.
  public static let tolerance = 1e-4
  /// The tolerance for `kernelsInHalf`. The rounding of libtorch's operations is part of that difference.
  public static let halfTolerance = 1.5

  /// True if all agrees.
  public var agrees: Bool {
    [outputs, gradients, captured ?? 0].allSatisfy { $0 <= Self.tolerance } && kernelsAgree
  }

  /// True if our kernels on it agree.
  public var kernelsAgree: Bool { kernels <= Self.tolerance && kernelsInHalf <= Self.halfTolerance }

  /// Takes some seconds.
  /// - Parameters:
  ///   - kernels: the kernel set that the processor is compared on, where that is the device; its own where it is nil
  ///   - images: of a batch; the usual one by default, for kernels' work depends on it
  /// - Throws: `TorchError` where the device fails, or there is no such kernel set.
  public init(of device: Device, kernels: String? = nil, images: Int = 128) throws {
    let architecture = try Architecture.find("resnet-20")
    let dataset = try Synthetic.dataset(train: images, validation: 1)
    let usual = try ResidualNetwork(architecture, seed: 0)
    let held = try Self.held(architecture)
    func made(_ network: ResidualNetwork, _ type: ElementType, on device: Device) throws -> (
      logits: [Double], gradients: [Double]
    ) {
      let network = try network.moved(to: device)
      let batch = try BatchMaker(statistics: dataset.statistics, type: type, device: device)
        .batch(dataset.train, 0..<images)
      let pass = try Pass(network, images: batch.images, mode: .batchUpdating())
      let loss = try BatchLoss(logits: pass.logits, labels: batch.labels, gradientScale: 1 / Double(images))
      let gradients = Gradients()
      try pass.backward(loss.gradient, into: gradients)
      return (try pass.logits.doubles(), try Self.flat(gradients.byPath))
    }
    func made(by kernels: String) throws -> (
      single: (logits: [Double], gradients: [Double]), half: [Double], held: [Double]
    ) {
      try KernelSet.using(kernels) {
        (
          try made(usual, .float32, on: device), try made(usual, .bfloat16, on: device).gradients,
          try made(held, .float32, on: device).gradients
        )
      }
    }
    let byKernels = try made(by: kernels ?? KernelSet.current)
    let byOperations = try made(by: "libtorch")
    outputs = Self.difference(try made(usual, .float32, on: .cpu).logits, byKernels.single.logits)
    gradients = Self.difference(try made(held, .float32, on: .cpu).gradients, byKernels.held)
    self.kernels = Self.difference(byOperations.held, byKernels.held)
    func fromSingle(_ half: [Double]) -> Double { Self.difference(byOperations.single.gradients, half) }
    kernelsInHalf = fromSingle(byKernels.half) / fromSingle(byOperations.half)

    func trained(capturing: Bool) throws -> [Double] {
      let network = try ResidualNetwork(architecture, seed: 0).moved(to: device)
      let maker = try BatchMaker(statistics: dataset.statistics, device: device)
      let recipe = try Recipe.find("quick", for: architecture)
      let trainer = try StepTrainer(network, recipe, maker: maker, capturesSteps: capturing)
      for step in 0..<6 { try trainer.step(on: dataset.train, 0..<images, epoch: step, rate: 0.01) }
      return try Self.flat(network.parameters)
    }
    guard DeviceGraph.isPossible(on: device) else {
      captured = nil
      return
    }
    captured = Self.difference(try trained(capturing: false), try trained(capturing: true))
  }

  /// A network with every second channel's ReLU open and every other's shut, as far from 0 as five deviations: in float32 a ReLU
  /// whose input is within rounding of 0 lets through on one device and not on the other, and a few of those, not what is compared,
  /// would decide how far gradients are apart.
  private static func held(_ architecture: Architecture) throws -> ResidualNetwork {
    var parameters = try ResidualNetwork(architecture, seed: 0).parameters
    for specification in architecture.parameters {
      switch specification.role {
      case .normWeight: parameters[specification.path] = try .full(specification.shape, 0.2)
      case .normBias:
        let channels = 0..<specification.count
        parameters[specification.path] = try Tensor(
          channels.map { $0.isMultiple(of: 2) ? Float(1) : -1 }, shape: specification.shape)
      default: break
      }
    }
    return try ResidualNetwork(architecture, parameters: parameters)
  }

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
