import Foundation

/// One stored tensor of an architecture: its path, shape and what it is for. The paths are the same in memory, in a
/// checkpoint and in messages.
public struct ParameterSpecification: Hashable, Sendable {
  public enum Role: Hashable, Sendable {
    /// Of a convolution or the fully connected layer; drawn He-normal by its fan-in.
    case weight(fanIn: Int)
    case bias
    /// γ of a normalisation.
    case normWeight
    /// β of a normalisation.
    case normBias
    case runningMean
    case runningVariance
  }

  public var path: String
  public var shape: [Int]
  public var role: Role

  public var count: Int { shape.reduce(1, *) }

  /// Whether gradient descent changes it.
  public var isTrainable: Bool { role != .runningMean && role != .runningVariance }
}

extension Architecture {
  /// Every stored tensor, in the order of the forward pass.
  public var parameters: [ParameterSpecification] {
    var all: [ParameterSpecification] = []
    func convolution(_ path: String, _ inputs: Int, _ outputs: Int, _ kernel: Int) {
      all.append(
        .init(
          path: path + ".weight", shape: [outputs, inputs, kernel, kernel],
          role: .weight(fanIn: inputs * kernel * kernel)))
      all.append(.init(path: path + ".bias", shape: [outputs], role: .bias))
    }
    func norm(_ path: String, _ channels: Int) {
      all.append(.init(path: path + ".weight", shape: [channels], role: .normWeight))
      all.append(.init(path: path + ".bias", shape: [channels], role: .normBias))
      all.append(.init(path: path + ".running_mean", shape: [channels], role: .runningMean))
      all.append(.init(path: path + ".running_var", shape: [channels], role: .runningVariance))
    }
    convolution("stem", input.channels, stem.width, 3)
    for step in steps {
      let path = "stages.\(step.name.stage).\(step.name.block)"
      norm(path + ".norm1", step.input.channels)
      convolution(path + ".conv1", step.input.channels, step.output.channels, 3)
      norm(path + ".norm2", step.output.channels)
      convolution(path + ".conv2", step.output.channels, step.output.channels, 3)
      if step.name.projection {
        convolution(path + ".projection", step.input.channels, step.output.channels, 1)
      }
    }
    norm("head.norm", features.channels)
    all.append(.init(path: "head.linear.weight", shape: [classes, headInputs], role: .weight(fanIn: headInputs)))
    all.append(.init(path: "head.linear.bias", shape: [classes], role: .bias))
    return all
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
