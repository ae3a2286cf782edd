import ResLensTorch

/// The skip of a block that changes the shape of h, by the options of the block's stage.
///
/// - `shortcut`: `projection` (the default) is a 1×1 convolution with the block's stride, option B of He et al. 2015,
///   "Deep Residual Learning for Image Recognition". `pooled-projection` averages the windows of the stride and then
///   applies a 1×1 convolution, as in ResNet-D of He et al. 2019, "Bag of Tricks for Image Classification with
///   Convolutional Neural Networks". `zeros` is option A of the former paper, which has no parameters: it takes the pixels
///   that the stride leaves, and adds channels of zeros, half of them before the channels of h and half behind.
/// - `shortcut-norm`: true if BatchNorm follows the convolution.
struct Shortcut {
  enum Form: String, CaseIterable {
    case projection
    case pooledProjection = "pooled-projection"
    case zeros
  }

  let form: Form
  /// True if BatchNorm follows the convolution.
  let hasNorm: Bool
  private let hasBias: Bool

  /// - Parameters:
  ///   - hasNorm: the value of `shortcut-norm` where the stage does not set it
  ///   - hasBias: whether the convolution has a bias
  /// - Throws: `ArchitectureError` for an option that is not possible.
  init(_ context: BlockContext, hasNorm: Bool, hasBias: Bool) throws {
    let word = try context.options.word(
      "shortcut", default: Form.projection.rawValue, of: Form.allCases.map(\.rawValue))
    form = Form(rawValue: word) ?? .projection
    let isNormed = try context.options.flag("shortcut-norm", default: form == .zeros ? false : hasNorm)
    guard form != .zeros || !isNormed else {
      throw context.refusal(
        of: "options.shortcut-norm", "\"shortcut: zeros\" has no convolution that a normalisation could follow")
    }
    self.hasNorm = isNormed
    self.hasBias = hasBias
  }

  /// Declares the skip's parameters in a step's scope.
  /// - Returns: the skip as a function of what it reads; nil where the block keeps the shape of h
  /// - Throws: `ArchitectureError` where channels of zeros cannot make the stage's width.
  func function(_ scope: ParameterScope, _ context: BlockContext) throws -> RecordedStep.Function? {
    guard context.projects else { return nil }
    guard form != .zeros else { return try zeros(scope, context) }
    let (stride, pools) = (context.stride, form == .pooledProjection)
    let image = pools ? [scope.input[0]] + scope.input.dropFirst().map { ($0 - 1) / stride + 1 } : scope.input
    let convolution = try scope.convolution(
      "projection", of: image, outputs: context.width, kernel: 1, stride: pools ? 1 : stride, hasBias: hasBias)
    let norm = hasNorm ? try scope.batchNorm("projection.norm", of: convolution.output) : nil
    return { x in
      let projected = try convolution(pools && stride > 1 ? x.pooled(by: stride) : x)
      return try norm?(projected) ?? projected
    }
  }

  private func zeros(_ scope: ParameterScope, _ context: BlockContext) throws -> RecordedStep.Function {
    let (new, stride) = (context.width - scope.input[0], context.stride)
    guard new >= 0, new.isMultiple(of: 2) else {
      throw context.refusal(
        of: "width",
        "\(scope.input[0]) channels become \(context.width), and \"shortcut: zeros\" adds as many channels before as behind"
      )
    }
    return { x in try x.subsampled(by: stride, zeroChannels: new / 2) }
  }
}
