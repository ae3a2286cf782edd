import Foundation
import Reports
import Results

/// Made-up results of the measures beyond the five main ones, and of training.
extension Samples {
  /// A run with everything, as `run` has it and more.
  static func full(
    _ name: String = "resnet-20", blocks: [Int] = [3, 3, 3], measuredEpochs: [Int] = [1, 2, 5, 10], seed: Double = 0
  ) -> ReportedRun {
    var run = run(name, blocks: blocks, seed: seed)
    run.measures?.measures.firstOrder = firstOrder(blocks: blocks)
    run.measures?.measures.borderline = borderline(blocks: blocks)
    run.measures?.measures.unrolling = unrolling(blocks: blocks)
    run.measures?.measures.lesions = lesions(blocks: blocks)
    run.measures?.absent = [
      .init(
        measure: "cosine-loss.plugged", steps: 1...max(1, names(blocks).count - lastStage(blocks).count),
        reason: "their states do not fit the head")
    ]
    run.history = history(blocks: blocks, epochs: measuredEpochs, seed: seed)
    return run
  }

  static func lastStage(_ blocks: [Int]) -> [StepName] { names(blocks).suffix(blocks[blocks.count - 1]) }

  static func firstOrder(blocks: [Int]) -> BySplit<[FirstOrderTerm]> {
    let last = lastStage(blocks)
    func terms(_ share: Double, count: Int) -> [FirstOrderTerm] {
      last.map { name in
        let change = -0.4 * exp(-Double(name.block) / 3)
        let term = change * share * (1 - 0.3 * exp(-Double(name.block) / 2))
        return FirstOrderTerm(
          name: name, change: .init(mean: change, std: 0.3, count: count),
          term: .init(mean: term, std: 0.25, count: count),
          ratio: term / change, correlation: 0.95 - 0.1 / Double(1 + name.block))
      }
    }
    return .init(train: terms(0.9, count: 2000), validation: terms(0.8, count: 1000))
  }

  static func groups(_ borderline: Double?, _ correct: Double, _ all: Double, count: Int) -> GroupScores {
    GroupScores(
      borderline: borderline.map { score($0, count: 51) }, alreadyCorrect: score(correct, count: count * 9 / 10),
      all: score(all, count: count))
  }

  /// The share of borderline examples that are right goes from 40 % up, most of it at the first step.
  static func borderline(blocks: [Int]) -> BorderlineExamples {
    let last = lastStage(blocks)
    let reference = last[0].step - 1
    func states(_ whole: Double, count: Int) -> [GroupedState] {
      (0...last.count).map { state in
        let gain = 1 - exp(-Double(state))
        return GroupedState(
          step: reference + state,
          groups: groups(0.4 + 0.3 * gain, 1 - 0.04 * gain, whole - 0.1 + 0.1 * gain, count: count))
      }
    }
    let turns = last.map {
      TurnedExamples(
        name: $0, corrected: Int(20 * exp(-Double($0.block))), broken: Int(6 * exp(-Double($0.block))), count: 51)
    }
    return BorderlineExamples(
      margin: 0.1, reference: reference,
      states: .init(train: states(0.97, count: 2000), validation: states(0.91, count: 1000)),
      turns: .init(train: turns, validation: turns))
  }

