import CTorch

/// One unit of a residual function: batch normalisation, ReLU, convolution.
///
/// A 3×3 convolution of stride 1 in float32 or bfloat16, and a narrow one of stride 2 in float32, is one pass over its
/// input: the normalisation is made while the input is loaded, and the sums that the next normalisation begins with while
/// the output is stored. The backward makes what it needs again instead of keeping it. A GPU has such a pass for 3×3
/// convolutions of stride 1 or 2 of 16, 32 … 128 channels. In float64, and for other units on a GPU, all of it is libtorch's
/// operations one after the other.
public enum ResidualUnit {
  /// The convolution of a unit.
  public struct Convolution {
    /// O×I×K×K
    public let weight: Tensor
    /// O
    public let bias: Tensor
    /// Along both axes; the padding is half of K.
    public let stride: Int

    public init(weight: Tensor, bias: Tensor, stride: Int) {
      self.weight = weight
      self.bias = bias
      self.stride = stride
    }

    var code: ctorch_convolution {
      ctorch_convolution(weight: weight.handle, bias: bias.handle, stride: Int32(clamping: stride), padding: 0)
    }
  }

  /// The results of a forward pass. Tensors are N×O×H×W.
  public struct Output {
    /// The unit's own result F, times the scale; nil if only the sum was wanted.
    public let added: Tensor?
    /// F plus the skip; nil if there was no skip.
    public let sum: Tensor?
    /// The channel sums of `sum`, or of `added` if there is no `sum`; nil if they were not wanted or are not known.
    public let channelSums: NormReLU.ChannelSums?
    /// ‖F‖² and ‖F + skip‖² of each sample, if F was kept beside the sum; nil if they are not known.
    public let squares: (added: [Double], sum: [Double])?
    /// nil after a forward pass by running statistics.
    public let statistics: NormReLU.BatchStatistics?
  }

  /// Runs a unit.
  /// - Parameters:
  ///   - input: N×I×H×W
  ///   - sums: the input's, if they are known
  ///   - scale: the factor of F
  ///   - skip: the tensor that F is added to
  ///   - keepsAdded: whether F itself is wanted beside the sum
  ///   - wantsSums: whether a normalisation by the batch's statistics reads the result
  public static func forward(
    _ input: Tensor, sums: NormReLU.ChannelSums? = nil, _ norm: NormReLU.Parameters, by mode: NormMode,
    _ convolution: Convolution, scale: Double = 1, adding skip: Tensor? = nil, keepsAdded: Bool = false,
    wantsSums: Bool = false
  ) throws -> Output {
    var unit = ctorch_unit_forward(
      input: input.handle, input_sums: sums?.tensor.handle, norm: norm.code(over: mode.group), mode: mode.code,
      convolution: convolution.code, scale: scale, skip: skip?.handle, keeps_added: keepsAdded, wants_sums: wantsSums)
    var out = ctorch_unit_results()
    try check(ctorch_unit(&unit, &out))
    let normed = out.normed.map(Tensor.init(owning:))
    let made = (added: out.added.map(Tensor.init(owning:)), sum: out.sum.map(Tensor.init(owning:)))
    let channelSums = out.sums.map { NormReLU.ChannelSums(tensor: Tensor(owning: $0)) }
    let statistics = out.batch.map {
      NormReLU.BatchStatistics(tensor: Tensor(owning: $0), group: mode.group, normed: normed)
    }
    let squares = try out.squares.map { try Tensor(owning: $0).doubles() }
    return Output(
      added: made.added, sum: made.sum, channelSums: channelSums,
      squares: squares.map { (added: halves($0).0, sum: halves($0).1) }, statistics: statistics)
  }

  /// A gradient with respect to a unit's input that may still have to go back through the unit's normalisation: the unit
  /// before does that while it loads it.
  public struct PendingGradient {
    private let gradient: Tensor
    private let normed: Tensor?
    private let coefficients: Tensor?
    private let skip: Tensor?

    /// A gradient that nothing is left to be done to.
    public init(_ whole: Tensor) { (gradient, normed, coefficients, skip) = (whole, nil, nil, nil) }

    init(adopting code: ctorch_pending) throws {
      normed = code.normed.map(Tensor.init(owning:))
      coefficients = code.coefficients.map(Tensor.init(owning:))
      skip = code.skip.map(Tensor.init(owning:))
      gradient = try .adopt(code.gradient)
    }

    var code: ctorch_pending {
      ctorch_pending(
        gradient: gradient.handle, normed: normed?.handle, coefficients: coefficients?.handle, skip: skip?.handle)
    }

    /// The gradient itself, N×I×H×W, if nothing is left to be done to it.
    public var whole: Tensor? { coefficients == nil ? gradient : nil }

    /// The gradient with `skip` added: by the kernel that reads it, where it can do that, else at once. This pending gradient
    /// must not be used afterwards: its memory may be reused.
    public consuming func adding(_ skip: Tensor) throws -> PendingGradient {
      var out = ctorch_pending()
      try check(ctorch_add_skip(code, skip.handle, &out))
      return try PendingGradient(adopting: out)
    }

    /// The gradient itself, N×I×H×W, and `skip` added. The pending gradient must not be used afterwards: its memory is
    /// reused.
    public consuming func resolved(adding skip: Tensor? = nil) throws -> Tensor {
      try .make { ctorch_resolve(code, skip?.handle, $0) }
    }
  }

