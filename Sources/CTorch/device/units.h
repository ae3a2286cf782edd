// Units by a GPU's kernels.
#ifndef CTORCH_DEVICE_UNITS_H
#define CTORCH_DEVICE_UNITS_H

#include <ATen/core/Tensor.h>

#include "CTorch.h"
#include "launching.h"

namespace ctorch::device {

/// True if a GPU's kernels run this unit: a 3×3 convolution of stride 1 or 2, of channels in sixteens up to 128, in
/// float32 or bfloat16 with parameters in float32, whose batch is this process's alone; and what a block needs fits
/// into its shared memory.
bool takes(const at::Tensor &x, const ctorch_norm &norm, const at::Tensor &weight, int stride);

/// True if the kernels run this convolution, and find the gradients of its filter and bias: a 3×3 one of stride 1 with
/// a pixel of padding, of images of fewer than 16 channels.
bool takes_convolution(const at::Tensor &x, const at::Tensor &weight, int stride, int padding);

/// Says if a weight is that of a convolution that the kernels run.
bool is_filter(const at::Tensor &weight);

/// True if a block has enough shared memory for it.
bool fits(const at::Tensor &x, const at::Tensor &weight, int stride);

struct Unit {
  at::Tensor x;
  ctorch_tensor weight;
  const ctorch_norm &norm;
  int stride;
};

/// The rest of a forward pass, as `ctorch_unit_forward` has it; `input_sums` and `skip` may be undefined.
struct ForwardOptions {
  at::Tensor input_sums;
  ctorch_norm_mode mode;
  at::Tensor bias;
  double factor;
  at::Tensor skip;
  bool keeps_added, wants_sums;
};

/// The results, as `ctorch_unit_results` has them; the sums are a few parts (parts×C×2) that are to be added up.
/// `batch` is 4×C: mean, inverse deviation, and scale and shift of what is convolved.
struct UnitOutput {
  at::Tensor added, sum, sums, batch;
};

UnitOutput forward(const Unit &unit, const ForwardOptions &options);

/// A convolution that `takes_convolution` takes; its result is `added`.
UnitOutput convolution(const at::Tensor &x, ctorch_tensor weight, const at::Tensor &bias);

/// The gradients of a filter and its bias, which are there after `await_beside`.
struct FilterGradients {
  at::Tensor weight, bias;
};

/// The gradients of such a convolution; `gradient` is that of its result.
FilterGradients convolution_backward(const at::Tensor &x, const at::Tensor &gradient);

/// `whole` is the gradient that was given, where a skip was to be added to it.
/// `norm_sums` are those that the gradient's coefficients are computed from (`NormSums`). The gradients of parameters
/// are there after `await_beside`, and only where they were wanted.
struct UnitGradients {
  at::Tensor out, norm_sums, whole, norm_weight, norm_bias;
  FilterGradients filter;
};

/// A gradient, and where it is pending what it waits for; only then it may have a skip.
struct Gradient {
  at::Tensor gradient, normed, sums, skip;
};

/// The backward pass as `ctorch_unit_backward` has it, after a forward by the batch's statistics; `out` is pending.
UnitGradients backward(const Unit &unit, const Gradient &gradient, const at::Tensor &batch, bool wants_parameters);

/// Computes a pending gradient. The result goes to `out`, which may share the memory of one of its tensors, and to
/// `operand`, as a filter's gradient reads it, where these are defined. `norm` names the gradients of γ and β that are
/// computed with it.
void resolve(const Gradient &gradient, const at::Tensor &out, const at::Tensor &operand = {},
             const NormParameters &norm = {});

}  // namespace ctorch::device

#endif
