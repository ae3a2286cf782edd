import CTorch

/// The statistics by which batch normalisations run.
public enum NormMode {
  /// The running statistics.
  case running
  /// The batch's own statistics; the running ones stay as they are.
  case batch
  /// The batch's own statistics, which also update the running ones: running ← running + momentum·(own − running). Where
  /// `over` names processes, the images of all of them together are the batch. The default momentum is PyTorch's.
  case batchUpdating(momentum: Double = 0.1, over: ProcessGroup? = nil)

  /// True if the batch's own statistics are used.
  public var usesBatch: Bool { if case .running = self { false } else { true } }

  var code: ctorch_norm_mode {
    switch self {
    case .running: ctorch_norm_mode(statistics: CTORCH_RUNNING, momentum: 0)
    case .batch: ctorch_norm_mode(statistics: CTORCH_BATCH, momentum: 0)
    case .batchUpdating(let momentum, _): ctorch_norm_mode(statistics: CTORCH_BATCH_UPDATING, momentum: momentum)
    }
  }

  var group: ProcessGroup? { if case .batchUpdating(_, let group) = self { group } else { nil } }
}

/// Batch normalisation and ReLU, which every use of either in these networks has together.
public enum NormReLU {
  /// The values that the backward pass needs after a forward pass with batch statistics, besides its input: mean and
  /// 1/deviation (2×C), and whatever else the kernels of that pass need.
  public struct BatchStatistics {
    let tensor: Tensor
    /// The processes whose images the batch was; nil for this process's alone.
    let group: ProcessGroup?
    /// The normalised and rectified input, where a unit's way back reads it instead of making it again.
    var normed: Tensor? = nil
  }

  /// Σx and Σx² of each channel of a tensor, in float64: what a pass that wrote the tensor saves the normalisation that
  /// reads it.
  public struct ChannelSums {
    let tensor: Tensor
  }

  /// The parameters and running statistics of one normalisation, C each.
  public struct Parameters {
    /// γ
    public let weight: Tensor
    /// β
    public let bias: Tensor
    /// The running mean of the input; training updates it.
    public let runningMean: Tensor
    /// The unbiased one; moved by training.
    public let runningVariance: Tensor
    /// The number that is added to a variance.
    public let epsilon: Double

    public init(weight: Tensor, bias: Tensor, runningMean: Tensor, runningVariance: Tensor, epsilon: Double) {
      self.weight = weight
      self.bias = bias
      self.runningMean = runningMean
      self.runningVariance = runningVariance
      self.epsilon = epsilon
    }

    func code(over group: ProcessGroup?) -> ctorch_norm {
      ctorch_norm(
        weight: weight.handle, bias: bias.handle, running_mean: runningMean.handle,
        running_var: runningVariance.handle, epsilon: epsilon, group: group?.handle)
    }
  }

  /// ReLU(normalised input), N×C×H×W.
  public static func forward(
    _ input: Tensor, sums: ChannelSums? = nil, _ parameters: Parameters, by mode: NormMode
  ) throws -> (output: Tensor, statistics: BatchStatistics?) {
    var out: ctorch_tensor?
    var batch: ctorch_tensor?
    try check(
      ctorch_norm_relu(
        input.handle, sums?.tensor.handle, parameters.code(over: mode.group), mode.code, &out, &batch))
    return (try .adopt(out), batch.map { BatchStatistics(tensor: Tensor(owning: $0), group: mode.group) })
  }

  /// - Parameters:
  ///   - gradient: with respect to the output. Its memory is reused: it must not be read afterwards.
  ///   - input: the forward's
  ///   - statistics: what the forward returned; where that is nil there are no parameter gradients
  public static func backward(
    _ gradient: consuming Tensor, input: Tensor, _ parameters: Parameters, statistics: BatchStatistics?
  ) throws -> (input: Tensor, weight: Tensor?, bias: Tensor?) {
    let all = try withGradients(true, statistics != nil) { gi, gw, gb in
      ctorch_norm_relu_backward(
        gradient.handle, input.handle, parameters.code(over: statistics?.group), statistics?.tensor.handle, gi, gw, gb)
    }
    guard let input = all.input else { throw TorchError.missingResult }
    return (input, all.weight, all.bias)
  }
}
