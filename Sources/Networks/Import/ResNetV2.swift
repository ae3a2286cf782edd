/// timm's pre-activation ResNets with BatchNorm (`resnetv2_*`), those of He et al. 2016 for large images. A shortcut's
/// convolution reads what the block's first convolution reads, and the classifier is a 1×1 convolution.
struct ResNetV2: WeightFamily {
  static let name = "resnetv2"
  static let summary = "timm's resnetv2_* with BatchNorm (resnetv2_50, resnetv2_50d)"
  private static let names = TimmV2Names()

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, names)?.architecture(input: input, isForLargeImages: true, isPreActivation: true)
  }

  static func foreignName(of path: String, in architecture: Architecture) -> String {
    names.name(of: path, in: architecture)
  }

  static func foreignShape(of parameter: ParameterSpecification) -> [Int] {
    parameter.path == "head.linear.weight" ? parameter.shape + [1, 1] : parameter.shape
  }
}
