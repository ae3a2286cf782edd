// A GPU's kernels against libtorch's operations, on the GPU that is to run them: before it runs them for anybody.
#include "checking.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <array>
#include <utility>

#include "../norms.h"
#include "beside.h"
#include "launching.h"
#include "layers.h"
#include "units.h"

namespace ctorch::device {

namespace {

struct Case {
  int64_t images, inputs, outputs, edge, stride;
};

/// Shapes of the networks' stages, with so many images that a block takes several tiles, numbers of channels in both
/// directions for which kernels have no special code, and strides of 2 on even and odd edges.
constexpr Case cases[] = {{4, 16, 16, 32, 1}, {9, 32, 64, 17, 1}, {65, 64, 64, 5, 1}, {2, 48, 16, 9, 1},
                          {2, 16, 48, 9, 1},  {9, 16, 32, 32, 2}, {4, 32, 64, 17, 2}};

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

at::Tensor wide(const at::Tensor &tensor) { return tensor.to(at::kDouble); }

at::Tensor activation(at::IntArrayRef shape, double from, at::ScalarType type, c10::Device device) {
  return channels_last(wave(shape, from, device).to(type));
}

/// By the sizes of the whole tensors, so that no single number decides.
/// - most: how far apart they may be in float32
void compare(const char *what, const at::Tensor &found, const at::Tensor &wanted, at::ScalarType type,
             double most = 1e-4) {
  const double apart = at::norm(wide(found).sub(wanted)).item<double>() / at::norm(wanted).item<double>();
  // bfloat16 has 8 bits, and what is rounded is summed up again.
  if (type != at::kFloat) most = 2e-2;
  TORCH_CHECK(apart <= most, "ResLens's kernels and libtorch's operations differ in ",
              type == at::kFloat ? "float32" : "bfloat16", " by ", apart, " of the ", what, " where ", most,
              " is rounding");
}

class Check {
 public:
  Check(const Case &of, at::ScalarType type, c10::Device device)
      : of(of),
        type(type),
        edge((of.edge + of.stride - 1) / of.stride),
        x(activation({of.images, of.inputs, of.edge, of.edge}, 5, type, device)),
        skip(output(6, device)),
        gradient(output(7, device)),
        weight(channels_last(parameter({of.outputs, of.inputs, 3, 3}, 8, 0, 0.1, device))),
        filter(weight),
        bias(parameter({of.outputs}, 9, 0, 1, device)),
        norm({of.inputs}, at::kFloat, device),
        wide_norm({of.inputs}, at::kDouble, device) {}

  void run() {
    // Not every card has as much shared memory.
    if (!fits(x, weight, static_cast<int>(of.stride))) return;
    there({.statistics = CTORCH_RUNNING, .momentum = 0.1});
    const auto [made, plain] = there({.statistics = CTORCH_BATCH_UPDATING, .momentum = 0.1});
    compare("sums of the channels", made.sums.sum(0),
            at::stack({wide(made.sum).sum({0, 2, 3}), wide(made.sum).square().sum({0, 2, 3})}, 1));
    for (int i = 2; i < 4; ++i) compare("running statistics", norm.tensors[i].value, wide_norm.tensors[i].value);
    back({.gradient = gradient}, wide(gradient), made, plain);
    // A gradient of which a normalisation's backward pass has left sums in two parts.
    const auto terms = wide(parameter({4, of.outputs, 2}, 10, 0.5, 0.3, x.device()));
    const double pixels = static_cast<double>(skip.numel() / of.outputs);
    const auto sums = terms.clone();
    sums.slice(0, 0, 2).mul_(pixels);
    const auto scale = terms[2].select(1, 0), mean = terms[2].select(1, 1), inverse = terms[3].select(1, 0);
    const auto b = terms[0].add(terms[1]).select(1, 1).mul(scale).mul(inverse).mul(inverse).neg();
    const auto d = terms[0].add(terms[1]).select(1, 0).mul(scale).neg().sub(b.mul(mean));
    const auto row = [](const at::Tensor &value) { return value.view({1, -1, 1, 1}); };
    const auto resolved = wide(gradient).mul(row(scale)).add(wide(skip).mul(row(b))).add(row(d));
    back({.gradient = gradient, .normed = skip, .sums = sums}, resolved, made, plain);
    const auto later = output(11, x.device());
    back({.gradient = gradient, .normed = skip, .sums = sums, .skip = later}, resolved.add(wide(later)), made, plain);
  }

