import Foundation
import ResLensReports
import ResLensResults

/// Made-up results of the measures that are not always shown, and of training.
extension Samples {
  /// A run with everything that `run` has, and more.
  static func full(
    _ name: String = "resnet-20", blocks: [Int] = [3, 3, 3], measuredEpochs: [Int] = [1, 2, 5, 10], seed: Double = 0
  ) throws -> ReportedRun {
    var run = try run(name, blocks: blocks, seed: seed)
    try run.changeMeasures { results in
      try addExpansion(to: &results, blocks)
      try addBorderline(to: &results, blocks)
      try addUnrolling(to: &results, blocks)
      try addLesions(to: &results, blocks)
      results.absent = [
        .init(
          measure: "slope", view: "slope-readout", steps: 1...max(1, steps(blocks).count - lastStage(blocks).count),
          reason: "their states do not fit the readout")
      ]
    }
    run.history = try history(blocks: blocks, epochs: measuredEpochs, seed: seed)
    return run
  }

  static func addExpansion(to results: inout MeasureResults, _ blocks: [Int]) throws {
    try results.add(
      "expansion", of: "expansion", keys: ["step"],
      values: ["change", "change_std", "term", "term_std", "ratio", "correlation", "count"]
    ) { split in
      lastStage(blocks).map { step in
        let change = -0.4 * exp(-Double(step.block) / 3)
        let term = change * (split == .train ? 0.9 : 0.8) * (1 - 0.3 * exp(-Double(step.block) / 2))
        return [
          .number(Double(step.id.number)), .number(change), 0.3, .number(term), 0.25, .number(term / change),
          .number(0.95 - 0.1 / Double(1 + step.block)), .number(Double(count(split))),
        ]
      }
    }
  }

  private static let scoreColumns = ["accuracy", "loss", "loss_std", "entropy", "entropy_std", "count"]

  /// The scores of the three groups of examples, by the groups' names.
  private static func groups(
    borderline: Double, correct: Double, all: Double, _ split: Split
  ) -> [(name: String, score: Score)] {
    [
      ("borderline", score(borderline, count: 51)), ("already-correct", score(correct, count: count(split) * 9 / 10)),
      ("all", score(all, count: count(split))),
    ]
  }

  /// The share of borderline examples that are right goes from 40 % up, most of it at the first step.
  static func addBorderline(to results: inout MeasureResults, _ blocks: [Int]) throws {
    let last = lastStage(blocks)
    let reference = last[0].id.number - 1
    let parameters: [String: Cell] = ["margin": 0.1, "reference": .number(Double(reference))]
    try results.add(
      "borderline", of: "borderline", keys: ["step", "group"], values: scoreColumns, parameters: parameters
    ) { split in
      (0...last.count).flatMap { state in
        let gain = 1 - exp(-Double(state))
        return groups(
          borderline: 0.4 + 0.3 * gain, correct: 1 - 0.04 * gain,
          all: (split == .train ? 0.97 : 0.91) - 0.1 + 0.1 * gain, split
        ).map { [.number(Double(reference + state)), .text($0.name)] + $0.score.cells }
      }
    }
    try results.add(
      "borderline-flips", of: "borderline", keys: ["step"], values: ["corrected", "broken", "count"],
      parameters: parameters
    ) { _ in
      last.map { step in
        let share = exp(-Double(step.block))
        return [
          .number(Double(step.id.number)), .number((20 * share).rounded(.down)), .number((6 * share).rounded(.down)),
          51,
        ]
      }
    }
  }

