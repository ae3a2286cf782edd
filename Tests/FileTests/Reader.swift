import Foundation
import ResLensSupport
import ResLensMeasures
import ResLensTasks
import ResLensNetworks
import ResLensResults
import ResLensStudies
import Testing
import ResLensTorch
import ResLensTraining

/// A reader of files that users or other programs may have damaged.
struct Reader: Sendable, CustomTestStringConvertible {
  let name: String
  /// Valid files.
  let originals: @Sendable () throws -> [[UInt8]]
  /// Reads a file.
  /// - Returns: what is wrong with what was read: it does not read back; nil where nothing is
  /// - Throws: the reader's error
  let problem: @Sendable ([UInt8]) throws -> String?

  var testDescription: String { name }

  static let all = [
    yaml("configuration", RunConfiguration.self) { $0.configuration() },
    yaml("architecture", Architecture.self) { $0.architecture() },
    yaml("recipe", Recipe.self) { $0.recipe() },
    yaml("study", Study.self) { $0.study() },
    json("loop", Checkpoint.Loop.self) { $0.loop() },
    json("measures", MeasureResults.self) { $0.measures() },
    json("pruning", PruningResults.self) { $0.pruning() },
    json("exits", ExitResults.self) { $0.exits() },
    epochs, safetensors, lens, cifar, dataset,
  ]

  private static let seeds = 0..<6

  private static func yaml<Value: Codable & Equatable>(
    _ name: String, _ type: Value.Type, _ draw: @escaping @Sendable (inout AwkwardValues) -> Value
  ) -> Reader {
    Reader(name: name) {
      try seeds.map { seed in
        var values = AwkwardValues(seed: seed)
        return try Array(YAML.encode(draw(&values)).utf8)
      }
    } problem: { bytes in
      let value = try YAML.decode(type, from: Data(bytes), path: "mutated.yaml")
      let text = try YAML.encode(value)
      return try YAML.decode(type, from: text, path: "again.yaml") == value
        ? nil : "it reads back as another value: \(text)"
    }
  }

  private static func json<Value: Codable & Equatable>(
    _ name: String, _ type: Value.Type, _ draw: @escaping @Sendable (inout AwkwardValues) -> Value
  ) -> Reader {
    Reader(name: name) {
      try seeds.map { seed in
        var values = AwkwardValues(seed: seed)
        return try Array(JSON.encode(draw(&values)))
      }
    } problem: { bytes in
      let value = try JSON.decode(type, from: Data(bytes), path: "mutated.json", remedy: "none")
      let data = try JSON.encode(value)
      let again = try JSON.decode(type, from: data, path: "again.json", remedy: "none")
      if let measures = value as? MeasureResults {
        // Results that are accepted must also be fit for a mean over seeds.
        _ = try MeasureResults.mean(of: [measures, measures], called: "two")
      }
      return try again == value || JSON.encode(again) == data
        ? nil : "it reads back as another value: \(String(decoding: data, as: UTF8.self))"
    }
  }

  private static let epochs = Reader(name: "epochs") {
    seeds.map { seed in
      var values = AwkwardValues(seed: seed)
      return Array(EpochRecord.csv(values.records()).utf8)
    }
  } problem: { bytes in
    let records = try EpochRecord.records(csv: String(decoding: bytes, as: UTF8.self), file: "epochs.csv")
    return try EpochRecord.records(csv: EpochRecord.csv(records), file: "again.csv") == records
      ? nil : "it reads back as other records"
  }

