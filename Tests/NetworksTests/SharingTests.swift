import Foundation
import ResLensSupport
import ResLensNetworks
import TestSupport
import Testing
import ResLensTorch

@Suite struct SharingTests {
  @Test(
    "Table 1's shared networks have its counts",
    arguments: [
      ("resnet-110-shared", 565_386, 571_236), ("resnet-110-ubn", 570_762, 576_612),
      ("resnet-146-ubn", 573_450, 579_300), ("resnet-182-ubn", 576_138, 581_988),
    ])
  func tableCounts(name: String, trainable10: Int, trainable100: Int) throws {
    #expect(try Architecture.named(name).trainableParameters == trainable10)
    #expect(try Architecture.named(name, classes: 100).trainableParameters == trainable100)
  }

  @Test("A shared ResNet-110 has the weights of ResNet-38 under the same names, and 18 steps a stage")
  func likeResNet38() throws {
    let shared = try Architecture.named("resnet-110-shared")
    #expect(shared.parameters == (try Architecture.named("resnet-38")).parameters)
    #expect(shared.steps.count == 54)
    #expect(shared.steps.prefix(18).map(\.block) == [0, 1, 2, 3, 4] + Array(repeating: 5, count: 13))
    #expect(shared.steps.prefix(18).map(\.use) == [0, 0, 0, 0, 0] + Array(0..<13))
    #expect(shared.multiplyAccumulates == (try Architecture.named("resnet-110")).multiplyAccumulates)
  }

  @Test(
    "Each use has what is not shared under its own path, and γ begins where it should",
    arguments: [
      ("resnet-44-shared", ["stages.2.5.norm1.weight", "stages.2.5.norm1.running_mean"], 1.0),
      ("resnet-44-shared+statistics", ["stages.2.5.norm1.weight", "stages.2.5.uses.1.norm1.running_mean"], 1),
      ("resnet-44-shared+affine", ["stages.2.5.uses.1.norm1.weight", "stages.2.5.norm1.running_mean"], 1),
      ("resnet-44-shared+gamma", ["stages.2.5.norm1.weight", "stages.2.5.norm1.running_mean"], 0.1),
      ("resnet-44-ubn", ["stages.2.5.uses.1.norm1.weight", "stages.2.5.uses.1.norm1.running_mean"], 0.1),
    ])
  func paths(name: String, wanted: [String], gamma: Double) throws {
    let network = try ResidualNetwork(.named(name), seed: 0)
    let own = network.parameters.keys.filter {
      $0.hasPrefix("stages.2.5.") && ($0.hasSuffix("norm1.weight") || $0.hasSuffix("norm1.running_mean"))
    }
    #expect(Set(wanted).isSubset(of: own))
    #expect(own.count == (name.hasSuffix("-ubn") ? 4 : wanted.contains { $0.contains("uses") } ? 3 : 2))
    let first = try #require(network.parameters[wanted[0]]).doubles()
    #expect(first.allSatisfy { abs($0 - gamma) < 1e-7 })
    #expect(try #require(network.parameters["stages.2.4.norm1.weight"]).doubles().allSatisfy { $0 == 1 })
  }