  /// Unscaled, the loss explodes to infinity and the cosines are not numbers in the end; scaled, it falls a little.
  static func addUnrolling(to results: inout MeasureResults, _ blocks: [Int], times: Int = 10) throws {
    let last = lastStage(blocks)
    let repeated = last[last.count - 1].id.number
    let parameters: [String: Cell] = [
      "step": .number(Double(repeated)), "times": .number(Double(times)), "margin": 0.1, "recalibration_batches": 16,
    ]
    /// The steps of the unrolled network along one way.
    func places(_ scale: Double) -> [(cells: [Cell], index: Int, added: Double, explodes: Bool)] {
      let steps = last.map { $0.id.number } + Array(repeating: repeated, count: times)
      return steps.enumerated().map { index, step in
        let added = max(0, index + 1 - last.count)
        let cells: [Cell] = [.number(Double(step)), .number(Double(added)), .number(scale)]
        return (cells, index, Double(added), scale == 1 && added > 0)
      }
    }
    func keys(_ way: String, _ index: Int, _ part: String) -> [Cell] {
      [.text(way), .number(Double(repeated - last.count + index + 1)), .text(part)]
    }
    let ways = [("unscaled", 1.0), ("scaled", 0.3)]
    try results.add(
      "unrolling", of: "unrolling", keys: ["way", "place", "group"],
      values: ["step", "repetition", "scale"] + scoreColumns, parameters: parameters
    ) { split in
      let whole = split == .train ? 0.97 : 0.91
      var rows: [[Cell]] = []
      for (way, scale) in ways {
        for place in places(scale) {
          let added = place.added
          let state = Double(place.index + 1) / Double(last.count)
          var (borderline, correct, all) = (0.43 + 0.01 * added, 1.0, whole + 0.001 * added)
          if added == 0 { all = whole * (0.4 + 0.6 * state) }
          if place.explodes {
            (borderline, correct, all) = (0.3, max(0.1, 1 - 0.2 * added), max(0.1, whole - 0.2 * added))
          }
          let losses: [String: Double] = [
            "all": added > Double(times - 2) ? .infinity : 0.3 * exp(3 * added), "borderline": 0.7 * exp(2 * added),
            "already-correct": 0.01 * exp(3 * added),
          ]
          for (name, trained) in groups(borderline: borderline, correct: correct, all: all, split) {
            var score = trained
            if place.explodes { score.loss = losses[name] ?? .nan }
            rows.append(keys(way, place.index, name) + place.cells + score.cells)
          }
        }
      }
      return rows
    }
    try results.add(
      "unrolling-steps", of: "unrolling", keys: ["way", "place", "quantity"],
      values: ["step", "repetition", "scale", "mean", "std", "count"], parameters: parameters
    ) { split in
      var rows: [[Cell]] = []
      for (way, scale) in ways {
        for place in places(scale) {
          let (added, explodes) = (place.added, place.explodes)
          let cosine = explodes ? (added > Double(times - 2) ? .nan : -0.1 + 0.06 * added) : -0.12 * exp(-added / 20)
          let quantities: [(String, Double?, Double)] = [
            ("cosine", cosine, 0.05), ("cosine_readout", added == 3 ? nil : cosine * 1.2, 0.06),
            ("ratio", explodes ? 0.3 * exp(added) : 0.2 * exp(-added / 10), 0.02),
            ("distance", explodes ? 8 * exp(2 * added) : 6 * exp(-added / 5), 0.5),
            ("update_cosine", place.index == 0 ? nil : explodes ? 0.99 : 0.6 * exp(-added / 4), 0.1),
          ]
          for (name, mean, std) in quantities {
            guard let mean else { continue }
            let numbers: [Cell] = [.number(mean), .number(std), .number(Double(count(split)))]
            rows.append(keys(way, place.index, name) + place.cells + numbers)
          }
        }
      }
      return rows
    }
    try results.add(
      "unrolling-scales", of: "unrolling", splits: [.train], keys: ["scale"], values: ["loss"], parameters: parameters
    ) { _ in
      [0.1, 0.3, 1].map { [.number($0), .number($0 == 1 ? .infinity : 0.02 + 0.1 * abs($0 - 0.3))] }
    }
  }

