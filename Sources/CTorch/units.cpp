// Batch normalisation, ReLU and convolution: the units that residual functions are made of, each with its backward.
//
// Three ways lead through a unit. In float32 and bfloat16 a 3×3 convolution of stride 1 is one pass of ours, with the
// normalisation in it (kernels/winograd.h). Other convolutions are libtorch's, between passes of ours for the
// normalisation (kernels/pointwise.h). In float64, and where "libtorch" is chosen, all of it is libtorch's: the plain
// composition, which the tests hold the other two against.
#include <ATen/Dispatch.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/threshold_backward.h>

#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/select.h"
#include "support.h"

using namespace ctorch;
using kernels::Images;
using kernels::Kernels;
using kernels::padded;
using kernels::Pixels;

namespace {

// MARK: values a channel

std::vector<double> values(const at::Tensor &tensor) {
  const auto dense = tensor.contiguous();
  std::vector<double> found(dense.numel());
  AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "values", [&] {
    std::copy_n(dense.const_data_ptr<scalar_t>(), found.size(), found.begin());
  });
  return found;
}

void put_into(const at::Tensor &tensor, const double *from) {
  AT_DISPATCH_FLOATING_TYPES(tensor.scalar_type(), "put_into", [&] {
    std::copy_n(from, tensor.numel(), tensor.mutable_data_ptr<scalar_t>());
  });
}

at::Tensor tensor_of(const double *from, at::IntArrayRef shape, at::ScalarType type) {
  auto tensor = at::empty(shape, type);
  put_into(tensor, from);
  return tensor;
}

std::vector<float> lined_up(const at::Tensor &tensor, int64_t channels) {
  std::vector<float> line(padded(channels));
  const auto from = values(tensor);
  std::copy(from.begin(), from.end(), line.begin());
  return line;
}

/// A normalisation as the kernels take it: scale·x + shift.
struct Affine {
  std::vector<float> scale, shift, mean;

  Affine(const ctorch_norm &norm, const std::vector<double> &means, const std::vector<double> &inverse_deviations)
      : scale(padded(means.size())), shift(scale), mean(scale) {
    const auto gamma = values(get(norm.weight)), beta = values(get(norm.bias));
    for (size_t c = 0; c < means.size(); ++c) {
      scale[c] = static_cast<float>(gamma[c] * inverse_deviations[c]);
      shift[c] = static_cast<float>(beta[c] - means[c] * gamma[c] * inverse_deviations[c]);
      mean[c] = static_cast<float>(means[c]);
    }
  }
};

/// The statistics that a normalisation runs by, and what is made of them.
struct Statistics {
  std::vector<double> mean, inverse_deviation;

  static Statistics running(const ctorch_norm &norm) {
    Statistics found{values(get(norm.running_mean)), values(get(norm.running_var))};
    for (auto &value : found.inverse_deviation) value = 1 / std::sqrt(value + norm.epsilon);
    return found;
  }

  static Statistics of_batch(const at::Tensor &batch) {
    const auto both = values(batch);
    const auto middle = both.begin() + both.size() / 2;
    return {{both.begin(), middle}, {middle, both.end()}};
  }

  static Statistics of(const ctorch_norm &norm, ctorch_tensor batch) {
    return batch ? of_batch(get(batch)) : running(norm);
  }

  at::Tensor as_batch() const {
    auto both = mean;
    both.insert(both.end(), inverse_deviation.begin(), inverse_deviation.end());
    return tensor_of(both.data(), {2, static_cast<int64_t>(mean.size())}, at::kDouble);
  }
};

// MARK: calling the kernels

bool takes(const at::Tensor &input) {
  return kernels::chosen() != nullptr && input.is_cpu() && input.dim() == 4 &&
         (input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16);
}

bool takes(const at::Tensor &input, const at::Tensor &weight, int stride) {
  return takes(input) && stride == 1 && weight.size(2) == 3;
}