 private:
  const Case of;
  const at::ScalarType type;
  const int64_t edge;
  const at::Tensor x, skip, gradient, weight;
  mutable ctorch_tensor_impl filter;
  const at::Tensor bias;
  Norm norm, wide_norm;

  std::pair<UnitOutput, PlainNorm> there(ctorch_norm_mode mode) {
    const auto made = forward(
        unit(), {.mode = mode, .bias = bias, .factor = 0.5, .skip = skip, .keeps_added = true, .wants_sums = true});
    const PlainNorm plain(wide(x), wide_norm.code, mode);
    const auto convolved = at::conv2d(plain.output, wide(weight), wide(bias), of.stride, 1).mul(0.5);
    compare("residual", made.added, convolved);
    compare("sum", made.sum, convolved.add(wide(skip)));
    return {made, plain};
  }

  void back(const Gradient &pending, const at::Tensor &whole, const UnitOutput &made, const PlainNorm &plain) {
    const auto found = backward(unit(), pending, made.batch, true);
    const auto [through, by_weight, by_bias] =
        at::convolution_backward(whole, plain.output, wide(weight), weight.sizes().slice(0, 1), {of.stride, of.stride},
                                 {1, 1}, {1, 1}, false, {0, 0}, 1, {true, true, true});
    ctorch_tensor_impl batch(plain.batch);
    const PlainNormGradient wanted(through, plain.output, wide(x), wide_norm.code, &batch);
    if (pending.skip.defined()) compare("whole gradient", found.whole, whole);
    const auto resolved = at::empty_like(found.out);
    resolve({.gradient = found.out, .normed = x, .sums = found.norm_sums}, resolved);
    await_beside();
    compare("gradient of the filter", found.filter.weight, by_weight);
    compare("gradient of the bias", found.filter.bias, by_bias);
    // A single ReLU whose input is within rounding of 0 is much of these.
    compare("gradient of the input", resolved, wanted.input, 1e-2);
    compare("gradient of gamma", found.norm_weight, wanted.weight, 1e-2);
    compare("gradient of beta", found.norm_bias, wanted.bias, 1e-2);
  }

  Unit unit() const { return {.x = x, .weight = &filter, .norm = norm.code, .stride = static_cast<int>(of.stride)}; }

  at::Tensor output(double from, c10::Device device) const {
    return activation({of.images, of.outputs, edge, edge}, from, type, device);
  }

  void compare(const char *what, const at::Tensor &found, const at::Tensor &wanted, double most = 1e-4) const {
    device::compare(what, found, wanted, type, most);
  }
};

/// The kernels of the layers around the units.
class LayerCheck {
 public:
  LayerCheck(at::ScalarType type, c10::Device device) : type(type), device(device) {}

  void run() {
    images();
    stem();
    norm_and_relu();
    if (type == at::kFloat) classifier();
  }

 private:
  const at::ScalarType type;
  const c10::Device device;

  void images() const {
    const auto stored = wave({7, 3, 6, 5}, 1, device).mul(127).add(127).to(at::kByte);
    const auto scale = parameter({3}, 2, 1, 0.1, device), offset = parameter({3}, 3, 0, 1, device);
    const auto options = at::TensorOptions(at::kLong).device(device);
    // The image, mirrored or not, down and to the right.
    const auto row = [&](std::array<int64_t, 4> of) { return at::tensor(of, at::kLong).to(options); };
    const auto found = gathered(stored, at::stack({row({6, 0, 0, 0}), row({2, 1, -2, 3})}), scale, offset, type);
    const auto pixels = stored.to(at::kFloat).mul(scale.view({1, 3, 1, 1})).add(offset.view({1, 3, 1, 1}));
    auto moved = at::zeros({3, 6, 5}, pixels.options());
    moved.slice(1, 0, 4).slice(2, 3).copy_(pixels[2].flip({2}).slice(1, 2).slice(2, 0, 2));
    compare("images", found, wide(at::stack({pixels[6], moved})), type);
  }

  void stem() const {
    const auto x = activation({5, 3, 16, 16}, 1, type, device), gradient = activation({5, 32, 16, 16}, 2, type, device);
    const auto weight = channels_last(parameter({32, 3, 3, 3}, 3, 0, 0.3, device));
    const auto bias = parameter({32}, 4, 0, 1, device);
    if (!fits(x, weight, 1)) return;
    ctorch_tensor_impl filter(weight);
    compare("stem", convolution(x, &filter, bias).added, at::conv2d(wide(x), wide(weight), wide(bias), 1, 1), type);
    const auto found = convolution_backward(x, gradient);
    const auto [unused, by_weight, by_bias] =
        at::convolution_backward(wide(gradient), wide(x), wide(weight), bias.sizes(), {1, 1}, {1, 1}, {1, 1}, false,
                                 {0, 0}, 1, {false, true, true});
    await_beside();
    compare("gradient of the stem's filter", found.weight, by_weight, type);
    compare("gradient of the stem's bias", found.bias, by_bias, type);
  }

