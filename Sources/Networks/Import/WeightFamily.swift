import ResLensSupport
import ResLensTorch

/// A family of networks whose weights other programs write: which architecture a file's names and shapes are of, and
/// what the file calls each parameter.
public protocol WeightFamily: Sendable {
  /// The name on the command line.
  static var name: String { get }
  /// The programs that write such files, in a few words.
  static var summary: String { get }

  /// The architecture that a file may be of, as far as its names tell; nil where it lacks what every network of the
  /// family has. Names and shapes are compared with those of the architecture afterwards.
  /// - Parameters:
  ///   - shapes: the shapes of the file's tensors by their names
  ///   - input: the images that the network is to take
  /// - Throws: `ArchitectureError` where no architecture has these shapes.
  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture?

  /// The file's name of a parameter, by the parameter's path in a network of the family. The path must be one of the
  /// architecture's.
  static func foreignName(of path: String, in architecture: Architecture) -> String

  /// The file's shape of a parameter, which has as many elements as `shape`.
  static func foreignShape(of parameter: ParameterSpecification) -> [Int]
}

extension WeightFamily {
  /// The parameter's own shape.
  static func foreignShape(of parameter: ParameterSpecification) -> [Int] { parameter.shape }
}

/// The families that are known. One more is a file beside this one and a line here.
public enum WeightFamilies {
  /// In the order in which messages name them.
  static let all: [any WeightFamily.Type] = [
    CIFARResNet.self, OptionAResNet.self, KuangliuResNet.self, KuangliuPreActResNet.self, TorchvisionResNet.self,
    ResNetV2.self,
  ]

  /// Their names.
  public static var names: [String] { all.map { $0.name } }

  /// A line for each family with its name and the programs that write its files, in the order of the names.
  public static var summaries: [String] { all.map { "\($0.name): \($0.summary)" } }

  /// - Throws: `WeightFamilyError` where there is no family of this name.
  public static func find(_ name: String) throws -> any WeightFamily.Type {
    guard let found = all.first(where: { $0.name == name }) else {
      throw WeightFamilyError(
        problem: "there is no family \"\(name.printable(60))\"\(didYouMean(name, among: names)); known are "
          + names.joined(separator: ", "))
    }
    return found
  }
}

/// A file whose weights are of no known family, or of another than was asked for.
public struct WeightFamilyError: Error, CustomStringConvertible, Equatable {
  /// The reason, as a clause.
  public var problem: String
  public var description: String { problem }
}

/// Weights that another program wrote, under the names that ResLens has for them.
public struct ForeignWeights {
  /// The family that the names are of.
  public let family: String
  /// The architecture that they are the weights of.
  public let architecture: Architecture
  /// The tensors by the file's names, without prefixes that all of them had.
  public let tensors: [String: Tensor]
  /// The parameters by their paths.
  private let parameters: [String: Tensor]

  /// Recognises weights by their names and shapes. Names may have `module.`, `model.` or `_orig_mod.` before them.
  /// - Parameters:
  ///   - tensors: the tensors of a file, by its names
  ///   - family: the family to try; all where it is nil
  ///   - input: the images that the network is to take
  ///   - name: the architecture's name
  /// - Throws: `WeightFamilyError` with the first differences where they are of none, where they are of several, and for
  ///   images that are not square.
  public init(
    _ tensors: [String: Tensor], like family: (any WeightFamily.Type)? = nil, input: Architecture.Input, name: String
  ) throws {
    guard input.height == input.width else {
      throw WeightFamilyError(
        problem: "the data's images are \(input.height)×\(input.width), and networks are opened for square images only")
    }
    let tensors = ForeignNames.stripped(tensors)
    let shapes = tensors.mapValues(\.shape)
    let attempts = (family.map { [$0] } ?? WeightFamilies.all).map { Attempt($0, shapes, input) }
    let fitting = attempts.filter(\.differences.isEmpty)
    guard fitting.count < 2 else {
      throw WeightFamilyError(
        problem: "its names are of several families: name one with --like "
          + fitting.map { $0.family.name }.joined(separator: " or --like "))
    }
    guard let found = fitting.first, var architecture = found.architecture else {
      throw WeightFamilyError(problem: Attempt.problem(attempts))
    }
    architecture.name = name
    self.family = found.family.name
    self.tensors = tensors
    self.architecture = architecture
    parameters = Dictionary(
      uniqueKeysWithValues: try architecture.parameters.compactMap { parameter in
        try tensors[found.family.foreignName(of: parameter.path, in: architecture)].map {
          (parameter.path, try $0.reshaped(parameter.shape))
        }
      })
  }

