/// The bottleneck block of He et al. 2016, "Identity Mappings in Deep Residual Networks": h' = s(h) + F(h), where F applies
/// a 1×1 convolution to fewer channels, a 3×3 convolution and a 1×1 convolution, each after BatchNorm and ReLU.
///
/// A stage's options:
/// - `reduction`, `groups`, `stride-at` and `bias`: those of the convolutions (`BottleneckConvolutions`).
/// - `shortcut` and `shortcut-norm` (false by default): the form of s in the block that changes the shape of h (`Shortcut`).
/// - `shortcut-reads`: `activation` (the default) if that s is applied to what F's first convolution reads, h after BatchNorm
///   and ReLU; `input` if to h.
public struct PreActivationBottleneck: Block {
  public static let kind = "pre-activation-bottleneck"
  public let steps: [any ResidualStep]

  public init(_ context: BlockContext) throws {
    let convolutions = try BottleneckConvolutions(context)
    let shortcut = try Shortcut(context, hasNorm: false, hasBias: convolutions.hasBias)
    let skipReads = try RecordedStep.Source(context, default: .activation)
    steps = try context.steps { scope in
      let norm1 = try scope.batchNorm("norm1", of: scope.input)
      let conv1 = try convolutions.first(scope)
      let norm2 = try scope.batchNorm("norm2", of: conv1.output)
      let conv2 = try convolutions.second(scope, of: conv1.output)
      let norm3 = try scope.batchNorm("norm3", of: conv2.output)
      let conv3 = try convolutions.third(scope, of: conv2.output)
      let skip = try shortcut.function(scope, context)
      return try RecordedStep(
        scope, output: conv3.output, activation: { h in try norm1(h).relu() }, skip: skip, skipReads: skipReads
      ) { active in
        try conv3(norm3(conv2(norm2(conv1(active)).relu())).relu())
      }
    }
  }
}
