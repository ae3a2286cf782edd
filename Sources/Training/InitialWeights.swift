import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// The weights that a training starts from where they are not drawn: `from` in a configuration.
public struct InitialWeights: Codable, Hashable, Sendable {
  /// The file that they are read from.
  public var path: String
  /// Their checksum (`ResidualNetwork.fingerprint`).
  public var weights: String

  package init(path: String, weights: String) { (self.path, self.weights) = (path, weights) }

  /// The weights at a path.
  /// - Parameters:
  ///   - path: a run folder, whose newest checkpoint is taken, a checkpoint's folder, or a safetensors file
  ///   - architecture: the architecture that they must fit
  /// - Throws: `FileError` where there are none, or none of this architecture.
  public init(_ path: String, for architecture: Architecture) throws {
    let file = try Self.file(of: path)
    self.path = file.path
    weights = try Self.read(file, for: architecture).fingerprint()
  }

  /// The architecture of the weights at a path, which they name themselves.
  /// - Parameter path: as in `init(_:for:)`
  /// - Throws: `FileError` where there are none, or where they name no architecture.
  public static func architecture(of path: String) throws -> Architecture {
    let file = try file(of: path)
    guard let architecture = try Architecture(namedIn: Safetensors(contentsOf: file), at: file) else {
      throw FileError(
        path: file.path, problem: "it does not say which architecture its weights are of",
        remedy: "name the architecture with --model")
    }
    return architecture
  }

  /// The channel statistics by which the inputs of the network with the weights at a path are normalised, as the run that
  /// holds them says; nil where no run does.
  /// - Parameter path: as in `init(_:for:)`
  /// - Throws: `FileError` where there are no weights, or where the run's configuration is damaged.
  public static func statistics(of path: String) throws -> ChannelStatistics? {
    // A checkpoint of a run is RUN/checkpoints/NAME/weights.safetensors.
    let checkpoints = try file(of: path).resolvingSymlinksInPath().deletingLastPathComponent()
      .deletingLastPathComponent()
    let run = RunFolder(checkpoints.deletingLastPathComponent())
    guard run.holdsRun, checkpoints.lastPathComponent == run.checkpoints.lastPathComponent else { return nil }
    return try run.configuration().statistics
  }

  /// The network with these weights.
  /// - Throws: `FileError` where the file now holds others.
  func network(of architecture: Architecture) throws -> ResidualNetwork {
    let network = try Self.read(URL(filePath: path), for: architecture)
    guard try network.fingerprint() == weights else {
      throw FileError(
        path: path, problem: "it holds other weights than those that the run is to start from",
        remedy: "put these back, or train into another folder")
    }
    return network
  }

  private static func read(_ file: URL, for architecture: Architecture) throws -> ResidualNetwork {
    let network = try ResidualNetwork(architecture, weightsOf: file)
    let type = try network.parameters.required("stem.weight").elementType
    guard type == .float32 else {
      throw FileError(
        path: file.path, problem: "its weights are \(type.rawValue), and training needs float32",
        remedy: "save them as float32")
    }
    return network
  }

  private static func file(of path: String) throws -> URL {
    let url = URL(filePath: path).standardizedFileURL
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue else {
      return url
    }
    let checkpoint = RunFolder(url).latestCheckpoint() ?? Checkpoint(url: url)
    guard FileManager.default.fileExists(atPath: checkpoint.weightsFile.path) else {
      throw FileError(
        path: path, problem: "there is no checkpoint in this folder",
        remedy: "name the folder of a run that is trained, a checkpoint's folder or a .safetensors file")
    }
    return checkpoint.weightsFile
  }
}
