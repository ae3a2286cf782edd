// Units by a GPU's kernels: what is launched, in which blocks, and with how much shared memory.
#include "units.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "../support.h"
#include "beside.h"
#include "filters.h"
#include "launching.h"
#include "tensors.h"

namespace ctorch::device {

namespace {

// MARK: blocks

constexpr int64_t warp = 32;
constexpr int64_t most_warps = most_threads / warp;

/// The images that a convolution makes of these, by a stride.
Images made_of(const Images &images, int64_t stride) {
  return {images.count, static_cast<int>(divided(images.height, stride)),
          static_cast<int>(divided(images.width, stride))};
}

/// The images that blocks make. Neighbouring pixels read pixels that are `step` apart, in lines of `across` pixels.
struct Made {
  Images images;
  int64_t step, across;
};

/// The tiles that images are cut into, of at most so many pixels where a row is not more.
struct Tiling {
  int64_t images, rows, count;
  /// Number of lines that a tile reads of an image.
  int64_t lines;
  /// Number of pixels of a tile, and of those that it reads.
  int64_t pixels, around;

  Tiling(const Made &made, int64_t most_pixels) : images(1), rows(made.images.height) {
    const auto &of = made.images;
    const int64_t image = int64_t{of.height} * of.width;
    if (image > most_pixels) {
      rows = std::clamp<int64_t>(most_pixels / of.width, 1, of.height);
    } else {
      images = std::min<int64_t>(most_pixels / image, of.count);
    }
    count = divided(of.count, images) * divided(of.height, rows);
    pixels = images * rows * of.width;
    lines = made.step * (rows - 1) + 3;
    around = images * lines * made.across;
  }

  Tiles tiles(const Images &of) const {
    return {.images = static_cast<int>(images),
            .rows = static_cast<int>(rows),
            .count = static_cast<int>(count),
            .in_image = division(divided(of.height, rows)),
            .around = division(lines),
            .row = division(of.width),
            .image = division(rows * of.width)};
  }
};

/// The way in which so many threads share the rows of what a tile reads, of so many channels.
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

