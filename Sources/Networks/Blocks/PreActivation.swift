import ResLensResults
import ResLensTorch

/// The paper's residual block (§4): h' = s(h) + F(h). F applies BatchNorm, ReLU and a 3×3 convolution, and then the same three
/// again; s is the identity, or a 1×1 convolution of h without normalisation.
///
/// A stage's options, which the paper's networks do not set:
/// - `bias`: false if the convolutions have no biases; true by default.
/// - `shortcut` and `shortcut-norm` (false by default): the form of s in the block that changes the shape of h (`Shortcut`).
/// - `shortcut-reads`: `activation` if that s is applied to what F's first convolution reads, h after BatchNorm and ReLU;
///   `input` (the default) if to h.
///
/// Without such options the block's units are fused kernels, and its backward pass is written out.
public struct PreActivation: Block {
  public static let kind = "pre-activation"
  public let steps: [any ResidualStep]

  public init(_ context: BlockContext) throws {
    let hasBias = try context.options.flag("bias", default: true)
    let shortcut = try Shortcut(context, hasNorm: false, hasBias: hasBias)
    let skipReads = try RecordedStep.Source(context, default: .input)
    let isPaperSkip = shortcut.form == .projection && !shortcut.hasNorm && skipReads == .input
    let isFused = hasBias && (!context.projects || isPaperSkip)
    guard !isFused else {
      steps = try context.steps { try PreActivationStep($0, context) }
      return
    }
    steps = try context.steps { scope in
      let norm1 = try scope.batchNorm("norm1", of: scope.input)
      let conv1 = try scope.convolution(
        "conv1", of: scope.input, outputs: context.width, kernel: 3, stride: context.stride, hasBias: hasBias)
      let norm2 = try scope.batchNorm("norm2", of: conv1.output)
      let conv2 = try scope.convolution("conv2", of: conv1.output, outputs: context.width, kernel: 3, hasBias: hasBias)
      let skip = try shortcut.function(scope, context)
      return try RecordedStep(
        scope, output: conv2.output, activation: { h in try norm1(h).relu() }, skip: skip, skipReads: skipReads
      ) { active in
        try conv2(norm2(conv1(active)).relu())
      }
    }
  }
}

struct PreActivationStep: PendingStep {
  let spec: StepSpec
  let isCapturable = true
  private let norm1: BatchNormLayer
  private let conv1: ConvolutionLayer
  private let norm2: BatchNormLayer
  private let conv2: ConvolutionLayer
  private let projection: ConvolutionLayer?

  init(_ scope: ParameterScope, _ context: BlockContext) throws {
    norm1 = try scope.batchNorm("norm1", of: scope.input)
    conv1 = try scope.convolution("conv1", of: scope.input, outputs: context.width, kernel: 3, stride: context.stride)
    norm2 = try scope.batchNorm("norm2", of: conv1.output)
    conv2 = try scope.convolution("conv2", of: conv1.output, outputs: context.width, kernel: 3)
    projection =
      context.projects
      ? try scope.convolution("projection", of: scope.input, outputs: context.width, kernel: 1, stride: context.stride)
      : nil
    spec = try scope.spec(output: conv2.output, hasIdentitySkip: projection == nil)
  }

  /// The values that the backward pass needs besides the step's input: the scale, and unless that is 0, the normalisations'
  /// parameters and batch statistics, and the input of the second unit.
  private struct Units {
    let scale: Double
    let branch: Branch?

    struct Branch {
      let norms: (first: NormReLU.Parameters, second: NormReLU.Parameters)
      let between: Tensor
      let statistics: (first: NormReLU.BatchStatistics?, second: NormReLU.BatchStatistics?)
    }
  }

  func forward(_ stream: Stream, _ step: Plan.Step, _ mode: NormMode, wants: Wanted) throws -> StepTrace {
    let h = stream.h
    let skip = try projection?.forward(h) ?? h
    guard step.scale != 0 else {
      return StepTrace(input: h, skip: skip, output: Stream(skip), tape: Units(scale: 0, branch: nil))
    }
    let norms = (first: try norm1.parameters(step.statistics), second: try norm2.parameters(step.statistics))
    let first = try ResidualUnit.forward(
      h, sums: stream.sums, norms.first, by: mode, conv1.ofUnit(), wantsSums: mode.usesBatch)
    let between = try first.added.wanted()
    let second = try ResidualUnit.forward(
      between, sums: first.channelSums, norms.second, by: mode, conv2.ofUnit(), scale: step.scale, adding: skip,
      keepsAdded: wants.contains(.added), wantsSums: mode.usesBatch)
    let tape = Units(
      scale: step.scale,
      branch: .init(norms: norms, between: between, statistics: (first.statistics, second.statistics)))
    return StepTrace(
      input: h, skip: skip, added: second.added, output: Stream(try second.sum.wanted(), sums: second.channelSums),
      tape: wants.contains(.backward) ? tape : nil,
      known: second.squares.map { KnownSquares(added: $0.added, output: $0.sum) })
  }

