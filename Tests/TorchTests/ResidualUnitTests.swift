import TestSupport
import Testing
import ResLensTorch

@Suite(.serialized) struct ResidualUnitTests {
  private static let sets = KernelSet.all

  @Test("On every kernel set a unit there and back is the plain composition in float64", arguments: sets, UnitCase.all)
  func unit(set: String, unit: UnitCase) throws {
    // float32 values around 100 with a deviation below 1 have lost two digits before the computation begins.
    let tolerance = unit.offset == 0 ? 2e-5 : 2e-3
    for mode in [NormMode.running, .batch, .batchUpdating(momentum: 0.3)] {
      let plain = try UnitResult(unit, by: mode, type: .float32, computed: .float64)
      let found = try KernelSet.using(set) { try UnitResult(unit, by: mode, type: .float32, computed: .float32) }
      found.expectClose(to: plain, within: tolerance, "\(mode)")
    }
  }

  @Test("In bfloat16 it is that to the rounding of what is stored", arguments: sets.filter { $0 != "libtorch" })
  func halves(set: String) throws {
    for unit in UnitCase.all where unit.offset == 0 {
      for mode in [NormMode.running, .batch] {
        let plain = try UnitResult(unit, by: mode, type: .bfloat16, computed: .float64)
        let found = try KernelSet.using(set) {
          try UnitResult(unit, by: mode, type: .bfloat16, computed: .bfloat16)
        }
        // 8 bits: half of 1/128 of a value several times the root mean square, and what is computed from such values.
        found.expectClose(to: plain, within: 0.06, "\(unit.testDescription), \(mode)")
      }
    }
  }