  ConvolutionBlocks(const Made &made, int64_t from, int64_t to, int64_t element, int64_t most_shared)
      : tiling(made, 1) {
    int64_t most_resident = 0;
    for (int64_t step : {64, 48, 32, 16}) {
      if (to % step != 0) continue;
      const int64_t columns = step / channel_step;
      for (int64_t groups = most_warps / columns; groups > 0; groups /= 2) {
        const Tiling tiles(made, warp * groups);
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

  FilterBlocks(const Made &made, int64_t inputs, int64_t outputs, int64_t element)
      // The sizes of tiles and the numbers of blocks are constants: the order of sums should not change with the card.
      // These were fastest on an H200.
      : tiling(made, (element == sizeof(float) ? 256 : 512) / (made.step * made.step)),
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

// MARK: tensors

PendingGradient pending(const Gradient &gradient, const at::Tensor &x) {
  PendingGradient found{};
  found.gradient = checked(gradient.gradient, x);
  if (!gradient.sums.defined()) return found;
  found.normed = checked(gradient.normed, x);
  if (gradient.skip.defined()) found.skip = checked(gradient.skip, x);
  TORCH_CHECK(gradient.sums.device() == x.device() && gradient.sums.size(1) == gradient.gradient.size(1),
              "a pending gradient of kernels that do not run any more");
  found.sums = norm_sums(gradient.sums);
  found.share = 1 / static_cast<double>(pixels_of(images_of(gradient.gradient)));
  return found;
}

/// A tensor of the size of `like` for the values that a filter's gradient is computed from.
at::Tensor operand(const at::Tensor &like) {
  return like.scalar_type() == at::kFloat ? made({like.numel(), planes_of(sizeof(float))}, like, at::kBFloat16)
                                          : at::empty_like(like);
}

/// The tensors that a filter's gradient is computed from, as the kernel reads them, and the shapes of what they hold.
struct FilterGradientOf {
  at::Tensor gradient, input;
  Images made, read;
  int64_t stride, inputs, outputs;
  /// The normalisation's, whose gradients are found with it; null without one.
  const NormResults *norm = nullptr;
};

/// Has the gradients of the filter and its bias computed beside what follows.
/// - x: where they are computed, and of which type the activations are
FilterGradients find_filter_gradient(const FilterGradientOf &of, const at::Tensor &x) {
  const int64_t size = of.outputs * 9 * of.inputs;
  const FilterBlocks blocks({of.made, of.stride, of.read.width + 2}, of.inputs, of.outputs, x.element_size());
  const Gathered gathered(blocks.parts);
  const auto all = made({size + of.outputs}, x, at::kFloat);
  at::Tensor rooms[2];
  FilterGradient args{};
  args.images = of.made;
  args.source = of.read;
  args.tiles = blocks.tiling.tiles(of.made);
  args.inputs = static_cast<int>(of.inputs);
  args.outputs = static_cast<int>(of.outputs);
  args.by_inputs = division(of.inputs / channel_step);
  args.across = division(of.read.width + 2);
  args.from = {.gradient = of.gradient.mutable_data_ptr(), .input = of.input.mutable_data_ptr()};
  args.block_sums = room<float>(rooms[0], gathered.parts * blocks.patches * gradient_patch, x);
  args.group_sums = room<float>(rooms[1], gathered.groups * blocks.patches * gradient_patch, x);
  args.out = all.mutable_data_ptr<float>();
  std::vector<at::Tensor> tensors = {of.gradient, of.input, all, rooms[0], rooms[1]};
  if (of.norm) {
    args.norm = of.norm->parameters();
    tensors.insert(tensors.end(), {of.norm->sums, of.norm->weight, of.norm->bias});
  }
  beside(x, tensors, [=, stride = of.stride]() mutable {
    args.gathering = gathered.from(counters(x, blocks.patches * gathered.counters()));
    launch(x,
           {.kernel = stride == 1 ? "filter_gradient" : "filter_gradient_by_two",
            .blocks = {gathered.parts, blocks.patches},
            .threads = blocks.threads,
            .shared = blocks.shared},
           args);
  });
  return {.weight = all.narrow(0, 0, size).view({of.outputs, 3, 3, of.inputs}).permute({0, 3, 1, 2}),
          .bias = all.narrow(0, size, of.outputs)};
}

}  // namespace

bool fits(const at::Tensor &x, const at::Tensor &weight, int stride) {
  const int64_t inputs = sixteens(x.size(1)), outputs = weight.size(0), element = x.element_size();
  const int64_t most = most_shared(x);
  const auto images = images_of(x);
  const int64_t across = images.width + 2;
  const Made made = {made_of(images, stride), stride, across};
  return ConvolutionBlocks(made, inputs, outputs, element, most).channels > 0 &&
         ConvolutionBlocks({images, 1, across}, outputs, inputs, element, most).channels > 0 &&
         FilterBlocks(made, inputs, outputs, element).shared <= most;
}

bool takes(const at::Tensor &x, const ctorch_norm &norm, const at::Tensor &weight, int stride) {
  const bool is_kind = x.dim() == 4 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
                       (stride == 1 || stride == 2) && is_filter(weight) && x.size(1) % channel_step == 0 &&
                       weight.device() == x.device() &&
                       // One pixel for each channel has no variance.
                       x.numel() > x.size(1);
  if (!is_kind || !launches(x) || !is_readable(norm, x)) return false;
  // Places in a tensor, and in what a filter's gradient reads, are counted in 32 bits.
  const int64_t most = x.numel() / x.size(1) * std::max(x.size(1), weight.size(0));
  return most * planes_of(x.element_size()) <= INT32_MAX && fits(x, weight, stride);
}

bool is_filter(const at::Tensor &weight) {
  return weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 && weight.scalar_type() == at::kFloat &&
         weight.size(0) % channel_step == 0 && weight.size(1) > 0 &&
         (weight.size(1) % channel_step == 0 || weight.size(1) < channel_step) &&
         std::max(weight.size(0), weight.size(1)) <= most_channels;
}

bool takes_convolution(const at::Tensor &x, const at::Tensor &weight, int stride, int padding) {
  return x.dim() == 4 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && stride == 1 &&
         padding == 1 && is_filter(weight) && weight.size(1) < channel_step && weight.size(1) == x.size(1) &&
         weight.device() == x.device() && launches(x) && x.numel() > 0 &&
         x.numel() / x.size(1) * weight.size(0) * planes_of(x.element_size()) <= INT32_MAX && fits(x, weight, stride);
}

namespace {

at::Tensor checked_bias(const at::Tensor &bias, const at::Tensor &x, int64_t outputs) {
  const auto offset = bias.contiguous();
  TORCH_CHECK(offset.numel() == outputs && is_readable(offset, x), "a bias of ", offset.numel(), " values for ",
              outputs, " outputs");
  return offset;
}

/// The arguments of a launch that convolves x, with or without a normalisation and ReLU before it.
struct Convolving {
  const char *kernel;
  Made made;
  int64_t inputs, outputs;
  const at::Tensor &x;
  Statistics norm;
  const at::Tensor &filter;
  const at::Tensor &bias;
};

void convolve(const Convolving &of, const ForwardOptions &options, UnitOutput &found) {
  const auto &x = of.x;
  const auto &images = of.made.images;
  const auto read = images_of(x);
  const auto &skip = options.skip;
  const auto result = [&] {
    return at::empty({images.count, of.outputs, images.height, images.width},
                     x.options().memory_format(at::MemoryFormat::ChannelsLast));
  };
  if (skip.defined()) found.sum = result();
  if (!skip.defined() || options.keeps_added) found.added = result();
  const ConvolutionBlocks blocks(of.made, of.inputs, of.outputs, x.element_size(), most_shared(x));
  const Gathered gathered(blocks.tiling.count);
  const int64_t slices = of.outputs / blocks.channels;
  Forward args{};
  args.images = images;
  args.source = read;
  args.tiles = blocks.tiling.tiles(images);
  args.lanes = lanes(read, of.inputs, x.element_size(), blocks.threads);
  args.warps = blocks.warps();
  args.inputs = static_cast<int>(of.inputs);
  args.outputs = static_cast<int>(of.outputs);
  args.block_outputs = static_cast<int>(blocks.channels);
  args.stored = static_cast<int>(x.size(1));
  // Images of few channels are loaded element by element, wherever they begin.
  args.x = x.size(1) % channel_step == 0 ? checked(x, x) : x.const_data_ptr();
  args.norm = of.norm;
  args.filter = of.filter.const_data_ptr();
  args.bias = static_cast<const float *>(checked(of.bias, x));
  args.factor = static_cast<float>(options.factor);
  if (skip.defined()) args.skip = checked(skip, x);
  if (found.added.defined()) args.residual = found.added.mutable_data_ptr();
  if (found.sum.defined()) args.sum = found.sum.mutable_data_ptr();
  at::Tensor block_sums;
  if (options.wants_sums) {
    found.sums = made({gathered.groups, of.outputs, 2}, x, at::kDouble);
    args.block_sums = room<double>(block_sums, gathered.parts * of.outputs * 2, x);
    args.sums = found.sums.mutable_data_ptr<double>();
    args.gathering = gathered.from(counters(x, slices * gathered.counters()));
  }
  launch(x,
         {.kernel = of.kernel,
          .blocks = {blocks.tiling.count, slices},
          .threads = blocks.threads,
          .shared = blocks.shared},
         args);
}

}  // namespace

UnitOutput forward(const Unit &unit, const ForwardOptions &options) {
  const auto &x = unit.x;
  const int64_t inputs = x.size(1), outputs = get(unit.weight).size(0);
  const auto read = images_of(x), images = made_of(read, unit.stride);
  const bool by_batch = options.mode.statistics != CTORCH_RUNNING;
  const auto filter = prepared_filter(unit.weight, x.scalar_type());
  const auto sums = sums_for(options.mode, x, options.input_sums), statistics = made({4, inputs}, x, at::kFloat);
  const auto offset = checked_bias(options.bias, x, outputs);
  UnitOutput found;
  if (by_batch) found.batch = statistics;
  convolve({.kernel = unit.stride == 1 ? "forward" : "forward_by_two",
            .made = {images, unit.stride, read.width + 2},
            .inputs = inputs,
            .outputs = outputs,
            .x = x,
            .norm = statistics_of(unit.norm, x, sums, options.mode, statistics),
            .filter = filter.forward,
            .bias = offset},
           options, found);
  return found;
}

UnitOutput convolution(const at::Tensor &x, ctorch_tensor weight, const at::Tensor &bias) {
  const int64_t outputs = get(weight).size(0);
  const auto images = images_of(x);
  UnitOutput found;
  convolve({.kernel = "convolution",
            .made = {images, 1, images.width + 2},
            .inputs = channel_step,
            .outputs = outputs,
            .x = x,
            .norm = {},
            .filter = prepared_filter(weight, x.scalar_type()).forward,
            .bias = checked_bias(bias, x, outputs)},
           {.bias = bias, .factor = 1}, found);
  return found;
}

FilterGradients convolution_backward(const at::Tensor &x, const at::Tensor &gradient) {
  const auto images = images_of(x);
  TORCH_CHECK(gradient.dim() == 4 && gradient.size(0) == x.size(0) && gradient.size(1) % channel_step == 0 &&
                  gradient.sizes().slice(2) == x.sizes().slice(2) && gradient.scalar_type() == x.scalar_type() &&
                  gradient.device() == x.device(),
              "a gradient of shape ", gradient.sizes(), " and type ", gradient.scalar_type(),
              " for a convolution of images of shape ", x.sizes(), " and type ", x.scalar_type());
  const int64_t pixels = pixels_of(images), chunks = channel_step * x.element_size() / 16;
  const auto input = made({pixels, planes_of(x.element_size()) * channel_step}, x, at::kBFloat16);
  launch(x, {.kernel = "pad_images", .blocks = {divided(pixels * chunks, most_threads), 1}, .threads = most_threads},
         PadImages{.pixels = static_cast<int>(pixels),
                   .channels = static_cast<int>(x.size(1)),
                   .x = x.const_data_ptr(),
                   .operand = input.mutable_data_ptr()});
  auto operand_of_gradient = gradient;
  if (x.scalar_type() == at::kFloat) {
    operand_of_gradient = operand(gradient);
    resolve({.gradient = gradient}, {}, operand_of_gradient);
  }
  const auto found = find_filter_gradient({.gradient = operand_of_gradient,
                                           .input = input,
                                           .made = images,
                                           .read = images,
                                           .stride = 1,
                                           .inputs = channel_step,
                                           .outputs = gradient.size(1)},
                                          x);
  return {.weight = found.weight.narrow(1, 0, x.size(1)), .bias = found.bias};
}

UnitGradients backward(const Unit &unit, const Gradient &gradient, const at::Tensor &batch, bool wants_parameters) {
  const auto &x = unit.x;
  TORCH_CHECK(batch.size(0) == 4 && batch.size(1) == x.size(1) && batch.device() == x.device(),
              "statistics of kernels that do not run any more");
  const int64_t inputs = x.size(1), outputs = get(unit.weight).size(0);
  const auto images = images_of(x), source = images_of(gradient.gradient);
  const auto filter = prepared_filter(unit.weight, x.scalar_type());
  const ConvolutionBlocks blocks({images, 1, images.width + 2}, outputs, inputs, x.element_size(), most_shared(x));
  const Gathered gathered(blocks.tiling.count);
  const int64_t slices = inputs / blocks.channels;
  UnitGradients found;
  found.out = at::empty_like(x);
  const NormResults results(x, gathered);
  found.norm_sums = results.sums;
  found.norm_weight = results.weight;
  found.norm_bias = results.bias;
  at::Tensor gradients, activations, rooms;
  if (wants_parameters) {
    gradients = operand(gradient.gradient);
    activations = operand(x);
  }
  // A filter's gradient reads bfloats as they are: one tensor is its operand and the whole gradient.
  const bool is_operand = wants_parameters && x.scalar_type() != at::kFloat;
  if (gradient.skip.defined()) found.whole = is_operand ? gradients : at::empty_like(gradient.gradient);
  Backward args{};
  args.images = images;
  args.source = source;
  args.tiles = blocks.tiling.tiles(images);
  args.lanes = lanes(source, outputs, x.element_size(), blocks.threads);
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
  args.filter = filter.backward.const_data_ptr();
  args.out = found.out.mutable_data_ptr();
  args.norm = norm_gradient(results, x, unit.norm, batch, gathered, slices, rooms);
  launch(x,
         {.kernel = unit.stride == 1 ? "backward" : "backward_by_two",
          .blocks = {blocks.tiling.count, slices},
          .threads = blocks.threads,
          .shared = blocks.shared},
         args);
  if (wants_parameters) {
    found.filter = find_filter_gradient({.gradient = gradients,
                                         .input = activations,
                                         .made = source,
                                         .read = images,
                                         .stride = unit.stride,
                                         .inputs = inputs,
                                         .outputs = outputs,
                                         .norm = &results},
                                        x);
  }
  return found;
}

void resolve(const Gradient &gradient, const at::Tensor &out, const at::Tensor &operand, const NormParameters &norm) {
  const auto images = images_of(gradient.gradient);
  const int64_t channels = gradient.gradient.size(1);
  const int64_t chunks = gradient.gradient.numel() * gradient.gradient.element_size() / 16;
  launch(gradient.gradient,
         {.kernel = "resolve",
          .blocks = {divided(chunks, most_threads), 1},
          .threads = most_threads,
          .shared = shared_for_channels(channels)},
         Resolve{.pixels = static_cast<int>(pixels_of(images)),
                 .channels = static_cast<int>(channels),
                 .gradient = pending(gradient, gradient.gradient),
                 .out = out.defined() ? checked(out, gradient.gradient) : nullptr,
                 .operand = operand.defined() ? operand.mutable_data_ptr() : nullptr,
                 .norm = norm});
}

}  // namespace ctorch::device
