import ResLensResults

/// One stored tensor of an architecture: its path, shape and what it is for. The paths are the same in memory, in a
/// checkpoint and in messages.
public struct ParameterSpecification: Hashable, Sendable {
  /// The purpose of a tensor, which determines its initial value and whether weight decay applies.
  public enum Role: Hashable, Sendable {
    /// The weight of a convolution or of the fully connected layer. Its initial values are He-normal with this fan-in.
    case weight(fanIn: Int)
    /// The bias of a convolution or of the fully connected layer. It starts at 0.
    case bias
    /// γ of a normalisation; begins at `initial`.
    case normWeight(initial: Double)
    /// β of a normalisation.
    case normBias
    /// The running mean of a normalisation's input. It starts at 0.
    case runningMean
    /// The unbiased one; begins at 1.
    case runningVariance
  }

  /// For instance "stages.2.0.conv1.weight".
  public var path: String
  /// PyTorch's: O×I×K×K of a convolution, O×I of the fully connected layer, C of a normalisation.
  public var shape: [Int]
  /// The purpose of the tensor.
  public var role: Role

  /// Its elements.
  public var count: Int { shape.reduce(1, *) }

  /// True if gradient descent changes it.
  public var isTrainable: Bool { role != .runningMean && role != .runningVariance }
}

/// Counts that follow from the blocks, found by building the network without tensors.
extension Architecture {
  /// A value that contradicts itself cannot be made, nor can a kind of blocks be taken away.
  private var layout: NetworkLayout {
    do {
      return try NetworkLayout.of(self)
    } catch {
      preconditionFailure("\(name) is no architecture (\(error))")
    }
  }

  /// The steps in order.
  public var steps: [StepSpec] { layout.steps }

  /// The options of each stage's blocks, those that the stage does not set with their default values.
  var blockOptions: [[String: BlockOptions.Value]] { layout.blockOptions }

  /// The shape of one sample's last h, which the head reads: channels, height, width.
  public var features: [Int] { layout.features }

  /// Every stored tensor once, in the order of the forward pass.
  public var parameters: [ParameterSpecification] { layout.parameters }

  /// How often a pass back through the network adds to the gradient of each trainable parameter: once for every step that
  /// uses it.
  public var gradientParts: [String: Int] { layout.gradientParts }

  /// All stored numbers, running statistics included: the count that Keras, and so the paper (§4), calls total.
  public var totalParameters: Int { parameters.reduce(0) { $0 + $1.count } }

  /// The numbers that gradient descent changes: the counts of the paper's Table 1.
  public var trainableParameters: Int { parameters.reduce(0) { $0 + ($1.isTrainable ? $1.count : 0) } }

  /// Multiplications with an addition in one image's forward pass, in convolutions and the fully connected layer.
  public var multiplyAccumulates: Int { layout.multiplyAccumulates }

  /// The readout's part of `multiplyAccumulates`.
  public var readoutMultiplyAccumulates: Int { layout.readoutMultiplyAccumulates }

  /// About how many numbers of one sample a forward pass keeps for the backward pass.
  public var keptElements: Double { layout.keptElements }
}
