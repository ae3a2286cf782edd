import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensRuns
import ResLensTraining
import TestSupport
import Testing

@Suite struct RunNamesTests {
  private func configuration(
    _ model: String, seed: UInt64 = 0, epochs: Int = 10, batch: Int = 128
  ) throws -> RunConfiguration {
    let architecture = try Architecture.named(model)
    var configuration = RunConfiguration(
      architecture: architecture, data: "synthetic", recipe: try .find("quick", for: architecture), seed: seed)
    (configuration.recipe.epochs, configuration.recipe.batch) = (epochs, batch)
    return configuration
  }

  private func names(_ configurations: [RunConfiguration]) -> RunNames {
    RunNames(of: configurations, in: configurations.indices.map { "runs/r\($0)" })
  }

  @Test("Runs that differ in their seed share a name, and each has its own")
  func seeds() throws {
    let found = names(
      try [configuration("resnet-14"), configuration("resnet-14", seed: 1), configuration("resnet-20")])
    #expect(found.groups == ["resnet-14", "resnet-14", "resnet-20"])
    #expect(found.names == ["resnet-14, seed 0", "resnet-14, seed 1", "resnet-20"])
  }

  @Test("Runs of one architecture are called by what they differ in")
  func differences() throws {
    let found = names(
      try [
        configuration("resnet-14", epochs: 1), configuration("resnet-14", epochs: 10),
        configuration("resnet-14", epochs: 10, batch: 64), configuration("resnet-20", epochs: 3),
      ])
    #expect(
      found.names == [
        "resnet-14, 1 epoch, batches of 128", "resnet-14, 10 epochs, batches of 128",
        "resnet-14, 10 epochs, batches of 64", "resnet-20",
      ])
    #expect(Set(found.names).count == 4)
  }

  @Test("A difference that has no words is told by the folder, and so is none")
  func folders() throws {
    var other = try configuration("resnet-14")
    other.recipe.momentum = 0.5
    let found = names([try configuration("resnet-14"), other])
    #expect(found.names == ["resnet-14 (r0)", "resnet-14 (r1)"])
    let twice = names([try configuration("resnet-14"), try configuration("resnet-14")])
    #expect(twice.names == ["r0", "r1"] && twice.groups == [nil, nil])
    let namesakes = RunNames(
      of: [try configuration("resnet-14"), try configuration("resnet-14")], in: ["a/r0", "b/r0"])
    #expect(namesakes.names == ["a/r0", "b/r0"])
    #expect(names([try configuration("resnet-14")]).names == ["runs/r0"])
  }

  @Test("A study's folder stands for its runs in the order of their numbers, and other paths for themselves")
  func studyFolder() throws {
    let scratch = try Scratch()
    for name in ["r-10", "r-9", "r-1"] {
      let folder = scratch.file("study/runs/\(name)")
      try Files.makeFolder(folder)
      try Files.write(YAML.encode(configuration("resnet-14")), to: RunFolder(folder).configurationFile)
    }
    try Files.makeFolder(scratch.file("study/runs/empty"))
    let study = scratch.file("study").path
    #expect(RunFolder.paths(in: study) == ["r-1", "r-9", "r-10"].map { "\(study)/runs/\($0)" })
    #expect(RunFolder.paths(in: "\(study)/runs/") == RunFolder.paths(in: study))
    #expect(RunFolder.paths(in: "\(study)/runs/r-9") == ["\(study)/runs/r-9"])
    #expect(RunFolder.paths(in: "nowhere") == ["nowhere"])
  }
}
