// The backward pass of a convolution by libtorch's operations.
#ifndef CTORCH_CONVOLUTION_H
#define CTORCH_CONVOLUTION_H

#include <ATen/core/Tensor.h>

namespace ctorch {

struct ConvolutionGradients {
  /// The gradients of the parameters have the weight's type. A gradient that is not wanted is undefined.
  at::Tensor input, weight, bias;
  /// True if the parameters' gradients are computed beside what follows (device/beside.h).
  bool comes_beside = false;
};

/// The gradients of a convolution's input (N×I×H×W), weight (O×I×K×K) and bias (O). On a GPU, and where one is
/// emulated, those of the parameters come later (`comes_beside`).
/// - gradient: that of the convolution's output (N×O×H'×W'), in the type of `input`
ConvolutionGradients convolution_backward(const at::Tensor &gradient, const at::Tensor &input, const at::Tensor &weight,
                                          int64_t stride, int64_t padding, bool wants_input, bool wants_parameters);

}  // namespace ctorch

#endif
