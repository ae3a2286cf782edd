/// The CIFAR networks of He et al. 2015 as chenyaofo/pytorch-cifar-models and IntelLabs/distiller write them: names like
/// those of torchvision, and projections with BatchNorm.
struct CIFARResNet: ResNetFamily {
  static let name = "cifar-resnet"
  static let summary = "chenyaofo/pytorch-cifar-models, IntelLabs/distiller's resnet*_cifar"
  static let names: any ResNetNames = TorchvisionNames(classifier: "fc", shortcut: "downsample")
}
