import ArgumentParser
import Foundation
import Host
import Torch

struct LaunchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "launch",
    abstract: "Trains or measures in several processes of this machine.",
    discussion: """
      In training, each process works on its part of every batch, and the processes add up their gradients. In \
      measuring, each process works on some of the batches. Only process 0 writes files. If one process dies, the \
      others are stopped; a training can be resumed with --resume and any number of processes. On a machine with GPUs \
      each process uses one.

      For example:
        reslens launch --processes 2 -- train --model resnet-20 --data synthetic --out runs/first
        reslens launch --processes 4 -- train --resume --out runs/first
        reslens launch --processes 2 -- measure runs/first

      On several machines start the same command there by torchrun or by Slurm's srun, whose variables (RANK, WORLD_SIZE, \
      MASTER_ADDR, MASTER_PORT; SLURM_PROCID, SLURM_STEP_NUM_TASKS) every process reads:
        srun --ntasks 8 reslens train --model resnet-110 --data data --out runs/r110
        torchrun --no-python --nproc-per-node 2 reslens train --model resnet-20 --data synthetic
      """)

  @Option(parsing: .unconditional, help: ArgumentHelp("Number of processes.", valueName: "n"))
  var processes: Int

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The command that each process runs.", valueName: "train … | measure …"))
  var command: [String]

  func validate() throws {
    if !(1...1024).contains(processes) { throw ValidationError("--processes \(processes) is not between 1 and 1024") }
    guard let first = command.first, ["train", "measure"].contains(first) else {
      throw ValidationError(
        "what is launched trains or measures: reslens launch --processes 2 -- train --model resnet-20 …")
    }
  }

  func run() throws {
    if processes > 1, !ProcessGroup.isPossible {
      throw FileError(
        path: "launch", problem: "this program was built without Gloo's headers, and so for one process",
        remedy: Processes.installation)
    }
    Interrupt.listen(answer: nil)
    let meeting = try MeetingPoint()
    let crew = try Crew(count: processes, command, port: meeting.port)
    let status = crew.watch()
    withExtendedLifetime(meeting) {}
    if status != 0 { throw ExitCode(status) }
  }
}

/// The processes of a launch, which live and die together.
private final class Crew {
  private struct Member {
    let rank: Int
    let process: Process
    /// The output of the process, where it is not shown at once. Process 0 writes to the terminal itself.
    let log: URL?
  }

  private let members: [Member]
  private let trains: Bool
  private let terminal = Terminal()
  /// Between asking a process to stop and ending it.
  private static let patience = 30.0
  private static let interval = 0.05

  init(count: Int, _ command: [String], port: Int) throws {
    var environment = ProcessInfo.processInfo.environment
    environment["WORLD_SIZE"] = "\(count)"
    environment["MASTER_ADDR"] = "127.0.0.1"
    environment["MASTER_PORT"] = "\(port)"
    // The meeting point is this process's, as torchrun's is torchrun's.
    environment["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    environment["TORCHELASTIC_RESTART_COUNT"] = "0"
    if let spinCount = Surroundings.spinCount { environment[spinCount.name] = spinCount.value }
    environment[Processes.parentVariable] = "\(getpid())"
    if environment["OMP_NUM_THREADS"] == nil {
      environment["OMP_NUM_THREADS"] = "\(max(1, Libtorch.threads / count))"
    }
    var started: [Member] = []
    defer { if started.count < count { for member in started { member.process.terminate() } } }
    for rank in 0..<count {
      let process = Process()
      process.executableURL = URL(filePath: Program.path)
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

  /// Waits for all of them; one that fails takes the others down.
  /// - Returns: the exit status
  func watch() -> Int32 {
    var asked = false
    while true {
      // Before looking for failures: of those that ended since, the next turn knows.
      let isRunning = members.contains(where: \.process.isRunning)
      if Interrupt.received, !asked {
        // They save and stop by themselves, all after the same step.
        for member in members where member.process.isRunning { member.process.terminate() }
        asked = true
      }
      let failed = members.filter { !$0.process.isRunning && $0.process.terminationStatus != 0 }
      if !asked, let first = failed.min(by: { cause($0) < cause($1) }) {
        end()
        tell(first)
        return status(first)
      }
      if !isRunning {
        let status = members.map(status).max() ?? 0
        // They were asked in another way than this program.
        return asked && status == 128 + SIGTERM ? Interrupt.exitCode : status
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

  private func tell(_ member: Member) {
    let process = member.process
    let how =
      process.terminationReason == .uncaughtSignal
      ? "was ended by signal \(process.terminationStatus)" : "failed with status \(process.terminationStatus)"
    if let log = member.log, let said = try? String(contentsOf: log, encoding: .utf8), !said.isEmpty {
      terminal.note(said.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    terminal.note(
      "process \(member.rank) of \(members.count) \(how), and the others were stopped"
        // An error that a process reports itself contains its own remedy.
        + (trains && process.terminationReason == .uncaughtSignal
          ? "; continue with --resume and any number of processes" : ""))
  }
}
