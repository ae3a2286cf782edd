import ResLensResults
import Testing

@Suite struct EstimateTests {
  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  /// The standard error of a mean from the samples themselves: s / √n with n − 1 below.
  private func error(_ values: [Double]) -> Double {
    let mean = mean(values)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)
    return (variance / Double(values.count)).squareRoot()
  }

  @Test("The standard error of a mean is that of its samples")
  func statistic() throws {
    let values = [0.3, -1.2, 2.5, 0.1, 0.9]
    var moments = Moments()
    for value in values { moments.add(value) }
    let estimate = try #require(moments.statistic).estimate
    #expect(abs(estimate.value - mean(values)) < 1e-15 && abs(estimate.standardError - error(values)) < 1e-15)
    #expect(abs(estimate.margin - 2 * error(values)) < 1e-15)
    #expect(Statistic(mean: 1, std: 0, count: 1).estimate.isAbove(0) == nil)
  }

  @Test("A share's standard error is that of samples that are 0 or 1")
  func share() {
    let values = [1.0, 0, 0, 1, 1, 1, 0]
    let estimate = Estimate(share: mean(values), of: values.count)
    #expect(abs(estimate.standardError - error(values)) < 1e-15)
  }

  @Test("A change's standard error comes from the samples that flip each way")
  func flips() {
    let values: [Double] =
      Array(repeating: 1, count: 5) + Array(repeating: -1, count: 2) + Array(repeating: 0, count: 13)
    let estimate = Estimate(gained: 5, lost: 2, of: 20)
    #expect(abs(estimate.value - mean(values)) < 1e-15 && abs(estimate.standardError - error(values)) < 1e-15)
  }

  @Test("A change of a score is the mean difference of each sample, with its error")
  func changes() throws {
    var sum = ScoreChangeSum()
    let (losses, entropies) = ([0.5, -0.25, 0.125, -2], [0.1, 0.2, 0.3, -0.4])
    sum.add(
      losses: losses, entropies: entropies, wasRight: [true, false, false, true], isRight: [false, true, true, true],
      counted: [true, true, false, true])
    let change = try #require(sum.change)
    let (counted, entropy) = ([0.5, -0.25, -2], [0.1, 0.2, -0.4])
    #expect(change.becameRight == 1 && change.becameWrong == 1 && change.count == 3)
    #expect(abs(change.lossEstimate.value - mean(counted)) < 1e-15)
    #expect(abs(change.lossEstimate.standardError - error(counted)) < 1e-15)
    #expect(abs(change.entropyEstimate.value - mean(entropy)) < 1e-15)
    #expect(abs(change.entropyEstimate.standardError - error(entropy)) < 1e-15)
    #expect(change.accuracyEstimate.value == 0 && ScoreChangeSum().change == nil)
  }

  @Test("A number is above or below a bound where two standard errors do not reach it")
  func bounds() {
    let estimate = Estimate(1, sampleError: 0.25)
    #expect(estimate.isAbove(0.49) == true && estimate.isAbove(0.51) == nil && estimate.isAbove(1.51) == false)
    #expect(estimate.isBelow(1.51) == true && estimate.isBelow(1.49) == nil && estimate.isBelow(0.49) == false)
    // Without an error the number itself decides.
    #expect(Estimate(1).isAbove(1) == false && Estimate(1).isBelow(1) == false && Estimate(1).isAbove(0.99) == true)
    #expect(Estimate(.nan).isAbove(0) == nil && Estimate(.nan).isBelow(0) == nil)
  }

  @Test("Over seeds the spread is added, and the error over the same samples stays")
  func seeds() throws {
    let seeds = [Estimate(1, sampleError: 0.1), Estimate(2, sampleError: 0.3), Estimate(6, sampleError: 0.2)]
    let all = try #require(Estimate(overSeeds: seeds))
    #expect(all.value == 3 && all.runs == 3 && abs(all.sampleError - 0.2) < 1e-15)
    #expect(abs((all.spread ?? 0) - 7.0.squareRoot()) < 1e-15 && abs(all.seedError - error([1, 2, 6])) < 1e-15)
    #expect(abs(all.standardError - (0.04 + 7.0 / 3).squareRoot()) < 1e-15)
    #expect(Estimate(overSeeds: [seeds[0]]) == seeds[0] && Estimate(overSeeds: []) == nil)
  }

  @Test("The errors of a difference, a multiple and a mean over steps follow from the parts")
  func arithmetic() throws {
    let (a, b) = (
      Estimate(5, sampleError: 0.3, runs: 4, spread: 0.8), Estimate(2, sampleError: 0.4, runs: 2, spread: 0.6)
    )
    let difference = a - b
    #expect(difference.value == 3 && abs(difference.sampleError - 0.5) < 1e-15)
    #expect(abs(difference.seedError - (0.16 + 0.18).squareRoot()) < 1e-15)
    let multiple = -2 * a
    #expect(multiple.value == -10 && multiple.sampleError == 0.6 && multiple.spread == 1.6 && multiple.runs == 4)
    let mean = try #require(Estimate(overSteps: [a, b]))
    #expect(mean.value == 3.5 && abs(mean.sampleError - 0.35) < 1e-15 && mean.runs == 2)
    #expect(abs((mean.spread ?? 0) - 0.7) < 1e-15 && Estimate(overSteps: []) == nil)
  }
}
