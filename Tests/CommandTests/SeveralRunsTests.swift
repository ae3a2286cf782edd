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
}
