import Foundation
import ResLensSupport
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensTorch
import ResLensTraining

/// Drops steps of a run's network one after the other, scores what is left, and makes a run of the smaller network.
public struct Pruning {
  private let source: RunFolder
  private let configuration: RunConfiguration
  private let network: ResidualNetwork
  private let data: RunMeasuring.Data
  private let options: Options
  private let settings: PruningResults.Settings
  /// The orders, each with the steps in the order in which they go; nil for the greedy order.
  private let orders: [(order: DropOrder, steps: [Int]?)]
  private let recalibration: Recalibration?
  /// The smaller network's name.
  private let name: String

  /// How a network is pruned.
  public struct Options: Sendable {
    /// The number of steps to drop.
    public var drop: Int
    /// The orders, at least one. The smaller network is that of the first one; the others are scored beside it.
    public var orders: [DropOrder]
    /// The number of train images on which the greedy order is chosen, the first ones; nil for `usuallyChosenOn`, or for all
    /// if there are fewer.
    public var chosenOn: Int?
    /// The number of batches of train images on which the running statistics behind each dropped step are recalibrated; nil
    /// to keep the trained statistics.
    public var recalibrationBatches: Int?

    /// The number of train images on which the greedy order is chosen if nothing else is asked for.
    public static let usuallyChosenOn = 2000

    public init(drop: Int, orders: [DropOrder] = [.greedy], chosenOn: Int? = nil, recalibrationBatches: Int? = nil) {
      (self.drop, self.orders, self.chosenOn) = (drop, orders, chosenOn)
      self.recalibrationBatches = recalibrationBatches
    }
  }

  /// The current phase.
  public enum Phase: Equatable, Sendable {
    /// The choice of the step to drop as number `drop`.
    case choosing(drop: Int)
    /// The scores by one order.
    case scoring(order: String)
  }

  /// - Parameters:
  ///   - measures: the descriptions of the measures by whose quantities steps are ordered
  ///   - data: the train and validation samples
  /// - Throws: `ArgumentError` for anything that is not possible, before any work; `MeasureError` for more batches of
  ///   recalibration than there are; `FileError` where the run has no checkpoint or its measures cannot be used.
  public init(
    _ source: RunFolder, _ options: Options, measures: [MeasureDescription], on data: RunMeasuring.Data, device: Device
  ) throws {
    (self.source, self.options, self.data) = (source, options, data)
    configuration = try source.configuration()
    let network = try RunMeasuring(source, expecting: configuration.architecture, on: device).network
    self.network = network
    let images = data.train.set
    let chosenOn = options.chosenOn ?? min(Options.usuallyChosenOn, images.count)
    try ArgumentError.check("choose-on", chosenOn, in: 1...images.count)
    recalibration = try options.recalibrationBatches.map { try Recalibration(batches: $0, on: data.train) }
    let isGreedy = options.orders.contains(.greedy)
    let used = max(isGreedy ? chosenOn : 0, (options.recalibrationBatches ?? 0) * Recalibration.batch)
    settings = PruningResults.Settings(
      architecture: network.architecture.name, weights: try network.fingerprint(), data: data.source,
      trainImages: used == 0 ? nil : try images.fingerprint(ofFirst: used),
      validationImages: try data.validation.set.fingerprint(ofFirst: data.validation.count),
      statistics: data.statistics, chosenOn: isGreedy ? chosenOn : nil, scoredOn: data.validation.count,
      recalibrationBatches: options.recalibrationBatches)
    let most = try DroppedSteps.most(of: network)
    guard (1...max(1, most)).contains(options.drop), most > 0 else {
      throw ArgumentError(
        "drop",
        "\(options.drop) steps cannot be dropped from \(network.architecture.name): at most \(most) can, as steps with a "
          + "projection stay, and so does one step of every stage")
    }
    guard !options.orders.isEmpty else { throw ArgumentError("by", "there is no order") }
    name = "\(network.architecture.name)-minus-\(options.drop)"
    // A network that cannot be made smaller is refused before any work; it does not matter which steps go.
    var any = DroppedSteps(network)
    while any.dropped.count < options.drop, let step = try any.candidates.first { try any.drop(step) }
    _ = try network.removingDroppedSteps(of: any.plan, named: name)
    let needsMeasures = options.orders.contains { $0 != .greedy }
    let tables = needsMeasures ? try Self.tables(of: source) : MeasuredTables()
    orders = try options.orders.map { order in
      guard let ranked = try order.steps(measures, tables, of: source) else { return (order, nil) }
      var left = DroppedSteps(network)
      for step in ranked where left.dropped.count < options.drop {
        if try left.candidates.contains(step) { try left.drop(step) }
      }
      guard left.dropped.count == options.drop else {
        throw ArgumentError(
          "by",
          "\(order.name) has a value at \(left.dropped.count) of the steps that can be dropped, fewer than \(options.drop)"
        )
      }
      return (order, left.dropped)
    }
  }

  /// - Throws: `FileError` where the network that the run now has was not measured on the run's own data.
  private static func tables(of run: RunFolder) throws -> MeasuredTables {
    let remedy = "run: reslens measure \(run.url.relativePath.shellQuoted)"
    guard let measures = try run.measures() else {
      throw FileError(
        path: run.url.relativePath, problem: "it has not been measured, and steps are ordered by a measure",
        remedy: remedy)
    }
    if let mismatch = try run.mismatch(of: measures) {
      throw FileError(path: run.measuresFile.path, problem: mismatch, remedy: remedy + " --replace")
    }
    return measures.widest
  }

