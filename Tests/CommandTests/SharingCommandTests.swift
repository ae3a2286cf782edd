import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

@Suite struct SharingCommandTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test("probe shows that naive sharing explodes at initialisation and unshared batch normalization does not")
  func probe() throws {
    let page = scratch.file("probe.html")
    let models = ["resnet-110", "resnet-110-shared", "resnet-110-ubn"]
    let found = try Reslens.run(["probe", "--samples", "16", "--json", "--out", page.path] + models)
    try #require(found.status == 0, Comment(rawValue: found.errors))
    let probed = try JSONDecoder().decode([MeasureResults].self, from: Data(found.output.utf8))
    #expect(probed.map(\.architecture) == models)
    func means(_ results: MeasureResults, _ table: String) throws -> [Double] {
      try #require(try results.widest.table(table, .train)).presentNumbers("mean")
    }
    let ends = try probed.map { try #require(try means($0, "activation-norm").last) }
    let ratios = try probed.map { try #require(try means($0, "gradient-norm-ratio").first) }
    #expect(ends[1] > 2 * ends[0] && ends[1] > 3 * ends[2])
    #expect(ratios[1] > ratios[0] && ratios[1] > 3 * ratios[2])
    #expect(try means(probed[1], "gradient-norm").count == 54)
    let text = String(decoding: try Data(contentsOf: page), as: UTF8.self)
    #expect(text.contains("At initialisation") && text.contains("resnet-110-ubn"))
    let table = try Reslens.run(["probe", "--samples", "8", "resnet-20-ablation"])
    #expect(table.output.contains("resnet-20-shared+affine+gamma") && table.output.contains("ratio"))
  }

  private func study(_ folder: URL, _ more: [String] = []) throws -> (status: Int32, output: String, errors: String) {
    try Reslens.run(
      [
        "study", "resnet-14", "resnet-20-shared", "resnet-20-ubn", "--data", "synthetic", "--train-samples", "128",
        "--validation-samples", "64", "--batch", "32", "--epochs", "2", "--seeds", "0,1", "--measure",
        "every=1,samples=32", "--out", folder.path,
      ] + more)
  }

  @Test("A study trains every network with every seed and reports them side by side; a second call trains nothing")
  func study() throws {
    let folder = scratch.file("study")
    let first = try study(folder)
    try #require(first.status == 0, Comment(rawValue: first.errors))
    let names = ["resnet-14", "resnet-20-shared", "resnet-20-ubn"]
    let runs = names.flatMap { name in [0, 1].map { folder.appending(path: "runs/\(name)-seed-\($0)") } }
    for run in runs {
      #expect(try RunFolder(run).epochs().count == 2)
      #expect(try RunFolder(run).history().map(\.epoch) == [0, 1, 2])
    }
    let page = String(decoding: try Data(contentsOf: folder.appending(path: "report.html")), as: UTF8.self)
    #expect(first.output == folder.appending(path: "report.html").path + "\n")
    for part in ["resnet-20-ubn (2 seeds)", "gradient-norm-ratio", "id=\"initialisation\"", "history-cosine-loss"] {
      #expect(page.contains(part), Comment(rawValue: part))
    }
    #expect(first.errors.contains("The lowest validation error is that of") && first.errors.contains(" ± "))
    // The study's folder stands for its runs.
    let compared = try Reslens.run(["compare", folder.path])
    for run in runs { #expect(compared.output.contains(run.lastPathComponent), "\(compared.output)") }
    #expect(compared.status == 0 && compared.output.contains("within the noise"), "\(compared.output)")
    #expect(compared.output.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(compared.output)")
    let page2 = scratch.file("other.html")
    let reported = try Reslens.run(
      [
        "report", folder.path, "--layout", "panels", "--bands", "deviation", "--figures", "svg, png", "--out",
        page2.path,
      ])
    try #require(reported.status == 0, Comment(rawValue: reported.errors))
    let picture = scratch.file("other-figures/l2-ratio.png")
    #expect(FileManager.default.fileExists(atPath: picture.path) == !reported.errors.contains("no pictures"))
    let wrong = try Reslens.run(["report", folder.path, "--figures", "svg,gif"])
    #expect(wrong.status == 64 && wrong.errors.contains("\"gif\" is none of svg, png, pdf"), "\(wrong.errors)")
    let before = try runs.map { try Data(contentsOf: RunFolder($0).epochsFile) }
    let second = try study(folder)
    #expect(second.status == 0 && second.errors.contains("all done: 6 runs"))
    #expect(!second.errors.contains("measured as it was asked for then"))
    let measured = try study(folder, ["--measure", "every=2,samples=16"])
    #expect(measured.errors.components(separatedBy: "measured as it was asked for then").count == 7)
    #expect(try runs.map { try Data(contentsOf: RunFolder($0).epochsFile) } == before)
    // By several processes at once it is the same.
    let together = try study(scratch.file("together"), ["--jobs", "2", "--threads", "\(Libtorch.threads)"])
    #expect(together.status == 0, Comment(rawValue: together.errors))
    for run in runs {
      let other = RunFolder(scratch.file("together/runs/\(run.lastPathComponent)"))
      let losses = try [RunFolder(run), other].map { try $0.epochs().map(\.validationLoss) }
      #expect(losses[0] == losses[1])
    }
    let other = try study(folder, ["--precision", "bf16"])
    #expect(other.status != 0 && other.errors.contains("precision") && other.errors.contains("resnet-14-seed-0"))
  }

  @Test("A study that is stopped goes on where it was and ends as an undisturbed one")
  func stopped() throws {
    let (whole, cut) = (scratch.file("whole"), scratch.file("cut"))
    try #require(try study(whole).status == 0)
    let process = Process()
    process.executableURL = URL(filePath: Reslens.program)
    process.arguments = [
      "study", "resnet-14", "resnet-20-shared", "resnet-20-ubn", "--data", "synthetic", "--train-samples", "128",
      "--validation-samples", "64", "--batch", "32", "--epochs", "2", "--seeds", "0,1", "--measure",
      "every=1,samples=32", "--out", cut.path,
    ]
    (process.standardError, process.standardOutput) = (FileHandle.nullDevice, FileHandle.nullDevice)
    try process.run()
    let second = RunFolder(cut.appending(path: "runs/resnet-20-shared-seed-0"))
    while !second.holdsRun && process.isRunning { Thread.sleep(forTimeInterval: 0.02) }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    let last = try study(cut)
    try #require(last.status == 0, Comment(rawValue: last.errors))
    for name in ["resnet-14", "resnet-20-shared", "resnet-20-ubn"] {
      for seed in [0, 1] {
        let files = try [whole, cut].map { folder in
          let run = RunFolder(folder.appending(path: "runs/\(name)-seed-\(seed)"))
          return try Data(contentsOf: #require(run.latestCheckpoint()).weightsFile)
        }
        #expect(files[0] == files[1], "\(name), seed \(seed)")
      }
    }
  }

  @Test("A network that cannot be trained does not keep a study from the others, and the study says so")
  func diverged() throws {
    let recipe = scratch.file("wild.yaml")
    try Files.write(
      """
      {name: wild, epochs: 1, batch: 16, momentum: 0.9, nesterov: false, weight-decay: 0.0, decay-weights-only: true, \
      flip: false, translate: 0, label-smoothing: 0.0, schedule: {kind: steps, parts: [{rate: 1000.0}]}}
      """, to: recipe)
    let folder = scratch.file("study")
    let call = [
      "study", "resnet-8", "resnet-20-shared", "--data", "synthetic", "--recipe", recipe.path, "--train-samples", "512",
      "--validation-samples", "32", "--precision", "bf16", "--out", folder.path,
    ]
    let found = try Reslens.run(call)
    #expect(found.status == 1, Comment(rawValue: found.errors))
    #expect(found.errors.contains("not at their end: resnet-8-seed-0, resnet-20-shared-seed-0"))
    #expect(found.errors.contains("lower rate") && found.errors.contains("run 2 of 2"))
    let page = String(decoding: try Data(contentsOf: folder.appending(path: "report.html")), as: UTF8.self)
    #expect(page.contains("At initialisation") && page.contains("has no finished epoch"))
    // It would go wrong again, and is not tried again.
    let again = try Reslens.run(call)
    #expect(
      again.status == 1 && again.errors.contains("all done: 2 runs") && again.errors.contains("lower rate"),
      "\(again.errors)")
    // By another recipe it might not, but that is another run.
    let gentle = try Reslens.run(call + ["--epochs", "2"])
    #expect(gentle.status != 0 && gentle.errors.contains("the number of epochs differs"), "\(gentle.errors)")
  }

  @Test("Measured by each batch's own statistics all through, a run's history is of one kind")
  func batchStatisticsHistory() throws {
    let run = scratch.file("run")
    let trained = try Reslens.train(
      run, ["--model", "resnet-20-ubn", "--measure", "every=1,samples=40,batch-norm=batch"])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    let history = try RunFolder(run).history()
    #expect(history.map(\.epoch) == [0, 1, 2] && history.allSatisfy { $0.batchNorm == .batch && $0.batch == 128 })
    #expect(history[2].widest["gradient-norm-ratio"] != nil && !history[2].names.contains("first-order"))
    let reported = try Reslens.run(["report", run.path])
    #expect(reported.status == 0, Comment(rawValue: reported.errors))
  }

  @Test("A shared network that is killed and resumed ends bit-identical to an undisturbed one")
  func kills() throws {
    let (whole, killed) = (scratch.file("whole"), scratch.file("killed"))
    let more = ["--model", "resnet-20-ubn", "--epochs", "3", "--resume", "--checkpoint-seconds", "0.05"]
    try #require(try Reslens.train(whole, more).status == 0)
    let (hits, seed) = try Reslens.trainKilled(killed, more, times: 5)
    let last = try Reslens.train(killed, more)
    try #require(last.status == 0, Comment(rawValue: last.errors))
    #expect(hits >= 2, "seed \(seed)")
    let files = try [whole, killed].map { try Data(contentsOf: #require(RunFolder($0).latestCheckpoint()).weightsFile) }
    #expect(files[0] == files[1], "seed \(seed)")
  }

  @Test("A checkpoint of a shared network in an unshared network's run is refused by file, and nothing is lost")
  func foreignCheckpoint() throws {
    let (plain, shared) = (scratch.file("plain"), scratch.file("shared"))
    try #require(try Reslens.train(plain, ["--model", "resnet-20"]).status == 0)
    try #require(try Reslens.train(shared, ["--model", "resnet-20-shared"]).status == 0)
    let target = try #require(RunFolder(plain).latestCheckpoint()).weightsFile
    let foreign = try Data(contentsOf: #require(RunFolder(shared).latestCheckpoint()).weightsFile)
    try foreign.write(to: target)
    for arguments in [["measure", plain.path, "--samples", "9"], ["train", "--resume", "--out", plain.path]] {
      let found = try Reslens.run(arguments)
      #expect(found.status != 0 && found.output.isEmpty)
      #expect(
        found.errors.contains("it holds resnet-20-shared, the run is of resnet-20")
          && found.errors.contains(target.path),
        Comment(rawValue: found.errors))
    }
    #expect(try Data(contentsOf: target) == foreign)
    let resumed = try Reslens.train(shared, ["--resume", "--model", "resnet-20-ubn"])
    #expect(resumed.status != 0 && resumed.errors.contains("the model"))
  }
}
