// Batch normalisation, ReLU and convolution: the units that residual functions are made of, each with its backward.
//
// Three ways lead through a unit. A 3×3 convolution of stride 1, and a narrow one of stride 2 in float32, is one pass
// of ours, with the normalisation in it (kernels/winograd.h). Other convolutions are libtorch's, between passes of ours
// for the normalisation (kernels/pointwise.h). In float64, and where "libtorch" is chosen, all of it is libtorch's: the
// plain composition, which the tests hold the other two against.
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "convolution.h"
#include "device/beside.h"
#include "device/filters.h"
#include "device/launching.h"
#include "device/units.h"
#include "norms.h"

using namespace ctorch;
using kernels::Kernels;
using kernels::padded;

namespace {

// MARK: what units are given

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
    run.pack_filter(elements<float>(filter), filter.size(1), filter.size(0), rotated, memory, begin, end);
  }
};

/// Each of a pending gradient's parts, as libtorch's tensors; undefined where there is none.
struct PendingTensors {
  at::Tensor gradient, normed, coefficients, skip;

  explicit PendingTensors(const ctorch_pending &from)
      : gradient(channels_last(get(from.gradient))),
        normed(get_or_undefined(from.normed)),
        coefficients(get_or_undefined(from.coefficients)),
        skip(get_or_undefined(from.skip)) {
    if (normed.defined()) normed = channels_last(normed);
    if (skip.defined()) skip = channels_last(skip);
    TORCH_CHECK(!skip.defined() || (coefficients.defined() && skip.sizes() == gradient.sizes() &&
                                    skip.scalar_type() == gradient.scalar_type()),
                "a skip of shape ", skip.sizes(), " for a pending gradient of shape ", gradient.sizes());
    // On a GPU they are still to be computed from sums (device/units.h).
    const bool fits =
        !coefficients.defined() || (gradient.dim() == 4 && coefficients.size(1) >= gradient.size(1) &&
                                    (coefficients.dim() == 2 ? coefficients.size(0) == 3 : coefficients.size(2) == 2));
    TORCH_CHECK(fits, "coefficients of shape ", coefficients.sizes(), " for a gradient of shape ", gradient.sizes());
  }

  const float *coefficient(int which) const {
    return coefficients.defined() ? elements<float>(coefficients) + which * coefficients.size(1) : nullptr;
  }

  device::Gradient on_device() const {
    return {.gradient = gradient, .normed = normed, .sums = coefficients, .skip = skip};
  }
};

/// Computes a pending gradient. The result goes to `out`, which may share the gradient's memory.
void resolve(const PendingTensors &pending, const at::Tensor &out) {
  if (device::launches(pending.gradient)) {
    device::resolve(pending.on_device(), out);
    return;
  }
  TORCH_CHECK(takes(pending.gradient), "a pending gradient of kernels that do not run any more");
  ctorch::resolve(*kernels::chosen(), pending.gradient, pending.normed, pending.coefficient(0), pending.coefficient(1),
                  pending.coefficient(2), pending.skip, out);
}

at::Tensor resolved(const PendingTensors &pending) {
  if (!pending.coefficients.defined()) return pending.gradient;
  auto out = at::empty_like(pending.gradient);
  resolve(pending, out);
  return out;
}

/// Computes a pending gradient in its own memory, and adds `skip` where it is defined.
at::Tensor resolved_in_place(PendingTensors pending, const at::Tensor &skip) {
  device::await_beside(pending.gradient);
  const bool together = pending.coefficients.defined() && !pending.skip.defined();
  if (together) pending.skip = skip;
  if (pending.coefficients.defined()) resolve(pending, pending.gradient);
  if (!together && skip.defined()) pending.gradient.add_(skip);
  return pending.gradient;
}

at::Tensor plain_convolution(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, int stride) {
  const auto type = x.scalar_type();
  return channels_last(at::conv2d(x, weight.to(type), bias.to(type), stride, weight.size(2) / 2));
}

/// Sums of squares, an image each, and what goes with them, or none at all: they were summed in float32, in which
/// squares of what is very large or small are no numbers or nothing. Who needs them takes them in float64 then.
at::Tensor per_image(const double *from, const double *squares, int64_t count, int64_t images) {
  const bool holds =
      std::all_of(squares, squares + count, [](double sum) { return sum > 1e-20 && std::isfinite(sum); }) &&
      std::all_of(from, from + 2 * images, [](double sum) { return std::isfinite(sum); });
  return holds ? tensor_of(from, {2, images}, at::kDouble) : at::Tensor();
}

// MARK: a unit and its way back, by the three ways

struct UnitForward {
  const at::Tensor x, weight, bias, skip;
  int stride;
  double scale;
  bool keeps_added, wants_sums;
  // Results.
  at::Tensor added, sum, sums, squares, batch, normed;

