// Batch normalisation and ReLU, each with its backward.
//
// In float32 and bfloat16 by our kernels; in float64, and where "libtorch" is chosen, by libtorch's operations: the plain
// composition, which the tests hold the other against.
#include "norms.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/threshold_backward.h>

#include <cmath>

namespace ctorch {

std::vector<double> values(const at::Tensor &tensor) {
  const auto dense = tensor.contiguous();
  std::vector<double> found(dense.numel());
  AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "values", [&] {
    std::copy_n(dense.const_data_ptr<scalar_t>(), found.size(), found.begin());
  });
  return found;
}

namespace {
void put_into(const at::Tensor &tensor, const double *from) {
  AT_DISPATCH_FLOATING_TYPES(tensor.scalar_type(), "put_into", [&] {
    std::copy_n(from, tensor.numel(), tensor.mutable_data_ptr<scalar_t>());
  });
}
}  // namespace

at::Tensor tensor_of(const double *from, at::IntArrayRef shape, at::ScalarType type) {
  auto tensor = at::empty(shape, type);
  put_into(tensor, from);
  return tensor;
}

std::vector<float> lined_up(const at::Tensor &tensor, int64_t channels) {
  std::vector<float> line(kernels::padded(channels));
  const auto from = values(tensor);
  std::copy(from.begin(), from.end(), line.begin());
  return line;
}

// MARK: statistics

Statistics Statistics::of(const ctorch_norm &norm, ctorch_tensor batch) {
  if (batch) {
    const auto both = values(get(batch));
    const auto middle = both.begin() + both.size() / 2;
    return {{both.begin(), middle}, {middle, both.end()}};
  }
  Statistics found{values(get(norm.running_mean)), values(get(norm.running_var))};
  for (auto &value : found.inverse_deviation) value = 1 / std::sqrt(value + norm.epsilon);
  return found;
}

at::Tensor Statistics::as_batch() const {
  auto both = mean;
  both.insert(both.end(), inverse_deviation.begin(), inverse_deviation.end());
  return tensor_of(both.data(), {2, static_cast<int64_t>(mean.size())}, at::kDouble);
}

namespace {
std::vector<double> sums_of(const kernels::Kernels &run, const at::Tensor &x) {
  const auto pixels = pixels_of(x);
  return summed(pixels.count, 2 * kernels::padded(pixels.channels), [&](int64_t, int64_t begin, int64_t end, double *sums) {
    run.channel_sums(pixels, x.const_data_ptr(), begin, end, sums);
  });
}

/// running ← running + momentum·(value − running)
void move(const at::Tensor &running, const std::vector<double> &value, double momentum) {
  auto moved = values(running);
  for (size_t c = 0; c < moved.size(); ++c) moved[c] += momentum * (value[c] - moved[c]);
  if (running.is_contiguous()) {
    put_into(running, moved.data());
  } else {
    running.copy_(tensor_of(moved.data(), running.sizes(), running.scalar_type()));
  }
}
}  // namespace

Statistics Statistics::of(const kernels::Kernels &run, const at::Tensor &x, ctorch_tensor known_sums,
                          const ctorch_norm &norm, ctorch_statistics kind, double momentum) {
  if (kind == CTORCH_RUNNING) return of(norm, nullptr);
  const auto sums = known_sums ? values(get(known_sums)) : sums_of(run, x);
  const int64_t channels = x.size(1), apart = static_cast<int64_t>(sums.size()) / 2;
  const double count = static_cast<double>(x.numel() / channels);
  Statistics found{std::vector<double>(channels), std::vector<double>(channels)};
  std::vector<double> unbiased(channels);
  for (int64_t c = 0; c < channels; ++c) {
    found.mean[c] = sums[c] / count;
    const double variance = std::fmax(0, sums[apart + c] / count - found.mean[c] * found.mean[c]);
    // fmax would make a number of a variance that is none.
    const double kept = std::isnan(sums[apart + c]) ? sums[apart + c] : variance;
    unbiased[c] = kept * count / (count - 1);
    found.inverse_deviation[c] = 1 / std::sqrt(kept + norm.epsilon);
  }
  if (kind == CTORCH_BATCH_MOVING) {
    move(get(norm.running_mean), found.mean, momentum);
    move(get(norm.running_var), unbiased, momentum);
  }
  return found;
}

