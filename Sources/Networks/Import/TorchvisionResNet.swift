/// The ResNets for large images as torchvision and timm write them: a stem with stride 2 and a maximum pooling, four
/// stages of basic or bottleneck blocks, and a bottleneck's stride on its 3×3 convolution. ResNeXt, Wide ResNet and
/// ResNet-D are among them.
struct TorchvisionResNet: ResNetFamily {
  static let name = "torchvision-resnet"
  static let summary =
    "torchvision's and timm's resnet18 to 152, resnext*, wide_resnet*, and timm's ResNet-D (resnet50d)"
  static let names: any ResNetNames = TorchvisionNames(classifier: "fc", shortcut: "downsample")
  static let form = HeNetwork.Form(isForLargeImages: true)
}