  void by_kernels(const Kernels &run, const Statistics &statistics, const ctorch_norm &norm) {
    const Affine affine(norm, statistics);
    const int64_t outputs = weight.size(0);
    const auto biases = lined_up(bias, outputs);
    const auto room = [&] { return like(x, outputs, stride); };
    if (skip.defined()) sum = room();
    if (!skip.defined() || keeps_added) added = room();
    kernels::Forward args{};
    args.images = images_of(x);
    args.inputs = x.size(1);
    args.outputs = outputs;
    args.stride = stride;
    args.x = x.const_data_ptr();
    args.scale = affine.scale.data();
    args.shift = affine.shift.data();
    const PackedFilter filter(run, weight, false);
    args.bias = biases.data();
    args.factor = static_cast<float>(scale);
    args.skip = skip.defined() ? skip.const_data_ptr() : nullptr;
    args.residual = added.defined() ? added.mutable_data_ptr() : nullptr;
    args.sum = sum.defined() ? sum.mutable_data_ptr() : nullptr;
    args.sums = wants_sums;
    args.squares = keeps_added;
    const Pieces pieces(args.images.tile_rows(), args.squares ? args.images.tile_rows_an_image() : 1);
    const auto found = summed(pieces, 2 * padded(outputs) + 2 * args.images.count,
                              [&](int64_t, int64_t begin, int64_t end, double *to) {
                                auto part = args;
                                part.filter = filter.here();
                                run.forward(part, begin, end, to);
                              });
    if (wants_sums) sums = tensor_of(found.data(), {2, padded(outputs)}, at::kDouble);
    if (!keeps_added) return;
    const double *each = found.data() + 2 * padded(outputs);
    squares = per_image(each, each, 2 * x.size(0), x.size(0));
  }

  void on_device(ctorch_tensor filter, const ctorch_norm &norm, ctorch_norm_mode mode, const at::Tensor &input_sums) {
    const auto made =
        device::forward({.x = x, .weight = filter, .norm = norm, .stride = stride}, {.input_sums = input_sums,
                                                                                     .mode = mode,
                                                                                     .bias = bias,
                                                                                     .factor = scale,
                                                                                     .skip = skip,
                                                                                     .keeps_added = keeps_added,
                                                                                     .wants_sums = wants_sums});
    added = made.added;
    sum = made.sum;
    sums = made.sums;
    batch = made.batch;
  }

  /// The rest of the unit from the output of its normalisation.
  void by_libtorch(const at::Tensor &normed) {
    added = plain_convolution(normed, weight, bias, stride);
    if (scale != 1) added.mul_(scale);
    if (!skip.defined()) return;
    sum = keeps_added ? added.add(skip) : added.add_(skip);
    if (!keeps_added) added = at::Tensor();
  }
};

struct UnitBackward {
  const PendingTensors gradient;
  const at::Tensor x, weight, skip, beside;
  int stride;
  bool wants_parameters;
  // Results.
  at::Tensor out, whole, coefficients, products, norm_weight, norm_bias, grad_weight, grad_bias;
  // True if the gradients of filter and bias are computed beside other work.
  bool comes_beside = false;

  void by_kernels(const Kernels &run, const ctorch_norm &norm, ctorch_tensor batch) {
    const auto statistics = Statistics::of(norm, batch);
    const Affine affine(norm, statistics);
    const int64_t inputs = x.size(1), outputs = weight.size(0);
    out = at::empty_like(x);
    kernels::Backward args{};
    args.images = images_of(x);
    args.inputs = inputs;
    args.outputs = outputs;
    args.stride = stride;
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
    args.skip = skip.defined() ? skip.const_data_ptr() : nullptr;
    args.parameters = wants_parameters || batch != nullptr;
    args.beside = beside.defined() && !batch ? beside.const_data_ptr() : nullptr;

    const int64_t size = args.parameters ? kernels::gradient_size(inputs, outputs) : 0;
    const Pieces pieces(args.images.tile_rows(), args.beside ? args.images.tile_rows_an_image() : 1);
    float *memory = gradient_memory(size * pieces.number);
    const int64_t channel_sums = 2 * padded(inputs) + padded(outputs);
    const auto sums = summed(pieces, channel_sums + 2 * args.images.count,
                             [&](int64_t piece, int64_t begin, int64_t end, double *to) {
                               std::fill_n(memory + piece * size, size, 0.0f);
                               auto part = args;
                               part.filter = packed.here();
                               run.backward(part, begin, end, memory + piece * size, to);
                             });
    if (args.beside) {
      const double *each = sums.data() + channel_sums;
      products = per_image(each, each + x.size(0), x.size(0), x.size(0));
    }
    if (batch) {
      const NormGradient found(norm, statistics, sums.data(), static_cast<double>(x.numel() / inputs));
      coefficients = found.coefficients;
      norm_weight = found.weight;
      norm_bias = found.bias;
    }
    if (!wants_parameters) return;
    const auto filter =
        at::empty(weight.sizes(), at::TensorOptions(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast));
    in_pieces(padded(outputs) / kernels::most_lanes, [&](int64_t, int64_t begin, int64_t end) {
      run.unpack_gradient(memory, pieces.number, inputs, outputs, filter.mutable_data_ptr<float>(), begin, end);
    });
    grad_weight = filter.to(weight.scalar_type());
    grad_bias = tensor_of(sums.data() + 2 * padded(inputs), {outputs}, weight.scalar_type());
  }

