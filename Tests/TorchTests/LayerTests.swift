import TestSupport
import Testing
import ResLensTorch

/// The scalar that gradients are checked with: a fixed random weighting of a result.
private func weighted(_ output: Tensor, _ weights: [Double]) throws -> Double {
  try zip(output.doubles(), weights).reduce(0) { $0 + $1.0 * $1.1 }
}

/// Central differences of `value` with respect to every element of `values`.
private func differences(
  _ values: [Double], shape: [Int], _ value: (Tensor) throws -> Double
) throws -> [Double] {
  let step = 1e-5
  return try values.indices.map { index in
    var (up, down) = (values, values)
    up[index] += step
    down[index] -= step
    return try (value(Tensor(up, shape: shape)) - value(Tensor(down, shape: shape))) / (2 * step)
  }
}

private func expectClose(
  _ found: [Double], _ wanted: [Double], within tolerance: Double = 1e-7, _ location: SourceLocation = #_sourceLocation
) {
  #expect(found.count == wanted.count, sourceLocation: location)
  for (a, b) in zip(found, wanted) {
    #expect(abs(a - b) <= tolerance * max(1, abs(b)), sourceLocation: location)
  }
}

@Suite struct LayerTests {
  @Test("A convolution is the sum over its window, written out")
  func convolution() throws {
    let (inputs, outputs, side) = (2, 3, 5)
    let x = noise(2 * inputs * side * side, seed: 1)
    let w = noise(outputs * inputs * 9, seed: 2)
    let b = noise(outputs, seed: 3)
    for stride in [1, 2] {
      let y = try Convolution.forward(
        Tensor(x, shape: [2, inputs, side, side]), weight: Tensor(w, shape: [outputs, inputs, 3, 3]),
        bias: Tensor(b, shape: [outputs]), stride: stride, padding: 1)
      let out = (side + stride - 1) / stride
      #expect(y.shape == [2, outputs, out, out])
      var wanted: [Double] = []
      for n in 0..<2 {
        for o in 0..<outputs {
          for row in 0..<out {
            for column in 0..<out {
              var sum = b[o]
              for i in 0..<inputs {
                for dy in 0..<3 {
                  for dx in 0..<3 {
                    let (py, px) = (row * stride + dy - 1, column * stride + dx - 1)
                    guard (0..<side).contains(py), (0..<side).contains(px) else { continue }
                    sum += x[((n * inputs + i) * side + py) * side + px] * w[((o * inputs + i) * 3 + dy) * 3 + dx]
                  }
                }
              }
              wanted.append(sum)
            }
          }
        }
      }
      expectClose(try y.doubles(), wanted, within: 1e-12)
    }
  }

