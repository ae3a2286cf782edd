import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// The folder of one run: what was asked for, where it ran, how the epochs went, and its checkpoints.
public struct RunFolder: Sendable {
  /// The folder, which need not be there yet.
  public let url: URL

  public init(_ url: URL) { self.url = url }

  /// The folder's own name.
  public var name: String { url.standardizedFileURL.lastPathComponent }
  /// `RunConfiguration` in YAML; a folder with it holds a run.
  public var configurationFile: URL { url.appending(path: "config.yaml") }
  /// The sessions that trained here, in JSON.
  public var environmentFile: URL { url.appending(path: "environment.json") }
  /// A line an epoch (`EpochRecord`).
  public var epochsFile: URL { url.appending(path: "epochs.csv") }
  /// `MeasureResults` by running statistics, in JSON.
  public var measuresFile: URL { measuresFile(.usual) }
  /// The file of the results of measuring in this way.
  public func measuresFile(_ way: MeasuringWay) -> URL { url.appending(path: "measures\(way.suffix).json") }
  /// The file of the trained lens of this kind.
  public func lensFile(_ kind: LensKind) -> URL { url.appending(path: "lens-\(kind.rawValue).safetensors") }
  /// The folder of what was measured while training.
  public var historyFolder: URL { url.appending(path: "measures") }
  /// The page of `reslens report`.
  public var reportFile: URL { url.appending(path: "report.html") }
  /// Says of a study's run why it cannot be trained to its end.
  public var divergenceFile: URL { url.appending(path: "diverged.txt") }
  /// The reason why the run could not be trained to its end; nil where it has none.
  public var divergence: String? {
    (try? String(contentsOf: divergenceFile, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
  }
  var checkpoints: URL { url.appending(path: "checkpoints") }

  /// True if a run was begun here.
  public var holdsRun: Bool { FileManager.default.fileExists(atPath: configurationFile.path) }

  /// - Throws: `FileError` where there is no run here or its configuration is damaged.
  public func configuration() throws -> RunConfiguration {
    guard holdsRun else {
      let isRun = [epochsFile, measuresFile, checkpoints].contains {
        FileManager.default.fileExists(atPath: $0.path)
      }
      throw FileError(
        path: url.path,
        problem: isRun ? "its \(configurationFile.lastPathComponent) is missing" : "there is no run in this folder",
        remedy: isRun ? "put the file back: it says what was trained" : "name a folder that reslens train made")
    }
    return try YAML.read(RunConfiguration.self, from: configurationFile)
  }

  /// The epochs so far; none where the first is not over.
  public func epochs() throws -> [EpochRecord] {
    guard FileManager.default.fileExists(atPath: epochsFile.path) else { return [] }
    do {
      return try EpochRecord.records(
        csv: String(decoding: Files.read(epochsFile), as: UTF8.self), file: epochsFile.path)
    } catch let error as MalformedResult {
      throw FileError(
        path: error.file, problem: error.problem,
        remedy: "write it again from the run's checkpoint: reslens train --resume --out \(url.path.shellQuoted)")
    }
  }

  /// The results of measuring in this way; nil where there are none.
  public func measures(_ way: MeasuringWay = .usual) throws -> MeasureResults? {
    let file = measuresFile(way)
    guard FileManager.default.fileExists(atPath: file.path) else { return nil }
    // A call that measures in another way replaces no usual results.
    let remedy =
      way.option.map { "remove it, and measure again: reslens measure \(url.path.shellQuoted) \($0)" }
      ?? "measure again: reslens measure \(url.path.shellQuoted) --replace"
    let found = try results(file, remedy: remedy)
    let own = holdsRun ? try configuration().architecture.name : found.architecture
    guard found.architecture == own else {
      throw FileError(path: file.path, problem: "it is of \(found.architecture), the run is of \(own)", remedy: remedy)
    }
    return found
  }

  /// Why what was measured is not of the run as it ended, on its own data; nil where it is.
  public func mismatch(of measures: MeasureResults) throws -> String? {
    let provenance = measures.provenance
    if let newest = latestCheckpoint() {
      if measures.checkpoint != newest.url.lastPathComponent {
        return "its measures are of \(measures.checkpoint), not of its newest checkpoint"
      }
      if try newest.network().fingerprint() != provenance.weights {
        return "its measures are of other weights than those in \(newest.weightsFile.path)"
      }
    }
    if let statistics = try configuration().statistics, statistics != provenance.statistics {
      return
        "its measures are of inputs normalised by other statistics than those in \(configurationFile.lastPathComponent)"
    }
    return provenance.isOwnData ? nil : "its measures are of other data (\(measures.data))"
  }

  /// The results recorded during training, in the order of the epochs.
  public func history() throws -> [MeasureResults] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: historyFolder.path)) ?? []
    return try names.filter { $0.hasPrefix(Self.epochPrefix) && $0.hasSuffix(".json") }.sorted().map {
      try results(historyFolder.appending(path: $0), remedy: Self.historyRemedy)
    }
  }

  /// The results of measuring, completed by results that were recorded for the same checkpoint, perhaps on other
  /// samples. Where nothing was measured, these are the recorded results.
  /// - Parameter epoch: after which it was recorded
  /// - Returns: nil where there is nothing; and what of it was recorded beside what was measured
  public func measures(recordedAfter epoch: Int) throws -> (known: MeasureResults?, recorded: Recorded?) {
    let last = try history().last { $0.epoch == epoch && $0.batchNorm == .running }
    guard var known = try measures() else { return (last, nil) }
    guard let last else { return (known, nil) }
    let names = known.complete(by: last)
    return (
      known,
      names.isEmpty
        ? nil
        : Recorded(
          names: names.sorted(), train: last.samples(of: .train) ?? 0, validation: last.samples(of: .validation) ?? 0)
    )
  }

  /// Measures that were taken while a run was trained.
  public struct Recorded {
    /// As `measures.json` calls them, in alphabetical order.
    public var names: [String]
    /// The number of train samples, the first ones.
    public var train: Int
    /// The number of validation samples, the first ones.
    public var validation: Int
  }

  private func results(_ file: URL, remedy: String) throws -> MeasureResults {
    struct Layout: Decodable { var format: Int }
    let format = try JSON.read(Layout.self, from: file, remedy: remedy).format
    guard format == MeasureResults.format else {
      throw FileError(
        path: file.path, problem: "it has format \(format), this program reads \(MeasureResults.format)", remedy: remedy
      )
    }
    return try JSON.read(MeasureResults.self, from: file, remedy: remedy)
  }

  /// Writes `measures.json`, or the file of another way of measuring.
  public func write(_ results: MeasureResults) throws {
    try Files.write(JSON.encode(results), to: measuresFile(results.way))
  }

  /// Writes what was measured after an epoch of training.
  public func writeHistory(_ results: MeasureResults) throws {
    try Files.makeFolder(historyFolder)
    try Files.write(JSON.encode(results), to: historyFile(results.epoch))
  }

  /// The results recorded after an epoch of training; nil if there are none.
  public func history(after epoch: Int) throws -> MeasureResults? {
    let file = historyFile(epoch)
    return FileManager.default.fileExists(atPath: file.path) ? try results(file, remedy: Self.historyRemedy) : nil
  }

  private func historyFile(_ epoch: Int) -> URL {
    historyFolder.appending(path: Self.epochPrefix + String(format: "%05d.json", epoch))
  }

  private static let historyRemedy = "remove it: that epoch is then missing in reports"

  private static let epochPrefix = "epoch-"
  /// The checkpoints, oldest first.
  public func checkpointList() -> [Checkpoint] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoints.path)) ?? []
    return names.filter { $0.hasPrefix(Checkpoint.prefix) }.sorted().map {
      Checkpoint(url: checkpoints.appending(path: $0))
    }
  }

  /// The newest checkpoint; nil before the first.
  public func latestCheckpoint() -> Checkpoint? { checkpointList().last }

  /// Gives the newest checkpoint the state of the training loop, if it lacks it and is of a whole epoch: the record of the
  /// epochs is all of that state.
  /// - Throws: `FileError` if the epochs are not recorded, or the checkpoint is of a part of an epoch.
  package func completeCheckpoint() throws {
    guard let checkpoint = latestCheckpoint(), !FileManager.default.fileExists(atPath: checkpoint.loopFile.path) else {
      return
    }
    let records = try epochs()
    guard let epoch = checkpoint.epoch, checkpoint.url.lastPathComponent == Checkpoint.name(epoch: epoch) else {
      throw FileError(
        path: checkpoint.loopFile.path, problem: "it is missing, and the checkpoint is of a part of an epoch",
        remedy: "take the file from the machine that the run was trained on, or the checkpoint of a whole epoch")
    }
    guard records.count >= epoch else {
      throw FileError(
        path: epochsFile.path, problem: "it has \(records.count) epochs, and the checkpoint is of epoch \(epoch)",
        remedy: "take the whole folder from the machine that the run was trained on")
    }
    let loop = Checkpoint.Loop(epoch: epoch, records: Array(records.prefix(epoch)))
    try Files.write(JSON.encode(loop), to: checkpoint.loopFile)
  }

  /// The weights of the first checkpoint of a run, before any training.
  public var weightsFileOfUntrained: URL {
    Checkpoint(url: checkpoints.appending(path: Checkpoint.name(epoch: 0))).weightsFile
  }

  /// Makes a run of a network before any training here: the first checkpoint, and then the configuration, by which the folder
  /// holds a run.
  /// - Parameter replacesCheckpoint: whether a checkpoint may be lost that an earlier call left without a configuration
  /// - Throws: `FileError` where there is a run already, or a file cannot be written.
  public func begin(
    _ configuration: RunConfiguration, with network: ResidualNetwork, replacesCheckpoint: Bool = false
  ) throws {
    try requireNoRun()
    if !replacesCheckpoint { try requireNoLostRun() }
    let trainable = configuration.architecture.parameters.filter(\.isTrainable)
    let velocities = try trainable.map { ($0.path, try Tensor.zeros($0.shape)) }
    try Files.makeFolder(url)
    try? FileManager.default.removeItem(at: checkpoints)
    _ = try Checkpoint.write(
      network, velocities: Dictionary(uniqueKeysWithValues: velocities), Checkpoint.Loop(), in: self)
    try Files.write(YAML.encode(configuration), to: configurationFile)
  }

  /// - Throws: `FileError` where there is a checkpoint, but no configuration.
  public func requireNoLostRun() throws(FileError) {
    guard !holdsRun, let checkpoint = latestCheckpoint() else { return }
    let name = configurationFile.lastPathComponent
    throw FileError(
      path: checkpoint.url.path, problem: "there is a checkpoint here, but no \(name)",
      remedy: "put \(name) back, or name another folder with --out")
  }

  /// - Throws: `FileError` where there is a run in the folder.
  public func requireNoRun() throws(FileError) {
    guard !holdsRun else {
      throw FileError(
        path: url.path, problem: "there is a run in this folder already", remedy: "name another with --out")
    }
  }

  /// The sessions that worked on this run, oldest first.
  public func sessions() throws -> [Session] {
    guard FileManager.default.fileExists(atPath: environmentFile.path) else { return [] }
    return try JSON.read(Environment.self, from: environmentFile, remedy: "remove it").sessions
  }

  /// Adds a session to `environment.json`.
  public func add(_ session: Session) throws {
    try Files.write(
      JSON.encode(Environment(sessions: sessions() + [session]), pretty: true), to: environmentFile)
  }

  private struct Environment: Codable {
    var sessions: [Session]
  }

  /// One call that trained in this folder: its program, machine, device and threads.
  public struct Session: Codable, Equatable, Sendable {
    /// The program and its arguments, as they were called.
    public var command: [String]
    /// The program's version.
    public var reslens: String
    /// The commit of the checkout that the program lay in, with "+" where it was changed; nil where it cannot be told.
    public var commit: String?
    /// libtorch's version.
    public var libtorch: String
    /// The instruction set that libtorch uses, for instance "AVX512".
    public var cpuCapability: String
    /// The device that computed: "cpu".
    public var device: String
    /// libtorch's, of each process.
    public var threads: Int
    /// That shared the work; nil where there was one.
    public var processes: Int?
    /// True if they normalised by the statistics of whole batches; nil is no.
    public var synchronisesStatistics: Bool?
    /// The operating system's name and version.
    public var system: String
    /// ISO 8601
    public var started: String

    public init(
      command: [String], reslens: String, commit: String?, libtorch: String, cpuCapability: String, device: String,
      threads: Int, processes: Int? = nil, system: String, started: String
    ) {
      self.command = command
      self.reslens = reslens
      self.commit = commit
      self.libtorch = libtorch
      self.cpuCapability = cpuCapability
      self.device = device
      self.threads = threads
      self.processes = processes
      self.system = system
      self.started = started
    }
  }
}
