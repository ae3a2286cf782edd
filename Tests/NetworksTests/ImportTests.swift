import ResLensNetworks
import ResLensTorch
import TestSupport
import Testing

/// Weights under other programs' names.
@Suite struct ImportTests {
  /// A family, and a small network of its.
  struct Case: CustomTestStringConvertible {
    let family: String
    let architecture: Architecture
    /// Names that the network's tensors have in a file, with their shapes.
    let names: [String: [Int]]

    var testDescription: String { "\(family), \(architecture.name)" }

    func network() throws -> ResidualNetwork { try ResidualNetwork(architecture, seed: 3) }
    func tensors() throws -> [String: Tensor] { try network().tensors(as: WeightFamilies.find(family)) }
  }

  private static let projection = Case(
    family: "cifar-resnet", architecture: valid(try small("projection")),
    names: ["layer2.0.downsample.1.bias": [8], "fc.weight": [7, 16]])
  private static let zeros = Case(
    family: "option-a-resnet",
    architecture: valid(try small("zeros", widening: ["shortcut": .word("zeros")])), names: ["linear.weight": [7, 16]])
  private static let bottleneck = Case(
    family: "torchvision-resnet",
    architecture: valid(try large("bottleneck", small, classes: 7, width: 4, blocks: [2, 3, 3], kind: "bottleneck")),
    names: ["conv1.weight": [4, 3, 7, 7], "layer1.0.downsample.0.weight": [16, 4, 1, 1]])
  private static let small = Architecture.Input(height: 16, width: 16)
  private static let cases = [
    projection, zeros, bottleneck,
    Case(
      family: "kuangliu-resnet", architecture: valid(try small("projection")),
      names: ["layer2.0.shortcut.1.bias": [8], "linear.weight": [7, 16]]),
    Case(
      family: "kuangliu-preact-resnet",
      architecture: valid(
        try small(
          "pre-activation", stem: .init(width: 4, bias: false), kind: "pre-activation",
          options: ["bias": .flag(false)], widening: ["shortcut-reads": .word("activation")])),
      names: ["layer2.0.shortcut.0.weight": [8, 4, 1, 1], "layer1.0.bn1.weight": [4]]),
    Case(
      family: "torchvision-resnet",
      architecture: valid(
        try large(
          "resnext", small, classes: 7, width: 4, blocks: [1, 2], kind: "bottleneck",
          options: ["reduction": .number(2), "groups": .number(4)])), names: ["layer1.0.conv2.weight": [8, 2, 3, 3]]),
    Case(
      family: "torchvision-resnet",
      architecture: valid(
        try large(
          "resnet-d", small, classes: 7, width: 4, before: [2, 3], blocks: [1, 2], kind: "bottleneck",
          options: ["shortcut": .word("pooled-projection")])),
      names: [
        "conv1.0.weight": [2, 3, 3, 3], "conv1.4.running_mean": [3], "conv1.6.weight": [4, 3, 3, 3], "bn1.bias": [4],
        "layer2.0.downsample.1.weight": [32, 16, 1, 1], "layer2.0.downsample.2.weight": [32],
      ]),
    Case(
      family: "resnetv2",
      architecture: valid(
        try large(
          "v2", small, classes: 7, width: 4, blocks: [2, 2], kind: "pre-activation-bottleneck", isPreActivation: true)),
      names: [
        "stem.conv.weight": [4, 3, 7, 7], "stages.0.blocks.0.downsample.conv.weight": [16, 4, 1, 1],
        "norm.running_var": [32], "head.fc.weight": [7, 32, 1, 1],
      ]),
    Case(
      family: "resnetv2",
      architecture: valid(
        try large(
          "v2-d", small, classes: 7, width: 4, before: [2, 2], blocks: [2, 2], kind: "pre-activation",
          options: ["bias": .flag(false)],
          widening: ["shortcut-reads": .word("activation"), "shortcut": .word("pooled-projection")],
          isPreActivation: true)),
      names: ["stem.norm2.weight": [2], "stem.conv3.weight": [4, 2, 3, 3], "head.fc.bias": [7]]),
  ]

  /// A network for small images in three stages.
  private static func small(
    _ name: String, stem: Architecture.Stem = .init(width: 4, norm: true, bias: false),
    kind: String = "post-activation", options: [String: BlockOptions.Value] = [:],
    widening: [String: BlockOptions.Value] = [:]
  ) throws -> Architecture {
    let stages = [4, 8, 16].enumerated().map { index, width in
      stage(width, blocks: index == 0 ? 2 : 3, index == 0 ? nil : 2, kind, options, widening)
    }
    return try Architecture(
      name: name, input: small, classes: 7, stem: stem, stages: stages, head: .init(pooling: 4, norm: false))
  }

