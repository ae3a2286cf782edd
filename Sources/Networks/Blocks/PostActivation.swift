import ResLensResults
import ResLensTorch

/// The residual block of He et al. 2015, "Deep Residual Learning for Image Recognition": h' = ReLU(s(h) + F(h)), where F
/// applies a 3×3 convolution, BatchNorm and ReLU, and then a 3×3 convolution and BatchNorm.
///
/// A stage's options:
/// - `shortcut` and `shortcut-norm` (true by default): the form of s in the block that changes the shape of h (`Shortcut`).
/// - `bias`: true if the convolutions have biases; false by default.
public struct PostActivation: Block {
  public static let kind = "post-activation"
  public let steps: [any ResidualStep]

  public init(_ context: BlockContext) throws {
    let hasBias = try context.options.flag("bias", default: false)
    let shortcut = try Shortcut(context, hasNorm: true, hasBias: hasBias)
    // Fused units begin with a ReLU, which changes nothing where h has no values below 0.
    let isFused = context.isRectified && !context.projects
    steps = try (0..<context.uses).map { _ in
      try context.step { scope in
        try PostActivationStep(scope, context, shortcut, hasBias: hasBias, isFused: isFused)
      }
    }
  }
}

/// A step of the post-activation block. Its backward pass is libtorch's autograd, except where it is fused: then, by running
/// statistics, each convolution is a fused unit, the second normalisation is a part of the second convolution, and the
/// backward pass is written out.
struct PostActivationStep: ResidualStep {
  private let recorded: RecordedStep
  private let isFused: Bool
  private let conv1: ConvolutionLayer
  private let norm1: BatchNormLayer
  private let conv2: ConvolutionLayer
  private let norm2: BatchNormLayer

  var spec: StepSpec { recorded.spec }
  var isRectified: Bool { recorded.isRectified }

  init(_ scope: ParameterScope, _ context: BlockContext, _ shortcut: Shortcut, hasBias: Bool, isFused: Bool) throws {
    let conv1 = try scope.convolution(
      "conv1", of: scope.input, outputs: context.width, kernel: 3, stride: context.stride, hasBias: hasBias)
    let norm1 = try scope.batchNorm("norm1", of: conv1.output)
    let conv2 = try scope.convolution("conv2", of: conv1.output, outputs: context.width, kernel: 3, hasBias: hasBias)
    let norm2 = try scope.batchNorm("norm2", of: conv2.output)
    let skip = try shortcut.function(scope, context)
    recorded = try RecordedStep(scope, output: conv2.output, after: .relu, skip: skip) { h in
      try norm2(conv2(norm1(conv1(h)).relu()))
    }
    (self.isFused, self.conv1, self.norm1, self.conv2, self.norm2) = (isFused, conv1, norm1, conv2, norm2)
  }

  /// The values that the backward pass of the fused units needs besides the trace.
  private struct Units {
    let step: Plan.Step
    /// The input of the second unit.
    let between: Tensor
    let norm: NormReLU.Parameters
    let convolutions: (first: ResidualUnit.Convolution, second: ResidualUnit.Convolution)
  }

  func forward(_ h: Stream, _ step: Plan.Step, _ mode: NormMode, wants: Wanted) throws -> StepTrace {
    guard isFused, case .running = mode, step.scale != 0 else {
      return try recorded.forward(h, step, mode, wants: wants)
    }
    let norm = try norm1.parameters(step.statistics)
    let weight = try conv1.weight.tensor()
    let bias = try conv1.bias?.tensor() ?? NormReLU.Parameters.constant(0, like: norm.bias)
    let first = ResidualUnit.Convolution(weight: weight, bias: bias, stride: 1)
    let second = try ResidualUnit.Convolution(
      weight: conv2.weight.tensor(), bias: conv2.bias?.tensor(), folding: norm2.parameters(step.statistics))
    let between = try ResidualUnit.forward(h.h, .identity(like: norm, offset: 0), by: .running, first).added.wanted()
    let output = try ResidualUnit.forward(between, norm, by: .running, second, scale: step.scale, adding: h.h).sum
      .wanted()
    try output.rectify()
    let units = Units(step: step, between: between, norm: norm, convolutions: (first, second))
    return StepTrace(
      input: h.h, skip: h.h, added: wants.contains(.added) ? try output.adding(h.h, scale: -1) : nil,
      output: Stream(output), tape: wants.contains(.backward) ? units : nil)
  }

  func backward(_ gradient: Tensor, _ trace: StepTrace, into gradients: Gradients?) throws -> StepGradients {
    guard let units = trace.tape as? Units else { return try recorded.backward(gradient, trace, into: gradients) }
    guard gradients == nil else {
      // The gradients of γ and β by running statistics are autograd's alone.
      let again = try recorded.forward(Stream(trace.input), units.step, .running, wants: .backward)
      return try recorded.backward(gradient, again, into: gradients)
    }
    let sum = try trace.output.h.rectifyBackward(gradient)
    let scaled = units.step.scale == 1 ? sum : try sum.scaled(by: units.step.scale)
    let second = try ResidualUnit.backward(
      .init(scaled), input: units.between, units.norm, statistics: nil, units.convolutions.second,
      wantsParameters: false)
    // With the offset no ReLU is shut, not even where h is 0: the convolution's input was h itself.
    let first = try ResidualUnit.backward(
      second.input, input: trace.input, .identity(like: units.norm, offset: 1), statistics: nil,
      units.convolutions.first, adding: sum, wantsParameters: false)
    return StepGradients(input: try first.input.resolved(), skip: nil)
  }
}

extension NormReLU.Parameters {
  /// A normalisation that only adds a number, for a unit whose convolution reads its input as it is.
  fileprivate static func identity(like other: NormReLU.Parameters, offset: Double) throws -> NormReLU.Parameters {
    let (zeros, ones) = (try constant(0, like: other.bias), try constant(1, like: other.bias))
    return .init(
      weight: ones, bias: offset == 0 ? zeros : try constant(offset, like: other.bias), runningMean: zeros,
      runningVariance: ones, epsilon: 0)
  }

  fileprivate static func constant(_ value: Double, like other: Tensor) throws -> Tensor {
    try Tensor.full(other.shape, value, other.elementType).moved(to: other.device)
  }
}
