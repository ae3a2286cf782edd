import ResLensMeasures
import ResLensResults
import ResLensStudies
import TestSupport

/// Made-up numbers of networks of twelve steps in three stages: as the paper has it, or the contrary.
struct MadeUpEvidence {
  let agrees: Bool

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
            model: model, data: data, architecture: model, parameters: 1, runs: [run(model, study)],
            measures: [measures(of: model)])
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

  private func statistic(_ mean: Double) -> Statistic { Statistic(mean: mean, std: 0.1, count: 100) }

  private func statistics(_ value: (Int) -> Double) -> [StepStatistic] {
    Self.all.map { StepStatistic(step: $0, statistic(value($0))) }
  }

  private func score(_ accuracy: Double, loss: Double = 0.5, entropy: Double = 0.5, count: Int = 100) -> Score {
    Score(accuracy: accuracy, loss: loss, lossStd: 0.1, entropy: entropy, entropyStd: 0.1, count: count)
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

  private func measures(of model: String) throws -> MeasuredTables {
    var tables = MeasuredTables(steps: steps(of: model))
    try addCosines(to: &tables, byReadout: 1)
    try tables.add("l2-ratio", statistics { ratio($0, model) })
    try tables.add(
      "dropped-step",
      Self.all.map { WithoutStep(step: $0, score: score(withoutStep($0, model)), becameRight: 0, becameWrong: 4) })
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
    func states(train: Bool) -> [GroupState] {
      (0...4).flatMap { index in
        let falling = 0.5 - 0.05 * Double(index), rising = 0.5 + 0.05 * Double(index)
        let isLast = index == 4
        // On validation samples the loss changes its direction at the last step alone.
        let loss = train ? (agrees ? falling : rising) : (isLast == agrees ? rising : falling)
        let all = score(agrees ? rising : falling, loss: loss, entropy: agrees ? falling : rising)
        return ["borderline", "already-correct", "all"].map { GroupState(step: 8 + index, group: $0, score: all) }
      }
    }
    try tables.add("borderline", train: states(train: true), validation: states(train: false))
    let corrected = agrees ? [30, 10, 8, 5] : [1, 5, 5, 5]
    try tables.add(
      "borderline-flips", of: "borderline",
      corrected.enumerated().map { Flips(step: 9 + $0.offset, corrected: $0.element, broken: 3, count: 100) })
  }

  private func addUnrolling(to tables: inout MeasuredTables) throws {
    func steps(isScaled: Bool, train: Bool) -> (groups: [UnrolledGroup], quantities: [UnrolledQuantity]) {
      var (groups, quantities): ([UnrolledGroup], [UnrolledQuantity]) = ([], [])
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
        for group in ["borderline", "already-correct", "all"] {
          groups.append(
            UnrolledGroup(
              way: way, place: place, group: group, step: step, repetition: repetition, scale: scale, score: all))
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
      return (groups, quantities)
    }
    func both(train: Bool) -> (groups: [UnrolledGroup], quantities: [UnrolledQuantity]) {
      let (unscaled, scaled) = (steps(isScaled: false, train: train), steps(isScaled: true, train: train))
      return (unscaled.groups + scaled.groups, unscaled.quantities + scaled.quantities)
    }
    let (train, validation) = (both(train: true), both(train: false))
    let parameters: [String: Cell] = ["step": 12, "times": 20, "margin": 0.1, "recalibration_batches": .missing]
    try tables.add("unrolling", train: train.groups, validation: validation.groups, parameters: parameters)
    try tables.add(
      "unrolling-steps", of: "unrolling", train: train.quantities, validation: validation.quantities,
      parameters: parameters)
  }

  // MARK: training

  private func run(_ model: String, _ study: Study) throws -> Evidence.Subject.Run {
    let (train, validation) = errors(model, isTable: study.name == "table-1")
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
    // What the first step takes is not ‖h_T‖.
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
          StepScore(step: step, score(agrees ? 0.1 * Double(step - 3) : 1 - 0.1 * Double(step - 3)))
        })
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
