import DeviceEmulator
import Foundation
import TestSupport
import Testing
import ResLensTorch

/// A GPU's kernels, each of their threads emulated on the processor.
@Suite(.serialized) struct DeviceKernelTests {
  /// More channels than a block makes, tiles of several, one and part of the rows, more tiles than a filter's gradient has
  /// blocks, images wider than a tile, images of one pixel's width, statistics far from 0, and the same at stride 2.
  private static let cases = [
    UnitCase(), UnitCase(images: 3, inputs: 16, outputs: 32, height: 9, width: 7),
    UnitCase(images: 1, inputs: 64, outputs: 64, height: 8, width: 8),
    UnitCase(images: 2, inputs: 48, outputs: 16, height: 5, width: 1),
    UnitCase(images: 1, inputs: 16, outputs: 80, height: 3, width: 3),
    UnitCase(images: 1, height: 2, width: 150), UnitCase(images: 2, height: 9, width: 32),
    UnitCase(images: 65, inputs: 64, outputs: 16, height: 5, width: 4),
    UnitCase(images: 9, inputs: 32, outputs: 64, height: 17, width: 16),
    UnitCase(images: 4, height: 6, width: 6, offset: 100), UnitCase(stride: 2),
    UnitCase(images: 9, inputs: 16, outputs: 32, height: 17, width: 15, stride: 2),
    UnitCase(images: 2, inputs: 32, outputs: 64, height: 5, width: 1, stride: 2),
    UnitCase(images: 1, inputs: 48, outputs: 16, height: 3, width: 150, stride: 2),
    UnitCase(images: 65, inputs: 16, outputs: 16, height: 8, width: 8, stride: 2),
    UnitCase(images: 3, inputs: 16, outputs: 32, height: 32, width: 32, stride: 2),
  ]

  /// The name of a kernel that runs such a unit.
  private func name(_ kernel: String, of unit: UnitCase, _ type: ElementType) -> String {
    kernel + (unit.stride == 2 ? "_by_two" : "") + (type == .float32 ? "_float" : "_bfloat")
  }

  init() { device_emulator_install() }

  /// The result of `body` on the emulated GPU, which must have run that kernel.
  private func emulated<Outcome>(running kernel: String = "forward_float", _ body: () throws -> Outcome) throws
    -> Outcome
  {
    let before = device_emulator_launches(kernel)
    let outcome = try KernelSet.using("emulated", body)
    #expect(device_emulator_launches(kernel) > before)
    return outcome
  }

  @Test("A unit there and back is the plain composition in float64", arguments: cases)
  func unit(unit: UnitCase) throws {
    let tolerance = unit.offset == 0 ? 2e-5 : 2e-3
    for mode in [NormMode.running, .batch, .batchUpdating(momentum: 0.3)] {
      let plain = try UnitResult(unit, by: mode, type: .float32, computed: .float64)
      let isTraining = mode.usesBatch
      let found = try emulated(running: name(isTraining ? "backward" : "forward", of: unit, .float32)) {
        try UnitResult(unit, by: mode, type: .float32, computed: .float32)
      }
      found.expectClose(to: plain, within: tolerance, "\(mode)")
    }
  }

  @Test("In bfloat16 it is that to the rounding of what is stored", arguments: cases.filter { $0.offset == 0 })
  func halves(unit: UnitCase) throws {
    let plain = try UnitResult(unit, by: .batch, type: .bfloat16, computed: .float64)
    let found = try emulated(running: name("backward", of: unit, .bfloat16)) {
      try UnitResult(unit, by: .batch, type: .bfloat16, computed: .bfloat16)
    }
    found.expectClose(to: plain, within: 0.06, "by the batch's statistics")
  }

  @Test("Nothing depends on the order in which threads run between two barriers", arguments: cases)
  func order(unit: UnitCase) throws {
    func made(_ type: ElementType, backwards: Bool) throws -> UnitResult {
      device_emulator_run_backwards(backwards)
      defer { device_emulator_run_backwards(false) }
      return try emulated(running: name("backward", of: unit, type)) {
        try UnitResult(unit, by: .batch, type: type, computed: type)
      }
    }
    for type in [ElementType.float32, .bfloat16] {
      try made(type, backwards: true).expectClose(to: made(type, backwards: false), within: 0, "\(type)")
    }
  }

