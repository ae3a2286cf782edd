import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

/// Trainings in several processes.
@Suite(
  .enabled(if: ProcessGroup.isPossible, "this build has no Gloo: install libgloo-dev and build again"))
struct ProcessTests {
  private let scratch: Scratch
  /// Slow enough that 50 steps leave rounding what it is.
  private static let recipe = """
    {name: gentle, epochs: 1, batch: 16, momentum: 0.9, nesterov: false, weight-decay: 0.0001, decay-weights-only: false,
    flip: true, translate: 2, label-smoothing: 0, schedule: {kind: steps, parts: [{rate: 0.001}]}}
    """

  init() throws {
    scratch = try Scratch()
    try Files.write(Self.recipe, to: scratch.file("gentle.yaml"))
  }

  /// 50 steps.
  private func gentle(_ name: String) -> [String] {
    [
      "train", "--model", "resnet-8", "--data", "synthetic", "--recipe", scratch.file("gentle.yaml").path,
      "--train-samples", "800", "--validation-samples", "200", "--out", scratch.file(name).path,
    ]
  }

  private func launch(_ processes: Int, _ arguments: [String]) throws -> (status: Int32, output: String, errors: String)
  {
    try Reslens.run(["launch", "--processes", "\(processes)", "--"] + arguments)
  }

  private func weights(_ name: String) throws -> [String: Tensor] {
    let checkpoint = try #require(RunFolder(scratch.file(name)).latestCheckpoint())
    return try ResidualNetwork(contentsOf: checkpoint.weightsFile).parameters
  }

  private func distance(_ a: [String: Tensor], _ b: [String: Tensor]) throws -> Double {
    try a.filter { !$0.key.contains("running") }.map { try $0.value.distance(to: b.required($0.key)) }.max()
      ?? .infinity
  }

