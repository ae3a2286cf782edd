import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensTorch
import ResLensTraining

/// The newest network of a run, to be measured into its folder.
public struct RunMeasuring {
  /// The run's folder.
  public let folder: RunFolder
  /// The network of the newest checkpoint.
  public let network: ResidualNetwork
  private let registry: Registry
  fileprivate let group: ProcessGroup?
  /// The checkpoint's name and epoch.
  let checkpoint: String
  private let epoch: Int

  /// The samples to measure on.
  public struct Data {
    /// The source of the samples, as results name it.
    public var source: String
    /// The statistics by which the samples are normalised.
    public var statistics: ChannelStatistics
    /// True if the samples are of the data set that the run is trained on.
    public var isOwn: Bool
    /// The samples that the network was trained on.
    public var train: Samples
    /// The samples that it was not trained on.
    public var validation: Samples
    /// The names of the classes; empty where they are not known.
    public var classNames: [String] = []
    /// The number of the data's train images that count as trained on, the first ones; nil where it is not known.
    public var trainedOn: Int?

    public init(source: String, statistics: ChannelStatistics, isOwn: Bool, train: Samples, validation: Samples) {
      self.source = source
      self.statistics = statistics
      self.isOwn = isOwn
      self.train = train
      self.validation = validation
    }
  }

  /// - Parameters:
  ///   - device: the device that computes
  ///   - registry: the measures that can be taken
  ///   - group: processes that share the work; the first of them reads and writes
  /// - Throws: `FileError` where there is no checkpoint, or one of another architecture.
  public init(
    _ folder: RunFolder, expecting architecture: Architecture, on device: Device = .cpu,
    registry: Registry = .standard, by group: ProcessGroup? = nil
  ) throws {
    (self.folder, self.registry, self.group) = (folder, registry, group)
    guard group.isFirst else {
      let network = try ResidualNetwork(architecture, seed: 0)
      try group?.broadcastByName(network.parameters)
      (self.network, self.checkpoint, epoch) = (try network.moved(to: device), "", 0)
      return
    }
    let (network, checkpoint) = try Self.newest(folder, architecture)
    try group?.broadcastByName(network.parameters)
    self.network = try network.moved(to: device)
    (self.checkpoint, epoch) = (checkpoint.url.lastPathComponent, checkpoint.epoch ?? 0)
  }

  private static func newest(
    _ folder: RunFolder, _ architecture: Architecture
  ) throws -> (ResidualNetwork, Checkpoint) {
    guard let checkpoint = folder.latestCheckpoint() else {
      throw FileError(
        path: folder.url.path, problem: "there is no checkpoint in this run yet",
        remedy: "let it train for an epoch: reslens train --resume --out \(folder.url.path.shellQuoted)")
    }
    do {
      return (try checkpoint.network(expecting: architecture), checkpoint)
    } catch  where folder.latestCheckpoint()?.url != checkpoint.url {
      // The run is being trained, and a newer checkpoint has just taken this one's place.
      return try newest(folder, architecture)
    }
  }

  /// Measures, and writes the results beside those of earlier calls on the same network.
  /// - Parameters:
  ///   - replaces: true to lose results of earlier calls that cannot stay
  ///   - note: told, before anything is measured, of earlier results that this call replaces
  /// - Returns: what this call found
  /// - Throws: `FileError`, before anything is measured, where results would be lost or the folder cannot be written
  ///   to; `MeasureError` for a measure that is not possible.
  public func measure(
    _ options: MeasureOptions, on data: Data, replaces: Bool = false, note: (String) -> Void = { _ in },
    progress: (MeasureSuite.Phase, Int, Int) throws -> Void = { _, _, _ in }
  ) throws -> MeasureResults {
    try prepared(options, on: data, replaces: replaces, note: note).run(progress: progress)
  }

  /// A call of measures that has passed all checks, and that `run` carries out.
  public struct Prepared {
    fileprivate let run: RunMeasuring
    fileprivate let suite: MeasureSuite
    fileprivate let options: MeasureOptions
    /// The results but for their tables.
    fileprivate let frame: MeasureResults

    /// The file that the results are written to.
    public var file: URL { run.folder.measuresFile(options.way) }

    /// Measures, and writes the results beside those of earlier calls on the same network.
    /// - Returns: what this call found
    public func run(
      progress: (MeasureSuite.Phase, Int, Int) throws -> Void = { _, _, _ in }
    ) throws -> MeasureResults {
      var found = frame
      let results = try suite.run(progress: progress)
      (found.tables, found.absent) = (results.tables, results.absent)
      guard run.group.isFirst else { return found }
      var all = found
      // Another call may have ended meanwhile.
      if var earlier = run.earlier(options.way), earlier.difference(from: found) == nil {
        earlier.add(found, asked: options.names)
        all = earlier
        (all.checkpoint, all.epoch, all.run, all.data) = (found.checkpoint, found.epoch, found.run, found.data)
      }
      try run.folder.write(all)
      return found
    }
  }

