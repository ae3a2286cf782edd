import ResLensTorch

/// The layers that make logits of the last h: BatchNorm, ReLU, average pooling, and a fully connected layer.
struct ClassifierReadout {
  private let norm: BatchNormLayer
  private let pooling: Int
  private let linear: LinearLayer

  /// What the backward pass needs.
  struct Tape {
    fileprivate let h: Tensor
    fileprivate let norm: NormReLU.Parameters
    fileprivate let statistics: NormReLU.BatchStatistics?
    fileprivate let normed: Tensor
    fileprivate let pooled: Tensor
    fileprivate let flat: Tensor
  }

  /// - Parameters:
  ///   - scope: the network's own, with the shape of one sample's last h
  ///   - pooling: the side of the pooling's windows, at most that of h
  init(_ scope: ParameterScope, pooling: Int, classes: Int) throws {
    self.pooling = pooling
    let scope = scope / "head"
    norm = try scope.batchNorm("norm", of: scope.input)
    linear = try scope.linear(
      "linear", inputs: scope.input[0] * (scope.input[1] / pooling) * (scope.input[2] / pooling), outputs: classes)
  }

  /// Logits N×classes, in the element type of the parameters: the last layer is never run in bfloat16.
  func forward(_ stream: Stream, mode: NormMode) throws -> (logits: Tensor, tape: Tape) {
    let parameters = try norm.parameters()
    let normed = try NormReLU.forward(stream.h, sums: stream.sums, parameters, by: mode)
    let pooled = try Pooling.average(normed.output, size: pooling)
    let weight = try linear.weight.tensor()
    let flat = try pooled.flattened().converted(to: weight.elementType)
    return (
      try Linear.forward(flat, weight: weight, bias: linear.bias.tensor()),
      Tape(
        h: stream.h, norm: parameters, statistics: normed.statistics, normed: normed.output, pooled: pooled,
        flat: flat)
    )
  }

  /// ∂L/∂h; `gradient` is ∂L/∂logits.
  func backward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients?) throws -> Tensor {
    let found = try Linear.backward(
      gradient, input: tape.flat, weight: linear.weight.tensor(), wantsParameters: gradients != nil)
    try gradients?.add(found.weight, linear.weight.path)
    try gradients?.add(found.bias, linear.bias.path)
    let pooled = try found.input.converted(to: tape.pooled.elementType).unflattened(like: tape.pooled)
    let normed = try Pooling.averageBackward(pooled, input: tape.normed, size: pooling)
    // The normalisation reuses the memory of that gradient, which is nobody else's.
    let all = try NormReLU.backward(normed, input: tape.h, tape.norm, statistics: tape.statistics)
    try gradients?.add(all.weight, norm.weight.path)
    try gradients?.add(all.bias, norm.bias.path)
    return all.input
  }
}
