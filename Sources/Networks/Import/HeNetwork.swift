import ResLensSupport

/// A network of He et al. 2015 as its tensors' names tell: `conv1`, `bn1`, and stages called `layer1` and so on, of basic
/// or bottleneck blocks.
struct HeNetwork {
  private let stem: Int
  /// The stages' widths and numbers of blocks, and whether the first block has a projection.
  private let stages: [(width: Int, blocks: Int, projects: Bool)]
  private let isBottleneck: Bool
  private let classes: Int

  /// - Parameters:
  ///   - classifier: the name of the fully connected layer
  ///   - projection: the name of what holds a shortcut's convolution and BatchNorm
  init?(_ shapes: [String: [Int]], classifier: String, projection: String) {
    guard let stem = shapes["conv1.weight"]?.first, let classes = shapes["\(classifier).weight"]?.first else {
      return nil
    }
    isBottleneck = shapes["layer1.0.conv3.weight"] != nil
    var stages: [(width: Int, blocks: Int, projects: Bool)] = []
    let last = isBottleneck ? "conv3" : "conv1"
    while let width = shapes["layer\(stages.count + 1).0.\(last).weight"]?.first {
      let stage = "layer\(stages.count + 1)"
      stages.append(
        (
          width, (1...).first { shapes["\(stage).\($0).conv1.weight"] == nil } ?? 1,
          shapes["\(stage).0.\(projection).0.weight"] != nil
        ))
    }
    guard !stages.isEmpty else { return nil }
    (self.stem, self.stages, self.classes) = (stem, stages, classes)
  }

  /// The architecture of such a network; every stage but the first halves the images.
  /// - Parameters:
  ///   - isForLargeImages: whether the stem has a 7×7 kernel, stride 2 and a pooling
  ///   - options: those of blocks in which the shape changes
  func architecture(
    input: Architecture.Input, isForLargeImages: Bool, options: BlockOptions? = nil
  ) throws -> Architecture {
    let stem =
      isForLargeImages
      ? Architecture.Stem(width: stem, norm: true, bias: false, kernel: 7, stride: 2, pool: true)
      : Architecture.Stem(width: stem, norm: true, bias: false)
    var edge = stem.edge(of: input.height)
    let stages = stages.enumerated().map { index, stage in
      let kind = isBottleneck ? Bottleneck.kind : PostActivation.kind
      guard index > 0 || stage.projects else {
        return Architecture.Stage(width: stage.width, blocks: stage.blocks, entry: .none, kind: kind)
      }
      if index > 0 { edge = (edge + 1) / 2 }
      return Architecture.Stage(
        width: stage.width, blocks: stage.blocks, entry: .projection, stride: index > 0 ? 2 : 1, kind: kind,
        options: options)
    }
    return try Architecture(
      name: "imported", input: input, classes: classes, stem: stem, stages: stages,
      head: .init(pooling: edge, norm: false))
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
    case ["norm3"]: ["bn3"]
    case ["projection"]: [projection, "0"]
    case ["projection", "norm"]: [projection, "1"]
    default: parts
    }
  }
}
