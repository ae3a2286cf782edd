import Foundation
import ResLensSupport
import TestSupport
import Testing
import ResLensTraining

/// A Slurm of one machine, with a key and ports of its own, that ends with the test.
private final class TestCluster {
  private let scratch: Scratch
  /// Started without Foundation's `Process`, which never ends waiting where a daemon keeps, or closes, what it was given
  /// open.
  private var daemons: [pid_t] = []
  var configuration: URL { scratch.file("slurm.conf") }

  static var isInstalled: Bool {
    geteuid() == 0
      && ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo"].allSatisfy { program($0) != nil }
  }

  private static func program(_ name: String) -> URL? {
    Tool(name).location(in: (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin:/sbin")
  }

  init() throws {
    scratch = try Scratch()
    let folder = scratch.url.path
    // The daemons want nobody else to be able to write above their files.
    for name in ["munge", "state", "spool"] {
      try FileManager.default.createDirectory(
        at: scratch.file(name), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }
    let key = scratch.file("munge/key")
    try Data((0..<128).map { _ in UInt8.random(in: 0...255) }).write(to: key)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key.path)
    let socket = scratch.file("munge/socket").path
    try start(
      "munged",
      [
        "--foreground", "--force", "--key-file=\(key.path)", "--socket=\(socket)", "--pid-file=\(folder)/munge/pid",
        "--log-file=\(folder)/munge/log", "--seed-file=\(folder)/munge/seed",
      ])
    let host = String(ProcessInfo.processInfo.hostName.prefix { $0 != "." })
    let port = 20_000 + Int(getpid()) % 20_000
    try Files.write(
      """
      ClusterName=test
      SlurmctldHost=\(host)(127.0.0.1)
      SlurmUser=root
      AuthType=auth/munge
      AuthInfo=socket=\(socket)
      CredType=cred/munge
      StateSaveLocation=\(folder)/state
      SlurmdSpoolDir=\(folder)/spool
      SlurmctldPidFile=\(folder)/slurmctld.pid
      SlurmdPidFile=\(folder)/slurmd.pid
      SlurmctldLogFile=\(folder)/slurmctld.log
      SlurmdLogFile=\(folder)/slurmd.log
      SlurmctldPort=\(port)
      SlurmdPort=\(port + 1)
      ProctrackType=proctrack/linuxproc
      TaskPlugin=task/none
      SelectType=select/cons_tres
      SelectTypeParameters=CR_CPU
      SlurmdParameters=config_overrides
      ReturnToService=2
      MpiDefault=none
      AccountingStorageType=accounting_storage/none
      JobAcctGatherType=jobacct_gather/none
      NodeName=\(host) NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
      PartitionName=short Nodes=\(host) Default=YES MaxTime=INFINITE State=UP

      """, to: configuration)
    try start("slurmctld", ["-D", "-f", configuration.path])
    try start("slurmd", ["-D", "-f", configuration.path, "-N", host])
    for _ in 0..<120 {
      if try run(["sinfo", "-h", "-o", "%t"]).output.contains("idle") { return }
      Thread.sleep(forTimeInterval: 0.5)
    }
    throw FileError(path: folder, problem: "the test's Slurm did not come up: \(logs)", remedy: "see its logs")
  }

  deinit {
    for daemon in daemons.reversed() {
      kill(daemon, SIGTERM)
      var (status, waited): (Int32, Int) = (0, 0)
      while waitpid(daemon, &status, WNOHANG) == 0 {
        Thread.sleep(forTimeInterval: 0.1)
        waited += 1
        if waited == 50 { kill(daemon, SIGKILL) }
      }
    }
  }

  private var logs: String {
    ["slurmctld.log", "slurmd.log", "munge/log"].compactMap {
      try? String(contentsOf: scratch.file($0), encoding: .utf8)
    }
    .map { String($0.suffix(800)) }.joined(separator: "\n")
  }

  private func start(_ name: String, _ arguments: [String]) throws {
    let path = try #require(Self.program(name)).path
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor in Int32(0)...2 { posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0) }
    var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var daemon = pid_t()
    try #require(posix_spawn(&daemon, path, &actions, nil, &words, environ) == 0, "\(name)")
    daemons.append(daemon)
    Thread.sleep(forTimeInterval: 0.3)
  }

  /// Runs a program as a user of this Slurm does.
  func run(_ call: [String]) throws -> (status: Int32, output: String, errors: String) {
    let outcome = try Tool("env").run(["SLURM_CONF=\(configuration.path)"] + call)
    return (outcome.status, String(decoding: outcome.output, as: UTF8.self), outcome.errors)
  }
}

@Suite struct SlurmTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private static let study = """
    name: seeds
    models: [resnet-14]
    data: [synthetic]
    seeds: [0, 1, 2]
    epochs: 6
    train-samples: 600
    validation-samples: 100
    record: {every: 1, samples: 40}
    measure: {samples: 60}
    figures: [errors, cosine-loss]
    """

