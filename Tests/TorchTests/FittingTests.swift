import Foundation
import ResLensTorch
import TestSupport
import Testing

@Suite struct FittingTests {
  /// Pixels of an image tensor: one array for each pixel, of its channels.
  private func pixels(_ values: [Double], _ shape: [Int]) -> [[Double]] {
    let (images, channels, area) = (shape[0], shape[1], shape[2] * shape[3])
    return (0..<images * area).map { place in
      (0..<channels).map { values[(place / area * channels + $0) * area + place % area] }
    }
  }

  @Test("A linear regression has the least penalised squares, over batches of pixels")
  func regression() throws {
    let (shape, outputs, penalty) = ([3, 4, 2, 2], 3, 0.05)
    var (inputs, goals): ([[Double]], [[Double]]) = ([], [])
    let sums = try LinearRegression(inputs: 4, outputs: outputs)
    for batch in 0..<3 {
      // Channels of other means and deviations, and one that does not vary.
      var x = noise(48, seed: UInt64(batch))
      for index in x.indices {
        let channel = index / 4 % 4
        x[index] = channel == 3 ? 0.7 : x[index] * [0.1, 1, 30][channel] + [5, 0, -2][channel]
      }
      let y = noise(36, seed: UInt64(10 + batch))
      try sums.add(Tensor(x, shape: shape), Tensor(y, shape: [3, outputs, 2, 2]))
      inputs += pixels(x, shape)
      goals += pixels(y, [3, outputs, 2, 2])
    }
    let fit = try sums.solved(penalty: penalty)
    let (weight, bias) = (try fit.weight.doubles(), try fit.bias.doubles())
    let count = Double(inputs.count)
    for channel in 0..<4 {
      let values = inputs.map { $0[channel] }
      let mean = values.reduce(0, +) / count
      let deviation = (values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / count).squareRoot()
      #expect(abs(try fit.means.doubles()[channel] - mean) < 1e-12)
      #expect(abs(try fit.deviations.doubles()[channel] - (channel == 3 ? 0 : deviation)) < 1e-9)
      for output in 0..<outputs {
        let errors = zip(inputs, goals).map { x, y in
          (0..<4).reduce(bias[output] - y[output]) { $0 + weight[output * 4 + $1] * x[$1] }
        }
        // The objective's derivatives, with respect to the bias and to the weight of the channel over its deviation.
        #expect(abs(errors.reduce(0, +) / count) < 1e-10)
        let own = weight[output * 4 + channel]
        if channel == 3 {
          #expect(own == 0)
        } else {
          let slope = zip(errors, values).reduce(0) { $0 + $1.0 * ($1.1 - mean) / deviation } / count
          #expect(abs(slope + penalty * own * deviation) < 1e-10)
        }
      }
    }
  }