Affine::Affine(const ctorch_norm &norm, const Statistics &statistics)
    : scale(kernels::padded(statistics.mean.size())), shift(scale), mean(scale) {
  const auto gamma = values(get(norm.weight)), beta = values(get(norm.bias));
  for (size_t c = 0; c < statistics.mean.size(); ++c) {
    const double slope = gamma[c] * statistics.inverse_deviation[c];
    scale[c] = static_cast<float>(slope);
    shift[c] = static_cast<float>(beta[c] - statistics.mean[c] * slope);
    mean[c] = static_cast<float>(statistics.mean[c]);
  }
}

NormGradient::NormGradient(const ctorch_norm &norm, const Statistics &statistics, const double *sums, double count) {
  const int64_t channels = static_cast<int64_t>(statistics.mean.size()), apart = kernels::padded(channels);
  const auto gamma = values(get(norm.weight));
  std::vector<double> abd(3 * apart), dgamma(channels), dbeta(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double inverse = statistics.inverse_deviation[c];
    dbeta[c] = sums[c];
    dgamma[c] = sums[apart + c] * inverse;
    // γ/σ·(g − Σg/N − x̂·Σg·x̂/N) with x̂ = (x − mean)/σ
    abd[c] = gamma[c] * inverse;
    abd[apart + c] = -gamma[c] * inverse * inverse * dgamma[c] / count;
    abd[2 * apart + c] = -gamma[c] * inverse * dbeta[c] / count - abd[apart + c] * statistics.mean[c];
  }
  const auto type = get(norm.weight).scalar_type();
  coefficients = tensor_of(abd.data(), {3, apart}, at::kFloat);
  weight = tensor_of(dgamma.data(), {channels}, type);
  bias = tensor_of(dbeta.data(), {channels}, type);
}

// MARK: by our kernels

at::Tensor norm_relu(const kernels::Kernels &run, const at::Tensor &x, const Affine &affine) {
  auto out = at::empty_like(x);
  const auto pixels = pixels_of(x);
  in_pieces(pixels.count, [&](int64_t, int64_t begin, int64_t end) {
    run.norm_relu(pixels, x.const_data_ptr(), affine.scale.data(), affine.shift.data(), out.mutable_data_ptr(), begin,
                  end);
  });
  return out;
}

std::vector<double> through_relu(const kernels::Kernels &run, const at::Tensor &gradient, const at::Tensor &x,
                                 const Affine &affine) {
  const auto pixels = pixels_of(x);
  return summed(pixels.count, 2 * kernels::padded(pixels.channels), [&](int64_t, int64_t begin, int64_t end, double *sums) {
    run.norm_relu_backward(pixels, gradient.const_data_ptr(), x.const_data_ptr(), affine.scale.data(),
                           affine.shift.data(), affine.mean.data(), gradient.mutable_data_ptr(), begin, end, sums);
  });
}

void resolve(const kernels::Kernels &run, const at::Tensor &gradient, const at::Tensor &x, const float *a, const float *b,
             const float *d, const at::Tensor &kept, const at::Tensor &out) {
  const auto pixels = pixels_of(gradient);
  in_pieces(pixels.count, [&](int64_t, int64_t begin, int64_t end) {
    run.norm_gradient(pixels, kept.defined() ? kept.const_data_ptr() : nullptr, gradient.const_data_ptr(),
                      x.defined() ? x.const_data_ptr() : nullptr, a, b, d, out.mutable_data_ptr(), begin, end);
  });
}

// MARK: by libtorch

PlainNorm::PlainNorm(const at::Tensor &x, const ctorch_norm &norm, ctorch_statistics kind, double momentum) {
  const bool reads_running = kind != CTORCH_BATCH;
  auto [y, mean, inverse] = at::native_batch_norm(
      x, get(norm.weight), get(norm.bias), reads_running ? get(norm.running_mean) : at::Tensor(),
      reads_running ? get(norm.running_var) : at::Tensor(), kind != CTORCH_RUNNING, momentum, norm.epsilon);
  output = y.relu_();
  if (kind != CTORCH_RUNNING) batch = at::stack({mean, inverse});
}

