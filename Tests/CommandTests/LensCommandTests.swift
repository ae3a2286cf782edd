import Foundation
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTraining
import TestSupport
import Testing

/// `reslens lens`, and `reslens measure --lens`.
@Suite(.serialized) struct LensCommandTests {
  private let scratch: Scratch
  private var run: URL { scratch.file("run") }

  init() throws { scratch = try Scratch() }

  @discardableResult
  private func call(_ arguments: [String]) throws -> String {
    let outcome = try Reslens.run(arguments)
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    return outcome.output
  }

  private func train(_ model: String, samples: Int = 400) throws {
    try call([
      "train", "--model", model, "--data", "synthetic", "--train-samples", "\(samples)", "--validation-samples", "100",
      "--batch", "32", "--epochs", "2", "--out", run.path,
    ])
  }

  private func refused(_ arguments: [String], _ words: String...) throws {
    let outcome = try Reslens.run(arguments)
    #expect(outcome.status != 0 && outcome.output.isEmpty, "\(arguments)")
    for word in words { #expect(outcome.errors.contains(word), "\(arguments): \(outcome.errors)") }
  }

  /// A network of each kind: the paper's, one as other programs publish them, and one that shares a block.
  private static let models = [
    "resnet-14",
    """
    name: other
    input: {channels: 3, height: 32, width: 32}
    classes: 10
    stem: {width: 4, norm: true, bias: false}
    stages:
    - {width: 4, blocks: 2, entry: none, kind: post-activation}
    - {width: 6, blocks: 2, entry: projection, stride: 2, kind: post-activation, options: {shortcut: zeros}}
    head: {pooling: 16, norm: false}
    """,
    """
    name: shared
    input: {channels: 3, height: 32, width: 32}
    classes: 10
    stem: {width: 4}
    stages:
    - {width: 4, blocks: 2, entry: none}
    - width: 4
      blocks: 4
      entry: average-pooling
      sharing: {from: 1, unshared-statistics: true, unshared-affine: true}
    head: {pooling: 8}
    """,
  ]

  @Test(
    "Everything that is measured through a lens is what PyTorch reads by the same maps",
    .enabled(if: Checkout.hasPyTorch, Comment(rawValue: Checkout.pyTorchIsMissing)), arguments: Self.models)
  func byPyTorch(model: String) throws {
    let file = scratch.file("model.yaml")
    try Files.write(model, to: file)
    try train(model.contains("\n") ? file.path : model)
    try call(["data", "export", "synthetic", scratch.file("data").path])
    for kind in LensKind.allCases { try compare(kind) }
  }

  private func compare(_ kind: LensKind) throws {
    let output = try call([
      "lens", run.path, "--kind", kind.rawValue, "--samples", "90", "--batch", "48",
    ])
    #expect(output.contains("\(kind.rawValue) lens") && output.contains("intermediate"))
    try call([
      "measure", run.path, "--lens", kind.rawValue, "--measures", "all", "--samples", "90", "--batch", "64",
      "--margin", "0.4",
    ])
    let results = try #require(try RunFolder(run).measures(.lens(kind)))
    #expect(results.lens?.kind == kind && results.names.count == 4)
    // Every step is read.
    let scores = try results.widest.rows(of: StepScore.self, in: "intermediate", .validation)
    #expect(scores.map(\.step) == results.steps.map(\.id.number))
    let arguments = [run.path, "--data", scratch.file("data").path]
    let check = try Checkout.reference("measure.py", arguments + ["--lens", kind.rawValue, "--check"])
    #expect(check.status == 0 && check.text.contains("borderline.turns"), Comment(rawValue: check.text))
    // An altered map is found out.
    let lens = RunFolder(run).lensFile(kind)
    var bytes = try Data(contentsOf: lens)
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: lens)
    let altered = try Checkout.reference("measure.py", arguments + ["--lens", kind.rawValue, "--check"])
    #expect(altered.status != 0)
  }