  @Test("The gradients of a convolution are its differences")
  func convolutionGradients() throws {
    let (xs, ws) = ([2, 2, 4, 4], [3, 2, 3, 3])
    let (x, w, b) = (noise(64, seed: 1), noise(54, seed: 2), noise(3, seed: 3))
    let weights = noise(2 * 3 * 2 * 2, seed: 4)
    func value(_ x: Tensor, _ w: Tensor, _ b: Tensor) throws -> Double {
      try weighted(Convolution.forward(x, weight: w, bias: b, stride: 2, padding: 1), weights)
    }
    let (tx, tw, tb) = (try Tensor(x, shape: xs), try Tensor(w, shape: ws), try Tensor(b, shape: [3]))
    let found = try Convolution.backward(
      Tensor(weights, shape: [2, 3, 2, 2]), input: tx, weight: tw, stride: 2, padding: 1, wantsParameters: true)
    expectClose(try #require(found.input).doubles(), try differences(x, shape: xs) { try value($0, tw, tb) })
    expectClose(try #require(found.weight).doubles(), try differences(w, shape: ws) { try value(tx, $0, tb) })
    expectClose(try #require(found.bias).doubles(), try differences(b, shape: [3]) { try value(tx, tw, $0) })
    let lean = try Convolution.backward(
      Tensor(weights, shape: [2, 3, 2, 2]), input: tx, weight: tw, stride: 2, padding: 1, wantsParameters: false)
    #expect(lean.weight == nil && lean.bias == nil)
  }

  @Test(
    "The gradient of a 1×1 convolution's weight is the same every time, for few channels and with a stride too",
    arguments: [(4, 6), (5, 7), (7, 16), (8, 6), (16, 32)])
  func pointwiseGradient(inputs: Int, outputs: Int) throws {
    let input = try Tensor(noise(6 * inputs * 64, seed: 1).map(Float.init), shape: [6, inputs, 8, 8])
    let weight = try Tensor(noise(inputs * outputs, seed: 2).map(Float.init), shape: [outputs, inputs, 1, 1])
    let gradient = try Tensor(noise(6 * outputs * 16, seed: 3).map(Float.init), shape: [6, outputs, 4, 4])
    func found(_ type: ElementType) throws -> [Double] {
      try #require(
        try Convolution.backward(
          gradient.converted(to: type), input: input.converted(to: type), weight: weight.converted(to: type), stride: 2,
          padding: 0, wantsParameters: true
        ).weight
      ).doubles()
    }
    let exact = try found(.float64)
    let first = try found(.float32)
    #expect(largestDistance(first, exact) < 1e-4)
    for _ in 0..<100 { #expect(try found(.float32) == first) }
  }

  @Test("Normalisation with ReLU follows its formula and moves the running statistics", arguments: [true, false])
  func normReLU(training: Bool) throws {
    let (n, c, area) = (3, 2, 4)
    let x = noise(n * c * area, seed: 5, from: -2, to: 3)
    let (gamma, beta) = ([1.5, -0.7], [0.2, 0.4])
    let parameters = NormReLU.Parameters(
      weight: try Tensor(gamma, shape: [c]), bias: try Tensor(beta, shape: [c]),
      runningMean: try Tensor([0.3, -0.1], shape: [c]), runningVariance: try Tensor([0.8, 2.0], shape: [c]),
      epsilon: 1e-5)
    let result = try NormReLU.forward(
      Tensor(x, shape: [n, c, 2, 2]), parameters, by: training ? .batchUpdating(momentum: 0.1) : .running)
    var wanted = [Double](repeating: 0, count: x.count)
    let count = Double(n * area)
    for channel in 0..<c {
      let places = (0..<n).flatMap { sample in (0..<area).map { (sample * c + channel) * area + $0 } }
      let own = places.map { x[$0] }
      let mean = training ? own.reduce(0, +) / count : [0.3, -0.1][channel]
      let batchMean = own.reduce(0, +) / count
      let batchVariance = own.reduce(0) { $0 + ($1 - batchMean) * ($1 - batchMean) } / count
      let variance = training ? batchVariance : [0.8, 2.0][channel]
      for place in places {
        wanted[place] = max(0, (x[place] - mean) / (variance + 1e-5).squareRoot() * gamma[channel] + beta[channel])
      }
      // The running variance is of the unbiased kind.
      let keeps = training ? 0.9 : 1
      let moved = [0.3, -0.1][channel] * keeps + (training ? 0.1 * batchMean : 0)
      let movedVariance = [0.8, 2.0][channel] * keeps + (training ? 0.1 * batchVariance * count / (count - 1) : 0)
      #expect(abs(try parameters.runningMean.doubles()[channel] - moved) < 1e-12)
      #expect(abs(try parameters.runningVariance.doubles()[channel] - movedVariance) < 1e-12)
    }
    expectClose(try result.output.doubles(), wanted, within: 1e-12)
    #expect((result.statistics != nil) == training)
  }

  @Test("The gradients of normalisation with ReLU are its differences", arguments: [true, false])
  func normReLUGradients(training: Bool) throws {
    let shape = [3, 2, 2, 2]
    let x = noise(24, seed: 6, from: -2, to: 2)
    let weights = noise(24, seed: 7)
    func parameters(_ gamma: Tensor? = nil, _ beta: Tensor? = nil) throws -> NormReLU.Parameters {
      NormReLU.Parameters(
        weight: try gamma ?? Tensor([1.5, -0.7], shape: [2]), bias: try beta ?? Tensor([0.2, 0.4], shape: [2]),
        runningMean: try Tensor([0.3, -0.1], shape: [2]), runningVariance: try Tensor([0.8, 2.0], shape: [2]),
        epsilon: 1e-5)
    }
    let mode: NormMode = training ? .batch : .running
    func value(_ x: Tensor, _ parameters: NormReLU.Parameters) throws -> Double {
      try weighted(NormReLU.forward(x, parameters, by: mode).output, weights)
    }
    let tx = try Tensor(x, shape: shape)
    let own = try parameters()
    let forward = try NormReLU.forward(tx, own, by: mode)
    let found = try NormReLU.backward(Tensor(weights, shape: shape), input: tx, own, statistics: forward.statistics)
    let fresh = try parameters()
    expectClose(try found.input.doubles(), try differences(x, shape: shape) { try value($0, fresh) }, within: 1e-6)
    if training {
      let gamma = try #require(found.weight).doubles()
      expectClose(gamma, try differences([1.5, -0.7], shape: [2]) { try value(tx, parameters($0)) }, within: 1e-6)
      let beta = try #require(found.bias).doubles()
      expectClose(beta, try differences([0.2, 0.4], shape: [2]) { try value(tx, parameters(nil, $0)) }, within: 1e-6)
    }
  }

  @Test("Pooling and its gradients, average and maximum")
  func pooling() throws {
    let x = noise(2 * 2 * 4 * 4, seed: 8)
    let shape = [2, 2, 4, 4]
    let weights = noise(2 * 2 * 2 * 2, seed: 9)
    let tx = try Tensor(x, shape: shape)
    let gradient = try Tensor(weights, shape: [2, 2, 2, 2])
    let average = try Pooling.average(tx, size: 2)
    #expect(abs(try average.doubles()[0] - (x[0] + x[1] + x[4] + x[5]) / 4) < 1e-15)
    expectClose(
      try Pooling.averageBackward(gradient, input: tx, size: 2).doubles(),
      try differences(x, shape: shape) { try weighted(Pooling.average($0, size: 2), weights) })
    let maximum = try Pooling.maximum(tx, size: 2)
    #expect(try maximum.output.doubles()[0] == [x[0], x[1], x[4], x[5]].max())
    expectClose(
      try Pooling.maximumBackward(gradient, input: tx, indices: maximum.indices, size: 2).doubles(),
      try differences(x, shape: shape) { try weighted(Pooling.maximum($0, size: 2).output, weights) })
  }

  @Test("A flattened image is in channel, row, column order and comes back")
  func flatten() throws {
    let values = noise(2 * 3 * 2 * 2, seed: 10)
    let image = try Tensor(values, shape: [2, 3, 2, 2])
    let flat = try image.flattened()
    #expect(flat.shape == [2, 12])
    #expect(try flat.doubles() == values)
    #expect(try flat.unflattened(like: image).doubles() == values)
  }

  @Test("Cross-entropy, entropy, prediction and gradient by their formulas", arguments: [0.0, 0.1])
  func crossEntropy(smoothing: Double) throws {
    let (n, k) = (4, 5)
    let z = noise(n * k, seed: 11, from: -3, to: 3)
    let labels = [0, 4, 2, 2]
    let target = try Tensor(labels.map(Int64.init), shape: [n])
    let found = try Predictions(
      logits: Tensor(z, shape: [n, k]), labels: target, smoothing: smoothing, gradientScale: 0.25)
    for sample in 0..<n {
      let row = Array(z[(sample * k)..<((sample + 1) * k)])
      let total = row.reduce(0) { $0 + exponential($1) }
      let p = row.map { exponential($0) / total }
      let goal = (0..<k).map { ($0 == labels[sample] ? 1 - smoothing : 0) + smoothing / Double(k) }
      #expect(abs(found.losses[sample] + zip(goal, p).reduce(0) { $0 + $1.0 * logarithm($1.1) }) < 1e-12)
      #expect(abs(found.entropies[sample] + p.reduce(0) { $0 + $1 * logarithm($1) }) < 1e-12)
      let other = p.indices.filter { $0 != labels[sample] }.map { p[$0] }.max() ?? 0
      #expect(abs(found.margins[sample] - (p[labels[sample]] - other)) < 1e-12)
      #expect(found.classes[sample] == row.indices.max { row[$0] < row[$1] })
    }
    let gradient = try #require(found.gradient).doubles()
    let wanted = try differences(z, shape: [n, k]) {
      try Predictions(logits: $0, labels: target, smoothing: smoothing).losses.reduce(0, +) * 0.25
    }
    expectClose(gradient, wanted, within: 1e-8)
  }

  @Test("Logits far apart give a finite loss and no entropy")
  func extremeLogits() throws {
    let found = try Predictions(
      logits: Tensor([1000.0, -1000, 0], shape: [1, 3]), labels: Tensor([Int64(1)], shape: [1]), gradientScale: 1)
    #expect(found.losses == [2000])
    #expect(found.entropies == [0])
    #expect(found.margins == [-1])
  }

  @Test(
    "Logits that are no numbers, or not finite, give no numbers, and as the answer what is no number, as in PyTorch")
  func strangeLogits() throws {
    let rows: [Double] = [.infinity, 1, 2, 1, .nan, 2, .nan, 3, 4]
    let found = try Predictions(
      logits: Tensor(rows, shape: [3, 3]), labels: Tensor([Int64(1), 1, 1], shape: [3]), gradientScale: 1)
    #expect(found.losses.allSatisfy { !$0.isFinite } && found.entropies.allSatisfy(\.isNaN))
    #expect(found.classes == [0, 1, 0])
  }

  @Test("A class of no probability costs nothing where it is not meant", arguments: ends(KernelSet.all))
  func impossibleClass(set: String) throws {
    let logits = try Tensor([0, -Double.infinity, 0, -.infinity], shape: [2, 2])
    try KernelSet.using(set) {
      let meant = try BatchLoss(logits: logits, labels: Tensor([Int64(0), 0], shape: [2]), gradientScale: 1)
      #expect(try meant.sums.doubles() == [0, 0])
      let other = try BatchLoss(logits: logits, labels: Tensor([Int64(0), 1], shape: [2]), gradientScale: 1)
      #expect(try other.sums.doubles() == [.infinity, 1])
    }
  }

  @Test(
    "Log-odds: their gradient times the doubt is the cross-entropy's, and keeps its direction where that is nothing")
  func logOdds() throws {
    let (n, k) = (4, 5)
    let z = noise(n * k, seed: 12, from: -3, to: 3)
    let labels = [3, 0, 2, 2]
    let (logits, target) = (try Tensor(z, shape: [n, k]), try Tensor(labels.map(Int64.init), shape: [n]))
    let odds = try LogOdds(logits: logits, labels: target)
    let entropy = try Predictions(logits: logits, labels: target, gradientScale: 1)
    for sample in 0..<n {
      #expect(abs(odds.errorProbabilities[sample] - 1 + exponential(-entropy.losses[sample])) < 1e-12)
    }
    let scaled = try odds.gradient.doubles().enumerated().map { $1 * odds.errorProbabilities[$0 / k] }
    expectClose(scaled, try entropy.requiredGradient().doubles(), within: 1e-12)

    // So sure that the softmax is 1: of the others the largest is all that counts.
    let sure = try LogOdds(logits: Tensor([1000.0, -1000, 0], shape: [1, 3]), labels: Tensor([Int64(0)], shape: [1]))
    #expect(sure.errorProbabilities == [0])
    #expect(try sure.gradient.doubles() == [-1, 0, 1])
    let wrong = try LogOdds(logits: Tensor([1000.0, -1000, 0], shape: [1, 3]), labels: Tensor([Int64(1)], shape: [1]))
    #expect(wrong.errorProbabilities == [1])
    #expect(try wrong.gradient.doubles() == [1, -1, 0])
  }

  @Test("Sums over samples are those of float64, for every element type and odd sizes", arguments: ends(KernelSet.all))
  func sampleProducts(set: String) throws {
    for type in [ElementType.float64, .float32, .bfloat16] {
      for count in [1, 7, 1024, 3001] {
        // The rows of sizes whose squares float32 does not hold.
        let sizes = [1, 1e25, 1e-25]
        let a = try Tensor(
          noise(3 * count, seed: 12).enumerated().map { $1 * sizes[$0 / count] }, shape: [3, count]
        ).converted(to: type)
        let b = try Tensor(noise(3 * count, seed: 13), shape: [3, count]).converted(to: type)
        // Rounded to the type first: only the summing is under test.
        let (x, y) = (try a.doubles(), try b.doubles())
        let (found, squares) = try KernelSet.using(set) { (try a.sampleProducts(b), try a.sampleSquares()) }
        for sample in 0..<3 {
          let range = (sample * count)..<((sample + 1) * count)
          func exact(_ one: [Double], _ other: [Double]) -> Double { range.reduce(0) { $0 + one[$1] * other[$1] } }
          let (own, others) = (exact(x, x), exact(y, y))
          #expect(abs(found.dot[sample] - exact(x, y)) < 1e-12 * (own * others).squareRoot())
          #expect(abs(found.squares[sample] - own) < 1e-12 * own)
          #expect(abs(found.otherSquares[sample] - others) < 1e-12 * others)
          #expect(squares[sample] == found.squares[sample])
        }
      }
    }
  }

  @Test("A momentum step follows its formula", arguments: [false, true])
  func momentumSGD(nesterov: Bool) throws {
    var (p, v) = (noise(40, seed: 14), noise(40, seed: 15))
    let g = noise(40, seed: 16)
    let (parameter, velocity) = (try Tensor(p, shape: [5, 8, 1, 1]), try Tensor(v, shape: [5, 8, 1, 1]))
    try MomentumSGD.step(
      parameters: [parameter], gradients: [Tensor(g, shape: [5, 8, 1, 1])], velocities: [velocity],
      rate: Tensor([0.3], shape: [1]), momentum: 0.8, decay: 0.05, nesterov: nesterov)
    for i in p.indices {
      let slope = g[i] + 0.05 * p[i]
      v[i] = 0.8 * v[i] + slope
      p[i] -= 0.3 * (nesterov ? slope + 0.8 * v[i] : v[i])
    }
    expectClose(try parameter.doubles(), p, within: 1e-14)
    expectClose(try velocity.doubles(), v, within: 1e-14)
  }

  @Test("Without momentum a step goes down the gradient and decays")
  func plainSGD() throws {
    let (p, g) = (noise(6, seed: 19), noise(6, seed: 20))
    let parameter = try Tensor(p, shape: [6])
    try MomentumSGD.step(
      parameters: [parameter], gradients: [Tensor(g, shape: [6])], velocities: [.zeros([6], .float64)],
      rate: Tensor([0.1], shape: [1]), momentum: 0, decay: 0.5, nesterov: false)
    expectClose(try parameter.doubles(), zip(p, g).map { $0 - 0.1 * ($1 + 0.5 * $0) }, within: 1e-14)
  }

  @Test("A momentum step that is to be skipped changes nothing", arguments: [Float(0), 1])
  func skippedStep(skip: Float) throws {
    let values = noise(6, seed: 17)
    let (parameter, velocity) = (try Tensor(values, shape: [6]), try Tensor(values, shape: [6]))
    try MomentumSGD.step(
      parameters: [parameter], gradients: [Tensor(values, shape: [6])], velocities: [velocity],
      rate: Tensor([0.1], shape: [1]), momentum: 0.9, decay: 0, nesterov: false, unless: Tensor([skip], shape: [1]))
    #expect(try (parameter.doubles() == values) == (skip == 1))
    #expect(try (velocity.doubles() == values) == (skip == 1))
  }

  @Test(
    "A batch's loss is the sum of its samples', by our loop and by libtorch's operations", arguments: [0, 0.1],
    ends(KernelSet.all))
  func batchLoss(smoothing: Double, set: String) throws {
    let (n, k) = (7, 5)
    let logits = try Tensor(noise(n * k, seed: 18, from: -3, to: 3), shape: [n, k])
    let labels = [3, 0, 2, 2, 4, 1, 0]
    let target = try Tensor(labels.map(Int64.init), shape: [n])
    let wanted = try Predictions(logits: logits, labels: target, smoothing: smoothing, gradientScale: 0.5)
    let found = try KernelSet.using(set) {
      try BatchLoss(logits: logits, labels: target, smoothing: smoothing, gradientScale: 0.5)
    }
    let wrong = zip(wanted.classes, labels).count { $0 != $1 }
    expectClose(try found.sums.doubles(), [wanted.losses.reduce(0, +), Double(wrong)], within: 1e-12)
    expectClose(try found.gradient.doubles(), try wanted.requiredGradient().doubles(), within: 1e-14)
  }

  @Test("Steps are counted until the loss is no number any more")
  func countedSteps() throws {
    let totals = try Tensor([1.5, 2, 7], shape: [3])
    func count(_ loss: Double) throws -> [Double] {
      try BatchLoss.count(Tensor([loss, 3], shape: [2]), in: totals).doubles()
    }
    #expect(try count(0.25) == [0])
    #expect(try totals.doubles() == [1.75, 5, 8])
    #expect(try count(.infinity) == [1])
    // After such a step the parameters cannot be trusted, so later losses do not count.
    #expect(try count(0.25) == [1])
    #expect(try totals.doubles() == [.infinity, 11, 8])
  }
}
