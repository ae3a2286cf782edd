import Results
import Studies

/// Made-up numbers of networks of twelve steps in three stages: as the paper has it, or the contrary.
struct MadeUpEvidence {
  let agrees: Bool

  static let steps = 12
  private static let stage = 4

  func evidence(for study: Study) -> Evidence {
    var models = study.models
    if models == ["resnet-110-ablation"] {
      models =
        ["", "+statistics", "+affine", "+gamma", "+statistics+affine", "+statistics+gamma", "+affine+gamma"]
        .map { "resnet-110-shared" + $0 } + ["resnet-110-ubn"]
    }
    return Evidence(
      subjects: study.data.flatMap { data in
        models.map { model in
          Evidence.Subject(
            model: model, data: data, architecture: model, parameters: 1, runs: [run(model, study)],
            measures: [measures(of: model)])
        }
      })
  }

  private func isShallow(_ model: String) -> Bool { ["single-representation", "avg-pooling"].contains(model) }

  private func name(_ step: Int, _ model: String) -> StepName {
    StepName(
      step: step, stage: (step - 1) / Self.stage, block: (step - 1) % Self.stage,
      projection: !isShallow(model) && step > 1 && (step - 1) % Self.stage == 0)
  }

  private func statistics(_ model: String, _ value: (Int) -> Double) -> BySplit<[StepStatistic]> {
    let all = (1...Self.steps).map { StepStatistic(name: name($0, model), mean: value($0), std: 0.1, count: 100) }
    return BySplit(train: all, validation: all)
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

  private func measures(of model: String) -> MeasureResults.Measures {
    var measures = MeasureResults.Measures()
    let cosines = statistics(model) { cosine($0) }
    measures.cosineLoss = .init(backpropagated: cosines, plugged: cosines)
    measures.l2Ratio = statistics(model) { ratio($0, model) }
    let dropped = (1...Self.steps).map { StepScore(name: name($0, model), score: score(withoutStep($0, model))) }
    measures.droppedStep = .init(
      train: dropped, validation: dropped, baseline: BySplit(train: score(0.9), validation: score(0.9)))
    measures.borderline = borderline(model)
    measures.unrolling = unrolling(model)
    return measures
  }

  private func borderline(_ model: String) -> BorderlineExamples {
    func states(train: Bool) -> [GroupedState] {
      (0...4).map { place in
        let falling = 0.5 - 0.05 * Double(place), rising = 0.5 + 0.05 * Double(place)
        let isLast = place == 4
        // On validation samples the loss turns at the last step alone.
        let loss = train ? (agrees ? falling : rising) : (isLast == agrees ? rising : falling)
        let all = score(agrees ? rising : falling, loss: loss, entropy: agrees ? falling : rising)
        return GroupedState(step: 8 + place, groups: GroupScores(borderline: all, alreadyCorrect: all, all: all))
      }
    }
    let corrected = agrees ? [30, 10, 8, 5] : [1, 5, 5, 5]
    let turns = corrected.enumerated().map {
      TurnedExamples(name: name(9 + $0.offset, model), corrected: $0.element, broken: 3, count: 100)
    }
    return BorderlineExamples(
      margin: 0.1, reference: 8, states: BySplit(train: states(train: true), validation: states(train: false)),
      turns: BySplit(train: turns, validation: turns))
  }

  private func unrolling(_ model: String) -> Unrolling {
    func steps(scaled: Bool, train: Bool) -> [UnrolledStep] {
      (9...32).map { place in
        let repetition = max(0, place - Self.steps)
        let along = Double(repetition) / 20
        var loss = 0.5
        if scaled {
          loss += (train == agrees ? -0.1 : 0.1) * along
        } else if agrees {
          loss += 100 * along
        }
        let accuracy = 0.5 + (agrees ? 0.1 : -0.1) * along
        let all = score(accuracy, loss: loss)
        func statistic(_ mean: Double) -> Statistic { Statistic(mean: mean, std: 0.1, count: 100) }
        return UnrolledStep(
          place: place, name: name(min(place, Self.steps), model), repetition: repetition,
          groups: GroupScores(borderline: all, alreadyCorrect: all, all: all),
          cosineLoss: statistic(agrees ? -0.1 : 0.1),
          pluggedCosineLoss: statistic(agrees ? -0.1 : 0.1), l2Ratio: statistic(agrees ? 0.05 : 2),
          distance: statistic(agrees && !scaled ? 1 + 100 * along : 1), turn: statistic(0))
      }
    }
    return Unrolling(
      repeated: name(Self.steps, model), times: 20, margin: 0.1, recalibrationBatches: nil, tried: nil,
      trajectories: [(1.0, false), (0.1, true)].map { scale, scaled in
        .init(
          scale: scale,
          steps: BySplit(train: steps(scaled: scaled, train: true), validation: steps(scaled: scaled, train: false)))
      })
  }

  // MARK: training

  private func run(_ model: String, _ study: Study) -> Evidence.Subject.Run {
    let (train, validation) = errors(model, isTable: study.name == "table-1")
    let epochs = (1...3).map {
      EpochRecord(
        epoch: $0, learningRate: 0.1, trainLoss: 1, trainError: train, validationLoss: 1, validationError: validation,
        imagesPerSecond: 1, seconds: 1)
    }
    return .init(epochs: epochs, history: (0...3).map { recorded(model, epoch: $0) })
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

  private func recorded(_ model: String, epoch: Int) -> MeasureResults {
    var measures = MeasureResults.Measures()
    let explodes = agrees && model == "resnet-110-shared"
    let norms = statistics(model) { _ in explodes ? 1000 : 100 }
    let start = Statistic(mean: 10, std: 1, count: 100)
    let forward = ActivationNorms(start: start, steps: norms.train)
    measures.activationNorm = BySplit(train: forward, validation: forward)
    let back = GradientNorms(steps: norms.train, ratio: Statistic(mean: explodes ? 50 : 5, std: 1, count: 100))
    measures.gradientNorm = BySplit(train: back, validation: back)
    if epoch > 0 {
      measures.cosineLoss = .init(
        backpropagated: statistics(model) { cosine($0) }, plugged: statistics(model) { 1.5 * cosine($0) })
      let growth = 1 + (agrees ? 0.1 : -0.1) * Double(epoch)
      measures.l2Ratio = statistics(model) { growth * ratio($0, model) }
      let last = (9...12).map { step in
        StepScore(name: name(step, model), score: score(agrees ? 0.1 * Double(step - 3) : 1 - 0.1 * Double(step - 3)))
      }
      measures.intermediate = BySplit(train: last, validation: last)
    }
    return MeasureResults(
      run: model, architecture: model, checkpoint: "c", epoch: epoch, data: "d",
      samples: .init(train: 1, validation: 1),
      steps: Self.steps, mode: epoch == 0 ? .training : .evaluation, provenance: .madeUp, measures: measures, absent: []
    )
  }
}
