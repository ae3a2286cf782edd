import TestSupport
import Testing
import ResLensTorch

@Suite struct TapeTests {
  /// Runs operations on h and a parameter, and returns Σ of the result times fixed weights, with its gradients.
  private func scalar(
    _ h: Tensor, _ parameter: Tensor, mode: NormMode = .batch, _ body: (Tape.Value, Tape.Value) throws -> Tape.Value
  ) throws -> (value: Double, h: [Double], parameter: [Double]) {
    let tape = Tape(mode: mode, records: true)
    let (input, weight) = (try tape.input(h), try tape.parameter("p", parameter))
    let result = try body(input, weight)
    let output = try tape.result(of: result)
    let weights = noise(output.count, seed: 9)
    let value = try zip(output.doubles(), weights).reduce(0) { $0 + $1.0 * $1.1 }
    let found = try tape.gradients(
      of: result, Tensor(weights, shape: output.shape), for: [input], wantsParameters: true)
    #expect(found.parameters.map(\.path) == ["p"])
    return (value, try found.values[0].doubles(), try found.parameters[0].gradient.doubles())
  }

  private static let operations: [(String, [Int], @Sendable (Tape.Value, Tape.Value) throws -> Tape.Value)] = [
    ("convolution", [4, 3, 3, 3], { try $0.convolved($1, padding: 1) }),
    ("stride", [2, 3, 3, 3], { try $0.convolved($1, stride: 2, padding: 1) }),
    ("strided projection", [4, 3, 1, 1], { try $0.convolved($1, stride: 2, padding: 0) }),
    ("sigmoid", [3, 3, 1, 1], { try $0.convolved($1, padding: 0).sigmoid().multiplied(by: $0) }),
    ("ReLU", [3, 3, 1, 1], { try $0.convolved($1, padding: 0).relu().adding($0, scale: -0.5) }),
    ("mean", [3, 3, 1, 1], { try $0.multiplied(by: $0.pixelMean().convolved($1, padding: 0)) }),
    ("scale", [1, 3, 1, 1], { try $0.multiplied(by: $1).scaled(by: 0.3) }),
    (
      "twice", [3, 3, 1, 1],
      { try $0.convolved($0.tape.parameter("p", .zeros([1])), padding: 0).convolved($1, padding: 0) }
    ),
  ]

  @Test("The gradients of every operation are central differences", arguments: operations.indices)
  func differences(index: Int) throws {
    let (name, shape, body) = Self.operations[index]
    let (h, p) = (noise(2 * 3 * 5 * 4, seed: 1), noise(shape.reduce(1, *), seed: 2))
    let form = [2, 3, 5, 4]
    let found = try scalar(Tensor(h, shape: form), Tensor(p, shape: shape), body)
    func value(_ h: [Double], _ p: [Double]) throws -> Double {
      try scalar(Tensor(h, shape: form), Tensor(p, shape: shape), body).value
    }
    func slope(_ values: [Double], _ index: Int, _ value: ([Double]) throws -> Double) throws -> Double {
      var (up, down) = (values, values)
      up[index] += 1e-5
      down[index] -= 1e-5
      return try (value(up) - value(down)) / 2e-5
    }
    for index in stride(from: 0, to: h.count, by: 7) {
      let wanted = try slope(h, index) { try value($0, p) }
      #expect(abs(found.h[index] - wanted) < 1e-7 * max(1, abs(wanted)), "h of \(name)")
    }
    for index in p.indices {
      let wanted = try slope(p, index) { try value(h, $0) }
      #expect(abs(found.parameter[index] - wanted) < 1e-7 * max(1, abs(wanted)), "parameter of \(name)")
    }
  }

  @Test("Normalisation and ReLU on a record are the written-out ones, and update the running statistics alike")
  func normalisation() throws {
    func parameters() throws -> NormReLU.Parameters {
      NormReLU.Parameters(
        weight: try Tensor([1.5, -0.7], shape: [2]), bias: try Tensor([0.2, 0.4], shape: [2]),
        runningMean: try Tensor([0.3, -0.1], shape: [2]), runningVariance: try Tensor([0.8, 2.0], shape: [2]),
        epsilon: 1e-5)
    }
    let x = try Tensor(noise(24, seed: 6, from: -2, to: 2), shape: [3, 2, 2, 2])
    let weights = noise(24, seed: 7)
    for mode in [NormMode.running, .batch, .batchUpdating(momentum: 0.3)] {
      let (plain, own) = (try parameters(), try parameters())
      let wanted = try NormReLU.forward(x, plain, by: mode)
      let tape = Tape(mode: mode, records: true)
      let input = try tape.input(x)
      let value = try input.normalised(
        .init(
          path: "norm", weight: tape.parameter("γ", own.weight), bias: tape.parameter("β", own.bias),
          runningMean: own.runningMean, runningVariance: own.runningVariance, epsilon: 1e-5)
      ).relu()
      #expect(try tape.result(of: value).distance(to: wanted.output) < 1e-12)
      #expect(try own.runningMean.distance(to: plain.runningMean) < 1e-12)
      #expect(try own.runningVariance.distance(to: plain.runningVariance) < 1e-12)
      let gradient = try Tensor(weights, shape: x.shape)
      let found = try tape.gradients(of: value, gradient, for: [input], wantsParameters: true)
      let back = try NormReLU.backward(
        Tensor(weights, shape: x.shape), input: x, plain, statistics: wanted.statistics)
      #expect(try found.values[0].distance(to: back.input) < 1e-12)
      #expect(found.parameters.map(\.path) == ["β", "γ"])
      if let weight = back.weight, let bias = back.bias {
        #expect(try found.parameters[1].gradient.distance(to: weight) < 1e-12)
        #expect(try found.parameters[0].gradient.distance(to: bias) < 1e-12)
      }
      // The gradient that came in is not the record's to write.
      #expect(try gradient.doubles() == weights)
    }
  }

