import Foundation
import ResLensSupport
import ResLensTraining

extension StudyFolder {
  /// Takes a run that was trained elsewhere as one of `runs`, whether or not it came to its end: its folder is copied.
  ///
  /// Its configuration must be that of one of the runs. A checkpoint that lacks the state of the training loop is
  /// completed from the record of the epochs.
  /// - Returns: the run that it became; nil if that run has been begun in this folder already
  /// - Throws: `FileError` if it is none of the runs, or lacks what the training needs in order to go on.
  @discardableResult
  public func adopt(_ other: RunFolder, as runs: [PlannedRun]) throws -> PlannedRun? {
    let stored = try other.configuration()
    guard let run = runs.first(where: { $0.difference(from: stored) == nil }) else {
      throw FileError(
        path: other.configurationFile.path, problem: problem(stored, runs),
        remedy: "name the study, scale and data that it was trained for, or train it with their options")
    }
    let place = folder(of: run)
    guard !place.holdsRun else { return nil }
    let beside = RunFolder(place.url.deletingLastPathComponent().appending(path: ".adopting-\(run.folderName)"))
    try? FileManager.default.removeItem(at: beside.url)
    try Files.makeFolder(beside.url.deletingLastPathComponent())
    defer { try? FileManager.default.removeItem(at: beside.url) }
    do {
      try FileManager.default.copyItem(at: other.url, to: beside.url)
    } catch {
      throw FileError(
        path: other.url.path, problem: "it cannot be copied to \(beside.url.path): \(error.localizedDescription)",
        remedy: "make room there, or name another place with --out")
    }
    try beside.completeCheckpoint()
    try? FileManager.default.removeItem(at: place.url)
    try Files.move(beside.url, to: place.url)
    return run
  }

  /// Why a configuration is that of none of the runs, told of the run that is most like it.
  private func problem(_ stored: RunConfiguration, _ runs: [PlannedRun]) -> String {
    let name = stored.architecture.name
    let alike = runs.filter { $0.configuration.architecture == stored.architecture }
    guard let nearest = alike.first(where: { $0.configuration.seed == stored.seed }) ?? alike.first else {
      return "no run of the studies is of this \(name)"
    }
    return
      "it is none of the studies' runs: in \(nearest.folderName), \(nearest.difference(from: stored) ?? "") differs"
  }
}

extension PlannedRun {
  /// The first thing in which a run's stored configuration differs, wherever its data lie; nil if there is none.
  func difference(from stored: RunConfiguration) -> String? {
    var same = configuration
    same.data = stored.data
    return same.firstDifference(from: stored)
  }
}