  /// The network with these weights, in float32.
  /// - Throws: `ParameterError` where a value is not finite, or a variance is below 0.
  public func network() throws -> ResidualNetwork {
    let network = try ResidualNetwork(
      architecture, parameters: try parameters.mapValues { try $0.converted(to: .float32) })
    if let problem = try network.impossibleValue { throw problem }
    return network
  }
}

extension ResidualNetwork {
  /// The network's tensors under a family's names, which the family's own program loads.
  /// - Throws: `WeightFamilyError` where the network is none of the family.
  public func tensors(as family: any WeightFamily.Type) throws -> [String: Tensor] {
    var named: [String: Tensor] = [:]
    for parameter in architecture.parameters {
      named[family.foreignName(of: parameter.path, in: architecture)] =
        try parameters.required(parameter.path).reshaped(family.foreignShape(of: parameter))
    }
    let attempt = Attempt(family, named.mapValues(\.shape), architecture.input)
    guard attempt.differences.isEmpty, let found = attempt.architecture, found.computesLike(architecture) else {
      throw WeightFamilyError(
        problem: "\(architecture.name) is no network of the family \(family.name) (\(family.summary))"
          + (attempt.differences.first.map { ": \($0)" } ?? ""))
    }
    return named
  }
}

extension Architecture {
  /// True if networks of both with the same parameters compute the same: options that say what is so anyway do not matter.
  fileprivate func computesLike(_ other: Architecture) -> Bool {
    steps == other.steps && stages.map(\.kind) == other.stages.map(\.kind)
      && effectiveOptions == other.effectiveOptions && multiplyAccumulates == other.multiplyAccumulates
      && head.pooling == other.head.pooling
  }

  /// The options of each stage's blocks with those that have their default values, but without those of shortcuts and strides
  /// in stages that do not change the shape of h.
  private var effectiveOptions: [[String: BlockOptions.Value]] {
    zip(stages, blockOptions).map { stage, options in
      stage.entry == .projection
        ? options : options.filter { !$0.key.hasPrefix("shortcut") && !$0.key.hasPrefix("stride") }
    }
  }
}

/// Reading a file's names as those of one family.
private struct Attempt {
  let family: any WeightFamily.Type
  private(set) var architecture: Architecture?
  /// The differences between the file and the architecture, in the order of the parameters; empty where it fits.
  private(set) var differences: [String] = []

  init(_ family: any WeightFamily.Type, _ shapes: [String: [Int]], _ input: Architecture.Input) {
    self.family = family
    do {
      architecture = try family.architecture(shapes, input: input)
    } catch {
      differences = ["\(error)"]
      return
    }
    guard let architecture else {
      differences = ["it lacks what every network of the family has"]
      return
    }
    let expected = architecture.parameters.map {
      (name: family.foreignName(of: $0.path, in: architecture), shape: family.foreignShape(of: $0))
    }
    for (name, shape) in expected {
      guard let found = shapes[name] else {
        differences.append("\(name) of shape \(shape) is missing")
        continue
      }
      if found != shape { differences.append("\(name) has shape \(found) where \(shape) belongs") }
    }
    for name in Set(shapes.keys).subtracting(expected.map(\.name)).sorted() {
      differences.append("\(name) of shape \(shapes[name] ?? []) is not expected")
    }
  }

  /// Why none of the attempts succeeded, told of the family that the file is most like.
  static func problem(_ attempts: [Attempt]) -> String {
    let closest = attempts.filter { $0.architecture != nil }.min { $0.differences.count < $1.differences.count }
    guard let closest else {
      let reasons = attempts.map { "\($0.family.name): \($0.differences.first ?? "")" }
      return "its names are of no known family (\(reasons.joined(separator: "; ")))"
    }
    let shown = closest.differences.prefix(3).joined(separator: "; ")
    let more = closest.differences.count - 3
    return "its names and shapes are of no known family; most like \(closest.family.name), but \(shown)"
      + (more > 0 ? "; and \(more) more" : "")
  }
}

/// The names that PyTorch and its users put around those of a network.
enum ForeignNames {
  /// The tensors without counts of batches, and without what DataParallel, torch.compile and training programs put before
  /// every name.
  static func stripped(_ tensors: [String: Tensor]) -> [String: Tensor] {
    var tensors = tensors.filter { !$0.key.hasSuffix(".num_batches_tracked") }
    // Perhaps one around the other.
    while let prefix = ["module.", "_orig_mod.", "model."].first(where: { prefix in
      !tensors.isEmpty && tensors.keys.allSatisfy { $0.hasPrefix(prefix) }
    }) {
      tensors = Dictionary(uniqueKeysWithValues: tensors.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
    }
    return tensors
  }
}
