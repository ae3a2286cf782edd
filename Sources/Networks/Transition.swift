import ResLensTorch

/// A 2×2 pooling that brings h into a stage before the stage's first step.
struct Transition {
  /// h before the pooling.
  let input: Tensor
  let output: Tensor
  /// Where the largest elements were; nil after average pooling.
  private let indices: Tensor?

  /// - Parameter stage: one that is entered by pooling
  init(_ h: Tensor, into stage: Architecture.Stage) throws {
    input = h
    if stage.entry == .maximumPooling {
      (output, indices) = try Pooling.maximum(h, size: 2)
    } else {
      (output, indices) = (try Pooling.average(h, size: 2), nil)
    }
  }

  /// ∂L/∂h before the pooling; `gradient` is the one after it.
  func backward(_ gradient: Tensor) throws -> Tensor {
    if let indices { return try Pooling.maximumBackward(gradient, input: input, indices: indices, size: 2) }
    return try Pooling.averageBackward(gradient, input: input, size: 2)
  }
}
