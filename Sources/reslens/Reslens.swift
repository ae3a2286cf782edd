import ArgumentParser
import Foundation
import Host
import Torch

@main
struct Reslens: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reslens",
    abstract: "Trains residual networks and shows what each of their steps does.",
    discussion: """
      Implements "Residual Connections Encourage Iterative Inference" (ICLR 2018). Train, measure and report:

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
    var command: (any ParsableCommand)?
    do {
      try Surroundings.prepare()
      command = try parseAsRoot()
      try command?.run()
      try Surroundings.finishOutput()
    } catch let error as ProcessError {
      StandardError.write("Error: \(error)\n")
      Foundation.exit(ProcessError.exitStatus)
    } catch let error as ValidationError where command != nil {
      // ArgumentParser would show the usage of reslens, whichever command found the error.
      let usage = usageString(for: command.map { type(of: $0) } ?? Reslens.self)
      let name = usage.split(separator: " ").prefix { $0.first != "<" && $0.first != "[" }.joined(separator: " ")
      StandardError.write(
        "Error: \(error.message)\nUsage: \(usage)\n  See '\(name) --help' for more information.\n")
      Foundation.exit(ExitCode.validationFailure.rawValue)
    } catch {
      exit(withError: error)
    }
  }
}

extension ProcessError {
  /// The exit status of a process that lost the others (EX_TEMPFAIL). The launcher then looks for the process that
  /// knows the reason.
  static let exitStatus: Int32 = 75
}

struct ThreadOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Number of computing threads. (default: libtorch's choice)", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads \(threads) is not between 1 and 1024")
    }
  }

  /// To be called before anything else is done: it may start the program anew.
  func apply() throws {
    Surroundings.restartWithSpinCount()
    if let threads { try Libtorch.setThreads(threads) }
  }
}
