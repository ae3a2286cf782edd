import Results
import Testing

@Suite struct AverageTests {
  private let first = StepName(step: 1, stage: 0, block: 0, projection: false)
  private let second = StepName(step: 2, stage: 0, block: 1, projection: false)

  private func score(_ accuracy: Double, count: Int = 10) -> Score {
    Score(accuracy: accuracy, loss: 2 * accuracy, lossStd: 1, entropy: 3 * accuracy, entropyStd: 1, count: count)
  }

  @Test("Numbers are averaged place by place, of the runs that have them")
  func numbers() throws {
    let runs = [0.2, 0.4, 0.9].map { value in
      var measures = MeasureResults.Measures()
      let steps = [first, second].map { StepStatistic(name: $0, mean: value * Double($0.step), std: value, count: 10) }
      measures.l2Ratio = BySplit(train: steps, validation: steps)
      let some = value == 0.9 ? nil : score(value, count: value == 0.2 ? 4 : 7)
      let state = GroupedState(step: 1, groups: GroupScores(borderline: some, alreadyCorrect: nil, all: score(value)))
      let turn = TurnedExamples(name: second, corrected: 1, broken: 0, count: 2)
      measures.borderline = BorderlineExamples(
        margin: 0.1, reference: 1, states: BySplit(train: [state], validation: [state]),
        turns: BySplit(train: [turn], validation: [turn]))
      return measures
    }
    let mean = try #require(MeasureResults.Measures.mean(of: runs))
    let ratios = try #require(mean.l2Ratio?.validation)
    #expect(abs(ratios[0].mean - 0.5) < 1e-15 && abs(ratios[1].mean - 1) < 1e-15 && abs(ratios[1].std - 0.5) < 1e-15)
    let groups = try #require(mean.borderline?.states.train.first?.groups)
    #expect(abs(groups.all.loss - 1) < 1e-15 && groups.alreadyCorrect == nil)
    // The third run has no borderline examples; 5.5 are 6.
    #expect(abs((groups.borderline?.accuracy ?? 0) - 0.3) < 1e-15 && groups.borderline?.count == 6)
    #expect(mean.cosineLoss == nil && MeasureResults.Measures.mean(of: []) == nil)
  }

  @Test("Of scaled unrollings, whose scales runs chose for themselves, the mean scale is told")
  func scales() throws {
    func unrolling(_ scale: Double, steps: Int = 1) -> Unrolling {
      let step = UnrolledStep(
        place: 2, name: second, repetition: 1, groups: nil, cosineLoss: nil, pluggedCosineLoss: nil, l2Ratio: nil,
        distance: Statistic(mean: scale, std: 0, count: 10), turn: nil)
      let steps = BySplit(train: Array(repeating: step, count: steps), validation: [step])
      return Unrolling(
        repeated: second, times: 1, margin: 0.1, recalibrationBatches: nil, tried: [.init(scale: 1, loss: scale)],
        trajectories: [.init(scale: 1, steps: steps), .init(scale: scale, steps: steps)])
    }
    let mean = try #require(Unrolling.mean(of: [unrolling(0.1), unrolling(0.3)]))
    #expect(mean.trajectories.map(\.scale) == [1, 0.2] && mean.tried?[0].loss == 0.2)
    #expect(abs(mean.trajectories[1].steps.validation[0].distance.mean - 0.2) < 1e-15)
    #expect(Unrolling.mean(of: [unrolling(0.1), unrolling(0.3, steps: 2)]) == nil)
  }

  @Test("What is not of the same steps has no mean")
  func unlike() {
    let one = StepStatistic(name: first, mean: 1, std: 0, count: 1)
    let other = StepStatistic(name: second, mean: 1, std: 0, count: 1)
    #expect(
      [StepStatistic].mean(of: [[one], [other]]) == nil && [StepStatistic].mean(of: [[one], [one, other]]) == nil)
    #expect([StepStatistic].mean(of: [[one], [one]]) == [one])
  }
}
