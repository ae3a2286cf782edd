import Torch

/// The weights of one residual block: what it keeps (`s`) and what it adds (`F`).
///
/// s is the identity or a 1×1 convolution of the raw input; F is BatchNorm, ReLU, 3×3 convolution, twice (§4).
final class Block {
  let layout: StepLayout
  /// By use: 0 is the trained pair.
  private var norms: [Int: Norms]
  private let conv1: ConvolutionLayer
  private let conv2: ConvolutionLayer
  private let projection: ConvolutionLayer?

  private struct Norms {
    let first: NormLayer
    let second: NormLayer
  }

  /// What the backward of F needs.
  struct Tape {
    let use: Int
    let norm1: NormLayer.Tape
    let norm2: NormLayer.Tape
  }

  init(_ layout: StepLayout, _ parameters: [String: Tensor]) throws {
    let path = "stages.\(layout.name.stage).\(layout.name.block)"
    self.layout = layout
    norms = [
      0: Norms(
        first: try NormLayer(path + ".norm1", parameters), second: try NormLayer(path + ".norm2", parameters))
    ]
    conv1 = try ConvolutionLayer(path + ".conv1", parameters, stride: layout.stride, padding: 1)
    conv2 = try ConvolutionLayer(path + ".conv2", parameters, padding: 1)
    projection =
      layout.name.projection
      ? try ConvolutionLayer(path + ".projection", parameters, stride: layout.stride, padding: 0) : nil
  }

  /// Gives `use` normalisations with running statistics of their own, where it has none yet.
  func add(use: Int) throws {
    guard norms[use] == nil else { return }
    let trained = try norms(of: 0)
    norms[use] = Norms(
      first: try trained.first.withStatisticsOfItsOwn(), second: try trained.second.withStatisticsOfItsOwn())
  }

  func has(use: Int) -> Bool { norms[use] != nil }

  private func norms(of use: Int) throws -> Norms {
    guard let norms = norms[use] else {
      throw ParameterError(
        path: "stages.\(layout.name.stage).\(layout.name.block)", problem: "it has no normalisations for use \(use)")
    }
    return norms
  }

  /// s(h)
  func kept(_ h: Tensor) throws -> Tensor { try projection?.forward(h) ?? h }

  /// F(h), N×C×H×W of the output's shape, with what `residualBackward` needs.
  func residual(
    _ h: Tensor, use: Int, mode: Mode, momentum: Double = Normalisation.momentum
  ) throws -> (residual: Tensor, tape: Tape) {
    let norms = try norms(of: use)
    let first = try norms.first.forward(h, mode: mode, momentum: momentum)
    let second = try norms.second.forward(conv1.forward(first.output), mode: mode, momentum: momentum)
    return (try conv2.forward(second.output), Tape(use: use, norm1: first, norm2: second))
  }

  /// ∂L/∂h through s alone; `gradient` is ∂L/∂s(h).
  func keptBackward(_ gradient: Tensor, h: Tensor, _ gradients: Gradients?) throws -> Tensor {
    guard let projection else { return gradient }
    return try projection.backward(gradient, input: h, gradients).wanted()
  }

  /// ∂L/∂h through F alone, in memory of its own; `gradient` is ∂L/∂F(h).
  func residualBackward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients?) throws -> Tensor {
    let norms = try norms(of: tape.use)
    let second = try conv2.backward(gradient, input: tape.norm2.output, gradients).wanted()
    let between = try norms.second.backward(second, tape.norm2, gradients)
    let first = try conv1.backward(between, input: tape.norm1.output, gradients).wanted()
    return try norms.first.backward(first, tape.norm1, gradients)
  }
}

extension Tensor? {
  fileprivate func wanted() throws -> Tensor {
    guard let self else { throw ParameterError(path: "gradient", problem: "a convolution did not return it") }
    return self
  }
}
