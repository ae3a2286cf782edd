import Foundation
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTorch

/// A trained lens in a safetensors file: `state-T.weight` and `state-T.bias` of the state after T steps, and how they were
/// fitted.
extension TrainedLens {
  /// The network, the images and the settings that a lens was fitted with. They are a file's metadata.
  public struct Origin: Equatable, Sendable {
    /// The settings of the fit.
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

  /// The maps' tensors by their names in a file.
  package var tensors: [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    for (steps, map) in maps { (tensors[Self.weight(steps)], tensors[Self.bias(steps)]) = (map.weight, map.bias) }
    return tensors
  }

  private static func weight(_ steps: Int) -> String { "state-\(steps).weight" }
  private static func bias(_ steps: Int) -> String { "state-\(steps).bias" }

  /// Writes the lens and its origin.
  /// - Throws: `FileError` where there is no room or no right; an earlier file then stays as it was.
  public func write(_ origin: Origin, to file: URL) throws { try encoded(origin).write(to: file) }

  /// The contents of a file.
  package func encoded(_ origin: Origin) -> Safetensors {
    let metadata = [
      "kind": kind.rawValue, "weights": origin.weights, "samples": "\(origin.samples)", "images": origin.images,
      "penalty": "\(origin.options.penalty)", "epochs": "\(origin.options.epochs)",
    ]
    return Safetensors(tensors: tensors, metadata: metadata)
  }

  /// Reads a lens of a network. Its maps are on the processor.
  /// - Parameter remedy: what a user can do where the file cannot be used
  /// - Throws: `FileError` where the file is damaged, or the lens is of other weights.
  public static func read(_ kind: LensKind, of network: ResidualNetwork, from file: URL, remedy: String) throws
    -> TrainedLens
  {
    try read(kind, of: network, Safetensors(contentsOf: file), path: file.path, remedy: remedy)
  }

  /// Reads the contents of a file.
  package static func read(
    _ kind: LensKind, of network: ResidualNetwork, _ content: Safetensors, path: String, remedy: String
  ) throws -> TrainedLens {
    func refusal(_ problem: String) -> FileError { FileError(path: path, problem: problem, remedy: remedy) }
    guard content.metadata["kind"] == kind.rawValue else {
      throw refusal("it is not a lens of the kind \(kind.rawValue)")
    }
    guard try content.metadata["weights"] == network.fingerprint() else {
      throw refusal("it is a lens of other weights than the run now has")
    }
    return try TrainedLens(kind, of: network) { name, shape, type in
      guard let tensor = content.tensors[name], tensor.shape == shape, tensor.elementType == type else {
        throw refusal("it has no \(name) of shape \(shape) and type \(type.rawValue)")
      }
      guard try tensor.isFinite() else { throw refusal("\(name) has values that are not finite numbers") }
      return tensor
    }
  }

  /// A lens whose maps are 0, on the processor: for a process that gets them from another.
  package convenience init(empty kind: LensKind, of network: ResidualNetwork) throws {
    try self.init(kind, of: network) { _, shape, type in try .zeros(shape, type) }
  }

  /// - Parameter tensor: makes a tensor of the name, shape and element type that it gets
  private convenience init(
    _ kind: LensKind, of network: ResidualNetwork, tensor: (String, [Int], ElementType) throws -> Tensor
  ) throws {
    let architecture = network.architecture
    let type = try network.parameters.required("stem.weight").elementType
    let outputs =
      switch kind {
      case .linear: architecture.classes
      case .affine: architecture.features[0]
      }
    var maps: [Int: Map] = [:]
    for place in Self.places(kind, in: architecture) {
      guard let steps = place.steps else { continue }
      maps[steps] = Map(
        weight: try tensor(Self.weight(steps), [outputs, place.shape[0], 1, 1], type),
        bias: try tensor(Self.bias(steps), [outputs], type))
    }
    self.init(kind, maps, of: network)
  }
}
