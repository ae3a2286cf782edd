// Arguments of the GPU kernels, and the constants that both sides share. The host's compiler and CUDA's both read this
// file.
//
// Tensors are N×H×W×C in memory (channels-last), of float or bfloat. All convolutions are 3×3, of stride 1 or 2, with a
// pixel of padding on each side; channels come in sixteens. "Blocks" are thread blocks.
DEVICE_CODE(

// Channels come in as many as a warp makes at a time.
constexpr int channel_step = 16;
// Elements between neighbouring lines of shared memory, so that the lanes of a warp read from different banks.
constexpr int line_padding = 8;
// The part of a filter's gradient that a block computes, 16 outputs and 16 inputs: a line of floats for each output,
// which has 9 taps of 16 inputs and four times the gradient of the bias.
constexpr int gradient_line = 9 * channel_step + 4;
constexpr int gradient_patch = channel_step * gradient_line;
// Floats in shared memory for each channel that a convolution sums over, and for each that it makes.
constexpr int floats_from = 3, floats_to = 3;
// Number of filters that one launch prepares.
constexpr int most_filters = 64;
// Number of parameters that one launch changes.
constexpr int most_parameters = 120;

struct Images {
  int count, height, width;
};

// Division by a number; its product with what is divided must be below 2³¹.
struct Division {
  int by;
  // ⌈2³¹ / by⌉
  unsigned reciprocal;
};

// The parts of the images that blocks work on: `rows` rows of one image, or `images` whole ones.
struct Tiles {
  int images, rows, count;
  // By the number of an image's tiles, of the rows that a tile reads of an image, of a row's pixels, and of the pixels
  // that a tile has of an image.
  Division in_image, around, row, image;
};

// How a block's threads share the rows of a tile, which consist of chunks of 16 bytes: `by_lanes.by` threads work on a
// row, on `step` rows at a time. A pixel has `by_chunks.by` chunks.
struct Lanes {
  Division by_chunks, by_lanes;
  int step;
};

// How the warps of a block share a tile: a warp makes 16 channels of 32 pixels. `columns.by` warps make the block's
// channels, and there are `groups` of such warps.
struct Warps {
  Division columns;
  int groups;
};

// How the results of `parts` blocks are added up: each writes a row, the last of every `fan` blocks adds up these
// blocks' rows, and where a total is wanted, the last block of all adds up what came of that. The last block is found
// by counters, which are 0 before and after it. The order of a sum does not depend on which block is the last.
struct Gathering {
  int parts, groups;
  Division fan;
  unsigned *counters;
};

// Σ of each channel, and beside it Σ of squares or of products (parts×C×2), in a few parts that are to be added up.
struct Sums {
  int parts;
  double *rows;
};

// A filter that is converted for the kernels.
struct Filter {
  // O×9×I
  const float *from;
  // A line of bfloats for each channel that the convolution makes and each tap, which holds the channels that are
  // summed over; a float is the sum of three bfloats, which are in three such lines behind each other. `line_padding`
  // elements follow each line, as in shared memory. In each sixteen the channels that are made are in the order of
  // `place_in_sixteen`. In `backward` inputs and outputs have changed places, and the taps are turned by half a turn.
  void *forward, *backward;
  // There are zeros for the inputs behind those that are `stored` in `from`.
  int outputs, inputs, stored;
  // By the number of an output's elements, and by `inputs`.
  Division by_output, by_inputs;
};

struct PrepareFilters {
  Filter filters[most_filters];
};

// A normalisation: its statistics are computed from the sums of its input, or are the running ones where `sums` has no
// parts.
struct Statistics {
  Sums sums;
  // 1 / the number of pixels, and the factor that makes the variance an unbiased one.
  double share, unbiased;
  double epsilon;
  // By how much the running statistics move; they stay where it is 0.
  double momentum;
  const float *gamma, *beta;
  float *running_mean, *running_variance;
  // 4×C: mean, inverse deviation, scale and shift.
  float *out;
};

// A unit: normalisation, ReLU and convolution. A block makes `block_outputs` of the channels of a tile.
struct Forward {
  // The images that are made, and those that are read. With a stride of 2 the latter are larger.
  Images images, source;
  Tiles tiles;
  Lanes lanes;
  Warps warps;
  int inputs, outputs, block_outputs;
  // The number of channels of `x`, where they do not come in sixteens; nothing is normalised then.
  int stored;
  const void *x;
  Statistics norm;
  // As `Filter::forward`.
  const void *filter;
  const float *bias;
  // F = factor·(convolution + bias). Each of the three may be null; without `skip` there is no `sum`.
  float factor;
  const void *skip;
  void *residual, *sum;
  // Channel sums of `sum`, or of `residual` where there is no `sum`: a row for each block, and what the groups of them
  // come to. Null where they are not wanted.
  double *block_sums, *sums;
  Gathering gathering;
};

// The sums that a normalisation's backward pass leaves to the launch that reads its result: Σg and Σg·(x − mean) of
// each channel, in a few parts (parts×C×2) that are to be added up. Two more rows lie behind them. The first has each
// channel's scale γ/σ and mean, and the second has 1/σ and an element that is not used.
struct NormSums {
  int parts;
  double *rows;
};

// a·gradient + b·normed + d + skip, with a, b and d a value a channel, which are computed from `sums`; where these have
// no parts, the gradient itself. `skip` may be null.
struct PendingGradient {
  const void *gradient, *normed, *skip;
  NormSums sums;
  // 1 / the number of pixels.
  double share;
};

// The backward pass of a normalisation: each block leaves a row of Σg and Σg·(x − mean), and each group of blocks the
// sum of its rows in `sums`.
struct NormGradient {
  double *block_sums;
  NormSums sums;
  Gathering gathering;
  const float *gamma;
  // 4×C, as `Statistics::out`.
  const float *statistics;
};

// The gradients of γ and β, computed from such sums. None are computed where the sums have no parts.
struct NormParameters {
  int channels;
  NormSums sums;
  float *gamma_gradient, *beta_gradient;
};

// The tensors that a filter's gradient is computed from: the gradient of the unit's output, and its normalised input
// after the ReLU. They consist of bfloats. A float is the sum of three of them: a pixel then has three planes of its
// channels, one behind the other.
struct FilterOperands {
  void *gradient, *input;
};

// The gradients of a unit's filter (O×9×I) and, behind it, of its bias. A block works on 16 of the outputs and 16 of
// the inputs, and on every so many-th tile.
struct FilterGradient {
  // The images of the gradient, and those of the input.
  Images images, source;
  Tiles tiles;
  int inputs, outputs;
  // By the number of patches of an output, and by the pixels of an input's row with the two beside them.
  Division by_inputs, across;
  FilterOperands from;
  float *block_sums, *group_sums;
  Gathering gathering;
  float *out;
  // The gradients of the unit's γ and β, which one of the blocks computes.
  NormParameters norm;
};

// The way back through a unit's convolution and ReLU. A block makes `block_inputs` of the channels of a tile.
struct Backward {
  // The images of the input, and those of the gradient of the output.
  Images images, source;
  Tiles tiles;
  Lanes lanes;
  Warps warps;
  int inputs, outputs, block_inputs;
  PendingGradient gradient;
  // Receives that gradient where it is not null.
  void *whole;
  // Receives what the filter's gradient is computed from, where its places are not null.
  FilterOperands operands;
  const void *x;
  // As `Filter::backward`.
  const void *filter;
  // The gradient with respect to what was normalised, where the ReLU let through.
  void *out;
  NormGradient norm;
};

// Σx and Σx² of each channel of a tensor.
struct ChannelSums {
  int pixels, channels;
  const void *x;
  double *block_sums, *sums;
  Gathering gathering;
};

// out = a pending gradient; `out` may be one of its tensors, or null. `operand` receives it as a filter's gradient
// reads it, where it is not null.
struct Resolve {
  int pixels, channels;
  PendingGradient gradient;
  void *out, *operand;
  NormParameters norm;
};

// Images of fewer than sixteen channels, written as a filter's gradient reads them (`FilterOperands::input`), with
// zeros for the missing channels.
struct PadImages {
  int pixels, channels;
  const void *x;
  void *operand;
};

// out = ReLU(normalised x)
struct NormRelu {
  int pixels, channels;
  const void *x;
  Statistics norm;
  void *out;
};

// The backward pass of that ReLU, which overwrites the gradient, and the sums for the backward pass of the
// normalisation.
struct NormReluBackward {
  int pixels, channels;
  const void *x;
  void *gradient;
  NormGradient norm;
};

// out (N×K) = x·weightᵀ + bias, with x N×C and weight K×C. All are floats.
struct Linear {
  int samples, inputs, outputs;
  const float *x, *weight, *bias;
  float *out;
};

// The gradients of x, and where they are not null, of weight and bias.
struct LinearBackward {
  int samples, inputs, outputs;
  const float *gradient, *x, *weight;
  float *of_x, *of_weight, *of_bias;
};

// Σ cross-entropy and the number of wrong classifications of samples (2), and the logits' gradient times `scale`.
struct Loss {
  int samples, classes;
  const float *logits;
  const long long *labels;
  double smoothing, scale;
  float *gradient;
  double *block_sums, *sums;
  Gathering gathering;
};

// Adds a step's `sums` to `totals`, of which the third counts the steps until the first is no finite number; `skip` is
// then 1, and 0 before.
struct CountStep {
  const double *sums;
  double *totals;
  float *skip;
};

// A batch of images, cut out of a data set of bytes (C×H×W each). A pixel becomes scale·byte + offset, or 0 where the
// image was moved away from it. `selection` is N×4: the image's number, 1 where it is mirrored, and the pixels by which
// it is moved down and to the right. An image that is not one of the `stored` becomes NaN.
struct GatherImages {
  // The batch's images.
  Images images;
  int channels;
  long long stored;
  const unsigned char *from;
  const long long *selection;
  const float *scale, *offset;
  void *out;
};

// A parameter that gradient descent changes; without momentum `velocity` is null.
struct SGDParameter {
  float *value, *velocity;
  const float *gradient;
  int count;
};

// A step of gradient descent. Nothing is changed where `skip` is not null and 1.
struct SGD {
  SGDParameter parameters[most_parameters];
  const double *rate;
  const float *skip;
  float decay, momentum;
  bool nesterov;
};

)