  @Test("The names' parts are the switches, and a stage of fewer than seven blocks shares its last two")
  func names() throws {
    let sharing = try Architecture.named("resnet-110-shared+gamma+statistics").stages[1].sharing
    #expect(sharing == .init(from: 5, unsharedStatistics: true, initialGamma: 0.1))
    #expect(try Architecture.named("resnet-110-shared+gamma+statistics").name == "resnet-110-shared+statistics+gamma")
    let all = try Architecture.named("resnet-56-shared+affine+statistics+gamma@2")
    #expect(try all == Architecture.named("resnet-56-ubn@2") && all.stages[0].sharing?.from == 2)
    #expect(try Architecture.named("resnet-20-ubn").stages.map { $0.sharing?.from } == [1, 1, 1])
    #expect(try Architecture.named("wide-shared").stages.map { $0.sharing?.from } == [2, 3, 3])
    #expect(try Architecture.named("single-representation-ubn").stages[0].sharing?.from == 5)
    #expect(try Architecture.named("wide-ubn").baseName == "wide")
    // Recipes depend on this property.
    #expect(
      try Architecture(name: "my-shared", stem: .init(width: 8), stages: [.init(width: 8, blocks: 1, entry: .none)])
        .baseName == "my")
  }

  @Test("The ablation is naive, each part alone, each left out, and all")
  func ablation() throws {
    let all = try Architecture.list(named: "resnet-20-ablation@1")
    #expect(
      all.map(\.name) == [
        "resnet-20-shared@1", "resnet-20-shared+statistics@1", "resnet-20-shared+affine@1", "resnet-20-shared+gamma@1",
        "resnet-20-shared+statistics+affine@1", "resnet-20-shared+statistics+gamma@1",
        "resnet-20-shared+affine+gamma@1", "resnet-20-ubn@1",
      ])
    #expect(Set(all.map(\.stages)).count == 8)
    for architecture in all { #expect(try Architecture.named(architecture.name) == architecture) }
    #expect(try Architecture.list(named: "wide") == [Architecture.named("wide")])
    #expect(throws: ArchitectureError.self) { try Architecture.named("resnet-20-ablation") }
  }

  @Test(
    "Sharing that cannot be is an error that says why",
    arguments: [
      ("resnet-32-ubn@5", "the stage has the blocks 0 to 4"), ("resnet-110-shared@18", "0 to 17"),
      ("resnet-110-shared@-1", "block -1"), ("resnet-20-shared@0", "changes the shape"),
      ("wide-ubn@0", "changes the shape"), ("resnet-14-ubn", "too few blocks"), ("resnet-8-shared", "too few blocks"),
      ("resnet-20@1", "-shared"), ("resnet-20+gamma", "-shared"), ("resnet-20-ubn+gamma", "-shared"),
      ("resnet-20-shared+mean", "+statistics"), ("resnet-20-shared@x", "\"x\""), ("resnet-21-shared", "6k + 2"),
      ("-shared", "none named"), ("resnet-20-shared@", "\"\""), ("resnet-20-shared-ubn", "none named"),
    ])
  func impossible(name: String, words: String) {
    #expect {
      try Architecture.find(name)
    } throws: { error in
      error is ArchitectureError && "\(error)".contains(words)
    }
  }

  @Test("A YAML file shares any blocks of any stage")
  func yaml() throws {
    let scratch = try Scratch()
    let file = scratch.file("net.yaml")
    func read(_ sharing: String) throws -> Architecture {
      try Files.write(
        "name: a\nstem: {width: 8}\nstages:\n  - {width: 8, blocks: 4, sharing: \(sharing)}\n"
          + "  - {width: 16, blocks: 3, entry: projection}\n", to: file)
      return try Architecture.find(file.path)
    }
    let read1 = try read("{from: 0, unshared-statistics: true}")
    #expect(read1.stages[0].sharing == .init(from: 0, unsharedStatistics: true))
    #expect(read1.stages[1].sharing == nil)
    #expect(try YAML.decode(Architecture.self, from: YAML.encode(read1), path: "x") == read1)
    for (text, field) in [
      ("{from: 4}", "stages[0].sharing.from"), ("{unshared-statistics: true}", "stages[0].sharing.from"),
      ("{from: 1, gamma: 1}", "stages[0].sharing.gamma"), ("{from: 1, initial-gamma: .nan}", "initial-gamma"),
    ] {
      #expect {
        try read(text)
      } throws: { error in
        (error as? FileError)?.problem.contains(field) ?? false
      }
    }
  }

  @Test("A file's network is shared by what stands behind its name, whatever stands in its path")
  func sharedFile() throws {
    let scratch = try Scratch()
    let folder = scratch.file("a+b@c-ubn")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let file = folder.appending(path: "net.yaml")
    try Files.write("name: mine\nstem: {width: 8}\nstages: [{width: 8, blocks: 4}]\n", to: file)
    let plain = try Architecture.find(file.path)
    #expect(plain.name == "mine" && plain.stages[0].sharing == nil)
    let shared = try Architecture.find(file.path + "-ubn@1", classes: 3)
    #expect(
      try shared.name == "mine-ubn@1" && shared.stages == plain.sharing([.statistics, .affine, .gamma], from: 1).stages)
    #expect(shared.classes == 3 && shared.baseName == "mine")
    #expect(try Architecture.findAll(file.path + "-ablation").count == 8)
    #expect(try Architecture.findAll(file.path) == [plain])
    for (name, words) in [("-ubn@4", "blocks 0 to 3"), ("-ablation", "list of eight"), ("-shard", "no such file")] {
      #expect {
        try Architecture.find(file.path + name)
      } throws: {
        "\($0)".contains(words)
      }
    }
  }

  @Test(
    "Gradients of a shared network are the sums over uses of an unrolled network with tied weights",
    arguments: smallSharedArchitectures)
  func tiedGradients(architecture: Architecture) throws {
    let (network, images, labels) = try prepared(architecture, type: .float64)
    var unrolled = architecture
    unrolled.name = "unrolled"
    for index in unrolled.stages.indices { unrolled.stages[index].sharing = nil }
    // Each unrolled step's parameter, and the shared network's that it is tied to.
    let steps = architecture.steps
    var ties: [String: String] = [:]
    for specification in unrolled.parameters {
      var words = specification.path.split(separator: ".").map(String.init)
      if words[0] == "stages", let place = Int(words[2]) {
        let step = try #require(steps.first { "\($0.stage)" == words[1] && $0.block + $0.use == place })
        words[2] = "\(step.block)"
        let own = (words.prefix(3) + ["uses", "\(step.use)"] + words.dropFirst(3)).joined(separator: ".")
        if network.parameters[own] != nil { words = [own] }
      }
      ties[specification.path] = words.joined(separator: ".")
    }
    // A copy of its own each, as running statistics are moved.
    let parameters = try ties.mapValues { path in
      let tensor = try network.parameters.required(path)
      return try Tensor(tensor.doubles(), shape: tensor.shape)
    }
    let twin = try ResidualNetwork(unrolled, parameters: parameters)

    func gradients(_ network: ResidualNetwork) throws -> (Tensor, [String: Tensor]) {
      let pass = try Pass(network, images: images, mode: .batchUpdating())
      let reading = try Predictions(logits: pass.logits, labels: labels, gradientScale: 1 / Double(images.shape[0]))
      let gradients = Gradients()
      try pass.backward(try #require(reading.gradient), into: gradients)
      return (pass.logits, gradients.byPath)
    }
    let (logits, found) = try gradients(network)
    let (twinLogits, single) = try gradients(twin)
    #expect(try logits.distance(to: twinLogits) < 1e-12)
    for specification in architecture.parameters where specification.isTrainable {
      let path = specification.path
      var sum = try Tensor.zeros(specification.shape, .float64)
      for (own, tied) in ties where tied == path { sum = try sum.adding(single.required(own)) }
      let distance = try found.required(path).distance(to: sum)
      #expect(distance < 1e-12, "gradient of \(path) differs by \(distance)")
    }
  }

  @Test("A shared block's gradient takes the memory of one, however often the block is used")
  func gradientMemory() throws {
    func tensors(_ name: String) throws -> Int {
      let (network, images, labels) = try prepared(.named(name), type: .float32, samples: 2)
      let pass = try Pass(network, images: images, mode: .batchUpdating())
      let reading = try Predictions(logits: pass.logits, labels: labels, gradientScale: 0.5)
      let gradients = Gradients()
      let before = Libtorch.liveTensors
      try pass.backward(try #require(reading.gradient), into: gradients)
      #expect(gradients.byPath.count == network.architecture.parameters.count { $0.isTrainable })
      // The pass lets go of its activations and only gradients come.
      return Libtorch.liveTensors - before - gradients.byPath.count
    }
    // As many tensors go as there were activations: more of them with more steps, however many gradients there are.
    #expect(try tensors("resnet-44-shared") == tensors("resnet-44"))
  }

  @Test(
    "A checkpoint of a shared network is refused by an unshared one, and by another sharing, with what sets them apart")
  func checkpoints() throws {
    let scratch = try Scratch()
    let file = scratch.file("weights.safetensors")
    let shared = try Architecture.named("resnet-20-ubn")
    let network = try ResidualNetwork(shared, seed: 1)
    try network.save(to: file)
    let back = try ResidualNetwork(contentsOf: file, expecting: shared)
    #expect(back.parameters.count == network.parameters.count && back.architecture == shared)
    var plain = try Architecture.named("resnet-20")
    #expect { try ResidualNetwork(contentsOf: file, expecting: plain) } throws: {
      ($0 as? FileError)?.problem.contains("resnet-20-ubn, the run is of resnet-20") ?? false
    }
    plain.name = shared.name
    #expect { try ResidualNetwork(contentsOf: file, expecting: plain) } throws: {
      ($0 as? FileError)?.problem.contains("blocks shared otherwise in stage 0") ?? false
    }
    // The tensors alone say it too.
    #expect { try ResidualNetwork(plain, parameters: network.parameters) } throws: {
      ($0 as? ParameterError)?.path.hasPrefix("stages.0.1.") ?? false
    }
  }

  @Test(
    "A pass back adds to every parameter's gradient as often as its architecture says",
    arguments: ["resnet-8", "resnet-20-shared", "resnet-20-ubn", "resnet-20-shared+statistics", "max-pooling"])
  func gradientParts(name: String) throws {
    var architecture = try Architecture.find(name)
    if name == "max-pooling" {
      for stage in architecture.stages.indices {
        (architecture.stages[stage].blocks, architecture.stages[stage].width) = (1, 4)
      }
      architecture.stem.width = 4
    }
    let network = try ResidualNetwork(architecture, seed: 1)
    let images = try Tensor(noise(2 * 3 * 32 * 32, seed: 2), shape: [2, 3, 32, 32]).converted(to: .float32)
    let pass = try Pass(network, images: images, mode: .batchUpdating())
    var found: [String: Int] = [:]
    let gradient = try Tensor(noise(2 * architecture.classes, seed: 3), shape: [2, architecture.classes])
    try pass.backward(gradient.converted(to: .float32), into: Gradients { found[$0, default: 0] += 1 })
    #expect(found == architecture.gradientParts)
    #expect(Set(found.keys) == Set(architecture.parameters.filter(\.isTrainable).map(\.path)))
  }
}
