import Foundation
import ResLensSupport
import ResLensTorch

/// The environment of a process that a launcher started together with others: `reslens launch`, torchrun or srun.
public enum LaunchedProcess {
  /// The point where this process meets the others; nil where it is alone.
  /// - Throws: `FileError` where the environment contradicts itself.
  public static func meeting(in environment: [String: String] = ProcessInfo.processInfo.environment) throws
    -> ProcessGroup.Meeting?
  {
    if environment["WORLD_SIZE"] != nil { return try torchrun(environment) }
    return try slurm(environment)
  }

  /// The environment variable that names the launching process. The launched ones end when it does.
  static let parentVariable = "RESLENS_PARENT"
  /// The process that launched this one; nil where `reslens launch` did not.
  public static var parent: pid_t? { ProcessInfo.processInfo.environment[parentVariable].flatMap { pid_t($0) } }

  /// The remedy where the program was built for one process only.
  public static let installation =
    "install Gloo's headers (Debian, Ubuntu: apt-get install libgloo-dev), then make clean build"

  /// Joins the other processes; nil where this one is alone.
  /// - Throws: `ProcessError` where the others do not come; `FileError` where the environment contradicts itself.
  public static func join() throws -> ProcessGroup? { try meeting().map { try ProcessGroup($0) } }

  /// This process's number among those on this machine, from 0.
  public static func numberOnMachine(in environment: [String: String] = ProcessInfo.processInfo.environment) throws
    -> Int
  {
    for variable in ["LOCAL_RANK", "SLURM_LOCALID"] where environment[variable] != nil {
      return try number(variable, environment)
    }
    return 0
  }

  private static func torchrun(_ environment: [String: String]) throws -> ProcessGroup.Meeting? {
    let size = try number("WORLD_SIZE", environment)
    guard size > 1 else { return nil }
    var meeting = ProcessGroup.Meeting(
      host: environment["MASTER_ADDR"] ?? "127.0.0.1", port: try number("MASTER_PORT", environment),
      rank: try number("RANK", environment), size: size)
    if environment["TORCHELASTIC_USE_AGENT_STORE"] == "True" {
      meeting.prefix = "/worker/attempt_\(environment["TORCHELASTIC_RESTART_COUNT"] ?? "0")"
    }
    return try checked(meeting, variable: "RANK")
  }

  private static func slurm(_ environment: [String: String]) throws -> ProcessGroup.Meeting? {
    // Only srun sets the variables of a step. A job script is one process, whatever the job's size.
    guard environment["SLURM_STEP_NUM_TASKS"] != nil else { return nil }
    let size = try number("SLURM_STEP_NUM_TASKS", environment)
    guard size > 1 else { return nil }
    let host = try environment["MASTER_ADDR"] ?? firstHost(environment["SLURM_STEP_NODELIST"] ?? "")
    let job = try number("SLURM_JOB_ID", environment)
    let port = try environment["MASTER_PORT"] == nil ? 20_000 + job % 20_000 : number("MASTER_PORT", environment)
    return try checked(
      .init(host: host, port: port, rank: number("SLURM_PROCID", environment), size: size), variable: "SLURM_PROCID")
  }

  /// Slurm writes node-[1-3] for many.
  private static func firstHost(_ list: String) throws -> String {
    if !list.contains("[") { return String(list.prefix { $0 != "," }) }
    let named = try Tool("scontrol").run(["show", "hostnames", list])
    guard let first = String(decoding: named.output, as: UTF8.self).split(separator: "\n").first else {
      throw FileError(
        path: "SLURM_STEP_NODELIST", problem: "scontrol lists no host for \(list)",
        remedy: "name the first process's machine in MASTER_ADDR")
    }
    return String(first)
  }

  private static func number(_ variable: String, _ environment: [String: String]) throws -> Int {
    guard let number = environment[variable].flatMap({ Int($0) }), number >= 0 else {
      throw FileError(
        path: variable,
        problem: environment[variable].map { "\"\($0)\" is no whole number" } ?? "this environment variable is missing",
        remedy: "start several processes by reslens launch, torchrun or srun, or unset WORLD_SIZE for one")
    }
    return number
  }

  private static func checked(_ meeting: ProcessGroup.Meeting, variable: String) throws -> ProcessGroup.Meeting {
    guard meeting.rank < meeting.size else {
      throw FileError(
        path: variable, problem: "there is no process \(meeting.rank) of \(meeting.size)", remedy: "count them from 0")
    }
    guard (1...65535).contains(meeting.port) else {
      throw FileError(
        path: "MASTER_PORT", problem: "\(meeting.port) is no port", remedy: "name one from 1 to 65535")
    }
    return meeting
  }
}

extension ProcessError {
  /// The exit status of a process that lost the others (EX_TEMPFAIL). The launcher then looks for the process that
  /// knows the reason.
  public static let exitStatus: Int32 = 75
}
