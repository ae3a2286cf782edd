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
    steps = try context.steps { scope in
      let conv1 = try scope.convolution(
        "conv1", of: scope.input, outputs: context.width, kernel: 3, stride: context.stride, hasBias: hasBias)
      let norm1 = try scope.batchNorm("norm1", of: conv1.output)
      let conv2 = try scope.convolution("conv2", of: conv1.output, outputs: context.width, kernel: 3, hasBias: hasBias)
      let norm2 = try scope.batchNorm("norm2", of: conv2.output)
      let skip = try shortcut.function(scope, context)
      return try RecordedStep(scope, output: conv2.output, after: .relu, skip: skip) { h in
        try norm2(conv2(norm1(conv1(h)).relu()))
      }
    }
  }
}
