import CTorch

/// What a softmax classifier says about each sample of a batch.
public struct CrossEntropy {
  /// −log p_y a sample, in nats; with label smoothing against the smoothed target.
  public let losses: [Double]
  /// The softmax's entropy a sample, in nats.
  public let entropies: [Double]
  /// p_y − max_{k≠y} p_k a sample: how far the softmax is from the border between right and wrong.
  public let margins: [Double]
  /// The class with the largest logit a sample, the lowest among equals.
  public let predictions: [Int]
  /// Each sample's ∂loss/∂logits times the scale that was asked for, N×K; nil where none was.
  public let gradient: Tensor?

  /// - Parameters:
  ///   - logits: N×K
  ///   - labels: N, int64
  ///   - smoothing: s of the target (1 − s)·onehot + s/K
  ///   - gradientScale: 1/N for the gradient of the batch's mean loss, 1 for every sample's own; nil for none
  /// - Throws: `TorchError` where a label is not one of the K classes.
  public init(logits: Tensor, labels: Tensor, smoothing: Double = 0, gradientScale: Double? = nil) throws {
    let samples = logits.shape.first ?? 0
    var losses = [Double](repeating: 0, count: samples)
    var (entropies, margins) = (losses, losses)
    var predictions = [Int64](repeating: 0, count: samples)
    var out: ctorch_tensor?
    let status = withUnsafeMutablePointer(to: &out) { place in
      ctorch_cross_entropy(
        logits.handle, labels.handle, smoothing, gradientScale ?? 0, &losses, &entropies, &margins, &predictions,
        gradientScale == nil ? nil : place)
    }
    try check(status)
    self.losses = losses
    self.entropies = entropies
    self.margins = margins
    self.predictions = predictions.map(Int.init)
    gradient = out.map(Tensor.init(owning:))
  }

  /// The gradient of a reading that was made with a gradient scale.
  /// - Throws: `TorchError` where it was made without.
  public func requiredGradient() throws -> Tensor {
    guard let gradient else { throw TorchError.missingResult }
    return gradient
  }
}

/// The odds against each sample's class, u = log((1 − p_y) / p_y).
///
/// ∂L/∂logits of the cross-entropy L is (1 − p_y)·∂u/∂logits: it points where u's does, and where the network is sure it
/// is too small for float32 while u's is not. What asks for a direction takes u's.
public struct LogOdds {
  /// 1 − p_y a sample.
  public let doubts: [Double]
  /// Each sample's ∂u/∂logits, N×K.
  public let gradient: Tensor

  /// - Parameters:
  ///   - logits: N×K
  ///   - labels: N, int64
  /// - Throws: `TorchError` where a label is not one of the K classes.
  public init(logits: Tensor, labels: Tensor) throws {
    var doubts = [Double](repeating: 0, count: logits.shape.first ?? 0)
    gradient = try .make { ctorch_log_odds(logits.handle, labels.handle, &doubts, $0) }
    self.doubts = doubts
  }
}

/// Sums of products over all elements of each sample of two tensors, in float64.
public struct SampleProducts: Sendable {
  /// Σab a sample.
  public let dot: [Double]
  /// Σaa a sample.
  public let squares: [Double]
  /// Σbb a sample.
  public let otherSquares: [Double]

  public init(dot: [Double], squares: [Double], otherSquares: [Double]) {
    (self.dot, self.squares, self.otherSquares) = (dot, squares, otherSquares)
  }
}

extension Tensor {
  /// The products of this tensor's samples (dimension 0) with those of `other`, of the same shape and element type.
  public func sampleProducts(_ other: Tensor) throws -> SampleProducts {
    let none = [Double](repeating: 0, count: shape.first ?? 0)
    var (ab, aa, bb) = (none, none, none)
    try check(ctorch_sample_products(handle, other.handle, &ab, &aa, &bb))
    return SampleProducts(dot: ab, squares: aa, otherSquares: bb)
  }

  /// For each sample (dimension 0) the sum of squares over all its elements, as in `sampleProducts`.
  public func sampleSquares() throws -> [Double] {
    var squares = [Double](repeating: 0, count: shape.first ?? 0)
    try check(ctorch_sample_squares(handle, &squares))
    return squares
  }

  /// A normalised batch out of these byte images (M×C×H×W uint8).
  /// - Parameters:
  ///   - indices: which images, in this order
  ///   - flips: 1 where the image is mirrored left to right
  ///   - shifts: rows and columns by which each image is then moved, two a sample; what moves in is 0
  ///   - scale: a channel
  ///   - offset: a channel; a pixel becomes byte·scale + offset
  /// - Returns: N×C×H×W of `type`.
  public func gatherImages(
    _ indices: [Int64], flips: [UInt8], shifts: [Int8], scale: [Float], offset: [Float], type: ElementType
  ) throws -> Tensor {
    guard flips.count == indices.count, shifts.count == 2 * indices.count,
      shape.count == 4, scale.count == shape[1], offset.count == shape[1]
    else { throw TorchError(message: "augmentation or statistics of another size than the batch") }
    return try .make {
      ctorch_gather_images(
        handle, indices, flips, shifts, Int64(indices.count), scale, offset, type.code, $0)
    }
  }
}

/// Stochastic gradient descent with momentum, in place on many tensors at once.
public enum MomentumSGD {
  /// v ← momentum·v + g + decay·p;  p ← p − rate·v, or with `nesterov` p − rate·(g + decay·p + momentum·v).
  public static func step(
    parameters: [Tensor], gradients: [Tensor], velocities: [Tensor], rate: Double, momentum: Double, decay: Double,
    nesterov: Bool
  ) throws {
    guard parameters.count == gradients.count, parameters.count == velocities.count else {
      throw TorchError(message: "an optimiser step with lists of unlike length")
    }
    try check(
      ctorch_sgd(
        parameters.map(\.handle), gradients.map(\.handle), velocities.map(\.handle), Int32(parameters.count), rate,
        momentum, decay, nesterov))
  }
}
