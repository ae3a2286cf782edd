// A GPU's kernels against libtorch's operations, on the GPU that is to run them: before it runs them for anybody.
#include "checking.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/norm.h>

#include <memory>

#include "../norms.h"
#include "launching.h"
#include "units.h"

namespace ctorch::device {

namespace {

struct Case {
  int64_t images, inputs, outputs, edge;
};

/// Of the networks' stages, and with so many images that blocks take several tiles.
constexpr Case cases[] = {{4, 16, 16, 32}, {4, 32, 32, 16}, {65, 64, 64, 5}, {2, 16, 48, 9}};

/// Numbers between −1 and 1 that look drawn.
at::Tensor wave(at::IntArrayRef shape, double from, c10::Device device) {
  const int64_t count = c10::multiply_integers(shape);
  return at::arange(count, at::TensorOptions(at::kDouble).device(device)).add(from).mul(12.9898).sin().mul(43.5453).sin()
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
      : of(of), type(type),
        x(activation({of.images, of.inputs, of.edge, of.edge}, 5, device)),
        kept(activation({of.images, of.outputs, of.edge, of.edge}, 6, device)),
        gradient(activation({of.images, of.outputs, of.edge, of.edge}, 7, device)),
        weight(channels_last(parameter({of.outputs, of.inputs, 3, 3}, 8, 0, 0.1, device))),
        bias(parameter({of.outputs}, 9, 0, 1, device)), norm({of.inputs}, at::kFloat, device),
        wide_norm({of.inputs}, at::kDouble, device) {}

  void run() {
    const Unit unit{x, weight, norm.code};
    // Not every card has as much shared memory.
    if (!fits(x, weight)) return;
    const auto made = forward(unit, at::Tensor(), CTORCH_BATCH_MOVING, 0.1, bias, 0.5, kept, true, true);
    const PlainNorm plain(wide(x), wide_norm.code, CTORCH_BATCH_MOVING, 0.1);
    const auto convolved = at::conv2d(plain.output, wide(weight), wide(bias), 1, 1);
    compare("residual", made.residual, convolved.mul(0.5));
    compare("sum", made.sum, convolved.mul(0.5).add(wide(kept)));
    compare("channels' sums", made.sums.sum(0).select(0, 1), wide(made.sum).square().sum({0, 2, 3}));
    for (int i = 2; i < 4; ++i) compare("running statistics", norm.tensors[i].value, wide_norm.tensors[i].value);

    const auto back = backward(unit, {gradient, {}, {}}, made.batch, true);
    const auto [through, by_weight, by_bias] =
        at::convolution_backward(wide(gradient), plain.output, wide(weight), weight.sizes().slice(0, 1), {1, 1}, {1, 1},
                                 {1, 1}, false, {0, 0}, 1, {true, true, true});
    const PlainNormGradient wanted(through, plain.output, wide(x), wide_norm.code, batch_of(plain));
    const auto whole = at::empty_like(back.out);
    resolve({back.out, x, back.coefficients}, at::Tensor(), whole);
    compare("gradient of the input", whole, wanted.input);
    compare("gradient of the filter", back.weight, by_weight);
    compare("gradient of the bias", back.bias, by_bias);
    compare("gradient of gamma", back.norm_weight, wanted.weight);
    compare("gradient of beta", back.norm_bias, wanted.bias);
  }

 private:
  const Case of;
  const at::ScalarType type;
  const at::Tensor x, kept, gradient, weight, bias;
  Norm norm, wide_norm;
  std::unique_ptr<ctorch_tensor_impl> batch;

  at::Tensor activation(at::IntArrayRef shape, double from, c10::Device device) const {
    return channels_last(wave(shape, from, device).to(type));
  }

  static at::Tensor wide(const at::Tensor &tensor) { return tensor.to(at::kDouble); }

  ctorch_tensor batch_of(const PlainNorm &norm) {
    batch = std::make_unique<ctorch_tensor_impl>(norm.batch);
    return batch.get();
  }

  /// By the sizes of the whole tensors, so that no single number decides.
  void compare(const char *what, const at::Tensor &found, const at::Tensor &wanted) const {
    const double apart = at::norm(wide(found).sub(wanted)).item<double>() / at::norm(wanted).item<double>();
    // bfloat16 has 8 bits, and what is rounded is summed up again.
    const double most = type == at::kFloat ? 1e-4 : 2e-2;
    TORCH_CHECK(apart <= most, "differ in ", type == at::kFloat ? "float32" : "bfloat16", " by ", apart, " of the ", what,
                " where ", most, " is rounding (", of.inputs, " to ", of.outputs, " channels)");
  }
};

}  // namespace

void check_kernels(c10::Device device) {
  for (auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto &of : cases) Check(of, type, device).run();
  }
}

}  // namespace ctorch::device