  /// Gradients of a unit's parameters, in the parameters' element type.
  public struct ParameterGradients {
    /// The gradient of γ; nil after a forward pass with running statistics.
    public let normWeight: Tensor?
    /// The gradient of β; nil after a forward pass with running statistics.
    public let normBias: Tensor?
    /// The gradient of the convolution's weight.
    public let weight: Tensor?
    /// The gradient of the convolution's bias.
    public let bias: Tensor?
  }

  /// The backward pass of a unit that ran with scale 1.
  /// - Parameters:
  ///   - gradient: with respect to F
  ///   - input: the forward pass's
  ///   - statistics: what the forward pass returned
  ///   - skip: after a forward pass by running statistics, what is added to the gradient with respect to the input
  ///   - beside: after such a forward pass, a tensor whose products with that sum are wanted
  /// - Returns: the gradient with respect to the input, not pending after a forward pass by running statistics; `gradient`
  ///   itself, if it was pending with something added; the
  ///   products of `beside` with it, if the kernel found them: Σ of theirs and of the gradient's squares per sample;
  ///   and, if they are wanted, the gradients of the parameters.
  public static func backward(
    _ gradient: PendingGradient, input: Tensor, _ norm: NormReLU.Parameters, statistics: NormReLU.BatchStatistics?,
    _ convolution: Convolution, adding skip: Tensor? = nil, beside: Tensor? = nil, wantsParameters: Bool
  ) throws -> (
    input: PendingGradient, whole: Tensor?, products: (dot: [Double], squares: [Double])?,
    parameters: ParameterGradients?
  ) {
    var unit = ctorch_unit_backward_pass(
      gradient: gradient.code, input: input.handle, norm: norm.code(over: statistics?.group),
      batch: statistics?.tensor.handle, normed: statistics?.normed?.handle, convolution: convolution.code,
      skip: skip?.handle, beside: beside?.handle, wants_parameters: wantsParameters)
    var out = ctorch_unit_backward_results()
    try check(ctorch_unit_backward(&unit, &out))
    let parameters = ParameterGradients(
      normWeight: out.parameters.norm_weight.map(Tensor.init(owning:)),
      normBias: out.parameters.norm_bias.map(Tensor.init(owning:)),
      weight: out.parameters.weight.map(Tensor.init(owning:)), bias: out.parameters.bias.map(Tensor.init(owning:)))
    let sums = out.products.map(Tensor.init(owning:))
    let whole = out.whole.map(Tensor.init(owning:))
    let through = try PendingGradient(adopting: out.input)
    let products = try sums.map { try $0.doubles() }
    return (
      through, whole, products.map { (dot: halves($0).0, squares: halves($0).1) }, wantsParameters ? parameters : nil
    )
  }

  /// Converts the weights of units for a GPU's kernels together, where they have changed; a unit else does it for itself.
  /// Nothing happens where there are no such kernels.
  /// - Parameter type: the element type of the activations
  public static func prepare(_ weights: [Tensor], for type: ElementType) throws {
    try withExtendedLifetime(weights) {
      try check(ctorch_prepare_filters(weights.map(\.handle), Int32(clamping: weights.count), type.code))
    }
  }

  private static func halves(_ values: [Double]) -> ([Double], [Double]) {
    (Array(values[..<(values.count / 2)]), Array(values[(values.count / 2)...]))
  }
}

/// The kernels that units run on.
public enum KernelSet {
  /// The sets of this processor by name, the fastest first, and "libtorch", which composes units of libtorch's own
  /// operations.
  public static var all: [String] { String(cString: ctorch_kernel_sets()).split(separator: ",").map(String.init) }

  /// The one in use: at first the fastest.
  public static var current: String { String(cString: ctorch_kernel_set()) }

  /// Takes another one from now on, for the whole process. What a forward left must not meet a backward on another one.
  /// - Throws: `TorchError` where there is none of that name.
  public static func use(_ name: String) throws { try check(ctorch_use_kernel_set(name)) }

  /// The reason why a GPU runs units by libtorch's operations alone; nil where it has kernels of ours, as Ampere and later do. At the
  /// first use they are compiled, which takes a few seconds, and held against libtorch's operations there.
  /// For the processor the reason is that no GPU is emulated, as only tests do.
  public static func problem(on device: Device) -> String? {
    do {
      try check(ctorch_load_device_kernels(device.code()))
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// Compiles the kernels for GPUs of a compute capability, for instance 9.0, of which none has to be here.
  /// - Returns: the bytes of what came of it
  /// - Throws: `TorchError` where CUDA's run-time compiler is not here, or does not take them.
  public static func compile(forComputeCapability major: Int, _ minor: Int) throws -> Int {
    var size = 0
    try check(ctorch_compile_device_kernels(Int32(major), Int32(minor), &size))
    return size
  }

  /// Runs `body` with another kernel set, for the whole process, and restores the previous set afterwards.
  /// - Throws: `TorchError` where there is none of that name; what `body` throws.
  public static func using<Outcome>(_ name: String, _ body: () throws -> Outcome) throws -> Outcome {
    let before = current
    try use(name)
    defer { try? use(before) }
    return try body()
  }
}
