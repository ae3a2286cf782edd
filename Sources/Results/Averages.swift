/// The middle one of some numbers, the mean of the two in the middle where they are even in number; nan of none.
public func median(_ values: some Collection<Double>) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

/// A value whose numbers can be averaged, one by one, over runs that differ in their seed.
public protocol Averageable {
  /// The mean of several of one kind (the same steps, the same places); nil of none, or where they do not agree in what
  /// they are of.
  static func mean(of all: [Self]) -> Self?
}

private func mean<Value>(_ all: [Value], _ number: (Value) -> Double) -> Double {
  all.map(number).reduce(0, +) / Double(all.count)
}

/// A count over runs, to the nearest whole.
private func mean<Value>(_ all: [Value], _ count: (Value) -> Int) -> Int {
  Int((Double(all.map(count).reduce(0, +)) / Double(max(1, all.count))).rounded())
}

/// The mean of those that have one.
private func mean<Value, Part: Averageable>(_ all: [Value], _ part: (Value) -> Part?) -> Part? {
  Part.mean(of: all.compactMap(part))
}

/// The value that all agree in, or nil where they differ.
private func common<Value, Part: Equatable>(_ all: [Value], _ part: (Value) -> Part) -> Part? {
  guard let first = all.first.map(part), all.allSatisfy({ part($0) == first }) else { return nil }
  return first
}

extension Array: Averageable where Element: Averageable {
  public static func mean(of all: [[Element]]) -> [Element]? {
    guard let count = common(all, \.count) else { return nil }
    var means: [Element] = []
    for index in 0..<count {
      guard let mean = Element.mean(of: all.map { $0[index] }) else { return nil }
      means.append(mean)
    }
    return means
  }
}

extension BySplit: Averageable where Value: Averageable {
  public static func mean(of all: [BySplit<Value>]) -> BySplit<Value>? {
    guard let train = Value.mean(of: all.map(\.train)), let validation = Value.mean(of: all.map(\.validation)) else {
      return nil
    }
    return BySplit(train: train, validation: validation)
  }
}

extension Statistic: Averageable {
  /// The mean of the means, of the deviations and of the counts.
  public static func mean(of all: [Statistic]) -> Statistic? {
    all.isEmpty
      ? nil
      : Statistic(
        mean: Results.mean(all, \.mean), std: Results.mean(all, \.std), count: Results.mean(all) { $0.count })
  }
}

extension StepStatistic: Averageable {
  public static func mean(of all: [StepStatistic]) -> StepStatistic? {
    common(all, \.name).map {
      StepStatistic(
        name: $0, mean: Results.mean(all, \.mean), std: Results.mean(all, \.std), count: Results.mean(all) { $0.count })
    }
  }
}

extension Score: Averageable {
  public static func mean(of all: [Score]) -> Score? {
    all.isEmpty
      ? nil
      : Score(
        accuracy: Results.mean(all, \.accuracy), loss: Results.mean(all, \.loss), lossStd: Results.mean(all, \.lossStd),
        entropy: Results.mean(all, \.entropy), entropyStd: Results.mean(all, \.entropyStd),
        count: Results.mean(all) { $0.count })
  }
}

extension StepScore: Averageable {
  public static func mean(of all: [StepScore]) -> StepScore? {
    guard let name = common(all, \.name), let score = Score.mean(of: all.map(\.score)) else { return nil }
    return StepScore(name: name, score: score)
  }
}

extension FirstOrderTerm: Averageable {
  public static func mean(of all: [FirstOrderTerm]) -> FirstOrderTerm? {
    guard let name = common(all, \.name), let change = Statistic.mean(of: all.map(\.change)),
      let term = Statistic.mean(of: all.map(\.term))
    else { return nil }
    let correlations = all.compactMap(\.correlation)
    return FirstOrderTerm(
      name: name, change: change, term: term, ratio: change.mean == 0 ? nil : term.mean / change.mean,
      correlation: correlations.isEmpty ? nil : Results.mean(correlations) { $0 })
  }
}

extension GroupScores: Averageable {
  /// A group that a run lacks counts in the others alone.
  public static func mean(of all: [GroupScores]) -> GroupScores? {
    Score.mean(of: all.map(\.all)).map {
      GroupScores(
        borderline: Results.mean(all) { $0.borderline }, alreadyCorrect: Results.mean(all) { $0.alreadyCorrect },
        all: $0)
    }
  }
}

extension GroupedState: Averageable {
  public static func mean(of all: [GroupedState]) -> GroupedState? {
    guard let step = common(all, \.step), let groups = GroupScores.mean(of: all.map(\.groups)) else { return nil }
    return GroupedState(step: step, groups: groups)
  }
}

extension TurnedExamples: Averageable {
  public static func mean(of all: [TurnedExamples]) -> TurnedExamples? {
    common(all, \.name).map {
      TurnedExamples(
        name: $0, corrected: Results.mean(all) { $0.corrected }, broken: Results.mean(all) { $0.broken },
        count: Results.mean(all) { $0.count })
    }
  }
}

