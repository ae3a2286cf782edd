import Foundation
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTasks
import ResLensTorch
import ResLensTraining

/// Early exits from a run's network: thresholds are chosen on train images, and the network is scored and timed on
/// validation images.
public struct RunExits {
  private let run: RunMeasuring
  private let network: ResidualNetwork
  private let exits: EarlyExits
  private let options: Options
  private let settings: ExitResults.Settings
  /// The train images on which thresholds are chosen; nil where the threshold was given.
  private let choosing: Samples?
  private let validation: Samples
  /// The source of the images.
  private let source: String

  /// The rule, the lens and the places by which samples leave a network.
  public struct Options: Sendable {
    /// The rule by which they leave.
    public var rule = ExitRule.confidence
    /// The kind of trained lens that reads the states; nil for the network's own readout.
    public var lens: LensKind?
    /// The numbers of the steps after which they can leave; nil for all that the lens reads but the last.
    public var steps: [Int]?
    /// The threshold, in the rule's own unit; nil to choose thresholds on train images.
    public var threshold: Double?
    /// The number of train images on which thresholds are chosen; nil for `usuallyChosenOn`, or for all if there are fewer.
    /// They are the first ones behind those that the lens was fitted on, or if these are too few, the first ones of all.
    public var chosenOn: Int?

    /// The number of train images on which thresholds are chosen if nothing else is asked for.
    public static let usuallyChosenOn = 5000

    public init() {}
  }

  /// The current phase.
  public enum Phase: String, Sendable {
    /// The reading of train images, on which thresholds are chosen.
    case choosing = "samples of the train set, to choose thresholds"
    /// The reading of validation images, of which the curve is made.
    case scoring = "samples of the validation set"
    /// The runs in which samples leave.
    case timing = "samples of the validation set, timed"
  }

  /// - Parameters:
  ///   - data: the train and validation samples
  ///   - replaces: true to lose results of an earlier call with other settings
  /// - Throws: before any work, `ArgumentError` and `MeasureError` for what is not possible; `FileError` where the run lacks
  ///   the lens, where results would be lost, or where the folder cannot be written to.
  public init(_ run: RunMeasuring, _ options: Options, on data: RunMeasuring.Data, replaces: Bool = false) throws {
    (self.run, network, self.options) = (run, run.network, options)
    (validation, source) = (data.validation, data.source)
    let architecture = network.architecture
    if let threshold = options.threshold {
      let problem =
        threshold.isFinite
        ? options.rule.problem(of: threshold, classes: architecture.classes) : "it is not a finite number"
      if let problem {
        throw ArgumentError("threshold", "\(threshold) makes no difference between samples: \(problem)")
      }
    }
    let lens = try options.lens.map { try run.lens($0) }
    exits = try EarlyExits(network, by: options.rule, through: lens ?? ReadoutLens(network), after: options.steps)
    let images = data.train.set
    let chosenOn = options.chosenOn ?? min(Options.usuallyChosenOn, images.count)
    try ArgumentError.check("choose-on", chosenOn, in: 1...images.count)
    let fitted = try options.lens.map { try run.folder.count(fittedBy: $0, among: images) } ?? 0
    let skipped = images.count - fitted >= chosenOn ? fitted : 0
    choosing =
      options.threshold == nil
      ? try Samples(images.dropFirst(skipped), count: chosenOn, batch: data.train.batch, maker: data.train.maker) : nil
    settings = ExitResults.Settings(
      architecture: architecture.name, weights: try network.fingerprint(),
      lens: options.lens?.rawValue ?? ExitResults.Settings.readout,
      maps: try lens?.identity.maps, rule: options.rule, exits: exits.exits,
      threshold: options.threshold,
      trainImages: try choosing.map { try $0.set.fingerprint(ofFirst: $0.count) },
      validationImages: try validation.set.fingerprint(ofFirst: validation.count), statistics: data.statistics,
      chosenOn: choosing?.count, chosenAfter: choosing == nil || skipped == 0 ? nil : skipped,
      isLensFittedOnThem: choosing == nil || skipped == fitted ? nil : true, scoredOn: validation.count)
    let file = run.folder.exitsFile(settings.lens, options.rule)
    try run.checkWritable(file)
    if !replaces, let earlier = try run.folder.exits(in: file), earlier.settings != settings {
      throw FileError(
        path: file.path, problem: "it has results of another network or lens, on other images or with other settings",
        remedy: "replace them with --replace, or move the file away")
    }
  }

