/// The networks of He et al. 2015 for large images as torchvision and timm write them: a 7×7 stem with a maximum pooling,
/// four stages of basic or bottleneck blocks, and a bottleneck's stride on its 3×3 convolution.
struct TorchvisionResNet: WeightFamily {
  static let name = "torchvision-resnet"
  static let summary = "torchvision's and timm's resnet18, 34, 50, 101 and 152"

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, classifier: "fc", projection: "downsample")?
      .architecture(input: input, isForLargeImages: true)
  }

  static func foreignName(of path: String) -> String {
    HeNetwork.name(of: path, classifier: "fc", projection: "downsample")
  }
}
