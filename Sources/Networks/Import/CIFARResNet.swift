/// The CIFAR networks of He et al. 2015 as chenyaofo/pytorch-cifar-models and IntelLabs/distiller write them: names like
/// those of torchvision, and projections with BatchNorm.
struct CIFARResNet: WeightFamily {
  static let name = "cifar-resnet"
  static let summary = "chenyaofo/pytorch-cifar-models, IntelLabs/distiller's resnet*_cifar"
  private static let names = TorchvisionNames(classifier: "fc", shortcut: "downsample")

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, names)?.architecture(input: input, isForLargeImages: false)
  }

  static func foreignName(of path: String, in architecture: Architecture) -> String {
    names.name(of: path, in: architecture)
  }
}
