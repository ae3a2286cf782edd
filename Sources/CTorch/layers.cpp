// The layers of the networks, each with its backward.
#include <ATen/ops/addmm.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool2d_backward.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/max_pool2d_with_indices.h>
#include <ATen/ops/max_pool2d_with_indices_backward.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>

#include "device/launching.h"
#include "support.h"

using namespace ctorch;

namespace {
/// N×C×H×W as a matrix of pixels×C.
at::Tensor matrix(const at::Tensor &images) {
  return channels_last(images).permute({0, 2, 3, 1}).reshape({-1, images.size(1)});
}
}  // namespace

int ctorch_conv2d(ctorch_tensor input, const ctorch_convolution *convolution, ctorch_tensor *out) {
  return guarded([&] {
    auto &x = get(input);
    auto type = x.scalar_type();
    const auto bias = get_or_undefined(convolution->bias);
    *out = wrap(channels_last(at::conv2d(x, get(convolution->weight).to(type), bias.defined() ? bias.to(type) : bias,
                                         convolution->stride, convolution->padding)));
  });
}

int ctorch_conv2d_backward(ctorch_tensor grad_output, ctorch_tensor input, const ctorch_convolution *convolution,
                           bool wants_input, bool wants_parameters, ctorch_convolution_gradients *out) {
  return guarded([&] {
    auto &w = get(convolution->weight);
    const int64_t stride = convolution->stride, padding = convolution->padding;
    auto backward = [&](const at::Tensor &x, int64_t stride, std::array<bool, 3> wanted) {
      return at::convolution_backward(get(grad_output), x, w.to(get(grad_output).scalar_type()), w.sizes().slice(0, 1),
                                      {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1, wanted);
    };
    const bool is_pixelwise = padding == 0 && w.size(2) == 1 && w.size(3) == 1;
    // On a GPU the filter's gradient is a product of matrices: cuDNN's deterministic kernel for it is a single block of
    // threads, which takes 74 µs on an H200 for a projection of ResNet-110.
    const bool multiplies = device::launches(get(input));
    // oneDNN's AVX2 kernel for it adds up memory that nobody has written where the input has fewer than eight channels
    // (torch 2.13.0). With the pixels that the stride leaves taken out first, another kernel runs.
    const bool picks = wants_parameters && is_pixelwise && (multiplies || (stride > 1 && w.size(1) < 8));
    auto gradients = backward(get(input), stride, {wants_input, wants_parameters && !picks, wants_parameters});
    if (picks) {
      const auto pixels = channels_last(get(input).slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride));
      std::get<1>(gradients) =
          multiplies ? at::mm(matrix(get(grad_output)).t(), matrix(pixels)).view({w.size(0), w.size(1), 1, 1})
                     : std::get<1>(backward(pixels, 1, {false, true, false}));
    }
    // Converted before any handle is made: a failure must leave nothing behind.
    auto gi = wants_input ? channels_last(std::get<0>(gradients)) : at::Tensor();
    auto gw = wants_parameters ? channels_last(std::get<1>(gradients).to(w.scalar_type())) : at::Tensor();
    auto gb = wants_parameters ? std::get<2>(gradients).to(w.scalar_type()) : at::Tensor();
    *out = {.input = wants_input ? wrap(gi) : nullptr,
            .weight = wants_parameters ? wrap(gw) : nullptr,
            .bias = wants_parameters ? wrap(gb) : nullptr};
  });
}

int ctorch_average_pool(ctorch_tensor input, int size, ctorch_tensor *out) {
  return guarded([&] { *out = wrap(channels_last(at::avg_pool2d(get(input), size))); });
}

int ctorch_average_pool_backward(ctorch_tensor grad_output, ctorch_tensor input, int size, ctorch_tensor *grad_input) {
  return guarded([&] {
    // With one pixel left both layouts are the same memory, and libtorch would take the other one, and copy.
    auto &grad = get(grad_output);
    auto laid_out = at::empty(grad.sizes(), grad.options().memory_format(at::MemoryFormat::ChannelsLast)).copy_(grad);
    *grad_input = wrap(channels_last(
        at::avg_pool2d_backward(laid_out, get(input), {size, size}, {size, size}, {0, 0}, false, true, std::nullopt)));
  });
}

int ctorch_max_pool(ctorch_tensor input, int size, ctorch_tensor *out, ctorch_tensor *indices) {
  return guarded([&] {
    auto [y, which] = at::max_pool2d_with_indices(get(input), size);
    *out = wrap(y);
    *indices = wrap(which);
  });
}

int ctorch_max_pool_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_tensor indices, int size,
                             ctorch_tensor *grad_input) {
  return guarded([&] {
    *grad_input = wrap(at::max_pool2d_with_indices_backward(get(grad_output), get(input), {size, size}, {size, size},
                                                            {0, 0}, {1, 1}, false, get(indices)));
  });
}

int ctorch_flatten(ctorch_tensor input, ctorch_tensor *out) {
  return guarded([&] { *out = wrap(get(input).contiguous().flatten(1)); });
}

int ctorch_unflatten(ctorch_tensor input, ctorch_tensor like, ctorch_tensor *out) {
  return guarded([&] { *out = wrap(channels_last(get(input).reshape(get(like).sizes()))); });
}

int ctorch_linear(ctorch_tensor input, ctorch_tensor weight, ctorch_tensor bias, ctorch_tensor *out) {
  return guarded([&] {
    auto type = get(input).scalar_type();
    *out = wrap(at::addmm(get(bias).to(type), get(input), get(weight).to(type).t()));
  });
}

int ctorch_linear_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_tensor weight,
                           ctorch_tensor *grad_input, ctorch_tensor *grad_weight, ctorch_tensor *grad_bias) {
  return guarded([&] {
    auto &grad = get(grad_output);
    auto &w = get(weight);
    auto gi = at::mm(grad, w.to(grad.scalar_type()));
    auto gw = grad_weight ? at::mm(grad.t(), get(input)).to(w.scalar_type()) : at::Tensor();
    auto gb = grad_bias ? grad.sum(0).to(w.scalar_type()) : at::Tensor();
    *grad_input = wrap(gi);
    if (grad_weight) *grad_weight = wrap(gw);
    if (grad_bias) *grad_bias = wrap(gb);
  });
}
