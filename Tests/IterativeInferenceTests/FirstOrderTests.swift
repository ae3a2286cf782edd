import IterativeInference
import ResidualNetworks
import Results
import TestSupport
import Testing

@Suite struct FirstOrderTests {
  @Test("Change, term, ratio and correlation of every step equal those of differences of the loss")
  func byDifferences() throws {
    let network = try network(tiny)
    let samples = try samples(6, batch: 4)
    let measure = FirstOrder()
    try IterativeInference.measure([measure], on: network, samples)
    #expect(measure.result.map(\.name.step) == [1, 2])
    for step in 0..<2 {
      var (terms, changes) = ([Double](), [Double]())
      for index in 0..<6 {
        let sample = try SingleSample(network, samples, index)
        let h = try sample.run(network.plan.moves[..<step], sample.h0)
        let next = try sample.run(network.plan.moves[step...step], h)
        let residual = try zip(next.doubles(), h.doubles()).map { $0 - $1 }
        terms.append(dot(residual, try sample.slope(h, sample.loss)))
        changes.append(try sample.loss(next) - sample.loss(h))
      }
      let found = measure.result[step]
      try expectEqual(found.term, terms, within: 1e-7)
      try expectEqual(found.change, changes, within: 1e-10)
      let (term, change) = (moments(terms), moments(changes))
      let covariance = zip(terms, changes).reduce(0) { $0 + ($1.0 - term.mean) * ($1.1 - change.mean) } / 6
      let (ratio, correlation) = try (#require(found.ratio), #require(found.correlation))
      #expect(abs(ratio - term.mean / change.mean) < 1e-5)
      #expect(abs(correlation - covariance / (term.deviation * change.deviation)) < 1e-5)
    }
  }

  @Test("Where a step adds next to nothing, the first order tells its whole change")
  func smallSteps() throws {
    let network = try network(tiny)
    for kind in ["weight", "bias"] {
      let parameter = try network.parameters.required("stages.0.1.conv2.\(kind)")
      try parameter.copy(from: parameter.scaled(by: 1e-5))
    }
    let measure = FirstOrder()
    try IterativeInference.measure([measure], on: network, samples(8, batch: 8))
    let (ratio, correlation) = try (#require(measure.result[1].ratio), #require(measure.result[1].correlation))
    #expect(abs(ratio - 1) < 1e-3 && correlation > 0.9999)
  }

  @Test("Steps before the last stage have no first-order term")
  func lastStage() throws {
    let measure = FirstOrder()
    try IterativeInference.measure([measure], on: network(twoStages), samples(4, batch: 2))
    #expect(measure.result.map(\.name.step) == [3, 4])
    #expect(measure.result.map(\.name.projection) == [true, false])
  }
}
