// A GPU's kernels against libtorch's operations, on the GPU that is to run them: before it runs them for anybody.
#include "checking.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/stack.h>

#include <utility>

#include "../norms.h"
#include "beside.h"
#include "launching.h"
#include "units.h"

namespace ctorch::device {

namespace {

struct Case {
  int64_t images, inputs, outputs, edge;
};

/// Shapes of the networks' stages, with so many images that a block takes several tiles, and numbers of channels in
/// both directions for which kernels have no special code.
constexpr Case cases[] = {{4, 16, 16, 32}, {9, 32, 64, 17}, {65, 64, 64, 5}, {2, 48, 16, 9}, {2, 16, 48, 9}};

/// Numbers between −1 and 1 that look drawn.
at::Tensor wave(at::IntArrayRef shape, double from, c10::Device device) {
  const int64_t count = c10::multiply_integers(shape);
  return at::arange(count, at::TensorOptions(at::kDouble).device(device))
      .add(from)
      .mul(12.9898)
      .sin()
      .mul(43.5453)
      .sin()
      .view(shape);
}

/// A value a channel, or such a filter, rounded to float.
at::Tensor parameter(at::IntArrayRef shape, double from, double plus, double times, c10::Device device) {
  return wave(shape, from, device).mul(times).add(plus).to(at::kFloat);
}

/// A normalisation's tensors as `ctorch_norm` has them.
class Norm {
 public:
  Norm(at::IntArrayRef channels, at::ScalarType type, c10::Device device)
      : tensors{ctorch_tensor_impl(parameter(channels, 1, 1.2, 0.5, device).to(type)),
                ctorch_tensor_impl(parameter(channels, 2, 0, 0.5, device).to(type)),
                ctorch_tensor_impl(parameter(channels, 3, 0, 1, device).to(type)),
                ctorch_tensor_impl(parameter(channels, 4, 1.5, 1, device).to(type))},
        code{&tensors[0], &tensors[1], &tensors[2], &tensors[3], 1e-5, nullptr} {}

  ctorch_tensor_impl tensors[4];
  const ctorch_norm code;
};

class Check {
 public:
  Check(const Case &of, at::ScalarType type, c10::Device device)
      : of(of),
        type(type),
        x(activation({of.images, of.inputs, of.edge, of.edge}, 5, device)),
        skip(activation({of.images, of.outputs, of.edge, of.edge}, 6, device)),
        gradient(activation({of.images, of.outputs, of.edge, of.edge}, 7, device)),
        weight(channels_last(parameter({of.outputs, of.inputs, 3, 3}, 8, 0, 0.1, device))),
        filter(weight),
        bias(parameter({of.outputs}, 9, 0, 1, device)),
        norm({of.inputs}, at::kFloat, device),
        wide_norm({of.inputs}, at::kDouble, device) {}

  void run() {
    // Not every card has as much shared memory.
    if (!fits(x, weight)) return;
    there({.statistics = CTORCH_RUNNING, .momentum = 0.1});
    const auto [made, plain] = there({.statistics = CTORCH_BATCH_UPDATING, .momentum = 0.1});
    compare("sums of the channels", made.sums.sum(0),
            at::stack({wide(made.sum).sum({0, 2, 3}), wide(made.sum).square().sum({0, 2, 3})}, 1));
    for (int i = 2; i < 4; ++i) compare("running statistics", norm.tensors[i].value, wide_norm.tensors[i].value);
    back({.gradient = gradient}, wide(gradient), made, plain);
    const auto coefficients = parameter({3, of.outputs}, 10, 0, 1, x.device());
    const auto row = [&](int which) { return wide(coefficients[which]).view({1, -1, 1, 1}); };
    back({.gradient = gradient, .normed = skip, .coefficients = coefficients},
         wide(gradient).mul(row(0)).add(wide(skip).mul(row(1))).add(row(2)), made, plain);
    const auto later = activation({of.images, of.outputs, of.edge, of.edge}, 11, x.device());
    back({.gradient = gradient, .normed = skip, .coefficients = coefficients, .skip = later},
         wide(gradient).mul(row(0)).add(wide(skip).mul(row(1))).add(row(2)).add(wide(later)), made, plain);
  }

 private:
  const Case of;
  const at::ScalarType type;
  const at::Tensor x, skip, gradient, weight;
  ctorch_tensor_impl filter;
  const at::Tensor bias;
  Norm norm, wide_norm;

  std::pair<UnitOutput, PlainNorm> there(ctorch_norm_mode mode) {
    const auto made =
        forward({.x = x, .weight = &filter, .norm = norm.code},
                {.mode = mode, .bias = bias, .factor = 0.5, .skip = skip, .keeps_added = true, .wants_sums = true});
    const PlainNorm plain(wide(x), wide_norm.code, mode);
    const auto convolved = at::conv2d(plain.output, wide(weight), wide(bias), 1, 1).mul(0.5);
    compare("residual", made.added, convolved);
    compare("sum", made.sum, convolved.add(wide(skip)));
    return {made, plain};
  }

  void back(const Gradient &pending, const at::Tensor &whole, const UnitOutput &made, const PlainNorm &plain) {
    const auto found = backward({.x = x, .weight = &filter, .norm = norm.code}, pending, made.batch, true);
    const auto [through, by_weight, by_bias] =
        at::convolution_backward(whole, plain.output, wide(weight), weight.sizes().slice(0, 1), {1, 1}, {1, 1}, {1, 1},
                                 false, {0, 0}, 1, {true, true, true});
    ctorch_tensor_impl batch(plain.batch);
    const PlainNormGradient wanted(through, plain.output, wide(x), wide_norm.code, &batch);
    if (pending.skip.defined()) compare("whole gradient", found.whole, whole);
    const auto resolved = at::empty_like(found.out);
    resolve({.gradient = found.out, .normed = x, .coefficients = found.coefficients}, resolved);
    await_beside();
    compare("gradient of the filter", found.weight, by_weight);
    compare("gradient of the bias", found.bias, by_bias);
    // A single ReLU whose input is within rounding of 0 is much of these.
    compare("gradient of the input", resolved, wanted.input, 1e-2);
    compare("gradient of gamma", found.norm_weight, wanted.weight, 1e-2);
    compare("gradient of beta", found.norm_bias, wanted.bias, 1e-2);
  }

  at::Tensor activation(at::IntArrayRef shape, double from, c10::Device device) const {
    return channels_last(wave(shape, from, device).to(type));
  }

  static at::Tensor wide(const at::Tensor &tensor) { return tensor.to(at::kDouble); }

  /// By the sizes of the whole tensors, so that no single number decides.
  void compare(const char *what, const at::Tensor &found, const at::Tensor &wanted, double in_float = 1e-4) const {
    const double apart = at::norm(wide(found).sub(wanted)).item<double>() / at::norm(wanted).item<double>();
    // bfloat16 has 8 bits, and what is rounded is summed up again.
    const double most = type == at::kFloat ? in_float : 2e-2;
    TORCH_CHECK(apart <= most, "ResLens's kernels and libtorch's operations differ in ",
                type == at::kFloat ? "float32" : "bfloat16", " by ", apart, " of the ", what, " where ", most,
                " is rounding (", of.inputs, " to ", of.outputs, " channels)");
  }
};

}  // namespace

void check_kernels(c10::Device device) {
  for (auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto &of : cases) Check(of, type, device).run();
  }
}

}  // namespace ctorch::device
