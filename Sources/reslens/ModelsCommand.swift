import ArgumentParser
import Foundation
import ResidualNetworks

struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "Lists architectures with their sizes.",
    discussion: "For example: reslens models resnet-20 wide my-network.yaml --classes 100 --json")

  @Argument(
    help: ArgumentHelp(
      "Names or YAML files; the paper's and some of its family where none is given.", valueName: "name"))
  var names: [String] = []

  @Option(help: ArgumentHelp("Classes to tell apart; a YAML file's own, else 10.", valueName: "n"))
  var classes: Int?

  @Flag(help: "Prints JSON.")
  var json = false

  struct Row: Encodable {
    var name: String
    var classes: Int
    var stages: [Stage]
    var steps: Int
    var totalParameters: Int
    var trainableParameters: Int
    var multiplyAccumulates: Int

    struct Stage: Encodable {
      var width: Int
      var height: Int
      var blocks: Int
      var entry: String
    }
  }

  func run() throws {
    let names = names.isEmpty ? Architecture.paperNames + [20, 32, 38, 56].map { "resnet-\($0)" } : names
    let rows = try names.map { Self.row(try Architecture.find($0, classes: classes)) }
    if json {
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      print(String(decoding: try encoder.encode(rows), as: UTF8.self))
    } else {
      let header = ["name", "classes", "stages", "steps", "total", "trainable", "MACs"]
      print(table([header] + rows.map(Self.line)))
    }
  }

  static func row(_ architecture: Architecture) -> Row {
    let steps = architecture.steps
    return Row(
      name: architecture.name, classes: architecture.classes,
      stages: architecture.stages.enumerated().map { index, stage in
        .init(
          width: stage.width, height: steps.last { $0.name.stage == index }?.output.height ?? 0, blocks: stage.blocks,
          entry: stage.entry.rawValue)
      },
      steps: steps.count, totalParameters: architecture.totalParameters,
      trainableParameters: architecture.trainableParameters, multiplyAccumulates: architecture.multiplyAccumulates)
  }

  private static func line(_ row: Row) -> [String] {
    let stages = row.stages.map { "\($0.width)×\($0.blocks)@\($0.height)" }.joined(separator: " ")
    return [
      row.name, "\(row.classes)", stages, "\(row.steps)", "\(row.totalParameters)", "\(row.trainableParameters)",
      "\(fixed(Double(row.multiplyAccumulates) / 1e6, 1)) M",
    ]
  }
}
