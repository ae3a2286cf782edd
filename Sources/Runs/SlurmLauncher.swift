import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures

/// A job array of Slurm with a task for each run. What failed or ran out of time is submitted again, until all is done.
public struct SlurmLauncher: Launcher {
  private let options: Options
  private let registry: Registry

  /// The options of the job array.
  public struct Options: Sendable {
    /// The `--device` of each task.
    public var device: String
    /// Slurm's partition; nil for its default.
    public var partition: String?
    /// Slurm's time limit for a task, for instance "24:00:00".
    public var time: String?
    /// The number of GPUs for each task.
    public var gpus: Int?
    /// The largest number of tasks at once.
    public var tasks: Int?
    /// Additional #SBATCH lines.
    public var lines: [String] = []
    /// How often a task that makes no progress is submitted again.
    public var retries = 2
    /// The number of threads of each task; one where it is nil.
    public var threads: Int?
    /// True if the script is only returned.
    public var dryRun = false

    public init(device: String) { self.device = device }
  }

  /// - Parameter registry: the measures that the runs' names are of
  /// - Throws: `FileError` where there is no Slurm.
  public init(_ options: Options, registry: Registry = .standard) throws(FileError) {
    (self.options, self.registry) = (options, registry)
    guard !options.dryRun else { return }
    for program in ["sbatch", "squeue"] where Tool(program).location == nil {
      throw FileError(
        path: program, problem: "there is no such program on PATH, and so no Slurm here",
        remedy: "call this where Slurm's commands are, see the script with --dry-run, or use --launcher local")
    }
  }

  public var answerToStop: String { "leaving the jobs in the queue" }
  public var noteAfterStop: String { "the jobs continue by themselves; the same call again waits for them" }

  public func launch(
    _ runs: [PlannedRun], in folder: StudyFolder, datasets: (String) throws -> ImageDataset, shouldStop: () -> Bool,
    log: any RunLog
  ) throws -> LaunchOutcome {
    // A line break would end the comment that the path stands in, and begin a command.
    guard !folder.url.path.contains(where: \.isNewline) else {
      throw FileError(
        path: folder.url.path, problem: "a job script cannot name a folder with a line break in its name",
        remedy: "choose another one with --out")
    }
    let plan = try folder.write(StudyFolder.Plan(runs: runs))
    let logs = folder.url.appending(path: "slurm")
    try Files.makeFolder(logs)
    var strikes: [Int: Int] = [:]
    while true {
      let left = try unfinished(runs, folder)
      if options.dryRun {
        guard left.isEmpty else { return .script(script(left, plan, logs)) }
        log.note("all done: \(counted(runs.count, "run")); there is nothing to submit")
        return .nothingToDo
      }
      if shouldStop() { return .stopped }
      guard !left.isEmpty else {
        log.clear()
        log.note("all done: \(counted(runs.count, "run"))")
        return .done
      }
      let before = try progress(left, runs, folder)
      // An earlier call may have left other runs in the queue. Runs that wait for these are not counted as making no
      // progress.
      let earlier = try running(logs)
      let job = try earlier ?? submit(left, plan, logs, log)
      guard try wait(for: job, runs, folder, shouldStop, log) else { return .stopped }
      try? FileManager.default.removeItem(at: jobFile(logs))
      let after = try progress(left, runs, folder)
      for index in left where earlier == nil {
        strikes[index] = before[index] == after[index] ? (strikes[index] ?? 0) + 1 : 0
      }
      if let index = try unfinished(runs, folder).first(where: { strikes[$0, default: 0] > options.retries }) {
        throw FileError(
          path: logs.path,
          problem: "\(runs[index].folderName) made no progress in \(options.retries + 1) submissions",
          remedy: "follow the newest log of task \(index) there, and run this command again")
      }
    }
  }

  private func unfinished(_ runs: [PlannedRun], _ folder: StudyFolder) throws -> [Int] {
    let states = try folder.states(of: runs, registry: registry)
    return runs.indices.filter { states[$0].isUnfinished }
  }

  /// A value for each run that changes when the run makes progress.
  private func progress(_ indices: [Int], _ runs: [PlannedRun], _ folder: StudyFolder) throws -> [Int: String] {
    Dictionary(
      uniqueKeysWithValues: try indices.map { index in
        let place = folder.folder(of: runs[index])
        let missing = try runs[index].missingMeasures(in: place, registry: registry)
        return (index, "\(place.latestCheckpoint()?.url.lastPathComponent ?? "") \(missing.sorted())")
      })
  }

  // MARK: the queue

