/// The convolutions of a bottleneck block, by the options of its stage.
///
/// - `reduction`: the stage's channels over those inside of the block; 4 by default.
/// - `groups`: the groups of channels between which the 3×3 convolution has no weights, as in ResNeXt (Xie et al. 2017,
///   "Aggregated Residual Transformations for Deep Neural Networks"); 1 by default.
/// - `stride-at`: the convolution that has the stride, `middle` (the default, as in torchvision) or `first` (as in He et al.
///   2015).
/// - `bias`: true if the convolutions have biases; false by default.
struct BottleneckConvolutions {
  let hasBias: Bool
  private let outer: Int
  private let inner: Int
  private let groups: Int
  private let strides: (first: Int, second: Int)

  init(_ context: BlockContext) throws {
    hasBias = try context.options.flag("bias", default: false)
    let isFirst = try context.options.word("stride-at", default: "middle", of: ["middle", "first"]) == "first"
    strides = isFirst ? (context.stride, 1) : (1, context.stride)
    let reduction = try context.options.integer("reduction", default: 4, in: 1...1024)
    outer = context.width
    guard outer.isMultiple(of: reduction) else {
      throw context.refusal(of: "width", "\(outer) channels cannot be divided by the reduction of \(reduction)")
    }
    inner = outer / reduction
    groups = try context.options.integer("groups", default: 1, in: 1...65536)
    guard inner.isMultiple(of: groups) else {
      throw context.refusal(of: "options.groups", "\(inner) channels cannot be divided into \(groups) groups")
    }
  }

  func first(_ scope: ParameterScope) throws -> ConvolutionLayer {
    try scope.convolution(
      "conv1", of: scope.input, outputs: inner, kernel: 1, stride: strides.first, hasBias: hasBias)
  }

  func second(_ scope: ParameterScope, of shape: [Int]) throws -> ConvolutionLayer {
    try scope.convolution(
      "conv2", of: shape, outputs: inner, kernel: 3, stride: strides.second, groups: groups, hasBias: hasBias)
  }

  func third(_ scope: ParameterScope, of shape: [Int]) throws -> ConvolutionLayer {
    try scope.convolution("conv3", of: shape, outputs: outer, kernel: 1, hasBias: hasBias)
  }
}
