import ArgumentParser
import Foundation
import Torch

@main
struct Reslens: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reslens",
    abstract: "Trains residual networks and shows what each of their steps does.",
    discussion: """
      After "Residual Connections Encourage Iterative Inference" (ICLR 2018). The main job, in three commands:

        reslens train --model resnet-20 --data synthetic --recipe quick --out runs/first
        reslens measure runs/first
        reslens report runs/first
      """,
    version: Program.version,
    subcommands: [
      TrainCommand.self, LaunchCommand.self, MeasureCommand.self, ReportCommand.self, ReproduceCommand.self,
      StudyCommand.self,
      CompareCommand.self, ProbeCommand.self, ModelsCommand.self, DataCommand.self, DoctorCommand.self,
      BenchCommand.self, WorkCommand.self,
    ])

  static func main() {
    // Before libtorch makes its first tensor.
    Libtorch.keepFreedMemory()
    // A full pipe or a file-size limit is an error to report, not a reason to vanish.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as ProcessError {
      FileHandle.standardError.write(Data("Error: \(error)\n".utf8))
      Foundation.exit(ProcessError.exitStatus)
    } catch {
      exit(withError: error)
    }
  }
}

extension ProcessError {
  /// Of a process that lost the others (EX_TEMPFAIL): what started them looks for the one that has something to say.
  static let exitStatus: Int32 = 75
}

struct ThreadOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Threads for computing; libtorch's choice where it is left out.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads \(threads) is not between 1 and 1024")
    }
  }

  func apply() throws {
    if let threads { try Libtorch.setThreads(threads) }
  }
}