  private static let safetensors = Reader(name: "safetensors") {
    let tensors: [String: Tensor] = [
      "stem.weight": try Tensor([Float(1), 2, 3, 4, 5, 6], shape: [2, 3]),
      "stem.bias": try Tensor([Float(7)], shape: [1]),
      "bytes": try Tensor([UInt8(1), 2, 3], shape: [3]), "scalar": try Tensor([Double(8)], shape: []),
      "none": try Tensor([Float](), shape: [0]),
    ]
    return [
      try Array(Safetensors(tensors: tensors, metadata: ["architecture": "{\"name\": \"a\"}"]).encoded()),
      try Array(Safetensors(tensors: tensors.filter { $0.key.hasPrefix("stem") }).encoded()),
    ]
  } problem: { bytes in
    let file = try Safetensors(decoding: Data(bytes), path: "mutated.safetensors")
    let again = try Safetensors(decoding: file.encoded(), path: "again.safetensors")
    guard again.metadata == file.metadata, again.tensors.keys == file.tensors.keys else {
      return "names do not read back"
    }
    // Bit by bit, as NaN equals nothing.
    return try file.tensors.allSatisfy { name, tensor in
      guard let other = again.tensors[name] else { return false }
      return try tensor.shape == other.shape && tensor.elementType == other.elementType
        && tensor.bytes() == other.bytes()
    } ? nil : "tensors do not read back"
  }

  /// A network whose lens has three states.
  private static func lensed() throws -> ResidualNetwork {
    let architecture = try Architecture(
      name: "a", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
      stages: [.init(width: 2, blocks: 2, entry: .none)], head: .init(pooling: 2))
    return try ResidualNetwork(architecture, seed: 1)
  }

  private static let lens = Reader(name: "lens") {
    let network = try lensed()
    let origin = TrainedLens.Origin(
      options: .init(.linear), weights: try network.fingerprint(), samples: 1, images: "images")
    return [try Array(TrainedLens(empty: .linear, of: network).encoded(origin).encoded())]
  } problem: { bytes in
    let path = "mutated.safetensors"
    let content = try Safetensors(decoding: Data(bytes), path: path)
    let lens = try TrainedLens.read(.linear, of: lensed(), content, path: path, remedy: "fit it again")
    // Whatever is accepted has finite maps for all three states.
    return try lens.tensors.count == 6 && lens.tensors.values.allSatisfy { try $0.isFinite() }
      ? nil : "its maps are not those of the network"
  }

  private static let records = 3
  private static let cifar = Reader(name: "CIFAR") {
    [(0..<(records * 3073)).map { $0 % 3073 == 0 ? UInt8($0 / 3073) : UInt8(truncatingIfNeeded: $0) }]
  } problem: { bytes in
    var (pixels, labels): ([UInt8], [Int]) = ([], [])
    try CIFAR.cifar10.decode(Data(bytes), path: "mutated.bin", records: records, &pixels, &labels)
    let written = labels.enumerated().flatMap { [UInt8($1)] + pixels[($0 * 3072)..<(($0 + 1) * 3072)] }
    return written == bytes ? nil : "its records do not read back"
  }

  private static let dataset = Reader(name: "image set") {
    let tensors: [String: Tensor] = [
      "train.images": try Tensor((0..<24).map { UInt8($0) }, shape: [2, 3, 2, 2]),
      "train.labels": try Tensor([0, 1] as [Int64], shape: [2]),
      "validation.images": try Tensor((0..<12).map { UInt8($0) }, shape: [1, 3, 2, 2]),
      "validation.labels": try Tensor([UInt8(1)], shape: [1]),
    ]
    let metadata = ["class_names": #"["a", "b"]"#, "name": "letters"]
    return [try Array(Safetensors(tensors: tensors, metadata: metadata).encoded())]
  } problem: { bytes in
    let file = FileManager.default.temporaryDirectory.appending(path: "reslens-\(UUID().uuidString).safetensors")
    try Data(bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let data = try ImageDataset.load(file.path)
    for set in [data.train, data.validation] {
      guard try set.images.bytes().count == set.count * data.imageShape.reduce(1, *) else {
        return "images are missing"
      }
      guard set.labels.allSatisfy(data.classNames.indices.contains) else { return "a label is none of the classes" }
    }
    return nil
  }
}
