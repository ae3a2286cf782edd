import CTorch

/// A square convolution over N×C×H×W images.
public enum Convolution {
  /// - Parameters:
  ///   - weight: O×I×K×K; converted to the input's element type.
  ///   - bias: O; nil for none
  public static func forward(
    _ input: Tensor, weight: Tensor, bias: Tensor?, stride: Int = 1, padding: Int
  ) throws -> Tensor {
    var code = code(weight, bias, stride, padding)
    return try .make { ctorch_conv2d(input.handle, &code, $0) }
  }

  /// The gradients that are asked for. Those of the parameters have the parameters' element type.
  public static func backward(
    _ gradient: Tensor, input: Tensor, weight: Tensor, stride: Int = 1, padding: Int, wantsInput: Bool = true,
    wantsParameters: Bool
  ) throws -> (input: Tensor?, weight: Tensor?, bias: Tensor?) {
    var code = code(weight, nil, stride, padding)
    var out = ctorch_convolution_gradients()
    try check(ctorch_conv2d_backward(gradient.handle, input.handle, &code, wantsInput, wantsParameters, &out))
    return (
      out.input.map(Tensor.init(owning:)), out.weight.map(Tensor.init(owning:)), out.bias.map(Tensor.init(owning:))
    )
  }

  private static func code(_ weight: Tensor, _ bias: Tensor?, _ stride: Int, _ padding: Int) -> ctorch_convolution {
    ctorch_convolution(
      weight: weight.handle, bias: bias?.handle, stride: Int32(clamping: stride), padding: Int32(clamping: padding))
  }
}

extension ResidualUnit.Convolution {
  /// The convolution with the normalisation by running statistics that follows it as a part of its weight and bias.
  /// - Parameter bias: of the convolution itself; nil for none
  public init(weight: Tensor, bias: Tensor?, stride: Int = 1, folding norm: NormReLU.Parameters) throws {
    var convolution = ctorch_convolution(
      weight: weight.handle, bias: bias?.handle, stride: Int32(clamping: stride), padding: 0)
    var code = norm.code(over: nil)
    var out: (weight: ctorch_tensor?, bias: ctorch_tensor?)
    try check(ctorch_fold_norm(&convolution, &code, &out.weight, &out.bias))
    self.init(weight: try .adopt(out.weight), bias: try .adopt(out.bias), stride: stride)
  }
}

extension Tensor {
  /// Writes max(0, x) over the elements.
  public func rectify() throws { try check(ctorch_relu_into(handle)) }

  /// ∂L/∂x of y = max(0, x), where this tensor is y; `gradient` is ∂L/∂y, which is not written.
  public func rectifyBackward(_ gradient: Tensor) throws -> Tensor {
    try .make { ctorch_relu_backward(gradient.handle, handle, $0) }
  }
}

/// Pooling over windows that touch but do not overlap.
public enum Pooling {
  /// N×C×H×W to N×C×(H/size)×(W/size), the mean of each window; what is left over at an edge is left out.
  public static func average(_ input: Tensor, size: Int) throws -> Tensor {
    try .make { ctorch_average_pool(input.handle, Int32(size), $0) }
  }

  /// ∂L/∂input of `average`; `gradient` has its output's shape.
  public static func averageBackward(_ gradient: Tensor, input: Tensor, size: Int) throws -> Tensor {
    try .make { ctorch_average_pool_backward(gradient.handle, input.handle, Int32(size), $0) }
  }

  /// The largest of each window, and where it was (for the backward).
  /// - Parameters:
  ///   - stride: the pixels between neighbouring windows; `size` where it is nil
  ///   - padding: the pixels around the input that windows may reach, at most half of `size`; they count for nothing
  public static func maximum(
    _ input: Tensor, size: Int, stride: Int? = nil, padding: Int = 0
  ) throws -> (output: Tensor, indices: Tensor) {
    var out: ctorch_tensor?
    var indices: ctorch_tensor?
    try check(
      ctorch_max_pool(input.handle, Int32(size), Int32(stride ?? size), Int32(padding), &out, &indices))
    return (try .adopt(out), try .adopt(indices))
  }

  /// ∂L/∂input of `maximum` with the same windows; `indices` are what that gave.
  public static func maximumBackward(
    _ gradient: Tensor, input: Tensor, indices: Tensor, size: Int, stride: Int? = nil, padding: Int = 0
  ) throws -> Tensor {
    try .make {
      ctorch_max_pool_backward(
        gradient.handle, input.handle, indices.handle, Int32(size), Int32(stride ?? size), Int32(padding), $0)
    }
  }
}

/// A fully connected layer; `weight` is O×I.
public enum Linear {
  /// N×I to N×O.
  public static func forward(_ input: Tensor, weight: Tensor, bias: Tensor) throws -> Tensor {
    try .make { ctorch_linear(input.handle, weight.handle, bias.handle, $0) }
  }

  /// ∂L/∂input, N×I, and of weight and bias where they are wanted; `gradient` is N×O.
  public static func backward(
    _ gradient: Tensor, input: Tensor, weight: Tensor, wantsParameters: Bool
  ) throws -> (input: Tensor, weight: Tensor?, bias: Tensor?) {
    let all = try withGradients(true, wantsParameters) { gi, gw, gb in
      ctorch_linear_backward(gradient.handle, input.handle, weight.handle, gi, gw, gb)
    }
    guard let input = all.input else { throw TorchError.missingResult }
    return (input, all.weight, all.bias)
  }
}

extension Tensor {
  /// N×C×H×W to N×CHW, in channel, row, column order.
  public func flattened() throws -> Tensor { try .make { ctorch_flatten(handle, $0) } }

  /// N×K to the shape of `other`, channels-last.
  public func unflattened(like other: Tensor) throws -> Tensor {
    try .make { ctorch_unflatten(handle, other.handle, $0) }
  }
}

/// Calls a backward of the C interface with places for the gradients that are wanted.
func withGradients(
  _ wantsInput: Bool, _ wantsParameters: Bool,
  _ body: (
    UnsafeMutablePointer<ctorch_tensor?>?, UnsafeMutablePointer<ctorch_tensor?>?, UnsafeMutablePointer<ctorch_tensor?>?
  ) -> Int32
) throws -> (input: Tensor?, weight: Tensor?, bias: Tensor?) {
  var out: (ctorch_tensor?, ctorch_tensor?, ctorch_tensor?)
  try withUnsafeMutablePointer(to: &out.0) { gi in
    try withUnsafeMutablePointer(to: &out.1) { gw in
      try withUnsafeMutablePointer(to: &out.2) { gb in
        try check(body(wantsInput ? gi : nil, wantsParameters ? gw : nil, wantsParameters ? gb : nil))
      }
    }
  }
  return (out.0.map(Tensor.init(owning:)), out.1.map(Tensor.init(owning:)), out.2.map(Tensor.init(owning:)))
}
