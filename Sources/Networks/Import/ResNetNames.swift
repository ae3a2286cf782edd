/// The names that a program gives to the layers of a ResNet.
protocol ResNetNames: Sendable {
  /// The fully connected layer.
  var classifier: String { get }
  /// The normalisation behind the last h.
  var finalNorm: String { get }
  /// The letters before the number of a normalisation in a block.
  var norm: String { get }

  /// A convolution of the stem, counted from 0, and the normalisation behind it.
  /// - Parameter count: the number of the stem's convolutions
  func stem(_ index: Int, of count: Int) -> (convolution: String, norm: String)

  /// The blocks of a stage, counted from 0.
  func stage(_ index: Int) -> String

  /// The layers of a block's shortcut.
  /// - Parameter pools: whether an average pooling comes first
  func shortcut(pools: Bool) -> (convolution: String, norm: String)
}

extension ResNetNames {
  /// The file's name of a parameter, by its path.
  func name(of path: String, in architecture: Architecture) -> String {
    var parts = path.split(separator: ".").map(String.init)
    guard parts.count > 1 else { return path }
    let field = parts.removeLast()
    let before = architecture.stem.before?.count ?? 0
    let layer =
      switch (parts[0], parts.count, parts.last) {
      case ("stem", 1, _): stem(before, of: before + 1).convolution
      case ("stem", 2, "norm"): stem(before, of: before + 1).norm
      case ("stem", 3..., let last):
        last == "norm"
          ? stem(Int(parts[2]) ?? 0, of: before + 1).norm : stem(Int(parts[2]) ?? 0, of: before + 1).convolution
      case ("head", _, "norm"): finalNorm
      case ("head", _, _): classifier
      default: block(parts, architecture)
      }
    return "\(layer).\(field)"
  }

  /// - Parameter parts: `stages`, the indices of stage and block, and the layer's name inside of the block
  private func block(_ parts: [String], _ architecture: Architecture) -> String {
    guard parts.count > 3, let index = Int(parts[1]), architecture.stages.indices.contains(index) else {
      return parts.joined(separator: ".")
    }
    let pools = architecture.blockOptions[index]["shortcut"] == .word(Shortcut.Form.pooledProjection.rawValue)
    let inside =
      switch Array(parts.dropFirst(3)) {
      case ["projection"]: shortcut(pools: pools).convolution
      case ["projection", "norm"]: shortcut(pools: pools).norm
      case let layer: layer.joined(separator: ".").replacing("norm", with: norm)
      }
    return "\(stage(index)).\(parts[2]).\(inside)"
  }
}

/// The names of torchvision's model, and of programs after it: `conv1`, `bn1`, and stages called `layer1` and so on.
struct TorchvisionNames: ResNetNames {
  let classifier: String
  /// The name of the sequence of layers that is a shortcut.
  let shortcut: String
  let finalNorm = "norm"
  let norm = "bn"

  func stem(_ index: Int, of count: Int) -> (convolution: String, norm: String) {
    // Several convolutions are a sequence with normalisations and ReLUs, without the last normalisation.
    (
      count == 1 ? "conv1" : "conv1.\(3 * index)", index == count - 1 ? "bn1" : "conv1.\(3 * index + 1)"
    )
  }

  func stage(_ index: Int) -> String { "layer\(index + 1)" }

  func shortcut(pools: Bool) -> (convolution: String, norm: String) {
    pools ? ("\(shortcut).1", "\(shortcut).2") : ("\(shortcut).0", "\(shortcut).1")
  }
}

/// The names of timm's pre-activation ResNets.
struct TimmV2Names: ResNetNames {
  let classifier = "head.fc"
  let finalNorm = "norm"
  let norm = "norm"

  func stem(_ index: Int, of count: Int) -> (convolution: String, norm: String) {
    count == 1 ? ("stem.conv", "stem.norm") : ("stem.conv\(index + 1)", "stem.norm\(index + 1)")
  }

  func stage(_ index: Int) -> String { "stages.\(index).blocks" }

  func shortcut(pools: Bool) -> (convolution: String, norm: String) { ("downsample.conv", "downsample.norm") }
}