  @Test("The job script has what was asked for, and --dry-run submits nothing")
  func script() throws {
    let file = scratch.file("study.yaml")
    try Files.write(Self.study, to: file)
    let outcome = try Reslens.run([
      "reproduce", file.path, "--data", "synthetic", "--out", scratch.file("out").path, "--launcher", "slurm",
      "--partition", "gpu", "--time", "1-00:00:00", "--gpus", "1", "--tasks", "2", "--sbatch=--mem=8G", "--threads",
      "4",
      "--dry-run",
    ])
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    for line in [
      "--array=0-2%2", "--partition=gpu", "--time=1-00:00:00", "--gpus=1", "--mem=8G", "--cpus-per-task=4",
      "--ntasks=1",
    ] {
      #expect(outcome.output.contains("#SBATCH \(line)\n"), "\(line)")
    }
    #expect(
      outcome.output.hasPrefix("#!/bin/sh\n")
        && outcome.output.contains("--index \"$SLURM_ARRAY_TASK_ID\" --device auto --threads 4")
    )
    #expect(!FileManager.default.fileExists(atPath: scratch.file("out/runs").path))
  }

  @Test(
    "By a real Slurm, a task killed in between, a study ends with the numbers of the local queue",
    .enabled(
      if: TestCluster.isInstalled, "no slurmctld, slurmd and munged here, or not root: apt-get install slurm-wlm"))
  func realSlurm() throws {
    let file = scratch.file("study.yaml")
    try Files.write(Self.study, to: file)
    let (local, cluster) = (scratch.file("local"), scratch.file("a \"cluster\" of 100%'s"))
    func call(_ out: URL) -> [String] {
      ["reproduce", file.path, "--data", "synthetic", "--threads", "1", "--out", out.path]
    }
    let alone = try Reslens.run(call(local))
    try #require(alone.status == 0, Comment(rawValue: alone.errors))

    let slurm = try TestCluster()
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments =
      ["SLURM_CONF=\(slurm.configuration.path)", Reslens.program] + call(cluster) + [
        "--launcher", "slurm", "--partition", "short",
      ]
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    // The second seed's task, once it has trained for an epoch.
    let run = try #require(
      try FileManager.default.contentsOfDirectory(atPath: local.appending(path: "runs").path).first {
        $0.contains("seed-1-")
      })
    let epochs = RunFolder(cluster.appending(path: "runs/\(run)")).epochsFile
    var wasKilled = false
    for _ in 0..<600 where !wasKilled && process.isRunning {
      if FileManager.default.fileExists(atPath: epochs.path) {
        wasKilled = try Tool("pkill").run(["-KILL", "-f", "\(cluster.path)/plans/.* --index 1 "]).status == 0
      }
      Thread.sleep(forTimeInterval: 0.1)
    }
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(wasKilled)
    try #require(process.terminationStatus == 0, Comment(rawValue: text))
    // The array, and what was left of it.
    #expect(text.components(separatedBy: "submitted job").count - 1 >= 2, Comment(rawValue: text))
    #expect(try ReproduceTests.numbers(in: cluster) == ReproduceTests.numbers(in: local))
    #expect(FileManager.default.fileExists(atPath: cluster.appending(path: "index.html").path))
    let logs = try FileManager.default.contentsOfDirectory(atPath: cluster.appending(path: "slurm").path)
    #expect(logs.contains { $0.hasSuffix("-0.log") }, "\(logs)")

    // And one training in two processes of a step.
    let shared = scratch.file("shared")
    let step = try slurm.run(
      ["srun", "--ntasks", "2", Reslens.program] + Reslens.trainArguments(shared, ["--threads", "1"]))
    #expect(step.status == 0, Comment(rawValue: step.errors))
    #expect(try RunFolder(shared).sessions().last?.processes == 2)
  }
}
