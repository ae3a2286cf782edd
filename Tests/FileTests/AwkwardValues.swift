import Foundation
import ResLensSupport
import ResLensMeasures
import ResLensNetworks
import ResLensRuns
import ResLensResults
import ResLensStudies
import TestSupport
import ResLensTorch
import ResLensTraining

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
      .init(
        width: width, blocks: 2, entry: .none, sharing: sharing(&self, from: 0), kind: maybe { _ in "pre-activation" },
        options: maybe { _ in [:] }),
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
      batchNorm: maybe { $0.element(of: BatchNormStatistics.allCases) })
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
      precision: element(of: [.fp32, .bf16]))
    configuration.statistics = maybe { $0.channelStatistics() }
    configuration.dataStatistics = maybe { $0.channelStatistics() }
    configuration.synchronisesStatistics = maybe { $0.flag() }
    configuration.measure = maybe { $0.schedule() }
    configuration.keptCheckpoints = maybe { $0.element(of: [.all, .best, .every(1), .every(99_999)]) }
    configuration.initialWeights = maybe { InitialWeights(path: $0.text(), weights: $0.text()) }
    return configuration
  }

  mutating func study() -> Study {
    let name = element(of: ["a", "figure-4", "0", "1e3", "null.", "A_b-c.d"])
    var study = Study(
      name: name, title: text(), models: [text(), "other"], data: [text()], recipes: [text()],
      seeds: [element(of: [0, UInt64.max, 1 << 63])],
      figures: [element(of: FigureKind.all(of: Registry.standard.descriptions))])
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
    if flag() { study.precision = element(of: [.fp32, .bf16]) }
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

  /// A table with one row for each split, step and word.
  private mutating func table(_ name: String, samples: Int) -> Table {
    let values: [Table.Column] = [
      .init("mean", unit: maybe { $0.text() }), .init("std"), .init("accuracy", unit: Table.Column.share),
      .init("order"), .init("count", unit: Table.Column.samples),
    ]
    var rows: [[Cell]] = []
    for split in Split.allCases {
      for step in 0...3 {
        rows.append([
          split.cell, .number(Double(samples)), .number(Double(step)), .number(number()), .number(anyNumber()),
          element(of: [.number(0), .number(1.0 / 3), .number(.nan), .number(.infinity), .missing]),
          .number(number(in: 0...1)), .text("text " + text()), .number(Double(integer(below: 1_000_000_000_000))),
        ])
      }
    }
    return valid(
      try Table(
        name, of: "m" + text(), keys: ["split", "samples", "step", "scale"].map { .init($0) }, values: values,
        rows: rows, parameters: ["margin": .number(anyNumber()), "word": .text("text " + text()), "none": .missing]))
  }

  mutating func measures() -> MeasureResults {
    let samples = 1 + integer(below: 99)
    let steps = (1...3).map { number in
      StepSpec(
        id: StepID(number: number, path: text()), stage: 0, block: 0, use: number - 1, input: [1 + integer(below: 9)],
        output: [integer(below: .max)], macs: integer(below: .max), hasIdentitySkip: flag())
    }
    return MeasureResults(
      run: text(), architecture: text(), checkpoint: text(), epoch: integer(below: 100_000), data: text(),
      batchNorm: element(of: BatchNormStatistics.allCases), batch: maybe { 1 + $0.integer(below: 99) },
      provenance: Provenance(weights: text(), statistics: channelStatistics(), isOwnData: flag()),
      samplings: Split.allCases.map {
        .init(split: $0, samples: samples, images: text(), program: text(), date: text())
      },
      steps: steps, tables: [table("a", samples: samples), table("b", samples: samples)],
      absent: [.init(measure: text(), view: maybe { $0.text() }, steps: flag() ? 1...2 : nil, reason: text())])
  }

  mutating func exits() -> ExitResults {
    let settings = ExitResults.Settings(
      architecture: text(), weights: text(), lens: text(), maps: maybe { $0.text() },
      rule: ExitRule.allCases[integer(below: ExitRule.allCases.count - 1)], exits: [1, 2 + integer(below: 99)],
      threshold: maybe { $0.number(in: 0...9) }, trainImages: maybe { $0.text() }, validationImages: text(),
      statistics: channelStatistics(),
      chosenOn: maybe { 1 + $0.integer(below: .max) }, scoredOn: 1 + integer(below: .max))
    let session = ExitResults.Session(
      checkpoint: text(), data: text(), batch: 1 + integer(below: .max), device: text(), program: text(), date: text())
    let curve = (0...2).map { index in
      ExitResults.Threshold(
        threshold: Double(index) + number(in: 0...0.5), trainAccuracy: maybe { $0.number(in: 0...1) },
        trainMACs: maybe { $0.anyNumber() }, accuracy: number(in: 0...1), macs: anyNumber())
    }
    let points = ExitResults.Choice.allCases.map { choice in
      ExitResults.Point(
        choice, threshold: maybe { $0.anyNumber() }, accuracy: number(in: 0...1), macs: number(in: 1...1e12),
        steps: number(in: 0...99), imagesPerSecond: anyNumber())
    }
    let left = (1...3).map { ExitResults.Left(.half, step: $0, count: integer(below: 1_000_000_000_000)) }
    return valid(try ExitResults(settings, session, curve: curve, points: points, left: left))
  }

  mutating func pruning() -> PruningResults {
    var results = valid(
      try PruningResults(
        of: text(),
        .init(
          architecture: text(), weights: text(), data: text(), trainImages: maybe { $0.text() },
          validationImages: text(),
          statistics: channelStatistics(), chosenOn: maybe { $0.integer(below: .max) }, scoredOn: integer(below: .max),
          recalibrationBatches: maybe { $0.integer(below: 99) })))
    let (order, largest) = (text(), 1_000_000_000_000)
    let points = (0...3).map { dropped in
      PruningResults.Point(
        order: order, dropped: dropped, step: dropped == 0 ? nil : 1 + integer(below: 99),
        macs: integer(below: largest),
        score: Score(
          accuracy: number(in: 0...1), loss: anyNumber(), lossStd: number(in: 0...1e9), entropy: number(in: 0...9),
          entropyStd: number(in: 0...9),
          count: integer(below: largest)))
    }
    valid(try results.set(points, of: order))
    for dropped in 1...2 {
      valid(try results.add((1...3).map { .init(dropped: dropped, step: $0, loss: anyNumber()) }))
    }
    results.removed = points.compactMap(\.step)
    return results
  }
}
