// The layers of the networks, each with its backward.
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool2d_backward.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/max_pool2d_with_indices.h>
#include <ATen/ops/max_pool2d_with_indices_backward.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/threshold_backward.h>

#include "convolution.h"
#include "device/layers.h"
#include "device/units.h"
#include "support.h"

using namespace ctorch;

int ctorch_conv2d(ctorch_tensor input, const ctorch_convolution *convolution, ctorch_tensor *out) {
  return guarded([&] {
    auto &x = get(input);
    auto type = x.scalar_type();
    const auto bias = get_or_undefined(convolution->bias);
    if (bias.defined() &&
        device::takes_convolution(x, get(convolution->weight), convolution->stride, convolution->padding)) {
      *out = wrap(device::convolution(channels_last(x), convolution->weight, bias).added);
      return;
    }
    *out = wrap(channels_last(at::conv2d(x, get(convolution->weight).to(type), bias.defined() ? bias.to(type) : bias,
                                         convolution->stride, convolution->padding)));
  });
}

int ctorch_conv2d_backward(ctorch_tensor grad_output, ctorch_tensor input, const ctorch_convolution *convolution,
                           bool wants_input, bool wants_parameters, ctorch_convolution_gradients *out) {
  return guarded([&] {
    const auto &x = get(input), &weight = get(convolution->weight);
    if (!wants_input && wants_parameters &&
        device::takes_convolution(x, weight, convolution->stride, convolution->padding)) {
      const auto found = device::convolution_backward(channels_last(x), channels_last(get(grad_output)));
      *out = {.input = nullptr, .weight = wrap(found.weight), .bias = wrap(found.bias)};
      out->weight->comes_beside = out->bias->comes_beside = true;
      return;
    }
    const auto found = convolution_backward(get(grad_output), x, weight, convolution->stride, convolution->padding,
                                            wants_input, wants_parameters);
    // All is converted before any handle is made: a failure must leave nothing behind.
    *out = {.input = wants_input ? wrap(found.input) : nullptr,
            .weight = wants_parameters ? wrap(found.weight) : nullptr,
            .bias = wants_parameters ? wrap(found.bias) : nullptr};
    if (found.comes_beside) out->weight->comes_beside = out->bias->comes_beside = true;
  });
}

int ctorch_fold_norm(const ctorch_convolution *convolution, const ctorch_norm *norm, ctorch_tensor *weight,
                     ctorch_tensor *bias) {
  return guarded([&] {
    const auto scale = at::mul(get(norm->weight), at::rsqrt(at::add(get(norm->running_var), norm->epsilon)));
    const auto own = get_or_undefined(convolution->bias);
    const auto mean = own.defined() ? at::sub(get(norm->running_mean), own) : get(norm->running_mean);
    const auto folded = channels_last(at::mul(get(convolution->weight), scale.view({-1, 1, 1, 1})));
    const auto offset = at::sub(get(norm->bias), at::mul(mean, scale));
    *weight = wrap(folded);
    *bias = wrap(offset);
  });
}

int ctorch_relu_into(ctorch_tensor tensor) {
  return guarded([&] {
    at::relu_(tensor->value);
    count_write(tensor);
  });
}

int ctorch_relu_backward(ctorch_tensor grad_output, ctorch_tensor output, ctorch_tensor *out) {
  return guarded([&] { *out = wrap(channels_last(at::threshold_backward(get(grad_output), get(output), 0))); });
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

int ctorch_max_pool(ctorch_tensor input, int size, int stride, int padding, ctorch_tensor *out,
                    ctorch_tensor *indices) {
  return guarded([&] {
    auto [y, which] = at::max_pool2d_with_indices(get(input), size, stride, padding);
    *out = wrap(y);
    *indices = wrap(which);
  });
}

int ctorch_max_pool_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_tensor indices, int size,
                             int stride, int padding, ctorch_tensor *grad_input) {
  return guarded([&] {
    *grad_input = wrap(at::max_pool2d_with_indices_backward(
        get(grad_output), get(input), {size, size}, {stride, stride}, {padding, padding}, {1, 1}, false, get(indices)));
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
    if (device::takes_linear(get(input), get(weight))) {
      *out = wrap(device::linear(get(input), get(weight), get(bias)));
      return;
    }
    *out = wrap(at::addmm(get(bias).to(type), get(input), get(weight).to(type).t()));
  });
}

int ctorch_linear_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_tensor weight,
                           ctorch_tensor *grad_input, ctorch_tensor *grad_weight, ctorch_tensor *grad_bias) {
  return guarded([&] {
    auto &grad = get(grad_output);
    auto &w = get(weight);
    if (device::takes_linear(get(input), w)) {
      const auto found = device::linear_backward(grad, get(input), w, grad_weight || grad_bias);
      *grad_input = wrap(found.input);
      if (grad_weight) *grad_weight = wrap(found.weight);
      if (grad_bias) *grad_bias = wrap(found.bias);
      return;
    }
    auto gi = at::mm(grad, w.to(grad.scalar_type()));
    auto gw = grad_weight ? at::mm(grad.t(), get(input)).to(w.scalar_type()) : at::Tensor();
    auto gb = grad_bias ? grad.sum(0).to(w.scalar_type()) : at::Tensor();
    *grad_input = wrap(gi);
    if (grad_weight) *grad_weight = wrap(gw);
    if (grad_bias) *grad_bias = wrap(gb);
  });
}
