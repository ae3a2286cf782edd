import Foundation
import ResLensSupport
import ResLensTraining

extension StudyFolder {
  /// Takes a run that was trained elsewhere as one of `runs`, whether or not it came to its end: its folder is copied.
  ///
  /// Its configuration must be that of one of the runs, and is replaced by that. A checkpoint that lacks the state of the
  /// training loop is completed from the record of the epochs.
  /// - Parameter images: the numbers of images in a run's data set, which a configuration without such numbers means
  /// - Returns: the run that it became; nil if that run has been begun in this folder already
  /// - Throws: `FileError` if it is none of the runs, or lacks what the training needs in order to go on.
  @discardableResult
  public func adopt(
    _ other: RunFolder, as runs: [PlannedRun], images: (PlannedRun) throws -> (train: Int, validation: Int)
  ) throws -> PlannedRun? {
    let stored = try other.configuration()
    let differences = try runs.map { run -> String? in
      var whole = stored
      let images = try images(run)
      whole.trainSamples = stored.trainSamples ?? images.train
      whole.validationSamples = stored.validationSamples ?? images.validation
      return run.difference(from: whole)
    }
    guard let run = zip(runs, differences).first(where: { $1 == nil })?.0 else {
      throw FileError(
        path: other.configurationFile.path, problem: problem(stored, runs, differences),
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
    try Files.write(YAML.encode(run.configuration), to: beside.configurationFile)
    try? FileManager.default.removeItem(at: place.url)
    try Files.move(beside.url, to: place.url)
    return run
  }

  /// Why a configuration is that of none of the runs, told of the run that is most like it.
  private func problem(_ stored: RunConfiguration, _ runs: [PlannedRun], _ differences: [String?]) -> String {
    let alike = zip(runs, differences).filter { $0.0.configuration.architecture == stored.architecture }
    guard let (run, difference) = alike.first(where: { $0.0.configuration.seed == stored.seed }) ?? alike.first else {
      return "no run of the studies is of this \(stored.architecture.name)"
    }
    return "it is none of the studies' runs: in \(run.folderName), \(difference ?? "nothing") differs"
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