  @Test(
    "A linear lens is as accurate as scikit-learn's logistic regression",
    .enabled(if: Checkout.hasScikitLearn && Checkout.hasPyTorch, Comment(rawValue: Checkout.scikitLearnIsMissing)))
  func byScikitLearn() throws {
    try train("resnet-14", samples: 1000)
    try call(["lens", run.path, "--kind", "linear", "--samples", "100"])
    try call(["data", "export", "synthetic", scratch.file("data").path])
    let check = try Checkout.reference(
      "fit_lens.py", [run.path, "--data", scratch.file("data").path, "--samples", "1000"])
    #expect(check.status == 0 && check.text.contains("furthest apart"), Comment(rawValue: check.text))
  }

  @Test("A lens is neither lost nor mixed with another, and a report shows what each one reads")
  func together() throws {
    try train("resnet-14")
    let measure = ["measure", run.path, "--samples", "60", "--lens", "linear"]
    try refused(measure, "no such lens", "reslens lens", "--kind linear")
    try call(["lens", run.path, "--kind", "linear", "--samples", "60", "--fit-on", "200"])
    try call(["lens", run.path, "--kind", "affine", "--samples", "60", "--fit-on", "200", "--epochs", "1"])
    try call(measure + ["--measures", "first-order"])
    try call(["measure", run.path, "--samples", "60", "--measures", "intermediate,agreement,first-order"])
    let (lens, results) = (RunFolder(run).lensFile(.linear), RunFolder(run).measuresFile(.lens(.linear)))
    let before = try (Data(contentsOf: lens), Data(contentsOf: results))
    try refused(["lens", run.path, "--kind", "linear", "--fit-on", "100"], "already", "--replace")
    try refused(measure + ["--measures", "influence"], "only for first-order")
    try refused(measure + ["--batch-norm", "batch"], "--lens")
    try refused(measure + ["--last-steps", "2"], "before the last 1, 3, 5, 6")
    for (options, words) in [
      (["--fit-on", "0"], "at least one"), (["--fit-on", "1000000"], "there are"),
      (["--epochs", "2"], "affine lenses only"),
      (["--penalty", "0", "--replace"], "above 0"), (["--batch", "0"], "--batch 0"),
      (["--samples", "0"], "--samples 0"),
    ] {
      try refused(["lens", run.path, "--kind", "linear"] + options, words)
    }
    #expect(try (Data(contentsOf: lens), Data(contentsOf: results)) == before)

    try call(["report", run.path])
    let page = try String(contentsOf: RunFolder(run).reportFile, encoding: .utf8)
    for (id, lenses) in [
      ("intermediate", ["linear", "affine"]), ("agreement", ["linear", "affine"]), ("first-order", ["linear"]),
    ] {
      let start = try #require(page.range(of: "id=\"\(id)-lenses\""), "\(id)").upperBound
      let end = try #require(page.range(of: "</section>", range: start..<page.endIndex)).lowerBound
      let section = page[start..<end]
      for kind in LensKind.allCases.map(\.rawValue) {
        #expect(section.contains("<b>\(kind) lens</b>") == lenses.contains(kind), "\(id): \(kind)")
      }
      let drawn = try String(contentsOf: run.appending(path: "report-figures/\(id)-lenses.csv"), encoding: .utf8)
      let names = Set(
        drawn.split(separator: "\n").dropFirst().compactMap { $0.split(separator: ",").first.map(String.init) })
      #expect(names == Set(["own readout"] + lenses.map { "\($0) lens" }), "\(id)")
    }
    #expect(!page.contains("id=\"borderline-lenses\""))

    // Another fit: what was measured with the one before goes only when it is asked for.
    try call(["lens", run.path, "--kind", "linear", "--samples", "60", "--fit-on", "100", "--replace"])
    let again = try #require(try RunFolder(run).measures(.lens(.linear)))
    #expect(again.names == ["intermediate", "agreement"])
    // A lens of another network is refused.
    let kept = try Data(contentsOf: lens)
    try FileManager.default.removeItem(at: run)
    try train("resnet-14", samples: 300)
    try kept.write(to: lens)
    try refused(measure, "other weights", "--replace")
  }
}
