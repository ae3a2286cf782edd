import ResLensSupport

/// The CIFAR networks of He et al. 2015 as chenyaofo/pytorch-cifar-models and IntelLabs/distiller write them: names like
/// those of torchvision, and projections with BatchNorm.
struct CIFARResNet: WeightFamily {
  static let name = "cifar-resnet"
  static let summary = "chenyaofo/pytorch-cifar-models, IntelLabs/distiller's resnet*_cifar"

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, classifier: "fc", projection: "downsample")?
      .architecture(input: input, isForLargeImages: false)
  }

  static func foreignName(of path: String) -> String {
    HeNetwork.name(of: path, classifier: "fc", projection: "downsample")
  }
}

/// The CIFAR networks of He et al. 2015 as akamaster/pytorch_resnet_cifar10 writes them: shortcuts without parameters
/// ("option A").
struct OptionAResNet: WeightFamily {
  static let name = "option-a-resnet"
  static let summary = "akamaster/pytorch_resnet_cifar10"

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, classifier: "linear", projection: "shortcut")?
      .architecture(input: input, isForLargeImages: false, options: ["shortcut": .word("zeros")])
  }

  static func foreignName(of path: String) -> String {
    HeNetwork.name(of: path, classifier: "linear", projection: "shortcut")
  }
}
