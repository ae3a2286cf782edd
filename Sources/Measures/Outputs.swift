import ResLensResults
import ResLensTorch

extension Tensor {
  /// The outputs of each sample, where the tensor has those of a batch, N×K.
  func samples() throws -> [[Double]] {
    let (values, width) = (try doubles(), shape[1])
    return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
  }
}