  /// A network for large images, as torchvision has them.
  private static func large(
    _ name: String, _ input: Architecture.Input = .init(height: 224, width: 224), classes: Int = 1000, width: Int = 64,
    before: [Int]? = nil, blocks: [Int], kind: String, options: [String: BlockOptions.Value] = [:],
    widening: [String: BlockOptions.Value] = [:], isPreActivation: Bool = false
  ) throws -> Architecture {
    let isWide = kind.hasSuffix("bottleneck")
    let stages = blocks.enumerated().map { index, count in
      stage(
        (isWide ? 4 : 1) * width << index, blocks: count, index > 0 ? 2 : isWide ? 1 : nil, kind, options, widening)
    }
    return try Architecture(
      name: name, input: input, classes: classes,
      stem: .init(
        width: width, norm: isPreActivation ? nil : true, bias: false, kernel: before == nil ? 7 : nil, stride: 2,
        before: before, pool: true), stages: stages,
      head: .init(pooling: max(1, input.height >> (blocks.count + 1)), norm: isPreActivation ? nil : false))
  }

  /// - Parameters:
  ///   - stride: that of a projection; nil for none
  ///   - widening: further options of stages with a projection
  private static func stage(
    _ width: Int, blocks: Int, _ stride: Int?, _ kind: String, _ options: [String: BlockOptions.Value],
    _ widening: [String: BlockOptions.Value]
  ) -> Architecture.Stage {
    let all = stride == nil ? options : options.merging(widening) { $1 }
    return .init(
      width: width, blocks: blocks, entry: stride == nil ? .none : .projection, stride: stride, kind: kind,
      options: all.isEmpty ? nil : BlockOptions(all))
  }

  @Test(
    "ResNets for large images have as many parameters as torchvision's",
    arguments: [
      ([2, 2, 2, 2], "post-activation", 11_689_512), ([3, 4, 6, 3], "post-activation", 21_797_672),
      ([3, 4, 6, 3], "bottleneck", 25_557_032), ([3, 4, 23, 3], "bottleneck", 44_549_160),
      ([3, 8, 36, 3], "bottleneck", 60_192_808),
    ])
  func counts(blocks: [Int], kind: String, parameters: Int) throws {
    #expect(try Self.large("large", blocks: blocks, kind: kind).trainableParameters == parameters)
  }

  @Test("Wide ResNet-50-2 and ResNeXt-50 32x4d have as many parameters as torchvision's")
  func widthAndGroups() throws {
    func parameters(_ options: [String: BlockOptions.Value]) throws -> Int {
      try Self.large("wide", blocks: [3, 4, 6, 3], kind: "bottleneck", options: options).trainableParameters
    }
    #expect(try parameters(["reduction": .number(2)]) == 68_883_240)
    #expect(try parameters(["reduction": .number(2), "groups": .number(32)]) == 25_028_904)
  }

  private func imported(
    _ tensors: [String: Tensor], like family: String? = nil, name: String = "he"
  ) throws -> ForeignWeights {
    try ForeignWeights(tensors, like: family.map { try WeightFamilies.find($0) }, input: Self.small, name: name)
  }

  @Test("A network is recognised by the names of its tensors in a file", arguments: cases)
  func thereAndBack(example: Case) throws {
    let (network, family) = (try example.network(), example.family)
    let tensors = try example.tensors()
    for (name, shape) in example.names { #expect(tensors[name]?.shape == shape, "\(name)") }
    #expect(
      tensors.keys.contains { $0.contains("downsample") || $0.contains("shortcut") } == (family != "option-a-resnet"))
    for prefix in ["", "module.", "_orig_mod.module.", "model."] {
      var named = Dictionary(uniqueKeysWithValues: tensors.map { (prefix + $0.key, $0.value) })
      named["\(prefix)bn7.num_batches_tracked"] = try Tensor([Int64(9)], shape: [])
      let found = try imported(named, name: network.architecture.name)
      #expect(found.family == family && found.architecture == network.architecture)
      #expect(try found.network().fingerprint() == network.fingerprint())
    }
    #expect(try imported(tensors, like: family).family == family)
  }

