import Foundation
import Host
import ResidualNetworks
import Results
import Torch

/// A moment of a training that can be gone on from: a folder with the weights, and next to them the optimiser's and
/// the loop's state. It appears whole, by a rename.
public struct Checkpoint: Sendable {
  /// Its folder.
  public let url: URL

  static let prefix = "epoch-"

  /// Parameters and running statistics by path, with the architecture in its metadata.
  public var weightsFile: URL { url.appending(path: "weights.safetensors") }
  var optimizerFile: URL { url.appending(path: "optimizer.safetensors") }
  var loopFile: URL { url.appending(path: "loop.json") }

  /// Where the loop was.
  struct Loop: Codable, Equatable {
    /// Whole epochs done.
    var epoch = 0
    /// Steps done in the epoch that was under way.
    var step = 0
    /// Of those steps.
    var lossSum = 0.0
    var wrong = 0
    var trainSeconds = 0.0
    var records: [EpochRecord] = []

    /// Sorts as time does; recipes have at most 99,999 epochs.
    var name: String { Checkpoint.name(epoch: epoch, step: step) }
  }

  /// The name of the checkpoint after so many whole epochs and steps of the next.
  public static func name(epoch: Int, step: Int = 0) -> String {
    prefix + String(format: "%05d-step-%07d", epoch, step)
  }

  /// Whole epochs done, as the checkpoint's name tells; nil for another name.
  public var epoch: Int? { Int(url.lastPathComponent.dropFirst(Self.prefix.count).prefix { $0.isNumber }) }

  /// Writes a checkpoint into `folder` and removes the ones before it.
  static func write(
    _ network: ResidualNetwork, velocities: [String: Tensor], _ loop: Loop, in folder: RunFolder
  ) throws -> Checkpoint {
    let checkpoint = Checkpoint(url: folder.checkpoints.appending(path: loop.name))
    let manager = FileManager.default
    if manager.fileExists(atPath: checkpoint.url.path) { return checkpoint }
    try Files.makeFolder(folder.checkpoints)
    let beside = Checkpoint(url: folder.checkpoints.appending(path: ".writing"))
    try? manager.removeItem(at: beside.url)
    try Files.makeFolder(beside.url)
    defer { try? manager.removeItem(at: beside.url) }
    try network.save(to: beside.weightsFile)
    try Safetensors(tensors: velocities).write(to: beside.optimizerFile)
    try Files.write(JSONEncoder().encode(loop), to: beside.loopFile)
    try Files.move(beside.url, to: checkpoint.url)
    for name in try manager.contentsOfDirectory(atPath: folder.checkpoints.path)
    where name.hasPrefix(prefix) && name < loop.name {
      try? manager.removeItem(at: folder.checkpoints.appending(path: name))
    }
    return checkpoint
  }

  /// - Throws: `FileError` where a file is damaged or of another architecture.
  public func network(expecting architecture: Architecture? = nil) throws -> ResidualNetwork {
    let network = try ResidualNetwork(contentsOf: weightsFile, expecting: architecture)
    // None is ever written.
    if let path = try network.parameters.filter({ try !$0.value.isFinite() }).keys.min() {
      throw FileError(
        path: weightsFile.path, problem: "\(path) has values that are no finite numbers: the file is damaged",
        remedy: "take it from a copy, or train anew")
    }
    return network
  }

  func velocities() throws -> [String: Tensor] { try Safetensors(contentsOf: optimizerFile).tensors }

  func loop() throws -> Loop {
    do {
      return try JSONDecoder().decode(Loop.self, from: Files.read(loopFile))
    } catch is DecodingError {
      throw FileError(path: loopFile.path, problem: "it cannot be read", remedy: "train anew into another folder")
    }
  }
}
