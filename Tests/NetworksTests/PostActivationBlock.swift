import ResLensNetworks

/// The block of He et al. 2015, "Deep residual learning": convolution, BatchNorm, ReLU, convolution, BatchNorm, and a ReLU
/// after the sum. With `bias: true` its convolutions have biases.
struct PostActivation: Block {
  static let kind = "post-activation"
  let steps: [any ResidualStep]

  init(_ context: BlockContext) throws {
    let hasBias = try context.options.flag("bias", default: false)
    steps = try context.steps { scope in
      let conv1 = try scope.convolution(
        "conv1", of: scope.input, outputs: context.width, kernel: 3, stride: context.stride, hasBias: hasBias)
      let norm1 = try scope.batchNorm("norm1", of: conv1.output)
      let conv2 = try scope.convolution("conv2", of: conv1.output, outputs: context.width, kernel: 3, hasBias: hasBias)
      let norm2 = try scope.batchNorm("norm2", of: conv2.output)
      var skip: RecordedStep.Function?
      if context.projects {
        let projection = try scope.convolution(
          "projection", of: scope.input, outputs: context.width, kernel: 1, stride: context.stride, hasBias: false)
        let norm = try scope.batchNorm("projection.norm", of: projection.output)
        skip = { h in try norm(projection(h)) }
      }
      return try RecordedStep(scope, output: conv2.output, after: .relu, skip: skip) { h in
        try norm2(conv2(norm1(conv1(h)).relu()))
      }
    }
  }
}