  @Test("The first differences from the nearest family are named", arguments: [projection, zeros, bottleneck])
  func differences(example: Case) throws {
    let (family, tensors) = (example.family, try example.tensors())
    func expect(_ problem: String, _ change: (inout [String: Tensor]) throws -> Void) throws {
      var changed = tensors
      try change(&changed)
      let error = try #require(throws: WeightFamilyError.self) { try imported(changed) }
      #expect(error.problem.contains("most like \(family)") && error.problem.contains(problem), "\(error)")
    }
    try expect("layer1.1.conv2.weight of shape [4, 4, 3, 3] is missing") { $0["layer1.1.conv2.weight"] = nil }
    try expect("layer3.0.bn1.bias has shape [5] where [16] belongs") { $0["layer3.0.bn1.bias"] = try .zeros([5]) }
    try expect("layer1.0.bn1.running_var of shape [4] is missing; layer1.0.bn2.running_var of shape [4]") {
      $0 = $0.filter { !$0.key.contains("running_var") || !$0.key.contains("layer") }
    }
    try expect("attention.weight of shape [2] is not expected") { $0["attention.weight"] = try .zeros([2]) }
    try expect("bn1.weight has shape [8] where [4] belongs") { $0["bn1.weight"] = try .zeros([8]) }
  }

  @Test("Names of no family are refused with what each of them lacks")
  func unknown() throws {
    for tensors in [["encoder.weight": try Tensor.zeros([2, 2])], [:]] {
      let error = try #require(throws: WeightFamilyError.self) { try imported(tensors) }
      #expect(error.problem.contains("of no known family (cifar-resnet: it lacks"), "\(error)")
    }
    #expect(throws: WeightFamilyError.self) { try WeightFamilies.find("cifar-resnett") }
    // An odd number of new channels has no zeros on both sides.
    var odd = try Self.zeros.tensors()
    odd["layer3.0.conv1.weight"] = try .zeros([17, 8, 3, 3])
    let error = try #require(throws: WeightFamilyError.self) { try imported(odd, like: "option-a-resnet") }
    #expect(error.problem.contains("adds as many channels before as behind"), "\(error)")
  }

  @Test("Images that are not square are refused, because the pooling at the end would leave a part of them out")
  func notSquare() throws {
    let tensors = try Self.bottleneck.tensors()
    let error = try #require(throws: WeightFamilyError.self) {
      try ForeignWeights(tensors, input: .init(height: 16, width: 24), name: "net")
    }
    #expect(error.problem.contains("16×24"))
  }

  @Test(
    "Shapes that no network has are refused", arguments: [[], [0], [4], [0, 0, 3, 3], [4, 3, 0, 0], [4, 1, 1, 1, 1]])
  func hostileShapes(shape: [Int]) throws {
    for example in [Self.bottleneck, Self.zeros] {
      for name in [
        "conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.0.conv3", "fc", "linear", "layer2.0.downsample.0",
      ] {
        var tensors = try example.tensors()
        tensors[name + ".weight"] = try .zeros(shape)
        #expect(throws: WeightFamilyError.self, "\(name)") { try imported(tensors) }
      }
    }
  }

  @Test("Values that no training gives are named", arguments: [Float.nan, .infinity, -1])
  func values(value: Float) throws {
    var tensors = try Self.projection.tensors()
    tensors["layer2.0.downsample.1.running_var"] = try .full([8], Double(value))
    let error = try #require(throws: ParameterError.self) { try imported(tensors).network() }
    #expect(error.path == "stages.1.0.projection.norm.running_var")
  }

  @Test("A network is not written as one of a family that it is none of")
  func otherFamily() throws {
    let families = try WeightFamilies.names.map { try WeightFamilies.find($0) }
    let preActivation = try ResidualNetwork(.named("resnet-8"), seed: 0)
    for family in families {
      #expect(throws: WeightFamilyError.self) { try preActivation.tensors(as: family) }
    }
    // The same names and shapes, and other options.
    func expectRefusal(_ example: Case, _ options: [String: BlockOptions.Value]) throws {
      let network = try example.network()
      var stages = network.architecture.stages
      stages[1].options = BlockOptions((stages[1].options?.values ?? [:]).merging(options) { $1 })
      let other = try Architecture(
        name: "other", input: Self.small, classes: 7, stem: network.architecture.stem, stages: stages,
        head: network.architecture.head)
      let changed = try ResidualNetwork(other, parameters: network.parameters)
      #expect(throws: WeightFamilyError.self) { try changed.tensors(as: WeightFamilies.find(example.family)) }
    }
    try expectRefusal(Self.bottleneck, ["stride-at": .word("first")])
    for example in Self.cases where example.architecture.stages[1].kind?.hasPrefix("pre-activation") == true {
      try expectRefusal(example, ["shortcut-reads": .word("input")])
    }
    #expect(throws: WeightFamilyError.self) {
      try Self.projection.network().tensors(as: WeightFamilies.find("option-a-resnet"))
    }
    #expect(throws: WeightFamilyError.self) {
      try Self.zeros.network().tensors(as: WeightFamilies.find("cifar-resnet"))
    }
  }
}
