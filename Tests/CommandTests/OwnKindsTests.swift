import Foundation
import OwnKinds
import ResLensNetworks
import ResLensSupport
import ResLensResults
import TestSupport
import Testing
import ResLensTraining

/// A program that adds a kind of block and a measure to the command, without a change in `Sources`.
@Suite struct OwnKindsTests {
  private let scratch: Scratch
  private let model: URL
  private let run: URL

  init() throws {
    // The tests read its runs too.
    try BlockKinds.register(GatedBlock.self)
    scratch = try Scratch()
    (model, run) = (scratch.file("gated.yaml"), scratch.file("run"))
    try Files.write(
      """
      name: gated-network
      stem: {width: 8}
      stages:
        - {width: 8, blocks: 3, kind: gated, options: {gate: channel}}
        - {width: 16, blocks: 1, entry: projection, stride: 2}
        - {width: 16, blocks: 4, kind: gated, sharing: {from: 2, unshared-statistics: true}}
      """, to: model)
  }

  private static let program = URL(filePath: Reslens.program).deletingLastPathComponent().appending(path: "OwnProgram")

  private func own(_ arguments: [String]) throws -> String {
    let outcome = try Tool(Self.program.path).run(arguments)
    try #require(outcome.status == 0, "\(arguments): \(outcome.errors)")
    return String(decoding: outcome.output, as: UTF8.self)
  }

  private func train(_ out: URL, _ more: [String] = []) -> [String] {
    [
      "train", "--model", model.path, "--data", "synthetic", "--train-samples", "300", "--validation-samples", "100",
      "--batch", "32", "--out", out.path, "--measure", "every=1,samples=50", "--checkpoint-seconds", "0.02", "--resume",
    ] + more
  }

  @Test("The block's and the measure's files are as short as promised")
  func lengths() throws {
    let folder = Checkout.root.appending(path: "Tests/OwnKinds")
    for (name, most) in [("GatedBlock.swift", 80), ("Growth.swift", 40)] {
      let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
      #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= most + 1, "\(name)")
    }
  }

  @Test("The block is written in YAML, counted, trained, killed and resumed to the same bits")
  func blocks() throws {
    struct Row: Decodable { var trainable_parameters, total_parameters, steps, multiply_accumulates: Int }
    let rows = try JSONDecoder().decode([Row].self, from: Data(try own(["models", "--json", model.path]).utf8))
    // A gated block of C channels: γ and β, a 3×3 and a 1×1 convolution with biases.
    func gated(_ c: Int) -> Int { 2 * c + 9 * c * c + c + c * c + c }
    let stem = 9 * 3 * 8 + 8
    let projecting = 2 * 8 + 9 * 8 * 16 + 16 + 2 * 16 + 9 * 16 * 16 + 16 + 8 * 16 + 16
    let head = 2 * 16 + 16 * 4 * 10 + 10
    // Steps 3 and 4 of the last stage run one block.
    #expect(rows[0].trainable_parameters == stem + 3 * gated(8) + projecting + 3 * gated(16) + head)
    #expect(rows[0].steps == 8 && rows[0].total_parameters > rows[0].trainable_parameters)
    let known = try Reslens.run(["models", model.path])
    #expect(known.status != 0 && known.errors.contains("stages[0].kind"), "\(known.errors)")

    let killed = scratch.file("killed")
    _ = try own(train(run, ["--epochs", "3"]))
    for seconds in [0.6, 0.9, 1.2] {
      let process = Process()
      (process.executableURL, process.arguments) = (Self.program, train(killed, ["--epochs", "3"]))
      (process.standardError, process.standardOutput) = (FileHandle.nullDevice, FileHandle.nullDevice)
      try process.run()
      Thread.sleep(forTimeInterval: seconds)
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    _ = try own(train(killed, ["--epochs", "3"]))
    let files = try [run, killed].map { try Data(contentsOf: #require(RunFolder($0).latestCheckpoint()).weightsFile) }
    #expect(files[0] == files[1])
  }

  @Test("The measure appears in measure, CSV, history, compare, a study's YAML and the report")
  func measures() throws {
    _ = try own(train(run, ["--epochs", "1"]))
    #expect(try RunFolder(run).history().allSatisfy { $0.names.contains("growth") })
    let tables = scratch.file("tables")
    let printed = try own(["measure", run.path, "--measures", "all", "--samples", "60", "--csv", tables.path])
    #expect(printed.contains("growth"))
    let found = try #require(try RunFolder(run).measures())
    #expect(found.names.isSuperset(of: ["growth", "l2-ratio", "unrolling", "lesions", "borderline"]))
    // One of eight steps has a projection.
    #expect(try found.widest.table("growth", .validation)?.numbers("count") == Array(repeating: 60, count: 7))
    let csv = try String(contentsOf: tables.appending(path: "growth.csv"), encoding: .utf8)
    #expect(csv.hasPrefix("split,samples,step,mean,std,count\ntrain,60,1,"))
    #expect(try own(["compare", run.path]).contains("growth"))
    #expect(try own(["compare", run.path, "--format", "csv"]).contains("growth_mean"))
    _ = try own(["report", run.path])
    let page = try String(contentsOf: RunFolder(run).reportFile, encoding: .utf8)
    #expect(page.contains("Growth: does a step make the hidden state larger?"))
    #expect(page.contains("id=\"history-growth\"") && page.contains("growth.csv"))

    let study = scratch.file("study.yaml")
    try Files.write(
      """
      name: own-study
      models: [\(model.path)]
      data: [synthetic]
      epochs: 1
      batch: 32
      train-samples: 200
      validation-samples: 80
      record: {every: 1, samples: 40}
      measure: {samples: 40}
      figures: [growth, history-growth]
      """, to: study)
    let out = scratch.file("studies")
    _ = try own(["reproduce", study.path, "--data", "synthetic", "--out", out.path])
    let pages = try String(contentsOf: out.appending(path: "own-study.html"), encoding: .utf8)
    #expect(pages.contains("Growth over training") && pages.contains("does a step make the hidden"))
    // The command without the measure does not know it.
    let without = try Reslens.run(["measure", run.path, "--measures", "growth"])
    #expect(without.status != 0 && without.errors.contains("there is no measure \"growth\""), "\(without.errors)")
  }
}
