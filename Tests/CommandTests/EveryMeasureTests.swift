import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

/// Every measure of every kind of network, compared with PyTorch. This takes minutes, and so `scripts/test` runs it beside the
/// command's other tests.
@Suite struct EveryMeasureTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test(
    "Every measure of every kind of network by PyTorch",
    .enabled(if: Checkout.hasPyTorch, Comment(rawValue: Checkout.pyTorchIsMissing)),
    arguments: [
      ("", "6"), ("name: single\nstem: {width: 6}\nstages: [{width: 6, blocks: 6}]\n", "6"),
      (
        """
        name: pooling
        stem: {width: 6}
        stages:
          - {width: 6, blocks: 2}
          - {width: 6, blocks: 2, entry: average-pooling}
          - {width: 6, blocks: 3, entry: average-pooling}
        """, "4"
      ), ("", "4"),
      (
        """
        name: naive
        stem: {width: 6}
        stages:
          - {width: 6, blocks: 3, sharing: {from: 0}}
          - {width: 8, blocks: 4, entry: projection, sharing: {from: 1}}
        """, "6"
      ),
      (
        """
        name: unshared-normalisations
        stem: {width: 6}
        stages:
          - {width: 6, blocks: 3, sharing: {from: 1, unshared-statistics: true}}
          - width: 8
            blocks: 4
            entry: projection
            sharing: {from: 1, unshared-statistics: true, unshared-affine: true, initial-gamma: 0.1}
        """, "7"
      ),
      (
        """
        name: post-activation
        stem: {width: 6, norm: true, bias: false}
        stages:
          - {width: 6, blocks: 2, kind: post-activation}
          - {width: 8, blocks: 3, entry: projection, kind: post-activation, options: {shortcut: zeros}}
          - {width: 8, blocks: 2, entry: projection, kind: post-activation}
        head: {pooling: 8, norm: false}
        """, "7"
      ),
      (
        """
        name: bottleneck
        stem: {width: 6, norm: true, bias: false, before: [4], stride: 2}
        stages:
          - {width: 8, blocks: 3, entry: projection, stride: 1, kind: bottleneck, options: {reduction: 2, groups: 2}}
          - {width: 24, blocks: 2, entry: projection, kind: bottleneck, options: {shortcut: pooled-projection}}
        head: {pooling: 8, norm: false}
        """, "5"
      ),
      (
        """
        name: version-2
        stem: {width: 6, bias: false}
        stages:
          - {width: 8, blocks: 2, entry: projection, stride: 1, kind: pre-activation, options: {bias: false, shortcut-reads: activation}}
          - {width: 16, blocks: 3, entry: projection, kind: pre-activation-bottleneck}
        head: {pooling: 8}
        """, "5"
      ),
    ])
  func everyMeasure(model: String, step: String) throws {
    let file = scratch.file("model.yaml")
    try Files.write(model, to: file)
    let run = scratch.file("run")
    let trained = try Reslens.run([
      "train", "--model", model.isEmpty ? "resnet-14" : file.path, "--data", "synthetic", "--train-samples", "400",
      "--validation-samples", "100", "--batch", "32", "--epochs", "2", "--out", run.path,
    ])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    let listed = scratch.file("borderline.csv")
    let measured = try Reslens.run([
      "measure", run.path, "--measures", "all", "--samples", "150", "--batch", "64", "--unroll", "4", "--scale-grid",
      "1,0.3,0.1", "--recalibrate", "1", "--lesion-samples", "100", "--lesion-drops", "1,3", "--lesion-shuffles", "2",
      "--lesion-seeds", "2", "--list-borderline", listed.path, "--unroll-step", step,
    ])
    try #require(measured.status == 0, Comment(rawValue: measured.errors))
    let found = try #require(try RunFolder(run).measures())
    let tables = found.widest
    #expect(tables["unrolling"]?.parameters["recalibration_batches"] == 1)
    #expect(try tables.table("lesions-whole", .validation)?.numbers("count") == [100])
    let lines = String(decoding: try Data(contentsOf: listed), as: UTF8.self).split(separator: "\n")
    let borderline = try Split.allCases.map { split in
      try #require(try tables.table("borderline-flips", split)?.presentNumbers("count").first)
    }
    #expect(Double(lines.count) == 1 + borderline.reduce(0, +))

    let predicted = try Reslens.run(["predict", run.path, "--format", "csv"])
    let whole = try #require(try tables.table("dropped-step-baseline", .validation)?.presentNumbers("loss").first)
    let kept = tables.steps.filter(\.hasIdentitySkip).map(\.id.number)
    let ratios = try tables.rows(of: StepStatistic.self, in: "l2-ratio", .train).filter { kept.contains($0.step) }
    let drops = try #require(try tables.table("dropped-step", .validation)?.presentNumbers("loss"))
    let costs = kept.map { drops[$0 - 1] - whole }
    let ranked = try #require(rankCorrelation(ratios.map(\.mean), costs))
    let line = ",l2-ratio,\(Cell.number(ranked).csvText),\(kept.count)\n"
    #expect(predicted.output.contains(line), "\(line) \(predicted.output) \(predicted.errors)")
    #expect(try Reslens.run(["predict", run.path]).output.contains("\nl2-ratio "))

    let exported = try Reslens.run(["data", "export", "synthetic", scratch.file("data").path])
    try #require(exported.status == 0, Comment(rawValue: exported.errors))
    let check = try Checkout.reference("measure.py", [run.path, "--data", scratch.file("data").path, "--check"])
    #expect(check.status == 0, Comment(rawValue: check.text))

    // With recalibrated statistics.
    let recalibrated = try #require(try RunFolder(run).measures(.recalibrated))
    #expect(recalibrated.names == ["dropped-step", "lesions"] && recalibrated.recalibrationBatches == 1)
    let second = try Checkout.reference(
      "measure.py",
      [
        run.path, "--data", scratch.file("data").path, "--file",
        RunFolder(run).measuresFile(.recalibrated).path,
      ])
    #expect(second.status == 0 && second.text.contains("lesions.swapped"), Comment(rawValue: second.text))

    // By each batch's own statistics; what was measured by the running ones stays.
    let before = try Data(contentsOf: RunFolder(run).measuresFile)
    let training = try Reslens.run(["measure", run.path, "--batch-norm", "batch", "--samples", "96", "--batch", "48"])
    try #require(training.status == 0, Comment(rawValue: training.errors))
    let again = try Checkout.reference(
      "measure.py",
      [
        run.path, "--data", scratch.file("data").path, "--file", run.appending(path: "measures-batch.json").path,
      ])
    #expect(again.status == 0, Comment(rawValue: again.text))
    #expect(again.text.contains("gradient-norm") && again.text.contains("activation-norm"))
    guard model.isEmpty else { return }
    // The allowance for ReLUs near 0 must not hide a wrong number.
    var altered = try #require(try RunFolder(run).measures(.batchStatistics))
    let index = try #require(altered.tables.firstIndex { $0.name == "gradient-norm" })
    let old = altered.tables[index]
    var rows = old.rows
    let column = try #require(old.columns.firstIndex { $0.name == "mean" })
    rows[0][column] = .number(try #require(rows[0][column].number) * 1.003)
    altered.tables[index] = try Table(old.name, keys: old.keys, values: old.values, rows: rows)
    let alteredFile = scratch.file("altered.json")
    try Files.write(JSON.encode(altered), to: alteredFile)
    let refused = try Checkout.reference(
      "measure.py", [run.path, "--data", scratch.file("data").path, "--file", alteredFile.path])
    #expect(refused.status == 1 && refused.text.contains("gradient-norm differs: steps[0].mean"))
    #expect(try Data(contentsOf: RunFolder(run).measuresFile) == before)
    #expect(try RunFolder(run).measures(.batchStatistics)?.batch == 48)
  }
}
