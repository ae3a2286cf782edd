/// The CIFAR networks of He et al. 2015 as akamaster/pytorch_resnet_cifar10 writes them: shortcuts without parameters
/// ("option A").
struct OptionAResNet: ResNetFamily {
  static let name = "option-a-resnet"
  static let summary = "akamaster/pytorch_resnet_cifar10"
  static let names: any ResNetNames = TorchvisionNames(classifier: "linear", shortcut: "shortcut")
  static let form = HeNetwork.Form(addsZeros: true)
}
