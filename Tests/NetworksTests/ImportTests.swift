import ResLensNetworks
import ResLensTorch
import Testing

/// Weights under other programs' names.
@Suite struct ImportTests {
  private static let pairs = [
    ("projection", "cifar-resnet"), ("zeros", "option-a-resnet"), ("bottleneck", "torchvision-resnet"),
  ]

  private static func network(_ shortcut: String) throws -> ResidualNetwork {
    if shortcut == "bottleneck" {
      return try ResidualNetwork(
        large("he", .init(height: 16, width: 16), classes: 7, width: 4, blocks: [2, 3, 3], kind: "bottleneck"), seed: 3)
    }
    let halving = { (width: Int) in
      Architecture.Stage(
        width: width, blocks: 3, entry: .projection, stride: 2, kind: "post-activation",
        options: shortcut == "zeros" ? ["shortcut": .word("zeros")] : nil)
    }
    return try ResidualNetwork(
      Architecture(
        name: "he", input: .init(height: 16, width: 16), classes: 7, stem: .init(width: 4, norm: true, bias: false),
        stages: [.init(width: 4, blocks: 2, entry: .none, kind: "post-activation"), halving(8), halving(16)],
        head: .init(pooling: 4, norm: false)), seed: 3)
  }

  /// A network for large images, as torchvision has them.
  private static func large(
    _ name: String, _ input: Architecture.Input = .init(height: 224, width: 224), classes: Int = 1000, width: Int = 64,
    blocks: [Int], kind: String
  ) throws -> Architecture {
    let isWide = kind == "bottleneck"
    let stages = blocks.enumerated().map { index, count in
      let projects = index > 0 || isWide
      return Architecture.Stage(
        width: (isWide ? 4 : 1) * width << index, blocks: count, entry: projects ? .projection : .none,
        stride: projects ? (index > 0 ? 2 : 1) : nil, kind: kind)
    }
    return try Architecture(
      name: name, input: input, classes: classes,
      stem: .init(width: width, norm: true, bias: false, kernel: 7, stride: 2, pool: true), stages: stages,
      head: .init(pooling: max(1, input.height >> (blocks.count + 1)), norm: false))
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

  private func imported(_ tensors: [String: Tensor], like family: String? = nil) throws -> ForeignWeights {
    try ForeignWeights(
      tensors, like: family.map { try WeightFamilies.find($0) }, input: .init(height: 16, width: 16), name: "he")
  }

  @Test("What a family's names say is the network that they were written of", arguments: pairs)
  func thereAndBack(shortcut: String, family: String) throws {
    let network = try Self.network(shortcut)
    let tensors = try network.tensors(as: WeightFamilies.find(family))
    let kernel = shortcut == "bottleneck" ? 7 : 3
    #expect(
      tensors["conv1.weight"]?.shape == [4, 3, kernel, kernel] && tensors["layer2.2.bn2.running_var"]?.shape == [8])
    #expect((tensors["layer2.0.downsample.1.bias"] != nil) == (shortcut != "zeros"))
    for prefix in ["", "module.", "_orig_mod.module.", "model."] {
      var named = Dictionary(uniqueKeysWithValues: tensors.map { (prefix + $0.key, $0.value) })
      named["\(prefix)bn1.num_batches_tracked"] = try Tensor([Int64(9)], shape: [])
      let found = try imported(named)
      #expect(found.family == family && found.architecture == network.architecture)
      #expect(try found.network().fingerprint() == network.fingerprint())
    }
    #expect(try imported(tensors, like: family).family == family)
  }

  @Test("The first differences from the nearest family are named", arguments: pairs)
  func differences(shortcut: String, family: String) throws {
    let tensors = try Self.network(shortcut).tensors(as: WeightFamilies.find(family))
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
    var odd = try Self.network("zeros").tensors(as: WeightFamilies.find("option-a-resnet"))
    odd["layer3.0.conv1.weight"] = try .zeros([17, 8, 3, 3])
    let error = try #require(throws: WeightFamilyError.self) { try imported(odd) }
    #expect(error.problem.contains("adds as many channels before as behind"), "\(error)")
  }

  @Test("Values that no training gives are named", arguments: [Float.nan, .infinity, -1])
  func values(value: Float) throws {
    var tensors = try Self.network("projection").tensors(as: WeightFamilies.find("cifar-resnet"))
    tensors["layer2.0.downsample.1.running_var"] = try .full([8], Double(value))
    let error = try #require(throws: ParameterError.self) { try imported(tensors).network() }
    #expect(error.path == "stages.1.0.projection.norm.running_var")
  }

  @Test("A network is not written as one of a family that it is none of")
  func otherFamily() throws {
    let families = try Self.pairs.map { try WeightFamilies.find($0.1) }
    let preActivation = try ResidualNetwork(.named("resnet-8"), seed: 0)
    for family in families {
      #expect(throws: WeightFamilyError.self) { try preActivation.tensors(as: family) }
    }
    // The same names and shapes, and another place of the stride.
    let middle = try Self.network("bottleneck")
    var stages = middle.architecture.stages
    stages[1].options = ["stride-at": .word("first")]
    let first = try Architecture(
      name: "first", input: middle.architecture.input, classes: middle.architecture.classes,
      stem: middle.architecture.stem, stages: stages, head: middle.architecture.head)
    let other = try ResidualNetwork(first, parameters: middle.parameters)
    #expect(throws: WeightFamilyError.self) { try other.tensors(as: families[2]) }
    #expect(throws: WeightFamilyError.self) { try Self.network("projection").tensors(as: families[1]) }
    #expect(throws: WeightFamilyError.self) { try Self.network("zeros").tensors(as: families[0]) }
  }
}
