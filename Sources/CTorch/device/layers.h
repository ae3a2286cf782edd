// A training step's other layers by a GPU's kernels (layer_kernels.h): images, the last normalisation, the classifier,
// the loss and the optimiser.
#ifndef CTORCH_DEVICE_LAYERS_H
#define CTORCH_DEVICE_LAYERS_H

#include <ATen/core/Tensor.h>

#include <utility>

#include "CTorch.h"

namespace ctorch::device {

/// A batch of `type`, float32 or bfloat16, as `ctorch_gather_images` makes it, where kernels are launched.
at::Tensor gathered(const at::Tensor &images, const at::Tensor &selection, const at::Tensor &scale,
                    const at::Tensor &offset, at::ScalarType type);

/// True if the kernels run a normalisation with ReLU behind it, and its backward pass: of channels in sixteens up to
/// 128, in float32 or bfloat16 with parameters in float32, whose batch is this process's alone.
bool takes(const at::Tensor &x, const ctorch_norm &norm);

/// The results of a normalisation with ReLU. `batch`, 4×C, is what `norm_relu_backward` reads; it is undefined after a
/// forward by running statistics.
struct NormOutput {
  at::Tensor output, batch;
};

/// max(0, normalised x).
/// - input_sums: the channel sums of x as units find them, or undefined
NormOutput norm_relu(const at::Tensor &x, const at::Tensor &input_sums, const ctorch_norm &norm, ctorch_norm_mode mode);

/// The gradients of γ and β.
struct NormReluGradients {
  at::Tensor weight, bias;
};

/// The backward pass after a forward by the batch's statistics. `gradient` is overwritten by the gradient of x.
NormReluGradients norm_relu_backward(const at::Tensor &gradient, const at::Tensor &x, const ctorch_norm &norm,
                                     const at::Tensor &batch);

/// True if the kernels run a fully connected layer, of up to 128 inputs and outputs, in float32.
bool takes_linear(const at::Tensor &x, const at::Tensor &weight);

/// x·weightᵀ + bias, N×K.
at::Tensor linear(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias);

/// The gradients of a fully connected layer; those of the parameters are undefined where they are not wanted.
struct LinearGradients {
  at::Tensor input, weight, bias;
};

/// The backward pass of a fully connected layer; `gradient` is N×K.
LinearGradients linear_backward(const at::Tensor &gradient, const at::Tensor &x, const at::Tensor &weight,
                                bool wants_parameters);

/// True if the kernels compute the loss of these logits, N×K in float32.
bool takes_loss(const at::Tensor &logits, const at::Tensor &labels);

/// Sums and the gradient of the logits, as `ctorch_batch_loss` has them.
std::pair<at::Tensor, at::Tensor> batch_loss(const at::Tensor &logits, const at::Tensor &labels, double smoothing,
                                             double grad_scale);

/// Adds up a step as `ctorch_count_step` does, where kernels are launched. Returns what it hands out.
at::Tensor count_step(const at::Tensor &totals, const at::Tensor &sums);

/// A step of stochastic gradient descent, as `ctorch_sgd` has it.
struct SGDStep {
  at::TensorList parameters, velocities, gradients;
  at::Tensor rate, unless;
  double decay, momentum;
  bool nesterov;
};

/// True if the kernels do this step: its parameters are in float32, and their velocities and gradients lie alike.
bool takes(const SGDStep &step);

/// Changes the parameters and velocities of a step.
void sgd(const SGDStep &step);

}  // namespace ctorch::device

#endif
