import Foundation
import Host
import ResidualNetworks
import Results
import Torch
import Training

/// Where studies are done: the folders of their runs, and the pages.
public struct StudyFolder: Sendable {
  /// The folder.
  public let url: URL

  public init(_ url: URL) { self.url = url }

  /// A run's own folder.
  public func folder(of run: PlannedRun) -> RunFolder {
    RunFolder(url.appending(path: "runs").appending(path: run.folderName))
  }

  /// The runs' states, in order.
  public func states(of runs: [PlannedRun]) throws -> [PlannedRun.State] {
    try runs.map { try $0.state(in: folder(of: $0)) }
  }

  /// The results of a study's runs. Runs that have not reached their last epoch do not count.
  public func evidence(for study: Reproduction.PlannedStudy, _ runs: [PlannedRun]) throws -> Evidence {
    Evidence(
      subjects: try study.subjects.map { subject in
        let folders = try subject.runs.filter { try runs[$0].isTrained(in: folder(of: runs[$0])) }
          .map { folder(of: runs[$0]) }
        return Evidence.Subject(
          model: subject.model, data: subject.data, architecture: subject.architecture.name,
          parameters: subject.architecture.trainableParameters,
          runs: try folders.map { .init(epochs: try $0.epochs(), history: try $0.history()) },
          measures: try folders.compactMap { try $0.measures()?.measures })
      })
  }

  /// - Throws: `FileError` where the folder is a run's own, or the runs would not fit on the disk.
  public func check(for runs: [PlannedRun]) throws {
    if RunFolder(url).holdsRun {
      throw FileError(
        path: url.path, problem: "there is a run in this folder", remedy: "name another one for the study with --out")
    }
    try Files.makeFolder(url)
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: url.path)
    guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.int64Value else { return }
    let missing = runs.filter { !folder(of: $0).holdsRun }.map(\.bytes).reduce(0, +)
    guard missing > free else { return }
    func gigabytes(_ bytes: Int64) -> String { String(format: "%.1f GB", Double(bytes) / 1e9) }
    throw FileError(
      path: url.path,
      problem: "there is no space: the runs need about \(gigabytes(missing)), and \(gigabytes(free)) are free",
      remedy: "make room there, choose another place with --out, or do less")
  }

  // MARK: plans for other processes

  /// Runs as a file, by which other processes know what to do.
  public struct Plan: Codable, Equatable, Sendable, Checked {
    /// A process takes one by its place here.
    public var runs: [PlannedRun]

    public init(runs: [PlannedRun]) { self.runs = runs }

    /// The first value that cannot be, and why; nil where all can be.
    public var problem: String? {
      runs.enumerated().lazy.compactMap { index, run in run.problem.map { "runs[\(index)].\($0)" } }.first
    }
  }

  /// Writes the runs' plan, under a name that depends on its contents alone, so that none changes while it is worked on.
  public func write(_ plan: Plan) throws -> URL {
    let data = try JSON.encode(plan)
    let hash = String(RandomStream(seed: 0, name: String(decoding: data, as: UTF8.self)).bits(0), radix: 16)
    let folder = url.appending(path: "plans")
    try Files.makeFolder(folder)
    let file = folder.appending(path: hash + ".json")
    if !FileManager.default.fileExists(atPath: file.path) { try Files.write(data, to: file) }
    return file
  }

  /// The folder and the runs of a plan's file.
  public static func read(_ file: URL) throws -> (folder: StudyFolder, plan: Plan) {
    let plan = try JSON.read(Plan.self, from: file, remedy: "run the study again, which writes it")
    return (StudyFolder(file.deletingLastPathComponent().deletingLastPathComponent()), plan)
  }
}

extension PlannedRun {
  /// About how much its folder takes on the disk: two checkpoints of weights and velocities while one replaces the other,
  /// and what is recorded, about 150 bytes a number's statistics.
  var bytes: Int64 {
    let epochs = configuration.recipe.epochs / (configuration.measure?.every ?? Int.max) + 2
    let recorded = epochs * configuration.architecture.steps.count * 2 * (configuration.measure?.names.count ?? 0) * 150
    return Int64(configuration.architecture.totalParameters * 16 + recorded)
  }
}