  @Test("A gradient that is left pending is the one that is resolved at once", arguments: sets, [1, 2])
  func pending(set: String, stride: Int) throws {
    try KernelSet.using(set) {
      let unit = UnitCase(images: 3, height: 7, width: 6, stride: stride)
      let (x, between) = (
        try unit.tensor(unit.shape, seed: 1).converted(to: .float32),
        try unit.tensor(unit.outputShape, seed: 2).converted(to: .float32)
      )
      func norm(_ seed: UInt64) throws -> NormReLU.Parameters {
        NormReLU.Parameters(
          weight: try unit.tensor([16], seed: seed, plus: 1.3).converted(to: .float32),
          bias: try unit.tensor([16], seed: seed + 1).converted(to: .float32), runningMean: try .zeros([16]),
          runningVariance: try .full([16], 1), epsilon: 1e-5)
      }
      func convolution(_ seed: UInt64, stride: Int) throws -> ResidualUnit.Convolution {
        ResidualUnit.Convolution(
          weight: try unit.tensor([16, 16, 3, 3], seed: seed).converted(to: .float32), bias: try .zeros([16]),
          stride: stride)
      }
      let norms = try [norm(3), norm(5)]
      let convolutions = try [convolution(7, stride: stride), convolution(8, stride: 1)]
      let first = try ResidualUnit.forward(x, norms[0], by: .batch, convolutions[0])
      let second = try ResidualUnit.forward(between, norms[1], by: .batch, convolutions[1])
      let gradient = try unit.tensor(unit.outputShape, seed: 9).converted(to: .float32)
      func through(resolvesBetween: Bool) throws -> ([Double], [Double]) {
        var back = try ResidualUnit.backward(
          .init(gradient), input: between, norms[1], statistics: second.statistics, convolutions[1],
          wantsParameters: false
        ).input
        if resolvesBetween { back = .init(try back.resolved()) }
        let last = try ResidualUnit.backward(
          back, input: x, norms[0], statistics: first.statistics, convolutions[0], wantsParameters: true)
        return (try #require(last.parameters?.weight).doubles(), try last.input.resolved().doubles())
      }
      let (at, once) = (try through(resolvesBetween: true), try through(resolvesBetween: false))
      for (found, wanted) in [(once.0, at.0), (once.1, at.1)] {
        let size = (wanted.reduce(0) { $0 + $1 * $1 } / Double(wanted.count)).squareRoot()
        for (a, b) in zip(found, wanted) { #expect(abs(a - b) <= 1e-5 * size) }
      }
    }
  }

  @Test(
    "Squares and products that a pass brings along are those of what it wrote", arguments: sets,
    [(ElementType.float32, 1), (.float32, 2), (.bfloat16, 1)])
  func products(set: String, of: (type: ElementType, stride: Int)) throws {
    let (type, stride) = of
    try KernelSet.using(set) {
      let unit = UnitCase(images: 3, height: 9, width: 7, stride: stride)
      func tensor(_ shape: [Int], seed: UInt64, plus: Double = 0) throws -> Tensor {
        try unit.tensor(shape, seed: seed, plus: plus).converted(to: .float32)
      }
      let x = try tensor(unit.shape, seed: 1).converted(to: type)
      let norm = NormReLU.Parameters(
        weight: try tensor([16], seed: 2, plus: 1.2), bias: try tensor([16], seed: 3), runningMean: try .zeros([16]),
        runningVariance: try .full([16], 1), epsilon: 1e-5)
      let convolution = ResidualUnit.Convolution(
        weight: try tensor([16, 16, 3, 3], seed: 4), bias: try tensor([16], seed: 5), stride: stride)
      let skip = try tensor(unit.outputShape, seed: 7).converted(to: type)
      let made = try ResidualUnit.forward(
        x, norm, by: .running, convolution, scale: 0.7, adding: skip, keepsAdded: true)
      let (residual, sum) = (try #require(made.added), try #require(made.sum))
      let gradient = try tensor(unit.outputShape, seed: 6).converted(to: type)
      let beside = try tensor(unit.shape, seed: 8).converted(to: type)
      let back = try ResidualUnit.backward(
        .init(gradient), input: x, norm, statistics: nil, convolution, adding: x, beside: beside,
        wantsParameters: false)
      let found = try back.input.resolved().sampleProducts(beside)
      guard set != "libtorch" else {
        #expect(made.squares == nil && back.products == nil)
        return
      }
      // Taken before the rounding to what is stored.
      let tolerance = type == .float32 ? 1e-5 : 1e-2
      let (squares, products) = (try #require(made.squares), try #require(back.products))
      let pairs = [
        (squares.added, try residual.sampleSquares()), (squares.sum, try sum.sampleSquares()),
        (products.squares, found.squares),
      ]
      for (here, there) in pairs {
        #expect(here.count == 3 && there.count == 3)
        for (a, b) in zip(here, there) { #expect(abs(a - b) <= tolerance * b) }
      }
      for sample in 0..<3 {
        let size = (found.squares[sample] * found.otherSquares[sample]).squareRoot()
        #expect(abs(products.dot[sample] - found.dot[sample]) <= tolerance * size)
      }
    }
  }

  @Test(
    "Squares and products of what is too large or too small for float32 are left to those who sum in float64",
    arguments: sets, [1e20, 1e-24])
  func extremes(set: String, size: Double) throws {
    try KernelSet.using(set) {
      let x = try Tensor(noise(2 * 16 * 16, seed: 1).map(Float.init), shape: [2, 16, 4, 4])
      let norm = NormReLU.Parameters(
        weight: try .full([16], 1), bias: try .zeros([16]), runningMean: try .zeros([16]),
        runningVariance: try .full([16], 1), epsilon: 1e-5)
      let convolution = ResidualUnit.Convolution(
        weight: try .full([16, 16, 3, 3], size), bias: try .zeros([16]), stride: 1)
      let made = try ResidualUnit.forward(
        x, norm, by: .running, convolution, adding: .zeros([2, 16, 4, 4]), keepsAdded: true)
      #expect(made.squares == nil)
      let squares = try #require(made.added).sampleSquares()
      #expect(squares.allSatisfy { $0 > 0 && $0.isFinite })
      let back = try ResidualUnit.backward(
        .init(.full([2, 16, 4, 4], 1)), input: x, norm, statistics: nil, convolution, beside: x, wantsParameters: false)
      #expect(back.products == nil)
      let products = try back.input.resolved().sampleProducts(x)
      #expect(products.squares.allSatisfy { $0 > 0 && $0.isFinite })
    }
  }

  @Test("What is not a number, or not finite, stays none", arguments: sets, [Float.nan, .infinity])
  func notANumber(set: String, strange: Float) throws {
    try KernelSet.using(set) {
      var values = noise(2 * 16 * 16, seed: 1).map(Float.init)
      values[37] = strange
      let x = try Tensor(values, shape: [2, 16, 4, 4])
      let norm = NormReLU.Parameters(
        weight: try .full([16], 1), bias: try .zeros([16]), runningMean: try .zeros([16]),
        runningVariance: try .full([16], 1), epsilon: 1e-5)
      let convolution = ResidualUnit.Convolution(
        weight: try .full([16, 16, 3, 3], 0.1), bias: try .zeros([16]), stride: 1)
      for mode in [NormMode.running, .batch] {
        let made = try ResidualUnit.forward(x, norm, by: mode, convolution)
        #expect(try #require(made.added).isFinite() == false)
        #expect(try NormReLU.forward(x, norm, by: mode).output.isFinite() == false)
        let back = try ResidualUnit.backward(
          .init(x), input: .zeros([2, 16, 4, 4]), norm, statistics: made.statistics, convolution, wantsParameters: true)
        #expect(try #require(back.parameters?.weight).isFinite() == false)
      }
      _ = try NormReLU.forward(x, norm, by: .batchUpdating(momentum: 0.1))
      #expect(try norm.runningMean.isFinite() == false && norm.runningVariance.isFinite() == false)
    }
  }

  @Test("The same work twice gives the same bits", arguments: sets)
  func repeated(set: String) throws {
    try KernelSet.using(set) {
      let once = try UnitResult(UnitCase.all[5], by: .batch, type: .float32, computed: .float32)
      once.expectClose(
        to: try UnitResult(UnitCase.all[5], by: .batch, type: .float32, computed: .float32), within: 0, "twice")
    }
  }

  @Test("A kernel set that is none, and tensors that do not fit, are errors")
  func badInput() throws {
    #expect(throws: TorchError.self) { try KernelSet.use("SSE9") }
    #expect(KernelSet.all.contains(KernelSet.current))
    let norm = NormReLU.Parameters(
      weight: try .full([4], 1), bias: try .zeros([4]), runningMean: try .zeros([4]),
      runningVariance: try .full([4], 1), epsilon: 1e-5)
    let convolution = ResidualUnit.Convolution(weight: try .zeros([4, 4, 3, 3]), bias: try .zeros([4]), stride: 1)
    let x = try Tensor.zeros([1, 3, 8, 8])
    #expect(throws: TorchError.self) { try ResidualUnit.forward(x, norm, by: .batch, convolution) }
    let fitting = try Tensor.zeros([1, 4, 8, 8])
    #expect(throws: TorchError.self) {
      try ResidualUnit.forward(fitting, norm, by: .batch, convolution, adding: .zeros([1, 4, 8, 7]))
    }
    for size in [3, 5] {
      let bias = ResidualUnit.Convolution(weight: convolution.weight, bias: try .zeros([size]), stride: 1)
      #expect(throws: TorchError.self) { try ResidualUnit.forward(fitting, norm, by: .batch, bias) }
    }
    let still = ResidualUnit.Convolution(weight: convolution.weight, bias: convolution.bias, stride: 0)
    #expect(throws: TorchError.self) { try ResidualUnit.forward(fitting, norm, by: .batch, still) }
    #expect(throws: TorchError.self) { try ResidualUnit.forward(.zeros([1, 4, 8, 0]), norm, by: .batch, convolution) }
    // One value a channel has no variance.
    let single = try Tensor.zeros([1, 4, 1, 1])
    #expect(throws: TorchError.self) {
      try ResidualUnit.forward(single, norm, by: .batchUpdating(momentum: 0.1), convolution)
    }
    #expect(throws: TorchError.self) {
      try NormReLU.backward(.zeros([1, 4, 8, 8], .bfloat16), input: fitting, norm, statistics: nil)
    }
    let bytes = try Tensor([UInt8](repeating: 1, count: 8), shape: [2, 4])
    #expect(throws: TorchError.self) { try bytes.sampleSquares() }
    #expect(throws: TorchError.self) {
      try ResidualUnit.backward(
        .init(.zeros([1, 4, 7, 8])), input: fitting, norm, statistics: nil, convolution, wantsParameters: false)
    }
  }
}
