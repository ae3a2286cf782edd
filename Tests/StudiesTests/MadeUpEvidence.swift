import ResLensMeasures
import ResLensResults
import ResLensStudies
import TestSupport

/// Made-up numbers of networks of twelve steps in three stages: as the paper has it, or the contrary.
struct MadeUpEvidence {
  let agrees: Bool
  /// Whether the numbers vary so much, over samples and over seeds, that nothing follows from them.
  var isNoisy = false
  var seeds = 2
  /// Whether the networks do better than guessing.
  var haveLearnt = true

  private var count: Int { isNoisy ? 2 : 10_000 }

  static let steps = 12
  private static let stage = 4
  private static let all = 1...steps

  func evidence(for study: Study) throws -> Evidence {
    var models = study.models
    if models == ["resnet-110-ablation"] {
      models =
        ["", "+statistics", "+affine", "+gamma", "+statistics+affine", "+statistics+gamma", "+affine+gamma"]
        .map { "resnet-110-shared" + $0 } + ["resnet-110-ubn"]
    }
    return Evidence(
      subjects: try study.data.flatMap { data in
        try models.map { model in
          try Evidence.Subject(
            model: model, data: data, architecture: model, parameters: 1, classes: 10, validationSamples: 10_000,
            runs: (0..<seeds).map { try run(model, study, seed: $0) },
            measures: Array(repeating: measures(of: model), count: seeds))
        }
      })
  }

  private func isShallow(_ model: String) -> Bool { ["single-representation", "avg-pooling"].contains(model) }

  private func steps(of model: String) -> [StepSpec] {
    Self.all.map { step in
      let (stage, block) = ((step - 1) / Self.stage, (step - 1) % Self.stage)
      return StepSpec(
        id: StepID(number: step, path: "stages.\(stage).\(block)"), stage: stage, block: block, input: [16, 8, 8],
        output: [16, 8, 8], macs: 1, hasIdentitySkip: isShallow(model) || step == 1 || block > 0)
    }
  }

  private func statistic(_ mean: Double) -> Statistic {
    Statistic(mean: mean, std: isNoisy ? 1e6 : 0.1, count: count)
  }

  private func statistics(_ value: (Int) -> Double) -> [StepStatistic] {
    Self.all.map { StepStatistic(step: $0, statistic(value($0))) }
  }

  private func score(_ accuracy: Double, loss: Double = 0.5, entropy: Double = 0.5) -> Score {
    Score(accuracy: accuracy, loss: loss, lossStd: 0.1, entropy: entropy, entropyStd: 0.1, count: count)
  }

  /// A change of the accuracy, the loss and the entropy.
  private func change(_ accuracy: Double, loss: Double = 0, entropy: Double = 0) -> ScoreChange {
    let (gained, lost) = flips(accuracy)
    let std = statistic(0).std
    return ScoreChange(
      becameRight: gained, becameWrong: lost, loss: loss, lossStd: std, entropy: entropy, entropyStd: std, count: count)
  }

  /// The samples that flip each way where the accuracy changes by a share.
  private func flips(_ change: Double) -> (gained: Int, lost: Int) {
    // One each way of two samples leaves everything open.
    guard !isNoisy else { return (1, 1) }
    let samples = Int((change * Double(count)).rounded())
    return (max(samples, 0) + 4, max(-samples, 0) + 4)
  }

  // MARK: trained networks

  private func cosine(_ step: Int) -> Double {
    let along = Double(step) / Double(Self.steps)
    return agrees ? -0.02 - 0.1 * along : 0.05 + 0.1 * along
  }

  private func ratio(_ step: Int, _ model: String) -> Double {
    if isShallow(model) { return agrees ? (step == 1 ? 2 : 0.3 / Double(step)) : 0.6 + 0.1 * Double(step) }
    return agrees ? 0.2 : 1.5
  }

  private func withoutStep(_ step: Int, _ model: String) -> Double {
    if isShallow(model) { return agrees ? (step == 1 ? 0.2 : 0.88) : (step == 1 ? 0.85 : 0.5) }
    return agrees ? 0.86 : 0.4
  }

  func measures(of model: String) throws -> MeasuredTables {
    var tables = MeasuredTables(steps: steps(of: model))
    try addCosines(to: &tables, byReadout: 1)
    try tables.add("l2-ratio", statistics { ratio($0, model) })
    try tables.add(
      "dropped-step",
      Self.all.map { step in
        let (right, wrong) = flips(withoutStep(step, model) - 0.9)
        return WithoutStep(step: step, score: score(withoutStep(step, model)), becameRight: right, becameWrong: wrong)
      })
    try tables.add("dropped-step-baseline", of: "dropped-step", [score(0.9)])
    try addBorderline(to: &tables)
    try addUnrolling(to: &tables)
    return tables
  }

