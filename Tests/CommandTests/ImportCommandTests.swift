import Foundation
import ResLensNetworks
import ResLensSupport
import ResLensTorch
import ResLensTraining
import TestSupport
import Testing

/// Networks that other programs trained.
@Suite(.serialized) struct ImportCommandTests {
  private let scratch: Scratch
  /// A small network of He et al. under akamaster's names, as safetensors, and as `torch.save` writes it in both formats.
  private let weights: URL, zip: URL, legacy: URL

  init() throws {
    scratch = try Scratch()
    (weights, zip, legacy) = (scratch.file("net.safetensors"), scratch.file("net.pth.tar"), scratch.file("net.th"))
    let halving = { (width: Int) in
      Architecture.Stage(
        width: width, blocks: 1, entry: .projection, stride: 2, kind: "post-activation",
        options: ["shortcut": .word("zeros")])
    }
    let network = try ResidualNetwork(
      Architecture(
        name: "net", stem: .init(width: 4, norm: true, bias: false),
        stages: [.init(width: 4, blocks: 2, entry: .none, kind: "post-activation"), halving(8), halving(12)],
        head: .init(pooling: 8, norm: false)), seed: 1)
    try Safetensors(tensors: network.tensors(as: WeightFamilies.find("option-a-resnet"))).write(to: weights)
    try python(
      """
      tensors = {"module." + name: tensor for name, tensor in load_file(folder + "/net.safetensors").items()}
      torch.save({"epoch": 3, "best": 12.5, "state_dict": tensors}, folder + "/net.pth.tar")
      torch.save({"state_dict": tensors}, folder + "/net.th", _use_new_zipfile_serialization=False)
      """)
  }

  private func python(_ script: String) throws {
    let start = "import torch, sys\nfrom safetensors.torch import load_file, save_file\nfolder = sys.argv[1]\n"
    let outcome = try Checkout.runPython(["-c", start + script, scratch.url.path])
    try #require(outcome.status == 0, Comment(rawValue: outcome.text))
  }

  private func read(_ file: URL, into run: String, _ more: [String] = []) throws -> (
    status: Int32, output: String, errors: String
  ) {
    try Reslens.run(["import", file.path, "--data", "synthetic", "--out", scratch.file(run).path] + more)
  }

  @Test(
    "A file of each format becomes a run of the same network, which is measured, reported, compared and written back")
  func formats() throws {
    var prints: Set<String> = []
    for file in [weights, zip, legacy] {
      let run = file.lastPathComponent + "-run"
      let made = try read(file, into: run, ["--statistics", "imagenet"])
      try #require(made.status == 0, Comment(rawValue: made.errors))
      #expect(made.output.contains("validation error ") && made.errors.contains("net: option-a-resnet, 4 steps"))
      let folder = RunFolder(scratch.file(run))
      let configuration = try folder.configuration()
      #expect(configuration.statistics?.means == [0.485, 0.456, 0.406] && configuration.recipe.epochs == 0)
      #expect(configuration.initialWeights?.path == file.path)
      prints.insert(try #require(folder.latestCheckpoint()).network().fingerprint())
    }
    #expect(prints.count == 1)
    let run = scratch.file("net.th-run").path
    let measured = try Reslens.run(["measure", run, "--samples", "40"])
    try #require(measured.status == 0, Comment(rawValue: measured.errors))
    #expect(measured.output.contains("net with the weights that it started from"))
    let page = try Reslens.run(["report", run])
    try #require(page.status == 0, Comment(rawValue: page.errors))
    let html = try String(contentsOf: RunFolder(scratch.file("net.th-run")).reportFile, encoding: .utf8)
    #expect(!html.contains("has no finished epoch"))
    #expect(html.contains("The paper’s claims, on your network"))
    #expect(html.contains("means 0.4850, 0.4560, 0.4060") && html.contains("elsewhere; its weights are from"))
    #expect(try Reslens.run(["compare", run]).output.contains("net.th-run"))
    let out = scratch.file("back.safetensors")
    let written = try Reslens.run(["export", run, "--to", "option-a-resnet", "--out", out.path])
    try #require(written.status == 0, Comment(rawValue: written.errors))
    #expect(try Data(contentsOf: out) == Data(contentsOf: weights))
    let other = try Reslens.run(["export", run, "--to", "cifar-resnet", "--out", out.path])
    #expect(other.status != 0 && other.errors.contains("is no network of the family cifar-resnet"), "\(other.errors)")
    #expect(try Data(contentsOf: out) == Data(contentsOf: weights))
  }

  @Test("The expected error decides the exit status, and a second import does not overwrite the run")
  func expected() throws {
    let first = try read(weights, into: "run")
    let error = try #require(first.output.split { $0.isWhitespace }.dropFirst(2).first.flatMap { Double($0) })
    let folder = RunFolder(scratch.file("run"))
    let before = try Data(contentsOf: folder.configurationFile)
    let again = try read(weights, into: "run")
    #expect(again.status != 0 && again.errors.contains("there is a run in this folder already"))
    #expect(try Data(contentsOf: folder.configurationFile) == before)
    let resumed = try Reslens.run(["train", "--resume", "--out", scratch.file("run").path])
    #expect(resumed.status != 0 && resumed.errors.contains("there is no training to continue"), "\(resumed.errors)")
    let right = try read(weights, into: "right", ["--expect", "\(error)", "--check"])
    #expect(right.status == 0 && right.output.contains("expected \(error) %"), "\(right.output)\(right.errors)")
    #expect(
      right.output.contains(/float64: logits \d\.\de-1\d; h \d\.\de-1\d at step \d; gradients \d\.\de-1\d at step \d\n/)
    )
    let wrong = try read(weights, into: "wrong", ["--expect", "\(error - 1)"])
    #expect(wrong.status == 1 && wrong.errors.contains("the error is not the expected one"), "\(wrong.errors)")
  }

