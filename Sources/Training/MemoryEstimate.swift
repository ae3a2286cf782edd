import ResLensTasks
import ResLensNetworks

/// An estimate of the memory that a training on the processor needs at its peak, from the sizes of its tensors. Measured
/// peaks are within a factor of 1.25 of it (docs/performance.md).
public struct MemoryEstimate: Equatable, Sendable {
  /// The bytes of weights, gradients, velocities and a checkpoint, and of the filters' gradients in Winograd's domain.
  public var parameters: Double
  /// The bytes of a batch: what its forward pass keeps for the backward pass, and the states that are in work.
  public var activations: Double
  /// The bytes of the images.
  public var images: Double
  /// The bytes of the program with libtorch before it has any tensor.
  public static let program = Double(140 << 20)

  /// All bytes.
  public var total: Double { Self.program + parameters + activations + images }

  /// - Parameters:
  ///   - dataset: the data that the configuration names
  ///   - threads: the number of threads that compute
  ///   - processes: the number of processes that share a batch; the estimate is of one of them
  public init(_ configuration: RunConfiguration, _ dataset: ImageDataset, threads: Int, processes: Int = 1) {
    let architecture = configuration.architecture
    func elements(_ shape: [Int]) -> Double { shape.reduce(1) { $0 * Double($1) } }
    let float = 4.0
    // The gradient of a 3×3 filter has 36 numbers for 9 while it is added up, once for each thread.
    let filters = architecture.parameters.map(\.shape).filter { $0.suffix(2) == [3, 3] }
    let winograd = Double(threads) * 4 * (filters.map(elements).max() ?? 0)
    // Weights, gradients, velocities, and the two copies of which a checkpoint's file is written.
    parameters = float * (5 * Double(architecture.totalParameters) + winograd)
    let outputs = architecture.steps.map { elements($0.output) }
    // h, its gradient, and the gradient of what is added to it.
    let inWork = 3 * (outputs.max() ?? 0)
    let available = configuration.trainSamples ?? dataset.train.count
    let batch = Double((min(configuration.recipe.batch, available) + processes - 1) / processes)
    let element = configuration.precision == .fp32 ? float : float / 2
    var bytes = batch * element * (architecture.keptElements + inWork)
    if let schedule = configuration.measure {
      // Measures are taken in float32, and keep F too.
      let samples = Double(min(schedule.samples, MeasureSchedule.batch))
      bytes = max(bytes, samples * float * (architecture.keptElements + outputs.reduce(0, +) + inWork))
    }
    activations = bytes
    images = Double(dataset.train.memoryBytes + dataset.validation.memoryBytes)
  }
}