  private func jobFile(_ logs: URL) -> URL { logs.appending(path: "job") }

  /// The job of an earlier call that was cut off, where it is still in the queue.
  private func running(_ logs: URL) throws -> String? {
    guard let job = try? String(contentsOf: jobFile(logs), encoding: .utf8), !job.isEmpty else { return nil }
    return try waiting(job) > 0 ? job : nil
  }

  private func submit(_ indices: [Int], _ plan: URL, _ logs: URL, _ log: any RunLog) throws -> String {
    let file = logs.appending(path: "array.sh")
    try Files.write(script(indices, plan, logs), to: file)
    let outcome = try Tool("sbatch").run(["--parsable", file.path])
    let job = String(decoding: outcome.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    guard outcome.status == 0, !job.isEmpty else {
      throw FileError(
        path: file.path,
        problem: "sbatch refused it: \(outcome.errors.trimmingCharacters(in: .whitespacesAndNewlines))",
        remedy: "correct --partition, --time, --gpus or --sbatch")
    }
    try Files.write(job, to: jobFile(logs))
    log.note("submitted job \(job): \(indices.count) tasks, logs in \(logs.path)")
    return job
  }

  /// Tasks of the job, "JOB" or "JOB;CLUSTER", that are in the queue.
  private func waiting(_ job: String) throws -> Int {
    let parts = job.split(separator: ";").map(String.init)
    let cluster = parts.dropFirst().map { "--clusters=\($0)" }
    let outcome = try Tool("squeue").run(["--noheader", "--array", "--format=%i", "--jobs=\(parts[0])"] + cluster)
    // A job that the controller has forgotten is an error, and over.
    if outcome.status != 0 {
      guard outcome.errors.contains("Invalid job id") else {
        throw FileError(
          path: "squeue", problem: "it failed: \(outcome.errors.trimmingCharacters(in: .whitespacesAndNewlines))",
          remedy: "check that Slurm runs; the job continues, and the same command waits for it")
      }
      return 0
    }
    return String(decoding: outcome.output, as: UTF8.self).split(separator: "\n").count
  }

  /// - Returns: false where it was stopped
  private func wait(
    for job: String, _ runs: [PlannedRun], _ folder: StudyFolder, _ shouldStop: () -> Bool, _ log: any RunLog
  ) throws -> Bool {
    // A look at the queue now and then, more seldom the longer it takes: the controller has other users.
    var seconds: UInt32 = 1
    while case let count = try waiting(job), count > 0 {
      if shouldStop() {
        log.note("job \(job) is in the queue; to end it: scancel \(job)")
        return false
      }
      let left = try unfinished(runs, folder).count
      log.progress(runs.count - left, of: runs.count, "runs whole; job \(job) has \(count) tasks in the queue")
      sleep(seconds)
      seconds = min(30, seconds + 1)
    }
    return true
  }

  // MARK: the script

  func script(_ indices: [Int], _ plan: URL, _ logs: URL) -> String {
    let limit = options.tasks.map { "%\($0)" } ?? ""
    var head = [
      "--job-name=reslens", "--array=\(Self.ranges(indices))\(limit)", "--ntasks=1",
      "--cpus-per-task=\(options.threads ?? 1)", "--output=\(Self.quotedForSbatch(logs.path + "/"))%A-%a.log",
    ]
    head += options.partition.map { ["--partition=\($0)"] } ?? []
    head += options.time.map { ["--time=\($0)"] } ?? []
    head += options.gpus.map { ["--gpus=\($0)"] } ?? []
    head += options.lines
    return """
      #!/bin/sh
      \(head.map { "#SBATCH \($0)" }.joined(separator: "\n"))
      exec \(ResLensVersion.program.shellQuoted) work \(plan.path.shellQuoted) --index "$SLURM_ARRAY_TASK_ID" --device \(options.device) --threads \(options.threads ?? 1)

      """
  }

  /// 0, 1, 2, 5 as "0-2,5".
  static func ranges(_ indices: [Int]) -> String {
    var runs: [ClosedRange<Int>] = []
    for index in indices.sorted() {
      if let last = runs.last, last.upperBound + 1 == index {
        runs[runs.count - 1] = last.lowerBound...index
      } else {
        runs.append(index...index)
      }
    }
    return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
  }

  /// A path as sbatch reads it in a job script: `%` begins a field there, and a backslash takes what follows as it is.
  private static func quotedForSbatch(_ path: String) -> String {
    let escaped = path.replacing("%", with: "%%").replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    return "\"\(escaped)\""
  }
}
