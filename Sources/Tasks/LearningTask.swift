import ResLensTorch

/// A kind of problem that networks are trained on: it scores a network's outputs against labels, and gives the
/// gradients with which the backward passes of training and measuring begin.
public protocol LearningTask: Sendable {
  /// The loss of a batch that is trained on.
  /// - Parameters:
  ///   - outputs: the network's outputs, N×K
  ///   - labels: N, int64
  ///   - smoothing: the label smoothing, 0 … 1
  ///   - gradientScale: the factor by which each sample's gradient is multiplied; 1/N gives the gradient of the
  ///     batch's mean loss
  func loss(_ outputs: Tensor, _ labels: Tensor, smoothing: Double, gradientScale: Double) throws -> BatchLoss

  /// The predictions for a batch, and their losses without smoothing.
  /// - Parameters:
  ///   - outputs: N×K
  ///   - labels: N, int64
  func predictions(_ outputs: Tensor, _ labels: Tensor) throws -> Predictions

  /// The gradient from which a measured backward pass begins.
  /// - Parameters:
  ///   - outputs: N×K
  ///   - labels: N, int64
  ///   - samplesAreIndependent: whether a sample's state changes its own loss alone; where batch normalisations run
  ///     by a batch's own statistics, it changes the losses of all samples
  func outputGradient(_ outputs: Tensor, _ labels: Tensor, samplesAreIndependent: Bool) throws -> OutputGradient
}

/// The beginning of a measured backward pass: the gradient at a network's outputs.
public struct OutputGradient {
  /// The gradient at the outputs, N×K. Each sample's own is the gradient of its loss divided by `factors`, so that its
  /// direction stays exact where the loss is close to 0; where samples are not independent, it is that of the summed
  /// loss.
  public let gradient: Tensor
  /// The factor that makes each sample's gradient that of its loss; 1 where samples are not independent.
  public let factors: [Double]
  /// The predictions that the outputs make.
  public let predictions: Predictions

  /// - Parameters:
  ///   - gradient: N×K
  ///   - factors: N
  ///   - predictions: of N samples
  public init(gradient: Tensor, factors: [Double], predictions: Predictions) {
    (self.gradient, self.factors, self.predictions) = (gradient, factors, predictions)
  }
}

/// The classification of images into one of K classes, by the cross-entropy of a softmax.
///
/// Where samples are independent, a measured backward pass begins with ∂u_n/∂logits of each sample n, u being the
/// log-odds against its class, and the factors are the error probabilities 1 − p_y (`LogOdds`). Otherwise it begins
/// with the gradient of the summed loss, and the factors are 1.
public struct ImageClassification: LearningTask {
  public init() {}

  public func loss(
    _ outputs: Tensor, _ labels: Tensor, smoothing: Double, gradientScale: Double
  ) throws -> BatchLoss {
    try BatchLoss(logits: outputs, labels: labels, smoothing: smoothing, gradientScale: gradientScale)
  }

  public func predictions(_ outputs: Tensor, _ labels: Tensor) throws -> Predictions {
    try Predictions(logits: outputs, labels: labels)
  }

  public func outputGradient(
    _ outputs: Tensor, _ labels: Tensor, samplesAreIndependent: Bool
  ) throws -> OutputGradient {
    guard samplesAreIndependent else {
      let predictions = try Predictions(logits: outputs, labels: labels, gradientScale: 1)
      return OutputGradient(
        gradient: try predictions.requiredGradient(), factors: predictions.losses.map { _ in 1 },
        predictions: predictions)
    }
    let odds = try LogOdds(logits: outputs, labels: labels)
    return OutputGradient(
      gradient: odds.gradient, factors: odds.errorProbabilities,
      predictions: try Predictions(logits: outputs, labels: labels))
  }
}