  /// - Parameter byReadout: the factor of the cosines with the readout's gradient
  private func addCosines(to tables: inout MeasuredTables, byReadout factor: Double) throws {
    let rows = [("backpropagated", 1), ("readout", factor)].flatMap { gradient, factor in
      Self.all.map { Cosine(gradient: gradient, step: $0, statistic: statistic(factor * cosine($0))) }
    }
    try tables.add("cosine-loss", rows)
  }

  private func addBorderline(to tables: inout MeasuredTables) throws {
    let direction = agrees ? 1.0 : -1.0
    let states = (0...4).flatMap { index in
      let along = direction * 0.05 * Double(index)
      let all = score(0.5 + along, loss: 0.5 - along, entropy: 0.5 - along)
      return Self.groups.map { GroupState(step: 8 + index, group: $0, score: all) }
    }
    func changes(train: Bool) -> [GroupChange] {
      (1...4).flatMap { index in
        ["reference", "before"].flatMap { from in
          let steps = from == "before" ? 1 : Double(index)
          // On validation samples the loss rises from the reference to the end, as at the last step.
          let loss = (train ? -direction : direction) * 0.05 * steps
          let all = change(direction * 0.05 * steps, loss: loss, entropy: -direction * 0.05 * steps)
          return Self.groups.map { GroupChange(from: from, step: 8 + index, group: $0, change: all) }
        }
      }
    }
    try tables.add("borderline", states)
    try tables.add(
      "borderline-changes", of: "borderline", train: changes(train: true), validation: changes(train: false))
    let corrected = agrees ? [30, 10, 8, 5] : [1, 5, 5, 5]
    let factor = isNoisy ? 0 : count / 100
    try tables.add(
      "borderline-flips", of: "borderline",
      corrected.enumerated().map {
        Flips(
          step: 9 + $0.offset, corrected: isNoisy ? 1 : factor * $0.element, broken: isNoisy ? 1 : factor * 3,
          count: count)
      })
  }

  private static let groups = ["borderline", "already-correct", "all"]

  private func addUnrolling(to tables: inout MeasuredTables) throws {
    typealias Rows = (groups: [UnrolledGroup], changes: [UnrolledChange], quantities: [UnrolledQuantity])
    func steps(isScaled: Bool, train: Bool) -> Rows {
      var (groups, changes, quantities): Rows = ([], [], [])
      for place in 9...32 {
        let repetition = max(0, place - Self.steps)
        let along = Double(repetition) / 20
        var loss = 0.5
        if isScaled {
          loss += (train == agrees ? -0.1 : 0.1) * along
        } else if agrees {
          loss += 100 * along
        }
        let all = score(0.5 + (agrees ? 0.1 : -0.1) * along, loss: loss)
        let (way, scale) = isScaled ? ("scaled", 0.1) : ("unscaled", 1)
        let step = min(place, Self.steps)
        for group in Self.groups {
          groups.append(
            UnrolledGroup(
              way: way, place: place, group: group, step: step, repetition: repetition, scale: scale, score: all))
          guard repetition > 0 else { continue }
          changes.append(
            UnrolledChange(
              way: way, place: place, group: group, repetition: repetition,
              change: change(all.accuracy - 0.5, loss: loss - 0.5)))
        }
        for (quantity, mean) in [
          ("cosine", agrees ? -0.1 : 0.1), ("cosine_readout", agrees ? -0.1 : 0.1), ("ratio", agrees ? 0.05 : 2),
          ("distance", agrees && !isScaled ? 1 + 100 * along : 1), ("update_cosine", 0),
        ] {
          quantities.append(
            UnrolledQuantity(
              way: way, place: place, quantity: quantity, step: step, repetition: repetition, scale: scale,
              statistic: statistic(mean)))
        }
      }
      return (groups, changes, quantities)
    }
    func both(train: Bool) -> Rows {
      let (unscaled, scaled) = (steps(isScaled: false, train: train), steps(isScaled: true, train: train))
      return (
        unscaled.groups + scaled.groups, unscaled.changes + scaled.changes, unscaled.quantities + scaled.quantities
      )
    }
    let (train, validation) = (both(train: true), both(train: false))
    let parameters: [String: Cell] = ["step": 12, "times": 20, "margin": 0.1, "recalibration_batches": .missing]
    try tables.add("unrolling", train: train.groups, validation: validation.groups, parameters: parameters)
    try tables.add(
      "unrolling-changes", of: "unrolling", train: train.changes, validation: validation.changes,
      parameters: parameters)
    try tables.add(
      "unrolling-steps", of: "unrolling", train: train.quantities, validation: validation.quantities,
      parameters: parameters)
  }

  // MARK: training

