import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

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

  /// Begins a training so many times and kills it each time.
  static func trainKilled(_ folder: URL, _ more: [String], times: Int) throws -> (hits: Int, seed: UInt64) {
    try killed(trainArguments(folder, more), times: times, after: 0.1...1)
  }

  /// Calls so many times and kills each time, at other moments in every run of the tests.
  /// - Parameter after: seconds
  /// - Returns: how many calls were hit in the middle, and the seed of the moments, to be told where a test fails
  static func killed(_ arguments: [String], times: Int, after: ClosedRange<Double>) throws -> (hits: Int, seed: UInt64)
  {
    let seed = UInt64(Date.now.timeIntervalSince1970)
    let stream = RandomStream(seed: seed, name: "kills")
    var hits = 0
    for attempt in 0..<times {
      let process = Process()
      process.executableURL = URL(filePath: program)
      process.arguments = arguments
      process.standardError = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      Thread.sleep(
        forTimeInterval: after.lowerBound + (after.upperBound - after.lowerBound) * stream.uniform(attempt))
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      hits += process.terminationReason == .uncaughtSignal ? 1 : 0
    }
    return (hits, seed)
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
    let shared = ["resnet-110-shared", "resnet-110-ubn", "resnet-146-ubn", "resnet-182-ubn"]
    #expect(try rows(shared).map(\.trainable_parameters) == [565_386, 570_762, 573_450, 576_138])
    #expect(
      try rows(shared + ["--classes", "100"]).map(\.trainable_parameters) == [571_236, 576_612, 579_300, 581_988])
    #expect(try rows(["resnet-20-ablation"]).count == 8)
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
    #expect(results.format == 4 && results.run == "run" && results.architecture == "resnet-8")
    let cosines = try results.widest.table("cosine-loss", .validation, ["gradient": "backpropagated"])
    #expect(try cosines?.numbers("count") == [150, 150, 150])

    let reported = try Reslens.run(["report", run.path])
    try #require(reported.status == 0, Comment(rawValue: reported.errors))
    let page = String(decoding: try Data(contentsOf: folder.reportFile), as: UTF8.self)
    #expect(page.contains("resnet-8") && !page.contains("src=\"http"))

  }

  @Test("Measures of earlier calls on a checkpoint stay, those on other numbers of samples beside one another")
  func earlierMeasures() throws {
    let run = scratch.file("run")
    try #require(try Reslens.train(run).status == 0)
    func measure(_ arguments: [String]) throws -> MeasureResults {
      let outcome = try Reslens.run(["measure", run.path] + arguments)
      try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
      return try #require(try RunFolder(run).measures())
    }
    func tables(_ measure: String, in results: MeasureResults) -> [Table] {
      results.tables.filter { $0.measure == measure }
    }
    let first = try measure(["--samples", "20", "--measures", "l2-ratio"])
    #expect(first.names == ["l2-ratio"])
    let second = try measure(["--samples", "20", "--measures", "cosine-loss"])
    #expect(second.names == ["l2-ratio", "cosine-loss"])
    #expect(tables("l2-ratio", in: second) == tables("l2-ratio", in: first))
    // ResNet-8's last step changes the shape: an absence, which a later call that does not ask keeps.
    #expect(try measure(["--samples", "20", "--measures", "unrolling"]).absent.contains { $0.measure == "unrolling" })
    let third = try measure(["--samples", "20", "--measures", "intermediate"])
    let again = try measure(["--samples", "21", "--measures", "intermediate"])
    #expect(again.absent.contains { $0.measure == "unrolling" })
    for measure in ["cosine-loss", "l2-ratio"] {
      #expect(tables(measure, in: again) == tables(measure, in: third))
    }
    let samples = try #require(tables("intermediate", in: again).first).numbers("samples")
    #expect(Set(samples) == [20, 21])
  }

  @Test("A table of epochs is read with a spreadsheet's line ends, and a damaged one is mended by what its error says")
  func editedEpochs() throws {
    let run = scratch.file("run")
    try #require(try Reslens.train(run).status == 0)
    let file = RunFolder(run).epochsFile
    let before = try String(contentsOf: file, encoding: .utf8)
    try Files.write(before.replacing("\n", with: "\r\n"), to: file)
    #expect(try RunFolder(run).epochs().map(\.epoch) == [1, 2])
    try Files.write(before.replacing("\n2,", with: "\ntwo,"), to: file)
    let report = try Reslens.run(["compare", run.path])
    #expect(
      report.status != 0 && report.errors.contains("epochs.csv: line 3: epoch is \"two\"")
        && report.errors.contains("reslens train --resume --out \(run.path)"), "\(report.errors)")
    let mended = try Reslens.run(["train", "--resume", "--out", run.path])
    #expect(mended.status == 0, "\(mended.errors)")
    #expect(try String(contentsOf: file, encoding: .utf8) == before)
  }

  @Test("What does not belong together is named, and nothing is done with it")
  func strangers() throws {
    let (run, other) = (scratch.file("run"), scratch.file("other"))
    try #require(try Reslens.train(run, ["--epochs", "1"]).status == 0)
    try #require(try Reslens.train(other, ["--epochs", "1", "--model", "resnet-14"]).status == 0)
    func call(_ arguments: [String], says words: String) throws {
      let found = try Reslens.run(arguments)
      #expect(found.status != 0 && found.errors.contains(words), "\(arguments): \(found.errors)")
    }
    // A checkpoint without its configuration could be anybody's.
    let folder = RunFolder(run)
    let configuration = try Data(contentsOf: folder.configurationFile)
    try FileManager.default.removeItem(at: folder.configurationFile)
    try call(Reslens.trainArguments(run, ["--resume", "--seed", "9"]), says: "a checkpoint here, but no config.yaml")
    try call(["measure", run.path], says: "its config.yaml is missing; put the file back")
    #expect(!folder.holdsRun)
    try configuration.write(to: folder.configurationFile)
    try call(
      ["train", "--resume", "--out", scratch.file("none").path], says: "there is no run in this folder to resume")
    try call(["train", "--resume", "--epochs", "3", "--out", run.path], says: "the number of epochs differs")
    try call(["study", "resnet-8", "--data", "synthetic", "--out", run.path], says: "there is a run in this folder")
    let file = folder.configurationFile.path
    try call(
      ["measure", run.path, "--samples", "20", "--csv", file],
      says: "\(file): the folder cannot be made, as \(file) is a file")
    try call(Reslens.trainArguments(URL(filePath: file + "/below"), []), says: "as \(file) is a file")
    try call(["study", "resnet-8", "--data", "synthetic", "--seeds", "3-1", "--out", run.path], says: "write 1-3")
    // Runs that do not show the same are called so.
    let longer = scratch.file("longer")
    try #require(try Reslens.train(longer, ["--epochs", "2", "--data", "synthetic:1"]).status == 0)
    let unlike = try Reslens.run(["compare", run.path, longer.path])
    #expect(unlike.errors.contains("trained for different numbers of epochs: 1, 2"), "\(unlike.errors)")
    #expect(unlike.errors.contains("trained on different data: synthetic ("), "\(unlike.errors)")
    // Another network's measures.
    for path in [run, other] {
      try #require(try Reslens.run(["measure", path.path, "--samples", "20", "--measures", "l2-ratio"]).status == 0)
    }
    let own = try Data(contentsOf: folder.measuresFile)
    try Data(contentsOf: RunFolder(other).measuresFile).write(to: folder.measuresFile)
    try call(["report", run.path], says: "it is of resnet-14, the run is of resnet-8")
    try own.write(to: folder.measuresFile)
    let others = try Reslens.run([
      "measure", run.path, "--data", "synthetic:3", "--samples", "20", "--measures", "l2-ratio", "--replace",
    ])
    #expect(others.status == 0, "\(others.errors)")
    #expect(try Reslens.run(["compare", run.path]).errors.contains("its measures are of other data (synthetic:3)"))
    // One that cannot be read does not keep the others from being compared.
    let compared = try Reslens.run(["compare", run.path, scratch.file("nothing").path])
    #expect(
      compared.status == 1 && compared.output.contains("/\(run.lastPathComponent)  ")
        && compared.errors.contains("left out:"))
    // A run that is named twice counts once.
    let twice = try Reslens.run(["compare", run.path, run.path])
    #expect(twice.status == 0 && twice.output == compared.output, "\(twice.output)")
    // Damaged weights.
    let weights = try #require(folder.latestCheckpoint()).weightsFile
    let network = try ResidualNetwork(contentsOf: weights)
    let bias = try #require(network.parameters["stem.bias"])
    try bias.copy(from: .full(bias.shape, .nan))
    try network.save(to: weights)
    try call(["measure", run.path, "--samples", "20"], says: "stem.bias has values that are not finite numbers")
  }

  @Test("What was recorded while training stays in sight beside what is measured later")
  func recordedMeasures() throws {
    let run = scratch.file("run")
    let trained = try Reslens.train(run, ["--measure", "every=1,samples=40,l2-ratio,cosine-loss"])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    for names in ["dropped-step", "intermediate"] {
      let call = try Reslens.run(["measure", run.path, "--samples", "20", "--measures", names])
      #expect(call.status == 0 && !call.errors.contains("replaced"), "\(call.errors)")
    }
    let (known, recorded) = try RunFolder(run).measures(recordedAfter: 2)
    #expect(known?.names == ["dropped-step", "intermediate", "l2-ratio", "cosine-loss"])
    #expect(recorded?.names == ["cosine-loss", "l2-ratio"] && recorded?.train == 40 && recorded?.validation == 40)
    let table = try Reslens.run(["compare", run.path, "--format", "json"])
    #expect(table.output.contains("l2-ratio-median") && table.output.contains("dropped-step-worst"))
    let report = try Reslens.run(["report", run.path])
    #expect(report.status == 0 && !report.errors.contains("has no values"), "\(report.errors)")
    // Results on another number of samples stand beside the others.
    let other = try Reslens.run(["measure", run.path, "--samples", "30", "--measures", "intermediate,l2-ratio"])
    #expect(other.status == 0, "\(other.errors)")
    let both = try #require(try RunFolder(run).measures())
    let counts = try #require(both.tables.first { $0.name == "intermediate" }).numbers("samples")
    #expect(Set(counts) == [20, 30] && both.names == ["dropped-step", "intermediate", "l2-ratio"])
    #expect(try both.widest.table("intermediate", .validation)?.numbers("count").first == 30)
  }

  @Test("Killed at random moments and resumed, a run that measures its epochs records what an undisturbed one does")
  func killedHistory() throws {
    let (whole, killed) = (scratch.file("whole"), scratch.file("killed"))
    let more = [
      "--epochs", "5", "--resume", "--checkpoint-seconds", "0.05", "--measure",
      "every=1,samples=150,cosine-loss,l2-ratio,first-order,intermediate,dropped-step",
    ]
    try #require(try Reslens.train(whole, more).status == 0)
    let (hits, seed) = try Reslens.trainKilled(killed, more, times: 10)
    let last = try Reslens.train(killed, more)
    try #require(last.status == 0, Comment(rawValue: last.errors))
    #expect(hits >= 3, "seed \(seed)")
    var (a, b) = (try RunFolder(whole).history(), try RunFolder(killed).history())
    #expect(a.map(\.epoch) == [0, 1, 2, 3, 4, 5])
    // Only the folder's name and the time may differ.
    func blank(_ results: inout MeasureResults) {
      results.run = ""
      for index in results.samplings.indices { results.samplings[index].date = "" }
    }
    for index in a.indices { blank(&a[index]) }
    for index in b.indices { blank(&b[index]) }
    let isSame = a == b
    #expect(isSame, "seed \(seed)")
    #expect(a[0].batchNorm == .batch && a[0].names.contains("l2-ratio") && !a[0].names.contains("dropped-step"))
    #expect(a[5].names.contains("dropped-step") && a[5].samplings.map(\.samples) == [150, 150])

    // The measures may change when a run is resumed: they do not change the training.
    let other = try Reslens.train(killed, ["--epochs", "5", "--resume", "--measure", "every=2,samples=100"])
    #expect(other.status == 0)
    #expect(try RunFolder(killed).configuration().measure?.samples == 100)
    let reported = try Reslens.run(["report", whole.path])
    try #require(reported.status == 0, Comment(rawValue: reported.errors))
  }

  @Test("Killed at 20 random moments and resumed each time, a run ends bit-identical to an undisturbed one")
  func kills() throws {
    let (whole, killed) = (scratch.file("whole"), scratch.file("killed"))
    let longer = ["--epochs", "6", "--resume", "--checkpoint-seconds", "0.05"]
    try #require(try Reslens.train(whole, longer).status == 0)
    let (hits, seed) = try Reslens.trainKilled(killed, longer, times: 20)
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
    #expect(resumed.status != 0 && resumed.errors.contains("the number of epochs differs"))
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
      (["train", "--model", "resnet-8", "--data", "synthetic", "--measure", "every=0"], "every"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--measure", "samples=2001"], "2001"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--measure", "lesions"], "lesions"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--measure", "batch-norm=x"], "batch-norm=batch"),
      (
        ["train", "--model", "resnet-8", "--data", "synthetic", "--measure", "batch-norm=batch,first-order"],
        "no first-order"
      ),
      (["probe", "resnet-8", "resnet-8"], "twice"), (["probe", "resnet-8", "--seeds", "x"], "--seeds"),
      (
        ["train", "--model", "resnet-8", "--data", "synthetic", "--train-samples", "9", "--measure", "samples=10"],
        "there are 9"
      ),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--measure", "every=1,cosine"], "cosine-loss"),
      (["train", "--resume"], "--out"), (["measure", "/nowhere"], "/nowhere"), (["predict"], "<run>"),
      (["predict", "/nowhere"], "/nowhere"),
      (["measure", "/nowhere", "--samples", "0"], "--samples"), (["report", "/nowhere"], "/nowhere"),
      (["train", "--model", "resnet-20-ablation", "--data", "synthetic"], "list of eight"),
      (["train", "--model", "resnet-20-ubn@3", "--data", "synthetic"], "blocks 0 to 2"),
      (["train", "--model", "resnet-20-shared@0", "--data", "synthetic"], "changes the shape"),
      (["probe"], "model"), (["probe", "resnet-20-ubn", "--samples", "1"], "--samples"),
      (["probe", "resnet-20-ubn", "--samples", "2001"], "2001"), (["probe", "resnet-20-ubn", "--mode", "x"], "--mode"),
      (["probe", "/nowhere.yaml"], "/nowhere.yaml"), (["measure", "/nowhere", "--batch-norm", "none"], "--batch-norm"),
      (["study", "--data", "synthetic", "--out", "s"], "model"),
      (["study", "resnet-8", "--data", "synthetic"], "--out"), (["study", "resnet-8", "--out", "s"], "--data"),
      (["study", "resnet-8", "--data", "synthetic", "--out", "s", "--seeds", "0,x"], "--seeds"),
      (["study", "resnet-8", "--data", "synthetic", "--out", "s", "--seeds", "1,1"], "twice"),
      (["study", "resnet-8", "resnet-8", "--data", "synthetic", "--out", "s"], "twice"),
      (["study", "resnet-20-ubn@9", "--data", "synthetic", "--out", "s"], "blocks 0 to 2"),
      (["report"], "run"), (["models", "resnet-7"], "resnet-8"), (["data", "describe", "/nowhere"], "/nowhere"),
    ])
  func badInput(arguments: [String], words: String) throws {
    let found = try Reslens.run(arguments, in: scratch.url)
    #expect(found.status != 0 && found.output.isEmpty)
    #expect(found.errors.contains(words), Comment(rawValue: found.errors))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.url.path).isEmpty)
  }

  @Test("Impossible measures are one clear error before any work, and leave measures.json as it was")
  func impossibleMeasures() throws {
    let run = scratch.file("run")
    try #require(try Reslens.train(run, ["--model", "resnet-14"]).status == 0)
    try #require(try Reslens.run(["measure", run.path, "--samples", "20"]).status == 0)
    let before = try Data(contentsOf: RunFolder(run).measuresFile)
    for (arguments, words) in [
      (["--unroll", "3", "--unroll-step", "3"], "step 3 changes the shape"),
      (["--unroll", "3", "--unroll-step", "7"], "between 1 and 6"), (["--unroll", "0"], "--unroll"),
      (["--scale", "nan"], "--scale"), (["--scale", "inf"], "--scale"), (["--scale", "0"], "--scale"),
      (["--scale", "much"], "neither"), (["--scale-grid", "1,x"], "\"x\""), (["--scale-grid", "1,nan"], "--scale"),
      (["--scale", "1", "--scale-grid", "1"], "--scale-grid"),
      (["--recalibrate", "5"], "between 1 and 4, the batches of 128 train images"),
      (["--recalibrate", "1", "--measures", "l2-ratio"], "none of them is measured"),
      (["--recalibrate", "1", "--batch-norm", "batch"], "is for running statistics"),
      (["--lesion-drops", "5"], "between 1 and 4"), (["--lesion-drops", "1,,2"], "--lesion-drops"),
      (["--lesion-seeds", "0"], "--lesion-seeds"), (["--lesion-factors", "nan"], "--lesion-factors"),
      (["--lesion-samples", "21"], "20 validation"), (["--margin", "0"], "--margin"),
      (["--margin", "1.5"], "--margin"),
      (["--margin", "nan"], "--margin"), (["--last-steps", "2"], "before the last 1"),
      (["--measures", "cosine"], "cosine-loss"), (["--batch-norm", "batch", "--measures", "lesions"], "--batch-norm"),
      (["--batch-norm", "batch", "--unroll", "3"], "no unrolling"),
      (["--measures", "l2-ratio", "--margin", "7"], "--margin"), (["--lesion-factors", "2,2"], "twice"),
      (["--measures", ""], "--measures"), (["--list-borderline", scratch.url.path], "folder"),
      (["--list-borderline", "/nowhere/list.csv"], "/nowhere/list.csv"),
    ] {
      let found = try Reslens.run(["measure", run.path, "--samples", "20"] + arguments)
      #expect(found.status != 0 && found.output.isEmpty, "\(arguments)")
      #expect(found.errors.contains(words), Comment(rawValue: "\(arguments): \(found.errors)"))
    }
    #expect(try Data(contentsOf: RunFolder(run).measuresFile) == before)
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

  @Test("doctor tells libtorch, CUDA, processes, threads and programs")
  func doctor() throws {
    let found = try Reslens.run(["doctor"])
    for word in ["libtorch", "cuda", "processes", "threads", "gnuplot"] {
      #expect(found.output.contains(word))
    }
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