  @Test("Before a GPU's kernels run for anybody they are held against libtorch's operations: sound ones pass")
  func sound() throws {
    #expect(try emulated { KernelSet.problem(on: .cpu) } == nil)
    #expect(try #require(KernelSet.problem(on: .cpu)).contains("no GPU is emulated"))
  }

  @Test(
    "What a GPU does otherwise is found then",
    arguments: [
      DEVICE_EMULATOR_PRODUCTS, DEVICE_EMULATOR_SHUFFLES, DEVICE_EMULATOR_BLOCKS, DEVICE_EMULATOR_COUNTERS,
    ])
  func faults(fault: device_emulator_fault) throws {
    device_emulator_set_fault(fault)
    defer { device_emulator_set_fault(DEVICE_EMULATOR_SOUND) }
    let problem = try emulated { KernelSet.problem(on: .cpu) }
    #expect(try #require(problem).contains("differ in float32"))
  }

  @Test(
    "Other units are libtorch's: strides of 3, kernels, channels that are not sixteens, wide ones, running statistics back"
  )
  func others() throws {
    let kernels = ["forward_float", "backward_float", "forward_by_two_float", "backward_by_two_float"]
    for unit in [
      UnitCase(stride: 3), UnitCase(kernel: 1), UnitCase(inputs: 20), UnitCase(outputs: 24),
      UnitCase(images: 1, inputs: 144, height: 3, width: 3),
    ] {
      let before = kernels.map { device_emulator_launches($0) }
      let found = try KernelSet.using("emulated") {
        try UnitResult(unit, by: .batch, type: .float32, computed: .float32)
      }
      #expect(kernels.map { device_emulator_launches($0) } == before, "\(unit.testDescription)")
      found.expectClose(
        to: try UnitResult(unit, by: .batch, type: .float32, computed: .float64), within: 2e-5, unit.testDescription)
    }
  }

