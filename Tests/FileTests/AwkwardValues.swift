import Foundation
import Host
import ResidualNetworks
import Results
import Studies
import TestSupport
import Torch
import Training

/// Values for files, drawn from a stream: numbers that need all their digits, text that looks like something else.
struct AwkwardValues {
  private let stream: RandomStream
  private var drawn = 0

  init(seed: Int) { stream = RandomStream(seed: UInt64(seed), name: "awkward values") }

  mutating func integer(below bound: Int) -> Int {
    drawn += 1
    return (try? stream.integer(drawn, below: bound)) ?? 0
  }

  mutating func element<Value>(of all: [Value]) -> Value { all[integer(below: all.count)] }

  mutating func flag() -> Bool { integer(below: 2) == 1 }

  mutating func maybe<Value>(_ value: (inout Self) -> Value) -> Value? { flag() ? value(&self) : nil }

  mutating func list<Value>(upTo count: Int, _ value: (inout Self) -> Value) -> [Value] {
    (0..<(1 + integer(below: count))).map { _ in value(&self) }
  }

  private static let numbers = [
    1.0 / 3, 0.1 + 0.2, 0.5.squareRoot(), 0.09333333249333332, 5e-324, .leastNormalMagnitude, .greatestFiniteMagnitude,
    0, -0.0, 1, -1, 1e-9, 1e15, 1e16, 1e21, 1e22, 9_007_199_254_740_993, 123_456.789, 1e-5, 0.30000000000000004,
    1.7976931348623155e308, 2.2250738585072011e-308, 0.1, 100, 1e3,
  ]

  /// A factor of an unrolling's F, which is never 0.
  mutating func scale() -> Double {
    while true {
      let value = number()
      if value != 0 { return value }
    }
  }

  /// A finite number in the range.
  mutating func number(in range: ClosedRange<Double> = -.greatestFiniteMagnitude...(.greatestFiniteMagnitude)) -> Double
  {
    while true {
      drawn += 1
      let value =
        switch integer(below: 3) {
        case 0: element(of: Self.numbers)
        case 1: Double(bitPattern: stream.bits(drawn))
        default:
          max(range.lowerBound, -1000) + stream.uniform(drawn)
            * (min(range.upperBound, 1000) - max(range.lowerBound, -1000))
        }
      if value.isFinite, range.contains(value) { return value }
    }
  }

  /// A number that need not be finite.
  mutating func anyNumber() -> Double {
    integer(below: 6) == 0 ? element(of: [.nan, .infinity, -.infinity]) : number()
  }

  static let texts = [
    "yes", "no", "on", "null", "~", "", "1e3", "0x1f", "010", "1_0", "1:30", ".inf", ".nan", "-", "- a", "a: b", "a #b",
    "'", "\"", "\\", "two\nlines", "\n", " before", "after ", "tab\t", "é", "日本", "🙂", "\u{85}", "\u{2028}",
    "&a", "*a", "!tag", "%", "@", "`", "{", "[", ",", "<<", "=", "true", "2026-11-26", "\r\n", "\r", "\u{7f}",
    "\u{1b}[31m",
    "\u{1}", "?", "? a", ":", "|", ">", "---", "...", "a/b", "../a", "%A", "$(x)", "<b>&",
    String(repeating: "long ", count: 400),
  ]

  mutating func text() -> String { element(of: Self.texts) }

  /// As name of a network: no control characters, at most 200 bytes.
  mutating func networkName() -> String {
    while true {
      let name = text()
      if !name.isEmpty, name.utf8.count <= 200, name.printable() == name, !name.contains(where: \.isNewline) {
        return name
      }
    }
  }

  mutating func architecture() -> Architecture {
    let width = 1 + integer(below: 64)
    let next = 1 + integer(below: 64)
    func sharing(_ values: inout Self, from: Int) -> Architecture.Sharing? {
      values.maybe {
        .init(
          from: from, unsharedStatistics: $0.flag(), unsharedAffine: $0.flag(), initialGamma: $0.number())
      }
    }
    let stages: [Architecture.Stage] = [
      .init(width: width, blocks: 2, entry: .none, sharing: sharing(&self, from: 0)),
      .init(width: next, blocks: 3, entry: .projection, stride: 2, sharing: sharing(&self, from: 1)),
      .init(width: next, blocks: 1, entry: element(of: [.averagePooling, .maximumPooling])),
    ]
    // Every value above fits the others.
    return valid(
      try Architecture(
        name: networkName(), classes: 2 + integer(below: 99), stem: .init(width: width), stages: stages,
        head: .init(pooling: 8)))
  }

