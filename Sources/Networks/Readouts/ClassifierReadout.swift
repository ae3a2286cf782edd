import ResLensTorch

/// The layers that make logits of the last h: BatchNorm and ReLU unless the architecture leaves them out, average pooling,
/// and a fully connected layer.
struct ClassifierReadout {
  private let norm: BatchNormLayer?
  private let pooling: Int
  private let linear: LinearLayer

  /// The values that the backward pass needs.
  struct Tape {
    fileprivate let h: Tensor
    /// The result of the normalisation of h, with its parameters and statistics; nil without one.
    fileprivate let normed: (output: Tensor, norm: NormReLU.Parameters, statistics: NormReLU.BatchStatistics?)?
    fileprivate let pooled: Tensor
    fileprivate let flat: Tensor
  }

  /// - Parameters:
  ///   - scope: the network's own, with the shape of one sample's last h
  ///   - head: its pooling's windows are at most as large as h
  init(_ scope: ParameterScope, _ head: Architecture.Head, classes: Int) throws {
    pooling = head.pooling
    let scope = scope / "head"
    norm = head.norm == false ? nil : try scope.batchNorm("norm", of: scope.input)
    linear = try scope.linear(
      "linear", inputs: scope.input[0] * (scope.input[1] / pooling) * (scope.input[2] / pooling), outputs: classes)
  }

  /// The running statistics of the normalisation; nil without one.
  var statistics: RunningStatistics? { norm?.statistics }

  /// Logits N×classes, in the element type of the parameters: the last layer is never run in bfloat16.
  /// - Parameter statistics: the running statistics that the normalisation uses
  func forward(_ stream: Stream, mode: NormMode, statistics: Int = 0) throws -> (logits: Tensor, tape: Tape) {
    let normed = try norm.map { norm in
      let parameters = try norm.parameters(statistics)
      let found = try NormReLU.forward(stream.h, sums: stream.sums, parameters, by: mode)
      return (output: found.output, norm: parameters, statistics: found.statistics)
    }
    let pooled = try Pooling.average(normed?.output ?? stream.h, size: pooling)
    let weight = try linear.weight.tensor()
    let flat = try pooled.flattened().converted(to: weight.elementType)
    return (
      try Linear.forward(flat, weight: weight, bias: linear.bias.tensor()),
      Tape(h: stream.h, normed: normed, pooled: pooled, flat: flat)
    )
  }

  /// ∂L/∂h; `gradient` is ∂L/∂logits.
  func backward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients?) throws -> Tensor {
    let found = try Linear.backward(
      gradient, input: tape.flat, weight: linear.weight.tensor(), wantsParameters: gradients != nil)
    try gradients?.add(found.weight, linear.weight.path)
    try gradients?.add(found.bias, linear.bias.path)
    let pooled = try found.input.converted(to: tape.pooled.elementType).unflattened(like: tape.pooled)
    let spread = try Pooling.averageBackward(pooled, input: tape.normed?.output ?? tape.h, size: pooling)
    guard let norm, let normed = tape.normed else { return spread }
    // The normalisation reuses the memory of that gradient, which is nobody else's.
    let all = try NormReLU.backward(spread, input: tape.h, normed.norm, statistics: normed.statistics)
    try gradients?.add(all.weight, norm.weight.path)
    try gradients?.add(all.bias, norm.bias.path)
    return all.input
  }
}
