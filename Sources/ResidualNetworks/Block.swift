import Torch

/// The weights of one residual block: what it keeps (`s`) and what it adds (`F`).
///
/// s is the identity or a 1×1 convolution of the raw input; F is BatchNorm, ReLU, 3×3 convolution, twice (§4).
final class Block {
  private let norm1: NormLayer
  private let conv1: ConvolutionLayer
  private let norm2: NormLayer
  private let conv2: ConvolutionLayer
  private let projection: ConvolutionLayer?

  /// What the backward of F needs.
  struct Tape {
    let norm1: NormLayer.Tape
    let norm2: NormLayer.Tape
  }

  init(_ layout: StepLayout, _ parameters: [String: Tensor]) throws {
    let path = "stages.\(layout.name.stage).\(layout.name.block)"
    norm1 = try NormLayer(path + ".norm1", parameters)
    conv1 = try ConvolutionLayer(path + ".conv1", parameters, stride: layout.stride, padding: 1)
    norm2 = try NormLayer(path + ".norm2", parameters)
    conv2 = try ConvolutionLayer(path + ".conv2", parameters, padding: 1)
    projection =
      layout.name.projection
      ? try ConvolutionLayer(path + ".projection", parameters, stride: layout.stride, padding: 0) : nil
  }

  /// s(h)
  func kept(_ h: Tensor) throws -> Tensor { try projection?.forward(h) ?? h }

  /// F(h), N×C×H×W of the output's shape, with what `residualBackward` needs.
  func residual(_ h: Tensor, mode: Mode) throws -> (residual: Tensor, tape: Tape) {
    let first = try norm1.forward(h, mode: mode)
    let second = try norm2.forward(conv1.forward(first.output), mode: mode)
    return (try conv2.forward(second.output), Tape(norm1: first, norm2: second))
  }

  /// ∂L/∂h through s alone; `gradient` is ∂L/∂s(h).
  func keptBackward(_ gradient: Tensor, h: Tensor, _ gradients: Gradients?) throws -> Tensor {
    guard let projection else { return gradient }
    return try projection.backward(gradient, input: h, gradients).wanted()
  }

  /// ∂L/∂h through F alone, in memory of its own; `gradient` is ∂L/∂F(h).
  func residualBackward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients?) throws -> Tensor {
    let second = try conv2.backward(gradient, input: tape.norm2.output, gradients).wanted()
    let between = try norm2.backward(second, tape.norm2, gradients)
    let first = try conv1.backward(between, input: tape.norm1.output, gradients).wanted()
    return try norm1.backward(first, tape.norm1, gradients)
  }
}

extension Tensor? {
  fileprivate func wanted() throws -> Tensor {
    guard let self else { throw ParameterError(path: "gradient", problem: "a convolution did not return it") }
    return self
  }
}
