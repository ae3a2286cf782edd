import ArgumentParser
import Foundation
import ResLensSupport
import ResLensNetworks

struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "Prints the sizes of architectures.",
    discussion: """
      Suffixes of a name, which also work for YAML files, select shared blocks (§4.5). -shared: in every stage, all \
      steps from block 5 on run the same block (in stages of fewer than seven blocks, the last two steps); @F sets \
      another first block. +statistics and +affine give each of these steps its own running statistics, and its own γ \
      and β; +gamma starts their γ at 0.1. -ubn stands for all three. In the table, 16×(5+1·13) means 16 channels, 5 \
      blocks that are not shared and one block that 13 steps share.

      For example:
        reslens models resnet-20 wide my-network.yaml --classes 100 --json
        reslens models resnet-110-shared resnet-110-shared+statistics resnet-56-ubn@2 wide-ablation
      """)

  @Argument(
    help: ArgumentHelp(
      """
      Names or YAML files; with the suffix -ablation, the eight networks of Fig. 9. (default: the paper's networks and \
      some similar ones)
      """,
      valueName: "name"), completion: .models)
  var names: [String] = []

  @Option(
    parsing: .unconditional, help: ArgumentHelp("Number of classes. (default: the YAML file's, or 10)", valueName: "n"))
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
      print(Self.table(rows).text())
    }
  }

  static func row(_ architecture: Architecture) -> Row {
    let steps = architecture.steps
    return Row(
      name: architecture.name, classes: architecture.classes,
      stages: architecture.stages.enumerated().map { index, stage in
        .init(
          width: stage.width, height: steps.last { $0.stage == index }?.output[1] ?? 0, blocks: stage.blocks,
          entry: stage.entry.rawValue, sharedFrom: stage.sharing?.from)
      },
      steps: steps.count, totalParameters: architecture.totalParameters,
      trainableParameters: architecture.trainableParameters, multiplyAccumulates: architecture.multiplyAccumulates)
  }

  private static func table(_ rows: [Row]) -> TextTable {
    TextTable(columns: [
      .init("name", cells: rows.map(\.name)), .init("classes", cells: rows.map { "\($0.classes)" }, rank: 3),
      .init("stages", cells: rows.map(stages), rank: 1), .init("steps", cells: rows.map { "\($0.steps)" }),
      .init("parameters", "total", cells: rows.map { "\($0.totalParameters)" }, rank: 2),
      .init("parameters", "trainable", cells: rows.map { "\($0.trainableParameters)" }),
      .init("MACs", "millions", cells: rows.map { decimal(Double($0.multiplyAccumulates) / 1e6, 1) }),
    ])
  }

  private static func stages(of row: Row) -> String {
    row.stages.map { stage in
      let blocks = stage.sharedFrom.map { from in "(\(from)+1·\(stage.blocks - from))" } ?? "\(stage.blocks)"
      return "\(stage.width)×\(blocks)@\(stage.height)"
    }.joined(separator: " ")
  }
}
