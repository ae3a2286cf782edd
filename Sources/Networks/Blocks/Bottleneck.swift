import ResLensTorch

/// The bottleneck block of He et al. 2015, which deep networks for large images have: h' = ReLU(s(h) + F(h)), where F
/// applies a 1×1 convolution to fewer channels, a 3×3 convolution and a 1×1 convolution, each followed by BatchNorm, with
/// ReLU between them. In a block that changes the shape, s is a 1×1 convolution and BatchNorm.
///
/// A stage's options:
/// - `reduction`: the stage's channels are so many times those inside of the block; 4 by default.
/// - `stride-at`: the convolution that has the stride, `middle` (the default, as in torchvision) or `first` (as in the
///   paper).
/// - `bias`: true if the convolutions have biases; false by default.
public struct Bottleneck: Block {
  public static let kind = "bottleneck"
  public let steps: [any ResidualStep]

  public init(_ context: BlockContext) throws {
    let hasBias = try context.options.flag("bias", default: false)
    let isFirst = try context.options.word("stride-at", default: "middle", of: ["middle", "first"]) == "first"
    let reduction = try context.options.integer("reduction", default: 4, in: 1...1024)
    guard context.width.isMultiple(of: reduction) else {
      throw context.refusal(of: "width", "\(context.width) channels cannot be divided by the reduction of \(reduction)")
    }
    let (inner, stride) = (context.width / reduction, context.stride)
    steps = try context.steps { scope in
      let conv1 = try scope.convolution(
        "conv1", of: scope.input, outputs: inner, kernel: 1, stride: isFirst ? stride : 1, hasBias: hasBias)
      let norm1 = try scope.batchNorm("norm1", of: conv1.output)
      let conv2 = try scope.convolution(
        "conv2", of: conv1.output, outputs: inner, kernel: 3, stride: isFirst ? 1 : stride, hasBias: hasBias)
      let norm2 = try scope.batchNorm("norm2", of: conv2.output)
      let conv3 = try scope.convolution("conv3", of: conv2.output, outputs: context.width, kernel: 1, hasBias: hasBias)
      let norm3 = try scope.batchNorm("norm3", of: conv3.output)
      let skip = context.projects ? try PostActivation.projection(scope, context, hasBias) : nil
      return try RecordedStep(scope, output: conv3.output, after: .relu, skip: skip) { h in
        try norm3(conv3(norm2(conv2(norm1(conv1(h)).relu())).relu()))
      }
    }
  }
}
