/// The ResNets of kuangliu/pytorch-cifar: basic and bottleneck blocks for small images, in four stages, with projections
/// that have BatchNorm.
struct KuangliuResNet: ResNetFamily {
  static let name = "kuangliu-resnet"
  static let summary = "kuangliu/pytorch-cifar's ResNet18 to ResNet152"
  static let names: any ResNetNames = TorchvisionNames(classifier: "linear", shortcut: "shortcut")
}

/// The pre-activation ResNets of kuangliu/pytorch-cifar: a shortcut's convolution reads what the block's first convolution
/// reads, and nothing normalises the last h.
struct KuangliuPreActResNet: ResNetFamily {
  static let name = "kuangliu-preact-resnet"
  static let summary = "kuangliu/pytorch-cifar's PreActResNet18 to PreActResNet152"
  static let names: any ResNetNames = TorchvisionNames(classifier: "linear", shortcut: "shortcut")
  static let form = HeNetwork.Form(isPreActivation: true)
}
