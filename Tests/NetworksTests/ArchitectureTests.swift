import Foundation
import ResLensSupport
import ResLensNetworks
import TestSupport
import Testing

@Suite struct ArchitectureTests {
  @Test(
    "The paper's architectures have the paper's counts",
    arguments: [
      ("resnet-110", 1_742_762, 1_734_666, 1_740_516), ("single-representation", 1_829_210, 1_825_010, 1_969_100),
      ("avg-pooling", 12_201_310, 12_183_010, 12_196_600), ("wide", 45_732_842, 45_711_050, 45_768_740),
    ])
  func paperCounts(name: String, total: Int, trainable10: Int, trainable100: Int) throws {
    #expect(try Architecture.named(name).totalParameters == total)
    #expect(try Architecture.named(name).trainableParameters == trainable10)
    #expect(try Architecture.named(name, classes: 100).trainableParameters == trainable100)
  }

  @Test(
    "Table 1's plain networks have its counts",
    arguments: [(32, 467_946, 473_796), (38, 565_386, 571_236), (56, 857_706, 863_556), (110, 1_734_666, 1_740_516)])
  func tableCounts(layers: Int, trainable10: Int, trainable100: Int) throws {
    #expect(try Architecture.named("resnet-\(layers)").trainableParameters == trainable10)
    #expect(try Architecture.named("resnet-\(layers)", classes: 100).trainableParameters == trainable100)
  }

  @Test("Multiply-accumulates of ResNet-8 by hand")
  func multiplyAccumulates() throws {
    let (a, b, c) = (32 * 32, 16 * 16, 8 * 8)
    let stem = 27 * 16 * a
    let stage0 = 2 * 9 * 16 * 16 * a
    let stage1 = (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32) * b
    let stage2 = (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64) * c
    #expect(try Architecture.named("resnet-8").multiplyAccumulates == stem + stage0 + stage1 + stage2 + 640)
  }

  @Test("Steps are numbered through and know their shapes")
  func steps() throws {
    let wide = try Architecture.named("wide").steps
    #expect(wide.map(\.id.number) == Array(1...14))
    #expect(wide.filter { !$0.hasIdentitySkip }.map(\.id.number) == [1, 5, 10])
    #expect(wide[0].input == [16, 32, 32])
    #expect(wide[13].output == [640, 8, 8])
    let pooled = try Architecture.named("avg-pooling").steps
    #expect(!pooled.contains { !$0.hasIdentitySkip })
    #expect(pooled[10].input == [150, 16, 16])
  }

  @Test(
    "A name that cannot be is an error that says what there is",
    arguments: [
      "resnet-21", "resnet-2", "resnet-x", "resnet-999999999999", "resnet--9223372036854775808", "resnet-6008", "vgg",
      "",
    ])
  func unknownNames(name: String) {
    #expect(throws: ArchitectureError.self) { try Architecture.find(name) }
  }

  private func read(_ yaml: String) throws -> Architecture {
    let scratch = try Scratch()
    let file = scratch.file("net.yaml")
    try Files.write(yaml, to: file)
    return try Architecture.find(file.path)
  }

  @Test("A YAML file says the same as a value")
  func yaml() throws {
    let read = try read(
      """
      name: mine
      classes: 7
      stem: {width: 12}
      stages:
        - {width: 12, blocks: 2}
        - {width: 12, blocks: 1, entry: max-pooling}
        - {width: 20, blocks: 3, entry: projection}
      head: {pooling: 4}
      """)
    #expect(
      try read
        == Architecture(
          name: "mine", classes: 7, stem: .init(width: 12),
          stages: [
            .init(width: 12, blocks: 2, entry: .none), .init(width: 12, blocks: 1, entry: .maximumPooling),
            .init(width: 20, blocks: 3, entry: .projection, stride: 2),
          ], head: .init(pooling: 4)))
    #expect(try YAML.decode(Architecture.self, from: YAML.encode(read), path: "x") == read)
  }

  @Test(
    "A broken or contradictory YAML is an error that names the field",
    arguments: [
      ("stem: {width: 16}\nstages: [{width: 16, blocks: 1}]", "name"),
      ("name: a\nstem: {width: 16}\nstages: []", "stages"),
      ("name: a\nstem: {width: 16}\nstages: [{width: 32, blocks: 1}]", "stages[0].width"),
      ("name: a\nstem: {width: 16}\nstages: [{width: 16, blocks: 0}]", "stages[0].blocks"),
      ("name: a\nstem: {width: 16}\nstages: [{width: 16, blocks: many}]", "stages[0].blocks"),
      ("name: a\nstem: {width: 16}\nstages: [{width: 16, blocks: 1, stride: 2}]", "stages[0].stride"),
      ("name: a\nstem: {width: 16}\nstages: [{width: 16, blocks: 1, entry: jump}]", "stages[0].entry"),
      ("name: a\nstem: {width: 16}\nstages: [{width: 16, blocks: 1, depth: 3}]", "stages[0].depth"),
      ("name: a\nstem: {width: 16}\nstages: [{width: 16, blocks: 1}]\nhead: {pooling: 64}", "head.pooling"),
      (
        "name: a\nstem: {width: 65536}\nstages: [{width: 65536, blocks: 9999}]\ninput: {height: 4096, width: 4096}",
        "stages"
      ),
      ("name: a\nclasses: 1\nstem: {width: 16}\nstages: [{width: 16, blocks: 1}]", "classes"),
      ("name: a\nstem: [16\nstages: 3", "YAML"),
    ])
  func brokenYAML(text: String, field: String) {
    #expect {
      try read(text)
    } throws: { error in
      (error as? FileError).map { $0.path.hasSuffix("net.yaml") && $0.problem.contains(field) } ?? false
    }
  }
}