  mutating func recipe() -> Recipe {
    let schedule: Schedule =
      flag()
      ? .oneCycle(peak: number(in: 0...1000), warmup: number(in: 1e-300...0.99))
      : .steps([.init(until: 1 + integer(below: 9), rate: number(in: 0...1000)), .init(rate: number(in: 0...1000))])
    return Recipe(
      name: text(), epochs: 1 + integer(below: 99_999), batch: 2 + integer(below: 65_535), momentum: number(in: 0...1),
      nesterov: flag(), weightDecay: number(in: 0...1), decayWeightsOnly: flag(), flip: flag(),
      translate: integer(below: 128), labelSmoothing: number(in: 0...1), schedule: schedule)
  }

  mutating func schedule() -> MeasureSchedule {
    MeasureSchedule(
      every: 1 + integer(below: 99), samples: element(of: [1, 2000, .max]), names: list(upTo: 3) { $0.text() },
      mode: maybe { $0.element(of: MeasureMode.allCases) })
  }

  mutating func channelStatistics() -> ChannelStatistics {
    ChannelStatistics(
      means: (0..<3).map { _ in number(in: 0...1) }, deviations: (0..<3).map { _ in number(in: 1e-9...1) })
  }

  mutating func configuration() -> RunConfiguration {
    var configuration = RunConfiguration(
      architecture: architecture(), data: text(), trainSamples: maybe { 1 + $0.integer(below: .max) },
      validationSamples: maybe { 1 + $0.integer(below: 9) }, recipe: recipe(),
      seed: element(of: [0, 1, .max, 1 << 63]),
      precision: element(of: [.float32, .bfloat16]))
    configuration.statistics = maybe { $0.channelStatistics() }
    configuration.synchronisesStatistics = maybe { $0.flag() }
    configuration.measure = maybe { $0.schedule() }
    return configuration
  }

  mutating func study() -> Study {
    let name = element(of: ["a", "figure-4", "0", "1e3", "null.", "A_b-c.d"])
    var study = Study(
      name: name, title: text(), models: [text(), "other"], data: [text()], recipes: [text()],
      seeds: [element(of: [0, UInt64.max, 1 << 63])], figures: [element(of: Exhibit.allCases)])
    if flag() { study.record = Study.Recording(every: 1 + integer(below: 9), samples: 1 + integer(below: Int.max)) }
    if flag() {
      var measuring = Study.Measuring()
      if flag() { measuring.samples = 1 + integer(below: 99) }
      if flag() { measuring.measures = [text()] }
      if flag() { measuring.scale = scale() }
      if flag() { measuring.recalibrate = 1 + integer(below: 9) }
      study.measure = measuring
    }
    if flag() { study.epochs = 1 + integer(below: 99) }
    if flag() { study.precision = element(of: [.float32, .bfloat16]) }
    return study
  }

  mutating func plan() -> Plan {
    func move(_ values: inout Self) -> Plan.Move {
      if values.flag() { return .pool(stage: values.integer(below: .max)) }
      let step = Plan.Step(
        stage: values.integer(below: 9), block: values.integer(below: Int.max), use: values.integer(below: 9),
        statistics: values.integer(below: 9), scale: values.number())
      return .step(step)
    }
    return Plan(moves: list(upTo: 4, move))
  }

  mutating func run() -> PlannedRun {
    var measurement = PlannedRun.Measurement.none
    measurement.names = [text()]
    (measurement.samples, measurement.unroll) = (1 + integer(below: Int.max), 1 + integer(below: 99))
    if flag() { measurement.scale = scale() }
    if flag() { measurement.recalibrate = 1 + integer(below: 99) }
    return PlannedRun(
      name: flag() ? "run" : nil, configuration: configuration(), dataset: text(), measurement: measurement)
  }

  mutating func runs() -> StudyFolder.Plan { StudyFolder.Plan(runs: [run(), run()]) }

  mutating func record(epoch: Int) -> EpochRecord {
    func number(_ values: inout Self, upTo most: Double = .greatestFiniteMagnitude) -> Double {
      values.number(in: 0...most)
    }
    return EpochRecord(
      epoch: epoch, learningRate: number(&self), trainLoss: number(&self), trainError: number(&self, upTo: 1),
      validationLoss: number(&self), validationError: number(&self, upTo: 1), imagesPerSecond: number(&self),
      seconds: number(&self))
  }

  mutating func records() -> [EpochRecord] {
    let first = 1 + integer(below: 50)
    return (first...(first + integer(below: 4))).map { record(epoch: $0) }
  }

