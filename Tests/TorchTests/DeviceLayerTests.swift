import DeviceEmulator
import TestSupport
import Testing
import ResLensTorch

/// A GPU's kernels for the layers around the units, each of their threads emulated on the processor, against libtorch's
/// operations in float64 or a formula.
@Suite(.serialized) struct DeviceLayerTests {
  init() { device_emulator_install() }

  private func tensor(
    _ shape: [Int], _ seed: UInt64, plus: Double = 0, _ type: ElementType = .float32
  ) throws -> Tensor {
    try Tensor(noise(shape.reduce(1, *), seed: seed).map { $0 + plus }, shape: shape).converted(to: type)
  }

  /// The tensors that `body` computes on the emulated GPU, which must have run all of these kernels; they are the same with its
  /// threads and blocks in the opposite order.
  private func emulated(running kernels: [String], _ body: () throws -> [Tensor]) throws -> [[Double]] {
    func run(backwards: Bool) throws -> [[Double]] {
      device_emulator_run_backwards(backwards)
      defer { device_emulator_run_backwards(false) }
      let before = kernels.map { device_emulator_launches($0) }
      let found = try KernelSet.using("emulated") { try body().map { try $0.doubles() } }
      for (kernel, count) in zip(kernels, before) { #expect(device_emulator_launches(kernel) > count, "\(kernel)") }
      return found
    }
    let found = try run(backwards: false)
    #expect(try run(backwards: true).map { $0.map(\.bitPattern) } == found.map { $0.map(\.bitPattern) })
    return found
  }

  /// Each list of numbers is the other to a part of the latter's root mean square.
  private func expectClose(_ found: [[Double]], _ wanted: [[Double]], within tolerance: Double) {
    #expect(found.map(\.count) == wanted.map(\.count))
    for (index, (one, other)) in zip(found, wanted).enumerated() {
      let size = (other.reduce(0) { $0 + $1 * $1 } / Double(other.count)).squareRoot()
      #expect(size > 0)
      let apart = zip(one, other).map { $0 == $1 ? 0 : abs($0 - $1) }.max() ?? 0
      #expect(apart <= tolerance * size, "value \(index): \(apart) apart, of a size of \(size)")
    }
  }

  @Test("A batch of images is the processor's", arguments: [ElementType.float32, .bfloat16], [1, 3, 17])
  func images(type: ElementType, channels: Int) throws {
    let bytes = noise(5 * channels * 6 * 7, seed: 1, from: 0, to: 255.99).map { UInt8($0) }
    let stored = try Tensor(bytes, shape: [5, channels, 6, 7])
    let (scale, offset) = (try tensor([channels], 2), try tensor([channels], 3))
    // The image, mirrored or not, and by how far it is moved down and to the right.
    let rows: [Int64] = [4, 0, 0, 0, 1, 1, 0, 0, 0, 0, 2, -3, 3, 1, -4, 2, 2, 1, 6, 0]
    let selection = try Tensor(rows, shape: [5, 4])
    func made() throws -> Tensor { try stored.gatherImages(selection, scale: scale, offset: offset, type: type) }
    let found = try emulated(running: [type == .float32 ? "gather_images_float" : "gather_images_bfloat"]) {
      [try made()]
    }
    expectClose(found, [try made().doubles()], within: type == .float32 ? 1e-6 : 0.01)
    #expect(zip(found[0], try made().doubles()).allSatisfy { ($0 == 0) == ($1 == 0) })
  }

  @Test("An image that is not stored is no number", arguments: [Int64(-1), 5])
  func missingImage(image: Int64) throws {
    let stored = try Tensor([UInt8](repeating: 7, count: 5 * 3 * 4), shape: [5, 3, 2, 2])
    let (scale, offset) = (try Tensor.full([3], 1), try Tensor.zeros([3]))
    let selection = try Tensor([image, 0, 0, 0, 2, 0, 0, 0], shape: [2, 4])
    let found = try KernelSet.using("emulated") {
      try stored.gatherImages(selection, scale: scale, offset: offset, type: .float32).doubles()
    }
    #expect(found.prefix(12).allSatisfy(\.isNaN) && found.suffix(12).allSatisfy { $0 == 7 })
  }

  @Test(
    "The convolution of images of few channels, and the gradients of its filter, are libtorch's in float64",
    arguments: [ElementType.float32, .bfloat16], [(1, 16, 8), (3, 32, 17), (15, 48, 5)])
  func stem(type: ElementType, of: (inputs: Int, outputs: Int, edge: Int)) throws {
    let input = try tensor([3, of.inputs, of.edge, of.edge + 1], 1, type)
    let gradient = try tensor([3, of.outputs, of.edge, of.edge + 1], 2, type)
    let (weight, bias) = (try tensor([of.outputs, of.inputs, 3, 3], 3), try tensor([of.outputs], 4))
    func made(_ type: ElementType?) throws -> [Tensor] {
      func own(_ tensor: Tensor) throws -> Tensor { try type.map { try tensor.converted(to: $0) } ?? tensor }
      let output = try Convolution.forward(own(input), weight: own(weight), bias: own(bias), padding: 1)
      let back = try Convolution.backward(
        own(gradient), input: own(input), weight: own(weight), padding: 1, wantsInput: false, wantsParameters: true)
      return [output, try #require(back.weight), try #require(back.bias)]
    }
    let name = type == .float32 ? "_float" : "_bfloat"
    let found = try emulated(running: ["convolution", "pad_images", "filter_gradient"].map { $0 + name }) {
      try made(nil)
    }
    expectClose(found, try made(.float64).map { try $0.doubles() }, within: type == .float32 ? 2e-5 : 0.05)
  }

  @Test("A gradient that does not fit the result of such a convolution is refused")
  func foreignGradient() throws {
    let (input, weight) = (try tensor([2, 3, 8, 8], 1), try tensor([16, 3, 3, 3], 2))
    for gradient in [
      try tensor([2, 16, 8, 7], 3), try tensor([1, 16, 8, 8], 3), try tensor([2, 16, 8, 8], 3, .bfloat16),
    ] {
      #expect(throws: TorchError.self) {
        try KernelSet.using("emulated") {
          try Convolution.backward(
            gradient, input: input, weight: weight, padding: 1, wantsInput: false, wantsParameters: true)
        }
      }
    }
  }

  @Test(
    "A normalisation with ReLU, there and back, is libtorch's in float64",
    arguments: [ElementType.float32, .bfloat16], [(9, 16, 1), (3, 48, 9), (1, 128, 20)])
  func normalisation(type: ElementType, of: (images: Int, channels: Int, edge: Int)) throws {
    let shape = [of.images, of.channels, of.edge, of.edge]
    // Inputs of which none is near 0 after the normalisation: rounding would decide which a ReLU lets through.
    let values = noise(shape.reduce(1, *), seed: 1).map { 0.3 + ($0 < 0 ? $0 - 0.5 : $0 + 0.5) }
    let input = try Tensor(values, shape: shape).converted(to: type)
    let gradient = try tensor(shape, 2, type)
    func made(by mode: NormMode, _ type: ElementType?) throws -> [Tensor] {
      func own(_ tensor: Tensor) throws -> Tensor { try type.map { try tensor.converted(to: $0) } ?? tensor }
      let parameters = NormReLU.Parameters(
        weight: try own(tensor([of.channels], 3, plus: 1.5)), bias: try own(tensor([of.channels], 4).scaled(by: 0.1)),
        runningMean: try own(tensor([of.channels], 5).scaled(by: 0.1)),
        runningVariance: try own(tensor([of.channels], 6, plus: 1.5)), epsilon: 1e-5)
      let forward = try NormReLU.forward(own(input), parameters, by: mode)
      let after = [forward.output, parameters.runningMean, parameters.runningVariance]
      guard let statistics = forward.statistics else { return after }
      let back = try NormReLU.backward(
        own(gradient).scaled(by: 1), input: own(input), parameters, statistics: statistics)
      return after + [back.input, try #require(back.weight), try #require(back.bias)]
    }
    let name = type == .float32 ? "_float" : "_bfloat"
    for mode in [NormMode.running, .batch, .batchUpdating(momentum: 0.3)] {
      let kernels = ["norm_relu"] + (mode.usesBatch ? ["norm_relu_backward", "resolve"] : [])
      let found = try emulated(running: kernels.map { $0 + name }) { try made(by: mode, nil) }
      expectClose(found, try made(by: mode, .float64).map { try $0.doubles() }, within: type == .float32 ? 2e-5 : 0.05)
    }
  }

  @Test(
    "A fully connected layer, there and back, is libtorch's in float64",
    arguments: [(1, 4, 1), (7, 64, 10), (33, 128, 100)]
  )
  func classifier(of: (samples: Int, inputs: Int, outputs: Int)) throws {
    func made(_ type: ElementType) throws -> [Tensor] {
      let input = try tensor([of.samples, of.inputs], 1).converted(to: type)
      let weight = try tensor([of.outputs, of.inputs], 2).converted(to: type)
      let gradient = try tensor([of.samples, of.outputs], 4).converted(to: type)
      let output = try Linear.forward(input, weight: weight, bias: tensor([of.outputs], 3).converted(to: type))
      let back = try Linear.backward(gradient, input: input, weight: weight, wantsParameters: true)
      let lean = try Linear.backward(gradient, input: input, weight: weight, wantsParameters: false)
      return [output, back.input, try #require(back.weight), try #require(back.bias), lean.input]
    }
    let found = try emulated(running: ["linear_float", "linear_backward_float"]) { try made(.float32) }
    expectClose(found, try made(.float64).map { try $0.doubles() }, within: 1e-6)
  }

  @Test("A batch's loss is the sum of its samples'", arguments: [0, 0.1], [(1, 2), (7, 10), (300, 100)])
  func loss(smoothing: Double, of: (samples: Int, classes: Int)) throws {
    let logits = try tensor([of.samples, of.classes], 1).scaled(by: 5)
    let labels = (0..<of.samples).map { Int64($0 * 7 % of.classes) }
    let target = try Tensor(labels, shape: [of.samples])
    let wanted = try Predictions(
      logits: logits.converted(to: .float64), labels: target, smoothing: smoothing, gradientScale: 0.5)
    let found = try emulated(running: ["loss_float"]) {
      let loss = try BatchLoss(logits: logits, labels: target, smoothing: smoothing, gradientScale: 0.5)
      return [loss.sums, loss.gradient]
    }
    let wrong = zip(wanted.classes, labels).count { $0 != $1 }
    #expect(found[0][1] == Double(wrong))
    expectClose([[found[0][0]]], [[wanted.losses.reduce(0, +)]], within: 1e-12)
    expectClose([found[1]], [try wanted.requiredGradient().doubles()], within: 1e-6)
  }

  @Test("The answer is the first of the largest logits, or the first that is no number; then the loss is none either")
  func answers() throws {
    func sums(_ logits: [Float], _ label: Int64) throws -> [Double] {
      try emulated(running: ["loss_float"]) {
        [
          try BatchLoss(
            logits: Tensor(logits, shape: [1, logits.count]), labels: Tensor([label], shape: [1]), gradientScale: 1
          ).sums
        ]
      }[0]
    }
    #expect(try sums([1, 3, 3, 0], 1)[1] == 0)
    #expect(try sums([1, 3, 3, 0], 2)[1] == 1)
    for logits: [Float] in [[1, .nan, 3, .nan], [1, .infinity, 3, 0]] {
      let (right, wrong) = (try sums(logits, 1), try sums(logits, 2))
      #expect(right[0].isNaN && right[1] == 0 && wrong[0].isNaN && wrong[1] == 1, "\(right), \(wrong)")
    }
    // A class of no probability costs what it costs, and one that is not meant costs nothing.
    #expect(try sums([0, -.infinity], 0) == [0, 0])
    #expect(try sums([0, -.infinity], 1) == [.infinity, 1])
    for label: Int64 in [-1, 4] { #expect(try sums([1, 3, 3, 0], label)[0].isNaN) }
  }

  @Test(
    "A step of gradient descent on more parameters than a launch takes follows its formula", arguments: [false, true])
  func descent(nesterov: Bool) throws {
    let sizes = (0..<130).map { $0 == 3 ? 5000 : $0 % 5 + 1 }
    func values(_ kind: UInt64) -> [[Double]] {
      sizes.enumerated().map { noise($1, seed: 10 * UInt64($0) + kind).map { Double(Float($0)) } }
    }
    func tensors(_ values: [[Double]]) throws -> [Tensor] {
      try values.map { try Tensor($0, shape: [$0.count]).converted(to: .float32) }
    }
    let (p, g, v) = (values(1), values(2), values(3))
    for momentum in [0, 0.8] {
      let found = try emulated(running: ["sgd_float"]) {
        let (parameters, velocities) = (try tensors(p), try tensors(v))
        try MomentumSGD.step(
          parameters: parameters, gradients: tensors(g), velocities: velocities, rate: Tensor([0.3], shape: [1]),
          momentum: momentum, decay: 0.05, nesterov: nesterov && momentum > 0, unless: Tensor([Float(0)], shape: [1]))
        return parameters + velocities
      }
      var (moved, faster) = (p, v)
      for i in p.indices {
        for j in p[i].indices {
          let slope = g[i][j] + 0.05 * p[i][j]
          if momentum > 0 { faster[i][j] = momentum * v[i][j] + slope }
          let step = momentum == 0 ? slope : nesterov ? slope + momentum * faster[i][j] : faster[i][j]
          moved[i][j] -= 0.3 * step
        }
      }
      for (one, other) in zip(found, moved + faster) {
        for (a, b) in zip(one, other) { #expect(abs(a - b) <= 3e-7 * max(1, abs(b))) }
      }
    }
  }

  @Test("A step that is to be skipped changes nothing", arguments: [Float(0), 1])
  func skippedDescent(skip: Float) throws {
    let values = try tensor([6], 1).doubles()
    let found = try emulated(running: ["sgd_float"]) {
      let (parameter, velocity) = (try tensor([6], 1), try tensor([6], 1))
      try MomentumSGD.step(
        parameters: [parameter], gradients: [tensor([6], 1)], velocities: [velocity], rate: Tensor([0.1], shape: [1]),
        momentum: 0.9, decay: 0, nesterov: false, unless: Tensor([skip], shape: [1]))
      return [parameter, velocity]
    }
    #expect(found.allSatisfy { ($0 == values) == (skip == 1) })
  }

  @Test("Steps are counted until the loss is no number any more")
  func countedSteps() throws {
    try KernelSet.using("emulated") {
      let totals = try Tensor([1.5, 2, 7], shape: [3])
      let before = device_emulator_launches("count_step_float")
      func count(_ loss: Double) throws -> [Double] {
        try BatchLoss.count(Tensor([loss, 3], shape: [2]), in: totals).doubles()
      }
      #expect(try count(0.25) == [0])
      #expect(try totals.doubles() == [1.75, 5, 8])
      #expect(try count(.infinity) == [1])
      #expect(try count(0.25) == [1])
      #expect(try totals.doubles() == [.infinity, 11, 8])
      #expect(device_emulator_launches("count_step_float") == before + 3)
    }
  }
}
