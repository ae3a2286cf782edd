import ArgumentParser
import Foundation
import Host
import Studies
import Torch

/// Several runs at once on this machine, a process each that has its share of the threads: for machines with more cores
/// than one small network keeps busy.
struct WorkerQueue: Launcher {
  let jobs: Int
  private let device: DeviceOptions
  /// The number of threads of each process.
  let threads: Int

  /// - Parameters:
  ///   - device: of each process; where it names no GPU they take those that there are in turn
  ///   - threads: of each process; nil for an equal share of what there is
  init(jobs: Int, device: DeviceOptions, threads: Int?) {
    (self.jobs, self.device) = (jobs, device)
    self.threads = threads ?? max(1, Libtorch.threads / jobs)
  }

  private struct Worker {
    let index: Int
    /// Among those that are at work at once, from 0.
    let place: Int
    let process: Process
    let log: URL
  }

  func launch(_ runs: [PlannedRun], in folder: StudyFolder, _ data: DataSources, _ terminal: Terminal) throws -> Bool {
    Interrupt.listen(answer: "stopping the runs at their next step and saving them")
    let plan = try folder.write(StudyFolder.Plan(runs: runs))
    let logs = folder.url.appending(path: "logs")
    try Files.makeFolder(logs)
    let states = try folder.states(of: runs)
    var waiting = runs.indices.filter { states[$0].isUnfinished }
    if !waiting.isEmpty {
      terminal.note("\(waiting.count) of \(runs.count) runs to do, \(jobs) at once with \(threads) threads each")
    }
    var (working, failed): ([Worker], [Worker]) = ([], [])
    defer { for worker in working { worker.process.terminate() } }
    while !(waiting.isEmpty && working.isEmpty) {
      while working.count < jobs, !waiting.isEmpty {
        let taken = Set(working.map(\.place))
        let place = (0..<jobs).first { !taken.contains($0) } ?? 0
        working.append(try start(waiting.removeFirst(), in: place, plan, logs))
      }
      Thread.sleep(forTimeInterval: 0.2)
      let ended = Set(working.filter { !$0.process.isRunning }.map(\.index))
      failed += working.filter { ended.contains($0.index) && $0.process.terminationStatus != 0 }
      working.removeAll { ended.contains($0.index) }
      // A failed run would fail again. The others finish, and no new run is started.
      if !failed.isEmpty { waiting = [] }
      if Interrupt.received {
        for worker in working { worker.process.terminate() }
        for worker in working { worker.process.waitUntilExit() }
        working = []
        terminal.clear()
        terminal.note("stopped and saved; the same call again goes on")
        throw ExitCode(Interrupt.exitCode)
      }
      let names = working.map { runs[$0.index].folderName.abbreviated(40) }.joined(separator: ", ")
      terminal.progress(runs.count - waiting.count - working.count, of: runs.count, "runs done; at work: \(names)")
    }
    terminal.clear()
    if let worker = failed.first {
      let said = (try? String(contentsOf: worker.log, encoding: .utf8)) ?? ""
      let last = said.split(separator: "\n").last.map(String.init) ?? "status \(worker.process.terminationStatus)"
      throw FileError(
        path: worker.log.path, problem: "\(runs[worker.index].folderName) failed: \(last)",
        remedy: "follow the log, and run this command again")
    }
    return true
  }

  private func start(_ index: Int, in place: Int, _ plan: URL, _ logs: URL) throws -> Worker {
    let log = logs.appending(path: "run-\(index).log")
    try Files.write("", to: log)
    let process = Process()
    process.executableURL = URL(filePath: Program.path)
    process.arguments = [
      "work", plan.path, "--index", "\(index)", "--device", "\(try device.find(worker: place))", "--threads",
      "\(threads)",
      "--parent", "\(getpid())",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = try FileHandle(forWritingTo: log)
    try process.run()
    return Worker(index: index, place: place, process: process, log: log)
  }
}

extension String {
  fileprivate func abbreviated(_ length: Int) -> String { count <= length ? self : prefix(length - 1) + "…" }
}