  void on_device(ctorch_tensor filter, const ctorch_norm &norm, const at::Tensor &batch) {
    const auto found = device::backward({.x = x, .weight = filter, .norm = norm, .stride = stride},
                                        gradient.on_device(), batch, wants_parameters);
    whole = found.whole;
    out = found.out;
    coefficients = found.norm_sums;
    norm_weight = found.norm_weight;
    norm_bias = found.norm_bias;
    grad_weight = found.filter.weight;
    grad_bias = found.filter.bias;
    comes_beside = true;
  }

  /// The gradient that was given.
  at::Tensor resolve_gradient() {
    const auto found = resolved(gradient);
    if (gradient.skip.defined()) whole = found;
    return found;
  }

  /// Memory of this thread for `size` floats, which stays.
  static float *gradient_memory(int64_t size) {
    static thread_local std::vector<float> memory;
    if (static_cast<int64_t>(memory.size()) < size) memory.resize(size);
    return memory.data();
  }

  /// The convolution's part, given the gradient with respect to its output and its input.
  at::Tensor convolution_by_libtorch(const at::Tensor &whole, const at::Tensor &normed) {
    auto found = convolution_backward(whole, normed, weight, stride, weight.size(2) / 2, true, wants_parameters);
    grad_weight = found.weight;
    grad_bias = found.bias;
    comes_beside = found.comes_beside;
    return found.input;
  }
};

// MARK: whether it fits

void check_fits(const at::Tensor &x, const ctorch_norm &norm, const at::Tensor &weight, int stride) {
  ctorch::check_fits(x, norm);
  TORCH_CHECK(weight.dim() == 4 && x.size(1) == weight.size(1) && weight.size(2) == weight.size(3) &&
                  weight.size(2) % 2 == 1 && weight.size(0) >= 1 && stride >= 1,
              "an input of shape ", x.sizes(), " for a convolution of shape ", weight.sizes(), " and stride ", stride);
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

}  // namespace

int ctorch_unit(const ctorch_unit_forward *from, ctorch_unit_results *out) {
  return guarded([&] {
    const auto x = channels_last(get(from->input));
    const auto &norm = from->norm;
    const auto mode = from->mode;
    const int stride = from->convolution.stride;
    UnitForward unit{.x = x,
                     .weight = get(from->convolution.weight),
                     .bias = get(from->convolution.bias),
                     .skip = from->skip ? channels_last(get(from->skip)) : at::Tensor(),
                     .stride = stride,
                     .scale = from->scale,
                     .keeps_added = from->keeps_added,
                     .wants_sums = from->wants_sums};
    check_fits(x, norm, unit.weight, stride);
    check_updating(x, norm, mode);
    TORCH_CHECK(unit.bias.numel() == unit.weight.size(0), "a bias of ", unit.bias.numel(),
                " values for a convolution of shape ", unit.weight.sizes());
    check_output(unit.skip, x, unit.weight, stride, "the skip");
    const bool by_batch = mode.statistics != CTORCH_RUNNING;
    if (device::takes(x, norm, unit.weight, stride)) {
      unit.on_device(from->convolution.weight, norm, mode, get_or_undefined(from->input_sums));
    } else if (!takes(x)) {
      const PlainNorm found(x, norm, mode);
      unit.by_libtorch(found.output);
      unit.batch = found.batch;
      if (by_batch) unit.normed = found.output;
    } else {
      const auto &run = *kernels::chosen();
      const auto found = Statistics::of(run, x, from->input_sums, norm, mode);
      if (by_batch) unit.batch = found.as_batch();
      if (takes(x, unit.weight, stride)) {
        unit.by_kernels(run, found, norm);
      } else {
        unit.by_libtorch(norm_relu(run, x, Affine(norm, found)));
      }
    }
    count_update(norm, mode);
    *out = {};
    hand_out(&out->added, unit.added);
    hand_out(&out->sum, unit.sum);
    if (from->wants_sums) hand_out(&out->sums, unit.sums);
    hand_out(&out->squares, unit.squares);
    hand_out(&out->batch, unit.batch);
    hand_out(&out->normed, unit.normed);
  });
}

