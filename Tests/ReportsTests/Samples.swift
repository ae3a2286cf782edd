import Foundation
import Reports
import Results

/// Made-up but plausible results.
enum Samples {
  static func epochs(_ count: Int, seed: Double = 0) -> [EpochRecord] {
    (1...count).map { epoch in
      let progress = Double(epoch) / Double(count)
      let noise = 0.03 * sin(Double(epoch) * 12.9 + seed)
      let error = 0.58 * exp(-3.4 * progress) + 0.02
      return EpochRecord(
        epoch: epoch, learningRate: progress < 0.5 ? 0.1 : progress < 0.75 ? 0.01 : 0.001,
        trainLoss: 2.6 * error * (1 + noise / 2), trainError: error * (1 + noise / 2),
        validationLoss: 2 * error + 0.2 + noise, validationError: error + 0.05 + noise * 0.6,
        imagesPerSecond: 812.4, seconds: 61.2)
    }
  }

  static func score(_ accuracy: Double, count: Int) -> Score {
    Score(
      accuracy: accuracy, loss: 2.2 * (1 - accuracy) + 0.02, lossStd: 1.1, entropy: 1.1 - accuracy, entropyStd: 0.4,
      count: count)
  }

  static func names(_ blocks: [Int], projections: Bool = true) -> [StepName] {
    blocks.enumerated().flatMap { stage, count in
      (0..<count).map { ($0, stage) }.map { block, stage in
        StepName(
          step: blocks[..<stage].reduce(0, +) + block + 1, stage: stage, block: block,
          projection: projections && block == 0 && stage > 0)
      }
    }
  }

  static func measures(blocks: [Int], projections: Bool = true, cosine: Double = -0.12, seed: Double = 0)
    -> MeasureResults
  {
    let names = names(blocks, projections: projections)
    let steps = names.count
    func wave(_ name: StepName) -> Double { 0.12 * sin(Double(name.step) * 1.7 + seed) }
    func statistics(_ names: [StepName], _ std: Double, _ mean: (StepName) -> Double) -> BySplit<[StepStatistic]> {
      let train = names.map { StepStatistic(name: $0, mean: mean($0), std: std, count: 2000) }
      return BySplit(
        train: train,
        validation: train.map { StepStatistic(name: $0.name, mean: $0.mean * 0.93 + 0.002, std: std, count: 1000) })
    }
    func dropped(_ name: StepName, from whole: Double) -> Double {
      whole - (name.projection ? 0.28 : 0.45 * exp(-Double(name.block) / 1.2) / Double(1 + name.stage)) + wave(name)
        / 50
    }
    let last = names.filter { $0.stage == blocks.count - 1 }
    func reached(_ name: StepName, _ whole: Double) -> Double {
      whole * (0.35 + 0.65 * Double(name.block + 1) / Double(last.count))
    }
    let ratio: (StepName) -> Double = { (1.6 * exp(-Double($0.block) / 1.5) + 0.15) * (1 + wave($0)) }
    let slope: (StepName) -> Double = { cosine * Double($0.step) / Double(steps) * (1 + 2 * wave($0)) }
    var measures = MeasureResults.Measures()
    measures.cosineLoss = .init(
      backpropagated: statistics(names, 0.08, slope), plugged: statistics(last, 0.1) { slope($0) * 1.6 })
    measures.l2Ratio = statistics(names, 0.07, ratio)
    measures.droppedStep = .init(
      train: names.map { StepScore(name: $0, score: score(dropped($0, from: 0.97), count: 2000)) },
      validation: names.map { StepScore(name: $0, score: score(dropped($0, from: 0.91), count: 1000)) },
      baseline: .init(train: score(0.97, count: 2000), validation: score(0.91, count: 1000)))
    measures.intermediate = .init(
      train: last.map { StepScore(name: $0, score: score(reached($0, 0.97), count: 2000)) },
      validation: last.map { StepScore(name: $0, score: score(reached($0, 0.91), count: 1000)) })
    return MeasureResults(
      run: "sample", architecture: "resnet", checkpoint: "epoch-00010-step-0000000", epoch: 10, data: "cifar-10",
      samples: .init(train: 2000, validation: 1000), steps: steps, provenance: .madeUp, measures: measures, absent: [])
  }

  static func run(
    _ name: String = "resnet-20", blocks: [Int] = [3, 3, 3], epochs: Int = 10, seed: Double = 0
  ) -> ReportedRun {
    ReportedRun(
      name: name,
      facts: [
        Fact("architecture", "\(name), \(blocks.map(String.init).joined(separator: " + ")) steps"),
        Fact("parameters", "272,474 (total 274,842)"), Fact("data", "CIFAR-10, 50,000 train, 10,000 validation"),
        Fact("recipe", "quick: one-cycle, peak 0.4, batch 128, weight decay 5e-4, SGD momentum 0.9"),
        Fact("seed", "0"), Fact("precision", "bf16"), Fact("device", "cpu, 2 threads"),
      ],
      epochs: self.epochs(epochs, seed: seed), measures: measures(blocks: blocks, seed: seed))
  }
}

extension Provenance {
  /// That of numbers which were not measured.
  static let madeUp = Provenance(
    weights: "w", images: BySplit(train: "t", validation: "v"),
    statistics: ChannelStatistics(means: [0.5, 0.5, 0.5], deviations: [0.25, 0.25, 0.25]), isOwnData: true,
    program: "0",
    date: "2026-01-01T00:00:00Z")
}