at::Tensor PlainNorm::again(const at::Tensor &x, const ctorch_norm &norm, ctorch_tensor batch) {
  return PlainNorm(x, norm, batch ? CTORCH_BATCH : CTORCH_RUNNING, 0).output;
}

PlainNormGradient::PlainNormGradient(const at::Tensor &gradient, const at::Tensor &x, const ctorch_norm &norm,
                                     ctorch_tensor batch) {
  const auto through = at::threshold_backward(gradient, PlainNorm::again(x, norm, batch), 0);
  if (!batch) {
    const auto scale = get(norm.weight).mul(get(norm.running_var).add(norm.epsilon).rsqrt());
    input = through.mul(scale.to(through.scalar_type()).view({1, -1, 1, 1}));
    return;
  }
  auto &both = get(batch);
  std::tie(input, weight, bias) = at::native_batch_norm_backward(
      through, x, get(norm.weight), get(norm.running_mean), get(norm.running_var), both[0], both[1], true,
      norm.epsilon, {true, true, true});
}

void check_fits(const at::Tensor &x, const ctorch_norm &norm) {
  const int64_t channels = x.dim() == 4 ? x.size(1) : -1;
  for (auto value : {norm.weight, norm.bias, norm.running_mean, norm.running_var}) {
    TORCH_CHECK(get(value).numel() == channels, "an input of shape ", x.sizes(), " for a normalisation of ",
                get(value).numel(), " channels");
  }
}

}  // namespace ctorch

using namespace ctorch;

int ctorch_norm_relu(ctorch_tensor input, ctorch_tensor sums, ctorch_norm norm, ctorch_statistics statistics,
                     double momentum, ctorch_tensor *out, ctorch_tensor *batch) {
  return guarded([&] {
    at::Tensor y, b;
    check_fits(get(input), norm);
    if (!takes(get(input))) {
      const PlainNorm found(get(input), norm, statistics, momentum);
      y = found.output;
      b = found.batch;
    } else {
      const auto &run = *kernels::chosen();
      const auto x = channels_last(get(input));
      const auto found = Statistics::of(run, x, sums, norm, statistics, momentum);
      y = norm_relu(run, x, Affine(norm, found));
      if (statistics != CTORCH_RUNNING) b = found.as_batch();
    }
    hand_out(out, y);
    hand_out(batch, b);
  });
}

int ctorch_norm_relu_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_norm norm, ctorch_tensor batch,
                              ctorch_tensor *grad_input, ctorch_tensor *grad_weight, ctorch_tensor *grad_bias) {
  return guarded([&] {
    at::Tensor gi, gw, gb;
    check_fits(get(input), norm);
    TORCH_CHECK(get(grad_output).sizes() == get(input).sizes(), "a gradient of shape ", get(grad_output).sizes(),
                " for an input of shape ", get(input).sizes());
    if (!takes(get(input))) {
      const PlainNormGradient found(get(grad_output), get(input), norm, batch);
      gi = found.input;
      gw = found.weight;
      gb = found.bias;
    } else {
      const auto &run = *kernels::chosen();
      const auto x = channels_last(get(input));
      const auto statistics = Statistics::of(norm, batch);
      const Affine affine(norm, statistics);
      gi = channels_last(get(grad_output));
      const auto sums = through_relu(run, gi, x, affine);
      if (batch) {
        const NormGradient found(norm, statistics, sums.data(), static_cast<double>(x.numel() / x.size(1)));
        const float *abd = found.coefficients.const_data_ptr<float>();
        const int64_t apart = found.coefficients.size(1);
        resolve(run, gi, x, abd, abd + apart, abd + 2 * apart, at::Tensor(), gi);
        gw = found.weight;
        gb = found.bias;
      } else {
        resolve(run, gi, at::Tensor(), affine.scale.data(), nullptr, nullptr, at::Tensor(), gi);
      }
    }
    hand_out(grad_input, gi);
    hand_out(grad_weight, gw);
    hand_out(grad_bias, gb);
  });
}
