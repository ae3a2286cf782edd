// Units by a GPU's kernels: what is launched, in which blocks, and with how much shared memory.
#include "units.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "../support.h"
#include "launching.h"

namespace ctorch::device {

namespace {

// MARK: blocks

constexpr int64_t warp = 32;
/// Every block reads the whole filter, or a good part of it: made for narrow convolutions. Wider ones are libtorch's.
constexpr int64_t most_channels = 128;
constexpr int64_t most_warps = 8;

int64_t divided(int64_t count, int64_t by) { return (count + by - 1) / by; }

Images images_of(const at::Tensor &tensor) {
  return {static_cast<int>(tensor.size(0)), static_cast<int>(tensor.size(2)), static_cast<int>(tensor.size(3))};
}

int64_t pixels_of(const Images &images) { return int64_t{images.count} * images.height * images.width; }

/// How images are cut into tiles of whole rows, of at most so many pixels where a row is not more.
struct Tiling {
  int64_t rows, count;
  /// Number of pixels of a tile, without and with those around it.
  int64_t pixels, around;

  Tiling(const Images &images, int64_t most_pixels)
      : rows(std::clamp<int64_t>(most_pixels / images.width, 1, images.height)),
        count(images.count * divided(images.height, rows)),
        pixels(rows * images.width),
        around((rows + 2) * (images.width + 2)) {}
};

/// Bytes that a line takes in shared memory, with what is between it and the next one.
int64_t line_bytes(int64_t length, int64_t element) { return length * element + padding_bytes; }
int64_t line_bytes_across(int64_t length, int64_t element) { return (length + padding_across) * element; }

/// How a convolution is divided among blocks and their warps, each of which makes 32 pixels of 16 channels at a time.
struct ConvolutionBlocks {
  Tiling tiling;
  /// Number of channels that the convolution makes; 0 where not even the fewest fit into shared memory.
  int64_t channels = 0;
  int64_t shared = 0, threads = 0;

  /// - across: whether the filter is read across its lines, as on the way back
  ConvolutionBlocks(const Images &images, int64_t from, int64_t to, bool across, int64_t element, int64_t most_shared)
      : tiling(images, 1) {
    int64_t most_resident = 0;
    for (int64_t step : {64, 48, 32, 16}) {
      const int64_t columns = step / channel_step, most_groups = most_warps / columns;
      const Tiling tiles(images, warp * most_groups);
      const int64_t bytes = tiles.around * line_bytes(from, element) +
                            9 * (across ? from * line_bytes_across(step, element) : step * line_bytes(from, element));
      if (to % step != 0 || bytes > most_shared) continue;
      const int64_t warps = columns * std::min(divided(tiles.pixels, warp), most_groups);
      // Warps that are resident on a multiprocessor, some of which wait while others compute. Shared memory limits the
      // blocks (CUDA takes 1 KB in each), and registers limit the warps.
      const int64_t resident = std::min<int64_t>((most_shared + 1024) / (bytes + 1024) * warps, 24);
      if (resident <= most_resident) continue;
      most_resident = resident;
      tiling = tiles;
      channels = step;
      shared = bytes;
      threads = warp * warps;
    }
  }
};

/// How the gradient of a filter is: pairs of 16 outputs and 16 inputs, and for each of them blocks that take tiles in
/// turn.
struct FilterBlocks {
  Tiling tiling;
  int64_t pairs, parts, threads, shared;

