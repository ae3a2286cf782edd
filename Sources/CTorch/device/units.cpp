// Units by a GPU's kernels: what is launched, in which blocks, and with how much shared memory.
#include "units.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "../support.h"
#include "beside.h"
#include "filters.h"
#include "launching.h"

namespace ctorch::device {

namespace {

// MARK: blocks

constexpr int64_t warp = 32;
/// Every block reads the whole filter, or a good part of it: made for narrow convolutions. Wider ones are libtorch's.
constexpr int64_t most_channels = 128;
constexpr int64_t most_warps = 8;

Images images_of(const at::Tensor &tensor) {
  return {static_cast<int>(tensor.size(0)), static_cast<int>(tensor.size(2)), static_cast<int>(tensor.size(3))};
}

int64_t pixels_of(const Images &images) { return int64_t{images.count} * images.height * images.width; }

/// The tiles that images are cut into, of at most so many pixels where a row is not more.
struct Tiling {
  int64_t images, rows, count;
  /// Number of pixels of a tile, without and with those around it.
  int64_t pixels, around;

  Tiling(const Images &of, int64_t most_pixels) : images(1), rows(of.height) {
    const int64_t image = int64_t{of.height} * of.width;
    if (image > most_pixels) {
      rows = std::clamp<int64_t>(most_pixels / of.width, 1, of.height);
    } else {
      images = std::min<int64_t>(most_pixels / image, of.count);
    }
    count = divided(of.count, images) * divided(of.height, rows);
    pixels = images * rows * of.width;
    around = images * (rows + 2) * (of.width + 2);
  }

  Tiles tiles(const Images &of) const {
    return {.images = static_cast<int>(images),
            .rows = static_cast<int>(rows),
            .count = static_cast<int>(count),
            .in_image = division(divided(of.height, rows)),
            .around = division(rows + 2),
            .row = division(of.width),
            .image = division(rows * of.width)};
  }
};

/// The way in which so many threads share rows of pixels of so many channels.
Lanes lanes(const Images &images, int64_t channels, int64_t element, int64_t threads) {
  const int64_t chunks = channels * element / 16, lanes = std::min(images.width * chunks, threads);
  return {.by_chunks = division(chunks), .by_lanes = division(lanes), .step = static_cast<int>(threads / lanes)};
}

/// Number of bfloats that hold a value in shared memory.
int64_t planes_of(int64_t element) { return element == sizeof(float) ? 3 : 1; }

/// Bytes that a line of values takes in shared memory, with what is between it and the next one.
int64_t line_bytes(int64_t length, int64_t element) {
  return (planes_of(element) * length + line_padding) * static_cast<int64_t>(sizeof(at::BFloat16));
}

/// How a convolution is divided among blocks and their warps, each of which makes 32 pixels of 16 channels at a time.
struct ConvolutionBlocks {
  Tiling tiling;
  /// Number of channels that a block makes; 0 where not even the fewest fit into shared memory.
  int64_t channels = 0;
  /// Number of groups of warps, of which each makes 32 pixels of all of them.
  int64_t groups = 0;
  int64_t shared = 0, threads = 0;

  ConvolutionBlocks(const Images &images, int64_t from, int64_t to, int64_t element, int64_t most_shared)
      : tiling(images, 1) {
    int64_t most_resident = 0;
    for (int64_t step : {64, 48, 32, 16}) {
      if (to % step != 0) continue;
      const int64_t columns = step / channel_step;
      for (int64_t groups = most_warps / columns; groups > 0; groups /= 2) {
        const Tiling tiles(images, warp * groups);
        const int64_t values = (floats_from * from + floats_to * step) * static_cast<int64_t>(sizeof(float));
        const int64_t bytes =
            (tiles.around + 9 * step) * line_bytes(from, element) + most_warps * warp * 2 * sizeof(double) + values;
        if (bytes > most_shared) continue;
        // A warp makes 32 pixels and no more, and a normalisation takes a thread for each channel.
        const int64_t used = divided(tiles.pixels, warp);
        if (used > groups) continue;
        const int64_t warps = std::max(columns * used, divided(from, warp));
        // Warps that are resident on a multiprocessor, some of which wait while others compute. Shared memory limits
        // the blocks (CUDA takes 1 KB in each), and registers limit the warps.
        const int64_t resident = std::min<int64_t>((most_shared + 1024) / (bytes + 1024) * warps, 24);
        if (resident <= most_resident) continue;
        most_resident = resident;
        tiling = tiles;
        channels = step;
        this->groups = used;
        shared = bytes;
        threads = warp * warps;
      }
    }
  }

