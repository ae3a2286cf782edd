import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensTorch

/// Several runs at once on this machine, each in a process with its share of the threads: for machines with more cores than
/// one small network keeps busy.
public struct WorkerQueue: Launcher {
  private let jobs: Int
  private let registry: Registry
  private let device: (Int) throws -> String
  /// The number of threads of each process.
  let threads: Int

  /// - Parameters:
  ///   - jobs: the number of runs at once
  ///   - threads: the number of threads of each process; nil for an equal share of what there is
  ///   - registry: the measures that the runs' names are of
  ///   - device: the `--device` of the process that is one of several at work, by its index among them
  public init(
    jobs: Int, threads: Int?, registry: Registry = .standard, device: @escaping (Int) throws -> String = { _ in "cpu" }
  ) {
    (self.jobs, self.registry, self.device) = (jobs, registry, device)
    self.threads = threads ?? max(1, Libtorch.threads / jobs)
  }

  public var answerToStop: String { "stopping the runs at their next step and saving them" }

  private struct Worker {
    /// The run's index in the plan.
    let index: Int
    /// The worker's index among those that are at work at once.
    let slot: Int
    let process: Process
    let log: URL
  }

  public func launch(
    _ runs: [PlannedRun], in folder: StudyFolder, datasets: (String) throws -> ImageDataset, shouldStop: () -> Bool,
    log: any RunLog
  ) throws -> LaunchOutcome {
    let plan = try folder.write(StudyFolder.Plan(runs: runs))
    let logs = folder.url.appending(path: "logs")
    try Files.makeFolder(logs)
    let states = try folder.states(of: runs, registry: registry)
    var waiting = runs.indices.filter { states[$0].isUnfinished }
    if !waiting.isEmpty {
      log.note("\(waiting.count) of \(runs.count) runs to do, \(jobs) at once with \(threads) threads each")
    }
    var (working, failed): ([Worker], [Worker]) = ([], [])
    defer { for worker in working { worker.process.terminate() } }
    while !(waiting.isEmpty && working.isEmpty) {
      while working.count < jobs, !waiting.isEmpty {
        let taken = Set(working.map(\.slot))
        let slot = (0..<jobs).first { !taken.contains($0) } ?? 0
        working.append(try start(waiting.removeFirst(), in: slot, plan, logs))
      }
      Thread.sleep(forTimeInterval: 0.2)
      let ended = Set(working.filter { !$0.process.isRunning }.map(\.index))
      failed += working.filter { ended.contains($0.index) && $0.process.terminationStatus != 0 }
      working.removeAll { ended.contains($0.index) }
      // A failed run would fail again. The others finish, and no new run is started.
      if !failed.isEmpty { waiting = [] }
      if shouldStop() {
        for worker in working { worker.process.terminate() }
        for worker in working { worker.process.waitUntilExit() }
        working = []
        log.clear()
        return .stopped
      }
      let names = working.map { runs[$0.index].folderName.abbreviated(40) }.joined(separator: ", ")
      log.progress(runs.count - waiting.count - working.count, of: runs.count, "runs done; at work: \(names)")
    }
    log.clear()
    if let worker = failed.first {
      let said = (try? String(contentsOf: worker.log, encoding: .utf8)) ?? ""
      let last = said.split(separator: "\n").last.map(String.init) ?? "status \(worker.process.terminationStatus)"
      throw FileError(
        path: worker.log.path, problem: "\(runs[worker.index].folderName) failed: \(last)",
        remedy: "follow the log, and run this command again")
    }
    return .done
  }

  private func start(_ index: Int, in slot: Int, _ plan: URL, _ logs: URL) throws -> Worker {
    let log = logs.appending(path: "run-\(index).log")
    try Files.write("", to: log)
    let process = Process()
    process.executableURL = URL(filePath: ResLensVersion.program)
    process.arguments = [
      "work", plan.path, "--index", "\(index)", "--device", try device(slot), "--threads",
      "\(threads)",
      "--parent", "\(getpid())",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = try FileHandle(forWritingTo: log)
    try process.run()
    return Worker(index: index, slot: slot, process: process, log: log)
  }
}

extension String {
  fileprivate func abbreviated(_ length: Int) -> String { count <= length ? self : prefix(length - 1) + "…" }
}
