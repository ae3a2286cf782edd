import ResLensTorch

/// The residual block of He et al. 2015, "Deep Residual Learning for Image Recognition": h' = ReLU(s(h) + F(h)), where F
/// applies a 3×3 convolution, BatchNorm and ReLU, and then a 3×3 convolution and BatchNorm.
///
/// A stage's options:
/// - `shortcut`: the form of s in the block that changes the shape of h. `projection` (the default) is a 1×1 convolution
///   and BatchNorm, option B of the paper. `zeros` is option A, which has no parameters: it takes the pixels that the stride
///   leaves, and adds channels of zeros, half of them before the channels of h and half behind.
/// - `bias`: true if the convolutions have biases; false by default.
public struct PostActivation: Block {
  public static let kind = "post-activation"
  public let steps: [any ResidualStep]

  public init(_ context: BlockContext) throws {
    let hasBias = try context.options.flag("bias", default: false)
    let shortcut = try context.options.word("shortcut", default: "projection", of: ["projection", "zeros"])
    steps = try context.steps { scope in
      let conv1 = try scope.convolution(
        "conv1", of: scope.input, outputs: context.width, kernel: 3, stride: context.stride, hasBias: hasBias)
      let norm1 = try scope.batchNorm("norm1", of: conv1.output)
      let conv2 = try scope.convolution("conv2", of: conv1.output, outputs: context.width, kernel: 3, hasBias: hasBias)
      let norm2 = try scope.batchNorm("norm2", of: conv2.output)
      let skip =
        !context.projects
        ? nil : shortcut == "zeros" ? try Self.zeros(scope, context) : try Self.projection(scope, context, hasBias)
      return try RecordedStep(scope, output: conv2.output, after: .relu, skip: skip) { h in
        try norm2(conv2(norm1(conv1(h)).relu()))
      }
    }
  }

  /// A 1×1 convolution and BatchNorm in place of the identity.
  static func projection(
    _ scope: ParameterScope, _ context: BlockContext, _ hasBias: Bool
  ) throws -> RecordedStep.Function {
    let projection = try scope.convolution(
      "projection", of: scope.input, outputs: context.width, kernel: 1, stride: context.stride, hasBias: hasBias)
    let norm = try scope.batchNorm("projection.norm", of: projection.output)
    return { h in try norm(projection(h)) }
  }

  private static func zeros(_ scope: ParameterScope, _ context: BlockContext) throws -> RecordedStep.Function {
    let (new, stride) = (context.width - scope.input[0], context.stride)
    guard new >= 0, new.isMultiple(of: 2) else {
      throw context.refusal(
        of: "width",
        "\(scope.input[0]) channels become \(context.width), and \"shortcut: zeros\" adds as many channels before as behind"
      )
    }
    return { h in try h.subsampled(by: stride, zeroChannels: new / 2) }
  }
}
