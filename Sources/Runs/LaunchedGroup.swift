import Foundation
import ResLensSupport
import ResLensTorch

/// Several processes of this machine that run the same command of `reslens` together. If one fails, the others are
/// stopped.
public final class LaunchedGroup {
  private struct Member {
    let rank: Int
    let process: Process
    /// The output of the process, where it is not shown at once. Process 0 writes to the terminal itself.
    let log: URL?
  }

  private let members: [Member]
  private let trains: Bool
  /// The point where the processes meet. It is this process's, as torchrun's is torchrun's.
  private let meeting: MeetingPoint
  /// Between asking a process to stop and ending it.
  private static let patience = 30.0
  private static let interval = 0.05

  /// The status of `wait` where all processes stopped because they were asked to.
  public static let stopped: Int32 = 128 + SIGTERM

  /// Starts the processes.
  /// - Parameters:
  ///   - command: the arguments of each process, for instance "train", "--resume", …
  ///   - environment: the environment of each process, to which its rank and the meeting point are added
  /// - Throws: where a process cannot be started; those that were started are ended.
  public init(_ count: Int, _ command: [String], _ environment: [String: String]) throws {
    meeting = try MeetingPoint()
    var environment = environment
    environment["WORLD_SIZE"] = "\(count)"
    environment["MASTER_ADDR"] = "127.0.0.1"
    environment["MASTER_PORT"] = "\(meeting.port)"
    environment["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    environment["TORCHELASTIC_RESTART_COUNT"] = "0"
    environment[LaunchedProcess.parentVariable] = "\(getpid())"
    if environment["OMP_NUM_THREADS"] == nil {
      environment["OMP_NUM_THREADS"] = "\(max(1, Libtorch.threads / count))"
    }
    var started: [Member] = []
    defer { if started.count < count { for member in started { member.process.terminate() } } }
    for rank in 0..<count {
      let process = Process()
      process.executableURL = URL(filePath: ResLensVersion.program)
      process.arguments = command
      environment["RANK"] = "\(rank)"
      environment["LOCAL_RANK"] = "\(rank)"
      process.environment = environment
      process.standardInput = FileHandle.nullDevice
      var log: URL?
      if rank > 0 {
        let file = FileManager.default.temporaryDirectory.appending(path: "reslens-\(UUID().uuidString)")
        try Files.write("", to: file)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: file)
        log = file
      }
      try process.run()
      started.append(Member(rank: rank, process: process, log: log))
    }
    members = started
    trains = command.first == "train"
  }

  deinit {
    for member in members {
      if let log = member.log { try? FileManager.default.removeItem(at: log) }
    }
  }

  /// Waits for all processes. If one fails, the others are stopped.
  /// - Parameters:
  ///   - shouldStop: asked again and again; once it returns true, the processes are asked to save and stop
  ///   - log: receives what a failed process said
  /// - Returns: the exit status; `stopped` where the processes stopped because they were asked to
  public func wait(shouldStop: () -> Bool, log: any RunLog) -> Int32 {
    var asked = false
    while true {
      // This is asked before looking for failures, so that the next round sees the failures of those that end meanwhile.
      let isRunning = members.contains(where: \.process.isRunning)
      if !asked, shouldStop() {
        // They save and stop by themselves, all after the same step.
        for member in members where member.process.isRunning { member.process.terminate() }
        asked = true
      }
      let failed = members.filter { !$0.process.isRunning && $0.process.terminationStatus != 0 }
      if !asked, let first = failed.min(by: { cause($0) < cause($1) }) {
        end()
        report(first, log)
        return status(first)
      }
      if !isRunning {
        return members.map(status).max() ?? 0
      }
      Thread.sleep(forTimeInterval: Self.interval)
    }
  }

  /// As a shell has it.
  private func status(_ member: Member) -> Int32 {
    let process = member.process
    return process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
  }

  /// A process that a signal ended, or that failed by itself, says more than one that was left alone.
  private func cause(_ member: Member) -> Int {
    if member.process.terminationReason == .uncaughtSignal { return 0 }
    return member.process.terminationStatus == ProcessError.exitStatus ? 2 : 1
  }

  private func end() {
    for member in members where member.process.isRunning { member.process.terminate() }
    let began = ContinuousClock.now
    while members.contains(where: \.process.isRunning) {
      Thread.sleep(forTimeInterval: Self.interval)
      guard (ContinuousClock.now - began) / .seconds(1) > Self.patience else { continue }
      for member in members where member.process.isRunning { kill(member.process.processIdentifier, SIGKILL) }
    }
  }

  private func report(_ member: Member, _ log: any RunLog) {
    let process = member.process
    let how =
      process.terminationReason == .uncaughtSignal
      ? "was ended by signal \(process.terminationStatus)" : "failed with status \(process.terminationStatus)"
    if let file = member.log, let said = try? String(contentsOf: file, encoding: .utf8), !said.isEmpty {
      log.note(said.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    log.note(
      "process \(member.rank) of \(members.count) \(how), and the others were stopped"
        // An error that a process reports itself contains its own remedy.
        + (trains && process.terminationReason == .uncaughtSignal
          ? "; continue with --resume and any number of processes" : ""))
  }
}
