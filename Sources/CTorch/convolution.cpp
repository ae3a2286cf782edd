#include "convolution.h"

#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <array>

#include "device/beside.h"
#include "device/launching.h"
#include "support.h"

using namespace ctorch;

namespace {

/// N×C×H×W as a matrix of pixels×C.
at::Tensor matrix(const at::Tensor &images) {
  return channels_last(images).permute({0, 2, 3, 1}).reshape({-1, images.size(1)});
}

struct Convolution {
  at::Tensor gradient, input, weight;
  int64_t stride, padding;
  bool is_on_device;

  ConvolutionGradients backward(const at::Tensor &x, int64_t stride, std::array<bool, 3> wanted) const {
    auto [through, w, b] = at::convolution_backward(gradient, x, weight, weight.sizes().slice(0, 1), {stride, stride},
                                                    {padding, padding}, {1, 1}, false, {0, 0}, 1, wanted);
    return {.input = through, .weight = w, .bias = b};
  }

  /// True if the filter's gradient is computed from the pixels that the stride leaves (`from_pixels`).
  bool picks_pixels() const {
    // On a GPU it is a product of matrices: cuDNN's deterministic kernel for it is a single block of threads, which
    // takes 74 µs on an H200 for a projection of ResNet-110. oneDNN's AVX2 kernel for it adds up memory that nobody has
    // written where the input has fewer than eight channels (torch 2.13.0). With the pixels that the stride leaves
    // taken out first, another kernel runs.
    return padding == 0 && weight.size(2) == 1 && weight.size(3) == 1 &&
           (is_on_device || (stride > 1 && weight.size(1) < 8));
  }

  at::Tensor from_pixels() const {
    const auto pixels = channels_last(input.slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride));
    if (!is_on_device) return backward(pixels, 1, {false, true, false}).weight;
    return at::mm(matrix(gradient).t(), matrix(pixels)).view(weight.sizes());
  }

  ConvolutionGradients gradients(bool wants_input, bool wants_parameters) const {
    const bool picks = wants_parameters && picks_pixels();
    auto found = backward(input, stride, {wants_input, wants_parameters && !picks, wants_parameters});
    if (picks) found.weight = from_pixels();
    return found;
  }
};

}  // namespace

ConvolutionGradients ctorch::convolution_backward(const at::Tensor &gradient, const at::Tensor &input,
                                                  const at::Tensor &weight, int64_t stride, int64_t padding,
                                                  bool wants_input, bool wants_parameters) {
  // There libtorch 2.13's bfloat16 gradient of the filter reads memory that was never written.
  const bool misreads = input.scalar_type() == at::kBFloat16 && input.is_cpu() && stride > 1 && gradient.size(3) == 1;
  const auto type = misreads ? at::kFloat : input.scalar_type();
  const Convolution convolution{.gradient = gradient.to(type),
                                .input = input.to(type),
                                .weight = weight.to(type),
                                .stride = stride,
                                .padding = padding,
                                .is_on_device = device::launches(input)};
  ConvolutionGradients out;
  if (wants_parameters && convolution.is_on_device) {
    // Nothing waits for them until the optimiser does.
    if (wants_input) out = convolution.gradients(true, false);
    out.weight = at::empty(weight.sizes(), weight.options().memory_format(at::MemoryFormat::ChannelsLast));
    out.bias = at::empty({weight.size(0)}, weight.options().memory_format(at::MemoryFormat::Contiguous));
    out.comes_beside = true;
    device::beside(input, {convolution.gradient, convolution.input, convolution.weight, out.weight, out.bias},
                   [convolution, weight = out.weight, bias = out.bias] {
                     const auto found = convolution.gradients(false, true);
                     weight.copy_(found.weight);
                     bias.copy_(found.bias);
                   });
  } else {
    out = convolution.gradients(wants_input, wants_parameters);
    if (wants_parameters) {
      out.weight = channels_last(out.weight.to(weight.scalar_type()));
      out.bias = out.bias.to(weight.scalar_type());
    }
  }
  if (wants_input) out.input = channels_last(out.input.to(input.scalar_type()));
  return out;
}
