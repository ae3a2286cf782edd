import Foundation
import Host
import ImageDatasets
import ResidualNetworks
import Results
import TestSupport
import Testing
import Torch
import Training

/// The command as a user calls it.
struct Reslens {
  static let program = Bundle.main.executableURL?.deletingLastPathComponent().appending(path: "reslens").path ?? ""

  static func run(_ arguments: [String], in folder: URL? = nil) throws -> (
    status: Int32, output: String, errors: String
  ) {
    let outcome = try Tool(program).run(arguments, in: folder)
    return (outcome.status, String(decoding: outcome.output, as: UTF8.self), outcome.errors)
  }

  /// The call for a small quick run; of two epochs where `more` says nothing else.
  static func trainArguments(_ folder: URL, _ more: [String]) -> [String] {
    let epochs = more.contains("--epochs") ? [] : ["--epochs", "2"]
    return [
      "train", "--model", "resnet-8", "--data", "synthetic", "--recipe", "quick", "--train-samples", "600",
      "--validation-samples", "200", "--out", folder.path,
    ] + epochs + more
  }

  static func train(_ folder: URL, _ more: [String] = []) throws -> (status: Int32, output: String, errors: String) {
    try run(trainArguments(folder, more))
  }
}

@Suite struct CommandTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test("models --json tells the paper's counts")
  func models() throws {
    struct Row: Decodable {
      var name: String
      var steps: Int
      var total_parameters: Int
      var trainable_parameters: Int
    }
    func rows(_ arguments: [String]) throws -> [Row] {
      let found = try Reslens.run(["models", "--json"] + arguments)
      #expect(found.status == 0)
      return try JSONDecoder().decode([Row].self, from: Data(found.output.utf8))
    }
    let all = try rows([])
    #expect(
      all.prefix(4).map(\.total_parameters) == [1_742_762, 1_829_210, 12_201_310, 45_732_842])
    let names = [32, 38, 56, 110].map { "resnet-\($0)" }
    #expect(try rows(names).map(\.trainable_parameters) == [467_946, 565_386, 857_706, 1_734_666])
    #expect(
      try rows(names + ["--classes", "100"]).map(\.trainable_parameters) == [473_796, 571_236, 863_556, 1_740_516])
    #expect(all[0].steps == 54)
  }

  @Test("From training to a report, and every number of measures.json by PyTorch")
  func mainJob() throws {
    let run = scratch.file("run")
    let trained = try Reslens.train(run)
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    #expect(trained.output == run.path + "\n")
    #expect(trained.errors.contains("epoch 2"))
    let folder = RunFolder(run)
    #expect(try folder.epochs().map(\.epoch) == [1, 2])
    let session = try #require(try folder.sessions().first)
    #expect(session.command.contains("resnet-8") && session.threads > 0 && session.libtorch.hasPrefix("2."))

    let measured = try Reslens.run(["measure", run.path, "--samples", "150", "--batch", "64"])
    try #require(measured.status == 0, Comment(rawValue: measured.errors))
    let results = try #require(try folder.measures())
    #expect(results.format == 1 && results.run == "run" && results.architecture == "resnet-8")
    #expect(results.measures.cosineLoss.backpropagated.validation.map(\.count) == [150, 150, 150])

    let reported = try Reslens.run(["report", run.path])
    try #require(reported.status == 0, Comment(rawValue: reported.errors))
    let page = String(decoding: try Data(contentsOf: folder.reportFile), as: UTF8.self)
    #expect(page.contains("resnet-8") && !page.contains("src=\"http"))

    guard Checkout.hasPyTorch else { return }
    let exported = try Reslens.run(["data", "export", "synthetic", scratch.file("data").path])
    try #require(exported.status == 0, Comment(rawValue: exported.errors))
    let check = try Checkout.reference(
      "measure.py", [run.path, "--samples", "150", "--data", scratch.file("data").path, "--check"])
    #expect(check.status == 0, Comment(rawValue: check.text))
  }

  @Test("Killed at 20 random moments and resumed each time, a run ends bit-identical to an undisturbed one")
  func kills() throws {
    let (whole, killed) = (scratch.file("whole"), scratch.file("killed"))
    let longer = ["--epochs", "6", "--resume", "--checkpoint-seconds", "0.05"]
    try #require(try Reslens.train(whole, longer).status == 0)
    // Other moments in every run of the test; the seed is told where it fails.
    let seed = UInt64(Date.now.timeIntervalSince1970)
    let stream = RandomStream(seed: seed, name: "kills")
    var hits = 0
    for attempt in 0..<20 {
      let process = Process()
      process.executableURL = URL(filePath: Reslens.program)
      process.arguments = Reslens.trainArguments(killed, longer)
      process.standardError = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      Thread.sleep(forTimeInterval: 0.1 + 0.9 * stream.uniform(attempt))
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      hits += process.terminationReason == .uncaughtSignal ? 1 : 0
    }
    let last = try Reslens.train(killed, longer)
    try #require(last.status == 0, Comment(rawValue: last.errors))
    print("killed in the middle of \(hits) of 20 calls, seed \(seed)")
    #expect(hits >= 5, "seed \(seed)")
    let files = try [whole, killed].map { try Data(contentsOf: #require(RunFolder($0).latestCheckpoint()).weightsFile) }
    #expect(files[0] == files[1], "seed \(seed)")
  }

  @Test("SIGTERM saves and leaves, and the run goes on from there")
  func interrupt() throws {
    let run = scratch.file("run")
    let process = Process()
    process.executableURL = URL(filePath: Reslens.program)
    process.arguments = [
      "train", "--model", "resnet-8", "--data", "synthetic", "--epochs", "50", "--validation-samples", "200", "--out",
      run.path,
    ]
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    while RunFolder(run).latestCheckpoint() == nil && process.isRunning { Thread.sleep(forTimeInterval: 0.05) }
    process.terminate()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 128 + SIGTERM && text.contains("--resume"))
    let resumed = try Reslens.run(["train", "--resume", "--out", run.path, "--epochs", "60"])
    #expect(resumed.status != 0 && resumed.errors.contains("recipe"))
  }

  @Test("A run folder in use, one that holds a run, and one of another run are refused")
  func folders() throws {
    let run = scratch.file("run")
    try #require(try Reslens.train(run).status == 0)
    let before = try Data(contentsOf: RunFolder(run).epochsFile)
    let again = try Reslens.train(run)
    #expect(again.status != 0 && again.errors.contains(run.path) && again.errors.contains("--resume"))
    let other = try Reslens.train(run, ["--resume", "--seed", "9"])
    #expect(other.status != 0 && other.errors.contains("seed"))
    let lock = try FolderLock(run)
    let used = try Reslens.train(run, ["--resume"])
    #expect(used.status != 0 && used.errors.contains("another process"))
    withExtendedLifetime(lock) {}
    #expect(try Data(contentsOf: RunFolder(run).epochsFile) == before)
  }

  @Test("A full disk is one clear error, and what was written before stays whole")
  func fullDisk() throws {
    let run = scratch.file("run")
    try #require(try Reslens.train(run).status == 0)
    try #require(try Reslens.run(["measure", run.path, "--samples", "20"]).status == 0)
    let before = try Data(contentsOf: RunFolder(run).measuresFile)
    // A limit on the size of files fails writes as a full disk does.
    let command = "ulimit -f 1; exec \(Reslens.program) measure \(run.path) --samples 30"
    let outcome = try Tool("bash").run(["-c", command])
    #expect(outcome.status != 0 && outcome.errors.contains("measures.json") && outcome.errors.contains("make room"))
    #expect(try Data(contentsOf: RunFolder(run).measuresFile) == before)
    let train =
      "ulimit -f 100; exec \(Reslens.program) train --model resnet-8 --data synthetic --train-samples 200 "
      + "--validation-samples 50 --epochs 1 --out \(scratch.file("new").path)"
    let failed = try Tool("bash").run(["-c", train])
    #expect(failed.status != 0 && failed.errors.contains("weights.safetensors") && failed.errors.contains("make room"))
    #expect(RunFolder(scratch.file("new")).latestCheckpoint() == nil)
  }

  @Test(
    "Bad input is one clear error and a status that is not 0",
    arguments: [
      (["train", "--data", "synthetic"], "--model"), (["train", "--model", "resnet-8"], "--data"),
      (["train", "--model", "resnet-9", "--data", "synthetic"], "6k + 2"),
      (["train", "--model", "resnet-8", "--data", "/nowhere"], "/nowhere"),
      (["train", "--model", "/nowhere.yaml", "--data", "synthetic"], "/nowhere.yaml"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--recipe", "slow"], "quick"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--epochs", "0"], "epochs"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--batch", "1"], "batch"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--threads", "0"], "threads"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--train-samples", "7000"], "7000"),
      (["train", "--resume"], "--out"), (["measure", "/nowhere"], "/nowhere"),
      (["measure", "/nowhere", "--samples", "0"], "--samples"), (["report", "/nowhere"], "/nowhere"),
      (["report"], "run"), (["models", "resnet-7"], "resnet-8"), (["data", "describe", "/nowhere"], "/nowhere"),
    ])
  func badInput(arguments: [String], words: String) throws {
    let found = try Reslens.run(arguments, in: scratch.url)
    #expect(found.status != 0 && found.output.isEmpty)
    #expect(found.errors.contains(words), Comment(rawValue: found.errors))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.url.path).isEmpty)
  }

  @Test("measure says so where nothing was trained yet, or more samples are asked for than there are")
  func measuringTooMuch() throws {
    let run = scratch.file("run")
    try #require(try Reslens.train(run).status == 0)
    let many = try Reslens.run(["measure", run.path, "--samples", "2001"])
    #expect(many.status != 0 && many.errors.contains("2000"))
    try FileManager.default.removeItem(at: run.appending(path: "checkpoints"))
    let none = try Reslens.run(["measure", run.path])
    #expect(none.status != 0 && none.errors.contains("no checkpoint"))
  }

  @Test("doctor tells libtorch, devices, threads and programs")
  func doctor() throws {
    let found = try Reslens.run(["doctor"])
    for word in ["libtorch", "devices", "threads", "gnuplot"] { #expect(found.output.contains(word)) }
    #expect((found.status == 0) == !found.output.contains("✗"))
  }

  @Test("data describe counts, and draws a picture")
  func describe() throws {
    let picture = scratch.file("samples.png")
    let found = try Reslens.run(["data", "describe", "synthetic", "--picture", picture.path])
    #expect(found.status == 0 && found.output.contains("6000 train and 2000 validation"))
    #expect(FileManager.default.fileExists(atPath: picture.path))
  }
}
