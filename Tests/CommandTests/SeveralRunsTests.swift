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

  @Test("train --at-once trains several seeds side by side, each as if alone, also if it is killed and resumed")
  func atOnce() throws {
    let (alone, out) = (scratch.file("alone"), scratch.file("run"))
    // As many epochs as no machine trains before the last kill.
    let length = ["--epochs", "20"]
    try #require(try Reslens.train(alone, length + ["--seed", "2"]).status == 0)
    let more = length + ["--seeds", "0-3", "--at-once", "3", "--resume"]
    let (hits, seed) = try Reslens.killed(Reslens.trainArguments(out, more), times: 3, after: 0.3...1)
    #expect(hits > 0)
    // Seed 1 cannot be trained there.
    let file = scratch.file("run-1")
    try? FileManager.default.removeItem(at: file)
    try Data().write(to: file)
    let some = try Reslens.train(out, more)
    #expect(some.status == 1 && some.errors.hasSuffix("failed: seed 1\n"), "\(some.errors)")
    #expect(some.errors.contains("Error: seed 1: ") && some.errors.contains("seed 2: epoch 20"))
    #expect(Set(some.output.split(separator: "\n").map(String.init)) == Set([0, 2, 3].map { "\(out.path)-\($0)" }))
    #expect(try weights(scratch.file("run-2")) == weights(alone), "kills of seed \(seed)")
    let study = try Reslens.run([
      "study", "resnet-8", "--data", "synthetic", "--seeds", "0,1", "--epochs", "1", "--train-samples", "64",
      "--validation-samples", "16", "--at-once", "2", "--out", scratch.file("study").path,
    ])
    #expect(study.status == 0 && study.errors.contains("resnet-8-seed-1: epoch 1"), "\(study.errors)")
  }

  @Test(
    "Numbers of runs at once that cannot be are refused",
    arguments: [
      (["train", "--seeds", "0-1", "--at-once", "0"], "--at-once 0 is not between 1 and 64"),
      (["train", "--at-once", "2"], "--at-once is for several runs"),
      (["study", "resnet-8", "--out", "s", "--at-once", "2", "--jobs", "2"], "give either it or --jobs"),
    ])
  func badAtOnce(arguments: [String], words: String) throws {
    let found = try Reslens.run(arguments + ["--data", "synthetic"], in: scratch.url)
    #expect(found.status != 0 && found.errors.contains(words), "\(found.errors)")
  }

  @Test(
    "Seeds that cannot be are refused",
    arguments: [
      ("3-1", "the range 3-1 ends before it begins; write 1-3"), ("1-", "\"1-\" is neither"),
      ("-1", "\"-1\" is neither"),
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
