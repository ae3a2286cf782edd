import Foundation
import ResLensSupport
import ResLensNetworks
import TestSupport
import Testing
import ResLensTorch

/// A kind that makes another width than its stage has, or no step, as its options say.
private struct WrongBlock: Block {
  static let kind = "wrong"
  let steps: [any ResidualStep]

  init(_ context: BlockContext) throws {
    let outputs = try context.options.integer("outputs", default: context.width, in: 0...100)
    let stride = try context.options.number("stride", default: 1, in: 0.5...9)
    guard outputs > 0 else {
      steps = []
      return
    }
    steps = try context.steps { scope in
      let convolution = try scope.convolution("conv", of: scope.input, outputs: outputs, kernel: 1, stride: Int(stride))
      return try RecordedStep(scope, output: convolution.output) { h in try convolution(h) }
    }
  }
}

/// Another kind of the name that `WrongBlock` has.
private struct Impostor: Block {
  static let kind = "wrong"
  let steps: [any ResidualStep] = []
  init(_ context: BlockContext) {}
}

private struct Unnameable: Block {
  static let kind = "two words"
  let steps: [any ResidualStep] = []
  init(_ context: BlockContext) {}
}

@Suite struct BlockKindTests {
  private func read(_ stage: String) throws -> Architecture {
    try registerKinds()
    try BlockKinds.register(WrongBlock.self)
    return try YAML.decode(
      Architecture.self,
      from: "name: a\nstem: {width: 8}\ninput: {height: 8, width: 8}\nstages:\n  - \(stage)\nhead: {pooling: 4}\n",
      path: "net.yaml")
  }

  @Test("A stage names its kind and its options in YAML, and reads back the same")
  func options() throws {
    let read = try read(
      "{width: 8, blocks: 2, kind: gated, options: {kernel: 5, gate: channel}}\n  - {width: 8, blocks: 1}")
    #expect(read.stages[0].kind == "gated" && read.stages[1].kind == nil && read.stages[1].options == nil)
    #expect(read.stages[0].options == ["gate": .word("channel"), "kernel": .number(5)])
    #expect(read.parameters.contains { $0.path == "stages.0.1.conv.weight" && $0.shape == [8, 8, 5, 5] })
    #expect(read.parameters.contains { $0.path == "stages.0.1.gate.conv.weight" && $0.shape == [8, 8, 1, 1] })
    #expect(try YAML.decode(Architecture.self, from: YAML.encode(read), path: "x") == read)
    #expect(try JSONDecoder().decode(Architecture.self, from: JSON.encode(read)) == read)
    let flags: BlockOptions = [
      "bias": .flag(true), "scale": .number(0.1), "word": .word("a-b_1"), "whole": .number(-3),
    ]
    #expect(try YAML.decode(BlockOptions.self, from: YAML.encode(flags), path: "x") == flags)
    #expect(try JSONDecoder().decode(BlockOptions.self, from: JSON.encode(flags)) == flags)
    #expect(
      try String(decoding: JSON.encode(flags), as: UTF8.self)
        == #"{"bias":true,"scale":0.1,"whole":-3,"word":"a-b_1"}"#)
  }