  /// The run's lens of a kind, which the first process reads.
  func lens(_ kind: LensKind) throws -> TrainedLens {
    let lens = group.isFirst ? try folder.lens(kind, of: network) : try TrainedLens(empty: kind, of: network)
    try group?.broadcastByName(lens.tensors)
    return try lens.moved(to: network.device)
  }

  /// Makes sure that measures can be taken and that their results can be written.
  /// - Parameters:
  ///   - replaces: true to lose results of earlier calls that cannot stay
  ///   - listBorderline: receives every borderline example
  ///   - perSample: receives the tables of every sample alone, with its split and its index in it
  ///   - note: told of earlier results that will be replaced
  /// - Throws: `FileError` where results would be lost or the folder cannot be written to; `MeasureError` for a measure
  ///   that is not possible.
  public func prepared(
    _ options: MeasureOptions, on data: Data, replaces: Bool = false,
    listBorderline: ((Split, BorderlineExample) -> Void)? = nil,
    perSample: ((Split, Int, [Table]) throws -> Void)? = nil, note: (String) -> Void = { _ in }
  ) throws -> Prepared {
    // A lens is asked for only where it can be used.
    try options.check(for: network.architecture, trainImages: data.train.set.count, registry: registry)
    let lens = try options.lens.map { try self.lens($0) }
    let suite = try MeasureSuite(
      network, options, registry: registry, train: data.train, validation: data.validation, lens: lens, by: group,
      listBorderline: listBorderline, perSample: group.isFirst ? perSample : nil)
    let frame = MeasureResults(
      run: folder.name, architecture: network.architecture.name, checkpoint: checkpoint, epoch: epoch,
      data: data.source,
      batchNorm: options.batchNorm, lens: try lens?.identity,
      recalibrationBatches: options.way == .recalibrated ? options.recalibrationBatches : nil,
      batch: options.batchNorm == .batch ? data.train.batch : nil,
      provenance: Provenance(
        weights: try network.fingerprint(), statistics: data.statistics, isOwnData: data.isOwn),
      samplings: try MeasureResults.Sampling.now(
        train: data.train, validation: data.validation, program: ResLensVersion.number),
      steps: network.architecture.steps)
    let file = folder.measuresFile(options.way)
    if group.isFirst { try checkWritable(file) }
    if !replaces { try checkReadable(options.way) }
    if let earlier = earlier(options.way),
      let replaced = replaced(earlier, by: frame, options.names, suite.parameters)
    {
      guard replaces || replaced.isMeasuredAgain else {
        throw FileError(
          path: file.path, problem: replaced.sentence, remedy: "replace them with --replace, or move the file away")
      }
      note("note: in \(file.path), \(replaced.sentence)")
    }
    return Prepared(run: self, suite: suite, options: options, frame: frame)
  }

  /// The results of an earlier call that a new one takes away, as a sentence, and whether it measures all of them
  /// again on as many samples; nil where all results stay.
  private func replaced(
    _ earlier: MeasureResults, by found: MeasureResults, _ asked: Set<String>, _ parameters: [String: [String: Cell]]
  ) -> (sentence: String, isMeasuredAgain: Bool)? {
    var (names, reason) = (
      earlier.lost(to: found, with: parameters), "because it takes the same measures with other settings"
    )
    var isMeasuredAgain = false
    if let difference = found.difference(from: earlier) {
      names = earlier.names
      let isWider = Split.allCases.contains { (earlier.samples(of: $0) ?? 0) > (found.samples(of: $0) ?? 0) }
      isMeasuredAgain = names.isSubset(of: asked) && !isWider
      reason = "because of a difference in \(difference)"
    }
    guard !names.isEmpty else { return nil }
    let counts = earlier.samplings.map { "\($0.samples) \($0.split.rawValue) images (\($0.date))" }
    let sentence =
      "\(names.sorted().joined(separator: ", ")), measured on \(counts.joined(separator: ", ")), cannot stay in one "
      + "file with what this call measures, \(reason)"
    return (sentence, isMeasuredAgain)
  }

  /// - Throws: `FileError` if there are results of earlier calls that cannot be read, and so cannot stay beside new ones.
  private func checkReadable(_ way: MeasuringWay) throws {
    guard group.isFirst else { return }
    do {
      _ = try folder.measures(way)
    } catch let error as FileError {
      throw FileError(
        path: error.path, problem: "\(error.problem); earlier results in it cannot stay beside new ones",
        remedy: "move the file away, or replace it with --replace")
    }
  }

  /// The results of earlier calls; nil where there are none, where the file cannot be read (damaged, of another
  /// format or architecture), or where this is not the first process.
  fileprivate func earlier(_ way: MeasuringWay) -> MeasureResults? {
    group.isFirst ? try? folder.measures(way) : nil
  }
}
