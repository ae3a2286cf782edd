import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensRuns
import ResLensStudies
import ResLensTorch

/// The number of runs that one process works on at once.
struct AtOnceArguments: ParsableArguments {
  @Option(
    name: .customLong("at-once"), parsing: .unconditional,
    help: ArgumentHelp(
      """
      Number of runs at once in this process. A GPU does their steps side by side, and each run ends with the numbers that \
      it has alone. On the processor this saves no time. (default: \(TakingTurns.usual(on: .cuda(0))) on a GPU, else \
      \(TakingTurns.usual(on: .cpu)))
      """, valueName: "n"))
  var number: Int?

  func validate() throws {
    if let number, !(1...64).contains(number) { throw ValidationError("--at-once \(number) is not between 1 and 64") }
  }
}

/// Where and how the runs of studies are done.
struct LaunchArguments: ParsableArguments {
  enum Kind: String, ExpressibleByArgument, CaseIterable { case local, slurm }

  @Option(
    help: """
      local: on this machine, by this process or by --jobs processes. slurm: a job array with one task for \
      each run; a task uses one thread unless --threads is given.
      """)
  var launcher = Kind.local

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Number of runs at once on this machine. Each is a process with an equal part of --threads. (default: 1)",
      valueName: "n"))
  var jobs: Int?

  @OptionGroup var atOnce: AtOnceArguments

  @Option(help: ArgumentHelp("Slurm's partition.", valueName: "name"))
  var partition: String?

  @Option(help: ArgumentHelp("Slurm's time limit for a task, for instance 24:00:00.", valueName: "limit"))
  var time: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Number of GPUs for each task.", valueName: "n"))
  var gpus: Int?

  @Option(parsing: .unconditional, help: ArgumentHelp("Largest number of tasks at once.", valueName: "n"))
  var tasks: Int?

  @Option(
    help: ArgumentHelp(
      "Additional #SBATCH line, for instance --sbatch=--mem=8G. May be given more than once.",
      valueName: "line"))
  var sbatch: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How often a Slurm task that makes no progress is submitted again. (default: 2)", valueName: "n"))
  var retries: Int?

  @Flag(help: "Prints the job script and submits nothing.")
  var dryRun = false

  func validate() throws {
    let options: [(String, Bool)] = [
      ("--partition", partition != nil), ("--time", time != nil), ("--gpus", gpus != nil), ("--tasks", tasks != nil),
      ("--sbatch", !sbatch.isEmpty), ("--retries", retries != nil), ("--dry-run", dryRun),
    ]
    if launcher == .local, let option = options.first(where: \.1)?.0 {
      throw ValidationError("\(option) is for --launcher slurm")
    }
    if launcher == .slurm, jobs != nil { throw ValidationError("--jobs is for --launcher local; Slurm's is --tasks") }
    if atOnce.number != nil, jobs != nil || launcher == .slurm {
      throw ValidationError("--at-once is for runs in one process; give either it or --jobs")
    }
    for (option, value, range) in [
      ("--jobs", jobs, 1...1024), ("--gpus", gpus, 1...1024), ("--tasks", tasks, 1...1_000_000),
      ("--retries", retries, 0...1_000_000),
    ] {
      guard let value, !range.contains(value) else { continue }
      throw ValidationError("\(option) \(value) is not between \(range.lowerBound) and \(range.upperBound)")
    }
    if let line = (sbatch + [partition, time].compactMap { $0 }).first(where: { $0.contains("\n") || $0.isEmpty }) {
      throw ValidationError("\"\(line)\" is not one line")
    }
  }

  /// - Throws: `FileError` where there is no Slurm.
  private func launcher(_ device: DeviceOptions, threads: Int?) throws -> any Launcher {
    switch launcher {
    case .local:
      if let jobs, jobs > 1 {
        return WorkerQueue(
          jobs: jobs, threads: threads, registry: Reslens.registry, device: { "\(try device.find(worker: $0))" })
      }
      return LocalQueue(
        device: try device.use(), threads: threads, atOnce: atOnce.number, registry: Reslens.registry)
    case .slurm:
      var options = SlurmLauncher.Options(device: "\(device.device)")
      (options.partition, options.time, options.gpus, options.tasks) = (partition, time, gpus, tasks)
      (options.lines, options.retries, options.threads, options.dryRun) = (sbatch, retries ?? 2, threads, dryRun)
      return try SlurmLauncher(options, registry: Reslens.registry)
    }
  }

  /// Has the runs done.
  /// - Returns: false where there is nothing to show for it
  /// - Throws: `ExitCode` where the user stopped it.
  func launch(
    _ runs: [PlannedRun], in folder: StudyFolder, _ data: DataSources, _ device: DeviceOptions, threads: Int?,
    _ terminal: Terminal
  ) throws -> Bool {
    let launcher = try launcher(device, threads: threads)
    Interrupt.listen(answer: launcher.answerToStop)
    let outcome = try launcher.launch(
      runs, in: folder, datasets: { try data.load($0) }, shouldStop: { Interrupt.received }, log: terminal)
    switch outcome {
    case .done: return true
    case .script(let text):
      print(text)
      return false
    case .nothingToDo: return false
    case .stopped:
      terminal.note(launcher.noteAfterStop)
      throw ExitCode(Interrupt.exitCode)
    }
  }
}
