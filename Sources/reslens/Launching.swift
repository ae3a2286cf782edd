import ArgumentParser
import Foundation
import Host
import ImageDatasets
import Studies
import Torch

/// Where and how the runs of studies are done.
struct LaunchArguments: ParsableArguments {
  enum Kind: String, ExpressibleByArgument, CaseIterable { case local, slurm }

  @Option(
    help: """
      local: on this machine, one run after the other, or --jobs runs at once. slurm: a job array with one task for \
      each run; a task uses one thread unless --threads is given.
      """)
  var launcher = Kind.local

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Number of runs at once on this machine. Each is a process with an equal part of --threads. (default: 1)",
      valueName: "n"))
  var jobs: Int?

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
  var submissionsAgain: Int { retries ?? 2 }

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
  func launcher(_ device: DeviceOptions, threads: Int?) throws -> any Launcher {
    switch launcher {
    case .local:
      if let jobs, jobs > 1 { return WorkerQueue(jobs: jobs, device: device, threads: threads) }
      return LocalQueue(device: try device.use(), threads: threads)
    case .slurm:
      if !dryRun {
        for program in ["sbatch", "squeue"] where Tool(program).location == nil {
          throw SlurmLauncher.isMissing(program)
        }
      }
      return SlurmLauncher(self, device.device, threads: threads)
    }
  }
}

/// An object that gets runs done.
protocol Launcher {
  /// Does what is not whole of the runs.
  /// - Returns: false where there is nothing to show for it
  func launch(_ runs: [PlannedRun], in folder: StudyFolder, _ data: DataSources, _ terminal: Terminal) throws -> Bool
}

/// One run after the other, in this process.
struct LocalQueue: Launcher {
  let device: Device
  let threads: Int?

  func launch(_ runs: [PlannedRun], in folder: StudyFolder, _ data: DataSources, _ terminal: Terminal) throws -> Bool {
    Interrupt.listen(answer: "stopping after this step, and saving")
    let states = try folder.states(of: runs)
    let left = runs.indices.filter { states[$0].isUnfinished }
    if left.isEmpty {
      terminal.note("all \(runs.count) runs are done")
      return true
    }
    terminal.note("\(runs.count) runs, \(runs.count - left.count) of them done already")
    let work = PlannedRunWork(folder: folder, device: device, threads: threads)
    let total = try left.map { try images(runs[$0], data) }.reduce(0, +)
    let began = ContinuousClock.now
    var done = 0
    for (count, index) in left.enumerated() {
      let run = runs[index]
      let share = Double(done) / Double(max(1, total))
      let seconds = (ContinuousClock.now - began) / .seconds(1)
      let rest = done > 0 ? ", about \(spoken(seconds: seconds * (1 - share) / share)) left" : ""
      terminal.note("run \(count + 1) of \(left.count) (\(fixed(100 * share, 0)) %\(rest)): \(run.folderName)")
      guard try work.run(run, data.load(run.configuration.data), terminal) else {
        terminal.note("stopped and saved; the same call again goes on")
        throw ExitCode(Interrupt.exitCode)
      }
      done += try images(run, data)
    }
    return true
  }

  /// The unit of progress: images through the network, weighted by the network's size.
  private func images(_ run: PlannedRun, _ data: DataSources) throws -> Int {
    try run.images(in: data.load(run.configuration.data)) * (run.configuration.architecture.multiplyAccumulates / 1000)
  }
}