  @Test("A gradient that is pending for a unit of libtorch's is resolved before it")
  func pendingForLibtorch() throws {
    // A unit with a 1×1 convolution of stride 2, and one of stride 1 behind it.
    func gradients(_ type: ElementType) throws -> [[Double]] {
      func tensor(_ shape: [Int], seed: UInt64, plus: Double = 0) throws -> Tensor {
        try UnitCase().tensor(shape, seed: seed, plus: plus).converted(to: type)
      }
      func norm(_ channels: Int, seed: UInt64) throws -> NormReLU.Parameters {
        NormReLU.Parameters(
          weight: try tensor([channels], seed: seed, plus: 1.3), bias: try tensor([channels], seed: seed + 1),
          runningMean: try .zeros([channels], type), runningVariance: try .full([channels], 1, type), epsilon: 1e-5)
      }
      let norms = try [norm(16, seed: 1), norm(32, seed: 3)]
      let convolutions = try [(16, 2), (32, 1)].enumerated().map { index, of in
        ResidualUnit.Convolution(
          weight: try tensor([32, of.0, of.1 == 1 ? 3 : 1, of.1 == 1 ? 3 : 1], seed: 5 + UInt64(index)),
          bias: try .zeros([32], type), stride: of.1)
      }
      let x = try tensor([2, 16, 8, 8], seed: 7)
      let first = try ResidualUnit.forward(x, norms[0], by: .batch, convolutions[0], wantsSums: true)
      let between = try #require(first.added)
      let second = try ResidualUnit.forward(between, sums: first.channelSums, norms[1], by: .batch, convolutions[1])
      let back = try ResidualUnit.backward(
        .init(tensor([2, 32, 4, 4], seed: 8)), input: between, norms[1], statistics: second.statistics,
        convolutions[1], wantsParameters: true)
      let last = try ResidualUnit.backward(
        back.input, input: x, norms[0], statistics: first.statistics, convolutions[0], wantsParameters: true)
      return [
        try #require(back.parameters?.weight).doubles(), try #require(last.parameters?.weight).doubles(),
        try last.input.resolved().doubles(),
      ]
    }
    let found = try emulated(running: "resolve_float") { try gradients(.float32) }
    for (one, other) in zip(found, try gradients(.float64)) {
      let size = (other.reduce(0) { $0 + $1 * $1 } / Double(other.count)).squareRoot()
      for (a, b) in zip(one, other) { #expect(abs(a - b) <= 2e-5 * size) }
    }
  }

  @Test("Filters are converted together or by their units, once, and again after their weights were written")
  func filters() throws {
    let norm = NormReLU.Parameters(
      weight: try .full([16], 1), bias: try .zeros([16]), runningMean: try .zeros([16]),
      runningVariance: try .full([16], 1), epsilon: 1e-5)
    let x = try UnitCase().tensor([2, 16, 8, 8], seed: 1).converted(to: .float32)
    func weight(_ seed: UInt64) throws -> Tensor {
      try UnitCase().tensor([16, 16, 3, 3], seed: seed).converted(to: .float32)
    }
    func made(by weight: Tensor) throws -> [Double] {
      let convolution = ResidualUnit.Convolution(weight: weight, bias: try .zeros([16]), stride: 1)
      return try #require(ResidualUnit.forward(x, norm, by: .running, convolution).added).doubles()
    }
    try KernelSet.using("emulated") {
      func expectConversions(_ count: Int, _ body: () throws -> Void) throws {
        let before = device_emulator_launches("prepare_filters_float")
        try body()
        #expect(device_emulator_launches("prepare_filters_float") - before == count)
      }
      func expect(_ weight: Tensor, _ wanted: [Double]) throws {
        let found = try made(by: weight)
        #expect(found == wanted)
      }
      let weights = try [weight(2), weight(3), weight(4)]
      let (wanted, other) = (try made(by: weight(2)), try made(by: weight(5)))
      try expectConversions(1) { try expect(weights[0], wanted) }
      try expectConversions(0) { try expect(weights[0], wanted) }
      try expectConversions(1) { try ResidualUnit.prepare(weights, for: .float32) }
      try expectConversions(0) { for weight in weights { _ = try made(by: weight) } }
      try weights[0].copy(from: weight(5))
      try expectConversions(1) { try expect(weights[0], other) }
    }
  }

  /// Two units behind each other, there and back.
  private struct Chain {
    let x: Tensor, skip: Tensor, gradient: Tensor
    let norm: NormReLU.Parameters
    let first: ResidualUnit.Convolution, second: ResidualUnit.Convolution

    /// - Parameters:
    ///   - stride: the first unit's
    ///   - kernel: the first unit's
    init(_ type: ElementType, stride: Int = 1, kernel: Int = 3) throws {
      func tensor(_ shape: [Int], _ seed: UInt64, _ type: ElementType) throws -> Tensor {
        try UnitCase().tensor(shape, seed: seed).converted(to: type)
      }
      norm = try .init(
        weight: .full([16], 1), bias: .zeros([16]), runningMean: .zeros([16]), runningVariance: .full([16], 1),
        epsilon: 1e-5)
      x = try tensor([2, 16, 8, 8], 1, type)
      (skip, gradient) = try (
        tensor([2, 16, 8 / stride, 8 / stride], 2, type), tensor([2, 16, 8 / stride, 8 / stride], 3, type)
      )
      first = .init(weight: try tensor([16, 16, kernel, kernel], 4, .float32), bias: try .zeros([16]), stride: stride)
      second = .init(weight: try tensor([16, 16, 3, 3], 5, .float32), bias: try .zeros([16]), stride: 1)
    }

    /// The gradient of the first unit's filter, and what its computation may read.
    func back() throws -> (filter: Tensor, read: [Tensor]) {
      let inside = try ResidualUnit.forward(x, norm, by: .batch, first)
      let added = try #require(inside.added)
      let outside = try ResidualUnit.forward(added, norm, by: .batch, second)
      let pending = try ResidualUnit.backward(
        .init(gradient), input: added, norm, statistics: outside.statistics, second, wantsParameters: true
      ).input.adding(skip)
      let back = try ResidualUnit.backward(
        pending, input: x, norm, statistics: inside.statistics, first, wantsParameters: true)
      return (try #require(back.parameters?.weight), [x, added, skip, gradient, try #require(back.whole)])
    }
  }

  @Test("Filters' gradients come when they are read, or when more than six are behind")
  func late() throws {
    try KernelSet.using("emulated") {
      let chain = try Chain(.float32)
      var before = device_emulator_launches("filter_gradient_float")
      func launches() -> Int { device_emulator_launches("filter_gradient_float") - before }
      let one = try chain.back()
      #expect(launches() == 0)
      let wanted = try one.filter.doubles()
      #expect(launches() == 2)
      before += 2
      let more = try (0..<4).map { _ in try chain.back().filter }
      #expect(launches() == 2)
      #expect(try more.allSatisfy { try $0.doubles() == wanted })
      #expect(launches() == 8)
    }
  }

  @Test(
    "A filter's gradient is right whatever is overwritten before it is read: by kernels, and by libtorch of a 1×1 filter",
    arguments: [ElementType.float32, .bfloat16], [(stride: 1, kernel: 3), (2, 3), (2, 1)])
  func overwritten(type: ElementType, of: (stride: Int, kernel: Int)) throws {
    try KernelSet.using("emulated") {
      let wanted = try Chain(type, stride: of.stride, kernel: of.kernel).back().filter.doubles()
      for which in 0..<5 {
        let made = try Chain(type, stride: of.stride, kernel: of.kernel).back()
        let tensor = made.read[which]
        try Tensor.full(tensor.shape, 1).converted(to: type).add(into: tensor)
        #expect(try made.filter.doubles() == wanted)
      }
    }
  }

  @Test("What is not a number stays none")
  func notANumber() throws {
    var values = noise(2 * 16 * 16, seed: 1).map(Float.init)
    values[37] = .nan
    let norm = NormReLU.Parameters(
      weight: try .full([16], 1), bias: try .zeros([16]), runningMean: try .zeros([16]),
      runningVariance: try .full([16], 1), epsilon: 1e-5)
    let convolution = ResidualUnit.Convolution(
      weight: try .full([16, 16, 3, 3], 0.1), bias: try .zeros([16]), stride: 1)
    for type in [ElementType.float32, .bfloat16] {
      let x = try Tensor(values, shape: [2, 16, 4, 4]).converted(to: type)
      for mode in [NormMode.running, .batch] {
        let made = try emulated(running: type == .float32 ? "forward_float" : "forward_bfloat") {
          try ResidualUnit.forward(x, norm, by: mode, convolution)
        }
        #expect(try #require(made.added).isFinite() == false)
      }
    }
  }

  @Test(
    "CUDA's run-time compiler takes the kernels, for GPUs from Ampere to Blackwell",
    .enabled(if: RuntimeCompiler.isHere, "\(RuntimeCompiler.isMissing)"),
    arguments: [(8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)])
  func compiles(major: Int, minor: Int) throws {
    try RuntimeCompiler.load()
    #expect(try KernelSet.compile(forComputeCapability: major, minor) > 0)
  }
}

/// CUDA's run-time compiler, as scripts/setup-tests puts it here.
private enum RuntimeCompiler {
  private static let libraries = Checkout.root.appending(path: ".deps/nvrtc/nvidia/cu13/lib")
  private static let names = ["libnvrtc-builtins.so.13.0", "libnvrtc.so.13"].map { libraries.appending(path: $0).path }

  static var isHere: Bool { names.allSatisfy { FileManager.default.fileExists(atPath: $0) } }
  static let isMissing = "no CUDA run-time compiler in .deps/nvrtc: scripts/setup-tests"

  /// Lets them be found by their names alone.
  static func load() throws {
    for name in names { try #require(dlopen(name, RTLD_NOW | RTLD_GLOBAL) != nil) }
  }
}
