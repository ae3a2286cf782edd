/// The ResNets of kuangliu/pytorch-cifar: basic and bottleneck blocks for small images, in four stages, with projections
/// that have BatchNorm.
struct KuangliuResNet: WeightFamily {
  static let name = "kuangliu-resnet"
  static let summary = "kuangliu/pytorch-cifar's ResNet18 to ResNet152"
  private static let names = TorchvisionNames(classifier: "linear", shortcut: "shortcut")

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, names)?.architecture(input: input, isForLargeImages: false)
  }

  static func foreignName(of path: String, in architecture: Architecture) -> String {
    names.name(of: path, in: architecture)
  }
}

/// The pre-activation ResNets of kuangliu/pytorch-cifar: a shortcut's convolution reads what the block's first convolution
/// reads, and nothing normalises the last h.
struct KuangliuPreActResNet: WeightFamily {
  static let name = "kuangliu-preact-resnet"
  static let summary = "kuangliu/pytorch-cifar's PreActResNet18 to PreActResNet152"
  private static let names = TorchvisionNames(classifier: "linear", shortcut: "shortcut")

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, names)?.architecture(input: input, isForLargeImages: false, isPreActivation: true)
  }

  static func foreignName(of path: String, in architecture: Architecture) -> String {
    names.name(of: path, in: architecture)
  }
}
