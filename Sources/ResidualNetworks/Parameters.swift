import Foundation

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

  /// Whether gradient descent changes it.
  public var isTrainable: Bool { role != .runningMean && role != .runningVariance }
}

extension StepLayout {
  /// Where one of the step's two normalisations has γ and β, and where its running statistics: with the block where all
  /// its steps share them, under `uses.U` where each has its own.
  func normPaths(_ norm: String) -> (affine: String, statistics: String) {
    let own = "\(name.blockPath).uses.\(name.use).\(norm)"
    let shared = "\(name.blockPath).\(norm)"
    return (sharing?.unsharedAffine == true ? own : shared, sharing?.unsharedStatistics == true ? own : shared)
  }
}

extension Architecture {
  /// Every stored tensor once, in the order of the forward pass.
  public var parameters: [ParameterSpecification] {
    var all: [ParameterSpecification] = []
    func convolution(_ path: String, _ inputs: Int, _ outputs: Int, _ kernel: Int) {
      all.append(
        .init(
          path: path + ".weight", shape: [outputs, inputs, kernel, kernel],
          role: .weight(fanIn: inputs * kernel * kernel)))
      all.append(.init(path: path + ".bias", shape: [outputs], role: .bias))
    }
    func affine(_ path: String, _ channels: Int, gamma: Double = 1) {
      all.append(.init(path: path + ".weight", shape: [channels], role: .normWeight(initial: gamma)))
      all.append(.init(path: path + ".bias", shape: [channels], role: .normBias))
    }
    func statistics(_ path: String, _ channels: Int) {
      all.append(.init(path: path + ".running_mean", shape: [channels], role: .runningMean))
      all.append(.init(path: path + ".running_var", shape: [channels], role: .runningVariance))
    }
    func norm(_ norm: String, of step: StepLayout, _ channels: Int) {
      let paths = step.normPaths(norm)
      let isFirst = step.name.use == 0
      if isFirst || step.sharing?.unsharedAffine == true {
        affine(paths.affine, channels, gamma: step.sharing?.initialGamma ?? 1)
      }
      if isFirst || step.sharing?.unsharedStatistics == true { statistics(paths.statistics, channels) }
    }
    convolution("stem", input.channels, stem.width, 3)
    for step in steps {
      let path = step.name.blockPath
      let isFirst = step.name.use == 0
      norm("norm1", of: step, step.input.channels)
      if isFirst { convolution(path + ".conv1", step.input.channels, step.output.channels, 3) }
      norm("norm2", of: step, step.output.channels)
      if isFirst { convolution(path + ".conv2", step.output.channels, step.output.channels, 3) }
      if step.name.projection {
        convolution(path + ".projection", step.input.channels, step.output.channels, 1)
      }
    }
    affine("head.norm", features.channels)
    statistics("head.norm", features.channels)
    all.append(.init(path: "head.linear.weight", shape: [classes, headInputs], role: .weight(fanIn: headInputs)))
    all.append(.init(path: "head.linear.bias", shape: [classes], role: .bias))
    return all
  }

  /// How often a pass back through the network adds to the gradient of each trainable parameter: once for every step that
  /// uses it.
  public var gradientParts: [String: Int] {
    var parts: [String: Int] = [:]
    func count(_ path: String) { for name in [".weight", ".bias"] { parts[path + name, default: 0] += 1 } }
    for path in ["stem", "head.norm", "head.linear"] { count(path) }
    for step in steps {
      for norm in ["norm1", "norm2"] { count(step.normPaths(norm).affine) }
      for convolution in ["conv1", "conv2"] { count(step.name.blockPath + "." + convolution) }
      if step.name.projection { count(step.name.blockPath + ".projection") }
    }
    return parts
  }

  /// All stored numbers, running statistics included: the count that Keras, and so the paper (§4), calls total.
  public var totalParameters: Int { parameters.reduce(0) { $0 + $1.count } }

  /// The numbers that gradient descent changes: the counts of the paper's Table 1.
  public var trainableParameters: Int { parameters.reduce(0) { $0 + ($1.isTrainable ? $1.count : 0) } }

  /// Multiplications with an addition in one image's forward pass, in convolutions and the fully connected layer.
  public var multiplyAccumulates: Int {
    var total = 9 * input.channels * stem.width * input.height * input.width + headInputs * classes
    for step in steps {
      let pixels = step.output.height * step.output.width
      total += 9 * (step.input.channels + step.output.channels) * step.output.channels * pixels
      if step.name.projection { total += step.input.channels * step.output.channels * pixels }
    }
    return total
  }
}
