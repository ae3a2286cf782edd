import CTorch

/// A record of the operations of one step of a network, from which libtorch's autograd finds their gradients. Each
/// step has its own, so that its activations can be freed as soon as the backward pass has left it.
///
/// Operations are methods of `Value`. Values begin as `input(_:)` or `parameter(_:_:)`, and end as `result(of:)`.
/// `gradients(of:_:for:wantsParameters:keepsRecord:)` finds the gradients and, unless it is told to keep the record,
/// frees it. The memory of what was recorded must not change before that; where this library has changed it, going
/// back is refused. A tape belongs to the thread that uses it.
public final class Tape {
  /// How batch normalisations run.
  public let mode: NormMode
  /// The number of the set of running statistics that normalisations use; 0 are the trained ones.
  public let statistics: Int
  private let records: Bool
  private var parameters: [(path: String, value: Tensor)] = []
  private var indices: [String: Int] = [:]
  /// Everything that must stay as it is until the gradients are found, and how often it had been written.
  private var stamps: [(path: String, tensor: Tensor, writes: Int64)] = []
  private var isSpent = false

  /// An N×C×H×W tensor in the course of a record's operations.
  public struct Value {
    /// The record that the value belongs to.
    public let tape: Tape
    let tensor: Tensor

    /// The sizes, the outermost dimension first.
    public var shape: [Int] { tensor.shape }
  }

  /// - Parameters:
  ///   - statistics: which running statistics normalisations use
  ///   - records: whether gradients will be asked for; without, operations leave nothing behind
  public init(mode: NormMode, statistics: Int = 0, records: Bool) {
    (self.mode, self.statistics, self.records) = (mode, statistics, records)
  }

  // MARK: beginnings

  /// The activations that come in, as a value.
  /// - Throws: `TorchError` while a CUDA graph is being captured.
  public func input(_ tensor: Tensor) throws -> Value { try leaf("the input", tensor) }

  /// A parameter as a value; the same one however often it is asked for.
  /// - Parameter path: the parameter's name, by which its gradient is returned
  /// - Throws: `TorchError` while a CUDA graph is being captured.
  public func parameter(_ path: String, _ tensor: Tensor) throws -> Value {
    if let index = indices[path] { return Value(tape: self, tensor: parameters[index].value) }
    let value = try leaf(path, tensor)
    indices[path] = parameters.count
    parameters.append((path, value.tensor))
    return value
  }

  private func leaf(_ path: String, _ tensor: Tensor) throws -> Value {
    stamp(path, tensor)
    return Value(tape: self, tensor: try .make { ctorch_tape_leaf(tensor.handle, records, $0) })
  }

  private func stamp(_ path: String, _ tensor: Tensor) {
    if records { stamps.append((path, tensor, ctorch_writes(tensor.handle))) }
  }

  fileprivate func stampRunning(_ parameters: Tape.Norm) {
    // The batch's own statistics are in the record: other steps may update the running ones meanwhile.
    guard case .running = mode else { return }
    stamp(parameters.path + ".running_mean", parameters.runningMean)
    stamp(parameters.path + ".running_var", parameters.runningVariance)
  }

  // MARK: ends

  /// The value's elements as a tensor, channels-last, on the memory of the record.
  public func result(of value: Value) throws -> Tensor { try .make { ctorch_tape_result(value.tensor.handle, $0) } }

  /// The gradients of a scalar.
  /// - Parameters:
  ///   - result: a value of this record
  ///   - gradient: the scalar's with respect to `result`, of its shape and element type
  ///   - values: other values of this record
  ///   - wantsParameters: whether the parameters' are wanted
  ///   - keepsRecord: whether gradients will be asked for again; else the record is freed
  /// - Returns: the scalar's gradients with respect to `values`, and to the parameters, the last one first, each of its
  ///   parameter's element type; 0 where the result does not depend on them
  /// - Throws: `TapeError` if the record is gone, or what was recorded has changed; `TorchError`
  public func gradients(
    of result: Value, _ gradient: Tensor, for values: [Value], wantsParameters: Bool, keepsRecord: Bool = false
  ) throws -> (values: [Tensor], parameters: [(path: String, gradient: Tensor)]) {
    guard records else { throw TapeError.notRecorded }
    guard !isSpent else { throw TapeError.spent }
    for stamp in stamps where ctorch_writes(stamp.tensor.handle) != stamp.writes {
      throw TapeError.changed(path: stamp.path)
    }
    let wanted = wantsParameters ? parameters.reversed() : []
    let handles = (values.map(\.tensor) + wanted.map(\.value)).map { $0.handle as ctorch_tensor? }
    var out = [ctorch_tensor?](repeating: nil, count: handles.count)
    let status = handles.withUnsafeBufferPointer { handles in
      var question = ctorch_tape_question(
        result: result.tensor.handle, gradient: gradient.handle, values: handles.baseAddress,
        count: Int32(handles.count), keeps_record: keepsRecord)
      return ctorch_tape_gradients(&question, &out)
    }
    try check(status)
    if !keepsRecord { (isSpent, parameters, indices, stamps) = (true, [], [:], []) }
    let found = try out.map(Tensor.adopt)
    return (Array(found.prefix(values.count)), zip(wanted, found.dropFirst(values.count)).map { ($0.path, $1) })
  }
}