  Warps warps() const { return {.columns = division(channels / channel_step), .groups = static_cast<int>(groups)}; }
};

/// The way in which a filter's gradient is divided: into patches of 16 outputs and 16 inputs, and for each of them
/// blocks that take tiles in turn.
struct FilterBlocks {
  Tiling tiling;
  int64_t patches, parts, threads, shared;

  FilterBlocks(const Images &images, int64_t inputs, int64_t outputs, int64_t element)
      // The sizes of tiles and the numbers of blocks are constants: the order of sums should not change with the card.
      // These were fastest on an H200.
      : tiling(images, element == sizeof(float) ? 256 : 512),
        patches(inputs / channel_step * (outputs / channel_step)) {
    // Two warps take 16 pixels at a time.
    threads = 2 * warp * std::min(divided(tiling.pixels, channel_step), most_warps / 2);
    constexpr int64_t all_blocks = 64, fewest_parts = 8;
    parts = std::min<int64_t>(std::max(all_blocks / patches, fewest_parts), tiling.count);
    shared = std::max<int64_t>(in_tile(element), afterwards(threads));
  }

  int64_t in_tile(int64_t element) const {
    const int64_t steps = divided(tiling.pixels, channel_step);
    return (tiling.around + steps * channel_step) * line_bytes(channel_step, element);
  }
  /// Afterwards the sums of the warps lie there.
  static int64_t afterwards(int64_t threads) {
    return threads / (2 * warp) * gradient_patch * static_cast<int64_t>(sizeof(float));
  }
};

/// The way in which the rows of so many blocks are added up: in groups of sixteen or more.
struct Gathered {
  int64_t parts, fan, groups;

  explicit Gathered(int64_t parts)
      : parts(parts),
        fan(std::max<int64_t>(std::min<int64_t>(parts, 16), divided(parts, 16))),
        groups(divided(parts, fan)) {}