Images images_of(const at::Tensor &tensor) {
  return {tensor.size(0), tensor.size(2), tensor.size(3), tensor.scalar_type() == at::kBFloat16};
}

Pixels pixels_of(const at::Tensor &tensor) {
  return {tensor.size(0) * tensor.size(2) * tensor.size(3), tensor.size(1), tensor.scalar_type() == at::kBFloat16};
}

at::Tensor like(const at::Tensor &tensor, int64_t channels) {
  return at::empty({tensor.size(0), channels, tensor.size(2), tensor.size(3)},
                   tensor.options().memory_format(at::MemoryFormat::ChannelsLast));
}

/// Calls `body(piece, begin, end)` for equal pieces of 0 ..< count, a thread each. The pieces, and so the order in which
/// sums of theirs are added up, depend on `count` and the thread count only.
template <class Body>
int64_t in_pieces(int64_t count, const Body &body) {
  const int64_t pieces = std::max<int64_t>(1, std::min<int64_t>(count, ctorch_threads()));
  parallel(pieces, [&](int64_t from, int64_t to) {
    for (int64_t piece = from; piece < to; ++piece) {
      body(piece, count * piece / pieces, count * (piece + 1) / pieces);
    }
  });
  return pieces;
}

/// As `in_pieces`, with `size` sums that each piece adds to and that are added up here.
template <class Body>
std::vector<double> summed(int64_t count, int64_t size, const Body &body) {
  // A cache line between the pieces' sums.
  const int64_t apart = size + 8;
  std::vector<double> sums(apart * ctorch_threads());
  const int64_t pieces = in_pieces(
      count, [&](int64_t piece, int64_t begin, int64_t end) { body(piece, begin, end, sums.data() + piece * apart); });
  for (int64_t piece = 1; piece < pieces; ++piece) {
    for (int64_t i = 0; i < size; ++i) sums[i] += sums[piece * apart + i];
  }
  sums.resize(size);
  return sums;
}

/// Memory of this thread for `size` floats, which stays: a filter as the kernels read it.
float *filter_memory(int64_t size) {
  static thread_local std::vector<float> memory;
  if (static_cast<int64_t>(memory.size()) < size) memory.resize(size);
  return memory.data();
}

/// A filter as the kernels read it.
class PackedFilter {
 public:
  PackedFilter(const Kernels &run, const at::Tensor &weight, bool rotated)
      : run(run), filter(channels_last(weight.to(at::kFloat))), rotated(rotated) {
    if (size() * sizeof(float) <= small_bytes) return;
    shared = filter_memory(size());
    in_pieces(blocks(), [&](int64_t, int64_t begin, int64_t end) { pack(shared, begin, end); });
  }

  /// For the calling thread. A small one is packed by each thread for itself: to write over what all of them have just
  /// read takes longer than that.
  const float *here() const {
    if (shared) return shared;
    float *memory = filter_memory(size());
    pack(memory, 0, blocks());
    return memory;
  }

 private:
  static constexpr size_t small_bytes = 1 << 20;
  const Kernels &run;
  const at::Tensor filter;
  const bool rotated;
  float *shared = nullptr;

  int64_t size() const { return kernels::packed_size(filter.size(1), filter.size(0)); }
  int64_t blocks() const { return padded(filter.size(0)) / kernels::most_lanes; }
  void pack(float *memory, int64_t begin, int64_t end) const {
    run.pack_filter(filter.const_data_ptr<float>(), filter.size(1), filter.size(0), rotated, memory, begin, end);
  }
};

// MARK: statistics of a batch