  /// Unscaled, the loss explodes to infinity and the cosines are not numbers in the end; scaled, it falls a little.
  static func unrolling(blocks: [Int], times: Int = 10) -> Unrolling {
    let last = lastStage(blocks)
    let repeated = last[last.count - 1]
    func steps(_ scale: Double, _ whole: Double, count: Int) -> [UnrolledStep] {
      let trained = last.map { ($0, 0) }
      return (trained + (1...times).map { (repeated, $0) }).enumerated().map { index, one in
        let (name, repetition) = one
        let added = Double(repetition)
        let explodes = scale == 1 && repetition > 0
        let state = Double(index + 1) / Double(last.count)
        let accuracy =
          repetition == 0
          ? whole * (0.4 + 0.6 * state) : explodes ? max(0.1, whole - 0.2 * added) : whole + 0.001 * added
        var scores = groups(
          repetition == 0 ? 0.43 : explodes ? 0.3 : 0.43 + 0.01 * added, explodes ? max(0.1, 1 - 0.2 * added) : 1,
          accuracy,
          count: count)
        if explodes {
          scores.all.loss = repetition > times - 2 ? .infinity : 0.3 * exp(3 * added)
          scores.borderline?.loss = 0.7 * exp(2 * added)
          scores.alreadyCorrect?.loss = 0.01 * exp(3 * added)
        }
        func statistic(_ mean: Double, _ std: Double) -> Statistic { .init(mean: mean, std: std, count: count) }
        let cosine = explodes ? (repetition > times - 2 ? .nan : -0.1 + 0.06 * added) : -0.12 * exp(-added / 20)
        return UnrolledStep(
          place: repeated.step - last.count + index + 1, name: name, repetition: repetition, groups: scores,
          cosineLoss: statistic(cosine, 0.05), pluggedCosineLoss: repetition == 3 ? nil : statistic(cosine * 1.2, 0.06),
          l2Ratio: statistic(explodes ? 0.3 * exp(added) : 0.2 * exp(-added / 10), 0.02),
          distance: statistic(explodes ? 8 * exp(2 * added) : 6 * exp(-added / 5), 0.5),
          turn: index == 0 ? nil : statistic(explodes ? 0.99 : 0.6 * exp(-added / 4), 0.1))
      }
    }
    return Unrolling(
      repeated: repeated, times: times, margin: 0.1, recalibrationBatches: 16,
      tried: [0.1, 0.3, 1].map { .init(scale: $0, loss: $0 == 1 ? .infinity : 0.02 + 0.1 * abs($0 - 0.3)) },
      trajectories: [1, 0.3].map { scale in
        .init(
          scale: scale,
          steps: .init(train: steps(scale, 0.97, count: 2000), validation: steps(scale, 0.91, count: 1000)))
      })
  }

  static func lesions(blocks: [Int], factors: [Double] = [0, 0.5, 0.8, 1.25, 1.5, 2]) -> Lesions {
    let movable = names(blocks).filter { !$0.projection }
    func random(_ size: Int, _ growth: Double) -> Lesions.RandomLesion {
      let error = 0.9 - 0.81 * exp(-growth * Double(size))
      let trials = (0..<5).map { trial in
        Lesions.Trial(seed: trial, order: movable.map(\.step), score: score(1 - error, count: 1000))
      }
      return .init(size: size, error: .init(mean: error, std: 0.04, count: 5), trials: trials)
    }
    let sizes = Array(1...max(1, movable.count / 2))
    return Lesions(
      baseline: score(0.91, count: 1000), dropped: sizes.map { random($0, 0.15) },
      shuffled: sizes.map { random($0, 0.08) },
      swapped: zip(movable, movable.dropFirst()).filter { $0.stage == $1.stage }.map {
        .init(first: $0, second: $1, score: score(0.9 - 0.2 * exp(-Double($0.block)), count: 1000))
      },
      scaled: movable.flatMap { name in
        factors.map { factor in
          .init(
            name: name, factor: factor,
            score: score(0.91 - 0.3 * abs(factor - 1) * exp(-Double(name.block) / 2), count: 1000))
        }
      })
  }

  static func history(blocks: [Int], epochs: [Int], seed: Double = 0) -> [MeasureResults] {
    epochs.map { epoch in
      let progress = 1 - exp(-Double(epoch) / Double(max(1, epochs[epochs.count - 1])) * 3)
      var results = measures(blocks: blocks, cosine: -0.15 * progress + 0.03, seed: seed)
      results.epoch = epoch
      for step in (results.measures.l2Ratio?.validation ?? []).indices {
        results.measures.l2Ratio?.validation[step].mean *= 0.3 + progress
      }
      for step in (results.measures.intermediate?.validation ?? []).indices {
        results.measures.intermediate?.validation[step].score.accuracy *= 0.2 + 0.8 * progress
      }
      results.measures.firstOrder = firstOrder(blocks: blocks)
      for step in (results.measures.firstOrder?.validation ?? []).indices {
        results.measures.firstOrder?.validation[step].ratio = epoch == epochs[0] ? nil : 0.2 + progress
      }
      return results
    }
  }
}