  @Test("Two and four processes that share their batches' statistics learn what one does, but for rounding")
  func synchronised() throws {
    let one = try Reslens.run(gentle("one"))
    #expect(one.status == 0, "\(one.errors)")
    let expected = try weights("one")
    let start = try ResidualNetwork(.find("resnet-8"), seed: 0).parameters
    let moved = try distance(start, expected)
    for processes in [2, 4] {
      let call = try launch(processes, gentle("of-\(processes)") + ["--sync-batch-norm"])
      #expect(call.status == 0, "\(call.errors)")
      let found = try distance(expected, weights("of-\(processes)"))
      #expect(found < 2e-4 && found < moved / 50, "\(processes) processes: \(found) of \(moved)")
    }
    // A resumed run keeps whose statistics it normalises by, unless the option is given.
    _ = try launchAndKill(rank: 1, gentle("killed") + ["--sync-batch-norm", "--checkpoint-seconds", "0"])
    let end = try launch(2, ["train", "--resume", "--out", scratch.file("killed").path])
    #expect(end.status == 0 && !end.errors.contains("normalised in"), "\(end.errors)")
    let others = try weights("killed")
    for (path, tensor) in try weights("of-2") { #expect(try tensor.equals(others.required(path)), "\(path)") }
    let changed = try launch(2, ["train", "--resume", "--no-sync-batch-norm", "--out", scratch.file("killed").path])
    #expect(changed.status == 0 && changed.errors.contains("in 2 parts now, and was in 1"), "\(changed.errors)")
    #expect(try RunFolder(scratch.file("killed")).configuration().synchronisesStatistics == nil)
  }

  @Test("A run whose processes are killed one by one goes on to the same weights, and says what happened")
  func killed() throws {
    let arguments = Reslens.trainArguments(scratch.file("whole"), ["--checkpoint-seconds", "0"])
    let whole = try launch(2, arguments)
    #expect(whole.status == 0, "\(whole.errors)")
    let again = Reslens.trainArguments(scratch.file("killed"), ["--checkpoint-seconds", "0", "--resume"])
    for rank in 0..<2 {
      let said = try launchAndKill(rank: rank, again)
      #expect(said.contains("process \(rank) of 2 was ended by signal 9"), "\(said)")
    }
    let end = try launch(2, again)
    #expect(end.status == 0, "\(end.errors)")
    let (expected, found) = (try weights("whole"), try weights("killed"))
    for (path, tensor) in expected { #expect(try tensor.equals(found.required(path)), "\(path)") }
    let (records, others) = (
      try RunFolder(scratch.file("whole")).epochs(), try RunFolder(scratch.file("killed")).epochs()
    )
    #expect(records.map(\.validationLoss) == others.map(\.validationLoss))
    // And with another number of them.
    let alone = try Reslens.run(Reslens.trainArguments(scratch.file("killed"), ["--resume"]))
    #expect(alone.status == 0 && alone.errors.contains("normalised in 1 part now, and was in 2"), "\(alone.errors)")
  }

  /// Launches two processes, kills one once they have learnt something, and returns what was said.
  private func launchAndKill(rank: Int, _ arguments: [String]) throws -> String {
    let log = scratch.file("log-\(rank)")
    try Files.write("", to: log)
    let process = Process()
    process.executableURL = URL(filePath: Reslens.program)
    process.arguments = ["launch", "--processes", "2", "--"] + arguments
    process.standardError = try FileHandle(forWritingTo: log)
    process.standardOutput = FileHandle.nullDevice
    let before = RunFolder(scratch.file("killed")).latestCheckpoint()?.url
    try process.run()
    for _ in 0..<600 where RunFolder(scratch.file("killed")).latestCheckpoint()?.url == before {
      Thread.sleep(forTimeInterval: 0.02)
    }
    let children = try Tool("pgrep").run(["-P", "\(process.processIdentifier)"])
    let pids = String(decoding: children.output, as: UTF8.self).split(separator: "\n").compactMap { pid_t($0) }.sorted()
    try #require(pids.count == 2)
    kill(pids[rank], SIGKILL)
    process.waitUntilExit()
    #expect(process.terminationStatus == 128 + SIGKILL)
    return try String(contentsOf: log, encoding: .utf8)
  }

  @Test("Scores are those of one process, to the bit")
  func scores() throws {
    let call = try launch(2, gentle("run") + ["--epochs", "1"])
    #expect(call.status == 0, "\(call.errors)")
    let folder = RunFolder(scratch.file("run"))
    let network = try ResidualNetwork(contentsOf: #require(folder.latestCheckpoint()).weightsFile)
    let dataset = try ImageDataset.load("synthetic")
    let score = try #require(
      try network.score(dataset.validation, samples: 200, maker: BatchMaker(statistics: dataset.statistics)))
    #expect(try folder.epochs().map(\.validationLoss) == [score.loss])
  }

  @Test("Measures are those of one process, to the bit, while training and afterwards")
  func measures() throws {
    let measured = ["--measure", "every=1,samples=200"]
    let call = try launch(2, gentle("run") + measured)
    #expect(call.status == 0, "\(call.errors)")
    let folder = RunFolder(scratch.file("run"))
    let arguments = ["measure", folder.url.path, "--samples", "200"]
    func measures() throws -> MeasureResults {
      var found = try #require(try folder.measures())
      for index in found.samplings.indices { found.samplings[index].date = "" }
      return found
    }
    let shared = try launch(2, arguments)
    #expect(shared.status == 0 && shared.output.contains("cosine"), "\(shared.errors)")
    let several = try measures()
    try FileManager.default.removeItem(at: folder.measuresFile(.usual))
    let one = try Reslens.run(arguments)
    #expect(one.status == 0 && one.output == shared.output, "\(one.errors)")
    #expect(try measures() == several)
    // Through a lens, which the first process reads, and with recalibrated statistics.
    #expect(try Reslens.run(["lens", folder.url.path, "--kind", "linear", "--samples", "100"]).status == 0)
    for options in [["--lens", "linear"], ["--measures", "dropped-step", "--recalibrate", "1"]] {
      let asked = ["measure", folder.url.path, "--samples", "150", "--replace"] + options
      let (together, alone) = (try launch(2, asked), try Reslens.run(asked))
      #expect(together.status == 0 && together.output == alone.output && !alone.output.isEmpty, "\(together.errors)")
    }
    let history = try #require(try folder.history().last)
    #expect(history.widest["l2-ratio"] == several.widest["l2-ratio"])
  }

  @Test(
    "What cannot be launched is said before anything is trained",
    arguments: [
      (["launch", "--processes", "0", "--", "train"], "is not between 1 and 1024"),
      (["launch", "--processes", "2", "--", "models"], "what is launched trains or measures"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--sync-batch-norm"], "is for several processes"),
    ])
  func badCalls(arguments: [String], message: String) throws {
    let call = try Reslens.run(arguments)
    #expect(call.status != 0 && call.errors.contains(message), "\(call.errors)")
  }

  @Test("A last batch that is too small for the processes is refused")
  func smallBatch() throws {
    let call = try launch(
      4, Reslens.trainArguments(scratch.file("small"), ["--train-samples", "130", "--batch", "128"]))
    #expect(
      call.status != 0 && call.errors.contains("the last batch of an epoch has 2 images for 4 processes"),
      "\(call.errors)")
  }
}
