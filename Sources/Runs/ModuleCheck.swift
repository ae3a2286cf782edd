import Foundation
import ResLensNetworks
import ResLensSupport
import ResLensTasks
import ResLensTorch

/// A comparison of an imported network with PyTorch's own module on the same weights.
public struct ModuleCheck {
  /// The largest differences in float64, and in float32.
  public let differences: [Differences]

  /// The largest differences of one precision.
  public struct Differences {
    /// The type in which both computed.
    public let type: ElementType
    /// The largest differences of the logits, of h_0 and every step's h, and of the gradients with respect to the steps'
    /// inputs.
    ///
    /// A difference is divided by the largest value of PyTorch's tensor; the limit is 10⁻⁹ in float64 and 10⁻⁴ in float32.
    /// A float32 gradient is compared by its norm, ‖ours − theirs‖/‖theirs‖ with PyTorch's float64 gradient, and the limit is
    /// 0.02, because rounding decides whether a ReLU whose input is almost 0 is open.
    public let logits, states, gradients: Difference

    /// True if all of them are within their limits.
    public var areSmall: Bool { [logits, states, gradients].allSatisfy(\.isSmall) }
  }

  /// A difference and its limit.
  public struct Difference {
    /// The difference.
    public let value: Double
    /// The largest difference that rounding can cause.
    public let limit: Double
    /// The step at whose input or output it was found; nil for logits.
    public let step: Int?

    /// True if the difference is within the limit. NaN never is.
    public var isSmall: Bool { value <= limit }

    /// The larger of two differences, each divided by its limit.
    fileprivate func orWorse(_ other: Difference) -> Difference {
      other.value / other.limit <= value / limit || value.isNaN ? self : other
    }
  }

  /// Runs both, PyTorch's by `python3`.
  /// - Parameters:
  ///   - network: the network that was made of the weights
  ///   - weights: a file's weights
  ///   - images: N×C×H×W, float32
  ///   - labels: N, int64
  /// - Throws: `FileError` where Python or its module cannot be run.
  public init(_ network: ResidualNetwork, of weights: ForeignWeights, images: Tensor, labels: Tensor) throws {
    let module = try Self.moduleValues(weights, images, labels)
    differences = try [ElementType.float64, .float32].map { type in
      let own = try ResidualNetwork(
        network.architecture, parameters: network.parameters.mapValues { try $0.converted(to: type) })
      return try Self.compare(own, images.converted(to: type), labels, module, type)
    }
  }

  private static func moduleValues(
    _ weights: ForeignWeights, _ images: Tensor, _ labels: Tensor
  ) throws -> [String: Tensor] {
    let architecture = String(decoding: try JSON.encode(weights.architecture), as: UTF8.self)
    return try PythonScript.run(
      PythonScript.runModule,
      { file in
        let files = ["weights", "inputs", "out"].map { file("\($0).safetensors") }
        try Safetensors(tensors: weights.tensors).write(to: files[0])
        try Safetensors(tensors: ["images": images, "labels": labels]).write(to: files[1])
        return [weights.family, architecture] + files.map(\.path)
      }, error: { FileError(path: "--check", problem: $0, remedy: "or import without --check") },
      read: { try Safetensors(contentsOf: $0("out.safetensors")).tensors })
  }

  private static func compare(
    _ network: ResidualNetwork, _ images: Tensor, _ labels: Tensor, _ module: [String: Tensor], _ type: ElementType
  ) throws -> Differences {
    let limit = type == .float64 ? 1e-9 : 1e-4
    func theirs(_ name: String, _ type: ElementType) throws -> Tensor {
      try module.required("\(type.rawValue).\(name)")
    }
    func difference(_ own: Tensor, _ name: String, step: Int? = nil) throws -> Difference {
      let (a, b) = (try own.doubles(), try theirs(name, type).doubles())
      return Difference(value: Self.largest(a, b), limit: limit, step: step)
    }
    func gradientDifference(_ own: Tensor, step: Int) throws -> Difference {
      let name = "gradient.\(step - 1)"
      guard type == .float32 else { return try difference(own, name, step: step) }
      let exact = try theirs(name, .float64).doubles()
      return Difference(value: Self.distance(try own.doubles(), exact), limit: 0.02, step: step)
    }
    let pass = try Pass(network, images: images, mode: .running, wants: .added)
    let gradient = try Predictions(logits: pass.logits, labels: labels, gradientScale: 1).requiredGradient()
    var states = try difference(pass.h0, "h.0", step: 0)
    var gradients: Difference?
    try pass.backward(gradient, into: nil) { step in
      states = states.orWorse(try difference(step.output, "h.\(step.number)", step: step.number))
      let found = try gradientDifference(step.inputGradient, step: step.number)
      gradients = gradients?.orWorse(found) ?? found
    }
    return Differences(
      type: type, logits: try difference(pass.logits, "logits"), states: states,
      gradients: gradients ?? Difference(value: .nan, limit: limit, step: nil))
  }

  /// max|a − b|/max|b|; infinite where there are not as many
  private static func largest(_ a: [Double], _ b: [Double]) -> Double {
    guard a.count == b.count else { return .infinity }
    let scale = b.reduce(0) { max($0, abs($1)) }
    // max() would lose a NaN.
    let worst = zip(a, b).reduce(0) { worst, pair in
      let distance = abs(pair.0 - pair.1)
      return distance <= worst || worst.isNaN ? worst : distance
    }
    return worst / (scale > 0 ? scale : 1)
  }

  /// ‖a − b‖/‖b‖; infinite where there are not as many
  private static func distance(_ a: [Double], _ b: [Double]) -> Double {
    guard a.count == b.count else { return .infinity }
    let scale = b.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot() / (scale > 0 ? scale : 1)
  }
}
