import CTorch

/// The sums from which a linear map of pixels is fitted by least squares. Batches are added one after the other, so that
/// none of them has to be kept.
public final class LinearRegression {
  /// Σ x·xᵀ over pixels, x being a pixel's C numbers and a 1; (C+1)×(C+1), float64.
  private let gram: Tensor
  /// Σ x·yᵀ over pixels; (C+1)×D, float64.
  private let cross: Tensor

  /// A fitted map y = W·x + b, and the statistics of its inputs. All tensors are float64.
  public struct Fit {
    /// W, D×C.
    public let weight: Tensor
    /// b, D.
    public let bias: Tensor
    /// The mean of each input, C.
    public let means: Tensor
    /// The standard deviation of each input (population), C; 0 for an input that does not vary.
    public let deviations: Tensor
  }

  /// No pixels yet.
  /// - Parameters:
  ///   - inputs: C
  ///   - outputs: D
  public init(inputs: Int, outputs: Int, on device: Device = .cpu) throws {
    gram = try .zeros([inputs + 1, inputs + 1], .float64).moved(to: device)
    cross = try .zeros([inputs + 1, outputs], .float64).moved(to: device)
  }

  /// Adds the pixels of a batch.
  /// - Parameters:
  ///   - inputs: N×C×H×W
  ///   - outputs: N×D×H×W
  /// - Throws: `TorchError` where the shapes do not fit.
  public func add(_ inputs: Tensor, _ outputs: Tensor) throws {
    try check(ctorch_regression_add(inputs.handle, outputs.handle, gram.handle, cross.handle))
  }

  /// The map with the least mean of ‖W·x + b − y‖² plus the penalty.
  /// - Parameter penalty: the factor of the sum of squares of W, for inputs divided by their deviations; above 0
  /// - Throws: `TorchError` where no pixel was added, and for a penalty that is not above 0.
  public func solved(penalty: Double) throws -> Fit {
    var out: (weight: ctorch_tensor?, bias: ctorch_tensor?, means: ctorch_tensor?, deviations: ctorch_tensor?)
    try check(
      ctorch_regression_solve(
        gram.handle, cross.handle, penalty, &out.weight, &out.bias, &out.means, &out.deviations))
    return Fit(
      weight: try .adopt(out.weight), bias: try .adopt(out.bias), means: try .adopt(out.means),
      deviations: try .adopt(out.deviations))
  }
}

/// Multinomial logistic regression with a penalty on the weights, fitted by libtorch's L-BFGS to its optimum.
public enum LogisticRegression {
  /// The map to logits with the least mean cross-entropy plus the penalty.
  ///
  /// scikit-learn's `LogisticRegression(C=1 / (penalty * N))` on features divided by their deviations has the same optimum.
  /// - Parameters:
  ///   - features: N×D
  ///   - labels: N, int64
  ///   - classes: K
  ///   - penalty: twice the factor of the sum of squares of the weights, for features divided by their deviations
  /// - Returns: the weight K×D and the bias K, float64
  /// - Throws: `TorchError` where a label is not one of the classes, the shapes do not fit, or the optimum is not found.
  public static func fit(
    _ features: Tensor, _ labels: Tensor, classes: Int, penalty: Double
  ) throws -> (weight: Tensor, bias: Tensor) {
    var out: (weight: ctorch_tensor?, bias: ctorch_tensor?)
    try check(
      ctorch_logistic_regression(
        features.handle, labels.handle, Int64(classes), penalty, &out.weight, &out.bias))
    return (try .adopt(out.weight), try .adopt(out.bias))
  }
}

/// The Kullback–Leibler divergence of the softmaxes of two sets of outputs.
public enum Divergence {
  /// The gradient of KL(target‖read) of each sample with respect to the outputs that were read, times a scale; N×K.
  public static func gradient(of read: Tensor, from target: Tensor, scale: Double) throws -> Tensor {
    try .make { ctorch_divergence_gradient(target.handle, read.handle, scale, $0) }
  }
}

/// Adam (Kingma & Ba 2015, "Adam: a method for stochastic optimization"), with its usual moments' rates 0.9 and 0.999.
public final class Adam {
  private let parameters: [Tensor]
  private let firsts: [Tensor]
  private let seconds: [Tensor]
  private var steps = 0

  /// - Parameter parameters: floating tensors, which the steps write
  public init(_ parameters: [Tensor]) throws {
    self.parameters = parameters
    firsts = try parameters.map { try $0.scaled(by: 0) }
    seconds = try parameters.map { try $0.scaled(by: 0) }
  }

  /// Changes the parameters in place.
  /// - Parameter gradients: of the parameters' shapes and element types, in the same order
  /// - Throws: `TorchError` where the shapes differ.
  public func step(_ gradients: [Tensor], rate: Double) throws {
    guard gradients.count == parameters.count else {
      throw TorchError(message: "\(gradients.count) gradients for \(parameters.count) parameters")
    }
    steps += 1
    let (p, g) = (parameters.map { $0.handle as ctorch_tensor? }, gradients.map { $0.handle as ctorch_tensor? })
    let (m, v) = (firsts.map { $0.handle as ctorch_tensor? }, seconds.map { $0.handle as ctorch_tensor? })
    try check(ctorch_adam(p, g, m, v, Int32(p.count), rate, Int64(steps)))
  }
}
