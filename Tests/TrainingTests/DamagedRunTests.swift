import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

/// Files of a run folder with values that no training gives: each is refused by an error that names the file and the field.
@Suite struct DamagedRunTests {
  private let scratch: Scratch
  private let folder: RunFolder
  private let dataset: ImageDataset
  private let configuration: RunConfiguration

  init() throws {
    scratch = try Scratch()
    folder = RunFolder(scratch.file("run"))
    dataset = try Synthetic.dataset(train: 64, validation: 16)
    let architecture = try Architecture.named("resnet-8")
    var recipe = try Recipe.find("quick", for: architecture)
    (recipe.epochs, recipe.batch) = (2, 32)
    var configuration = RunConfiguration(architecture: architecture, data: "synthetic", recipe: recipe)
    configuration.statistics = try dataset.statistics
    self.configuration = configuration
    try Files.makeFolder(folder.url)
    try Files.write(YAML.encode(configuration), to: folder.configurationFile)
    _ = try Trainer(configuration, dataset: dataset, folder: folder).run()
  }

  private func expect(_ words: String, in file: URL, _ body: () throws -> Void) {
    #expect {
      try body()
    } throws: { error in
      guard let error = error as? FileError else { return false }
      return error.path == file.path && error.problem.contains(words)
    }
  }

  private func edit(_ file: URL, _ old: String, _ new: String) throws -> String {
    let text = try String(contentsOf: file, encoding: .utf8)
    try #require(text.contains(old), "\(old) is not in \(text)")
    try Files.write(text.replacing(old, with: new, maxReplacements: 1), to: file)
    return text
  }

  @Test(
    "A configuration's values are checked",
    arguments: [
      ("seed: 0", "seed: 010", "seed: \"010\" is read as 8"), ("seed: 0", "seed: 1:30", "seed: \"1:30\" is read as 90"),
      ("seed: 0", "seed: 9223372036854775807:30", "9223372036854775807:30 is a number of base 60"),
      ("seed: 0", "seed: 1_0", "seed: \"1_0\" is read as 10"), ("seed: 0", "seed: -1", "seed"),
      ("precision: fp32", "precision: uint8", "precision: uint8 is neither fp32 nor bf16"),
      ("seed: 0", "seed: 0\ntrain-samples: -5", "train-samples: -5"),
      ("seed: 0", "seed: 0\nvalidation-samples: 0", "validation-samples: 0"),
      ("means:\n  - ", "means:\n  - -1e308\n  - ", "statistics.means: -1e+308"),
      ("means:\n  - ", "means:\n  - .nan\n  - ", "statistics.means: nan"),
      ("means:\n  - ", "means:\n  - 0.5\n  - ", "statistics.deviations: there are 3, and 4 means"),
      ("epochs: 2", "epochs: 0", "recipe.epochs: 0"), ("width: 16", "width: 0", "architecture.stem.width: 0"),
      ("  epochs: 2\n", "  epoks: 2\n", "recipe.epoks means nothing here, and recipe.epochs is missing"),
      ("seed: 0", "sead: 0", "sead means nothing here, and seed is missing"),
      ("seed: 0", "seed: 0\nsede: 1", "sede means nothing here (known: "),
    ])
  func configuration(_ old: String, _ new: String, _ words: String) throws {
    _ = try edit(folder.configurationFile, old, new)
    expect(words, in: folder.configurationFile) { _ = try folder.configuration() }
  }

  @Test(
    "A configuration calls the precision as options do, and one of version 0.1.0 is read", arguments: Precision.allCases
  )
  func precision(_ precision: Precision) throws {
    var expected = configuration
    expected.precision = precision
    let text = try YAML.encode(expected)
    #expect(text.contains("\nprecision: \(precision.rawValue)\n"))
    for word in [precision.rawValue, precision == .fp32 ? "float32" : "bfloat16"] {
      let old = text.replacing("precision: \(precision.rawValue)", with: "precision: \(word)")
      try Files.write(old, to: folder.configurationFile)
      #expect(try folder.configuration() == expected)
    }
  }

  private func newestLoop() throws -> URL {
    try #require(folder.latestCheckpoint()).url.appending(path: "loop.json")
  }

  @Test(
    "A loop's values are checked, against its folder's name and the recipe too",
    arguments: [
      ("\"trainSeconds\":0", "\"trainSeconds\":1e300", "trainSeconds: 1e+300"),
      ("\"wrong\":0", "\"wrong\":9223372036854775807", "wrong: 9223372036854775807 of 64 images"),
      ("\"wrong\":0", "\"wrong\":-1", "wrong: -1"), ("\"lossSum\":0", "\"lossSum\":\"NaN\"", "lossSum: nan"),
      ("\"epoch\":2,\"lossSum\"", "\"epoch\":9223372036854775807,\"lossSum\"", "epoch: 9223372036854775807"),
      ("\"epoch\":2,\"lossSum\"", "\"epoch\":1,\"lossSum\"", "records: there are 2, and 1 epochs"),
      ("\"step\":0", "\"step\":1", "its folder is called epoch-00002-step-0000000"),
      ("\"records\":[{\"epoch\":1", "\"records\":[{\"epoch\":2", "records[0]: it is of epoch 2"),
    ])
  func loop(_ old: String, _ new: String, _ words: String) throws {
    let file = try newestLoop()
    _ = try edit(file, old, new)
    expect(words, in: file) { _ = try Trainer(configuration, dataset: dataset, folder: folder) }
  }

  @Test(
    "A table of epochs is checked",
    arguments: [
      (3, "nan", "train_loss nan"), (4, "7", "train_error 7.0 is not between 0 and 1"), (1, "-1", "learning_rate -1.0"),
      (0, "9223372036854775807", "epoch"), (0, "3", "epoch 2 does not follow 3"), (0, "2", "epoch 2 does not follow 2"),
    ] as [(Int, String, String)])
  func epochs(_ column: Int, _ value: String, _ words: String) throws {
    var lines = try String(contentsOf: folder.epochsFile, encoding: .utf8).split(separator: "\n").map(String.init)
    var fields = lines[1].split(separator: ",").map(String.init)
    fields[column == 3 ? 2 : column == 4 ? 3 : column] = value
    lines[1] = fields.joined(separator: ",")
    try Files.write(lines.joined(separator: "\n"), to: folder.epochsFile)
    expect(words, in: folder.epochsFile) { _ = try folder.epochs() }
  }

  @Test(
    "Weights that no training gives are refused: a variance below 0, and a state of the optimiser that is not finite")
  func weights() throws {
    let checkpoint = try #require(folder.latestCheckpoint())
    var velocities = try Safetensors(contentsOf: checkpoint.url.appending(path: "optimizer.safetensors"))
    velocities.tensors["stem.bias"] = try .full([16], .infinity)
    try velocities.write(to: checkpoint.url.appending(path: "optimizer.safetensors"))
    expect("stem.bias has values that are not finite", in: checkpoint.url.appending(path: "optimizer.safetensors")) {
      _ = try Trainer(configuration, dataset: dataset, folder: folder)
    }
    var file = try Safetensors(contentsOf: checkpoint.weightsFile)
    file.tensors["head.norm.running_var"] = try .full([64], -0.001)
    try file.write(to: checkpoint.weightsFile)
    expect("head.norm.running_var has a variance below 0", in: checkpoint.weightsFile) { _ = try checkpoint.network() }
  }

  @Test("Weights in half precision are refused by a sentence that says what to do")
  func halfPrecision() throws {
    let checkpoint = try #require(folder.latestCheckpoint())
    var file = try Safetensors(contentsOf: checkpoint.weightsFile)
    file.tensors = try file.tensors.mapValues { try $0.converted(to: .bfloat16) }
    try file.write(to: checkpoint.weightsFile)
    expect("stem.weight: it is bfloat16 where float32 or float64 is needed: save", in: checkpoint.weightsFile) {
      _ = try checkpoint.network()
    }
  }

  @Test(
    "Weights that PyTorch has written since are read: under DataParallel's and torch.compile's names, with counts of batches",
    arguments: ["module.", "_orig_mod.", "module._orig_mod.", ""])
  func pyTorchsNames(_ prefix: String) throws {
    let checkpoint = try #require(folder.latestCheckpoint())
    let network = try checkpoint.network()
    var file = try Safetensors(contentsOf: checkpoint.weightsFile)
    var tensors: [String: Tensor] = [:]
    for (name, tensor) in file.tensors {
      tensors[prefix + name] = tensor
      if name.hasSuffix(".running_mean") {
        tensors[prefix + name.replacing("running_mean", with: "num_batches_tracked")] = try Tensor(
          [Int64(5)], shape: [])
      }
    }
    file.tensors = tensors
    try file.write(to: checkpoint.weightsFile)
    #expect(try checkpoint.network().fingerprint() == network.fingerprint())
  }

  @Test(
    "Measures are checked where they come in",
    arguments: [
      ("\"step\":1,", "\"step\":-1,", "step -1 is not between"),
      ("\"step\":1,", "\"step\":9223372036854775807,", "step 9223372036854775807 is not between"),
      ("[\"train\",16,2,1,0,16]", "[\"train\",16,2,1,0,9223372036854775807]", "count 9.223372036854776e+18"),
      ("[\"train\",16,2,1,0,16]", "[\"train\",16,2,1,0,-1]", "count -1"),
      ("[\"train\",16,2,1,0,16]", "[\"train\",16,1,1,0,16]", "two rows have the same keys"),
      ("[\"train\",16,2,1,0,16]", "[\"train\",16,2,1,0]", "has 5 cells"),
      ("[\"train\",16,2,1,0,16]", "[\"train\",16,4,1,0,16]", "one of the network's 3 steps"),
      ("[\"train\",16,2,1,0,16]", "[\"test\",16,2,1,0,16]", "neither train nor validation"),
      ("\"epoch\":3", "\"epoch\":-1", "epoch: -1"), ("\"step\":3", "\"step\":4", "not numbered 1, 2, 3"),
      ("\"steps\":[1,2]", "\"steps\":[1]", "steps [1] are not a first and a last step"),
      ("\"format\":4", "\"format\":3", "format 3"),
    ])
  func measures(_ old: String, _ new: String, _ words: String) throws {
    let results = try MeasureResults.madeUp((1...3).map { [.number(Double($0)), 1, 0, 16] }, samples: 16)
    try folder.writeHistory(results)
    let file = folder.historyFolder.appending(path: "epoch-00003.json")
    #expect(try folder.history() == [results])
    _ = try edit(file, old, new)
    expect(words, in: file) { _ = try folder.history() }
  }
}