  FilterBlocks(const Images &images, int64_t inputs, int64_t outputs, int64_t element)
      : tiling(images, 256), pairs(inputs / channel_step * (outputs / channel_step)) {
    const int64_t steps = divided(tiling.pixels, channel_step);
    const int64_t warps = std::min(steps, most_warps);
    threads = warp * warps;
    // A constant: the order of sums should not change with the card.
    constexpr int64_t all_warps = 2048;
    parts = std::clamp<int64_t>(all_warps / (warps * pairs), 1, tiling.count);
    // Afterwards the warps' sums lie there, and the threads' of the bias.
    shared = std::max<int64_t>((tiling.around + steps * channel_step) * line_bytes_across(channel_step, element),
                               (warps * channel_step * gradient_line + threads) * sizeof(float));
  }
};

/// Where a tensor's elements are, for a kernel that works where `x` lies and reads 16 bytes at a time: it does not
/// look.
void *checked(const at::Tensor &tensor, const at::Tensor &x) {
  void *place = const_cast<void *>(tensor.const_data_ptr());
  TORCH_CHECK(tensor.device() == x.device() && reinterpret_cast<uintptr_t>(place) % 16 == 0, "a tensor on ",
              tensor.device(), ", or in the middle of another, for kernels on ", x.device());
  return place;
}

/// Whether a value a channel is there as the kernels read it.
bool is_readable(const at::Tensor &values, const at::Tensor &x) {
  return values.scalar_type() == at::kFloat && values.is_contiguous() && values.device() == x.device();
}

// MARK: tensors

const float *floats(const at::Tensor &tensor) { return elements<float>(tensor); }

/// Row `row` of values a channel.
const float *row(const at::Tensor &tensor, int64_t row) { return floats(tensor) + row * tensor.size(1); }

at::Tensor made(at::IntArrayRef shape, const at::Tensor &like, at::ScalarType type) {
  return at::empty(shape, like.options().dtype(type).memory_format(at::MemoryFormat::Contiguous));
}

Sums sums_in(const at::Tensor &tensor) { return {static_cast<int>(tensor.size(0)), tensor.mutable_data_ptr<double>()}; }

/// Room for a row of sums of each of `parts` blocks.
at::Tensor room_for_sums(int64_t parts, int64_t channels, const at::Tensor &like) {
  return made({parts, 2, channels}, like, at::kDouble);
}

at::Tensor sums_of(const at::Tensor &x) {
  const int64_t pixels = pixels_of(images_of(x)), channels = x.size(1), threads = 256;
  const int64_t parts = std::clamp<int64_t>(pixels / 512, 1, 256);
  auto sums = room_for_sums(parts, channels, x);
  launch(x,
         {.kernel = "channel_sums",
          .typed = true,
          .blocks = {parts, channels / channel_step},
          .threads = threads,
          .shared = threads * 2 * static_cast<int64_t>(sizeof(double))},
         ChannelSums{.pixels = static_cast<int>(pixels),
                     .channels = static_cast<int>(channels),
                     .x = x.const_data_ptr(),
                     .sums = sums_in(sums)});
  return sums;
}

/// A block that adds up rows of sums: many threads, so that each has few of the rows.
constexpr int64_t total_threads = 1024;
constexpr int64_t total_shared = 8 * (total_threads / warp + 1) * sizeof(double);

PendingGradient pending(const Gradient &gradient, const at::Tensor &x) {
  PendingGradient found{};
  found.gradient = checked(gradient.gradient, x);
  if (!gradient.coefficients.defined()) return found;
  found.normed = checked(gradient.normed, x);
  found.a = row(gradient.coefficients, 0);
  found.b = row(gradient.coefficients, 1);
  found.d = row(gradient.coefficients, 2);
  return found;
}

/// The gradients of filter and bias.
void filter_gradients(UnitGradients &found, const Unit &unit, const Backward &back) {
  const int64_t inputs = back.inputs, outputs = back.outputs, size = outputs * 9 * inputs + outputs;
  const FilterBlocks blocks(back.images, inputs, outputs, unit.x.element_size());
  const auto partial = made({blocks.parts, size}, unit.x, at::kFloat), all = made({size}, unit.x, at::kFloat);
  launch(unit.x,
         {.kernel = "filter_gradient",
          .typed = true,
          .blocks = {blocks.parts, blocks.pairs},
          .threads = blocks.threads,
          .shared = blocks.shared},
         FilterGradient{.images = back.images,
                        .rows = static_cast<int>(blocks.tiling.rows),
                        .inputs = back.inputs,
                        .outputs = back.outputs,
                        .parts = static_cast<int>(blocks.parts),
                        .gradient = back.gradient,
                        .x = back.x,
                        .scale = back.scale,
                        .shift = back.shift,
                        .partial = partial.mutable_data_ptr<float>()});
  launch(unit.x,
         {.kernel = "add_rows",
          .typed = false,
          .blocks = {divided(size, warp), 1},
          .threads = total_threads,
          .shared = total_threads * static_cast<int64_t>(sizeof(float))},
         AddRows{.parts = static_cast<int>(blocks.parts),
                 .size = static_cast<int>(size),
                 .rows = floats(partial),
                 .out = all.mutable_data_ptr<float>()});
  found.weight = all.narrow(0, 0, size - outputs).view({outputs, 3, 3, inputs}).permute({0, 3, 1, 2});
  found.bias = all.narrow(0, size - outputs, outputs);
}

}  // namespace

bool fits(const at::Tensor &x, const at::Tensor &weight) {
  const int64_t inputs = x.size(1), outputs = weight.size(0), element = x.element_size(), most = most_shared(x);
  const auto images = images_of(x);
  return ConvolutionBlocks(images, inputs, outputs, false, element, most).channels > 0 &&
         ConvolutionBlocks(images, outputs, inputs, true, element, most).channels > 0 &&
         FilterBlocks(images, inputs, outputs, element).shared <= most;
}

bool takes(const at::Tensor &x, const ctorch_norm &norm, const at::Tensor &weight, int stride) {
  const bool is_kind = x.dim() == 4 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
                       stride == 1 && weight.size(2) == 3 && weight.scalar_type() == at::kFloat &&
                       weight.device() == x.device() && x.size(1) % channel_step == 0 &&
                       weight.size(0) % channel_step == 0 && std::max(x.size(1), weight.size(0)) <= most_channels &&
                       // One pixel for each channel has no variance.
                       x.numel() > x.size(1) && !norm.group;
  if (!is_kind || !launches(x)) return false;
  for (auto value : {norm.weight, norm.bias, norm.running_mean, norm.running_var}) {
    if (!is_readable(get(value), x)) return false;
  }
  // Places in a tensor are counted in 32 bits.
  return x.numel() / x.size(1) * std::max(x.size(1), weight.size(0)) <= INT32_MAX && fits(x, weight);
}

UnitOutput forward(const Unit &unit, const ForwardOptions &options) {
  const auto &x = unit.x;
  const auto &input_sums = options.input_sums, &skip = options.skip;
  const int64_t inputs = x.size(1), outputs = unit.weight.size(0);
  const auto images = images_of(x);
  const auto both = made({4, inputs}, x, at::kFloat);
  const bool by_batch = options.mode.statistics != CTORCH_RUNNING;
  TORCH_CHECK(!input_sums.defined() || (input_sums.dim() == 3 && input_sums.size(1) == 2 &&
                                        input_sums.size(2) == inputs && input_sums.device() == x.device()),
              "sums of kernels that do not run any more");
  const auto sums = !by_batch ? at::Tensor() : input_sums.defined() ? input_sums : sums_of(x);
  launch(x,
         {.kernel = "statistics",
          .typed = false,
          .blocks = {inputs / total_channels, 1},
          .threads = total_threads,
          .shared = total_shared},
         Statistics{.channels = static_cast<int>(inputs),
                    .sums = by_batch ? sums_in(sums) : Sums{},
                    .pixels = static_cast<double>(pixels_of(images)),
                    .epsilon = unit.norm.epsilon,
                    .momentum = options.mode.statistics == CTORCH_BATCH_UPDATING ? options.mode.momentum : 0,
                    .gamma = floats(get(unit.norm.weight)),
                    .beta = floats(get(unit.norm.bias)),
                    .running_mean = get(unit.norm.running_mean).mutable_data_ptr<float>(),
                    .running_variance = get(unit.norm.running_var).mutable_data_ptr<float>(),
                    .out = both.mutable_data_ptr<float>()});

  UnitOutput found;
  const auto room = [&] {
    return at::empty({x.size(0), outputs, x.size(2), x.size(3)},
                     x.options().memory_format(at::MemoryFormat::ChannelsLast));
  };
  if (skip.defined()) found.sum = room();
  if (!skip.defined() || options.keeps_added) found.added = room();
  if (by_batch) found.batch = both;
  const auto filter = channels_last(unit.weight), offset = options.bias.contiguous();
  TORCH_CHECK(offset.numel() == outputs && is_readable(offset, x), "a bias of ", offset.numel(), " values for ",
              outputs, " outputs");
  const ConvolutionBlocks blocks(images, inputs, outputs, false, x.element_size(), most_shared(x));
  if (options.wants_sums) found.sums = room_for_sums(blocks.tiling.count, outputs, x);
  Forward args{};
  args.images = images;
  args.rows = static_cast<int>(blocks.tiling.rows);
  args.inputs = static_cast<int>(inputs);
  args.outputs = static_cast<int>(outputs);
  args.block_outputs = static_cast<int>(blocks.channels);
  args.x = checked(x, x);
  args.scale = row(both, 2);
  args.shift = row(both, 3);
  args.filter = static_cast<const float *>(checked(filter, x));
  args.bias = floats(offset);
  args.factor = static_cast<float>(options.factor);
  if (skip.defined()) args.skip = checked(skip, x);
  if (found.added.defined()) args.residual = found.added.mutable_data_ptr();
  if (found.sum.defined()) args.sum = found.sum.mutable_data_ptr();
  if (options.wants_sums) args.sums = found.sums.mutable_data_ptr<double>();
  launch(x,
         {.kernel = "forward",
          .typed = true,
          .blocks = {blocks.tiling.count, outputs / blocks.channels},
          .threads = blocks.threads,
          .shared = blocks.shared},
         args);
  return found;
}

UnitGradients backward(const Unit &unit, const Gradient &gradient, const at::Tensor &batch, bool wants_parameters) {
  const auto &x = unit.x;
  TORCH_CHECK(batch.size(0) == 4 && batch.size(1) == x.size(1) && batch.device() == x.device(),
              "statistics of kernels that do not run any more");
  const int64_t inputs = x.size(1), outputs = unit.weight.size(0);
  const auto images = images_of(x);
  const ConvolutionBlocks blocks(images, outputs, inputs, true, x.element_size(), most_shared(x));
  UnitGradients found;
  found.out = at::empty_like(x);
  const auto filter = channels_last(unit.weight), sums = room_for_sums(blocks.tiling.count, inputs, x);
  Backward args{};
  args.images = images;
  args.rows = static_cast<int>(blocks.tiling.rows);
  args.inputs = static_cast<int>(inputs);
  args.outputs = static_cast<int>(outputs);
  args.block_inputs = static_cast<int>(blocks.channels);
  args.gradient = pending(gradient, x);
  args.x = checked(x, x);
  args.scale = row(batch, 2);
  args.shift = row(batch, 3);
  args.mean = row(batch, 0);
  args.filter = static_cast<const float *>(checked(filter, x));
  args.out = found.out.mutable_data_ptr();
  args.sums = sums.mutable_data_ptr<double>();
  launch(x,
         {.kernel = "backward",
          .typed = true,
          .blocks = {blocks.tiling.count, inputs / blocks.channels},
          .threads = blocks.threads,
          .shared = blocks.shared},
         args);
  if (wants_parameters) filter_gradients(found, unit, args);

  found.coefficients = made({3, inputs}, x, at::kFloat);
  found.norm_weight = made({inputs}, x, at::kFloat);
  found.norm_bias = made({inputs}, x, at::kFloat);
  launch(x,
         {.kernel = "norm_gradient",
          .typed = false,
          .blocks = {inputs / total_channels, 1},
          .threads = total_threads,
          .shared = total_shared},
         NormGradient{.channels = static_cast<int>(inputs),
                      .sums = sums_in(sums),
                      .pixels = static_cast<double>(pixels_of(images)),
                      .gamma = floats(get(unit.norm.weight)),
                      .statistics = floats(batch),
                      .coefficients = found.coefficients.mutable_data_ptr<float>(),
                      .gamma_gradient = found.norm_weight.mutable_data_ptr<float>(),
                      .beta_gradient = found.norm_bias.mutable_data_ptr<float>()});
  return found;
}

void resolve(const Gradient &gradient, const at::Tensor &skip, const at::Tensor &out) {
  const auto images = images_of(gradient.gradient);
  const int64_t channels = gradient.gradient.size(1), threads = 256;
  const int64_t chunks = gradient.gradient.numel() * gradient.gradient.element_size() / 16;
  launch(gradient.gradient,
         {.kernel = "resolve", .typed = true, .blocks = {divided(chunks, threads), 1}, .threads = threads, .shared = 0},
         Resolve{.pixels = static_cast<int>(pixels_of(images)),
                 .channels = static_cast<int>(channels),
                 .skip = skip.defined() ? checked(skip, out) : nullptr,
                 .gradient = pending(gradient, out),
                 .out = checked(out, out)});
}

}  // namespace ctorch::device
