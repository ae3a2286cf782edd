import Foundation
import ResLensReports
import ResLensResults

/// A row of a made-up table: the distribution over samples of one number at one step.
struct StatisticRow: TableRow {
  var step: Int
  var mean: Double
  var std: Double
  var count: Int

  static let keys = ["step"]
  static let units = ["count": Table.Column.samples]
}

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

  /// The steps of a network with so many blocks in each stage; every stage but the first begins with a projection.
  static func steps(_ blocks: [Int]) -> [StepSpec] {
    var steps: [StepSpec] = []
    for (stage, count) in blocks.enumerated() {
      for block in 0..<count {
        steps.append(
          StepSpec(
            id: StepID(number: steps.count + 1, path: "stages.\(stage).\(block)"), stage: stage, block: block,
            input: [16, 8, 8], output: [16, 8, 8], macs: 1, hasIdentitySkip: stage == 0 || block > 0))
      }
    }
    return steps
  }

  static func lastStage(_ blocks: [Int]) -> [StepSpec] { steps(blocks).suffix(blocks[blocks.count - 1]) }

  /// The number of samples of a split.
  static func count(_ split: Split) -> Int { split == .train ? 2000 : 1000 }

  /// A row of the made-up measure `slope`.
  private struct Slope: TableRow {
    var gradient: String
    var step: Int
    var mean: Double
    var std: Double
    var count: Int

    static let keys = ["gradient", "step"]
    static let units = StatisticRow.units
  }

  /// The made-up measures that a page always shows.
  static func measures(blocks: [Int], slope: Double = -0.12, seed: Double = 0) throws -> MeasureResults {
    let (steps, last) = (steps(blocks), lastStage(blocks))
    func wave(_ step: StepSpec) -> Double { 0.12 * sin(Double(step.id.number) * 1.7 + seed) }
    func statistics(_ steps: [StepSpec], _ std: Double, _ split: Split, _ mean: (StepSpec) -> Double) -> [StatisticRow]
    {
      steps.map {
        StatisticRow(
          step: $0.id.number, mean: split == .train ? mean($0) : mean($0) * 0.93 + 0.002, std: std, count: count(split))
      }
    }
    func dropped(_ step: StepSpec, from whole: Double) -> Double {
      let loss = step.hasIdentitySkip ? 0.45 * exp(-Double(step.block) / 1.2) / Double(1 + step.stage) : 0.28
      return whole - loss + wave(step) / 50
    }
    func whole(_ split: Split) -> Double { split == .train ? 0.97 : 0.91 }
    func reached(_ step: StepSpec, _ whole: Double) -> Double {
      whole * (0.35 + 0.65 * Double(step.block + 1) / Double(last.count))
    }
    let size: (StepSpec) -> Double = { (1.6 * exp(-Double($0.block) / 1.5) + 0.15) * (1 + wave($0)) }
    let down: (StepSpec) -> Double = { slope * Double($0.id.number) / Double(steps.count) * (1 + 2 * wave($0)) }
    var results = MeasureResults(
      run: "sample", architecture: "resnet", checkpoint: "epoch-00010-step-0000000", epoch: 10, data: "cifar-10",
      provenance: .madeUp,
      samplings: Split.allCases.map {
        .init(split: $0, samples: count($0), images: "i", program: "0", date: "2026-01-01T00:00:00Z")
      }, steps: steps)
    try results.add("size", of: "size") { statistics(steps, 0.07, $0, size) }
    try results.add("without", of: "without") { split in
      steps.map { StepScore(step: $0.id.number, score(dropped($0, from: whole(split)), count: count(split))) }
    }
    try results.add("without-baseline", of: "without") { [score(whole($0), count: count($0))] }
    try results.add("slope", of: "slope") { split in
      func rows(_ gradient: String, _ statistics: [StatisticRow]) -> [Slope] {
        statistics.map { Slope(gradient: gradient, step: $0.step, mean: $0.mean, std: $0.std, count: $0.count) }
      }
      return rows("backpropagated", statistics(steps, 0.08, split, down))
        + rows("readout", statistics(last, 0.1, split) { down($0) * 1.6 })
    }
    try results.add("answer", of: "answer") { split in
      last.map { StepScore(step: $0.id.number, score(reached($0, whole(split)), count: count(split))) }
    }
    return results
  }

  static func run(
    _ name: String = "resnet-20", blocks: [Int] = [3, 3, 3], epochs: Int = 10, seed: Double = 0
  ) throws -> ReportedRun {
    ReportedRun(
      name: name,
      facts: [
        Fact("architecture", "\(name), \(blocks.map(String.init).joined(separator: " + ")) steps"),
        Fact("parameters", "272,474 (total 274,842)"), Fact("data", "CIFAR-10, 50,000 train, 10,000 validation"),
        Fact("recipe", "quick: one-cycle, peak 0.4, batch 128, weight decay 5e-4, SGD momentum 0.9"),
        Fact("seed", "0"), Fact("precision", "bf16"), Fact("device", "cpu, 2 threads"),
      ],
      epochs: self.epochs(epochs, seed: seed), measures: try measures(blocks: blocks, seed: seed))
  }
}

extension Provenance {
  /// The provenance of numbers that were not measured.
  static let madeUp = Provenance(
    weights: "w", statistics: ChannelStatistics(means: [0.5, 0.5, 0.5], deviations: [0.25, 0.25, 0.25]),
    isOwnData: true)
}

extension Report {
  /// A report with all made-up measures.
  init(title: String, runs: [ReportedRun]) { self.init(title: title, runs: runs, measures: Descriptions.all) }
}
