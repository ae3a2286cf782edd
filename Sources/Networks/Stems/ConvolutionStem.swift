import ResLensTorch

/// The layer that makes h_0 of the images: a 3×3 convolution.
struct ConvolutionStem {
  private let convolution: ConvolutionLayer

  /// - Parameter scope: the network's own, with the shape of one image
  init(_ scope: ParameterScope, width: Int) throws {
    convolution = try scope.convolution("stem", of: scope.input, outputs: width, kernel: 3)
  }

  /// The shape of one sample's h_0: channels, height, width.
  var output: [Int] { convolution.output }

  /// h_0 of images N×C×H×W.
  func forward(_ images: Tensor) throws -> Tensor { try convolution.forward(images) }

  /// The gradients of the parameters; `gradient` is ∂L/∂h_0.
  func backward(_ gradient: Tensor, images: Tensor, _ gradients: Gradients) throws {
    _ = try convolution.backward(gradient, input: images, wantsInput: false, gradients)
  }
}
