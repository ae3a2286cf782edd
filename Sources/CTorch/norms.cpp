// Batch normalisation and ReLU, each with its backward.
//
// In float32 and bfloat16 by our kernels; in float64, and where "libtorch" is chosen, by libtorch's operations: the
// plain composition, which the tests hold the other against.
#include "norms.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/threshold_backward.h>

#include <cmath>

#include "device/beside.h"
#include "device/layers.h"
#include "processes.h"

namespace ctorch {

std::vector<double> values(const at::Tensor &tensor) {
  const auto dense = tensor.contiguous();
  std::vector<double> found(dense.numel());
  AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "values",
                             [&] { std::copy_n(elements<scalar_t>(dense), found.size(), found.begin()); });
  return found;
}

namespace {
void put_into(const at::Tensor &tensor, const double *from) {
  AT_DISPATCH_FLOATING_TYPES(tensor.scalar_type(), "put_into",
                             [&] { std::copy_n(from, tensor.numel(), tensor.mutable_data_ptr<scalar_t>()); });
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
    TORCH_CHECK(static_cast<int64_t>(both.size()) == 2 * get(norm.weight).numel(), "statistics of shape ",
                get(batch).sizes(), " for a normalisation of ", get(norm.weight).numel(), " channels");
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
/// Σ, over the processes whose images are one batch, of each of the values.
std::vector<double> over_processes(ctorch_group group, std::vector<double> own) {
  if (!group) return own;
  return values(sum_over(group, tensor_of(own.data(), {static_cast<int64_t>(own.size())}, at::kDouble)));
}

std::vector<double> sums_of(const kernels::Kernels &run, const at::Tensor &x) {
  const auto pixels = pixels_of(x);
  return summed(pixels.count, 2 * kernels::padded(pixels.channels),
                [&](int64_t, int64_t begin, int64_t end, double *sums) {
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
                          const ctorch_norm &norm, ctorch_norm_mode mode) {
  if (mode.statistics == CTORCH_RUNNING) return of(norm, nullptr);
  auto sums = known_sums ? values(get(known_sums)) : sums_of(run, x);
  const int64_t channels = x.size(1), apart = static_cast<int64_t>(sums.size()) / 2;
  TORCH_CHECK(apart >= channels, "sums of ", apart, " channels for ", channels);
  sums.push_back(static_cast<double>(x.numel() / channels));
  sums = over_processes(norm.group, std::move(sums));
  const double count = sums.back();
  Statistics found{std::vector<double>(channels), std::vector<double>(channels)};
  std::vector<double> unbiased(channels);
  for (int64_t c = 0; c < channels; ++c) {
    found.mean[c] = sums[c] / count;
    const double variance = sums[apart + c] / count - found.mean[c] * found.mean[c];
    // fmax would make a number of a variance that is none.
    const double kept = std::isnan(variance) ? variance : std::fmax(0, variance);
    unbiased[c] = kept * count / (count - 1);
    found.inverse_deviation[c] = 1 / std::sqrt(kept + norm.epsilon);
  }
  if (mode.statistics == CTORCH_BATCH_UPDATING) {
    move(get(norm.running_mean), found.mean, mode.momentum);
    move(get(norm.running_var), unbiased, mode.momentum);
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

NormGradient::NormGradient(const ctorch_norm &norm, const Statistics &statistics, const double *own, double pixels) {
  const int64_t channels = static_cast<int64_t>(statistics.mean.size()), apart = kernels::padded(channels);
  const auto gamma = values(get(norm.weight));
  std::vector<double> whole(own, own + 2 * apart);
  whole.push_back(pixels);
  whole = over_processes(norm.group, std::move(whole));
  const double count = whole.back();
  std::vector<double> abd(3 * apart), dgamma(channels), dbeta(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double inverse = statistics.inverse_deviation[c];
    // This is the sum over this process's images. Gradients of all parameters are added over processes later.
    dbeta[c] = own[c];
    dgamma[c] = own[apart + c] * inverse;
    // γ/σ·(g − Σg/N − x̂·Σg·x̂/N) with x̂ = (x − mean)/σ
    abd[c] = gamma[c] * inverse;
    abd[apart + c] = -gamma[c] * inverse * inverse * inverse * whole[apart + c] / count;
    abd[2 * apart + c] = -gamma[c] * inverse * whole[c] / count - abd[apart + c] * statistics.mean[c];
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
  return summed(
      pixels.count, 2 * kernels::padded(pixels.channels), [&](int64_t, int64_t begin, int64_t end, double *sums) {
        run.norm_relu_backward(pixels, gradient.const_data_ptr(), x.const_data_ptr(), affine.scale.data(),
                               affine.shift.data(), affine.mean.data(), gradient.mutable_data_ptr(), begin, end, sums);
      });
}

void resolve(const kernels::Kernels &run, const at::Tensor &gradient, const at::Tensor &x, const float *a,
             const float *b, const float *d, const at::Tensor &skip, const at::Tensor &out) {
  const auto pixels = pixels_of(gradient);
  in_pieces(pixels.count, [&](int64_t, int64_t begin, int64_t end) {
    run.norm_gradient(pixels, skip.defined() ? skip.const_data_ptr() : nullptr, gradient.const_data_ptr(),
                      x.defined() ? x.const_data_ptr() : nullptr, a, b, d, out.mutable_data_ptr(), begin, end);
  });
}

// MARK: by libtorch

namespace {
/// A value a channel, to be multiplied by or added to images.
at::Tensor across(const at::Tensor &channels) { return channels.view({1, -1, 1, 1}); }

/// As wide as sums over a batch need.
at::Tensor wide(const at::Tensor &x) { return x.to(at::kDouble); }

/// Σa and Σb of each channel, and how many pixels a channel has: 2·C + 1.
at::Tensor channel_sums(const at::Tensor &a, const at::Tensor &b) {
  const auto pixels = at::full({1}, static_cast<double>(a.numel() / a.size(1)), a.options());
  return at::cat({a.sum({0, 2, 3}), b.sum({0, 2, 3}), pixels});
}

/// ReLU(γ·(x − mean)·inverse + β), `both` being mean and inverse deviation.
at::Tensor normalised(const at::Tensor &x, const ctorch_norm &norm, const at::Tensor &both) {
  const auto slope = wide(get(norm.weight)).mul(both[1]);
  return wide(x).sub(across(both[0])).mul(across(slope)).add(across(wide(get(norm.bias)))).relu_().to(x.scalar_type());
}
}  // namespace

PlainNorm::PlainNorm(const at::Tensor &x, const ctorch_norm &norm, ctorch_norm_mode mode) {
  const bool by_batch = mode.statistics != CTORCH_RUNNING;
  if (norm.group && by_batch) {
    over_processes(x, norm, mode);
    return;
  }
  const bool reads_running = mode.statistics != CTORCH_BATCH;
  auto [y, mean, inverse] = at::native_batch_norm(
      x, get(norm.weight), get(norm.bias), reads_running ? get(norm.running_mean) : at::Tensor(),
      reads_running ? get(norm.running_var) : at::Tensor(), by_batch, mode.momentum, norm.epsilon);
  output = y.relu_();
  if (by_batch) batch = at::stack({mean, inverse});
}

/// libtorch normalises by the statistics of one process's images: here they are of all, in float64.
void PlainNorm::over_processes(const at::Tensor &x, const ctorch_norm &norm, ctorch_norm_mode mode) {
  const auto own = wide(x);
  const int64_t channels = x.size(1);
  const auto sums = sum_over(norm.group, channel_sums(own, own.square()));
  const auto count = sums.narrow(0, 2 * channels, 1);
  const auto mean = sums.narrow(0, 0, channels).div(count);
  const auto variance = sums.narrow(0, channels, channels).div(count).sub(mean.square()).clamp_min(0);
  batch = at::stack({mean, variance.add(norm.epsilon).rsqrt()});
  output = normalised(x, norm, batch);
  if (mode.statistics != CTORCH_BATCH_UPDATING) return;
  const auto move = [&](const at::Tensor &running, const at::Tensor &value) {
    running.copy_(wide(running).lerp(value, mode.momentum));
  };
  move(get(norm.running_mean), mean);
  move(get(norm.running_var), variance.mul(count.div(count.sub(1))));
}

at::Tensor PlainNorm::again(const at::Tensor &x, const ctorch_norm &norm, ctorch_tensor batch) {
  if (batch && norm.group) return normalised(x, norm, get(batch));
  return PlainNorm(x, norm, {.statistics = batch ? CTORCH_BATCH : CTORCH_RUNNING, .momentum = 0}).output;
}

PlainNormGradient::PlainNormGradient(const at::Tensor &gradient, const at::Tensor &output, const at::Tensor &x,
                                     const ctorch_norm &norm, ctorch_tensor batch) {
  const auto through = at::threshold_backward(gradient, output, 0);
  if (!batch) {
    const auto scale = get(norm.weight).mul(get(norm.running_var).add(norm.epsilon).rsqrt());
    input = through.mul(across(scale.to(through.scalar_type())));
    return;
  }
  auto &both = get(batch);
  if (!norm.group) {
    std::tie(input, weight, bias) =
        at::native_batch_norm_backward(through, x, get(norm.weight), get(norm.running_mean), get(norm.running_var),
                                       both[0], both[1], true, norm.epsilon, {true, true, true});
    return;
  }
  // γ/σ·(g − Σg/N − x̂·Σg·x̂/N), its sums over the processes; those of γ and β are of this one's images.
  const auto g = wide(through), hat = wide(x).sub(across(both[0])).mul(across(both[1]));
  const int64_t channels = x.size(1);
  const auto own = channel_sums(g, g.mul(hat));
  const auto sums = sum_over(norm.group, own);
  const auto count = sums.narrow(0, 2 * channels, 1);
  const auto mean = [&](int64_t which) { return across(sums.narrow(0, which * channels, channels).div(count)); };
  input = g.sub(mean(0)).sub(hat.mul(mean(1))).mul(across(wide(get(norm.weight)).mul(both[1]))).to(x.scalar_type());
  const auto type = get(norm.weight).scalar_type();
  bias = own.narrow(0, 0, channels).to(type);
  weight = own.narrow(0, channels, channels).to(type);
}

void check_fits(const at::Tensor &x, const ctorch_norm &norm) {
  TORCH_CHECK(x.dim() == 4 && x.size(1) >= 1 && x.size(2) >= 1 && x.size(3) >= 1, "images of shape ", x.sizes());
  const int64_t channels = x.size(1);
  for (auto value : {norm.weight, norm.bias, norm.running_mean, norm.running_var}) {
    TORCH_CHECK(get(value).numel() == channels, "an input of shape ", x.sizes(), " for a normalisation of ",
                get(value).numel(), " channels");
  }
}

void check_updating(const at::Tensor &x, const ctorch_norm &norm, ctorch_norm_mode mode) {
  TORCH_CHECK(mode.statistics != CTORCH_BATCH_UPDATING || norm.group || x.numel() != x.size(1), "a batch of shape ",
              x.sizes(), " has one value a channel, which has no variance: train on batches of more images");
}

void count_update(const ctorch_norm &norm, ctorch_norm_mode mode) {
  if (mode.statistics != CTORCH_BATCH_UPDATING) return;
  count_write(norm.running_mean);
  count_write(norm.running_var);
}

}  // namespace ctorch

using namespace ctorch;

int ctorch_norm_relu(ctorch_tensor input, ctorch_tensor sums, ctorch_norm norm, ctorch_norm_mode mode,
                     ctorch_tensor *out, ctorch_tensor *batch) {
  return guarded([&] {
    at::Tensor y, b;
    check_fits(get(input), norm);
    check_updating(get(input), norm, mode);
    if (device::takes(get(input), norm)) {
      const auto found = device::norm_relu(channels_last(get(input)), get_or_undefined(sums), norm, mode);
      y = found.output;
      b = found.batch;
    } else if (!takes(get(input))) {
      const PlainNorm found(get(input), norm, mode);
      y = found.output;
      b = found.batch;
    } else {
      const auto &run = *kernels::chosen();
      const auto x = channels_last(get(input));
      const auto found = Statistics::of(run, x, sums, norm, mode);
      y = norm_relu(run, x, Affine(norm, found));
      if (mode.statistics != CTORCH_RUNNING) b = found.as_batch();
    }
    count_update(norm, mode);
    hand_out(out, y);
    hand_out(batch, b);
  });
}

int ctorch_norm_relu_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_norm norm, ctorch_tensor batch,
                              ctorch_tensor *grad_input, ctorch_tensor *grad_weight, ctorch_tensor *grad_bias) {
  return guarded([&] {
    at::Tensor gi, gw, gb;
    check_fits(get(input), norm);
    TORCH_CHECK(
        get(grad_output).sizes() == get(input).sizes() && get(grad_output).scalar_type() == get(input).scalar_type(),
        "a gradient of shape ", get(grad_output).sizes(), " and type ", get(grad_output).scalar_type(),
        " for an input of shape ", get(input).sizes(), " and type ", get(input).scalar_type());
    if (batch && device::takes(get(input), norm)) {
      gi = channels_last(get(grad_output));
      device::await_beside(gi);
      const auto found = device::norm_relu_backward(gi, channels_last(get(input)), norm, get(batch));
      gw = found.weight;
      gb = found.bias;
    } else if (!takes(get(input))) {
      const PlainNormGradient found(get(grad_output), PlainNorm::again(get(input), norm, batch), get(input), norm,
                                    batch);
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
        const float *abd = elements<float>(found.coefficients);
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
