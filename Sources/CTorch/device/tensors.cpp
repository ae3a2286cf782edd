#include "tensors.h"

#include <ATen/ops/empty.h>

#include "../support.h"

namespace ctorch::device {

namespace {

/// Number of a `NormSums`'s rows behind those that are added up.
constexpr int64_t rows_behind_sums = 2;

at::Tensor sums_of(const at::Tensor &x) {
  const int64_t pixels = pixels_of(images_of(x)), channels = x.size(1);
  const Gathered gathered(std::clamp<int64_t>(pixels / 512, 1, 256));
  auto sums = made({gathered.groups, channels, 2}, x, at::kDouble);
  at::Tensor blocks;
  launch(x,
         {.kernel = "channel_sums",
          .blocks = {gathered.parts, 1},
          .threads = most_threads,
          .shared = shared_for_sums(16 / x.element_size(), sizeof(double))},
         ChannelSums{.pixels = static_cast<int>(pixels),
                     .channels = static_cast<int>(channels),
                     .x = checked(x, x),
                     .block_sums = room<double>(blocks, gathered.parts * channels * 2, x),
                     .sums = sums.mutable_data_ptr<double>(),
                     .gathering = gathered.from(counters(x, gathered.counters()))});
  return sums;
}

}  // namespace

void *checked(const at::Tensor &tensor, const at::Tensor &x) {
  void *place = const_cast<void *>(tensor.const_data_ptr());
  TORCH_CHECK(tensor.device() == x.device() && reinterpret_cast<uintptr_t>(place) % 16 == 0, "a tensor on ",
              tensor.device(), ", or in the middle of another, for kernels on ", x.device());
  return place;
}

bool is_readable(const at::Tensor &values, const at::Tensor &x) {
  return values.scalar_type() == at::kFloat && values.is_contiguous() && values.device() == x.device();
}

bool is_readable(const ctorch_norm &norm, const at::Tensor &x) {
  if (norm.group) return false;
  for (auto value : {norm.weight, norm.bias, norm.running_mean, norm.running_var}) {
    if (!is_readable(get(value), x)) return false;
  }
  return true;
}

at::Tensor made(at::IntArrayRef shape, const at::Tensor &like, at::ScalarType type) {
  return at::empty(shape, like.options().dtype(type).memory_format(at::MemoryFormat::Contiguous));
}

at::Tensor sums_for(ctorch_norm_mode mode, const at::Tensor &x, const at::Tensor &known) {
  TORCH_CHECK(!known.defined() || (known.dim() == 3 && known.size(1) == x.size(1) && known.size(2) == 2 &&
                                   known.device() == x.device()),
              "sums of kernels that do not run any more");
  return mode.statistics == CTORCH_RUNNING ? at::Tensor() : known.defined() ? known : sums_of(x);
}

Statistics statistics_of(const ctorch_norm &norm, const at::Tensor &x, const at::Tensor &sums, ctorch_norm_mode mode,
                         const at::Tensor &out) {
  const double count = static_cast<double>(pixels_of(images_of(x)));
  return {.sums = sums.defined() ? Sums{static_cast<int>(sums.size(0)), sums.mutable_data_ptr<double>()} : Sums{},
          .share = 1 / count,
          .unbiased = count / (count - 1),
          .epsilon = norm.epsilon,
          .momentum = mode.statistics == CTORCH_BATCH_UPDATING ? mode.momentum : 0,
          .gamma = elements<float>(get(norm.weight)),
          .beta = elements<float>(get(norm.bias)),
          .running_mean = get(norm.running_mean).mutable_data_ptr<float>(),
          .running_variance = get(norm.running_var).mutable_data_ptr<float>(),
          .out = out.mutable_data_ptr<float>()};
}

int64_t shared_for_sums(int64_t channels_of_a_thread, int64_t element) {
  return most_threads * channels_of_a_thread * 2 * element;
}

int64_t shared_for_channels(int64_t channels) {
  return most_threads * 16 + 3 * channels * static_cast<int64_t>(sizeof(float));
}

NormResults::NormResults(const at::Tensor &x, const Gathered &gathered)
    : sums(made({gathered.groups + rows_behind_sums, x.size(1), 2}, x, at::kDouble)),
      weight(made({x.size(1)}, x, at::kFloat)),
      bias(made({x.size(1)}, x, at::kFloat)) {}

NormParameters NormResults::parameters() const {
  return {.channels = static_cast<int>(weight.size(0)),
          .sums = norm_sums(sums),
          .gamma_gradient = weight.mutable_data_ptr<float>(),
          .beta_gradient = bias.mutable_data_ptr<float>()};
}

NormSums norm_sums(const at::Tensor &sums) {
  TORCH_CHECK(sums.dim() == 3 && sums.size(0) > rows_behind_sums && sums.size(2) == 2,
              "a pending gradient of kernels that do not run any more");
  return {static_cast<int>(sums.size(0) - rows_behind_sums), sums.mutable_data_ptr<double>()};
}

NormGradient norm_gradient(const NormResults &results, const at::Tensor &x, const ctorch_norm &norm,
                           const at::Tensor &statistics, const Gathered &gathered, int64_t slices, at::Tensor &rooms) {
  return {.block_sums = room<double>(rooms, gathered.parts * x.size(1) * 2, x),
          .sums = norm_sums(results.sums),
          .gathering = gathered.from(counters(x, slices * gathered.counters())),
          .gamma = elements<float>(get(norm.weight)),
          .statistics = static_cast<const float *>(checked(statistics, x))};
}

}  // namespace ctorch::device
