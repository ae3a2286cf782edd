import Torch

/// The weights of one residual block: what it keeps (`s`) and what it adds (`F`).
///
/// s is the identity or a 1×1 convolution of the raw input; F is BatchNorm, ReLU, 3×3 convolution, twice (§4). Where
/// several steps run the block, each of them is a use; of the normalisations a use has what the sharing does not share
/// (§4.5).
final class Block {
  private var norms: [NormKey: Norms] = [:]
  private let conv1: ConvolutionLayer
  private let conv2: ConvolutionLayer
  private let projection: ConvolutionLayer?

  private struct NormKey: Hashable {
    let use: Int
    /// 0 are the trained ones.
    let statistics: Int

    init(_ step: Plan.Step) { (use, statistics) = (step.use, step.statistics) }
    init(use: Int) { (self.use, statistics) = (use, 0) }
  }

  struct Norms {
    let first: NormLayer
    let second: NormLayer
  }

  /// The values that F's backward pass needs: both units' inputs, and the statistics of their normalisations.
  struct Tape {
    let norms: Norms
    let h: Tensor
    let between: Tensor
    let statistics1: NormReLU.BatchStatistics?
    let statistics2: NormReLU.BatchStatistics?
  }

  /// A step's F, and what becomes of it.
  struct Output {
    /// scale·F(h); nil where only the sum was wanted.
    let residual: Tensor?
    /// The skip plus scale·F(h); nil where nothing was added.
    let sum: Tensor?
    /// The channel sums of `sum`, in training.
    let sums: NormReLU.ChannelSums?
    /// ‖scale·F(h)‖² and that of the sum, a sample each, where F was kept and they came of the same pass.
    let squares: (residual: [Double], sum: [Double])?
    let tape: Tape
  }

  /// - Parameter uses: the steps that run the block, in order; they agree in all shapes
  init(uses: [StepLayout], _ parameters: [String: Tensor]) throws {
    let first = uses[0]
    let path = first.name.blockPath
    conv1 = try ConvolutionLayer(path + ".conv1", parameters, stride: first.stride, padding: 1)
    conv2 = try ConvolutionLayer(path + ".conv2", parameters, padding: 1)
    projection =
      first.name.projection
      ? try ConvolutionLayer(path + ".projection", parameters, stride: first.stride, padding: 0) : nil
    for step in uses {
      func norm(_ name: String) throws -> NormLayer {
        let paths = step.normPaths(name)
        return try NormLayer(paths.affine, statistics: paths.statistics, parameters)
      }
      norms[NormKey(use: step.name.use)] = Norms(first: try norm("norm1"), second: try norm("norm2"))
    }
  }

  /// Gives the step's use the step's statistics, where it has none under that number yet.
  func addStatistics(of step: Plan.Step) throws {
    guard !canRun(step) else { return }
    var trained = step
    trained.statistics = 0
    let norms = try norms(of: trained)
    self.norms[NormKey(step)] = Norms(
      first: try norms.first.withStatisticsOfItsOwn(), second: try norms.second.withStatisticsOfItsOwn())
  }

  /// Whether the block has the step's use and statistics.
  func canRun(_ step: Plan.Step) -> Bool { norms[NormKey(step)] != nil }

  private func norms(of step: Plan.Step) throws -> Norms {
    guard let norms = norms[NormKey(step)] else {
      throw PlanError(move: 0, problem: "\(step.path) has no statistics \(step.statistics)")
    }
    return norms
  }

  /// s(h)
  func kept(_ h: Tensor) throws -> Tensor { try projection?.forward(h) ?? h }

  /// F(h) of the step, N×C×H×W of the output's shape, with what `residualBackward` needs.
  /// - Parameters:
  ///   - sums: those of h, where they are known
  ///   - kept: what F is added to, where the sum is wanted
  ///   - keepsResidual: whether F itself is wanted beside the sum
  func residual(
    _ h: Tensor, sums: NormReLU.ChannelSums? = nil, _ step: Plan.Step, mode: Mode,
    momentum: Double = Normalisation.momentum, adding kept: Tensor? = nil, keepsResidual: Bool = false
  ) throws -> Output {
    let norms = try norms(of: step)
    let statistics = mode.statistics(momentum: momentum)
    let wantsSums = mode.usesBatch
    let first = try ResidualUnit.forward(
      h, sums: sums, norms.first.parameters, by: statistics, conv1.ofUnit, wantsSums: wantsSums)
    let between = try first.residual.wanted()
    let second = try ResidualUnit.forward(
      between, sums: first.channelSums, norms.second.parameters, by: statistics, conv2.ofUnit, scale: step.scale,
      adding: kept, keepsResidual: keepsResidual, wantsSums: wantsSums && kept != nil)
    return Output(
      residual: second.residual, sum: second.sum, sums: second.channelSums, squares: second.squares,
      tape: Tape(
        norms: norms, h: h, between: between, statistics1: first.statistics, statistics2: second.statistics))
  }

  /// ∂L/∂h through s alone; `gradient` is ∂L/∂s(h).
  func keptBackward(_ gradient: Tensor, h: Tensor, _ gradients: Gradients?) throws -> Tensor {
    guard let projection else { return gradient }
    return try projection.backward(gradient, input: h, gradients).wanted()
  }

  /// `kept` and ∂L/∂h through F, in memory of its own, and the products of `beside` with that, where they came of the same
  /// pass; `gradient` is ∂L/∂F(h), F not scaled.
  func residualBackward(
    _ gradient: Tensor, _ tape: Tape, adding kept: Tensor, beside: Tensor?, _ gradients: Gradients?
  ) throws -> (gradient: Tensor, products: (dot: [Double], squares: [Double])?) {
    let second = try ResidualUnit.backward(
      .init(gradient), input: tape.between, tape.norms.second.parameters, statistics: tape.statistics2,
      conv2.ofUnit, wantsParameters: gradients != nil)
    try gradients?.add(second.parameters, norm: tape.norms.second.path, convolution: conv2.path)
    let isTraining = tape.statistics1 != nil
    let first = try ResidualUnit.backward(
      second.input, input: tape.h, tape.norms.first.parameters, statistics: tape.statistics1, conv1.ofUnit,
      adding: isTraining ? nil : kept, beside: isTraining ? nil : beside, wantsParameters: gradients != nil)
    try gradients?.add(first.parameters, norm: tape.norms.first.path, convolution: conv1.path)
    return (try first.input.resolved(adding: isTraining ? kept : nil), first.products)
  }
}

extension ConvolutionLayer {
  /// As a unit has it, which pads by itself.
  fileprivate var ofUnit: ResidualUnit.Convolution { .init(weight: weight, bias: bias, stride: stride) }
}

extension Gradients {
  fileprivate func add(_ unit: ResidualUnit.ParameterGradients?, norm: String, convolution: String) throws {
    try add(unit?.normWeight, norm + ".weight")
    try add(unit?.normBias, norm + ".bias")
    try add(unit?.weight, convolution + ".weight")
    try add(unit?.bias, convolution + ".bias")
  }
}

extension Tensor? {
  /// The tensor that a layer was asked for.
  func wanted() throws -> Tensor {
    guard let self else { throw ParameterError(path: "gradient", problem: "a layer did not return it") }
    return self
  }
}