  /// Number of counters for each of the sums that a launch gathers.
  int64_t counters() const { return groups + 1; }
  Gathering from(unsigned *counters) const {
    return {static_cast<int>(parts), static_cast<int>(groups), division(fan), counters};
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

at::Tensor made(at::IntArrayRef shape, const at::Tensor &like, at::ScalarType type) {
  return at::empty(shape, like.options().dtype(type).memory_format(at::MemoryFormat::Contiguous));
}

/// Room for the rows of a launch's blocks, which nobody reads after it.
template <class Element>
Element *room(at::Tensor &held, int64_t count, const at::Tensor &like) {
  held = made({std::max<int64_t>(count, 1)}, like, c10::CppTypeToScalarType<Element>::value);
  return held.mutable_data_ptr<Element>();
}

Sums sums_in(const at::Tensor &tensor) { return {static_cast<int>(tensor.size(0)), tensor.mutable_data_ptr<double>()}; }

at::Tensor sums_of(const at::Tensor &x) {
  const int64_t pixels = pixels_of(images_of(x)), channels = x.size(1), threads = 256, slices = channels / channel_step;
  const Gathered gathered(std::clamp<int64_t>(pixels / 512, 1, 256));
  auto sums = made({gathered.groups, channels, 2}, x, at::kDouble);
  at::Tensor blocks;
  launch(x,
         {.kernel = "channel_sums",
          .typed = true,
          .blocks = {gathered.parts, slices},
          .threads = threads,
          .shared = threads * 2 * static_cast<int64_t>(sizeof(double))},
         ChannelSums{.pixels = static_cast<int>(pixels),
                     .channels = static_cast<int>(channels),
                     .x = x.const_data_ptr(),
                     .block_sums = room<double>(blocks, gathered.parts * channels * 2, x),
                     .sums = sums.mutable_data_ptr<double>(),
                     .gathering = gathered.from(counters(x, slices * gathered.counters()))});
  return sums;
}

PendingGradient pending(const Gradient &gradient, const at::Tensor &x) {
  PendingGradient found{};
  found.gradient = checked(gradient.gradient, x);
  if (!gradient.coefficients.defined()) return found;
  found.normed = checked(gradient.normed, x);
  if (gradient.skip.defined()) found.skip = checked(gradient.skip, x);
  found.coefficients = static_cast<const float *>(checked(gradient.coefficients, x));
  return found;
}

/// A tensor of the size of `like` for the values that a filter's gradient is computed from.
at::Tensor operand(const at::Tensor &like) {
  return like.scalar_type() == at::kFloat ? made({like.numel(), planes_of(sizeof(float))}, like, at::kBFloat16)
                                          : at::empty_like(like);
}

/// Has the gradients of the filter and its bias computed beside what follows.
void find_filter_gradient(const Unit &unit, const at::Tensor &gradient, const at::Tensor &input, UnitGradients &found) {
  const auto &x = unit.x;
  const int64_t inputs = x.size(1), outputs = get(unit.weight).size(0), size = outputs * 9 * inputs;
  const auto images = images_of(x);
  const FilterBlocks blocks(images, inputs, outputs, x.element_size());
  const Gathered gathered(blocks.parts);
  const auto all = made({size + outputs}, x, at::kFloat);
  at::Tensor rooms[2];
  FilterGradient args{};
  args.images = images;
  args.tiles = blocks.tiling.tiles(images);
  args.inputs = static_cast<int>(inputs);
  args.outputs = static_cast<int>(outputs);
  args.by_inputs = division(inputs / channel_step);
  args.across = division(images.width + 2);
  args.from = {.gradient = gradient.mutable_data_ptr(), .input = input.mutable_data_ptr()};
  args.block_sums = room<float>(rooms[0], gathered.parts * blocks.patches * gradient_patch, x);
  args.group_sums = room<float>(rooms[1], gathered.groups * blocks.patches * gradient_patch, x);
  args.out = all.mutable_data_ptr<float>();
  beside(x, {gradient, input, all, rooms[0], rooms[1]}, [=]() mutable {
    args.gathering = gathered.from(counters(x, blocks.patches * gathered.counters()));
    launch(x,
           {.kernel = "filter_gradient",
            .typed = true,
            .blocks = {gathered.parts, blocks.patches},
            .threads = blocks.threads,
            .shared = blocks.shared},
           args);
  });
  found.weight = all.narrow(0, 0, size).view({outputs, 3, 3, inputs}).permute({0, 3, 1, 2});
  found.bias = all.narrow(0, size, outputs);
}

}  // namespace

bool fits(const at::Tensor &x, const at::Tensor &weight) {
  const int64_t inputs = x.size(1), outputs = weight.size(0), element = x.element_size(), most = most_shared(x);
  const auto images = images_of(x);
  return ConvolutionBlocks(images, inputs, outputs, element, most).channels > 0 &&
         ConvolutionBlocks(images, outputs, inputs, element, most).channels > 0 &&
         FilterBlocks(images, inputs, outputs, element).shared <= most;
}

bool takes(const at::Tensor &x, const ctorch_norm &norm, const at::Tensor &weight, int stride) {
  const bool is_kind = x.dim() == 4 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
                       stride == 1 && is_filter(weight) && weight.device() == x.device() &&
                       // One pixel for each channel has no variance.
                       x.numel() > x.size(1) && !norm.group;
  if (!is_kind || !launches(x)) return false;
  for (auto value : {norm.weight, norm.bias, norm.running_mean, norm.running_var}) {
    if (!is_readable(get(value), x)) return false;
  }
  // Places in a tensor, and in what a filter's gradient reads, are counted in 32 bits.
  const int64_t most = x.numel() / x.size(1) * std::max(x.size(1), weight.size(0));
  return most * planes_of(x.element_size()) <= INT32_MAX && fits(x, weight);
}

bool is_filter(const at::Tensor &weight) {
  return weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 && weight.scalar_type() == at::kFloat &&
         weight.size(0) % channel_step == 0 && weight.size(1) % channel_step == 0 &&
         std::max(weight.size(0), weight.size(1)) <= most_channels;
}

UnitOutput forward(const Unit &unit, const ForwardOptions &options) {
  const auto &x = unit.x;
  const auto &input_sums = options.input_sums, &skip = options.skip;
  const int64_t inputs = x.size(1), outputs = get(unit.weight).size(0);
  const auto images = images_of(x);
  const double pixels = static_cast<double>(pixels_of(images));
  const bool by_batch = options.mode.statistics != CTORCH_RUNNING;
  TORCH_CHECK(!input_sums.defined() || (input_sums.dim() == 3 && input_sums.size(1) == inputs &&
                                        input_sums.size(2) == 2 && input_sums.device() == x.device()),
              "sums of kernels that do not run any more");
  const auto filter = prepared_filter(unit.weight, x.scalar_type());
  const auto sums = !by_batch ? at::Tensor() : input_sums.defined() ? input_sums : sums_of(x);
  const auto statistics = made({4, inputs}, x, at::kFloat), offset = options.bias.contiguous();
  TORCH_CHECK(offset.numel() == outputs && is_readable(offset, x), "a bias of ", offset.numel(), " values for ",
              outputs, " outputs");

  UnitOutput found;
  const auto result = [&] {
    return at::empty({x.size(0), outputs, x.size(2), x.size(3)},
                     x.options().memory_format(at::MemoryFormat::ChannelsLast));
  };
  if (skip.defined()) found.sum = result();
  if (!skip.defined() || options.keeps_added) found.added = result();
  if (by_batch) found.batch = statistics;
  const ConvolutionBlocks blocks(images, inputs, outputs, x.element_size(), most_shared(x));
  const Gathered gathered(blocks.tiling.count);
  const int64_t slices = outputs / blocks.channels;
  Forward args{};
  args.images = images;
  args.tiles = blocks.tiling.tiles(images);
  args.lanes = lanes(images, inputs, x.element_size(), blocks.threads);
  args.warps = blocks.warps();
  args.inputs = static_cast<int>(inputs);
  args.outputs = static_cast<int>(outputs);
  args.block_outputs = static_cast<int>(blocks.channels);
  args.x = checked(x, x);
  args.norm = {.sums = by_batch ? sums_in(sums) : Sums{},
               .share = 1 / pixels,
               .unbiased = pixels / (pixels - 1),
               .epsilon = unit.norm.epsilon,
               .momentum = options.mode.statistics == CTORCH_BATCH_UPDATING ? options.mode.momentum : 0,
               .gamma = floats(get(unit.norm.weight)),
               .beta = floats(get(unit.norm.bias)),
               .running_mean = get(unit.norm.running_mean).mutable_data_ptr<float>(),
               .running_variance = get(unit.norm.running_var).mutable_data_ptr<float>(),
               .out = statistics.mutable_data_ptr<float>()};
  args.filter = filter.forward.const_data_ptr();
  args.bias = static_cast<const float *>(checked(offset, x));
  args.factor = static_cast<float>(options.factor);
  if (skip.defined()) args.skip = checked(skip, x);
  if (found.added.defined()) args.residual = found.added.mutable_data_ptr();
  if (found.sum.defined()) args.sum = found.sum.mutable_data_ptr();
  at::Tensor block_sums;
  if (options.wants_sums) {
    found.sums = made({gathered.groups, outputs, 2}, x, at::kDouble);
    args.block_sums = room<double>(block_sums, gathered.parts * outputs * 2, x);
    args.sums = found.sums.mutable_data_ptr<double>();
    args.gathering = gathered.from(counters(x, slices * gathered.counters()));
  }
  launch(x,
         {.kernel = "forward",
          .typed = true,
          .blocks = {blocks.tiling.count, slices},
          .threads = blocks.threads,
          .shared = blocks.shared},
         args);
  return found;
}

UnitGradients backward(const Unit &unit, const Gradient &gradient, const at::Tensor &batch, bool wants_parameters) {
  const auto &x = unit.x;
  TORCH_CHECK(batch.size(0) == 4 && batch.size(1) == x.size(1) && batch.device() == x.device(),
              "statistics of kernels that do not run any more");
  const int64_t inputs = x.size(1), outputs = get(unit.weight).size(0);
  const auto images = images_of(x);
  const auto filter = prepared_filter(unit.weight, x.scalar_type());
  const ConvolutionBlocks blocks(images, outputs, inputs, x.element_size(), most_shared(x));
  const Gathered gathered(blocks.tiling.count);
  const int64_t slices = inputs / blocks.channels;
  UnitGradients found;
  found.out = at::empty_like(x);
  found.coefficients = made({3, inputs}, x, at::kFloat);
  found.norm_weight = made({inputs}, x, at::kFloat);
  found.norm_bias = made({inputs}, x, at::kFloat);
  at::Tensor gradients, activations, rooms[2];
  if (wants_parameters) {
    gradients = operand(gradient.gradient);
    activations = operand(x);
  }
  // A filter's gradient reads bfloats as they are: one tensor is its operand and the whole gradient.
  const bool is_operand = wants_parameters && x.scalar_type() != at::kFloat;
  if (gradient.skip.defined()) found.whole = is_operand ? gradients : at::empty_like(gradient.gradient);
  Backward args{};
  args.images = images;
  args.tiles = blocks.tiling.tiles(images);
  args.lanes = lanes(images, outputs, x.element_size(), blocks.threads);
  args.warps = blocks.warps();
  args.inputs = static_cast<int>(inputs);
  args.outputs = static_cast<int>(outputs);
  args.block_inputs = static_cast<int>(blocks.channels);
  args.gradient = pending(gradient, x);
  if (found.whole.defined() && !is_operand) args.whole = found.whole.mutable_data_ptr();
  if (wants_parameters) {
    args.operands = {.gradient = gradients.mutable_data_ptr(), .input = activations.mutable_data_ptr()};
  }
  args.x = checked(x, x);
  args.statistics = static_cast<const float *>(checked(batch, x));
  args.filter = filter.backward.const_data_ptr();
  args.out = found.out.mutable_data_ptr();
  args.norm = {.block_sums = room<double>(rooms[0], gathered.parts * inputs * 2, x),
               .group_sums = room<double>(rooms[1], gathered.groups * inputs * 2, x),
               .gathering = gathered.from(counters(x, slices * gathered.counters())),
               .share = 1 / static_cast<double>(pixels_of(images)),
               .gamma = floats(get(unit.norm.weight)),
               .coefficients = found.coefficients.mutable_data_ptr<float>(),
               .gamma_gradient = found.norm_weight.mutable_data_ptr<float>(),
               .beta_gradient = found.norm_bias.mutable_data_ptr<float>()};
  launch(x,
         {.kernel = "backward",
          .typed = true,
          .blocks = {blocks.tiling.count, slices},
          .threads = blocks.threads,
          .shared = blocks.shared},
         args);
  if (wants_parameters) find_filter_gradient(unit, gradients, activations, found);
  return found;
}

void resolve(const Gradient &gradient, const at::Tensor &out) {
  const auto images = images_of(gradient.gradient);
  const int64_t channels = gradient.gradient.size(1), threads = 256;
  const int64_t chunks = gradient.gradient.numel() * gradient.gradient.element_size() / 16;
  launch(gradient.gradient,
         {.kernel = "resolve", .typed = true, .blocks = {divided(chunks, threads), 1}, .threads = threads, .shared = 0},
         Resolve{.pixels = static_cast<int>(pixels_of(images)),
                 .channels = static_cast<int>(channels),
                 .gradient = pending(gradient, out),
                 .out = checked(out, out)});
}

}  // namespace ctorch::device
