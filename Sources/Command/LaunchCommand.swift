import ArgumentParser
import Foundation
import ResLensSupport
import ResLensRuns
import ResLensTorch

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
        remedy: LaunchedProcess.installation)
    }
    Interrupt.listen(answer: nil)
    var environment = ProcessInfo.processInfo.environment
    if let spinCount = Surroundings.spinCount { environment[spinCount.name] = spinCount.value }
    let group = try LaunchedGroup(processes, command, environment)
    let status = group.wait(shouldStop: { Interrupt.received }, log: Terminal())
    if status != 0 { throw ExitCode(status == LaunchedGroup.stopped ? Interrupt.exitCode : status) }
  }
}
