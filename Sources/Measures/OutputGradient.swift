import ResLensTorch

/// The start of a backward pass of a classifier that is measured: the gradient at its logits.
struct OutputGradient {
  /// ∂u_n/∂logits_n of each sample n, N×classes, u being the log-odds against the sample's class; ∂ΣL_m/∂logits where
  /// samples are not independent.
  let gradient: Tensor
  /// The factor that makes each sample's gradient the one of its loss: 1 − p_y, or 1 where samples are not independent.
  let errorProbabilities: [Double]
  /// The network's own predictions.
  let predictions: Predictions

  /// - Parameters:
  ///   - logits: N×classes
  ///   - labels: N, int64
  ///   - samplesAreIndependent: whether a sample's state moves its own loss alone; by a batch's own statistics it moves all
  init(_ logits: Tensor, _ labels: Tensor, samplesAreIndependent: Bool) throws {
    guard samplesAreIndependent else {
      predictions = try Predictions(logits: logits, labels: labels, gradientScale: 1)
      gradient = try predictions.requiredGradient()
      errorProbabilities = predictions.losses.map { _ in 1 }
      return
    }
    let odds = try LogOdds(logits: logits, labels: labels)
    (gradient, errorProbabilities) = (odds.gradient, odds.errorProbabilities)
    predictions = try Predictions(logits: logits, labels: labels)
  }
}
