import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing

@Suite struct FirstOrderTests {
  @Test("Change, term, ratio and correlation of every step equal those of differences of the loss")
  func byDifferences() throws {
    let network = try network(tiny)
    let samples = try samples(6, batch: 4)
    let measure = FirstOrder()
    try ResLensMeasures.measure([measure], on: network, samples)
    let rows = try measure.rows(of: FirstOrder.Row.self)
    #expect(rows.map(\.step) == [1, 2])
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
      let found = rows[step]
      try expectEqual(Statistic(mean: found.term, std: found.termStd, count: found.count), terms, within: 1e-7)
      try expectEqual(Statistic(mean: found.change, std: found.changeStd, count: found.count), changes, within: 1e-10)
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
    try ResLensMeasures.measure([measure], on: network, samples(8, batch: 8))
    let row = try measure.rows(of: FirstOrder.Row.self)[1]
    let (ratio, correlation) = try (#require(row.ratio), #require(row.correlation))
    #expect(abs(ratio - 1) < 1e-3 && correlation > 0.9999)
  }

  @Test("A step that changes no loss has no ratio and no correlation")
  func noChange() throws {
    let network = try network(tiny)
    for kind in ["weight", "bias"] {
      let parameter = try network.parameters.required("stages.0.1.conv2.\(kind)")
      try parameter.copy(from: parameter.scaled(by: 0))
    }
    let measure = FirstOrder()
    try ResLensMeasures.measure([measure], on: network, samples(4, batch: 4))
    let row = try measure.rows(of: FirstOrder.Row.self)[1]
    #expect(row.change == 0 && row.term == 0 && row.ratio == nil && row.correlation == nil && row.count == 4)
  }

  @Test("Steps before the last stage have no first-order term")
  func lastStage() throws {
    let measure = FirstOrder()
    try ResLensMeasures.measure([measure], on: network(twoStages), samples(4, batch: 2))
    #expect(try measure.rows(of: FirstOrder.Row.self).map(\.step) == [3, 4])
    #expect(twoStages.steps.map(\.hasIdentitySkip) == [true, true, false, true])
  }
}