int ctorch_unit_backward(const ctorch_unit_backward_pass *from, ctorch_unit_backward_results *out) {
  return guarded([&] {
    const auto x = channels_last(get(from->input));
    const auto &norm = from->norm;
    const auto batch = from->batch;
    const int stride = from->convolution.stride;
    UnitBackward unit{.gradient = PendingTensors(from->gradient),
                      .x = x,
                      .weight = get(from->convolution.weight),
                      .skip = from->skip ? channels_last(get(from->skip)) : at::Tensor(),
                      .beside = from->beside ? channels_last(get(from->beside)) : at::Tensor(),
                      .stride = stride,
                      .wants_parameters = from->wants_parameters};
    const auto fits = [&](const at::Tensor &other) {
      return !other.defined() || (other.sizes() == x.sizes() && other.scalar_type() == x.scalar_type());
    };
    TORCH_CHECK(fits(unit.beside), "products of a gradient of shape ", x.sizes(), " with a tensor of shape ",
                unit.beside.sizes());
    TORCH_CHECK(fits(unit.skip), "the skip has shape ", unit.skip.sizes(), " where ", x.sizes(), " belongs");
    check_fits(x, norm, unit.weight, stride);
    check_output(unit.gradient.gradient, x, unit.weight, stride, "the gradient");
    check_output(unit.gradient.normed, x, unit.weight, stride, "the normalised output");
    if (batch && device::takes(x, norm, unit.weight, stride)) {
      unit.on_device(from->convolution.weight, norm, get(batch));
    } else if (!takes(x)) {
      const auto output = from->normed ? get(from->normed) : PlainNorm::again(x, norm, batch);
      const auto through = unit.convolution_by_libtorch(unit.resolve_gradient(), output);
      const PlainNormGradient found(through, output, x, norm, batch);
      unit.out = !batch && unit.skip.defined() ? found.input.add(unit.skip) : found.input;
      unit.norm_weight = found.weight;
      unit.norm_bias = found.bias;
    } else {
      const auto &run = *kernels::chosen();
      if (takes(x, unit.weight, stride) && !unit.gradient.skip.defined()) {
        unit.by_kernels(run, norm, batch);
      } else {
        const auto statistics = Statistics::of(norm, batch);
        const Affine affine(norm, statistics);
        unit.out = unit.convolution_by_libtorch(unit.resolve_gradient(), norm_relu(run, x, affine));
        const auto sums = through_relu(run, unit.out, x, affine);
        if (batch) {
          const NormGradient found(norm, statistics, sums.data(), static_cast<double>(x.numel() / x.size(1)));
          unit.coefficients = found.coefficients;
          unit.norm_weight = found.weight;
          unit.norm_bias = found.bias;
        } else {
          resolve(run, unit.out, at::Tensor(), affine.scale.data(), nullptr, nullptr, unit.skip, unit.out);
        }
      }
    }
    *out = {};
    hand_out(&out->input.gradient, unit.out);
    if (unit.coefficients.defined()) {
      hand_out(&out->input.normed, x);
      hand_out(&out->input.coefficients, unit.coefficients);
    }
    hand_out(&out->whole, unit.whole);
    hand_out(&out->products, unit.products);
    if (!from->wants_parameters) return;
    hand_out(&out->parameters.norm_weight, unit.norm_weight);
    hand_out(&out->parameters.norm_bias, unit.norm_bias);
    hand_out(&out->parameters.weight, unit.grad_weight);
    hand_out(&out->parameters.bias, unit.grad_bias);
    if (!unit.comes_beside) return;
    for (auto gradient :
         {out->parameters.norm_weight, out->parameters.norm_bias, out->parameters.weight, out->parameters.bias}) {
      if (gradient) gradient->comes_beside = true;
    }
  });
}

int ctorch_add_skip(ctorch_pending gradient, ctorch_tensor skip, ctorch_pending *out) {
  return guarded([&] {
    const PendingTensors pending(gradient);
    const auto addend = channels_last(get(skip));
    *out = {};
    if (pending.coefficients.defined() && !pending.skip.defined() && device::launches(pending.gradient)) {
      hand_out(&out->gradient, pending.gradient);
      hand_out(&out->normed, pending.normed);
      hand_out(&out->coefficients, pending.coefficients);
      hand_out(&out->skip, addend);
    } else {
      hand_out(&out->gradient, resolved_in_place(pending, addend));
    }
  });
}

int ctorch_resolve(ctorch_pending gradient, ctorch_tensor skip, ctorch_tensor *out) {
  return guarded([&] {
    const auto addend = skip ? channels_last(get(skip)) : at::Tensor();
    *out = wrap(resolved_in_place(PendingTensors(gradient), addend));
  });
}

int ctorch_prepare_filters(const ctorch_tensor *weights, int count, ctorch_dtype dtype) {
  return guarded([&] { device::prepare_filters({weights, weights + count}, scalar_type(dtype)); });
}
