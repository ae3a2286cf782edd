import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

/// Numbers that are shown or added belong to the network and the images that they are said to be of.
@Suite struct ProvenanceTests {
  private let scratch: Scratch
  private let run: URL
  private var folder: RunFolder { RunFolder(run) }

  init() throws {
    scratch = try Scratch()
    run = scratch.file("run")
    let trained = try Reslens.train(run, ["--epochs", "1"])
    try #require(trained.status == 0, "\(trained.errors)")
    try #require(try measure(["--measures", "l2-ratio,cosine-loss"]).status == 0)
  }

  private func measure(_ more: [String]) throws -> (status: Int32, output: String, errors: String) {
    try Reslens.run(["measure", run.path, "--samples", "40"] + more)
  }

  /// One more measure is refused, the file stays, and what differs is named there and where the run is shown.
  private func expectRefusal(_ words: String, shown: String) throws {
    let before = try Data(contentsOf: folder.measuresFile)
    let refused = try measure(["--measures", "dropped-step"])
    #expect(
      refused.status == 1 && refused.errors.contains(words) && refused.errors.contains("--replace"), "\(refused.errors)"
    )
    #expect(try Data(contentsOf: folder.measuresFile) == before)
    for command in ["report", "compare"] {
      let page = try Reslens.run([command, run.path])
      #expect(page.status == 0 && page.errors.contains(shown), "\(command): \(page.errors)")
    }
    #expect(try String(contentsOf: folder.reportFile, encoding: .utf8).contains(shown))
    let replaced = try measure(["--measures", "dropped-step", "--replace"])
    #expect(replaced.status == 0, "\(replaced.errors)")
    #expect(try folder.measures()?.names == ["dropped-step"])
    #expect(try !Reslens.run(["compare", run.path]).errors.contains(shown))
  }

  @Test("Measures say which weights, images and statistics they are of, by which program and when")
  func recorded() throws {
    let measures = try #require(try folder.measures())
    let provenance = measures.provenance
    let dataset = try ImageDataset.load("synthetic")
    #expect(provenance.weights == (try #require(folder.latestCheckpoint()).network().fingerprint()))
    #expect(measures.samplings.map(\.split) == [.train, .validation] && measures.samplings.map(\.samples) == [40, 40])
    #expect(measures.samplings[0].images == (try dataset.train.fingerprint(ofFirst: 40)))
    #expect(measures.samplings[0].images != measures.samplings[1].images)
    #expect(try folder.configuration().statistics == provenance.statistics)
    #expect(provenance.isOwnData && measures.samplings.allSatisfy { $0.program == "0.1.0" })
    for sampling in measures.samplings {
      #expect(try Date(sampling.date, strategy: .iso8601).timeIntervalSinceNow > -600)
    }
  }

  @Test("A fingerprint of weights tells values, shapes and names apart, and is that of Python's hashlib")
  func fingerprints() throws {
    let architecture = try Architecture.named("resnet-8")
    let network = try ResidualNetwork(architecture, seed: 1)
    let before = try network.fingerprint()
    #expect(try ResidualNetwork(architecture, seed: 1).fingerprint() == before)
    let bias = try #require(network.parameters["stem.bias"])
    try bias.copy(from: .full([16], 1e-30))
    #expect(try network.fingerprint() != before)
    // SHA-256 of a name, a shape and bytes, each with its length before it (docs/files.md).
    var fingerprint = Fingerprint()
    fingerprint.add("name")
    fingerprint.add([2, 3])
    fingerprint.add([1, 2, 3] as [UInt8])
    let script = """
      import hashlib, struct
      parts = [b'name', struct.pack('<2q', 2, 3), bytes([1, 2, 3])]
      print(hashlib.sha256(b''.join(struct.pack('<Q', len(part)) + part for part in parts)).hexdigest())
      """
    let python = try Tool("python3").run(["-c", script])
    #expect(String(decoding: python.output, as: UTF8.self) == fingerprint.digits + "\n", "\(python.errors)")
  }

  @Test("Results that cannot be read are not overwritten, unless they are to be replaced")
  func damaged() throws {
    let damaged = Data("{\"format\": 3}".utf8)
    try damaged.write(to: folder.measuresFile)
    let call = ["measure", run.path, "--samples", "20", "--measures", "l2-ratio"]
    let refused = try Reslens.run(call)
    #expect(refused.status != 0 && refused.errors.contains("it has format 3, this program reads"), "\(refused.errors)")
    #expect(refused.errors.contains("cannot stay beside new ones") && refused.errors.contains("--replace"))
    #expect(try Data(contentsOf: folder.measuresFile) == damaged)
    let replaced = try Reslens.run(call + ["--replace"])
    #expect(replaced.status == 0, "\(replaced.errors)")
    #expect(try folder.measures()?.names == ["l2-ratio"])
  }

  @Test("A run that was trained anew in the same folder with another seed is another network")
  func trainedAnew() throws {
    let measures = try Data(contentsOf: folder.measuresFile)
    try FileManager.default.removeItem(at: run)
    try #require(try Reslens.train(run, ["--epochs", "1", "--seed", "5"]).status == 0)
    try measures.write(to: folder.measuresFile)
    try expectRefusal("a difference in the weights", shown: "its measures are of other weights")
  }

  @Test("Weights that were edited in place are another network's")
  func editedWeights() throws {
    let file = try #require(folder.latestCheckpoint()).weightsFile
    let network = try ResidualNetwork(contentsOf: file)
    try #require(network.parameters["head.linear.bias"]).copy(from: .full([10], 0.5))
    try network.save(to: file)
    try expectRefusal("a difference in the weights", shown: "its measures are of other weights")
  }

  @Test("Statistics that were edited in the configuration make other inputs")
  func editedStatistics() throws {
    var configuration = try folder.configuration()
    configuration.statistics?.means[0] += 0.01
    try Files.write(YAML.encode(configuration), to: folder.configurationFile)
    let before = try Data(contentsOf: folder.measuresFile)
    let refused = try measure(["--measures", "dropped-step"])
    #expect(refused.status == 1 && refused.errors.contains("a difference in the statistics"), "\(refused.errors)")
    #expect(try Data(contentsOf: folder.measuresFile) == before)
    #expect(try Reslens.run(["compare", run.path]).errors.contains("normalised by other statistics"))
  }

  @Test("Runs that were measured on different numbers of samples are shown with them, and a note")
  func differentSamples() throws {
    let other = scratch.file("other")
    try #require(try Reslens.train(other, ["--epochs", "1"]).status == 0)
    try #require(try Reslens.run(["measure", other.path, "--samples", "100", "--measures", "l2-ratio"]).status == 0)
    let compared = try Reslens.run(["compare", run.path, other.path])
    #expect(compared.errors.contains("on different numbers of validation samples: 40, 100"), "\(compared.errors)")
    #expect(!compared.errors.contains("the runs were trained"), "\(compared.errors)")
    let csv = try Reslens.run(["compare", run.path, other.path, "--format", "csv"]).output.split(separator: "\n")
    let column = try #require(csv[0].split(separator: ",").firstIndex(of: "samples"))
    func field(_ row: Int) -> Substring { csv[row].split(separator: ",", omittingEmptySubsequences: false)[column] }
    #expect(field(1) == "40" && field(2) == "100")
  }

  @Test("Results on several numbers of samples stand side by side; with other settings they need --replace")
  func wider() throws {
    // ResNet-8's readout can read the last state only: it has no borderline examples.
    let run = scratch.file("resnet-14")
    let folder = RunFolder(run)
    try #require(try Reslens.train(run, ["--model", "resnet-14", "--epochs", "1"]).status == 0)
    for samples in ["50", "30"] {
      let call = try Reslens.run(["measure", run.path, "--samples", samples, "--measures", "l2-ratio,borderline"])
      #expect(call.status == 0, "\(call.errors)")
    }
    let found = try #require(try folder.measures())
    let ratios = try #require(found.tables.first { $0.name == "l2-ratio" })
    #expect(Set(try ratios.numbers("samples")) == [30, 50])
    #expect(try found.widest.table("l2-ratio", .validation)?.numbers("count") == Array(repeating: 50, count: 6))
    // On as many samples the newer results take the place of the older ones; a borderline of another margin cannot stand
    // beside those on more samples.
    let before = try Data(contentsOf: folder.measuresFile)
    let margin = ["measure", run.path, "--samples", "30", "--measures", "borderline", "--margin", "0.3"]
    let refused = try Reslens.run(margin)
    #expect(refused.status == 1 && refused.errors.contains("other settings"), "\(refused.errors)")
    #expect(try Data(contentsOf: folder.measuresFile) == before)
    #expect(try Reslens.run(margin + ["--replace"]).status == 0)
    let after = try #require(try folder.measures())
    #expect(try after.tables.first { $0.name == "borderline" }.map { Set(try $0.numbers("samples")) } == [30])
    #expect(after.names == ["l2-ratio", "borderline"])
  }

  @Test("The tables are written as CSV that pandas or Python's csv read as measures.json has them")
  func csv() throws {
    let out = scratch.file("tables")
    let call = try measure(["--measures", "l2-ratio", "--csv", out.path])
    #expect(call.status == 0, "\(call.errors)")
    let script = """
      import csv, json, sys
      results = json.load(open(sys.argv[1]))
      for table in results["tables"]:
          names = [column["name"] for column in table["keys"] + table["values"]]
          lines = list(csv.reader(open(sys.argv[2] + "/" + table["name"] + ".csv")))
          assert lines[0] == names, lines[0]
          for line, row in zip(lines[1:], table["rows"], strict=True):
              for text, cell in zip(line, row, strict=True):
                  assert text == cell or float(text) == float(cell), (text, cell)
      steps = list(csv.DictReader(open(sys.argv[2] + "/steps.csv")))
      assert [step["path"] for step in steps] == [step["path"] for step in results["steps"]]
      print(len(results["tables"]))
      """
    let python = try Tool("python3").run(["-c", script, folder.measuresFile.path, out.path])
    #expect(String(decoding: python.output, as: UTF8.self) == "2\n", "\(python.errors)")
  }

  @Test("A run goes on with its data where they lie now, and measures them as its own")
  func movedData() throws {
    // Another name for the same images.
    let more = scratch.file("more")
    try #require(try Reslens.train(more, ["--epochs", "2"]).status == 0)
    let stored = try Data(contentsOf: RunFolder(more).configurationFile)
    let resumed = try Reslens.run(["train", "--resume", "--data", "synthetic:0", "--out", more.path])
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(try RunFolder(more).configuration().data == "synthetic:0")
    try stored.write(to: RunFolder(more).configurationFile)
    let measured = try Reslens.run(["measure", more.path, "--samples", "40", "--data", "synthetic:0"])
    #expect(measured.status == 0, "\(measured.errors)")
    #expect(try RunFolder(more).measures()?.provenance.isOwnData == true)
    #expect(try !Reslens.run(["compare", more.path]).errors.contains("other data"))
    // Other images are another run's.
    let other = try Reslens.run(["train", "--resume", "--data", "synthetic:1", "--out", more.path])
    #expect(other.status != 0 && other.errors.contains("the data differs"), "\(other.errors)")
    // Data that are gone are asked for.
    var configuration = try RunFolder(more).configuration()
    configuration.data = "/nowhere/cifar"
    try Files.write(YAML.encode(configuration), to: RunFolder(more).configurationFile)
    for arguments in [["train", "--resume", "--out", more.path], ["measure", more.path]] {
      let gone = try Reslens.run(arguments)
      #expect(
        gone.status == 1 && gone.errors.contains("name their new place with --data"), "\(gone.errors)")
    }
  }

  @Test("A study records no more validation images than its runs are judged by")
  func studySamples() throws {
    let out = scratch.file("study")
    let study = try Reslens.run([
      "study", "resnet-8", "--data", "synthetic", "--epochs", "1", "--train-samples", "300", "--validation-samples",
      "70",
      "--out", out.path,
    ])
    try #require(study.status == 0, "\(study.errors)")
    let history = try RunFolder(out.appending(path: "runs/resnet-8-seed-0")).history()
    #expect(history.map { $0.samplings.map(\.samples) } == [[70, 70], [70, 70]])
    let page = try String(contentsOf: out.appending(path: "report.html"), encoding: .utf8)
    #expect(page.contains("What follows was measured on the first 70 validation images."))
  }
}