extension Tape {
  /// The parameters and running statistics of one recorded batch normalisation, C each.
  public struct Norm {
    /// The path of the running statistics, for messages.
    public let path: String
    /// γ
    public let weight: Tape.Value
    /// β
    public let bias: Tape.Value
    /// The running mean of the input.
    public let runningMean: Tensor
    /// The running variance of the input, unbiased.
    public let runningVariance: Tensor
    /// The number that is added to a variance.
    public let epsilon: Double

    public init(
      path: String, weight: Tape.Value, bias: Tape.Value, runningMean: Tensor, runningVariance: Tensor, epsilon: Double
    ) {
      (self.path, self.weight, self.bias) = (path, weight, bias)
      (self.runningMean, self.runningVariance, self.epsilon) = (runningMean, runningVariance, epsilon)
    }
  }
}

extension Tape.Value {
  /// A convolution with a square kernel, over C channels.
  /// - Parameters:
  ///   - weight: O×I×K×K; converted to the activations' element type. Where I is less than C, the channels are in C/I
  ///     groups, and each of as many groups of outputs reads its own.
  ///   - bias: O; nil for none
  public func convolved(
    _ weight: Tape.Value, bias: Tape.Value? = nil, stride: Int = 1, padding: Int
  ) throws -> Tape.Value {
    var convolution = ctorch_convolution(
      weight: weight.tensor.handle, bias: bias?.tensor.handle, stride: Int32(clamping: stride),
      padding: Int32(clamping: padding))
    return try made { ctorch_tape_convolve(tensor.handle, &convolution, $0) }
  }

  /// Every `stride`-th pixel of every `stride`-th row, from the first on.
  /// - Parameter zeroChannels: the number of channels of zeros that come before the channels, and behind them
  public func subsampled(by stride: Int, zeroChannels: Int = 0) throws -> Tape.Value {
    try made { ctorch_tape_subsample(tensor.handle, Int32(clamping: stride), Int32(clamping: zeroChannels), $0) }
  }

  /// The mean of each window of `size`×`size` pixels, windows that begin at every `size`-th pixel. A window at an edge may have
  /// fewer pixels, of which it is then the mean.
  public func pooled(by size: Int) throws -> Tape.Value {
    try made { ctorch_tape_average_pool(tensor.handle, Int32(clamping: size), $0) }
  }

  /// γ·(x − mean)/√(variance + ε) + β in each channel, as the tape's mode has it.
  /// - Throws: `TapeError.synchronised` if several processes' images are the batch; `TorchError`
  public func normalised(_ parameters: Tape.Norm) throws -> Tape.Value {
    guard tape.mode.group == nil else { throw TapeError.synchronised }
    var norm = ctorch_norm(
      weight: parameters.weight.tensor.handle, bias: parameters.bias.tensor.handle,
      running_mean: parameters.runningMean.handle, running_var: parameters.runningVariance.handle,
      epsilon: parameters.epsilon, group: nil)
    tape.stampRunning(parameters)
    return try made { ctorch_tape_normalise(tensor.handle, &norm, tape.mode.code, $0) }
  }

  /// max(0, x)
  public func relu() throws -> Tape.Value { try apply(CTORCH_TAPE_RELU) }

  /// 1 / (1 + exp(−x))
  public func sigmoid() throws -> Tape.Value { try apply(CTORCH_TAPE_SIGMOID) }

  /// The mean over each channel's pixels, N×C×1×1.
  public func pixelMean() throws -> Tape.Value { try apply(CTORCH_TAPE_MEAN) }

  /// scale·x
  public func scaled(by scale: Double) throws -> Tape.Value { try apply(CTORCH_TAPE_SCALE, scale: scale) }

  /// x + scale·other
  public func adding(_ other: Tape.Value, scale: Double = 1) throws -> Tape.Value {
    try apply(CTORCH_TAPE_ADD, other, scale: scale)
  }

  /// x·other, element by element; sizes of 1 in either are repeated.
  public func multiplied(by other: Tape.Value) throws -> Tape.Value { try apply(CTORCH_TAPE_MULTIPLY, other) }

  private func apply(
    _ operation: ctorch_tape_operation, _ other: Tape.Value? = nil, scale: Double = 1
  ) throws -> Tape.Value {
    try made { ctorch_tape_apply(operation, tensor.handle, other?.tensor.handle, scale, $0) }
  }

  private func made(_ body: (UnsafeMutablePointer<ctorch_tensor?>) -> Int32) throws -> Tape.Value {
    Tape.Value(tape: tape, tensor: try .make(body))
  }
}

/// A reason why a tape cannot record, or cannot go back.
public enum TapeError: Error, CustomStringConvertible, Equatable {
  /// An input, a parameter or a running statistic was written between the forward and the backward pass.
  case changed(path: String)
  /// The gradients have been found already, and the record was not kept.
  case spent
  /// The operations were run without being recorded.
  case notRecorded
  /// A normalisation was to run by the statistics of several processes' images.
  case synchronised

  public var description: String {
    switch self {
    case .changed(let path):
      "\(path) was written after the forward pass, which it no longer fits: run the forward pass again"
    case .spent:
      "the gradients of this record have been found already, and it was freed: pass keepsRecord: true if they are needed again"
    case .notRecorded: "these operations were run without a record, and have no gradients"
    case .synchronised:
      "this network's blocks are recorded by autograd, which knows one process's images only: train without "
        + "synchronised batch normalisation"
    }
  }
}
