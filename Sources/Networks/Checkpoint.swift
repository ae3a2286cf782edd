import ResLensSupport
import Foundation
import ResLensTorch

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

  /// The network of a file that `save` wrote. PyTorch may have written it since: `module.` or `_orig_mod.` before every
  /// name, and counts of batches (`num_batches_tracked`), are left out.
  /// - Parameter expected: the architecture that the file must hold; any where it is nil
  /// - Throws: `FileError` where the file is damaged, holds no network, another architecture, or values that no training
  ///   gives: numbers that are not finite, variances below 0.
  public convenience init(contentsOf url: URL, expecting expected: Architecture? = nil) throws {
    let file = try Safetensors(contentsOf: url)
    guard let architecture = try Architecture(namedIn: file, at: url) else {
      throw FileError(
        path: url.path, problem: "its metadata name no architecture, so that it is not a checkpoint of reslens",
        remedy: "use a checkpoint that reslens wrote")
    }
    if let expected, expected != architecture {
      throw FileError(
        path: url.path,
        problem: "it holds \(architecture.difference(from: expected)), the run is of \(expected.name)",
        remedy: "use the checkpoint of that run, or the model of this checkpoint")
    }
    try self.init(architecture, file, at: url, remedy: "use a whole checkpoint of \(architecture.name)")
  }

  /// The network of an architecture with the weights of a file, which need not name an architecture.
  /// - Throws: `FileError` where the file is damaged, or naming the first parameter that the architecture does not have or
  ///   has in another shape.
  public convenience init(_ architecture: Architecture, weightsOf url: URL) throws {
    let file = try Safetensors(contentsOf: url)
    let remedy = "use weights of \(architecture.name), or the model of these weights"
    try self.init(architecture, file, at: url, remedy: remedy)
    // Parameters do not say everything, for instance not how a stage is entered.
    guard var stored = try Architecture(namedIn: file, at: url) else { return }
    stored.name = architecture.name
    guard stored == architecture else {
      throw FileError(path: url.path, problem: "it holds \(stored.difference(from: architecture))", remedy: remedy)
    }
  }

  /// The network of an architecture with the parameters of a file.
  private convenience init(
    _ architecture: Architecture, _ file: Safetensors, at url: URL, remedy: String
  ) throws {
    do {
      try self.init(architecture, parameters: ForeignNames.stripped(file.tensors))
    } catch let error as ParameterError {
      throw FileError(path: url.path, problem: "\(error)", remedy: remedy)
    }
    if let problem = try impossibleValue {
      throw FileError(
        path: url.path, problem: "\(problem.path) \(problem.problem): the file is damaged",
        remedy: "use a copy of it, or train again")
    }
  }

  /// SHA-256 of the weights, running statistics included: of every tensor the name, the shape and the bytes, in the order of the
  /// names.
  public func fingerprint() throws -> String {
    var fingerprint = Fingerprint()
    for (name, tensor) in parameters.sorted(by: { $0.key < $1.key }) {
      fingerprint.add(name)
      fingerprint.add(tensor.shape)
      fingerprint.add(try tensor.bytes())
    }
    return fingerprint.digits
  }

  /// The first parameter with a value that no training gives, and what is wrong with it; nil where there is none.
  var impossibleValue: ParameterError? {
    get throws {
      for specification in architecture.parameters {
        let parameter = try parameters.required(specification.path)
        guard try parameter.isFinite() else {
          return ParameterError(path: specification.path, problem: "has values that are not finite numbers")
        }
        if specification.role == .runningVariance, let least = try parameter.doubles().min(), least < 0 {
          return ParameterError(path: specification.path, problem: "has a variance below 0 (\(least))")
        }
      }
      return nil
    }
  }
}

extension Architecture {
  /// The architecture in a file's metadata; nil where they name none.
  /// - Throws: `FileError` where it cannot be read.
  public init?(namedIn file: Safetensors, at url: URL) throws {
    guard let text = file.metadata[ResidualNetwork.architectureKey] else { return nil }
    do {
      self = try JSONDecoder().decode(Architecture.self, from: Data(text.utf8))
    } catch {
      throw FileError(
        path: url.path, problem: "the architecture in its metadata cannot be read",
        remedy: "use a checkpoint that reslens wrote")
    }
  }

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