extension UnrolledStep: Averageable {
  public static func mean(of all: [UnrolledStep]) -> UnrolledStep? {
    guard let first = all.first, common(all, \.place) != nil, common(all, \.name) != nil,
      let distance = Statistic.mean(of: all.map(\.distance))
    else { return nil }
    return UnrolledStep(
      place: first.place, name: first.name, repetition: first.repetition, groups: Results.mean(all) { $0.groups },
      cosineLoss: Results.mean(all) { $0.cosineLoss }, pluggedCosineLoss: Results.mean(all) { $0.pluggedCosineLoss },
      l2Ratio: Results.mean(all) { $0.l2Ratio }, distance: distance, turn: Results.mean(all) { $0.turn })
  }
}

extension ActivationNorms: Averageable {
  public static func mean(of all: [ActivationNorms]) -> ActivationNorms? {
    guard let start = Statistic.mean(of: all.map(\.start)), let steps = [StepStatistic].mean(of: all.map(\.steps))
    else {
      return nil
    }
    return ActivationNorms(start: start, steps: steps)
  }
}

extension GradientNorms: Averageable {
  public static func mean(of all: [GradientNorms]) -> GradientNorms? {
    [StepStatistic].mean(of: all.map(\.steps)).map {
      GradientNorms(steps: $0, ratio: Results.mean(all) { $0.ratio })
    }
  }
}

extension Unrolling: Averageable {
  /// Unscaled trajectories with one another, and scaled ones, whose α each run chose for itself: the mean says the mean α.
  public static func mean(of all: [Unrolling]) -> Unrolling? {
    guard let first = all.first, common(all, \.repeated) != nil, common(all, \.times) != nil else { return nil }
    func trajectory(_ part: (Unrolling) -> Trajectory?) -> Trajectory? {
      let some = all.compactMap(part)
      return BySplit.mean(of: some.map(\.steps)).map { Trajectory(scale: Results.mean(some, \.scale), steps: $0) }
    }
    var mean = first
    // Runs whose best α was 1 have one trajectory, which is both.
    let scaled = all.contains { $0.trajectories.count > 1 } ? trajectory { $0.trajectories.last } : nil
    mean.trajectories = [trajectory { $0.trajectories.first }, scaled].compactMap { $0 }
    mean.tried = common(all) { $0.tried?.map(\.scale) }.flatMap { scales in
      scales?.enumerated().map { index, scale in
        TriedScale(scale: scale, loss: Results.mean(all) { $0.tried?[index].loss ?? .nan })
      }
    }
    return mean.trajectories.isEmpty ? nil : mean
  }
}

extension MeasureResults.Measures: Averageable {
  /// The mean of each measure over the results that have it. Lesions are left out, because each run draws its own.
  public static func mean(of all: [Self]) -> Self? {
    guard !all.isEmpty else { return nil }
    var mean = Self()
    let cosines = all.compactMap(\.cosineLoss)
    if let backpropagated = BySplit.mean(of: cosines.map(\.backpropagated)),
      let plugged = BySplit.mean(of: cosines.map(\.plugged))
    {
      mean.cosineLoss = .init(backpropagated: backpropagated, plugged: plugged)
    }
    mean.l2Ratio = Results.mean(all) { $0.l2Ratio }
    mean.firstOrder = Results.mean(all) { $0.firstOrder }
    let dropped = all.compactMap(\.droppedStep)
    if let train = [StepScore].mean(of: dropped.map(\.train)),
      let validation = [StepScore].mean(of: dropped.map(\.validation)),
      let baseline = BySplit.mean(of: dropped.map(\.baseline))
    {
      mean.droppedStep = .init(train: train, validation: validation, baseline: baseline)
    }
    mean.intermediate = Results.mean(all) { $0.intermediate }
    let borderline = all.compactMap(\.borderline)
    if let first = borderline.first, let states = BySplit.mean(of: borderline.map(\.states)),
      let turns = BySplit.mean(of: borderline.map(\.turns))
    {
      mean.borderline = .init(margin: first.margin, reference: first.reference, states: states, turns: turns)
    }
    mean.unrolling = Results.mean(all) { $0.unrolling }
    mean.activationNorm = Results.mean(all) { $0.activationNorm }
    mean.gradientNorm = Results.mean(all) { $0.gradientNorm }
    return mean
  }
}

extension MeasureResults {
  /// The mean over runs of one network that were measured alike; the first's where there is one alone.
  /// - Parameter name: what the runs are called together
  public static func mean(of all: [MeasureResults], called name: String) -> MeasureResults? {
    guard all.count > 1 else { return all.first }
    guard let first = all.first, let measures = Measures.mean(of: all.map(\.measures)) else { return nil }
    var mean = first
    mean.run = name
    mean.measures = measures
    return mean
  }
}