  @Test(
    "In bfloat16 activations are bfloat16 and gradients of float32 parameters float32, also where images are one pixel")
  func mixed() throws {
    for (shape, stride) in [([4, 8, 6, 6], 1), ([4, 8, 6, 6], 2), ([4, 8, 3, 2], 2), ([4, 8, 2, 1], 2)] {
      func run(_ type: ElementType) throws -> [[Double]] {
        let wide = type == .float64
        // Rounded first, so that both compute with the same numbers.
        func tensor(_ shape: [Int], _ seed: UInt64, _ to: ElementType, by rounding: ElementType) throws -> Tensor {
          try Tensor(noise(shape.reduce(1, *), seed: seed), shape: shape).converted(to: rounding).converted(to: to)
        }
        let tape = Tape(mode: .batch, records: true)
        let input = try tape.input(tensor(shape, 1, type, by: .bfloat16))
        let kind: ElementType = wide ? .float64 : .float32
        let weight = try tape.parameter("w", tensor([8, 8, 3, 3], 2, kind, by: .bfloat16))
        let bias = try tape.parameter("b", tensor([8], 3, kind, by: .bfloat16))
        let value = try input.convolved(weight, bias: bias, stride: stride, padding: 1)
        let output = try tape.result(of: value)
        #expect(output.elementType == type)
        let gradient = try tensor(output.shape, 4, type, by: .bfloat16)
        let found = try tape.gradients(of: value, gradient, for: [input], wantsParameters: true)
        #expect(found.values[0].elementType == type && found.parameters.allSatisfy { $0.gradient.elementType == kind })
        return try [output.doubles(), found.values[0].doubles()] + found.parameters.map { try $0.gradient.doubles() }
      }
      for (found, wanted) in try zip(run(.bfloat16), run(.float64)) {
        let size = wanted.map(abs).max() ?? 0
        #expect(largestDistance(found, wanted) <= 0.02 * size, "\(shape), stride \(stride)")
      }
    }
  }

  @Test("A record is freed where it is gone back, unless it is kept; without one there is nothing to go back")
  func spent() throws {
    let h = try Tensor(noise(8, seed: 1), shape: [1, 2, 2, 2])
    let ones = try Tensor.full([1, 2, 2, 2], 1, .float64)
    let tape = Tape(mode: .running, records: true)
    let (input, weight) = (try tape.input(h), try tape.parameter("w", .full([1, 2, 1, 1], 2, .float64)))
    let value = try input.multiplied(by: weight)
    for keeps in [true, false] {
      let found = try tape.gradients(of: value, ones, for: [input], wantsParameters: true, keepsRecord: keeps)
      #expect(try found.values[0].doubles() == Array(repeating: 2, count: 8))
    }
    #expect(throws: TapeError.spent) { try tape.gradients(of: value, ones, for: [input], wantsParameters: false) }
    let plain = Tape(mode: .running, records: false)
    let start = try plain.input(h)
    #expect(throws: TapeError.notRecorded) {
      try plain.gradients(of: start, ones, for: [start], wantsParameters: false)
    }
    // A value on which the result does not depend has a gradient of 0.
    let other = Tape(mode: .running, records: true)
    let (a, b) = (try other.input(h), try other.input(ones))
    let none = try other.gradients(of: a.relu(), ones, for: [b], wantsParameters: false)
    #expect(try none.values[0].doubles() == Array(repeating: 0, count: 8))
  }

  @Test("What was written since is refused by name")
  func changed() throws {
    let (h, w) = (try Tensor(noise(8, seed: 1), shape: [1, 2, 2, 2]), try Tensor([1.0, 2], shape: [1, 2, 1, 1]))
    let ones = try Tensor.full([1, 2, 2, 2], 1, .float64)
    for (tensor, name) in [(h, "the input"), (w, "w")] {
      let tape = Tape(mode: .running, records: true)
      let input = try tape.input(h)
      let value = try input.multiplied(by: tape.parameter("w", w))
      try tensor.copy(from: tensor.scaled(by: 1))
      #expect(throws: TapeError.changed(path: name)) {
        try tape.gradients(of: value, ones, for: [input], wantsParameters: true)
      }
    }
  }
}