  void norm_and_relu() const {
    const auto x = activation({9, 48, 8, 8}, 5, type, device), gradient = activation({9, 48, 8, 8}, 7, type, device);
    const Norm norm({48}, at::kFloat, device), wide_norm({48}, at::kDouble, device);
    for (auto statistics : {CTORCH_RUNNING, CTORCH_BATCH_UPDATING}) {
      const ctorch_norm_mode mode = {.statistics = statistics, .momentum = 0.1};
      const auto found = norm_relu(x, {}, norm.code, mode);
      const PlainNorm plain(wide(x), wide_norm.code, mode);
      compare("normalisation", found.output, plain.output, type);
      if (statistics == CTORCH_RUNNING) continue;
      const auto own = gradient.clone();
      const auto back = norm_relu_backward(own, x, norm.code, found.batch);
      ctorch_tensor_impl batch(plain.batch);
      const PlainNormGradient wanted(wide(gradient), plain.output, wide(x), wide_norm.code, &batch);
      // A single ReLU whose input is within rounding of 0 is much of these.
      compare("gradient through a normalisation", own, wanted.input, type, 1e-2);
      compare("gradient of gamma", back.weight, wanted.weight, type, 1e-2);
      compare("gradient of beta", back.bias, wanted.bias, type, 1e-2);
    }
  }

  void classifier() const {
    const auto x = parameter({37, 24}, 1, 0, 1, device), weight = parameter({41, 24}, 2, 0, 1, device);
    const auto bias = parameter({41}, 3, 0, 1, device);
    const auto labels = at::arange(37, at::TensorOptions(at::kLong).device(device)).mul(7).remainder(41);
    const auto logits = linear(x, weight, bias), wanted = at::addmm(wide(bias), wide(x), wide(weight).t());
    compare("logits", logits, wanted, type);
    const auto [sums, gradient] = batch_loss(logits, labels, 0.1, 0.5);
    const auto log_p = at::log_softmax(wide(logits), 1);
    const auto target =
        at::full_like(log_p, 0.1 / 41).scatter_add_(1, labels.view({-1, 1}), at::full_like(log_p.narrow(1, 0, 1), 0.9));
    compare("loss and wrong classifications", sums,
            at::stack({target.mul(log_p).sum().neg(), wide(logits.argmax(1).ne(labels).sum())}), type);
    compare("gradient of the logits", gradient, log_p.exp().sub(target).mul(0.5), type);
    const auto totals = at::full({3}, 2, at::TensorOptions(at::kDouble).device(device)), before_it = totals.clone();
    const auto skip = count_step(totals, sums);
    compare("totals", totals, before_it.add(at::cat({sums, at::ones({1}, sums.options())})), type);
    TORCH_CHECK(skip.item<float>() == 0, "ResLens's kernels take a finite loss for one that is not");
    const auto back = linear_backward(gradient, x, weight, true);
    compare("gradient of the classifier's input", back.input, at::mm(wide(gradient), wide(weight)), type);
    compare("gradient of the classifier's weight", back.weight, at::mm(wide(gradient).t(), wide(x)), type);
    compare("gradient of the classifier's bias", back.bias, wide(gradient).sum(0), type);
    auto value = weight.clone();
    const auto velocity = parameter({41, 24}, 5, 0, 1, device), before = velocity.clone();
    const auto rate = at::full({1}, 0.1, at::TensorOptions(at::kDouble).device(device));
    sgd({.parameters = {&value, 1},
         .velocities = {&velocity, 1},
         .gradients = {&back.weight, 1},
         .rate = rate,
         .unless = at::Tensor(),
         .decay = 0.01,
         .momentum = 0.9,
         .nesterov = true});
    const auto step = wide(back.weight).add(wide(weight).mul(0.01)), moved = wide(before).mul(0.9).add(step);
    compare("velocities", velocity, moved, type);
    compare("parameters", value, wide(weight).sub(moved.mul(0.9).add(step).mul(0.1)), type);
  }
};

}  // namespace

void check_kernels(c10::Device device) {
  for (auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto &of : cases) Check(of, type, device).run();
    LayerCheck(type, device).run();
  }
}

}  // namespace ctorch::device
