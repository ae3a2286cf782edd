import ResLens

/// A block whose branch is scaled by a gate: F = g·conv(ReLU(norm(h))), g = sigmoid of a 1×1 convolution, of h
/// (`gate: pixel`), or of the means over its pixels (`gate: channel`), as in a squeeze-and-excitation block.
public struct GatedBlock: Block {
  public static let kind = "gated"
  public let steps: [any ResidualStep]

  public init(_ context: BlockContext) throws {
    let gate = try context.options.word("gate", default: "pixel", of: ["pixel", "channel"])
    let kernel = try context.options.integer("kernel", default: 3, in: 1...7)
    guard kernel % 2 == 1 else { throw context.refusal(of: "options.kernel", "\(kernel) is not an odd number") }
    guard !context.projects else { throw context.refusal(of: "entry", "gated blocks keep the shape of h") }
    steps = try context.steps { scope in
      let norm = try scope.batchNorm("norm", of: scope.input)
      let convolution = try scope.convolution("conv", of: scope.input, outputs: context.width, kernel: kernel)
      let gates = try (scope / "gate").convolution("conv", of: scope.input, outputs: context.width, kernel: 1)
      return try RecordedStep(scope, output: convolution.output) { h in
        let opened = try gates(gate == "pixel" ? h : h.pixelMean()).sigmoid()
        return try convolution(norm(h).relu()).multiplied(by: opened)
      }
    }
  }
}
