import ResLensNetworks

/// The pre-activation block once more, as operations on a record.
struct RecordedPreActivation: Block {
  static let kind = "recorded-pre-activation"
  let steps: [any ResidualStep]

  init(_ context: BlockContext) throws {
    steps = try context.steps { scope in
      let norm1 = try scope.batchNorm("norm1", of: scope.input)
      let conv1 = try scope.convolution(
        "conv1", of: scope.input, outputs: context.width, kernel: 3, stride: context.stride)
      let norm2 = try scope.batchNorm("norm2", of: conv1.output)
      let conv2 = try scope.convolution("conv2", of: conv1.output, outputs: context.width, kernel: 3)
      let projection =
        context.projects
        ? try scope.convolution(
          "projection", of: scope.input, outputs: context.width, kernel: 1, stride: context.stride) : nil
      let skip = projection.map { projection in { h in try projection(h) } as RecordedStep.Function }
      return try RecordedStep(scope, output: conv2.output, skip: skip) { h in
        try conv2(norm2(conv1(norm1(h).relu())).relu())
      }
    }
  }
}