  @Test("A regression without a pixel, or without a penalty, is refused")
  func nothing() throws {
    let sums = try LinearRegression(inputs: 2, outputs: 1)
    #expect(throws: TorchError.self) { try sums.solved(penalty: 1) }
    try sums.add(Tensor(noise(8, seed: 1), shape: [1, 2, 2, 2]), Tensor(noise(4, seed: 2), shape: [1, 1, 2, 2]))
    #expect(throws: TorchError.self) { try sums.solved(penalty: 0) }
    #expect(throws: TorchError.self) {
      try sums.add(Tensor(noise(8, seed: 1), shape: [1, 2, 2, 2]), Tensor(noise(8, seed: 2), shape: [1, 2, 2, 2]))
    }
  }

  @Test("A logistic regression is at the optimum of the penalised cross-entropy")
  func logistic() throws {
    let (count, features, classes, penalty) = (60, 4, 3, 0.02)
    var x = noise(count * features, seed: 3)
    for index in x.indices {
      let feature = index % features
      x[index] = feature == 2 ? -4 : x[index] * [0.01, 1, 1, 50][feature] + [3, 0, 0, 100][feature]
    }
    let labels = (0..<count).map { ($0 * 7 + $0 / 5) % classes }
    let fit = try LogisticRegression.fit(
      Tensor(x, shape: [count, features]), Tensor(labels.map(Int64.init), shape: [count]), classes: classes,
      penalty: penalty)
    let (weight, bias) = (try fit.weight.doubles(), try fit.bias.doubles())
    let errors = (0..<count).map { sample in
      let logits = (0..<classes).map { k in
        (0..<features).reduce(bias[k]) { $0 + weight[k * features + $1] * x[sample * features + $1] }
      }
      let total = logits.map { exp($0) }.reduce(0, +)
      return (0..<classes).map { exp(logits[$0]) / total - (labels[sample] == $0 ? 1 : 0) }
    }
    for k in 0..<classes {
      #expect(abs(errors.reduce(0) { $0 + $1[k] } / Double(count)) < 2e-6)
      for feature in 0..<features {
        let values = (0..<count).map { x[$0 * features + feature] }
        let mean = values.reduce(0, +) / Double(count)
        let deviation = (values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(count)).squareRoot()
        let own = weight[k * features + feature]
        if feature == 2 {
          #expect(own == 0)
        } else {
          let slope = zip(errors, values).reduce(0) { $0 + $1.0[k] * ($1.1 - mean) / deviation } / Double(count)
          #expect(abs(slope + penalty * own * deviation) < 2e-6)
        }
      }
    }
  }

  @Test("A logistic regression refuses labels that are not classes, and features that do not fit")
  func refusals() throws {
    let features = try Tensor(noise(6, seed: 1), shape: [3, 2])
    for labels in [[0, 1, 2], [-1, 0, 1]] as [[Int64]] {
      let error = #expect(throws: TorchError.self) {
        try LogisticRegression.fit(features, Tensor(labels, shape: [3]), classes: 2, penalty: 1)
      }
      #expect(error.map { "\($0)".contains("2 classes") } == true)
    }
    #expect(throws: TorchError.self) {
      try LogisticRegression.fit(features, Tensor([0, 1] as [Int64], shape: [2]), classes: 2, penalty: 1)
    }
    let labels = try Tensor([0, 1, 0] as [Int64], shape: [3])
    #expect(throws: TorchError.self) {
      try LogisticRegression.fit(features.scaled(by: .nan), labels, classes: 2, penalty: 1)
    }
  }

  @Test("The divergence's gradient is its slope")
  func divergence() throws {
    let (samples, classes) = (4, 5)
    let (target, read) = (noise(samples * classes, seed: 1, from: -3, to: 3), noise(samples * classes, seed: 2))
    func logs(_ values: ArraySlice<Double>) -> [Double] {
      let total = log(values.map { exp($0) }.reduce(0, +))
      return values.map { $0 - total }
    }
    func divergence(_ read: [Double]) -> Double {
      (0..<samples).reduce(0) { sum, sample in
        let range = sample * classes..<(sample + 1) * classes
        return sum + zip(logs(target[range]), logs(read[range])).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
      }
    }
    let gradient = try Divergence.gradient(
      of: Tensor(read, shape: [samples, classes]), from: Tensor(target, shape: [samples, classes]), scale: 0.25
    ).doubles()
    for index in read.indices {
      var (low, high) = (read, read)
      low[index] -= 1e-5
      high[index] += 1e-5
      #expect(abs(gradient[index] - 0.25 * (divergence(high) - divergence(low)) / 2e-5) < 1e-9)
    }
  }

  @Test("Adam moves every parameter as its formula says")
  func adam() throws {
    let shapes = [[3, 2, 3, 3], [3, 2, 1, 1], [3]]
    var values = shapes.enumerated().map { noise($1.reduce(1, *), seed: UInt64($0)) }
    let parameters = try zip(values, shapes).map { try Tensor($0, shape: $1) }
    let optimiser = try Adam(parameters)
    var (first, second) = (values.map { $0.map { _ in 0.0 } }, values.map { $0.map { _ in 0.0 } })
    for step in 1...5 {
      let gradients = shapes.enumerated().map { noise($1.reduce(1, *), seed: UInt64(100 * step + $0)) }
      let rate = 0.1 / Double(step)
      try optimiser.step(try zip(gradients, shapes).map { try Tensor($0, shape: $1) }, rate: rate)
      for tensor in values.indices {
        for index in values[tensor].indices {
          let gradient = gradients[tensor][index]
          first[tensor][index] = 0.9 * first[tensor][index] + 0.1 * gradient
          second[tensor][index] = 0.999 * second[tensor][index] + 0.001 * gradient * gradient
          let mean = first[tensor][index] / (1 - pow(0.9, Double(step)))
          let square = second[tensor][index] / (1 - pow(0.999, Double(step)))
          values[tensor][index] -= rate * mean / (square.squareRoot() + 1e-8)
        }
        #expect(largestDistance(try parameters[tensor].doubles(), values[tensor]) < 1e-12)
      }
    }
    #expect(throws: TorchError.self) { try optimiser.step([], rate: 1) }
    let wrong = try shapes.map { try Tensor.zeros($0.reversed(), .float64) }
    #expect(throws: TorchError.self) { try optimiser.step(wrong, rate: 1) }
  }
}
