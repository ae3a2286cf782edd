import Host
import Foundation
import Torch

extension ResidualNetwork {
  static let architectureKey = "architecture"

  /// Writes the weights, with the resolved architecture in the file's metadata.
  /// - Throws: `FileError`; an earlier file then stays whole.
  public func save(to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = String(decoding: try encoder.encode(architecture), as: UTF8.self)
    try Safetensors(tensors: parameters, metadata: [Self.architectureKey: text]).write(to: url)
  }

  /// The network of a file that `save` wrote.
  /// - Parameter expected: the architecture that the file must hold; any where it is nil
  /// - Throws: `FileError` where the file is damaged, holds no network or another architecture.
  public convenience init(contentsOf url: URL, expecting expected: Architecture? = nil) throws {
    let file = try Safetensors(contentsOf: url)
    guard let text = file.metadata[Self.architectureKey] else {
      throw FileError(
        path: url.path, problem: "its metadata name no architecture", remedy: "use a checkpoint that reslens wrote")
    }
    let architecture: Architecture
    do {
      architecture = try JSONDecoder().decode(Architecture.self, from: Data(text.utf8))
    } catch {
      throw FileError(
        path: url.path, problem: "the architecture in its metadata cannot be read",
        remedy: "use a checkpoint that reslens wrote")
    }
    if let expected, expected != architecture {
      throw FileError(
        path: url.path,
        problem: "it holds \(architecture.difference(from: expected)), the run is of \(expected.name)",
        remedy: "use the checkpoint of that run, or the model of this checkpoint")
    }
    do {
      try self.init(architecture, parameters: file.tensors)
    } catch let error as ParameterError {
      throw FileError(path: url.path, problem: "\(error)", remedy: "use a whole checkpoint of \(architecture.name)")
    }
  }
}

extension Architecture {
  /// This architecture in a few words, with the field that sets it apart where the names are equal.
  fileprivate func difference(from other: Architecture) -> String {
    guard name == other.name else { return name }
    if classes != other.classes { return "\(name) with \(classes) classes instead of \(other.classes)" }
    let unlike = stages.indices.first { other.stages.indices.contains($0) && stages[$0] != other.stages[$0] }
    if let unlike, stages.count == other.stages.count, stages[unlike].sharing != other.stages[unlike].sharing {
      return "\(name) with blocks shared otherwise in stage \(unlike)"
    }
    if stages != other.stages { return "\(name) with other stages" }
    return "\(name) with another input, stem or head"
  }
}
