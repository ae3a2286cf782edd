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

  /// What the backward of F needs.
  struct Tape {
    let norms: Norms
    let norm1: NormLayer.Tape
    let norm2: NormLayer.Tape
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

  /// F(h) of the step, not scaled, N×C×H×W of the output's shape, with what `residualBackward` needs.
  func residual(
    _ h: Tensor, _ step: Plan.Step, mode: Mode, momentum: Double = Normalisation.momentum
  ) throws -> (residual: Tensor, tape: Tape) {
    let norms = try norms(of: step)
    let first = try norms.first.forward(h, mode: mode, momentum: momentum)
    let second = try norms.second.forward(conv1.forward(first.output), mode: mode, momentum: momentum)
    return (try conv2.forward(second.output), Tape(norms: norms, norm1: first, norm2: second))
  }

  /// ∂L/∂h through s alone; `gradient` is ∂L/∂s(h).
  func keptBackward(_ gradient: Tensor, h: Tensor, _ gradients: Gradients?) throws -> Tensor {
    guard let projection else { return gradient }
    return try projection.backward(gradient, input: h, gradients).wanted()
  }

  /// ∂L/∂h through F alone, in memory of its own; `gradient` is ∂L/∂F(h).
  func residualBackward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients?) throws -> Tensor {
    let second = try conv2.backward(gradient, input: tape.norm2.output, gradients).wanted()
    let between = try tape.norms.second.backward(second, tape.norm2, gradients)
    let first = try conv1.backward(between, input: tape.norm1.output, gradients).wanted()
    return try tape.norms.first.backward(first, tape.norm1, gradients)
  }
}

extension Tensor? {
  fileprivate func wanted() throws -> Tensor {
    guard let self else { throw ParameterError(path: "gradient", problem: "a convolution did not return it") }
    return self
  }
}
