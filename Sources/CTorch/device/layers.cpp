#include "layers.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "../support.h"
#include "tensors.h"
#include "units.h"

namespace ctorch::device {

namespace {

/// Throws where a tensor is not where the kernels look for it.
void check_same_device(const at::Tensor &tensor, const at::Tensor &on) {
  TORCH_CHECK(tensor.device() == on.device(), "a tensor on ", tensor.device(), " for kernels on ", on.device());
}

bool is_float_matrix(const at::Tensor &tensor) {
  return tensor.dim() == 2 && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

int64_t chunks_of(const at::Tensor &x) { return x.numel() * x.element_size() / 16; }

}  // namespace

// MARK: images

at::Tensor gathered(const at::Tensor &images, const at::Tensor &selection, const at::Tensor &scale,
                    const at::Tensor &offset, at::ScalarType type) {
  const int64_t count = selection.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
  TORCH_CHECK(count * channels * height * width <= INT32_MAX, "a batch of ", count, " images of shape ",
              images.sizes().slice(1), " has too many elements: train on smaller batches");
  auto batch = at::empty({count, channels, height, width},
                         images.options().dtype(type).memory_format(at::MemoryFormat::ChannelsLast));
  if (count == 0) return batch;
  for (const auto &tensor : {selection, scale, offset}) check_same_device(tensor, images);
  launch(images,
         {.kernel = "gather_images",
          .blocks = {divided(count * height * width, most_threads), 1},
          .threads = most_threads,
          .type = type},
         GatherImages{.images = images_of(batch),
                      .channels = static_cast<int>(channels),
                      .stored = images.size(0),
                      .from = elements<uint8_t>(images),
                      .selection = reinterpret_cast<const long long *>(elements<int64_t>(selection)),
                      .scale = elements<float>(scale),
                      .offset = elements<float>(offset),
                      .out = batch.mutable_data_ptr()});
  return batch;
}

// MARK: normalisation and ReLU

bool takes(const at::Tensor &x, const ctorch_norm &norm) {
  return x.dim() == 4 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
         x.size(1) % channel_step == 0 && x.size(1) <= most_channels && x.numel() > x.size(1) &&
         x.numel() <= INT32_MAX && launches(x) && is_readable(norm, x);
}

NormOutput norm_relu(const at::Tensor &x, const at::Tensor &input_sums, const ctorch_norm &norm,
                     ctorch_norm_mode mode) {
  const int64_t channels = x.size(1);
  const auto sums = sums_for(mode, x, input_sums), statistics = made({4, channels}, x, at::kFloat);
  NormOutput found{.output = at::empty_like(x)};
  if (mode.statistics != CTORCH_RUNNING) found.batch = statistics;
  launch(x,
         {.kernel = "norm_relu",
          .blocks = {divided(chunks_of(x), most_threads), 1},
          .threads = most_threads,
          .shared = shared_for_channels(channels)},
         NormRelu{.pixels = static_cast<int>(pixels_of(images_of(x))),
                  .channels = static_cast<int>(channels),
                  .x = checked(x, x),
                  .norm = statistics_of(norm, x, sums, mode, statistics),
                  .out = found.output.mutable_data_ptr()});
  return found;
}

NormReluGradients norm_relu_backward(const at::Tensor &gradient, const at::Tensor &x, const ctorch_norm &norm,
                                     const at::Tensor &batch) {
  TORCH_CHECK(batch.dim() == 2 && batch.size(0) == 4 && batch.size(1) == x.size(1) && is_readable(batch, x),
              "statistics of kernels that do not run any more");
  const int64_t pixels = pixels_of(images_of(x));
  const Gathered gathered(std::clamp<int64_t>(pixels / 64, 1, 256));
  const NormResults found(x, gathered);
  at::Tensor rooms;
  launch(x,
         {.kernel = "norm_relu_backward",
          .blocks = {gathered.parts, 1},
          .threads = most_threads,
          .shared = shared_for_sums(16 / x.element_size(), sizeof(float))},
         NormReluBackward{.pixels = static_cast<int>(pixels),
                          .channels = static_cast<int>(x.size(1)),
                          .x = checked(x, x),
                          .gradient = checked(gradient, x),
                          .norm = norm_gradient(found, x, norm, batch, gathered, 1, rooms)});
  resolve({.gradient = gradient, .normed = x, .sums = found.sums}, gradient, {}, found.parameters());
  return {.weight = found.weight, .bias = found.bias};
}

// MARK: classifier

bool takes_linear(const at::Tensor &x, const at::Tensor &weight) {
  return is_float_matrix(x) && is_float_matrix(weight) && x.size(1) == weight.size(1) && x.size(1) % 4 == 0 &&
         x.size(1) <= most_channels && weight.size(0) <= most_channels && weight.device() == x.device() &&
         x.size(0) > 0 && x.size(0) * most_channels <= INT32_MAX / 8 && launches(x);
}

at::Tensor linear(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
  const int64_t samples = x.size(0), outputs = weight.size(0);
  TORCH_CHECK(bias.numel() == outputs && is_readable(bias, x), "a bias of ", bias.numel(), " values for ", outputs,
              " outputs");
  const auto out = made({samples, outputs}, x, at::kFloat);
  launch(x, {.kernel = "linear", .blocks = {divided(samples * outputs, most_threads), 1}, .threads = most_threads},
         Linear{.samples = static_cast<int>(samples),
                .inputs = static_cast<int>(x.size(1)),
                .outputs = static_cast<int>(outputs),
                .x = static_cast<const float *>(checked(x, x)),
                .weight = static_cast<const float *>(checked(weight, x)),
                .bias = elements<float>(bias),
                .out = out.mutable_data_ptr<float>()});
  return out;
}

LinearGradients linear_backward(const at::Tensor &given, const at::Tensor &x, const at::Tensor &weight,
                                bool wants_parameters) {
  const auto gradient = given.contiguous();
  check_same_device(gradient, x);
  const int64_t samples = x.size(0), inputs = x.size(1), outputs = weight.size(0);
  TORCH_CHECK(is_float_matrix(gradient) && gradient.size(0) == samples && gradient.size(1) == outputs,
              "a gradient of shape ", gradient.sizes(), " for ", samples, " samples and ", outputs, " outputs");
  LinearGradients found{.input = at::empty_like(x)};
  if (wants_parameters) {
    found.weight = at::empty_like(weight);
    found.bias = made({outputs}, x, at::kFloat);
  }
  const int64_t values = samples * inputs + outputs * inputs + outputs, lanes = 8;
  launch(x,
         {.kernel = "linear_backward", .blocks = {divided(values * lanes, most_threads), 1}, .threads = most_threads},
         LinearBackward{.samples = static_cast<int>(samples),
                        .inputs = static_cast<int>(inputs),
                        .outputs = static_cast<int>(outputs),
                        .gradient = elements<float>(gradient),
                        .x = elements<float>(x),
                        .weight = elements<float>(weight),
                        .of_x = found.input.mutable_data_ptr<float>(),
                        .of_weight = wants_parameters ? found.weight.mutable_data_ptr<float>() : nullptr,
                        .of_bias = wants_parameters ? found.bias.mutable_data_ptr<float>() : nullptr});
  return found;
}

// MARK: loss

bool takes_loss(const at::Tensor &logits, const at::Tensor &labels) {
  return is_float_matrix(logits) && logits.size(0) > 0 && logits.size(1) > 0 && logits.numel() <= INT32_MAX &&
         labels.dim() == 1 && labels.scalar_type() == at::kLong && labels.is_contiguous() &&
         labels.size(0) == logits.size(0) && labels.device() == logits.device() && launches(logits);
}

std::pair<at::Tensor, at::Tensor> batch_loss(const at::Tensor &logits, const at::Tensor &labels, double smoothing,
                                             double grad_scale) {
  const int64_t samples = logits.size(0);
  const Gathered gathered(divided(samples, most_threads / 32));
  const auto gradient = at::empty_like(logits), sums = made({2}, logits, at::kDouble);
  at::Tensor rows;
  launch(logits,
         {.kernel = "loss", .blocks = {gathered.parts, 1}, .threads = most_threads, .shared = most_threads * 16},
         Loss{.samples = static_cast<int>(samples),
              .classes = static_cast<int>(logits.size(1)),
              .logits = elements<float>(logits),
              .labels = reinterpret_cast<const long long *>(elements<int64_t>(labels)),
              .smoothing = smoothing,
              .scale = grad_scale,
              .gradient = gradient.mutable_data_ptr<float>(),
              .block_sums = room<double>(rows, 2 * (gathered.parts + gathered.groups), logits),
              .sums = sums.mutable_data_ptr<double>(),
              .gathering = gathered.from(counters(logits, gathered.counters()))});
  return {sums, gradient};
}

at::Tensor count_step(const at::Tensor &totals, const at::Tensor &sums) {
  check_same_device(sums, totals);
  TORCH_CHECK(totals.numel() == 3 && sums.numel() == 2 && totals.is_contiguous() && sums.is_contiguous(),
              "totals of shape ", totals.sizes(), " and sums of shape ", sums.sizes());
  const auto skip = made({1}, totals, at::kFloat);
  launch(totals, {.kernel = "count_step", .blocks = {1, 1}, .threads = 1, .type = at::kFloat},
         CountStep{.sums = elements<double>(sums),
                   .totals = totals.mutable_data_ptr<double>(),
                   .skip = skip.mutable_data_ptr<float>()});
  return skip;
}

// MARK: optimiser

bool takes(const SGDStep &step) {
  if (step.parameters.empty()) return false;
  const auto &first = step.parameters[0];
  const auto is_there = [&](const at::Tensor &tensor) {
    return tensor.scalar_type() == at::kFloat && tensor.device() == first.device();
  };
  // Elements are paired in the order in which they lie in memory.
  const auto fit = [&](at::TensorList tensors) {
    return std::equal(tensors.begin(), tensors.end(), step.parameters.begin(), [&](auto &tensor, auto &parameter) {
      return is_there(tensor) && tensor.strides() == parameter.strides() && tensor.is_non_overlapping_and_dense() &&
             tensor.numel() <= INT32_MAX;
    });
  };
  return step.rate.scalar_type() == at::kDouble && step.rate.device() == first.device() &&
         (!step.unless.defined() || is_there(step.unless)) && fit(step.parameters) && fit(step.velocities) &&
         fit(step.gradients) && launches(first);
}

void sgd(const SGDStep &step) {
  const auto &on = step.parameters[0];
  for (size_t begin = 0; begin < step.parameters.size(); begin += most_parameters) {
    const size_t count = std::min<size_t>(step.parameters.size() - begin, most_parameters);
    SGD args{.rate = elements<double>(step.rate),
             .skip = step.unless.defined() ? elements<float>(step.unless) : nullptr,
             .decay = static_cast<float>(step.decay),
             .momentum = static_cast<float>(step.momentum),
             .nesterov = step.nesterov};
    int64_t largest = 1;
    for (size_t i = 0; i < count; ++i) {
      const auto &value = step.parameters[begin + i];
      args.parameters[i] = {
          .value = value.mutable_data_ptr<float>(),
          .velocity = step.velocities.empty() ? nullptr : step.velocities[begin + i].mutable_data_ptr<float>(),
          .gradient = elements<float>(step.gradients[begin + i]),
          .count = static_cast<int>(value.numel())};
      largest = std::max(largest, value.numel());
    }
    launch(on,
           {.kernel = "sgd",
            .blocks = {std::min<int64_t>(divided(largest, most_threads), 16), static_cast<int64_t>(count)},
            .threads = most_threads},
           args);
  }
}

}  // namespace ctorch::device
