import CTorch
import ResLensSupport

/// A softmax classifier's predictions for each sample of a batch, and their losses.
public struct Predictions {
  /// The cross-entropy −log p_y of each sample, in nats; with label smoothing against the smoothed target.
  public let losses: [Double]
  /// The softmax's entropy for each sample, in nats.
  public let entropies: [Double]
  /// p_y − max_{k≠y} p_k of each sample: how far the softmax is from the border between right and wrong.
  public let margins: [Double]
  /// The predicted class of each sample: that with the largest logit, the lowest among equals.
  public let classes: [Int]
  /// Each sample's ∂loss/∂logits times the scale that was asked for, N×K; nil where none was.
  public let gradient: Tensor?

  /// - Parameters:
  ///   - logits: N×K
  ///   - labels: N, int64
  ///   - smoothing: s of the target (1 − s)·onehot + s/K
  ///   - gradientScale: 1/N for the gradient of the batch's mean loss, 1 for every sample's own; nil for none
  /// - Throws: `ArgumentError` for a smoothing outside 0 … 1; `TorchError` where a label is not one of the K classes.
  public init(logits: Tensor, labels: Tensor, smoothing: Double = 0, gradientScale: Double? = nil) throws {
    try ArgumentError.check("smoothing", smoothing, in: 0...1)
    let samples = logits.shape.first ?? 0
    var losses = [Double](repeating: 0, count: samples)
    var (entropies, margins) = (losses, losses)
    var classes = [Int64](repeating: 0, count: samples)
    var out: ctorch_tensor?
    let status = losses.withUnsafeMutableBufferPointer { losses in
      entropies.withUnsafeMutableBufferPointer { entropies in
        margins.withUnsafeMutableBufferPointer { margins in
          classes.withUnsafeMutableBufferPointer { classes in
            let room = ctorch_predictions(
              losses: losses.baseAddress, entropies: entropies.baseAddress, margins: margins.baseAddress,
              classes: classes.baseAddress)
            return withUnsafeMutablePointer(to: &out) { place in
              ctorch_cross_entropy(
                logits.handle, labels.handle, smoothing, gradientScale ?? 0, room, gradientScale == nil ? nil : place)
            }
          }
        }
      }
    }
    try check(status)
    self.losses = losses
    self.entropies = entropies
    self.margins = margins
    self.classes = classes.map(Int.init)
    gradient = out.map(Tensor.init(owning:))
  }

  /// Predictions that are known already, without gradient; one number per sample each.
  public init(losses: [Double], entropies: [Double], margins: [Double], classes: [Int]) {
    (self.losses, self.entropies, self.margins, self.classes) = (losses, entropies, margins, classes)
    gradient = nil
  }

  /// The gradient of predictions that were made with a gradient scale.
  /// - Throws: `TorchError` if they were made without.
  public func requiredGradient() throws -> Tensor {
    guard let gradient else { throw TorchError.missingResult }
    return gradient
  }
}

/// The values of a batch's cross-entropy that training needs. A device is not waited for.
public struct BatchLoss {
  /// Σ loss over the samples in nats, and how many of them were classified wrongly: 2, float64.
  public let sums: Tensor
  /// Each sample's ∂loss/∂logits times the scale, N×K.
  public let gradient: Tensor

  /// - Parameters:
  ///   - logits: N×K
  ///   - labels: N, int64
  ///   - smoothing: as of `Predictions`
  ///   - gradientScale: 1/N for the gradient of the batch's mean loss
  /// - Throws: `ArgumentError` for a smoothing outside 0 … 1; `TorchError` where a label is not one of the K classes. A GPU's
  ///   kernels make Σ loss NaN there instead, because the device is not waited for.
  public init(logits: Tensor, labels: Tensor, smoothing: Double = 0, gradientScale: Double) throws {
    try ArgumentError.check("smoothing", smoothing, in: 0...1)
    var out: (sums: ctorch_tensor?, gradient: ctorch_tensor?)
    try check(ctorch_batch_loss(logits.handle, labels.handle, smoothing, gradientScale, &out.sums, &out.gradient))
    (sums, gradient) = (try .adopt(out.sums), try .adopt(out.gradient))
  }

