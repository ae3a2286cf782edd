import Foundation
import Host
import Results

/// The folder of one run: what was asked for, where it ran, how the epochs went, and its checkpoints.
public struct RunFolder: Sendable {
  public let url: URL

  public init(_ url: URL) { self.url = url }

  public var name: String { url.standardizedFileURL.lastPathComponent }
  public var configurationFile: URL { url.appending(path: "config.yaml") }
  public var environmentFile: URL { url.appending(path: "environment.json") }
  public var epochsFile: URL { url.appending(path: "epochs.csv") }
  public var measuresFile: URL { url.appending(path: "measures.json") }
  public var reportFile: URL { url.appending(path: "report.html") }
  var checkpoints: URL { url.appending(path: "checkpoints") }

  /// Whether a run was begun here.
  public var holdsRun: Bool { FileManager.default.fileExists(atPath: configurationFile.path) }

  /// - Throws: `FileError` where there is no run here or its configuration is damaged.
  public func configuration() throws -> RunConfiguration {
    guard holdsRun else {
      throw FileError(
        path: url.path, problem: "there is no run in this folder", remedy: "name a folder that reslens train made")
    }
    return try YAML.read(RunConfiguration.self, from: configurationFile)
  }

  /// The epochs so far; none where the first is not over.
  public func epochs() throws -> [EpochRecord] {
    guard FileManager.default.fileExists(atPath: epochsFile.path) else { return [] }
    return try EpochRecord.records(
      csv: String(decoding: Files.read(epochsFile), as: UTF8.self), file: epochsFile.path)
  }

  /// What was measured; nil where nothing was.
  public func measures() throws -> MeasureResults? {
    guard FileManager.default.fileExists(atPath: measuresFile.path) else { return nil }
    do {
      return try JSONDecoder().decode(MeasureResults.self, from: Files.read(measuresFile))
    } catch let error as DecodingError {
      throw FileError(
        path: measuresFile.path, problem: "it cannot be read (\(error))", remedy: "measure again: reslens measure")
    }
  }

  /// The newest whole checkpoint; nil before the first.
  public func latestCheckpoint() -> Checkpoint? {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoints.path)) ?? []
    return names.filter { $0.hasPrefix(Checkpoint.prefix) }.max().map {
      Checkpoint(url: checkpoints.appending(path: $0))
    }
  }

  /// The sessions that worked on this run, oldest first.
  public func sessions() throws -> [Session] {
    guard FileManager.default.fileExists(atPath: environmentFile.path) else { return [] }
    return try JSONDecoder().decode(Environment.self, from: Files.read(environmentFile)).sessions
  }

  /// Adds a session to `environment.json`.
  public func add(_ session: Session) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try Files.write(try encoder.encode(Environment(sessions: sessions() + [session])), to: environmentFile)
  }

  private struct Environment: Codable {
    var sessions: [Session]
  }

  /// What one process that trained here ran on.
  public struct Session: Codable, Equatable, Sendable {
    public var command: [String]
    public var reslens: String
    /// The commit of the checkout the program was built in, with "+" where it was changed; nil where it cannot be told.
    public var commit: String?
    public var libtorch: String
    public var cpuCapability: String
    public var device: String
    public var threads: Int
    public var system: String
    /// ISO 8601
    public var started: String

    public init(
      command: [String], reslens: String, commit: String?, libtorch: String, cpuCapability: String, device: String,
      threads: Int, system: String, started: String
    ) {
      self.command = command
      self.reslens = reslens
      self.commit = commit
      self.libtorch = libtorch
      self.cpuCapability = cpuCapability
      self.device = device
      self.threads = threads
      self.system = system
      self.started = started
    }
  }
}
