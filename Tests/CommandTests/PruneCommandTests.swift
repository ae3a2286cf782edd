import Foundation
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensSupport
import ResLensTraining
import TestSupport
import Testing

/// `reslens prune`.
@Suite(.serialized) struct PruneCommandTests {
  private let scratch: Scratch
  /// A trained ResNet-14, of which three steps can be dropped.
  private let run: URL

  init() throws {
    scratch = try Scratch()
    run = scratch.file("run")
    _ = try call([
      "train", "--model", "resnet-14", "--data", "synthetic", "--recipe", "quick", "--epochs", "1",
      "--train-samples", "600", "--validation-samples", "200", "--out", run.path,
    ])
  }

  @discardableResult
  private func call(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
    let outcome = try Reslens.run(arguments)
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    return outcome
  }

  @Test("Every order in the help can be read")
  func help() throws {
    let help = try call(["prune", "--help"]).output
    let orders = help.matches(of: /--by ([a-z0-9:,-]+)\s+--out/).map { String($0.output.1) }
    #expect(!orders.isEmpty)
    for order in orders { try refused(["--drop", "1", "--by", order], run.path, "has not been measured") }
  }

  private func refused(_ arguments: [String], into out: String = "refused", _ words: String...) throws {
    let outcome = try Reslens.run(["prune", run.path, "--out", scratch.file(out).path] + arguments)
    #expect(outcome.status != 0 && outcome.output.isEmpty, "\(arguments)")
    for word in words { #expect(outcome.errors.contains(word), "\(outcome.errors)") }
  }

  private func pruning(_ folder: URL) throws -> PruningResults { try #require(try RunFolder(folder).pruning()) }

  @Test(
    "The smaller network is a run of its own: it is measured, reported and trained on, and scores what the curve says")
  func smaller() throws {
    try call(["measure", run.path, "--samples", "200", "--measures", "l2-ratio,dropped-step"])
    let out = scratch.file("smaller")
    let options = ["--drop", "2", "--choose-on", "300", "--greedy", "--by", "l2-ratio:smallest,dropped-step"]
    let printed = try call(["prune", run.path, "--out", out.path] + options).output
    let results = try pruning(out)
    #expect(try results.orders == ["greedy", "l2-ratio", "dropped-step:largest"])
    for order in try results.orders { #expect(printed.contains(order)) }

    // The greedy order takes the lowest loss of each round.
    let greedy = try results.curve(of: "greedy")
    let rounds = try results.rounds()
    #expect(rounds.map(\.count) == [4, 3] || rounds.map(\.count) == [4, 2])
    for (round, point) in zip(rounds, greedy.dropped) {
      #expect(round.min { $0.loss < $1.loss }?.step == point)
    }
    // An order by a measure is that of its column on train samples.
    let measures = try #require(try RunFolder(run).measures()).widest
    let ratios = try measures.rows(of: StepStatistic.self, in: "l2-ratio", .train).filter {
      [1, 2, 4, 6].contains($0.step)
    }
    let first = try #require(ratios.min { $0.mean < $1.mean })
    #expect(try results.curve(of: "l2-ratio")[1].step == first.step)
    // The accuracy without a step is highest where the step matters least.
    let accuracies = try #require(try measures.table("dropped-step", .train)?.rows(of: DroppedRow.self))
      .filter { [1, 2, 4, 6].contains($0.step) }
    let least = try #require(accuracies.map(\.accuracy).max())
    #expect(
      try results.curve(of: "dropped-step:largest")[1].step == accuracies.first { $0.accuracy == least }?.step)
    // Without a step, the network is that of the measure.
    let without = try #require(
      try measures.table("dropped-step", .validation)?.rows(of: DroppedRow.self).first { $0.step == greedy[1].step })
    #expect(greedy[1].score.accuracy == without.accuracy && abs(greedy[1].score.loss - without.loss) < 1e-6)

    let folder = RunFolder(out)
    let configuration = try folder.configuration()
    #expect(configuration.architecture.name == "resnet-14-minus-2")
    #expect(configuration.architecture.steps.count == 4)
    #expect(configuration.architecture.multiplyAccumulates == greedy[2].macs)
    #expect(results.removed == greedy.dropped)
    try call(["measure", out.path, "--samples", "200", "--measures", "dropped-step"])
    let tables = try #require(try folder.measures()).widest
    let whole = try #require(try tables.rows(of: Score.self, in: "dropped-step-baseline", .validation).first)
    #expect(whole.accuracy == greedy[2].score.accuracy && abs(whole.loss - greedy[2].score.loss) < 1e-6)

    try call(["report", out.path])
    let page = try String(contentsOf: folder.reportFile, encoding: .utf8)
    #expect(page.contains("Pruning: how many steps can go?"))
    #expect(page.contains("as \(run.path)"))
    #expect(page.contains("resnet-14 without the steps \(results.removed.map(String.init).joined(separator: ", "))"))

    // Its own weights are what its configuration says that it starts from.
    let again = scratch.file("again")
    try call(
      ["train", "--config", folder.configurationFile.path, "--recipe", "quick", "--epochs", "1", "--out", again.path])
    #expect(try RunFolder(again).configuration().initialWeights == configuration.initialWeights)
    let tuned = scratch.file("tuned")
    try call(
      [
        "train", "--from", out.path, "--data", "synthetic", "--recipe", "quick", "--epochs", "1", "--train-samples",
        "200",
      ]
        + ["--validation-samples", "100", "--out", tuned.path])
    #expect(try RunFolder(tuned).configuration().architecture == configuration.architecture)
  }

  /// A row of the table of dropped steps.
  private struct DroppedRow: TableRow {
    var step: Int
    var accuracy: Double
    var loss: Double
    static let keys = ["step"]
  }

  @Test("A pruning that is killed again and again ends as one that is not, with statistics taken anew too")
  func resumed() throws {
    let (whole, killed) = (scratch.file("whole"), scratch.file("killed"))
    let options = ["--drop", "3", "--recalibrate", "2", "--choose-on", "600", "--out"]
    try call(["prune", run.path] + options + [whole.path])
    let (hits, seed) = try Reslens.killed(
      ["prune", run.path] + options + [killed.path], times: 6, after: 0.05...0.8)
    #expect(hits > 0)
    if !RunFolder(killed).holdsRun { try call(["prune", run.path] + options + [killed.path]) }
    #expect(try pruning(killed) == pruning(whole), "kills of seed \(seed)")
    let weights = try [whole, killed].map {
      try Data(contentsOf: #require(RunFolder($0).latestCheckpoint()).weightsFile)
    }
    #expect(weights[0] == weights[1], "kills of seed \(seed)")
    #expect(try pruning(whole).settings.recalibrationBatches == 2)
  }

  @Test("A pruning goes on from the choices that it finds, and replaces weights that were left by one of other steps")
  func choices() throws {
    let out = scratch.file("out")
    let options = ["prune", run.path, "--drop", "2", "--choose-on", "200", "--out", out.path]
    try call(options)
    let folder = RunFolder(out)
    let whole = try pruning(out)
    let other = try #require(try whole.rounds()[0].last { $0.step != whole.removed[0] })
    // As if another step had been chosen first, and nothing later.
    var results = try PruningResults(of: whole.run, whole.settings)
    try results.add(
      try whole.rounds()[0].map { .init(dropped: 1, step: $0.step, loss: $0.step == other.step ? 0 : $0.loss) })
    try Files.write(JSON.encode(results), to: folder.pruningFile)
    try FileManager.default.removeItem(at: folder.configurationFile)
    try call(options)
    let second = try pruning(out)
    #expect(second.removed.first == other.step && second.removed != whole.removed)
    try call(["measure", out.path, "--samples", "200", "--measures", "dropped-step"])
    let tables = try #require(try folder.measures()).widest
    let score = try #require(try tables.rows(of: Score.self, in: "dropped-step-baseline", .validation).first)
    #expect(try abs(score.loss - second.curve(of: "greedy")[2].score.loss) < 1e-6)
  }

  @Test("Other data choose and score, and the smaller network stays a run of its own data")
  func otherData() throws {
    let out = scratch.file("out")
    // Its weights had other statistics than its data.
    var tuned = try RunFolder(run).configuration()
    tuned.dataStatistics = tuned.statistics
    tuned.statistics?.means[0] += 0.1
    try Files.write(YAML.encode(tuned), to: RunFolder(run).configurationFile)
    try call([
      "prune", run.path, "--drop", "1", "--data", "synthetic:5", "--choose-on", "100", "--samples", "100", "--out",
      out.path,
    ])
    let (configuration, own) = (try RunFolder(out).configuration(), try RunFolder(run).configuration())
    #expect(configuration.data == own.data && configuration.statistics == own.statistics)
    #expect(configuration.dataStatistics == own.dataStatistics && own.dataStatistics != nil)
    #expect(configuration.trainSamples == 600 && configuration.validationSamples == 200)
    let settings = try pruning(out).settings
    #expect(settings.data == "synthetic:5" && settings.scoredOn == 100 && settings.statistics == own.statistics)
    try call(["measure", out.path, "--measures", "l2-ratio"])
  }

  @Test("Every number of a pruning is PyTorch's", arguments: [[], ["--recalibrate", "2"]])
  func pyTorch(_ more: [String]) throws {
    guard Checkout.hasPyTorch else { return print(Checkout.pyTorchIsMissing) }
    try call(["measure", run.path, "--samples", "200", "--measures", "l2-ratio"])
    let (out, data) = (scratch.file("out"), scratch.file("data"))
    try call(
      ["prune", run.path, "--drop", "3", "--choose-on", "150", "--greedy", "--by", "l2-ratio", "--out", out.path] + more
    )
    try call(["data", "export", "synthetic", data.path])
    let checked = try Checkout.reference("prune.py", [run.path, out.path, "--data", data.path])
    #expect(checked.status == 0 && checked.text.contains("smaller network: "), "\(checked.text)")
  }

  @Test("What cannot be pruned is refused before any work, and nothing is lost")
  func refusals() throws {
    try refused(["--drop", "4"], "--drop", "at most 3 can")
    try refused(["--drop", "0"], "--drop 0")
    try refused(["--drop", "1", "--by", "influense"], "--by", "did you mean influence?")
    try refused(["--drop", "1", "--by", "influence,influence"], "--by", "named twice")
    try refused(["--drop", "1", "--by", "influence"], run.path, "has not been measured", "reslens measure")
    try refused(["--drop", "1", "--recalibrate", "5"], "recalibrate", "between 1 and 4")
    try refused(["--drop", "1", "--choose-on", "601"], "--choose-on", "601")
    try refused(["--drop", "1", "--samples", "100000"], "--samples: there are", "fewer than 100000")
    try call(["measure", run.path, "--samples", "50", "--measures", "l2-ratio,intermediate"])
    try refused(
      ["--drop", "1", "--by", "influence"], "--by", "influence was not measured", "reslens measure \(run.path)")
    // Measures of other images say nothing about this order.
    let others = scratch.file("others")
    try FileManager.default.copyItem(at: run, to: others)
    try call([
      "measure", others.path, "--data", "synthetic:5", "--samples", "50", "--measures", "l2-ratio", "--replace",
    ])
    let other = try Reslens.run(
      ["prune", others.path, "--drop", "1", "--by", "l2-ratio", "--out", scratch.file("refused").path])
    #expect(other.status != 0 && other.errors.contains("of other data"), "\(other.errors)")
    try refused(["--drop", "2", "--by", "intermediate"], "--by", "intermediate", "fewer than 2")
    #expect(!FileManager.default.fileExists(atPath: scratch.file("refused").path))

    // A pruning that was begun with other settings, and one whose file is damaged.
    let begun = scratch.file("begun")
    try call(["prune", run.path, "--drop", "1", "--choose-on", "100", "--out", begun.path])
    try refused(["--drop", "1"], into: "begun", "there is a run in this folder already")
    let folder = RunFolder(begun)
    try FileManager.default.removeItem(at: folder.configurationFile)
    let text = try String(contentsOf: folder.pruningFile, encoding: .utf8)
    try refused(["--drop", "1", "--choose-on", "200"], into: "begun", "pruning.json", "other settings")
    try Files.write(text.replacing("\"format\":1", with: "\"format\":9"), to: folder.pruningFile)
    try refused(["--drop", "1", "--choose-on", "100"], into: "begun", "pruning.json", "format 9")
    let whole = try JSON.decode(PruningResults.self, from: Data(text.utf8), path: "p", remedy: "r")
    var results = try PruningResults(of: whole.run, whole.settings)
    try results.add([.init(dropped: 1, step: 3, loss: 0)])
    try Files.write(JSON.encode(results), to: folder.pruningFile)
    try refused(["--drop", "1", "--choose-on", "100"], into: "begun", "pruning.json", "step 3")
  }
}

extension [PruningResults.Point] {
  /// The steps that were dropped one after the other.
  fileprivate var dropped: [Int] { compactMap(\.step) }
}
