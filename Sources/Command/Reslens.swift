import ArgumentParser
import Foundation
import ResLensSupport
import ResLensMeasures
import ResLensNetworks
import ResLensRuns
import ResLensTorch

/// Runs the command `reslens` with the arguments of this process, and ends the process.
///
/// A program of your own that calls this is `reslens` with your own measures and block kinds:
///
///     var registry = Registry.standard
///     registry.register(MyMeasure.self)
///     reslensMain(registry: registry)
///
/// - Parameter registry: the measures and kinds of blocks that the command knows
public func reslensMain(registry: Registry = .standard) -> Never {
  Reslens.registry = registry
  // Before libtorch makes its first tensor.
  Libtorch.keepFreedMemory()
  var command: (any ParsableCommand)?
  do {
    for block in registry.blocks { try BlockKinds.register(block) }
    try Surroundings.prepare()
    try Reslens.checkSubcommand(CommandLine.arguments.dropFirst())
    command = try Reslens.parseAsRoot()
    try command?.run()
    try Surroundings.finishOutput()
    exit(0)
  } catch let error as ProcessError {
    StandardError.write("Error: \(error)\n")
    exit(ProcessError.exitStatus)
  } catch let error as ValidationError where command != nil {
    // ArgumentParser would show the usage of reslens, whichever command found the error.
    let usage = Reslens.usageString(for: command.map { type(of: $0) } ?? Reslens.self)
    let name = usage.split(separator: " ").prefix { $0.first != "<" && $0.first != "[" }.joined(separator: " ")
    StandardError.write(
      "Error: \(error.message)\nUsage: \(usage)\n  See '\(name) --help' for more information.\n")
    exit(ExitCode.validationFailure.rawValue)
  } catch {
    Reslens.exit(withError: error)
  }
}

extension ParsableCommand {
  /// - Throws: `ValidationError` if the first word is not the name of one of the command's subcommands.
  fileprivate static func checkSubcommand(_ words: ArraySlice<String>) throws {
    let all = configuration.subcommands
    guard !all.isEmpty, let word = words.first, !word.hasPrefix("-"), word != "help" else { return }
    guard let found = all.first(where: { $0._commandName == word }) else {
      let known = all.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
      throw ValidationError(
        "there is no subcommand \"\(word.printable(60))\"\(didYouMean(word, among: known)); known are "
          + known.joined(separator: ", "))
    }
    try found.checkSubcommand(words.dropFirst())
  }
}

extension ParsableArguments {
  /// Errors of the library's arguments in the words of the command's options.
  static func asking<Value>(_ work: () throws -> Value) throws -> Value {
    do { return try work() } catch let error as ArgumentError {
      throw ValidationError("--\(error.name): \(error.problem)")
    }
  }
}

extension RunMeasuring.Data {
  /// Notes that the run was trained on fewer train images than these.
  func noteUntrained(_ terminal: Terminal) {
    guard let trainedOn, train.count > trainedOn else { return }
    terminal.note("note: the run was trained on the first \(trainedOn) of these \(train.count) train images")
  }
}

struct Reslens: ParsableCommand {
  /// The measures that the command knows.
  nonisolated(unsafe) static var registry = Registry.standard

  static let configuration = CommandConfiguration(
    commandName: "reslens",
    abstract: "Trains residual networks and shows what each of their steps does.",
    discussion: """
      Implements "Residual Connections Encourage Iterative Inference" (ICLR 2018). Train, measure and report:

        reslens train --model resnet-20 --data synthetic --recipe quick --out runs/first
        reslens measure runs/first
        reslens report runs/first
      """,
    version: ResLensVersion.number,
    subcommands: [
      TrainCommand.self, LaunchCommand.self, MeasureCommand.self, ReportCommand.self, ReproduceCommand.self,
      StudyCommand.self, CompareCommand.self, PredictCommand.self, PruneCommand.self, LensCommand.self,
      ExitsCommand.self, ProbeCommand.self, ModelsCommand.self, DataCommand.self, ImportCommand.self,
      ExportCommand.self,
      DoctorCommand.self,
      BenchCommand.self, WorkCommand.self,
    ])
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