  func backward(_ gradient: Tensor, _ trace: StepTrace, into gradients: Gradients?) throws -> StepGradients {
    let found = try goBack(.init(gradient), trace, gradients)
    return StepGradients(input: try found.input.resolved(), skip: found.skip, products: found.products)
  }

  func backward(
    pending gradient: ResidualUnit.PendingGradient, _ trace: StepTrace, into gradients: Gradients?
  ) throws -> ResidualUnit.PendingGradient {
    try goBack(gradient, trace, gradients).input
  }

  private func goBack(
    _ pending: ResidualUnit.PendingGradient, _ trace: StepTrace, _ gradients: Gradients?
  ) throws -> (input: ResidualUnit.PendingGradient, skip: Tensor?, products: (dot: [Double], squares: [Double])?) {
    guard let tape = trace.tape as? Units else { throw PassError.notRecorded }
    guard projection == nil, tape.scale == 1, let branch = tape.branch else {
      return try goBack(whole: pending.resolved(), tape, trace, gradients)
    }
    let second = try ResidualUnit.backward(
      pending, input: branch.between, branch.norms.second, statistics: branch.statistics.second, conv2.ofUnit(),
      wantsParameters: gradients != nil)
    try gradients?.add(second.parameters, norm2, conv2)
    let gradient = try (second.whole ?? pending.whole).wanted()
    return try goBack(second.input, branch, throughSkip: gradient, ofSkip: nil, trace, gradients)
  }

  /// Goes back where the gradient itself is needed: for a projection, or to be scaled.
  private func goBack(
    whole gradient: Tensor, _ tape: Units, _ trace: StepTrace, _ gradients: Gradients?
  ) throws -> (input: ResidualUnit.PendingGradient, skip: Tensor?, products: (dot: [Double], squares: [Double])?) {
    let ofSkip = projection == nil ? nil : gradient
    let throughSkip = try projection?.backward(gradient, input: trace.input, gradients).wanted() ?? gradient
    guard let branch = tape.branch else { return (.init(throughSkip), ofSkip, nil) }
    let scaled = tape.scale == 1 ? gradient : try gradient.scaled(by: tape.scale)
    let second = try ResidualUnit.backward(
      .init(scaled), input: branch.between, branch.norms.second, statistics: branch.statistics.second, conv2.ofUnit(),
      wantsParameters: gradients != nil)
    try gradients?.add(second.parameters, norm2, conv2)
    return try goBack(second.input, branch, throughSkip: throughSkip, ofSkip: ofSkip, trace, gradients)
  }

  /// Goes back through the first unit, and adds the skip's part.
  private func goBack(
    _ between: ResidualUnit.PendingGradient, _ branch: Units.Branch, throughSkip: Tensor, ofSkip: Tensor?,
    _ trace: StepTrace, _ gradients: Gradients?
  ) throws -> (input: ResidualUnit.PendingGradient, skip: Tensor?, products: (dot: [Double], squares: [Double])?) {
    // With running statistics, the kernel that writes the unit's gradient also adds the skip's. It finds the products of F
    // with that gradient only where the skip is the identity: at a projection they belong to what the projection makes.
    let isWhole = branch.statistics.first == nil
    let first = try ResidualUnit.backward(
      between, input: trace.input, branch.norms.first, statistics: branch.statistics.first, conv1.ofUnit(),
      adding: isWhole ? throughSkip : nil, beside: isWhole && projection == nil ? trace.added : nil,
      wantsParameters: gradients != nil)
    try gradients?.add(first.parameters, norm1, conv1)
    return (isWhole ? first.input : try first.input.adding(throughSkip), ofSkip, first.products)
  }
}

extension Gradients {
  fileprivate func add(
    _ unit: ResidualUnit.ParameterGradients?, _ norm: BatchNormLayer, _ convolution: ConvolutionLayer
  ) throws {
    try add(unit?.normWeight, norm.weight.path)
    try add(unit?.normBias, norm.bias.path)
    try add(unit?.weight, convolution.weight.path)
    try add(unit?.bias, convolution.bias.wanted().path)
  }
}
