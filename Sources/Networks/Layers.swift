import ResLensTorch

/// PyTorch's default; the paper does not name it.
enum Normalisation {
  static let epsilon = 1e-5
}

/// Gradients of parameters by path, summed over all uses of a parameter.
public final class Gradients {
  /// By the parameters' paths, each of its parameter's shape and element type.
  public private(set) var byPath: [String: Tensor] = [:]
  /// Called whenever something was added to a parameter's gradient.
  private let added: (String) throws -> Void

  public init(added: @escaping (String) throws -> Void = { _ in }) { self.added = added }

  /// Adds one step's part of a parameter's gradient; nil is none.
  /// - Parameter gradient: memory of its own, to which later parts are added
  public func add(_ gradient: Tensor?, _ path: String) throws {
    guard let gradient else { return }
    if let sum = byPath[path] {
      try gradient.add(into: sum)
    } else {
      byPath[path] = gradient
    }
    try added(path)
  }
}

/// A convolution of a network. On a record it is called like a function.
public struct ConvolutionLayer {
  let weight: Parameter
  let bias: Parameter?
  let stride: Int
  let padding: Int
  /// The shape of one sample of the result: channels, height, width.
  public let output: [Int]

  /// The convolution of N×C×H×W activations, recorded.
  public func callAsFunction(_ x: Tape.Value) throws -> Tape.Value {
    try x.convolved(weight(x.tape), bias: bias.map { try $0(x.tape) }, stride: stride, padding: padding)
  }

  func forward(_ input: Tensor) throws -> Tensor {
    try Convolution.forward(
      input, weight: weight.tensor(), bias: bias?.tensor(), stride: stride, padding: padding)
  }

  /// The gradient with respect to the input, nil if it is not wanted; the parameters' go to `gradients`.
  func backward(
    _ gradient: Tensor, input: Tensor, wantsInput: Bool = true, _ gradients: Gradients?
  ) throws -> Tensor? {
    let all = try Convolution.backward(
      gradient, input: input, weight: weight.tensor(), stride: stride, padding: padding, wantsInput: wantsInput,
      wantsParameters: gradients != nil)
    try gradients?.add(all.weight, weight.path)
    if let bias { try gradients?.add(all.bias, bias.path) }
    return all.input
  }

  /// The convolution as a unit has it, which pads by itself.
  func ofUnit() throws -> ResidualUnit.Convolution {
    .init(weight: try weight.tensor(), bias: try bias.wanted().tensor(), stride: stride)
  }
}

/// The running statistics of one normalisation in one step: the trained ones, and others that recalibration took.
final class RunningStatistics {
  /// The path of the trained ones.
  let path: String
  private let mean: Parameter
  private let variance: Parameter
  private var others: [Int: (mean: Tensor, variance: Tensor)] = [:]

  init(path: String, mean: Parameter, variance: Parameter) {
    (self.path, self.mean, self.variance) = (path, mean, variance)
  }

  /// The paths of the trained mean and variance.
  var paths: (mean: String, variance: String) { (mean.path, variance.path) }

  /// True if there is a set of statistics of that number; 0 are the trained ones.
  func has(_ number: Int) -> Bool { number == 0 || others[number] != nil }

  /// Takes over all sets but the trained one of the same normalisation in another network with the same parameters. The
  /// tensors are shared.
  func adopt(_ other: RunningStatistics) { others = other.others }

  /// Adds a set with initial values. There is none of that number yet.
  func add(_ number: Int) throws {
    let trained = try mean.tensor()
    let (shape, type, device) = (trained.shape, trained.elementType, trained.device)
    others[number] = (
      try .zeros(shape, type).moved(to: device), try .full(shape, 1, type).moved(to: device)
    )
  }

  /// - Throws: `PlanError` if there is no set of that number.
  func set(_ number: Int) throws -> (mean: Tensor, variance: Tensor) {
    if number == 0 { return (try mean.tensor(), try variance.tensor()) }
    guard let set = others[number] else { throw PlanError("\(path) has no statistics \(number)") }
    return set
  }
}

/// A batch normalisation of a network. On a record it is called like a function.
public struct BatchNormLayer {
  let weight: Parameter
  let bias: Parameter
  let statistics: RunningStatistics

  /// γ·(x − mean)/√(variance + ε) + β in each channel, recorded.
  /// - Throws: `TapeError.synchronised` if several processes' images are the batch.
  public func callAsFunction(_ x: Tape.Value) throws -> Tape.Value {
    let running = try statistics.set(x.tape.statistics)
    return try x.normalised(
      .init(
        path: statistics.path, weight: weight(x.tape), bias: bias(x.tape), runningMean: running.mean,
        runningVariance: running.variance, epsilon: Normalisation.epsilon))
  }

  /// - Parameter number: which running statistics
  /// - Throws: `PlanError` if there are none of that number.
  func parameters(_ number: Int = 0) throws -> NormReLU.Parameters {
    let running = try statistics.set(number)
    return NormReLU.Parameters(
      weight: try weight.tensor(), bias: try bias.tensor(), runningMean: running.mean,
      runningVariance: running.variance, epsilon: Normalisation.epsilon)
  }
}

/// A fully connected layer of a network.
public struct LinearLayer {
  let weight: Parameter
  let bias: Parameter
}

extension Optional {
  /// The value that a layer must have.
  func wanted() throws -> Wrapped {
    guard let self else { throw TorchError.missingResult }
    return self
  }
}

extension [String: Tensor] {
  /// The tensor at `path`.
  /// - Throws: `ParameterError` if there is none.
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
