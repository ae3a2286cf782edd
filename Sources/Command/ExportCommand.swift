import ArgumentParser
import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensRuns
import ResLensTorch
import ResLensTraining

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes a run's weights under the names that another program gives them.",
    discussion: """
      The safetensors file has the names and shapes of that program's own module, which loads it strictly. It is \
      possible where the run's network is one of that family.

      Families:
      \(WeightFamilies.summaries.map { "  " + $0 }.joined(separator: "\n"))

      For example:
        reslens export runs/resnet20 --to cifar-resnet --out resnet20.safetensors
        python3 -c 'from safetensors.torch import load_file; model.load_state_dict(load_file("resnet20.safetensors"))'
      """)

  @Argument(help: ArgumentHelp("The run folder.", valueName: "run"), completion: .directory)
  var path: String

  @Option(help: ArgumentHelp("The family of the names.", valueName: "family"))
  var to: String

  @Option(help: ArgumentHelp("The file to write.", valueName: "file.safetensors"))
  var out: String

  func validate() throws {
    try check(out, endsWith: "safetensors")
    do { _ = try WeightFamilies.find(to) } catch { throw ValidationError("--to: \(error)") }
  }

  func run() throws {
    let folder = RunFolder(URL(filePath: path))
    let network = try RunMeasuring(folder, expecting: folder.configuration().architecture).network
    do {
      try Safetensors(tensors: network.tensors(as: WeightFamilies.find(to))).write(to: URL(filePath: out))
    } catch let error as WeightFamilyError {
      throw FileError(path: path, problem: error.problem, remedy: "name another family with --to")
    }
    print(out)
  }
}
