import Foundation
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensTorch
import TestSupport
import Testing

/// h' = h + W·h with a 1×1 convolution, so that the Jacobian is 1 + W at every pixel.
private struct LinearBlock: Block {
  static let kind = "times-matrix"
  let steps: [any ResidualStep]

  init(_ context: BlockContext) throws {
    steps = try context.steps { scope in
      let convolution = try scope.convolution(
        "conv", of: scope.input, outputs: context.width, kernel: 1, hasBias: false)
      return try RecordedStep(scope, output: convolution.output) { h in try convolution(h) }
    }
  }
}

@Suite struct SpectralRadiusTests {
  /// A rotation times 1.2, a diagonal, a matrix that is not normal, and one whose square is 0.
  private static let matrices: [(matrix: [Double], radius: Double)] = [
    ([1.2 * cos(0.7), -1.2 * sin(0.7), 1.2 * sin(0.7), 1.2 * cos(0.7)], 1.2), ([0.5, 0, 0, -0.95], 0.95),
    ([0.9, 3, 0, 0.5], 0.9), ([0, 4, 0, 0], 0),
  ]

  @Test(
    "Linear steps have the radius of their matrix, also where its largest eigenvalues are a complex pair",
    arguments: matrices)
  func linear(matrix: [Double], radius: Double) throws {
    try BlockKinds.register(LinearBlock.self)
    let architecture = try Architecture(
      name: "linear", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
      stages: [.init(width: 2, blocks: 1, entry: .none, kind: "times-matrix")], head: .init(pooling: 2))
    let network = try network(architecture)
    let branch = zip(matrix, [1.0, 0, 0, 1]).map { $0 - $1 }
    try network.parameters.required("stages.0.0.conv.weight").copy(from: Tensor(branch, shape: [2, 2, 1, 1]))
    let measure = SpectralRadius(samples: 5)
    try ResLensMeasures.measure([measure], on: network, samples(7, batch: 3, of: architecture))
    let found = try #require(measure.rows(of: StepStatistic.self).first)
    #expect(found.statistic.count == 5)
    #expect(abs(found.mean - radius) < 1e-2 && found.statistic.std < 1e-9)
  }

  @Test(
    "The radius is that of the power iteration with the Jacobian by differences", arguments: [tiny, twoStages, pooled])
  func byDifferences(architecture: Architecture) throws {
    let network = try network(architecture)
    let samples = try samples(4, batch: 3, of: architecture)
    let measure = SpectralRadius(samples: 4)
    try ResLensMeasures.measure([measure], on: network, samples)
    let found = try measure.rows(of: StepStatistic.self)
    let steps = architecture.steps.filter(\.hasIdentitySkip)
    #expect(found.map(\.step) == steps.map(\.id.number))
    for (row, spec) in zip(found, steps) {
      let place = network.plan.stepPlaces[spec.id.number - 1]
      let radii = try (0..<4).map { index in
        let sample = try SingleSample(network, samples, index)
        let h = try sample.run(network.plan.moves.prefix(place), sample.h0)
        func output(_ values: [Double]) throws -> [Double] {
          try sample.run([network.plan.moves[place]], Tensor(values, shape: h.shape)).doubles()
        }
        let values = try h.doubles()
        // The columns of the Jacobian.
        let columns = try values.indices.map { element in
          var (up, down) = (values, values)
          up[element] += 1e-6
          down[element] -= 1e-6
          return try zip(output(up), output(down)).map { ($0 - $1) / 2e-6 }
        }
        let stream = RandomStream(seed: 0, name: "spectral-radius").stream(spec.id.number)
        var vector = values.indices.map { 2 * stream.uniform($0) - 1 }
        var logarithm = 0.0
        for iteration in 0..<50 {
          let length = norm(vector)
          let next = columns.map { dot($0, vector) / length }
          if iteration >= 30 { logarithm += log(norm(next)) }
          vector = next
        }
        return exp(logarithm / 20)
      }
      try expectEqual(row.statistic, radii, within: 1e-5, "step \(row.step)")
    }
  }

  @Test("Fewer samples than one are refused, and a pass without kept tapes has no Jacobians")
  func refusals() throws {
    var options = MeasureOptions(names: ["spectral-radius"])
    options.spectralSamples = 0
    #expect {
      try SpectralRadius(MeasureContext(tiny, options))
    } throws: { ($0 as? MeasureError)?.option == "spectral-samples" }
    let network = try network(tiny)
    let images = try samples(2, batch: 2).maker.batch(samples(2, batch: 2).set, 0..<2).images
    let pass = try Pass(network, images: images, mode: .running, wants: .added)
    let gradient = try Tensor([Double](repeating: 1, count: 4), shape: [2, 2])
    #expect(throws: PassError.notKept) {
      try pass.backward(gradient, into: nil) { step in _ = try step.timesJacobian(step.output) }
    }
  }
}
