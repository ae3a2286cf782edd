import TestSupport
import Testing
import ResLensTorch

/// A unit's input, parameters and gradient, in float64, and what comes of them.
struct UnitCase: CustomTestStringConvertible {
  var images = 2
  var inputs = 16
  var outputs = 16
  var height = 8
  var width = 8
  var stride = 1
  var kernel = 3
  /// Added to the input of a unit, to try statistics far from 0.
  var offset = 0.0

  var testDescription: String {
    "\(images)×\(inputs)×\(height)×\(width) to \(outputs) channels, kernel \(kernel), stride \(stride), about \(offset)"
  }

  /// Odd sizes, images of one pixel's width, more and fewer channels than lanes, several chunks, other strides and kernels.
  static let all = [
    UnitCase(), UnitCase(images: 3, inputs: 5, outputs: 19, height: 5, width: 7),
    UnitCase(images: 2, inputs: 20, outputs: 33, height: 1, width: 3),
    UnitCase(images: 5, inputs: 40, outputs: 24, height: 9, width: 1),
    UnitCase(images: 9, inputs: 64, outputs: 64, height: 8, width: 8),
    UnitCase(images: 4, inputs: 32, outputs: 32, height: 33, width: 31),
    UnitCase(images: 2, inputs: 16, outputs: 32, height: 9, width: 8, stride: 2),
    UnitCase(images: 3, inputs: 5, outputs: 19, height: 5, width: 7, stride: 2),
    UnitCase(images: 2, inputs: 20, outputs: 33, height: 1, width: 3, stride: 2),
    UnitCase(images: 5, inputs: 40, outputs: 24, height: 10, width: 1, stride: 2),
    UnitCase(images: 4, inputs: 32, outputs: 32, height: 17, width: 15, stride: 2),
    UnitCase(images: 2, inputs: 16, outputs: 16, height: 9, width: 8, stride: 3),
    UnitCase(images: 2, inputs: 7, outputs: 16, height: 6, width: 6, kernel: 1),
    UnitCase(images: 1, inputs: 16, outputs: 16, height: 6, width: 5),
    UnitCase(images: 6, inputs: 16, outputs: 20, height: 1, width: 1),
    UnitCase(images: 2, inputs: 1, outputs: 1, height: 7, width: 9),
    // As many outputs as libtorch does the convolution of at stride 2.
    UnitCase(images: 2, inputs: 8, outputs: 256, height: 6, width: 4, stride: 2),
    UnitCase(images: 4, height: 12, width: 12, offset: 100),
  ]

  var shape: [Int] { [images, inputs, height, width] }
  var outputShape: [Int] {
    [images, outputs, (height + stride - 1) / stride, (width + stride - 1) / stride]
  }

  func tensor(_ shape: [Int], seed: UInt64, plus: Double = 0, rounded type: ElementType = .float64) throws -> Tensor {
    let values = noise(shape.reduce(1, *), seed: seed, from: -1, to: 1).map { $0 + plus }
    return try Tensor(values, shape: shape).converted(to: type).converted(to: .float64)
  }
}

/// A unit there and back.
struct UnitResult {
  var values: [(name: String, values: [Double])] = []

  /// - Parameters:
  ///   - type: of the activations, to which all that goes in is rounded before
  ///   - computed: the type in which it is computed
  init(
    _ unit: UnitCase, by mode: NormMode, type: ElementType, computed: ElementType,
    on device: Device = .cpu
  ) throws {
    let parameterType: ElementType = computed == .float64 ? .float64 : .float32
    func activation(_ shape: [Int], seed: UInt64, plus: Double = 0) throws -> Tensor {
      try unit.tensor(shape, seed: seed, plus: plus, rounded: type).converted(to: computed).moved(to: device)
    }
    func parameter(_ shape: [Int], seed: UInt64, plus: Double = 0) throws -> Tensor {
      try unit.tensor(shape, seed: seed, plus: plus, rounded: .float32).converted(to: parameterType)
        .moved(to: device)
    }
    let (x, skip) = (try activation(unit.shape, seed: 1, plus: unit.offset), try activation(unit.outputShape, seed: 2))
    let norm = NormReLU.Parameters(
      weight: try parameter([unit.inputs], seed: 3, plus: 1.2), bias: try parameter([unit.inputs], seed: 4),
      runningMean: try parameter([unit.inputs], seed: 5),
      runningVariance: try parameter([unit.inputs], seed: 6, plus: 1.5), epsilon: 1e-5)
    let convolution = ResidualUnit.Convolution(
      weight: try parameter([unit.outputs, unit.inputs, unit.kernel, unit.kernel], seed: 7),
      bias: try parameter([unit.outputs], seed: 8), stride: unit.stride)
    let after = NormReLU.Parameters(
      weight: try parameter([unit.outputs], seed: 9, plus: 1.2), bias: try parameter([unit.outputs], seed: 10),
      runningMean: try parameter([unit.outputs], seed: 11),
      runningVariance: try parameter([unit.outputs], seed: 12, plus: 1.5), epsilon: 1e-5)

    let made = try ResidualUnit.forward(
      x, norm, by: mode, convolution, scale: 0.5, adding: skip, keepsAdded: true, wantsSums: true)
    let sum = try #require(made.sum)
    add("F", try #require(made.added))
    add("F + skip", sum)
    add("running mean", norm.runningMean)
    add("running variance", norm.runningVariance)
    // The sums that it leaves are those that the next normalisation would take itself.
    let following = try NormReLU.forward(sum, sums: made.channelSums, after, by: .batch)
    add("normalised by its sums", following.output)

    let gradient = try activation(unit.outputShape, seed: 13)
    let back = try ResidualUnit.backward(
      .init(gradient), input: x, norm, statistics: made.statistics, convolution,
      adding: made.statistics == nil ? x : nil, wantsParameters: true)
    let parameters = try #require(back.parameters)
    add("∂weight", try #require(parameters.weight))
    add("∂bias", try #require(parameters.bias))
    if made.statistics != nil {
      add("∂γ", try #require(parameters.normWeight))
      add("∂β", try #require(parameters.normBias))
    }
    add("∂input", try back.input.resolved(adding: made.statistics == nil ? nil : x))
    let lean = try ResidualUnit.backward(
      .init(gradient), input: x, norm, statistics: made.statistics, convolution, wantsParameters: false)
    #expect(lean.parameters == nil)
    add("∂input alone", try lean.input.resolved())

    // The input is rounded first, because near 0 the rounding of a result decides what the ReLU lets through.
    let alone = try NormReLU.forward(skip, after, by: mode)
    let through = try NormReLU.backward(
      activation(unit.outputShape, seed: 14), input: skip, after, statistics: alone.statistics)
    add("∂ of the normalisation", through.input)
  }

  private mutating func add(_ name: String, _ tensor: Tensor) {
    values.append((name, (try? tensor.doubles()) ?? []))
  }

  /// Whether all of it is the other's to a part of each tensor's root mean square.
  func expectClose(to other: UnitResult, within tolerance: Double, _ about: String) {
    #expect(values.count == other.values.count)
    for (found, wanted) in zip(values, other.values) {
      #expect(!found.values.isEmpty)
      let mean = wanted.values.reduce(0) { $0 + $1 * $1 } / Double(wanted.values.count)
      let apart = largestDistance(found.values, wanted.values)
      #expect(apart <= tolerance * mean.squareRoot(), "\(found.name), \(about)")
    }
  }
}