  @Test("What cannot be read is refused in one line; nothing in it is run, and nothing is written")
  func refusals() throws {
    let marker = scratch.file("marker")
    try python(
      """
      import os, pickle
      class Wicked:
          def __reduce__(self):
              return (os.system, ("touch " + folder + "/marker",))
      torch.save({"state_dict": {"conv1.weight": Wicked()}}, folder + "/wicked.pth")
      torch.save({"state_dict": {"conv1.weight": Wicked()}}, folder + "/wicked.th", _use_new_zipfile_serialization=False)
      open(folder + "/plain.pt", "wb").write(pickle.dumps(Wicked()))
      data = open(folder + "/net.pth.tar", "rb").read()
      open(folder + "/short.pth", "wb").write(data[:len(data) // 2])
      open(folder + "/empty.pt", "wb").write(b"")
      torch.save({"lr": 0.1}, folder + "/none.pt")
      torch.save([1, 2], folder + "/list.pt")
      tensors = load_file(folder + "/net.safetensors")
      tensors["bn1.running_var"][1] = float("nan")
      torch.save(tensors, folder + "/nan.pt")
      torch.save({name: tensors[name] for name in tensors if "running" not in name}, folder + "/lacking.pt")
      """)
    for (name, words) in [
      ("wicked.pth", "posix.system"), ("wicked.th", "posix.system"), ("plain.pt", "it holds more than tensors"),
      ("short.pth", "it cannot be read: "), ("empty.pt", "it cannot be read: "),
      ("none.pt", "there is no state dict in it"), ("list.pt", "there is no state dict in it"),
      ("nan.pt", "stem.norm.running_var has values that are not finite numbers"),
      ("lacking.pt", "bn1.running_mean of shape [4] is missing"), ("absent.pt", "there is no such file"),
    ] {
      let found = try read(scratch.file(name), into: "refused")
      #expect(found.status != 0 && found.errors.contains(words), "\(name): \(found.errors)")
      #expect(found.errors.split(separator: "\n").count == 1, "\(name): \(found.errors)")
      #expect(!FileManager.default.fileExists(atPath: scratch.file("refused").path))
    }
    #expect(!FileManager.default.fileExists(atPath: marker.path))
  }

  @Test(
    "Options that cannot be are named",
    arguments: [
      (["--like", "cifar-resnett"], "(did you mean cifar-resnet?)"),
      (["--statistics", "imagnet"], "(did you mean imagenet?)"),
      (["--statistics", "1,2/3"], "between 0 and 1"),
      (["--statistics", "0.5,0.5/0.2,0.2"], "and the images have 3 channels"),
      (["--expect", "-3"], "--expect -3.0 is not between 0 and 100"),
    ])
  func options(more: [String], words: String) throws {
    let found = try read(weights, into: "run", more)
    #expect(found.status != 0 && found.errors.contains(words), "\(found.errors)")
    #expect(!RunFolder(scratch.file("run")).holdsRun)
  }

  /// Published weights and CIFAR-10, where they lie beside the checkout.
  private static let published = Checkout.root.appending(path: "../shared/pretrained")
  private static let unpack = Checkout.root.appending(path: "../shared/cifar/unpack")
  private static let isHere = [published, unpack].allSatisfy { FileManager.default.fileExists(atPath: $0.path) }

  @Test(
    "Published ResNet-20 have their published errors on CIFAR-10",
    .enabled(if: isHere, "there are no published weights and CIFAR-10 beside the checkout"))
  func publishedErrors() throws {
    let unpacked = try Tool(Self.unpack.path).run([scratch.file("cifar").path])
    try #require(unpacked.status == 0, Comment(rawValue: unpacked.errors))
    let data = scratch.file("cifar/cifar-10-batches-bin").path
    for (name, statistics, error) in [
      ("akamaster-resnet20.th", "imagenet", "8.27"), ("distiller-resnet20-dense.pth.tar", "half", "8.29"),
    ] {
      let found = try Reslens.run([
        "import", Self.published.appending(path: name).path, "--data", data, "--statistics", statistics, "--expect",
        error,
        "--out", scratch.file(name).path,
      ])
      #expect(found.status == 0, "\(found.output)\(found.errors)")
    }
  }
}
