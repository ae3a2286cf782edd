import Torch

/// By which statistics normalisations run.
public enum Mode {
  /// The batch's own, which also move the running ones.
  case training
  /// The statistics of a batch that these processes share, each running its part of it. The running statistics are
  /// updated.
  case synchronised(ProcessGroup)
  /// The batch's own; the running ones stay as they are.
  case batchStatistics
  /// The running ones.
  case evaluation

  /// - Parameter momentum: by how much training moves the running statistics
  func statistics(momentum: Double = Normalisation.momentum) -> NormReLU.Statistics {
    switch self {
    case .training: .batchMoving(momentum: momentum)
    case .synchronised(let group): .batchMoving(momentum: momentum, over: group)
    case .batchStatistics: .batch
    case .evaluation: .running
    }
  }

  /// Whether the batch's own statistics are wanted.
  var usesBatch: Bool { if case .evaluation = self { false } else { true } }
}

/// PyTorch's defaults; the paper names neither.
enum Normalisation {
  static let momentum = 0.1
  static let epsilon = 1e-5
}

/// Gradients of parameters by path, summed over all uses of a parameter.
public final class Gradients {
  /// By the parameters' paths, each of its parameter's shape and element type.
  public private(set) var byPath: [String: Tensor] = [:]
  /// Told whenever something was added to a parameter's gradient.
  private let added: (String) throws -> Void

  public init(added: @escaping (String) throws -> Void = { _ in }) { self.added = added }

  func add(_ gradient: Tensor?, _ path: String) throws {
    guard let gradient else { return }
    if let sum = byPath[path] {
      try gradient.add(into: sum)
    } else {
      byPath[path] = gradient
    }
    try added(path)
  }
}

/// A convolution of a network: its parameters under `path`.
struct ConvolutionLayer {
  let path: String
  let weight: Tensor
  let bias: Tensor
  let stride: Int
  let padding: Int

  init(_ path: String, _ parameters: [String: Tensor], stride: Int = 1, padding: Int) throws {
    self.path = path
    weight = try parameters.required(path + ".weight")
    bias = try parameters.required(path + ".bias")
    self.stride = stride
    self.padding = padding
  }

  func forward(_ input: Tensor) throws -> Tensor {
    try Convolution.forward(input, weight: weight, bias: bias, stride: stride, padding: padding)
  }

  /// The gradient with respect to the input, nil where it is not wanted; the parameters' go to `gradients`.
  func backward(
    _ gradient: Tensor, input: Tensor, wantsInput: Bool = true, _ gradients: Gradients?
  ) throws -> Tensor? {
    let all = try Convolution.backward(
      gradient, input: input, weight: weight, stride: stride, padding: padding, wantsInput: wantsInput,
      wantsParameters: gradients != nil)
    try gradients?.add(all.weight, path + ".weight")
    try gradients?.add(all.bias, path + ".bias")
    return all.input
  }
}

/// A normalisation with the ReLU behind it.
struct NormLayer {
  /// The path of γ and β.
  let path: String
  let parameters: NormReLU.Parameters

  /// The values that the backward pass needs.
  struct Tape {
    let input: Tensor
    let output: Tensor
    let statistics: NormReLU.BatchStatistics?
  }

  init(path: String, parameters: NormReLU.Parameters) {
    self.path = path
    self.parameters = parameters
  }

  /// - Parameter statistics: the path of the running statistics; that of γ and β where it is nil
  init(_ path: String, statistics: String? = nil, _ parameters: [String: Tensor]) throws {
    let statistics = statistics ?? path
    self.init(
      path: path,
      parameters: NormReLU.Parameters(
        weight: try parameters.required(path + ".weight"), bias: try parameters.required(path + ".bias"),
        runningMean: try parameters.required(statistics + ".running_mean"),
        runningVariance: try parameters.required(statistics + ".running_var"), epsilon: Normalisation.epsilon))
  }

  /// A layer with the same γ and β and with initial running statistics.
  func withStatisticsOfItsOwn() throws -> NormLayer {
    let (shape, type) = (parameters.runningMean.shape, parameters.runningMean.elementType)
    let device = parameters.runningMean.device
    return NormLayer(
      path: path,
      parameters: NormReLU.Parameters(
        weight: parameters.weight, bias: parameters.bias, runningMean: try .zeros(shape, type).moved(to: device),
        runningVariance: try .full(shape, 1, type).moved(to: device), epsilon: parameters.epsilon))
  }

  /// - Parameter sums: those of the input, where they are known
  func forward(_ input: Tensor, sums: NormReLU.ChannelSums? = nil, mode: Mode) throws -> Tape {
    let result = try NormReLU.forward(input, sums: sums, parameters, by: mode.statistics())
    return Tape(input: input, output: result.output, statistics: result.statistics)
  }

  /// - Parameter gradient: must be this caller's alone, its memory is reused.
  func backward(_ gradient: consuming Tensor, _ tape: Tape, _ gradients: Gradients?) throws -> Tensor {
    let all = try NormReLU.backward(gradient, input: tape.input, parameters, statistics: tape.statistics)
    try gradients?.add(all.weight, path + ".weight")
    try gradients?.add(all.bias, path + ".bias")
    return all.input
  }
}

extension [String: Tensor] {
  /// The tensor at `path`.
  /// - Throws: `ParameterError` where there is none.
  public func required(_ path: String) throws -> Tensor {
    guard let tensor = self[path] else { throw ParameterError(path: path, problem: "it is missing") }
    return tensor
  }
}

/// A parameter that is missing or does not fit its network.
public struct ParameterError: Error, CustomStringConvertible, Equatable {
  /// The parameter's path, for instance "stages.2.0.conv1.weight".
  public var path: String
  /// The problem with the parameter.
  public var problem: String

  public init(path: String, problem: String) {
    self.path = path
    self.problem = problem
  }

  public var description: String { "parameter \(path): \(problem)" }
}
