import Foundation
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTorch

/// A trained lens in a safetensors file: `state-T.weight` and `state-T.bias` of the state after T steps, and how they were
/// fitted.
extension TrainedLens {
  /// The conditions under which a lens was fitted. They are a file's metadata.
  public struct Origin: Equatable, Sendable {
    /// How it was fitted.
    public var options: LensFitting.Options
    /// SHA-256 of the network's weights (`ResidualNetwork.fingerprint`).
    public var weights: String
    /// The number of train images, the first ones, that it was fitted on.
    public var samples: Int
    /// SHA-256 of these images and their labels.
    public var images: String

    public init(options: LensFitting.Options, weights: String, samples: Int, images: String) {
      (self.options, self.weights, self.samples, self.images) = (options, weights, samples, images)
    }
  }

  /// The kind and the checksum of the maps.
  public var identity: MeasureResults.Lens {
    get throws {
      var fingerprint = Fingerprint()
      for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
        fingerprint.add(name)
        fingerprint.add(tensor.shape)
        fingerprint.add(try tensor.bytes())
      }
      return .init(kind: kind, maps: fingerprint.digits)
    }
  }

  private var tensors: [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    for (steps, map) in maps { (tensors[Self.weight(steps)], tensors[Self.bias(steps)]) = (map.weight, map.bias) }
    return tensors
  }

  private static func weight(_ steps: Int) -> String { "state-\(steps).weight" }
  private static func bias(_ steps: Int) -> String { "state-\(steps).bias" }

  /// Writes the lens and its origin.
  /// - Throws: `FileError` where there is no room or no right; an earlier file then stays as it was.
  public func write(_ origin: Origin, to file: URL) throws {
    let metadata = [
      "kind": kind.rawValue, "weights": origin.weights, "samples": "\(origin.samples)", "images": origin.images,
      "penalty": "\(origin.options.penalty)", "epochs": "\(origin.options.epochs)",
    ]
    try Safetensors(tensors: tensors, metadata: metadata).write(to: file)
  }

  /// Reads a lens of a network.
  /// - Parameter remedy: what a user can do where the file cannot be used
  /// - Throws: `FileError` where the file is damaged, or the lens is of other weights.
  public static func read(_ kind: LensKind, of network: ResidualNetwork, from file: URL, remedy: String) throws
    -> TrainedLens
  {
    let content = try Safetensors(contentsOf: file)
    func refusal(_ problem: String) -> FileError { FileError(path: file.path, problem: problem, remedy: remedy) }
    guard content.metadata["kind"] == kind.rawValue else {
      throw refusal("it is not a lens of the kind \(kind.rawValue)")
    }
    guard try content.metadata["weights"] == network.fingerprint() else {
      throw refusal("it is a lens of other weights than the run now has")
    }
    let architecture = network.architecture
    var maps: [Int: Map] = [:]
    for place in places(kind, in: architecture) {
      guard let steps = place.steps else { continue }
      let outputs = kind == .linear ? architecture.classes : architecture.features[0]
      func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        guard let tensor = content.tensors[name], tensor.shape == shape else {
          throw refusal("it has no \(name) of shape \(shape)")
        }
        guard try tensor.isFinite() else { throw refusal("\(name) has values that are not finite numbers") }
        return try tensor.moved(to: network.device)
      }
      maps[steps] = Map(
        weight: try tensor(weight(steps), [outputs, place.shape[0], 1, 1]), bias: try tensor(bias(steps), [outputs]))
    }
    return TrainedLens(kind, maps, of: network)
  }
}
