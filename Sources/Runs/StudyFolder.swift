import Foundation
import ResLensSupport
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensTraining

/// The folder in which studies are done. It holds the folders of their runs, and their pages.
public struct StudyFolder: Sendable {
  /// The folder.
  public let url: URL

  public init(_ url: URL) { self.url = url }

  /// The folder of a run.
  public func folder(of run: PlannedRun) -> RunFolder {
    RunFolder(url.appending(path: "runs").appending(path: run.folderName))
  }

  /// The states of runs, in order.
  /// - Parameter registry: the measures that the runs' names are of
  public func states(of runs: [PlannedRun], registry: Registry = .standard) throws -> [PlannedRun.State] {
    try runs.map { try $0.state(in: folder(of: $0), registry: registry) }
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

  /// Runs that other processes are to do, as the contents of a file.
  public struct Plan: Codable, Equatable, Sendable, Checked {
    /// The runs. A process names one by its index here.
    public var runs: [PlannedRun]

    public init(runs: [PlannedRun]) { self.runs = runs }

    /// The first value that cannot be, and why; nil where all can be.
    public var problem: String? {
      runs.enumerated().lazy.compactMap { index, run in run.problem.map { "runs[\(index)].\($0)" } }.first
    }
  }

  /// Writes a plan under a name that depends on its contents alone, so that no plan changes while it is worked on.
  public func write(_ plan: Plan) throws -> URL {
    let data = try JSON.encode(plan)
    let hash = TextHash.digits(of: String(decoding: data, as: UTF8.self))
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
  /// About how many bytes the run's folder takes on the disk: two checkpoints of weights and velocities while one replaces
  /// the other, and what is recorded, about 150 bytes a number's statistics.
  var bytes: Int64 {
    let epochs = configuration.recipe.epochs / (configuration.measure?.every ?? Int.max) + 2
    let recorded = epochs * configuration.architecture.steps.count * 2 * (configuration.measure?.names.count ?? 0) * 150
    return Int64(configuration.architecture.totalParameters * 16 + recorded)
  }
}