  /// Prunes, and makes a run of the smaller network. What was found is written after each chosen step and each scored
  /// order, so that the same call goes on where an earlier one was cut off.
  /// - Parameter progress: told the phase, how many of its samples are done and how many there are
  /// - Throws: `FileError` where there is a run in the folder, or a pruning with other settings, or another process works
  ///   there.
  public func run(
    into folder: RunFolder, progress: (Phase, Int, Int) throws -> Void = { _, _, _ in }
  ) throws -> PruningResults {
    try Files.makeFolder(folder.url)
    let lock = try FolderLock(folder.url)
    defer { withExtendedLifetime(lock) {} }
    try folder.requireNoRun()
    var results = try started(in: folder)
    for (order, steps) in orders {
      let curve = try results.curve(of: order.name)
      if curve.count > options.drop, steps == nil || curve.dropped.prefix(options.drop) == steps?[...] { continue }
      var left = DroppedSteps(network, recalibration: recalibration)
      var plans = [left.plan]
      for number in 1...options.drop {
        if let steps {
          try left.drop(steps[number - 1])
        } else {
          try dropCheapest(number, of: &left, &results, in: folder, progress)
        }
        plans.append(left.plan)
      }
      let phase = Phase.scoring(order: order.name)
      let scores = try left.network.scores(by: plans, on: data.validation) {
        try progress(phase, $0, data.validation.count)
      }
      try results.set(self.curve(of: order, left.dropped, scores), of: order.name)
      try folder.write(results)
    }
    results.removed = Array(try results.curve(of: orders[0].order.name).dropped.prefix(options.drop))
    try folder.write(results)
    try begin(folder, without: results.removed)
    return results
  }

  /// The results of an earlier call that was cut off; empty ones where there are none.
  /// - Throws: `FileError` where they are of other settings, or where something else was in the folder.
  private func started(in folder: RunFolder) throws -> PruningResults {
    guard let found = try folder.pruning() else {
      try folder.requireNoLostRun()
      return try PruningResults(of: source.url.relativePath, settings)
    }
    guard found.settings == settings else {
      throw FileError(
        path: folder.pruningFile.path,
        problem: "it is of a pruning of another network, on other images or with other settings",
        remedy: "name another folder with --out, or remove the file")
    }
    return found
  }

  /// Drops the next step of the greedy order: the one that an earlier call chose, or the best candidate.
  private func dropCheapest(
    _ number: Int, of left: inout DroppedSteps, _ results: inout PruningResults, in folder: RunFolder,
    _ progress: (Phase, Int, Int) throws -> Void
  ) throws {
    let rounds = try results.rounds()
    guard rounds.count >= number, let known = rounds[number - 1].best else {
      let choosing = try Samples(
        data.train.set, count: settings.chosenOn, batch: data.train.batch, maker: data.train.maker)
      try results.add(
        left.dropCheapest(on: choosing) { try progress(.choosing(drop: number), $0, choosing.count) })
      return try folder.write(results)
    }
    guard try left.candidates.contains(known.step) else {
      throw FileError(
        path: folder.pruningFile.path, problem: "it drops step \(known.step), which has to stay",
        remedy: "remove it, and prune again")
    }
    try left.drop(known.step)
  }

  private func curve(of order: DropOrder, _ dropped: [Int], _ scores: [Score]) -> [PruningResults.Point] {
    var macs = network.architecture.multiplyAccumulates
    return zip([nil] + dropped.map(Optional.init), scores).enumerated().map { index, point in
      let (step, score) = point
      if let step { macs -= network.architecture.steps[step - 1].macs }
      return .init(order: order.name, dropped: index, step: step, macs: macs, score: score)
    }
  }

  /// Makes a run of the smaller network.
  private func begin(_ folder: RunFolder, without steps: [Int]) throws {
    var left = DroppedSteps(network, recalibration: recalibration)
    for step in steps {
      guard try left.candidates.contains(step) else {
        throw FileError(
          path: folder.pruningFile.path, problem: "it drops step \(step), which has to stay",
          remedy: "remove it, and prune again")
      }
      try left.drop(step)
    }
    let smaller = try left.network.removingDroppedSteps(of: left.plan, named: name).moved(to: .cpu)
    var pruned = try RunConfiguration(
      imported: smaller, from: folder.weightsFileOfUntrained, data: configuration.data,
      statistics: configuration.statistics ?? data.statistics)
    pruned.dataStatistics = configuration.dataStatistics
    (pruned.trainSamples, pruned.validationSamples) = (configuration.trainSamples, configuration.validationSamples)
    try folder.begin(pruned, with: smaller, replacesCheckpoint: true)
  }
}

extension [PruningResults.Point] {
  /// The numbers of the steps that were dropped one after the other.
  fileprivate var dropped: [Int] { compactMap(\.step) }
}

extension RunFolder {
  /// The results of the pruning by which the run was made.
  public var pruningFile: URL { url.appending(path: "pruning.json") }

  /// The results of the pruning by which the run was made; nil where it was made otherwise.
  /// - Throws: `FileError` where the file is damaged.
  public func pruning() throws -> PruningResults? {
    guard FileManager.default.fileExists(atPath: pruningFile.path) else { return nil }
    return try JSON.read(PruningResults.self, from: pruningFile, remedy: "remove it, and prune again")
  }

  fileprivate func write(_ results: PruningResults) throws { try Files.write(JSON.encode(results), to: pruningFile) }
}
