import ResLensSupport

/// The CIFAR networks of He et al. 2015 as chenyaofo/pytorch-cifar-models and IntelLabs/distiller write them: names like
/// those of torchvision, and projections with BatchNorm.
struct CIFARResNet: WeightFamily {
  static let name = "cifar-resnet"
  static let summary = "chenyaofo/pytorch-cifar-models, IntelLabs/distiller's resnet*_cifar"

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, classifier: "fc")?.architecture(input: input, shortcut: "projection")
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
    try HeNetwork(shapes, classifier: "linear")?.architecture(input: input, shortcut: "zeros")
  }

  static func foreignName(of path: String) -> String {
    HeNetwork.name(of: path, classifier: "linear", projection: "shortcut")
  }
}

/// A network of He et al. 2015 for small images, as its tensors' names tell: `conv1`, `bn1`, and stages called `layer1`
/// and so on, of basic blocks.
private struct HeNetwork {
  private let stem: Int
  /// The stages' widths and numbers of blocks.
  private let stages: [(width: Int, blocks: Int)]
  private let classes: Int

  /// - Parameter classifier: the name of the fully connected layer
  init?(_ shapes: [String: [Int]], classifier: String) {
    guard let stem = shapes["conv1.weight"]?.first, let classes = shapes["\(classifier).weight"]?.first else {
      return nil
    }
    var stages: [(width: Int, blocks: Int)] = []
    while let width = shapes["layer\(stages.count + 1).0.conv1.weight"]?.first {
      let stage = "layer\(stages.count + 1)"
      stages.append((width, (1...).first { shapes["\(stage).\($0).conv1.weight"] == nil } ?? 1))
    }
    guard !stages.isEmpty else { return nil }
    (self.stem, self.stages, self.classes) = (stem, stages, classes)
  }

  /// - Parameter shortcut: the blocks' option of that name
  func architecture(input: Architecture.Input, shortcut: String) throws -> Architecture {
    var edge = input.height
    let stages = stages.enumerated().map { index, stage in
      // Every stage but the first halves the images.
      guard index > 0 else {
        return Architecture.Stage(
          width: stage.width, blocks: stage.blocks, entry: .none, kind: PostActivation.kind)
      }
      edge = (edge + 1) / 2
      return Architecture.Stage(
        width: stage.width, blocks: stage.blocks, entry: .projection, stride: 2, kind: PostActivation.kind,
        options: ["shortcut": .word(shortcut)])
    }
    return try Architecture(
      name: "imported", input: input, classes: classes, stem: .init(width: stem, norm: true, bias: false),
      stages: stages, head: .init(pooling: edge, norm: false))
  }

  /// The file's name of a parameter.
  /// - Parameters:
  ///   - classifier: the name of the fully connected layer
  ///   - projection: the name of what holds a shortcut's convolution and BatchNorm
  static func name(of path: String, classifier: String, projection: String) -> String {
    var parts = path.split(separator: ".").map(String.init)
    let field = parts.removeLast()
    let layer: String =
      switch parts {
      case ["stem"]: "conv1"
      case ["stem", "norm"]: "bn1"
      case ["head", "linear"]: classifier
      default:
        if parts.first == "stages", parts.count > 3, let stage = Int(parts[1]) {
          (["layer\(stage + 1)", parts[2]] + inBlock(Array(parts.dropFirst(3)), projection)).joined(separator: ".")
        } else {
          parts.joined(separator: ".")
        }
      }
    return "\(layer).\(field)"
  }

  private static func inBlock(_ parts: [String], _ projection: String) -> [String] {
    switch parts {
    case ["norm1"]: ["bn1"]
    case ["norm2"]: ["bn2"]
    case ["projection"]: [projection, "0"]
    case ["projection", "norm"]: [projection, "1"]
    default: parts
    }
  }
}
