import ResLensNetworks
import ResLensStudies
import Testing

@Suite struct ScaleTests {
  @Test(
    "The paper's networks become smaller ones of the same kind",
    arguments: [
      ("resnet-110", "resnet-56", [9, 9, 9], [16, 32, 64]), ("resnet-38", "resnet-20", [3, 3, 3], [16, 32, 64]),
      ("resnet-32", "resnet-14", [2, 2, 2], [16, 32, 64]),
      ("resnet-110-ubn", "resnet-56-ubn@2", [9, 9, 9], [16, 32, 64]),
      ("resnet-110-shared+affine", "resnet-56-shared+affine@2", [9, 9, 9], [16, 32, 64]),
      // Half of it is no ResNet of that name: its stages share from blocks of their own.
      ("resnet-20-ubn", "resnet-20-ubn-reduced", [2, 3, 3], [16, 32, 64]),
      ("single-representation", "single-representation-reduced", [5], [25]),
      ("avg-pooling", "avg-pooling-reduced", [5, 5, 5], [38, 38, 38]),
      ("wide", "wide-reduced", [2, 2, 2], [40, 80, 160]),
    ] as [(String, String, [Int], [Int])])
  func reduced(model: String, name: String, blocks: [Int], widths: [Int]) throws {
    let whole = try Architecture.named(model)
    let reduced = Scale.small.reduced(whole)
    #expect(reduced.name == name)
    #expect(reduced.stages.map(\.blocks) == blocks && reduced.stages.map(\.width) == widths)
    #expect(throws: Never.self) { try reduced.validate() }
    #expect(Scale.paper.reduced(whole) == whole)
    // A scale is what its name says.
    if !name.hasSuffix("-reduced") { #expect(try Architecture.named(name) == reduced) }
  }

  @Test("A network that only has a ResNet's name does not get another one's")
  func ownName() throws {
    var mine = try Architecture.named("resnet-20")
    (mine.name, mine.head.pooling) = ("resnet-mine", 4)
    #expect(Scale.small.reduced(mine).name == "resnet-mine-reduced")
  }

  @Test("As many blocks of their own as half of ResNet-38 has: the comparison of the paper stays one of equal sizes")
  func equalSizes() throws {
    let shared = Scale.small.reduced(try .named("resnet-110-ubn"))
    let baseline = Scale.small.reduced(try .named("resnet-38"))
    #expect(Set(shared.steps.map { [$0.stage, $0.block] }).count == baseline.steps.count)
  }

  @Test("A stage that has one block, and one that is narrow, keep them")
  func least() throws {
    let tiny = try Architecture(
      name: "tiny", stem: .init(width: 4),
      stages: [
        .init(width: 4, blocks: 1, entry: .none),
        .init(width: 6, blocks: 3, entry: .projection, stride: 2, sharing: .init(from: 1)),
      ])
    let reduced = Scale.smoke.reduced(tiny)
    #expect(reduced.stages.map(\.width) == [4, 6])
    // Two steps that share, and the block before them.
    #expect(reduced.stages.map(\.blocks) == [1, 3] && reduced.stages[1].sharing?.from == 1)
    #expect(throws: Never.self) { try reduced.validate() }
  }
}
