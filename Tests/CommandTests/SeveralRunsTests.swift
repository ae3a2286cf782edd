import Foundation
import ResLensSupport
import ResLensResults
import ResLensTraining
import TestSupport
import Testing

/// Commands that do the same for several runs.
@Suite struct SeveralRunsTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func weights(_ run: URL) throws -> Data {
    try Data(contentsOf: #require(RunFolder(run).latestCheckpoint()).weightsFile)
  }

  @Test("measure takes several runs; one that fails does not stop the others, and is named at the end")
  func measure() throws {
    let runs = ["a", "b"].map(scratch.file)
    for run in runs {
      let trained = try Reslens.train(run, ["--epochs", "1"])
      try #require(trained.status == 0, Comment(rawValue: trained.errors))
    }
    let missing = scratch.file("missing")
    let more = ["--samples", "20", "--measures", "l2-ratio"]
    let some = try Reslens.run(["measure", runs[0].path, missing.path, runs[1].path] + more)
    #expect(some.status == 1 && some.errors.hasSuffix("failed: \(missing.path)\n"), "\(some.errors)")
    #expect(some.errors.contains("Error: \(missing.path): "))
    for run in runs {
      #expect(some.output.contains(run.path + "\n"))
      #expect(try RunFolder(run).measures()?.names == ["l2-ratio"])
    }
    let both = try Reslens.run(["measure"] + runs.map(\.path) + more)
    #expect(both.status == 0 && !both.errors.contains("failed"), "\(both.errors)")
    for (option, value) in [("--csv", scratch.file("tables").path), ("--list-borderline", scratch.file("b.csv").path)] {
      let refused = try Reslens.run(["measure"] + runs.map(\.path) + [option, value])
      #expect(refused.status != 0 && refused.errors.contains("\(option) is for one run"), "\(refused.errors)")
      #expect(!FileManager.default.fileExists(atPath: value))
    }
  }

  @Test("train --seeds trains each seed as if alone, and one that fails does not stop the others")
  func seeds() throws {
    let alone = scratch.file("alone")
    try #require(try Reslens.train(alone, ["--epochs", "1", "--seed", "2"]).status == 0)
    let out = scratch.file("run")
    let trained = try Reslens.train(out, ["--epochs", "1", "--seeds", "0,2-3"])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    let folders = [0, 2, 3].map { scratch.file("run-\($0)") }
    #expect(trained.output == folders.map { $0.path + "\n" }.joined())
    #expect(try weights(folders[1]) == weights(alone))
    #expect(try folders.map { try RunFolder($0).configuration().seed } == [0, 2, 3])
    #expect(!FileManager.default.fileExists(atPath: out.path))
    // There are runs in two of the four folders.
    let again = try Reslens.train(out, ["--epochs", "1", "--seeds", "1-4"])
    #expect(again.status == 1 && again.errors.hasSuffix("failed: seed 2, seed 3\n"), "\(again.errors)")
    #expect(again.output == [1, 4].map { scratch.file("run-\($0)").path + "\n" }.joined())
    let resumed = try Reslens.train(out, ["--epochs", "1", "--seeds", "0-4", "--resume"])
    #expect(resumed.status == 0, "\(resumed.errors)")
  }

  @Test(
    "Seeds that cannot be are refused",
    arguments: [
      ("3-1", "\"3-1\" is neither"), ("1-", "\"1-\" is neither"), ("-1", "\"-1\" is neither"),
      ("1,,2", "\"\" is neither"),
      ("0-2,1", "a seed occurs twice"), ("0-18446744073709551615", "more than 10000 seeds"), ("1-2-3", "neither"),
    ])
  func badSeeds(seeds: String, words: String) throws {
    for command in [
      ["train", "--model", "resnet-8", "--data", "synthetic"], ["probe", "resnet-8"],
      ["study", "resnet-8", "--data", "synthetic", "--out", "s"],
    ] {
      let found = try Reslens.run(command + ["--seeds", seeds], in: scratch.url)
      #expect(found.status != 0 && found.errors.contains(words), "\(found.errors)")
    }
    let both = try Reslens.run(["train", "--model", "resnet-8", "--data", "synthetic", "--seed", "1", "--seeds", "2"])
    #expect(both.status != 0 && both.errors.contains("--seed is for one run"))
  }

  @Test("study takes ranges of seeds")
  func study() throws {
    let out = scratch.file("study")
    let found = try Reslens.run([
      "study", "resnet-8", "--data", "synthetic", "--seeds", "0,2-3", "--epochs", "1", "--train-samples", "64",
      "--validation-samples", "16", "--out", out.path,
    ])
    try #require(found.status == 0, Comment(rawValue: found.errors))
    let names = try FileManager.default.contentsOfDirectory(atPath: out.appending(path: "runs").path)
    #expect(Set(names) == ["resnet-8-seed-0", "resnet-8-seed-2", "resnet-8-seed-3"])
  }
}
