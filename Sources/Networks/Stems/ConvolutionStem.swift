import ResLensTorch

/// The layers that make h_0 of the images: a 3×3 convolution, and BatchNorm and ReLU where the architecture says so.
struct ConvolutionStem {
  private let convolution: ConvolutionLayer
  private let norm: BatchNormLayer?

  /// The tensors that the backward pass needs.
  struct Tape {
    fileprivate let images: Tensor
    /// The output of the convolution, and the parameters and statistics of its normalisation; nil without one.
    fileprivate let normed: (input: Tensor, norm: NormReLU.Parameters, statistics: NormReLU.BatchStatistics?)?
  }

  /// - Parameter scope: the network's own, with the shape of one image
  init(_ scope: ParameterScope, _ stem: Architecture.Stem) throws {
    convolution = try scope.convolution(
      "stem", of: scope.input, outputs: stem.width, kernel: 3, hasBias: stem.bias ?? true)
    norm = stem.norm == true ? try scope.batchNorm("stem.norm", of: convolution.output) : nil
  }

  /// The shape of one sample's h_0: channels, height, width.
  var output: [Int] { convolution.output }

  /// h_0 of images N×C×H×W.
  func forward(_ images: Tensor, mode: NormMode) throws -> (h: Tensor, tape: Tape) {
    let convolved = try convolution.forward(images)
    guard let norm = try norm?.parameters() else { return (convolved, Tape(images: images, normed: nil)) }
    let found = try NormReLU.forward(convolved, norm, by: mode)
    return (found.output, Tape(images: images, normed: (convolved, norm, found.statistics)))
  }

  /// The gradients of the parameters; `gradient` is ∂L/∂h_0.
  func backward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients) throws {
    var gradient = gradient
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
