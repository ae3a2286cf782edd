import ResLensNetworks
import ResLensRuns
import ResLensTorch
import TestSupport
import Testing

/// Imported networks beside modules of PyTorch on the same weights: those of the CIFAR repositories, which are in the
/// check itself. torchvision's and timm's are not installed for tests.
@Suite(.enabled(if: Checkout.hasPyTorch, Comment(rawValue: Checkout.pyTorchIsMissing)))
struct ModuleCheckTests {
  /// A family, the stages' widths, the kind of blocks and the options of stages that change the shape.
  struct Case: CustomTestStringConvertible {
    let family: String
    var widths = [4, 8, 12]
    var kind = "post-activation"
    var options: [String: BlockOptions.Value] = [:]
    var widening: [String: BlockOptions.Value] = [:]
    var testDescription: String { "\(family), \(kind)" }

    func network() throws -> ResidualNetwork {
      let isPreActivation = kind.hasPrefix("pre-activation")
      let stages = widths.enumerated().map { index, width in
        // Bottlenecks widen in the first stage too.
        let projects = index > 0 || kind.hasSuffix("bottleneck")
        let all = projects ? options.merging(widening) { $1 } : options
        return Architecture.Stage(
          width: width, blocks: 2, entry: projects ? .projection : .none,
          stride: projects ? (index > 0 ? 2 : 1) : nil, kind: kind, options: all.isEmpty ? nil : BlockOptions(all))
      }
      return try ResidualNetwork(
        Architecture(
          name: "net", input: .init(height: 16, width: 16), classes: 5,
          stem: .init(width: 4, norm: isPreActivation ? nil : true, bias: false), stages: stages,
          head: .init(pooling: 16 >> (widths.count - 1), norm: false)), seed: 1)
    }
  }

  private static let cases = [
    Case(family: "cifar-resnet"),
    Case(family: "option-a-resnet", widening: ["shortcut": .word("zeros")]),
    Case(family: "kuangliu-resnet", widths: [4, 8, 16, 32]),
    Case(family: "kuangliu-resnet", widths: [8, 16, 32], kind: "bottleneck"),
    Case(
      family: "kuangliu-preact-resnet", kind: "pre-activation", options: ["bias": .flag(false)],
      widening: ["shortcut-reads": .word("activation")]),
    Case(family: "kuangliu-preact-resnet", widths: [8, 16, 32], kind: "pre-activation-bottleneck"),
  ]

  /// Weights of a file with other running statistics than those of a network that was never trained, and images.
  private func inputs(_ example: Case) throws -> (weights: ForeignWeights, images: Tensor, labels: Tensor) {
    let family = try WeightFamilies.find(example.family)
    var tensors = try example.network().tensors(as: family)
    for (index, name) in tensors.keys.sorted().enumerated() where name.contains("running") {
      let shape = try #require(tensors[name]).shape
      let drawn = try Tensor.normal(shape, deviation: 0.2, seed: UInt64(index))
      let mean = try Tensor.full(shape, name.contains("var") ? 1.2 : 0)
      tensors[name] = try drawn.adding(mean, scale: 1)
    }
    return (
      try ForeignWeights(tensors, like: family, input: .init(height: 16, width: 16), name: "net"),
      try .normal([3, 3, 16, 16], deviation: 1, seed: 7), try Tensor([0, 4, 2] as [Int64], shape: [3])
    )
  }

  @Test("Logits, every h and every gradient are those of PyTorch's module", arguments: cases)
  func agreement(example: Case) throws {
    let (weights, images, labels) = try inputs(example)
    let check = try ModuleCheck(weights.network(), of: weights, images: images, labels: labels)
    #expect(check.differences.map(\.type) == [.float64, .float32])
    for found in check.differences {
      #expect(found.areSmall, "\(found)")
      #expect(found.logits.value > 0 || found.states.value > 0)
    }
  }

  @Test(
    "A network that computes otherwise is told by each difference, and so is one of NaN", arguments: [2, Double.nan])
  func disagreement(factor: Double) throws {
    let (weights, images, labels) = try inputs(Self.cases[0])
    let network = try weights.network()
    var parameters = network.parameters
    let path = "stages.1.0.norm2.weight"
    parameters[path] = try parameters[path]?.scaled(by: factor)
    let other = try ResidualNetwork(network.architecture, parameters: parameters)
    for found in try ModuleCheck(other, of: weights, images: images, labels: labels).differences {
      for difference in [found.logits, found.states, found.gradients] { #expect(!difference.isSmall, "\(found)") }
      #expect(found.states.step.map { $0 >= 3 } == true)
    }
  }
}
