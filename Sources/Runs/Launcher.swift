import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensTorch
import ResLensTraining

/// A way to get many runs done.
public protocol Launcher {
  /// The launcher's answer when it is asked to stop, for instance "stopping after this step, and saving".
  var answerToStop: String { get }
  /// The message to the user after it was stopped.
  var noteAfterStop: String { get }

  /// Does what is left of the runs.
  /// - Parameters:
  ///   - datasets: loads the data set of a source
  ///   - shouldStop: asked again and again; once it returns true, the runs save and the call returns
  /// - Throws: `FileError` where a run fails.
  func launch(
    _ runs: [PlannedRun], in folder: StudyFolder, datasets: (String) throws -> ImageDataset, shouldStop: () -> Bool,
    log: any RunLog
  ) throws -> LaunchOutcome
}

extension Launcher {
  public var noteAfterStop: String { "stopped and saved; the same call again continues" }
}

/// How a launch ended.
public enum LaunchOutcome: Equatable, Sendable {
  /// Every run is finished, or has diverged and cannot be finished.
  case done
  /// The launch was stopped.
  case stopped
  /// The script that would be submitted; nothing was done.
  case script(String)
  /// The script was asked for, but no run is left to submit.
  case nothingToDo
}

/// One run after the other in this process, or on a GPU several at once.
public struct LocalQueue: Launcher {
  private let device: Device
  private let atOnce: Int?
  private let threads: Int?
  private let registry: Registry

  /// - Parameters:
  ///   - device: the device that computes
  ///   - threads: the number of threads of a training; nil for the number that a resumed run had before
  ///   - atOnce: the largest number of runs at once; nil for what is usual on the device
  ///   - registry: the measures that the runs' names are of
  public init(device: Device = .cpu, threads: Int? = nil, atOnce: Int? = nil, registry: Registry = .standard) {
    (self.device, self.threads, self.atOnce, self.registry) = (device, threads, atOnce, registry)
  }

  public var answerToStop: String { "stopping after this step, and saving" }

  public func launch(
    _ runs: [PlannedRun], in folder: StudyFolder, datasets: (String) throws -> ImageDataset, shouldStop: () -> Bool,
    log: any RunLog
  ) throws -> LaunchOutcome {
    let states = try folder.states(of: runs, registry: registry)
    let left = runs.indices.filter { states[$0].isUnfinished }
    if left.isEmpty {
      log.note("all done: \(counted(runs.count, "run"))")
      return .done
    }
    log.note("\(counted(runs.count, "run")), \(runs.count - left.count) of them done already")
    let work = PlannedRunWork(in: folder, registry: registry, device: device, threads: threads)
    /// The unit of progress: images through the network, weighted by the network's size.
    func cost(_ run: PlannedRun) throws -> Int {
      try run.images(in: datasets(run.configuration.data))
        * (run.configuration.architecture.multiplyAccumulates / 1000)
    }
    let total = try left.map { try cost(runs[$0]) }.reduce(0, +)
    let began = ContinuousClock.now
    var done = 0
    var isStopped = false
    // A run that fails would fail again. The others save.
    try TakingTurns(on: device, atOnce: atOnce).each(left.count) { count, turn in
      if isStopped { return }
      let run = runs[left[count]]
      let share = Double(done) / Double(max(1, total))
      let seconds = (ContinuousClock.now - began) / .seconds(1)
      let rest = done > 0 ? ", about \(spoken(seconds: seconds * (1 - share) / share)) left" : ""
      log.note("run \(count + 1) of \(left.count) (\(decimal(100 * share, 0)) %\(rest)): \(run.folderName)")
      do {
        let isDone = try work.run(
          run, on: datasets(run.configuration.data),
          shouldStop: {
            turn.pass()
            return isStopped || shouldStop()
          }, log: TurnLog(log, run.folderName, turn))
        if isDone { done += try cost(run) } else { isStopped = true }
      } catch {
        isStopped = true
        throw error
      }
    }
    return isStopped ? .stopped : .done
  }
}
