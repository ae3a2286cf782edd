import ArgumentParser
import Foundation
import ResidualNetworks

struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "Lists architectures with their sizes.",
    discussion: """
      With -shared behind its name a network runs, in every stage, one block in all steps from block 5 on (or in the last \
      two of a stage of fewer than seven), with @F from block F on; 16×(5+1·13) in the table are 5 blocks of their own and \
      one that 13 steps run. +statistics, +affine and +gamma give each of these steps running statistics, γ and β of its \
      own, and let γ begin at 0.1; -ubn is all three (§4.5). The same goes behind the name of a YAML file.

      For example:
        reslens models resnet-20 wide my-network.yaml --classes 100 --json
        reslens models resnet-110-shared resnet-110-shared+statistics resnet-56-ubn@2 wide-ablation
      """)

  @Argument(
    help: ArgumentHelp(
      """
      Names or YAML files, with -ablation behind them for the eight of Fig. 9; the paper's and some of its family where \
      none is given.
      """,
      valueName: "name"))
  var names: [String] = []

  @Option(
    parsing: .unconditional, help: ArgumentHelp("Classes to tell apart; a YAML file's own, else 10.", valueName: "n"))
  var classes: Int?

  @Flag(help: "Prints JSON.")
  var json = false

  private static let standard =
    Architecture.paperNames + [20, 32, 38, 56].map { "resnet-\($0)" } + ["resnet-110-shared"]
    + [110, 146, 182].map { "resnet-\($0)-ubn" }

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
      /// Steps.
      var blocks: Int
      var entry: String
      /// The block that later steps run too; none where every step has its own.
      var sharedFrom: Int?
    }
  }

  func run() throws {
    let names = names.isEmpty ? Self.standard : names
    let rows = try names.flatMap { try Architecture.findAll($0, classes: classes) }.map(Self.row)
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
          entry: stage.entry.rawValue, sharedFrom: stage.sharing?.from)
      },
      steps: steps.count, totalParameters: architecture.totalParameters,
      trainableParameters: architecture.trainableParameters, multiplyAccumulates: architecture.multiplyAccumulates)
  }

  private static func line(_ row: Row) -> [String] {
    let stages = row.stages.map { stage in
      let blocks = stage.sharedFrom.map { from in "(\(from)+1·\(stage.blocks - from))" } ?? "\(stage.blocks)"
      return "\(stage.width)×\(blocks)@\(stage.height)"
    }.joined(separator: " ")
    return [
      row.name, "\(row.classes)", stages, "\(row.steps)", "\(row.totalParameters)", "\(row.trainableParameters)",
      "\(fixed(Double(row.multiplyAccumulates) / 1e6, 1)) M",
    ]
  }
}