  mutating func loop() -> Checkpoint.Loop {
    let epochs = integer(below: 4)
    var loop = Checkpoint.Loop(epoch: epochs, records: (0..<epochs).map { record(epoch: $0 + 1) })
    (loop.step, loop.wrong) = (integer(below: 1000), integer(below: .max))
    (loop.lossSum, loop.trainSeconds) = (number(in: 0...(.greatestFiniteMagnitude)), number(in: 0...1e9))
    return loop
  }

  mutating func measures() -> MeasureResults {
    let names = (1...3).map { StepName(step: $0, stage: 0, block: 0, use: $0 - 1, projection: false) }
    func statistic(_ values: inout Self) -> Statistic {
      Statistic(
        mean: values.anyNumber(), std: values.element(of: [0, 1.0 / 3, .nan, .infinity]),
        count: values.integer(below: 1_000_000_000_000))
    }
    func score(_ values: inout Self) -> Score {
      Score(
        accuracy: values.number(in: 0...1), loss: values.anyNumber(), lossStd: 0.1 + 0.2, entropy: values.anyNumber(),
        entropyStd: .nan, count: values.integer(below: 99))
    }
    func both<Value>(_ values: inout Self, _ value: (inout Self) -> Value) -> BySplit<Value> {
      BySplit(train: value(&values), validation: value(&values))
    }
    func statistics(_ values: inout Self) -> [StepStatistic] {
      names.map {
        let value = statistic(&values)
        return StepStatistic(name: $0, mean: value.mean, std: value.std, count: value.count)
      }
    }
    func groups(_ values: inout Self) -> GroupScores {
      GroupScores(borderline: values.maybe(score), alreadyCorrect: values.maybe(score), all: score(&values))
    }
    var measures = MeasureResults.Measures()
    measures.cosineLoss = .init(backpropagated: both(&self, statistics), plugged: both(&self, statistics))
    measures.l2Ratio = both(&self, statistics)
    measures.firstOrder = both(&self) { values in
      names.map {
        FirstOrderTerm(
          name: $0, change: statistic(&values), term: statistic(&values), ratio: values.maybe { $0.anyNumber() },
          correlation: values.maybe { $0.anyNumber() })
      }
    }
    measures.droppedStep = .init(
      train: names.map { StepScore(name: $0, score: score(&self)) },
      validation: names.map { StepScore(name: $0, score: score(&self)) }, baseline: both(&self, score))
    measures.intermediate = both(&self) { values in names.map { StepScore(name: $0, score: score(&values)) } }
    measures.borderline = .init(
      margin: number(), reference: 1,
      states: both(&self) { values in (1...3).map { GroupedState(step: $0, groups: groups(&values)) } },
      turns: both(&self) { values in
        names.map { TurnedExamples(name: $0, corrected: values.integer(below: 9), broken: 1, count: 9) }
      })
    measures.unrolling = .init(
      repeated: names[2], times: 1, margin: number(), recalibrationBatches: maybe { $0.integer(below: 9) },
      tried: maybe { [.init(scale: $0.number(), loss: $0.anyNumber())] },
      trajectories: list(upTo: 2) { values in
        .init(
          scale: values.number(),
          steps: both(&values) { values in
            [
              UnrolledStep(
                place: 4, name: names[2], repetition: 1, groups: values.maybe(groups),
                cosineLoss: values.maybe(statistic),
                pluggedCosineLoss: nil, l2Ratio: values.maybe(statistic), distance: statistic(&values), turn: nil)
            ]
          })
      })
    measures.lesions = .init(
      baseline: score(&self),
      dropped: [.init(size: 1, error: statistic(&self), trials: [.init(seed: 0, order: [1, 2], score: score(&self))])],
      shuffled: [], swapped: [.init(first: names[0], second: names[1], score: score(&self))],
      scaled: [.init(name: names[0], factor: number(), score: score(&self))])
    measures.activationNorm = both(&self) { .init(start: statistic(&$0), steps: statistics(&$0)) }
    measures.gradientNorm = both(&self) { .init(steps: statistics(&$0), ratio: $0.maybe(statistic)) }
    return MeasureResults(
      run: text(), architecture: text(), checkpoint: text(), epoch: integer(below: 100_000), data: text(),
      samples: both(&self) { 1 + $0.integer(below: 99) }, steps: 3, mode: element(of: MeasureMode.allCases),
      batch: maybe { 1 + $0.integer(below: 99) },
      provenance: .init(
        weights: text(), images: both(&self) { $0.text() }, statistics: channelStatistics(), isOwnData: flag(),
        program: text(),
        date: text()), measures: measures, absent: [.init(measure: text(), steps: flag() ? 1...2 : nil, reason: text())]
    )
  }
}