  static func addLesions(
    to results: inout MeasureResults, _ blocks: [Int], factors: [Double] = [0, 0.5, 0.8, 1.25, 1.5, 2]
  ) throws {
    results.tables.removeAll { $0.measure == "lesions" }
    let movable = steps(blocks).filter(\.hasIdentitySkip)
    func add(_ name: String, keys: [String], values: [String] = scoreColumns, _ rows: [[Cell]]) throws {
      try results.add(name, of: "lesions", splits: [.validation], keys: keys, values: values) { _ in rows }
    }
    try add("lesions-whole", keys: [], [score(0.91, count: 1000).cells])
    var random: [[Cell]] = []
    for (kind, growth) in [("dropped", 0.15), ("shuffled", 0.08)] {
      for size in 1...max(1, movable.count / 2) {
        let error = 0.9 - 0.81 * exp(-growth * Double(size))
        random.append([.text(kind), .number(Double(size)), .number(error), 0.04, 5])
      }
    }
    try add("lesions-random", keys: ["kind", "size"], values: ["error", "error_std", "draws"], random)
    try add(
      "lesions-swapped", keys: ["first", "second"],
      zip(movable, movable.dropFirst()).filter { $0.stage == $1.stage }.map { first, second in
        [.number(Double(first.id.number)), .number(Double(second.id.number))]
          + score(0.9 - 0.2 * exp(-Double(first.block)), count: 1000).cells
      })
    try add(
      "lesions-scaled", keys: ["step", "factor"],
      movable.flatMap { step in
        factors.map { factor in
          [.number(Double(step.id.number)), .number(factor)]
            + score(0.91 - 0.3 * abs(factor - 1) * exp(-Double(step.block) / 2), count: 1000).cells
        }
      })
  }

  static func history(blocks: [Int], epochs: [Int], seed: Double = 0) throws -> [MeasureResults] {
    try epochs.map { epoch in
      let progress = 1 - exp(-Double(epoch) / Double(max(1, epochs[epochs.count - 1])) * 3)
      var results = try measures(blocks: blocks, slope: -0.15 * progress + 0.03, seed: seed)
      results.epoch = epoch
      try results.change("size", "mean", where: ["split": "validation"]) { .number($0 * (0.3 + progress)) }
      try results.change("answer", "accuracy", where: ["split": "validation"]) { .number($0 * (0.2 + 0.8 * progress)) }
      try addExpansion(to: &results, blocks)
      try results.change("expansion", "ratio", where: ["split": "validation"]) { _ in
        epoch == epochs[0] ? .missing : .number(0.2 + progress)
      }
      return results
    }
  }

  /// The norms of a network whose states grow by `growth` at each step.
  static func norms(
    _ growth: Double, epoch: Int, ratio: Double = 4, batchNorm: BatchNormStatistics = .batch
  ) throws -> MeasureResults {
    var results = try measures(blocks: [3, 3, 3])
    (results.epoch, results.batchNorm, results.tables) = (epoch, batchNorm, [])
    try results.addNorms(growth, ratio: ratio)
    return results
  }
}

extension MeasureResults {
  /// Adds the norms of a network whose states grow by `growth` at each step.
  mutating func addNorms(_ growth: Double, ratio: Double = 4) throws {
    let numbers = steps.map(\.id.number)
    try add("activation-norm", of: "activation-norm") { _ in
      ([0] + numbers).map { StatisticRow(step: $0, mean: 10 * pow(growth, Double($0)), std: 1, count: 50) }
    }
    try add("gradient-norm", of: "gradient-norm") { _ in
      numbers.map { StatisticRow(step: $0, mean: pow(growth, Double(-$0)), std: 1, count: 50) }
    }
    try add("gradient-norm-ratio", of: "gradient-norm") { _ in [Statistic(mean: ratio, std: 0.5, count: 50)] }
  }
}

extension Score {
  /// The cells of the score's columns.
  fileprivate var cells: [Cell] {
    [accuracy, loss, lossStd, entropy, entropyStd, Double(count)].map { .number($0) }
  }
}
