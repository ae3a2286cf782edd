import Torch

/// The classifier: BatchNorm, ReLU, average pooling, flatten, fully connected.
final class Head {
  private let norm: NormLayer
  private let pooling: Int
  private let weight: Tensor
  private let bias: Tensor

  struct Tape {
    let norm: NormLayer.Tape
    let pooled: Tensor
    let flat: Tensor
  }

  init(_ architecture: Architecture, _ parameters: [String: Tensor]) throws {
    norm = try NormLayer("head.norm", parameters)
    pooling = architecture.head.pooling
    weight = try parameters.required("head.linear.weight")
    bias = try parameters.required("head.linear.bias")
  }

  /// Logits N×classes, in the element type of the parameters: the last layer is never run in bfloat16.
  /// - Parameter sums: those of h, where they are known
  func forward(
    _ h: Tensor, sums: NormReLU.ChannelSums? = nil, mode: Mode
  ) throws -> (logits: Tensor, tape: Tape) {
    let normed = try norm.forward(h, sums: sums, mode: mode)
    let pooled = try Pooling.average(normed.output, size: pooling)
    let flat = try pooled.flattened().converted(to: weight.elementType)
    return (
      try Linear.forward(flat, weight: weight, bias: bias), Tape(norm: normed, pooled: pooled, flat: flat)
    )
  }

  /// ∂L/∂h; `gradient` is ∂L/∂logits.
  func backward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients?) throws -> Tensor {
    let linear = try Linear.backward(gradient, input: tape.flat, weight: weight, wantsParameters: gradients != nil)
    try gradients?.add(linear.weight, "head.linear.weight")
    try gradients?.add(linear.bias, "head.linear.bias")
    let pooled = try linear.input.converted(to: tape.pooled.elementType).unflattened(like: tape.pooled)
    let normed = try Pooling.averageBackward(pooled, input: tape.norm.output, size: pooling)
    return try norm.backward(normed, tape.norm, gradients)
  }
}
