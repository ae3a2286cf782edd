// The backward pass of a convolution by libtorch's operations.
#ifndef CTORCH_CONVOLUTION_H
#define CTORCH_CONVOLUTION_H

#include <ATen/core/Tensor.h>

namespace ctorch {

struct ConvolutionGradients {
  /// The parameters' are of the weight's type. Undefined where they are not wanted.
  at::Tensor input, weight, bias;
  /// True if the parameters' gradients are computed beside what follows (device/beside.h).
  bool comes_beside = false;
};

/// - gradient: of the convolution's output, of the type of `input`
ConvolutionGradients convolution_backward(const at::Tensor &gradient, const at::Tensor &input, const at::Tensor &weight,
                                          int64_t stride, int64_t padding, bool wants_input, bool wants_parameters);

}  // namespace ctorch

#endif
