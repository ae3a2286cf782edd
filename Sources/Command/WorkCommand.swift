import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensRuns

/// The command that `reslens reproduce` and `reslens study` start in other processes, one for each run.
struct WorkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "work", abstract: "Does one run of a plan that reslens reproduce or reslens study has written.",
    discussion: "For example: reslens work reproduction/small/plans/1f0c.json --index 3", shouldDisplay: false)

  @Argument(help: ArgumentHelp("The plan.", valueName: "file.json"))
  var plan: String

  @Option(parsing: .unconditional, help: ArgumentHelp("The run's index in the plan, from 0.", valueName: "n"))
  var index: Int

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Stops, as on an interrupt, when this process is no longer its parent.", valueName: "pid"))
  var parent: Int32?

  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  func run() throws {
    try threads.apply()
    let device = try device.use()
    let (folder, plan) = try StudyFolder.read(URL(filePath: plan))
    guard plan.runs.indices.contains(index) else {
      throw ValidationError("--index \(index): the plan has the runs 0 to \(plan.runs.count - 1)")
    }
    let run = plan.runs[index]
    Interrupt.listen(answer: nil)
    Interrupt.parent = parent
    let terminal = Terminal()
    let dataset = try ImageDataset.load(run.configuration.data)
    let work = PlannedRunWork(in: folder, registry: Reslens.registry, device: device, threads: threads.threads)
    guard try work.run(run, on: dataset, shouldStop: { Interrupt.received }, log: terminal) else {
      terminal.note("stopped and saved")
      throw ExitCode(Interrupt.exitCode)
    }
    print(folder.folder(of: run).url.path)
  }
}
