/// timm's pre-activation ResNets with BatchNorm (`resnetv2_*`), those of He et al. 2016 for large images. A shortcut's
/// convolution reads what the block's first convolution reads, and the classifier is a 1×1 convolution.
struct ResNetV2: ResNetFamily {
  static let name = "resnetv2"
  static let summary = "timm's resnetv2_* with BatchNorm (resnetv2_50, resnetv2_50d)"
  static let names: any ResNetNames = TimmV2Names()
  static let form = HeNetwork.Form(isForLargeImages: true, isPreActivation: true)

  static func foreignShape(of parameter: ParameterSpecification) -> [Int] {
    parameter.path == "head.linear.weight" ? parameter.shape + [1, 1] : parameter.shape
  }
}
