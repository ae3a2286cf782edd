/// The bottleneck block of He et al. 2015, which deep networks for large images have: h' = ReLU(s(h) + F(h)), where F
/// applies a 1×1 convolution to fewer channels, a 3×3 convolution and a 1×1 convolution, each followed by BatchNorm, with
/// ReLU between them.
///
/// A stage's options:
/// - `reduction`, `groups`, `stride-at` and `bias`: those of the convolutions (`BottleneckConvolutions`).
/// - `shortcut` and `shortcut-norm` (true by default): the form of s in the block that changes the shape of h (`Shortcut`).
public struct Bottleneck: Block {
  public static let kind = "bottleneck"
  public let steps: [any ResidualStep]

  public init(_ context: BlockContext) throws {
    let convolutions = try BottleneckConvolutions(context)
    let shortcut = try Shortcut(context, hasNorm: true, hasBias: convolutions.hasBias)
    steps = try context.steps { scope in
      let conv1 = try convolutions.first(scope)
      let norm1 = try scope.batchNorm("norm1", of: conv1.output)
      let conv2 = try convolutions.second(scope, of: conv1.output)
      let norm2 = try scope.batchNorm("norm2", of: conv2.output)
      let conv3 = try convolutions.third(scope, of: conv2.output)
      let norm3 = try scope.batchNorm("norm3", of: conv3.output)
      let skip = try shortcut.function(scope, context)
      return try RecordedStep(scope, output: conv3.output, after: .relu, skip: skip) { h in
        try norm3(conv3(norm2(conv2(norm1(conv1(h)).relu())).relu()))
      }
    }
  }
}
