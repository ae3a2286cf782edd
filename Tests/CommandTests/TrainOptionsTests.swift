import Foundation
import ResLensSupport
import ResLensTasks
import ResLensResults
import ResLensTorch
import ResLensTraining
import TestSupport
import Testing

/// The options of `reslens train` that say what a run starts from, how long it goes on and what it leaves behind.
@Suite struct TrainOptionsTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// A recipe of steps, as a file.
  private func steps(epochs: Int) throws -> String {
    let file = scratch.file("steps-\(epochs).yaml")
    try Files.write(
      """
      name: steps
      epochs: \(epochs)
      batch: 64
      momentum: 0.9
      nesterov: true
      weight-decay: 0.0002
      decay-weights-only: true
      flip: true
      translate: 2
      label-smoothing: 0.0
      schedule: {kind: steps, parts: [{until: 1, rate: 0.05}, {until: 3, rate: 0.02}, {rate: 0.01}]}
      """, to: file)
    return file.path
  }

  private func weights(_ run: URL) throws -> Data {
    try Data(contentsOf: #require(RunFolder(run).latestCheckpoint()).weightsFile)
  }

  private func call(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
    let outcome = try Reslens.run(arguments)
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    return outcome
  }

  private func refused(_ arguments: [String], _ words: String...) throws {
    let outcome = try Reslens.run(arguments)
    #expect(outcome.status != 0 && outcome.output.isEmpty, "\(arguments)")
    for word in words { #expect(outcome.errors.contains(word), "\(outcome.errors)") }
  }

  @Test("--config trains what the file describes again, with the options that are given besides")
  func configuration() throws {
    let (run, again, other) = (scratch.file("run"), scratch.file("again"), scratch.file("other"))
    _ = try call(Reslens.trainArguments(run, ["--seed", "3", "--measure", "every=2,samples=20,l2-ratio"]))
    let file = RunFolder(run).configurationFile.path
    _ = try call(["train", "--config", file, "--out", again.path])
    #expect(try RunFolder(again).configuration() == RunFolder(run).configuration())
    #expect(try weights(again) == weights(run))
    #expect(try RunFolder(again).history().map(\.epoch) == [0, 2])

    _ = try call(["train", "--config", file, "--seed", "4", "--epochs", "1", "--out", other.path])
    var expected = try RunFolder(run).configuration()
    (expected.seed, expected.recipe.epochs) = (4, 1)
    #expect(try RunFolder(other).configuration() == expected)
    // A recipe that is named has its own number of epochs.
    let named = scratch.file("named")
    _ = try call(["train", "--config", file, "--recipe", try steps(epochs: 1), "--out", named.path])
    #expect(try RunFolder(named).configuration().recipe.epochs == 1)
  }

  @Test("A --config that cannot be used is refused with its file and field")
  func badConfiguration() throws {
    let run = scratch.file("run")
    _ = try call(Reslens.trainArguments(run, ["--epochs", "1"]))
    let file = RunFolder(run).configurationFile
    try refused(["train", "--config", scratch.file("none.yaml").path], "none.yaml", "there is no such file")
    let text = try String(contentsOf: file, encoding: .utf8)
    let damaged = scratch.file("damaged.yaml")
    try Files.write(text.replacing("batch: 128", with: "batch: 1"), to: damaged)
    try refused(
      ["train", "--config", damaged.path, "--out", scratch.file("new").path], damaged.path, "recipe.batch: 1")
    try Files.write(text.replacing("data: synthetic", with: "data: synthetic:7"), to: damaged)
    try refused(
      ["train", "--config", damaged.path, "--out", scratch.file("new").path], damaged.path, "other images", "--data")
    #expect(!RunFolder(scratch.file("new")).holdsRun)
  }

  @Test("A run of steps can be given more epochs, and ends bit-identical to one that had them from the start")
  func moreEpochs() throws {
    let (whole, raised) = (scratch.file("whole"), scratch.file("raised"))
    func train(_ run: URL, epochs: Int, _ more: [String] = []) throws {
      _ = try call(
        Reslens.trainArguments(run, ["--recipe", try steps(epochs: epochs), "--epochs", "\(epochs)"] + more))
    }
    try train(whole, epochs: 4)
    try train(raised, epochs: 2)
    _ = try call(["train", "--resume", "--epochs", "4", "--out", raised.path])
    #expect(try weights(raised) == weights(whole))
    #expect(try RunFolder(raised).epochs().map(\.learningRate) == [0.05, 0.02, 0.02, 0.01])
    #expect(try RunFolder(raised).configuration() == RunFolder(whole).configuration())
    // Without --epochs the run keeps those that it was given last.
    _ = try call(["train", "--resume", "--out", raised.path])
    #expect(try RunFolder(raised).epochs().count == 4)
    try refused(["train", "--resume", "--epochs", "3", "--out", raised.path], "it was 4, and it can only be raised")
  }

  @Test("More epochs are refused where learning rates depend on their number, and by a check that fails later")
  func refusedEpochs() throws {
    let run = scratch.file("run")
    _ = try call(Reslens.trainArguments(run, ["--epochs", "1"]))
    try refused(["train", "--resume", "--epochs", "2", "--out", run.path], "the number of epochs differs", "one-cycle")
    let longer = scratch.file("longer")
    _ = try call(Reslens.trainArguments(longer, ["--recipe", try steps(epochs: 1), "--epochs", "1"]))
    let before = try Data(contentsOf: RunFolder(longer).configurationFile)
    let checkpoint = try #require(RunFolder(longer).latestCheckpoint())
    try Files.write("{}", to: checkpoint.url.appending(path: "loop.json"))
    try refused(["train", "--resume", "--epochs", "2", "--out", longer.path], "loop.json")
    #expect(try Data(contentsOf: RunFolder(longer).configurationFile) == before)
  }

  private func checkpoints(_ run: URL) -> [String] {
    RunFolder(run).checkpointList().map(\.url.lastPathComponent)
  }

  @Test("--keep-checkpoints keeps the checkpoints that it names, and a resumed run goes on with that")
  func keptCheckpoints() throws {
    func name(_ epoch: Int) -> String { Checkpoint.name(epoch: epoch) }
    let recipe = ["--recipe", try steps(epochs: 3), "--epochs", "3"]
    for (choice, kept) in [("every=2", [2, 3]), ("all", [1, 2, 3])] {
      let run = scratch.file(choice)
      _ = try call(Reslens.trainArguments(run, recipe + ["--keep-checkpoints", choice]))
      #expect(checkpoints(run) == kept.map(name))
    }
    let run = scratch.file("every=2")
    _ = try call(["train", "--resume", "--epochs", "5", "--out", run.path])
    #expect(checkpoints(run) == [2, 4, 5].map(name))

    // The best is the first of those with the lowest error, as epochs.csv tells.
    let best = scratch.file("best")
    _ = try call(
      Reslens.trainArguments(best, ["--recipe", try steps(epochs: 5), "--epochs", "5", "--keep-checkpoints", "best"]))
    let errors = try RunFolder(best).epochs().map(\.validationError)
    let lowest = 1 + (try #require(errors.indices.min { errors[$0] < errors[$1] }))
    #expect(checkpoints(best) == Set([lowest, 5]).sorted().map(name))
    try refused(Reslens.trainArguments(scratch.file("new"), ["--keep-checkpoints", "every=0"]), "--keep-checkpoints")
  }

  @Test("Killed at random moments, a run keeps every checkpoint of an undisturbed one, and no more")
  func killedCheckpoints() throws {
    let (whole, killed) = (scratch.file("whole"), scratch.file("killed"))
    let more = ["--epochs", "6", "--resume", "--checkpoint-seconds", "0.05", "--keep-checkpoints", "every=2"]
    _ = try call(Reslens.trainArguments(whole, more))
    let (hits, seed) = try Reslens.trainKilled(killed, more, times: 8)
    _ = try call(Reslens.trainArguments(killed, more))
    #expect(hits >= 3, "seed \(seed)")
    #expect(checkpoints(whole) == [2, 4, 6].map { Checkpoint.name(epoch: $0) })
    #expect(checkpoints(killed) == checkpoints(whole), "seed \(seed)")
    for (a, b) in zip(RunFolder(whole).checkpointList(), RunFolder(killed).checkpointList()) {
      #expect(try Data(contentsOf: a.weightsFile) == Data(contentsOf: b.weightsFile), "seed \(seed)")
    }
  }

  @Test("Checkpoints that are not to be kept any more are removed with the next one")
  func unprunedCheckpoints() throws {
    let run = scratch.file("run")
    let recipe = ["--recipe", try steps(epochs: 2), "--epochs", "2"]
    _ = try call(Reslens.trainArguments(run, recipe + ["--keep-checkpoints", "all"]))
    _ = try call(["train", "--resume", "--epochs", "3", "--keep-checkpoints", "every=2", "--out", run.path])
    #expect(checkpoints(run) == [2, 3].map { Checkpoint.name(epoch: $0) })
  }

  @Test("--from starts from a run, a checkpoint or a file; epoch 0 is measured with these weights")
  func initialWeights() throws {
    let source = scratch.file("source")
    _ = try call(
      Reslens.trainArguments(source, ["--epochs", "1", "--measure", "every=1,samples=30,l2-ratio,intermediate"]))
    let checkpoint = try #require(RunFolder(source).latestCheckpoint())
    let last = try #require(try RunFolder(source).history().last)
    // A file need not say of which architecture it is.
    let bare = scratch.file("bare.safetensors")
    try Safetensors(tensors: try Safetensors(contentsOf: checkpoint.weightsFile).tensors).write(to: bare)
    for (name, path) in [
      ("of-run", source.path), ("of-checkpoint", checkpoint.url.path), ("of-file", bare.path),
    ] {
      let run = scratch.file(name)
      _ = try call(
        Reslens.trainArguments(
          run,
          ["--epochs", "1", "--from", path, "--seed", "7", "--measure", "every=1,samples=30,l2-ratio,intermediate"]))
      let first = try #require(try RunFolder(run).history().first)
      #expect(first.epoch == 0 && first.batchNorm == .running)
      #expect(first.tables == last.tables && first.provenance.weights == last.provenance.weights)
      let stored = try #require(try RunFolder(run).configuration().initialWeights)
      #expect(stored.weights == last.provenance.weights)
      #expect(stored.path == (name == "of-file" ? bare : checkpoint.weightsFile).standardizedFileURL.path)
    }
    #expect(try weights(scratch.file("of-run")) == weights(scratch.file("of-file")))
    // The run does not need the file again, and does not go on from other weights.
    try FileManager.default.removeItem(at: bare)
    _ = try call(["train", "--resume", "--out", scratch.file("of-file").path])
    try refused(
      ["train", "--resume", "--from", scratch.file("of-run").path, "--out", scratch.file("of-checkpoint").path],
      "the weights that it starts from")
  }

  @Test("Weights are trained on with inputs normalised as in their run, whatever the statistics of the data")
  func statisticsOfInitialWeights() throws {
    let (source, tuned) = (scratch.file("source"), scratch.file("tuned"))
    _ = try call(Reslens.trainArguments(source, ["--epochs", "1"]))
    var configuration = try RunFolder(source).configuration()
    let own = try #require(configuration.statistics)
    let foreign = ChannelStatistics(means: own.means.map { $0 + 0.1 }, deviations: own.deviations.map { $0 * 1.5 })
    configuration.statistics = foreign
    try Files.write(YAML.encode(configuration), to: RunFolder(source).configurationFile)
    _ = try call(
      Reslens.trainArguments(
        tuned, ["--from", source.path, "--epochs", "1", "--measure", "every=1,samples=30,l2-ratio"]))
    // An epoch is scored as a measurement by these statistics scores it.
    let folder = RunFolder(tuned)
    let stored = try folder.configuration()
    #expect(stored.statistics == foreign && stored.dataStatistics == own)
    #expect(try folder.history().map(\.provenance.statistics) == [foreign, foreign])
    _ = try call(["measure", tuned.path, "--measures", "dropped-step"])
    let measures = try #require(try folder.measures())
    #expect(measures.provenance.statistics == foreign && measures.provenance.isOwnData)
    let table = try #require(try measures.widest.table("dropped-step-baseline", .validation))
    let (epoch, loss) = (try #require(try folder.epochs().last), try #require(table.presentNumbers("loss").first))
    #expect(abs(loss - epoch.validationLoss) < 1e-6)
    // The run goes on so, and so does one from its file, which knows its data by their own statistics.
    _ = try call(["train", "--resume", "--data", "synthetic", "--out", tuned.path])
    let again = scratch.file("again")
    _ = try call(["train", "--config", folder.configurationFile.path, "--out", again.path])
    #expect(try RunFolder(again).configuration() == stored && weights(again) == weights(tuned))
    // A checkpoint's folder and its file lie in the run too; a file elsewhere has no statistics.
    let checkpoint = try #require(RunFolder(source).latestCheckpoint())
    let elsewhere = scratch.file("elsewhere.safetensors")
    try FileManager.default.copyItem(at: checkpoint.weightsFile, to: elsewhere)
    #expect(try InitialWeights.statistics(of: checkpoint.url.path) == foreign)
    #expect(try InitialWeights.statistics(of: checkpoint.weightsFile.path) == foreign)
    #expect(try InitialWeights.statistics(of: elsewhere.path) == nil)
    // Weights that were trained on the data by their own statistics keep these on other data, by --from and by --config.
    configuration.statistics = own
    try Files.write(YAML.encode(configuration), to: RunFolder(source).configurationFile)
    let (same, moved, copied) = (scratch.file("same"), scratch.file("moved"), scratch.file("copied"))
    _ = try call(Reslens.trainArguments(same, ["--from", source.path, "--epochs", "1"]))
    #expect(try RunFolder(same).configuration().dataStatistics == nil)
    _ = try call(Reslens.trainArguments(moved, ["--from", source.path, "--epochs", "1", "--data", "synthetic:2"]))
    let other = try RunFolder(moved).configuration()
    #expect(other.statistics == own && other.dataStatistics != nil && other.dataStatistics != own)
    _ = try call(
      ["train", "--config", RunFolder(same).configurationFile.path, "--data", "synthetic:2", "--out", copied.path])
    #expect(try RunFolder(copied).configuration() == other)
    // A run that was begun otherwise is not continued by them.
    configuration = stored
    (configuration.statistics, configuration.dataStatistics) = (own, nil)
    #expect(stored.problem(continuing: configuration)?.contains("the normalisation of the inputs differs") == true)
  }

  @Test("Stopped before its first step, a run that starts from weights has them in its first checkpoint")
  func firstCheckpoint() throws {
    let (source, run) = (scratch.file("source"), scratch.file("run"))
    _ = try call(Reslens.trainArguments(source, ["--epochs", "1"]))
    var configuration = try RunFolder(source).configuration()
    configuration.initialWeights = try InitialWeights(source.path, for: configuration.architecture)
    let dataset = try ImageDataset.load("synthetic")
    var measured = configuration
    measured.measure = MeasureSchedule(every: 1, samples: 10, names: ["l2-ratio"])
    let stopped = try Trainer(measured, dataset: dataset, folder: RunFolder(run))
    stopped.measureEpoch = { _, _ in .stopped }
    #expect(try stopped.run() == .stopped)
    #expect(checkpoints(run) == [Checkpoint.name(epoch: 0)])
    #expect(try weights(run) == weights(source))
    // Other weights in the file are not taken for those of the configuration.
    let other = scratch.file("other")
    _ = try call(Reslens.trainArguments(other, ["--epochs", "1", "--seed", "5"]))
    let file = try #require(RunFolder(other).latestCheckpoint()).weightsFile
    configuration.initialWeights?.path = file.path
    #expect { try Trainer(configuration, dataset: dataset, folder: RunFolder(scratch.file("none"))) } throws: {
      "\($0)".contains("it holds other weights")
    }
  }

  @Test("--from refuses weights of another architecture by the first parameter that differs")
  func otherWeights() throws {
    let source = scratch.file("source")
    _ = try call(Reslens.trainArguments(source, ["--epochs", "1"]))
    func refuse(_ model: String, _ words: String...) throws {
      let run = scratch.file("new")
      let outcome = try Reslens.run(Reslens.trainArguments(run, ["--from", source.path]) + ["--model", model])
      #expect(outcome.status != 0 && !RunFolder(run).holdsRun)
      for word in words { #expect(outcome.errors.contains(word), "\(outcome.errors)") }
    }
    try refuse("resnet-14", "weights.safetensors: parameter stages.0.1.norm1.weight: it is missing", "resnet-14")
    let wide = scratch.file("wide.yaml")
    try Files.write(
      """
      name: wider
      stem: {width: 24}
      stages: [{width: 24, blocks: 1}, {width: 32, blocks: 1, entry: projection}]
      """, to: wide)
    try refuse(wide.path, "stem.weight: it has shape [16, 3, 3, 3] where wider needs [24, 3, 3, 3]")
    try refused(
      Reslens.trainArguments(scratch.file("new"), ["--from", scratch.url.path]), "there is no checkpoint in this folder"
    )
    try refused(
      Reslens.trainArguments(scratch.file("new"), ["--from", scratch.file("x").path]), "there is no such file")
  }
}