std::vector<double> sums_of(const Kernels &run, const at::Tensor &x) {
  const auto pixels = pixels_of(x);
  return summed(pixels.count, 2 * padded(pixels.channels), [&](int64_t, int64_t begin, int64_t end, double *sums) {
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

/// The statistics that a forward runs by; moves the running ones where it should.
Statistics statistics_of(const Kernels &run, const at::Tensor &x, ctorch_tensor known_sums, const ctorch_norm &norm,
                         ctorch_statistics kind, double momentum) {
  if (kind == CTORCH_RUNNING) return Statistics::running(norm);
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

// MARK: the way back through a normalisation

/// a, b and d of a pending gradient, and the gradients of γ and β, from Σg and Σg·(x − mean).
struct NormGradient {
  at::Tensor coefficients, weight, bias;

  NormGradient(const ctorch_norm &norm, const Statistics &statistics, const double *sums, double count) {
    const int64_t channels = static_cast<int64_t>(statistics.mean.size()), apart = padded(channels);
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
};

/// Each of a pending gradient's parts, as libtorch's tensors; undefined where there is none.
struct PendingTensors {
  at::Tensor gradient, normed, coefficients;

  explicit PendingTensors(const ctorch_pending &from)
      : gradient(channels_last(get(from.gradient))), normed(get_or_undefined(from.normed)),
        coefficients(get_or_undefined(from.coefficients)) {
    if (normed.defined()) normed = channels_last(normed);
  }

  const float *coefficient(int which) const {
    return coefficients.defined() ? coefficients.const_data_ptr<float>() + which * coefficients.size(1) : nullptr;
  }
};

/// out = kept + a·gradient + b·x + d, where there are such; `out` may be `gradient`.
void resolve(const Kernels &run, const at::Tensor &gradient, const at::Tensor &x, const float *a, const float *b,
             const float *d, const at::Tensor &kept, const at::Tensor &out) {
  const auto pixels = pixels_of(gradient);
  in_pieces(pixels.count, [&](int64_t, int64_t begin, int64_t end) {
    run.norm_gradient(pixels, kept.defined() ? kept.const_data_ptr() : nullptr, gradient.const_data_ptr(),
                      x.defined() ? x.const_data_ptr() : nullptr, a, b, d, out.mutable_data_ptr(), begin, end);
  });
}

at::Tensor resolved(const Kernels &run, const PendingTensors &pending) {
  if (!pending.coefficients.defined()) return pending.gradient;
  auto out = at::empty_like(pending.gradient);
  resolve(run, pending.gradient, pending.normed, pending.coefficient(0), pending.coefficient(1),
          pending.coefficient(2), at::Tensor(), out);
  return out;
}

// MARK: the plain composition

struct PlainNorm {
  at::Tensor output, batch;

  PlainNorm(const at::Tensor &x, const ctorch_norm &norm, ctorch_statistics kind, double momentum) {
    const bool reads_running = kind != CTORCH_BATCH;
    auto [y, mean, inverse] = at::native_batch_norm(
        x, get(norm.weight), get(norm.bias), reads_running ? get(norm.running_mean) : at::Tensor(),
        reads_running ? get(norm.running_var) : at::Tensor(), kind != CTORCH_RUNNING, momentum, norm.epsilon);
    output = y.relu_();
    if (kind != CTORCH_RUNNING) batch = at::stack({mean, inverse});
  }

  /// The output of a forward that has been made, once more.
  static at::Tensor again(const at::Tensor &x, const ctorch_norm &norm, ctorch_tensor batch) {
    return PlainNorm(x, norm, batch ? CTORCH_BATCH : CTORCH_RUNNING, 0).output;
  }
};

struct PlainNormGradient {
  at::Tensor input, weight, bias;

  PlainNormGradient(const at::Tensor &gradient, const at::Tensor &x, const ctorch_norm &norm, ctorch_tensor batch) {
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
};

at::Tensor plain_convolution(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, int stride) {
  const auto type = x.scalar_type();
  return channels_last(at::conv2d(x, weight.to(type), bias.to(type), stride, weight.size(2) / 2));
}

// MARK: a unit and its way back, by the three ways

struct UnitForward {
  const at::Tensor x, weight, bias, kept;
  int stride;
  double scale;
  bool keeps_residual, wants_sums;
  // What comes of it.
  at::Tensor residual, sum, sums, squares, batch;

  void by_kernels(const Kernels &run, const Statistics &statistics, const ctorch_norm &norm) {
    const Affine affine(norm, statistics.mean, statistics.inverse_deviation);
    const int64_t outputs = weight.size(0);
    const auto biases = lined_up(bias, outputs);
    if (kept.defined()) sum = like(x, outputs);
    if (!kept.defined() || keeps_residual) residual = like(x, outputs);
    kernels::Forward args{};
    args.images = images_of(x);
    args.inputs = x.size(1);
    args.outputs = outputs;
    args.x = x.const_data_ptr();
    args.scale = affine.scale.data();
    args.shift = affine.shift.data();
    const PackedFilter filter(run, weight, false);
    args.bias = biases.data();
    args.factor = static_cast<float>(scale);
    args.kept = kept.defined() ? kept.const_data_ptr() : nullptr;
    args.residual = residual.defined() ? residual.mutable_data_ptr() : nullptr;
    args.sum = sum.defined() ? sum.mutable_data_ptr() : nullptr;
    args.sums = wants_sums;
    args.squares = keeps_residual;
    const auto found = summed(args.images.tile_rows(), 2 * padded(outputs) + 2 * args.images.count,
                              [&](int64_t, int64_t begin, int64_t end, double *to) {
                                auto part = args;
                                part.filter = filter.here();
                                run.forward(part, begin, end, to);
                              });
    if (wants_sums) sums = tensor_of(found.data(), {2, padded(outputs)}, at::kDouble);
    if (keeps_residual) squares = tensor_of(found.data() + 2 * padded(outputs), {2, x.size(0)}, at::kDouble);
  }

  /// The rest of the unit from the output of its normalisation.
  void by_libtorch(const at::Tensor &normed) {
    residual = plain_convolution(normed, weight, bias, stride);
    if (scale != 1) residual.mul_(scale);
    if (!kept.defined()) return;
    sum = keeps_residual ? residual.add(kept) : residual.add_(kept);
    if (!keeps_residual) residual = at::Tensor();
  }
};

struct UnitBackward {
  const PendingTensors gradient;
  const at::Tensor x, weight, kept, beside;
  int stride;
  bool wants_parameters;
  // What comes of it.
  at::Tensor out, coefficients, products, norm_weight, norm_bias, grad_weight, grad_bias;

  void by_kernels(const Kernels &run, const ctorch_norm &norm, ctorch_tensor batch) {
    const auto statistics = Statistics::of(norm, batch);
    const Affine affine(norm, statistics.mean, statistics.inverse_deviation);
    const int64_t inputs = x.size(1), outputs = weight.size(0);
    out = at::empty_like(x);
    kernels::Backward args{};
    args.images = images_of(x);
    args.inputs = inputs;
    args.outputs = outputs;
    args.gradient = gradient.gradient.const_data_ptr();
    args.normed = gradient.normed.defined() ? gradient.normed.const_data_ptr() : nullptr;
    args.a = gradient.coefficient(0);
    args.b = gradient.coefficient(1);
    args.d = gradient.coefficient(2);
    args.x = x.const_data_ptr();
    args.scale = affine.scale.data();
    args.shift = affine.shift.data();
    args.mean = affine.mean.data();
    const PackedFilter packed(run, weight, true);
    args.out = out.mutable_data_ptr();
    args.factor = batch ? nullptr : affine.scale.data();
    args.kept = kept.defined() ? kept.const_data_ptr() : nullptr;
    args.parameters = wants_parameters || batch != nullptr;
    args.beside = beside.defined() && !batch ? beside.const_data_ptr() : nullptr;

    const int64_t size = args.parameters ? kernels::gradient_size(inputs, outputs) : 0;
    float *memory = gradient_memory(size * ctorch_threads());
    int64_t parts = 0;
    std::atomic<int64_t> used{0};
    const int64_t channel_sums = 2 * padded(inputs) + padded(outputs);
    const auto sums = summed(args.images.tile_rows(), channel_sums + 2 * args.images.count,
                             [&](int64_t piece, int64_t begin, int64_t end, double *to) {
                               std::fill_n(memory + piece * size, size, 0.0f);
                               auto part = args;
                               part.filter = packed.here();
                               run.backward(part, begin, end, memory + piece * size, to);
                               ++used;
                             });
    parts = used;
    if (args.beside) products = tensor_of(sums.data() + channel_sums, {2, x.size(0)}, at::kDouble);
    if (batch) {
      const NormGradient found(norm, statistics, sums.data(), static_cast<double>(x.numel() / inputs));
      coefficients = found.coefficients;
      norm_weight = found.weight;
      norm_bias = found.bias;
    }
    if (!wants_parameters) return;
    const auto filter = at::empty(weight.sizes(), at::TensorOptions(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast));
    in_pieces(padded(outputs) / kernels::most_lanes, [&](int64_t, int64_t begin, int64_t end) {
      run.unpack_gradient(memory, parts, inputs, outputs, filter.mutable_data_ptr<float>(), begin, end);
    });
    grad_weight = filter.to(weight.scalar_type());
    grad_bias = tensor_of(sums.data() + 2 * padded(inputs), {outputs}, weight.scalar_type());
  }

  /// Memory of this thread for `size` floats, which stays.
  static float *gradient_memory(int64_t size) {
    static thread_local std::vector<float> memory;
    if (static_cast<int64_t>(memory.size()) < size) memory.resize(size);
    return memory.data();
  }

  /// The convolution's part, given the gradient with respect to its output and its input.
  at::Tensor convolution_by_libtorch(const at::Tensor &whole, const at::Tensor &normed) {
    auto [through, w, b] = at::convolution_backward(
        whole, normed, weight.to(whole.scalar_type()), weight.sizes().slice(0, 1), {stride, stride},
        {weight.size(2) / 2, weight.size(2) / 2}, {1, 1}, false, {0, 0}, 1, {true, wants_parameters, wants_parameters});
    if (wants_parameters) {
      grad_weight = channels_last(w.to(weight.scalar_type()));
      grad_bias = b.to(weight.scalar_type());
    }
    return channels_last(through);
  }
};

/// ReLU(norm) by our kernels.
at::Tensor normed_by_kernels(const Kernels &run, const at::Tensor &x, const Affine &affine) {
  auto out = at::empty_like(x);
  const auto pixels = pixels_of(x);
  in_pieces(pixels.count, [&](int64_t, int64_t begin, int64_t end) {
    run.norm_relu(pixels, x.const_data_ptr(), affine.scale.data(), affine.shift.data(), out.mutable_data_ptr(), begin,
                  end);
  });
  return out;
}

/// `gradient` where the ReLU let through, in place. Returns Σg and Σg·(x − mean).
std::vector<double> through_relu(const Kernels &run, const at::Tensor &gradient, const at::Tensor &x,
                                 const Affine &affine) {
  const auto pixels = pixels_of(x);
  return summed(pixels.count, 2 * padded(pixels.channels), [&](int64_t, int64_t begin, int64_t end, double *sums) {
    run.norm_relu_backward(pixels, gradient.const_data_ptr(), x.const_data_ptr(), affine.scale.data(),
                           affine.shift.data(), affine.mean.data(), gradient.mutable_data_ptr(), begin, end, sums);
  });
}

// The kernels read and write by these shapes, and nothing behind them looks again.

void check_fits(const at::Tensor &x, const ctorch_norm &norm) {
  const int64_t channels = x.dim() == 4 ? x.size(1) : -1;
  for (auto value : {norm.weight, norm.bias, norm.running_mean, norm.running_var}) {
    TORCH_CHECK(get(value).numel() == channels, "an input of shape ", x.sizes(), " for a normalisation of ",
                get(value).numel(), " channels");
  }
}

void check_fits(const at::Tensor &x, const ctorch_norm &norm, const at::Tensor &weight) {
  check_fits(x, norm);
  TORCH_CHECK(weight.dim() == 4 && x.size(1) == weight.size(1) && weight.size(2) == weight.size(3) &&
                  weight.size(2) % 2 == 1,
              "an input of shape ", x.sizes(), " for a convolution of shape ", weight.sizes());
}

/// `tensor`, where it is defined, is of the shape and type of a unit's output.
void check_output(const at::Tensor &tensor, const at::Tensor &x, const at::Tensor &weight, int stride,
                  const char *name) {
  if (!tensor.defined()) return;
  const std::vector<int64_t> shape = {x.size(0), weight.size(0), (x.size(2) + stride - 1) / stride,
                                      (x.size(3) + stride - 1) / stride};
  TORCH_CHECK(tensor.sizes() == at::IntArrayRef(shape) && tensor.scalar_type() == x.scalar_type(), name, " has shape ",
              tensor.sizes(), " and type ", tensor.scalar_type(), " where ", at::IntArrayRef(shape), " and ",
              x.scalar_type(), " belong");
}

void hand_out(ctorch_tensor *place, const at::Tensor &tensor) {
  if (place && tensor.defined()) *place = wrap(tensor);
}

}  // namespace

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
      const auto found = statistics_of(run, x, sums, norm, statistics, momentum);
      y = normed_by_kernels(run, x, Affine(norm, found.mean, found.inverse_deviation));
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
      const Affine affine(norm, statistics.mean, statistics.inverse_deviation);
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

int ctorch_unit(ctorch_tensor input, ctorch_tensor input_sums, ctorch_norm norm, ctorch_statistics statistics,
                double momentum, ctorch_tensor weight, ctorch_tensor bias, int stride, double scale,
                ctorch_tensor kept, bool keeps_residual, ctorch_tensor *residual, ctorch_tensor *sum,
                ctorch_tensor *sums, ctorch_tensor *squares, ctorch_tensor *batch) {
  return guarded([&] {
    const auto x = channels_last(get(input));
    const auto k = kept ? channels_last(get(kept)) : at::Tensor();
    UnitForward unit{x, get(weight), get(bias), k, stride, scale, keeps_residual, sums != nullptr, {}, {}, {}, {}, {}};
    check_fits(x, norm, unit.weight);
    check_output(k, x, unit.weight, stride, "what is kept");
    if (!takes(x)) {
      const PlainNorm found(x, norm, statistics, momentum);
      unit.by_libtorch(found.output);
      unit.batch = found.batch;
    } else {
      const auto &run = *kernels::chosen();
      const auto found = statistics_of(run, x, input_sums, norm, statistics, momentum);
      if (statistics != CTORCH_RUNNING) unit.batch = found.as_batch();
      if (takes(x, unit.weight, stride)) {
        unit.by_kernels(run, found, norm);
      } else {
        unit.by_libtorch(normed_by_kernels(run, x, Affine(norm, found.mean, found.inverse_deviation)));
      }
    }
    hand_out(residual, unit.residual);
    hand_out(sum, unit.sum);
    hand_out(sums, unit.sums);
    hand_out(squares, unit.squares);
    hand_out(batch, unit.batch);
  });
}

int ctorch_unit_backward(ctorch_pending gradient, ctorch_tensor input, ctorch_norm norm, ctorch_tensor batch,
                         ctorch_tensor weight, int stride, ctorch_tensor kept, ctorch_tensor beside,
                         ctorch_pending *out, ctorch_tensor *products, ctorch_unit_gradients *gradients) {
  return guarded([&] {
    const auto x = channels_last(get(input));
    const auto k = kept ? channels_last(get(kept)) : at::Tensor();
    const auto other = beside ? channels_last(get(beside)) : at::Tensor();
    UnitBackward unit{PendingTensors(gradient), x, get(weight), k, other, stride, gradients != nullptr, {}, {}, {}, {},
                      {}, {}, {}};
    TORCH_CHECK(!other.defined() || (other.sizes() == x.sizes() && other.scalar_type() == x.scalar_type()),
                "products of a gradient of shape ", x.sizes(), " with a tensor of shape ", other.sizes());
    TORCH_CHECK(!k.defined() || (k.sizes() == x.sizes() && k.scalar_type() == x.scalar_type()),
                "what is kept has shape ", k.sizes(), " where ", x.sizes(), " belongs");
    check_fits(x, norm, unit.weight);
    check_output(unit.gradient.gradient, x, unit.weight, stride, "the gradient");
    check_output(unit.gradient.normed, x, unit.weight, stride, "the normalised output");
    if (!takes(x)) {
      TORCH_CHECK(!unit.gradient.coefficients.defined(), "a pending gradient of kernels that do not run any more");
      const auto through =
          unit.convolution_by_libtorch(unit.gradient.gradient, PlainNorm::again(x, norm, batch));
      const PlainNormGradient found(through, x, norm, batch);
      unit.out = !batch && k.defined() ? found.input.add(k) : found.input;
      unit.norm_weight = found.weight;
      unit.norm_bias = found.bias;
    } else {
      const auto &run = *kernels::chosen();
      if (takes(x, unit.weight, stride)) {
        unit.by_kernels(run, norm, batch);
      } else {
        const auto statistics = Statistics::of(norm, batch);
        const Affine affine(norm, statistics.mean, statistics.inverse_deviation);
        unit.out = unit.convolution_by_libtorch(resolved(run, unit.gradient), normed_by_kernels(run, x, affine));
        const auto sums = through_relu(run, unit.out, x, affine);
        if (batch) {
          const NormGradient found(norm, statistics, sums.data(), static_cast<double>(x.numel() / x.size(1)));
          unit.coefficients = found.coefficients;
          unit.norm_weight = found.weight;
          unit.norm_bias = found.bias;
        } else {
          resolve(run, unit.out, at::Tensor(), affine.scale.data(), nullptr, nullptr, k, unit.out);
        }
      }
    }
    *out = {};
    hand_out(&out->gradient, unit.out);
    if (unit.coefficients.defined()) {
      hand_out(&out->normed, x);
      hand_out(&out->coefficients, unit.coefficients);
    }
    hand_out(products, unit.products);
    if (!gradients) return;
    *gradients = {};
    hand_out(&gradients->norm_weight, unit.norm_weight);
    hand_out(&gradients->norm_bias, unit.norm_bias);
    hand_out(&gradients->weight, unit.grad_weight);
    hand_out(&gradients->bias, unit.grad_bias);
  });
}

int ctorch_resolve(ctorch_pending gradient, ctorch_tensor kept, ctorch_tensor *out) {
  return guarded([&] {
    const PendingTensors pending(gradient);
    const auto k = kept ? channels_last(get(kept)) : at::Tensor();
    if (!pending.coefficients.defined()) {
      if (k.defined()) pending.gradient.add_(k);
      *out = wrap(pending.gradient);
      return;
    }
    TORCH_CHECK(takes(pending.gradient), "a pending gradient of kernels that do not run any more");
    resolve(*kernels::chosen(), pending.gradient, pending.normed, pending.coefficient(0), pending.coefficient(1),
            pending.coefficient(2), k, pending.gradient);
    *out = wrap(pending.gradient);
  });
}

const char *ctorch_kernel_sets(void) {
  static const std::string names = [] {
    std::string text;
    for (auto *kernels : kernels::available()) text += std::string(kernels->name) + ",";
    return text + kernels::libtorch;
  }();
  return names.c_str();
}

const char *ctorch_kernel_set(void) {
  auto *kernels = kernels::chosen();
  return kernels ? kernels->name : kernels::libtorch;
}

int ctorch_use_kernel_set(const char *name) {
  return guarded([&] {
    TORCH_CHECK(kernels::choose(name), "the kernels that run here are ", ctorch_kernel_sets(), ", and ", name,
                " is none of them");
  });
}