  private func run(_ model: String, _ study: Study, seed: Int) throws -> Evidence.Subject.Run {
    var (train, validation) = errors(model, isTable: study.name == "table-1")
    if !haveLearnt { validation = 0.9 }
    if isNoisy {
      // The mean of two seeds stays what it is. The gap between the errors varies too.
      train += seed % 2 == 0 ? -10 : 10
      validation += seed % 2 == 0 ? 10 : -10
    }
    let epochs = (1...3).map {
      EpochRecord(
        epoch: $0, learningRate: 0.1, trainLoss: 1, trainError: train, validationLoss: 1, validationError: validation,
        imagesPerSecond: 1, seconds: 1)
    }
    return .init(epochs: epochs, history: try (0...3).map { try recorded(model, epoch: $0) })
  }

  private func errors(_ model: String, isTable: Bool) -> (train: Double, validation: Double) {
    if isTable {
      let inOrder = ["resnet-110": 0.06, "resnet-56": 0.065, "resnet-38": 0.07, "resnet-32": 0.075]
      let error = inOrder[model] ?? 0.066
      return (0.01, agrees ? error : 0.2 - error)
    }
    switch model {
    case "resnet-110-shared": return agrees ? (0.2, 0.5) : (0.01, 0.02)
    case "resnet-38", "resnet-110": return agrees ? (0.05, 0.1) : (0.1, 0.4)
    case "resnet-110-ubn": return (0.1, agrees ? 0.1 : 0.6)
    case "resnet-110-shared+affine+gamma": return (0.1, agrees ? 0.5 : 0.2)
    default: return (0.1, agrees ? 0.2 : 0.5)
    }
  }

  private func recorded(_ model: String, epoch: Int) throws -> MeasureResults {
    var tables = MeasuredTables(steps: steps(of: model))
    let explodes = agrees && model == "resnet-110-shared"
    let norms = statistics { _ in explodes ? 1000 : 100 }
    // The first step reads another norm than ‖h_T‖.
    try tables.add("activation-norm", [StepStatistic(step: 0, statistic(10))] + norms)
    try tables.add("gradient-norm", norms)
    try tables.add("gradient-norm-ratio", of: "gradient-norm", [statistic(explodes ? 50 : 5)])
    if epoch > 0 {
      try addCosines(to: &tables, byReadout: 1.5)
      let growth = 1 + (agrees ? 0.1 : -0.1) * Double(epoch)
      try tables.add("l2-ratio", statistics { growth * ratio($0, model) })
      try tables.add(
        "intermediate",
        (9...12).map { step in
          StepScore(step: step, score(isNoisy ? 0.5 : agrees ? 0.1 * Double(step - 3) : 1 - 0.1 * Double(step - 3)))
        })
      try tables.add(
        "intermediate-changes", of: "intermediate",
        (10...12).map { StepScoreChange(step: $0, change(agrees ? 0.1 : -0.1)) })
    }
    return try .madeUp(of: model, epoch: epoch, tables)
  }
}

// MARK: rows

// The rows of the measures that only the measures themselves can make: the same columns, written out here once more.

private struct Cosine: TableRow {
  var gradient: String
  var step: Int
  var statistic: Statistic
  static let keys = ["gradient", "step"]
  static let units = Statistic.units
}

private struct WithoutStep: TableRow {
  var step: Int
  var score: Score
  var becameRight: Int
  var becameWrong: Int
  static let keys = ["step"]
  static let units = Score.units

  enum CodingKeys: String, CodingKey {
    case step, score
    case becameRight = "became_right"
    case becameWrong = "became_wrong"
  }
}

private struct GroupState: TableRow {
  var step: Int
  var group: String
  var score: Score
  static let keys = ["step", "group"]
  static let units = Score.units
}

private struct GroupChange: TableRow {
  var from: String
  var step: Int
  var group: String
  var change: ScoreChange
  static let keys = ["from", "step", "group"]
  static let units = ScoreChange.units
}

private struct Flips: TableRow {
  var step: Int
  var corrected: Int
  var broken: Int
  var count: Int
  static let keys = ["step"]
  static let units = ["corrected": "samples", "broken": "samples", "count": "samples"]
}

private struct UnrolledGroup: TableRow {
  var way: String
  var place: Int
  var group: String
  var step: Int
  var repetition: Int
  var scale: Double
  var score: Score
  static let keys = ["way", "place", "group"]
  static let units = Score.units
}

private struct UnrolledChange: TableRow {
  var way: String
  var place: Int
  var group: String
  var repetition: Int
  var change: ScoreChange
  static let keys = ["way", "place", "group"]
  static let units = ScoreChange.units
}

private struct UnrolledQuantity: TableRow {
  var way: String
  var place: Int
  var quantity: String
  var step: Int
  var repetition: Int
  var scale: Double
  var statistic: Statistic
  static let keys = ["way", "place", "quantity"]
  static let units = Statistic.units
}
