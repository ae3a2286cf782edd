/// The CIFAR networks of He et al. 2015 as akamaster/pytorch_resnet_cifar10 writes them: shortcuts without parameters
/// ("option A").
struct OptionAResNet: WeightFamily {
  static let name = "option-a-resnet"
  static let summary = "akamaster/pytorch_resnet_cifar10"
  private static let names = TorchvisionNames(classifier: "linear", shortcut: "shortcut")

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, names)?.architecture(input: input, isForLargeImages: false, addsZeros: true)
  }

  static func foreignName(of path: String, in architecture: Architecture) -> String {
    names.name(of: path, in: architecture)
  }
}
