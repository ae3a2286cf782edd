import Foundation
import ResLensSupport
import ResLensResults
import TestSupport
import Testing
import ResLensTraining

@Suite struct ReproduceTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// Two small networks, two seeds, and a figure of each kind.
  static let study = """
    name: sharing-small
    title: "Sharing, small: does it show?"
    models: [resnet-14, resnet-14-shared@1]
    data: [synthetic]
    seeds: [0, 1]
    epochs: 3
    train-samples: 320
    validation-samples: 100
    record: {every: 1, samples: 40}
    measure: {samples: 60, unroll: 3}
    figures: [errors, training, initialisation, gradient-norm-ratio, cosine-loss, dropped-step, borderline, unrolling, unrolling-steps, history-cosine-loss]
    """

  private func file() throws -> URL {
    let file = scratch.file("study.yaml")
    if !FileManager.default.fileExists(atPath: file.path) { try Files.write(Self.study, to: file) }
    return file
  }

  private func arguments(_ out: URL, _ more: [String] = []) throws -> [String] {
    ["reproduce", try file().path, "--data", "synthetic", "--out", out.path] + more
  }

  /// The results of the runs, without values that depend on the clock.
  static func numbers(in out: URL) throws -> [String: String] {
    let runs = out.appending(path: "runs")
    var numbers: [String: String] = [:]
    func text(_ tables: [Table]) throws -> String {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      return String(decoding: try encoder.encode(tables), as: UTF8.self)
    }
    for name in try FileManager.default.contentsOfDirectory(atPath: runs.path) {
      let folder = RunFolder(runs.appending(path: name))
      for var record in try folder.epochs() {
        (record.seconds, record.imagesPerSecond) = (0, 0)
        numbers["\(name) epoch \(record.epoch)"] = record.csvLine
      }
      for results in try folder.history() { numbers["\(name) history \(results.epoch)"] = try text(results.tables) }
      numbers["\(name) measures"] = try text(#require(try folder.measures()).tables)
      let weights = try Data(contentsOf: #require(folder.latestCheckpoint()).weightsFile)
      numbers["\(name) weights"] = weights.base64EncodedString()
    }
    return numbers
  }

  @Test("A study's file becomes pages with every figure, and a second call trains nothing")
  func pages() throws {
    let out = scratch.file("out")
    let first = try Reslens.run(arguments(out))
    try #require(first.status == 0, Comment(rawValue: first.errors))
    #expect(first.output == out.appending(path: "index.html").path + "\n")
    let index = String(decoding: try Data(contentsOf: out.appending(path: "index.html")), as: UTF8.self)
    let page = String(decoding: try Data(contentsOf: out.appending(path: "sharing-small.html")), as: UTF8.self)
    #expect(index.contains("Sharing, small: does it show?") && index.contains("sharing-small.html"))
    for figure in [
      "training", "initialisation", "gradient-norm-ratio", "cosine-loss", "unrolling-steps", "history-cosine-loss",
    ] {
      let csv = out.appending(path: "figures/sharing-small-\(figure).csv")
      #expect(FileManager.default.fileExists(atPath: csv.path), "\(figure)")
    }
    #expect(page.contains("resnet-14 (2 seeds)") && page.contains("resnet-14-shared@1 (2 seeds)"))
    let table = String(decoding: try Data(contentsOf: out.appending(path: "sharing-small.csv")), as: UTF8.self)
    #expect(table.split(separator: "\n").count == 3 && table.contains("\"resnet-14-shared@1\",\"synthetic\","))
    let before = try Self.numbers(in: out)
    // Four runs: three epochs, four histories, the end and the weights each.
    #expect(before.count == 4 * (3 + 4 + 2))
    let again = try Reslens.run(arguments(out))
    #expect(again.status == 0 && again.errors.contains("all done: 4 runs") && !again.errors.contains("epoch"))
    #expect(try Self.numbers(in: out) == before)

    let compared = try Reslens.run(["compare"] + RunsIn(out).paths + ["--format", "csv"])
    #expect(
      compared.status == 0 && compared.output.split(separator: "\n").count == 5, Comment(rawValue: compared.errors))
    struct Row: Decodable {
      var architecture: String
      var seed: Int
      enum CodingKeys: String, CodingKey { case architecture, seed }
    }
    let json = try Reslens.run(["compare"] + RunsIn(out).paths + ["--format", "json"])
    let rows = try JSONDecoder().decode([Row].self, from: Data(json.output.utf8))
    #expect(Set(rows.map { "\($0.architecture) \($0.seed)" }).count == 4)
    // The reproduction's folder stands for its runs. Each network has two seeds.
    let text = try Reslens.run(["compare", out.path])
    #expect(text.status == 0 && text.output.contains("cosine-loss") && text.output.contains(" ± "), "\(text.output)")
    for path in try RunsIn(out).paths { #expect(text.output.contains(path.suffix(5)), "\(text.output)") }
  }

  @Test("A run that was trained elsewhere and cut off is adopted, and goes on to the numbers of a run that was not")
  func adoption() throws {
    let (whole, adopting) = (scratch.file("whole"), scratch.file("adopting"))
    try #require(try Reslens.run(arguments(whole)).status == 0)
    let wanted = try Self.numbers(in: whole)
    // The same training in a folder of its own, stopped after the second epoch by a schedule of its own.
    let path = try #require(RunsIn(whole).paths.first { $0.contains("resnet-14-synthetic-seed-1") })
    let elsewhere = scratch.file("elsewhere")
    let trained = try Reslens.run([
      "train", "--config", path + "/config.yaml", "--data", "synthetic", "--keep-checkpoints", "all", "--out",
      elsewhere.path,
    ])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    try cutOff(elsewhere, afterEpoch: 2)
    let done = try Reslens.run(arguments(adopting, ["--adopt", elsewhere.path]))
    try #require(done.status == 0, Comment(rawValue: done.errors))
    #expect(done.errors.contains("is now resnet-14-synthetic-seed-1"))
    #expect(
      try Self.numbers(in: adopting).filter { !$0.key.contains("history") }
        == wanted.filter { !$0.key.contains("history") })
    let again = try Reslens.run(arguments(adopting, ["--adopt", elsewhere.path]))
    #expect(again.status == 0 && again.errors.contains("the run is there already"))
  }

  @Test("A run that was trained on all images is adopted by a study of as many")
  func adoptionOfAll() throws {
    let (other, out, file) = (scratch.file("other"), scratch.file("out"), scratch.file("all.yaml"))
    try Files.write(
      "name: all\nmodels: [resnet-8]\ndata: [synthetic]\nepochs: 1\nfigures: [errors]\nmeasure: {samples: 20}\n",
      to: file)
    let trained = try Reslens.run([
      "train", "--model", "resnet-8", "--data", "synthetic", "--epochs", "1", "--recipe", "quick", "--out", other.path,
    ])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    let done = try Reslens.run([
      "reproduce", file.path, "--data", "synthetic", "--out", out.path, "--adopt", other.path,
    ])
    #expect(done.status == 0 && done.errors.contains("is now resnet-8-synthetic-seed-0"), "\(done.errors)")
    #expect(!done.errors.contains("epoch 1"), "\(done.errors)")
  }

  @Test("A run of another configuration is not adopted, and the error says in what it differs")
  func strangers() throws {
    let out = scratch.file("out")
    let other = scratch.file("other")
    let trained = try Reslens.run([
      "train", "--model", "resnet-14", "--data", "synthetic", "--epochs", "1", "--train-samples", "320",
      "--validation-samples", "100", "--seed", "5", "--out", other.path,
    ])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    let refused = try Reslens.run(arguments(out, ["--adopt", other.path]))
    #expect(refused.status != 0 && refused.errors.contains("the number of epochs differs"), "\(refused.errors)")
    #expect(!FileManager.default.fileExists(atPath: out.appending(path: "runs").path))
    let missing = try Reslens.run(arguments(out, ["--adopt", scratch.file("none").path]))
    #expect(missing.status != 0 && missing.errors.contains("there is no run in this folder"))
  }

  /// Makes a run's folder what a training leaves that was cut off, on a machine that lost the loop's state.
  private func cutOff(_ url: URL, afterEpoch epoch: Int) throws {
    let manager = FileManager.default
    let checkpoints = url.appending(path: "checkpoints")
    for name in try manager.contentsOfDirectory(atPath: checkpoints.path) {
      let checkpoint = checkpoints.appending(path: name)
      let isKept = name == Checkpoint.name(epoch: epoch)
      try manager.removeItem(at: isKept ? checkpoint.appending(path: "loop.json") : checkpoint)
    }
    let epochs = url.appending(path: "epochs.csv")
    let lines = String(decoding: try Data(contentsOf: epochs), as: UTF8.self).split(separator: "\n")
    try Files.write(lines.prefix(1 + epoch).joined(separator: "\n") + "\n", to: epochs)
    try? manager.removeItem(at: url.appending(path: "environment.json"))
  }

  @Test(
    "Several runs at once give the numbers of one after the other with as many threads, and one that fails is named")
  func jobs() throws {
    let (alone, together) = (scratch.file("alone"), scratch.file("together"))
    let one = try Reslens.run(arguments(alone, ["--threads", "1"]))
    try #require(one.status == 0, Comment(rawValue: one.errors))
    let two = try Reslens.run(arguments(together, ["--jobs", "2", "--threads", "1"]))
    try #require(two.status == 0, Comment(rawValue: two.errors))
    #expect(try Self.numbers(in: alone) == Self.numbers(in: together))

    // Whoever works for a call that is killed stops, and the next call goes on.
    let killed = scratch.file("killed")
    let (_, seed) = try Reslens.killed(arguments(killed, ["--jobs", "2", "--threads", "1"]), times: 3, after: 1...3)
    let last = try Reslens.run(arguments(killed, ["--jobs", "2", "--threads", "1"]))
    #expect(last.status == 0, "seed \(seed): \(last.errors)")
    #expect(try Self.numbers(in: alone) == Self.numbers(in: killed), "seed \(seed)")

    let broken = scratch.file("broken")
    _ = try Reslens.killed(arguments(broken), times: 1, after: 4...4)
    let run = try #require(RunsIn(broken).paths.first)
    try Files.write("architecture: {}", to: RunFolder(URL(filePath: run)).configurationFile)
    let failed = try Reslens.run(arguments(broken, ["--jobs", "2"]))
    #expect(failed.status != 0 && failed.errors.contains("config.yaml"), Comment(rawValue: failed.errors))
  }

  @Test(
    "What was measured on data that were moved since is kept beside what is measured now",
    .enabled(if: Checkout.realCIFAR10 != nil, "no real CIFAR-10: name it by CIFAR10"))
  func movedData() throws {
    let source = try #require(Checkout.realCIFAR10)
    let moved = scratch.file("cifar-10-batches-bin")
    try FileManager.default.copyItem(at: URL(filePath: source), to: moved)
    func call(_ data: String, _ figures: String) throws -> (status: Int32, output: String, errors: String) {
      let file = scratch.file("moved.yaml")
      try Files.write(
        "name: moved\nmodels: [resnet-8]\nepochs: 1\ntrain-samples: 200\nvalidation-samples: 50\n"
          + "record: {every: 1, samples: 20}\nfigures: [\(figures)]\n", to: file)
      return try Reslens.run(["reproduce", file.path, "--data", data, "--out", scratch.file("out").path])
    }
    try #require(try call(source, "cosine-loss").status == 0)
    let second = try call(moved.path, "l2-ratio")
    try #require(second.status == 0, Comment(rawValue: second.errors))
    let paths = try RunsIn(scratch.file("out")).paths
    try #require(paths.count == 1)
    #expect(try RunFolder(URL(filePath: paths[0])).measures()?.names == ["cosine-loss", "l2-ratio"])
  }

  @Test("Killed at ten random moments, studies end with the numbers of an undisturbed call")
  func killed() throws {
    let (whole, disturbed) = (scratch.file("whole"), scratch.file("disturbed"))
    let undisturbed = try Reslens.run(arguments(whole))
    try #require(undisturbed.status == 0, Comment(rawValue: undisturbed.errors))
    let (hits, seed) = try Reslens.killed(arguments(disturbed), times: 10, after: 0.2...1.5)
    let last = try Reslens.run(arguments(disturbed))
    #expect(last.status == 0, "seed \(seed): \(last.errors)")
    #expect(hits > 0, "seed \(seed)")
    #expect(try Self.numbers(in: whole) == Self.numbers(in: disturbed), "seed \(seed)")
  }

  @Test("--list says what the paper's studies are and cost, and does nothing")
  func list() throws {
    let out = scratch.file("out")
    let listed = try Reslens.run([
      "reproduce", "all", "--list", "--scale", "smoke", "--data", "synthetic", "--out", out.path,
    ])
    try #require(listed.status == 0, Comment(rawValue: listed.errors))
    let lines = listed.output.split(separator: "\n")
    #expect(lines.count { $0.hasPrefix("figure-") } == 19 && lines.contains { $0.hasPrefix("table-1") })
    #expect(listed.output.contains("in place of cifar-100") && listed.output.contains("divided by 2"))
    #expect(!FileManager.default.fileExists(atPath: out.path))
  }

  @Test(
    "Bad input is one clear error before any run",
    arguments: [
      (["figure-21"], "there is no study of this name"), (["missing.yaml"], "there is no such file"),
      (["figure-4", "--partition", "gpu"], "--partition is for --launcher slurm"),
      (["figure-10", "--data", "nowhere"], "there is nothing here"), (["figure-2", "--scale", "huge"], "huge"),
      (["figure-2", "--launcher", "slurm"], "no Slurm here"), (["figure-2", "--jobs", "0"], "--jobs"),
    ] as [([String], String)])
  func badInput(arguments: [String], message: String) throws {
    let data = arguments.contains("--data") ? [] : ["--data", "synthetic"]
    let out = scratch.file("out")
    let call = [Reslens.program, "reproduce"] + arguments + data + ["--out", out.path]
    // A PATH without Slurm.
    let outcome = try Tool("env").run(["PATH=/nowhere"] + call)
    #expect(outcome.status != 0 && outcome.errors.contains(message), Comment(rawValue: outcome.errors))
    #expect(!FileManager.default.fileExists(atPath: out.appending(path: "runs").path))
  }

  @Test("Where nothing can be written nothing is begun")
  func unwritable() throws {
    let outcome = try Reslens.run(["reproduce", "figure-2", "--data", "synthetic", "--out", "/proc/reslens"])
    #expect(outcome.status != 0 && outcome.errors.contains("/proc/reslens"), Comment(rawValue: outcome.errors))
  }

  @Test(
    "A network that cannot be trained so is a finding: the others are done, the page says so, and it is not tried again"
  )
  func diverged() throws {
    let recipe = scratch.file("wild.yaml")
    try Files.write(
      """
      name: wild
      epochs: 2
      batch: 32
      momentum: 0.9
      nesterov: false
      weight-decay: 0.0
      decay-weights-only: true
      flip: false
      translate: 0
      label-smoothing: 0.0
      schedule: {kind: steps, parts: [{rate: 900.0}]}
      """, to: recipe)
    let file = scratch.file("wild-study.yaml")
    try Files.write(
      "name: wild\nmodels: [resnet-8]\ndata: [synthetic]\nrecipes: [quick, \(recipe.path)]\nepochs: 2\ntrain-samples: 300\n"
        + "validation-samples: 50\nrecord: {every: 1, samples: 20}\nfigures: [errors]\n", to: file)
    let out = scratch.file("out")
    let call = ["reproduce", file.path, "--data", "synthetic", "--out", out.path]
    let first = try Reslens.run(call)
    #expect(first.status != 0 && first.errors.contains("not at their end"), Comment(rawValue: first.errors))
    let index = String(decoding: try Data(contentsOf: out.appending(path: "index.html")), as: UTF8.self)
    #expect(index.contains("did not come to its end"))
    let again = try Reslens.run(call)
    #expect(again.status != 0 && again.errors.contains("all done: 2 runs"))
  }
}

/// The run folders of reproduced studies.
struct RunsIn {
  let paths: [String]

  init(_ out: URL) throws {
    let runs = out.appending(path: "runs")
    paths = try FileManager.default.contentsOfDirectory(atPath: runs.path).sorted().map {
      runs.appending(path: $0).path
    }
  }
}