  /// Adds a step's sums to `totals` (3, float64: Σ loss, wrong classifications, steps); steps are counted as long as Σ loss
  /// is a number.
  /// - Returns: 1 where it no longer is one, else 0 (1, float32)
  public static func count(_ sums: Tensor, in totals: Tensor) throws -> Tensor {
    try .make { ctorch_count_step(totals.handle, sums.handle, $0) }
  }
}

/// The odds against each sample's class, u = log((1 − p_y) / p_y).
///
/// ∂L/∂logits of the cross-entropy L is (1 − p_y)·∂u/∂logits: it points where u's does, and where the network is sure it
/// is too small for float32 while u's is not. What asks for a direction takes u's.
public struct LogOdds {
  /// The error probability 1 − p_y of each sample.
  public let errorProbabilities: [Double]
  /// Each sample's ∂u/∂logits, N×K.
  public let gradient: Tensor

  /// - Parameters:
  ///   - logits: N×K
  ///   - labels: N, int64
  /// - Throws: `TorchError` where a label is not one of the K classes.
  public init(logits: Tensor, labels: Tensor) throws {
    var errorProbabilities = [Double](repeating: 0, count: logits.shape.first ?? 0)
    gradient = try .make { ctorch_log_odds(logits.handle, labels.handle, &errorProbabilities, $0) }
    self.errorProbabilities = errorProbabilities
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
  ///   - selection: N×4 int64; of each image which one it is, whether it is mirrored left to right (0 or 1), and by how many
  ///     rows and columns it is then moved; what moves in is 0
  ///   - scale: C, float32
  ///   - offset: C, float32; a pixel becomes byte·scale + offset
  /// - Returns: N×C×H×W of `type`.
  /// - Throws: `TorchError` where shapes do not fit, or there is no such image. A GPU's kernels fill such an image with NaN
  ///   instead, because the device is not waited for.
  public func gatherImages(_ selection: Tensor, scale: Tensor, offset: Tensor, type: ElementType) throws -> Tensor {
    try .make { ctorch_gather_images(handle, selection.handle, scale.handle, offset.handle, type.code, $0) }
  }
}

/// Stochastic gradient descent with momentum, in place on many tensors at once.
public enum MomentumSGD {
  /// v ← momentum·v + g + decay·p;  p ← p − rate·v, or with `nesterov` p − rate·(g + decay·p + momentum·v).
  /// - Parameters:
  ///   - rate: 1, of a floating type
  ///   - velocities: left as they are where the momentum is 0
  ///   - skip: 1, float32: 1 where nothing shall happen, else 0; nil where it shall in any case
  public static func step(
    parameters: [Tensor], gradients: [Tensor], velocities: [Tensor], rate: Tensor, momentum: Double, decay: Double,
    nesterov: Bool, unless skip: Tensor? = nil
  ) throws {
    guard parameters.count == gradients.count, parameters.count == velocities.count else {
      throw TorchError(message: "an optimiser step with lists of unlike length")
    }
    let handles = (parameters.map { $0.handle as ctorch_tensor? }, gradients.map { $0.handle as ctorch_tensor? })
    let status = handles.0.withUnsafeBufferPointer { parameters in
      handles.1.withUnsafeBufferPointer { gradients in
        velocities.map { $0.handle as ctorch_tensor? }.withUnsafeBufferPointer { velocities in
          var step = ctorch_sgd_step(
            parameters: parameters.baseAddress, gradients: gradients.baseAddress, velocities: velocities.baseAddress,
            count: Int32(parameters.count), rate: rate.handle, momentum: momentum, decay: decay, nesterov: nesterov,
            unless: skip?.handle)
          return ctorch_sgd(&step)
        }
      }
    }
    try check(status)
  }
}