  @Test(
    "A kind that is not there, and options that it does not take, are errors that name the field",
    arguments: [
      (
        "kind: inverted",
        "stages[0].kind: there is no kind of blocks \"inverted\"; known are bottleneck, gated, post-activation"
      ),
      ("kind: inverted", "pre-activation"),
      (
        "options: {ratio: 4}",
        "stages[0].options.ratio: blocks of kind pre-activation have no such option (known: bias, shortcut, "
          + "shortcut-norm, shortcut-reads)"
      ),
      (
        "kind: gated, options: {gaet: pixel}",
        "stages[0].options.gaet: blocks of kind gated have no such option (known: gate, kernel)"
      ),
      ("kind: gated, options: {gate: wide}", "stages[0].options.gate: \"wide\" is none of pixel, channel"),
      ("kind: gated, options: {kernel: 2}", "stages[0].options.kernel: 2 is not an odd number"),
      ("kind: gated, options: {kernel: 9}", "stages[0].options.kernel: 9 is not a whole number between 1 and 7"),
      ("kind: gated, options: {kernel: 2.5}", "stages[0].options.kernel: 2.5 is not a whole number"),
      ("kind: gated, options: {kernel: true}", "stages[0].options.kernel: true is not a whole number"),
      ("kind: post-activation, options: {bias: 1}", "stages[0].options.bias: 1 is neither true nor false"),
      (
        "kind: post-activation, options: {shortcut: A}",
        "stages[0].options.shortcut: \"A\" is none of projection, pooled-projection, zeros"
      ),
      (
        "kind: post-activation, options: {shortcut: zeros, shortcut-norm: true}",
        "stages[0].options.shortcut-norm: \"shortcut: zeros\" has no convolution"
      ),
      (
        "kind: pre-activation-bottleneck, options: {shortcut-reads: h}",
        "stages[0].options.shortcut-reads: \"h\" is none of input, activation"
      ),
      (
        "kind: bottleneck, options: {groups: 3}", "stages[0].options.groups: 2 channels cannot be divided into 3 groups"
      ),
      (
        "kind: bottleneck, options: {reduction: 3}",
        "stages[0].width: 8 channels cannot be divided by the reduction of 3"
      ),
      (
        "kind: bottleneck, options: {stride-at: last}", "stages[0].options.stride-at: \"last\" is none of middle, first"
      ),
      ("kind: gated, entry: projection", "stages[0].entry: gated blocks keep the shape"),
      ("kind: wrong, options: {outputs: 7}", "from 8×8×8 to 7×8×8 and needs a projection"),
      ("kind: wrong, options: {outputs: 0}", "stages[0].kind: a block of kind wrong has 0 steps"),
      ("kind: wrong, options: {stride: 2}", "from 8×8×8 to 8×4×4 and needs a projection"),
      ("kind: wrong, options: {stride: 99}", "stages[0].options.stride: 99 is not a number between 0.5 and 9.0"),
      ("kind: gated, options: {gate: .nan}", "stages[0].options.gate: nan is not a finite number"),
      ("kind: gated, options: {gate: two words}", "stages[0].options.gate: \"two words\" is not possible: a word is"),
      ("kind: gated, options: {two words: 1}", "stages[0].options: \"two words\" cannot be the name"),
      ("kind: gated, options: {gate: [1]}", "stages[0].options.gate"), ("kind: gated, options: 3", "stages[0].options"),
    ])
  func refused(stage: String, words: String) {
    #expect {
      try read("{width: 8, blocks: 2, \(stage)}")
    } throws: { error in
      "\(error)".contains(words)
    }
  }

  @Test(
    "He's networks for CIFAR have the published numbers of parameters",
    arguments: [
      (3, "zeros", 269_722), (9, "zeros", 853_018), (3, "projection", 272_474), (9, "projection", 855_770),
      (18, "projection", 1_730_714),
    ])
  func parametersOfHe(blocks: Int, shortcut: String, trainable: Int) throws {
    let stage = "kind: post-activation, options: {shortcut: \(shortcut)}"
    let architecture = try YAML.decode(
      Architecture.self,
      from: """
        name: he
        stem: {width: 16, norm: true, bias: false}
        stages:
          - {width: 16, blocks: \(blocks), \(stage)}
          - {width: 32, blocks: \(blocks), entry: projection, \(stage)}
          - {width: 64, blocks: \(blocks), entry: projection, \(stage)}
        head: {pooling: 8, norm: false}

        """, path: "he.yaml")
    #expect(architecture.trainableParameters == trainable)
    #expect(try YAML.decode(Architecture.self, from: YAML.encode(architecture), path: "x") == architecture)
  }

  @Test("Zeros stand on both sides of the channels, so an odd number of new ones is refused")
  func oddZeros() {
    let text =
      "{width: 8, blocks: 1}\n  - {width: 11, blocks: 1, entry: projection, kind: post-activation, options: {shortcut: zeros}}"
    #expect {
      try read(text)
    } throws: { error in
      "\(error)".contains("stages[1].width: 8 channels become 11")
    }
  }

  @Test("A kind is registered once under a name, and keeps it")
  func registry() throws {
    try BlockKinds.register(WrongBlock.self)
    try BlockKinds.register(WrongBlock.self)
    #expect(throws: ArgumentError.self) { try BlockKinds.register(Impostor.self) }
    #expect(throws: ArgumentError.self) { try BlockKinds.register(Unnameable.self) }
    #expect(BlockKinds.named("wrong") == WrongBlock.self && BlockKinds.named("pre-activation") == PreActivation.self)
    #expect(BlockKinds.named("two words") == nil && BlockKinds.names.contains("pre-activation"))
  }

  @Test("Architectures without kinds are written as they were before there were any")
  func bytes() throws {
    var architecture = try Architecture(
      name: "a", stem: .init(width: 8),
      stages: [
        .init(width: 8, blocks: 3, entry: .none, sharing: .init(from: 1, unsharedStatistics: true)),
        .init(width: 16, blocks: 1, entry: .projection, stride: 2),
      ])
    let stages =
      #"{"blocks":3,"entry":"none","sharing":{"from":1,"initial-gamma":1,"unshared-affine":false,"#
      + #""unshared-statistics":true},"width":8},{"blocks":1,"entry":"projection","stride":2,"width":16}"#
    let json =
      #"{"classes":10,"head":{"pooling":8},"input":{"channels":3,"height":32,"width":32},"name":"a","stages":["#
      + stages + #"],"stem":{"width":8}}"#
    #expect(try String(decoding: JSON.encode(architecture), as: UTF8.self) == json)
    let yaml = """
      name: a
      input:
        channels: 3
        height: 32
        width: 32
      classes: 10
      stem:
        width: 8
      stages:
      - width: 8
        blocks: 3
        entry: none
        sharing:
          from: 1
          unshared-statistics: true
          unshared-affine: false
          initial-gamma: 1.0
      - width: 16
        blocks: 1
        entry: projection
        stride: 2
      head:
        pooling: 8

      """
    #expect(try YAML.encode(architecture) == yaml)
    #expect(try YAML.decode(Architecture.self, from: yaml, path: "x") == architecture)
    // The same network by its kind's name is another value, as its file is.
    let unnamed = architecture
    architecture = try YAML.decode(
      Architecture.self, from: yaml.replacing("stride: 2", with: "stride: 2\n  kind: pre-activation"), path: "x")
    #expect(architecture != unnamed && architecture.steps == unnamed.steps)
  }

  @Test(
    "What is counted without tensors is what the built network has",
    arguments: [
      "resnet-8", "resnet-20", "resnet-110", "single-representation", "avg-pooling", "max-pooling", "wide",
      "resnet-44-shared", "resnet-44-shared+statistics", "resnet-44-shared+affine", "resnet-44-shared+gamma@2",
      "resnet-44-ubn", "wide-ubn",
    ])
  func counts(name: String) throws {
    let architecture = try Architecture.named(name)
    let network = try ResidualNetwork(architecture, seed: 0)
    #expect(network.parameters.values.reduce(0) { $0 + $1.count } == architecture.totalParameters)
    let running = network.parameters.filter { $0.key.contains(".running_") }.values.reduce(0) { $0 + $1.count }
    #expect(architecture.totalParameters - running == architecture.trainableParameters)
    // By hand: 3×3 convolutions from each step's shapes, 1×1 projections, the stem and the fully connected layer.
    var macs = 9 * 3 * architecture.stem.width * 32 * 32
    for (index, step) in architecture.steps.enumerated() {
      let (inputs, outputs, pixels) = (step.input[0], step.output[0], step.output[1] * step.output[2])
      let own = (9 * inputs + 9 * outputs + (step.hasIdentitySkip ? 0 : inputs)) * outputs * pixels
      #expect(step.id.number == index + 1 && step.macs == own)
      macs += own
    }
    let side = architecture.features[1] / architecture.head.pooling
    #expect(architecture.multiplyAccumulates == macs + architecture.features[0] * side * side * architecture.classes)
    let plan = try Plan(of: architecture).moves.compactMap { move -> Int? in
      guard case .step(let step) = move else { return nil }
      return try network.spec(of: step).id.number
    }
    #expect(plan == Array(1...architecture.steps.count))
  }

  @Test("Building a network of 6000 layers without tensors, and asking for it again, is quick")
  func speed() throws {
    let took = try ContinuousClock().measure { _ = try Architecture.named("resnet-6002-ubn").totalParameters }
    #expect(took < .seconds(5))
    let architecture = try Architecture.named("resnet-6002-ubn")
    let again = ContinuousClock().measure { for _ in 0..<1000 { _ = architecture.steps.count } }
    #expect(again < .seconds(1))
  }
}