  /// Chooses thresholds, scores and times, and writes the results to the run's folder.
  /// - Parameter progress: told the phase, how many of its samples are done and how many there are
  public func run(progress: (Phase, Int, Int) throws -> Void = { _, _, _ in }) throws -> ExitResults {
    let train = try choosing.map { samples in
      try exits.readings(on: samples) { try progress(.choosing, $0, samples.count) }
    }
    let scored = try exits.readings(on: validation) { try progress(.scoring, $0, validation.count) }
    let limits = EarlyExits.limits(of: train ?? scored)
    let chosen = try chosen(limits, train)
    let curve = limits.map { limit in
      let (own, other) = (train.map { exits.outcome($0, from: limit) }, exits.outcome(scored, from: limit))
      return ExitResults.Threshold(
        threshold: options.rule.mirrored(limit), trainAccuracy: own?.accuracy, trainMACs: own?.macs,
        accuracy: other.accuracy, macs: other.macs)
    }
    let (points, left) = try timed(chosen) { try progress(.timing, $0, validation.count) }
    let session = ExitResults.Session(
      checkpoint: run.checkpoint, data: source, batch: validation.batch, device: "\(network.device)",
      program: ResLensVersion.number,
      date: Date.now.formatted(.iso8601))
    let results = try ExitResults(settings, session, curve: curve, points: points, left: left)
    try run.folder.write(results)
    return results
  }

  /// The limits of sureness to run by, with the purposes that they were chosen for.
  private func chosen(
    _ limits: [Double], _ train: EarlyExits.Readings?
  ) throws -> [(choice: ExitResults.Choice, limit: Double)] {
    if let threshold = options.threshold { return [(.given, options.rule.mirrored(threshold))] }
    guard let train else { return [] }
    let (outcomes, whole) = (limits.map { ($0, exits.outcome(train, from: $0)) }, exits.whole(train))
    return [ExitResults.Choice.lossless, .half].compactMap { choice in
      exits.limit(for: choice, among: outcomes, whole: whole).map { (choice, $0) }
    }
  }

  /// Runs the network on all validation samples, without exits and by each limit. The ways take turns batch by batch, so that
  /// all of them meet the same machine.
  private func timed(
    _ chosen: [(choice: ExitResults.Choice, limit: Double)], progress: (Int) throws -> Void
  ) throws -> (points: [ExitResults.Point], left: [ExitResults.Left]) {
    /// The sums of one way.
    struct Way {
      var right = 0, macs = 0.0, seconds = 0.0
      /// The number of samples by the number of steps that ran.
      var left: [Int: Int] = [:]
    }
    let clock = ContinuousClock()
    let last = network.architecture.steps.count
    var ways = [Way](repeating: Way(), count: chosen.count + 1)
    func run(_ way: Int, _ images: Tensor) throws -> (classes: [Int], steps: [Int]) {
      if way > 0 { return try exits.run(images, from: chosen[way - 1].limit) }
      let classes = try exits.classesOfWhole(images)
      return (classes, classes.map { _ in last })
    }
    var done = 0
    try progress(0)
    try validation.forEachBatch { batch in
      for way in ways.indices {
        // The first batch runs once before it is timed: it meets cold memory.
        if done == 0 { _ = try run(way, batch.images) }
        var found: (classes: [Int], steps: [Int]) = ([], [])
        ways[way].seconds += try clock.measure { found = try run(way, batch.images) } / .seconds(1)
        for (sample, label) in batch.classes.enumerated() {
          if found.classes[sample] == label { ways[way].right += 1 }
          let steps = found.steps[sample]
          ways[way].left[steps, default: 0] += 1
          ways[way].macs += Double(
            way == 0 ? network.architecture.multiplyAccumulates : exits.multiplyAccumulates(afterSteps: steps))
        }
      }
      done += batch.classes.count
      try progress(done)
    }
    let count = Double(validation.count)
    let choices = [(choice: ExitResults.Choice.whole, limit: Double?.none)] + chosen.map { ($0.choice, $0.limit) }
    let points = zip(choices, ways).map { chosen, way in
      ExitResults.Point(
        chosen.choice, threshold: chosen.limit.map(options.rule.mirrored), accuracy: Double(way.right) / count,
        macs: way.macs / count, steps: way.left.reduce(0) { $0 + Double($1.key * $1.value) } / count,
        imagesPerSecond: count / way.seconds)
    }
    let left = zip(choices, ways).flatMap { chosen, way in
      way.left.sorted { $0.key < $1.key }.map { ExitResults.Left(chosen.choice, step: $0.key, count: $0.value) }
    }
    return (points, left)
  }
}

extension RunFolder {
  /// The file of the early exits by a lens ("readout" or the name of a kind) and a rule.
  public func exitsFile(_ lens: String, _ rule: ExitRule) -> URL {
    url.appending(path: "exits-\(lens)-\(rule.rawValue).json")
  }

  /// All results of early exits.
  /// - Throws: `FileError` where a file is damaged.
  public func exits() throws -> [ExitResults] {
    let lenses = [ExitResults.Settings.readout] + LensKind.allCases.map(\.rawValue)
    return try lenses.flatMap { lens in try ExitRule.allCases.compactMap { try exits(in: exitsFile(lens, $0)) } }
  }

  /// The results in one file; nil where there is none.
  fileprivate func exits(in file: URL) throws -> ExitResults? {
    guard FileManager.default.fileExists(atPath: file.path) else { return nil }
    return try JSON.read(ExitResults.self, from: file, remedy: "remove it, and call reslens exits again")
  }

  fileprivate func write(_ results: ExitResults) throws {
    try Files.write(JSON.encode(results), to: exitsFile(results.settings.lens, results.settings.rule))
  }
}
