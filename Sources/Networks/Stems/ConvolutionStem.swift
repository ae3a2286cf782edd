import ResLensTorch

/// The layers that make h_0 of the images: a convolution, and BatchNorm with ReLU and a maximum pooling where the
/// architecture says so.
struct ConvolutionStem {
  private let convolution: ConvolutionLayer
  private let norm: BatchNormLayer?
  private let pools: Bool
  /// The shape of one sample's h_0: channels, height, width.
  let output: [Int]

  /// The tensors that the backward pass needs.
  struct Tape {
    fileprivate let images: Tensor
    /// The output of the convolution, and the parameters and statistics of its normalisation; nil without one.
    fileprivate let normed: (input: Tensor, norm: NormReLU.Parameters, statistics: NormReLU.BatchStatistics?)?
    /// The input of the pooling, and where its largest elements were; nil without one.
    fileprivate let pooled: (input: Tensor, indices: Tensor)?
  }

  /// - Parameter scope: the network's own, with the shape of one image
  init(_ scope: ParameterScope, _ stem: Architecture.Stem) throws {
    convolution = try scope.convolution(
      "stem", of: scope.input, outputs: stem.width, kernel: stem.kernel ?? 3, stride: stem.stride ?? 1,
      hasBias: stem.bias ?? true)
    norm = stem.norm == true ? try scope.batchNorm("stem.norm", of: convolution.output) : nil
    pools = stem.pool == true
    output = [stem.width] + scope.input.dropFirst().map(stem.edge)
  }

  /// h_0 of images N×C×H×W.
  func forward(_ images: Tensor, mode: NormMode) throws -> (h: Tensor, tape: Tape) {
    var h = try convolution.forward(images)
    var normed: (input: Tensor, norm: NormReLU.Parameters, statistics: NormReLU.BatchStatistics?)?
    if let norm = try norm?.parameters() {
      let found = try NormReLU.forward(h, norm, by: mode)
      normed = (h, norm, found.statistics)
      h = found.output
    }
    guard pools else { return (h, Tape(images: images, normed: normed, pooled: nil)) }
    let (largest, indices) = try Pooling.maximum(h, size: 3, stride: 2, padding: 1)
    return (largest, Tape(images: images, normed: normed, pooled: (h, indices)))
  }

  /// The gradients of the parameters; `gradient` is ∂L/∂h_0.
  func backward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients) throws {
    var gradient = gradient
    if let pooled = tape.pooled {
      gradient = try Pooling.maximumBackward(
        gradient, input: pooled.input, indices: pooled.indices, size: 3, stride: 2, padding: 1)
    }
    if let norm, let normed = tape.normed {
      // A copy, because the normalisation writes into the gradient's memory.
      let found = try NormReLU.backward(
        gradient.scaled(by: 1), input: normed.input, normed.norm, statistics: normed.statistics)
      try gradients.add(found.weight, norm.weight.path)
      try gradients.add(found.bias, norm.bias.path)
      gradient = found.input
    }
    _ = try convolution.backward(gradient, input: tape.images, wantsInput: false, gradients)
  }
}
