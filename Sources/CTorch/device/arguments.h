// Arguments of the GPU kernels, and the constants that both sides share. The host's compiler and CUDA's both read this
// file.
//
// Tensors are N×H×W×C in memory (channels-last), of float or bfloat; a convolution's filter is O×3×3×I. All are of
// stride 1 and padded to keep the size, and channels come in sixteens.
// clang-format off: this is the argument of a macro, which clang-format does not read as declarations.
DEVICE_CODE(

// Channels come in as many as a warp makes at a time.
constexpr int channel_step = 16;
// Padding between neighbouring lines of shared memory, so that the lanes of a warp read from different banks: in bytes for
// reads along a line, in elements for reads across lines.
constexpr int padding_bytes = 16, padding_across = 8;
// Number of floats that one output takes in a warp's part of shared memory, in a filter's gradient.
constexpr int gradient_line = 9 * channel_step + 4;
// Channels of a block that adds up rows of sums.
constexpr int total_channels = 4;

struct Images {
  int count, height, width;
};

// The sums that a pass leaves of what it wrote, a row for each of its `parts`: Σ, and Σ of squares or products, a channel each.
struct Sums {
  int parts;
  double *rows;
};

// A unit there. A block works on `rows` rows of an image, and on `block_outputs` of the channels.
struct Forward {
  Images images;
  int rows, inputs, outputs, block_outputs;
  const void *x;
  // C each: what is convolved is max(0, scale·x + shift).
  const float *scale, *shift;
  const float *filter, *bias;
  // F = factor·(convolution + bias). Each of the three may be null; without `skip` there is no `sum`.
  float factor;
  const void *skip;
  void *residual, *sum;
  // Channel sums of `sum`, or of `residual` where there is no `sum`; null where they are not wanted.
  double *sums;
};

// a·gradient + b·normed + d, a value a channel each; without coefficients, where they are null, the gradient itself.
struct PendingGradient {
  const void *gradient, *normed;
  const float *a, *b, *d;
};

// Back through a unit's convolution and ReLU. A block works on `rows` rows of an image, and on `block_inputs` of the channels.
struct Backward {
  Images images;
  int rows, inputs, outputs, block_inputs;
  PendingGradient gradient;
  const void *x;
  const float *scale, *shift, *mean;
  const float *filter;
  // Where the ReLU let through; its sums are Σ and Σ·(x − mean).
  void *out;
  double *sums;
};

// The gradients of a unit's filter and bias, summed over the tiles that a block works on: a row of O·9·I + O for each of
// `parts` blocks. It works on 16 of the outputs and 16 of the inputs.
struct FilterGradient {
  Images images;
  int rows, inputs, outputs, parts;
  PendingGradient gradient;
  const void *x;
  const float *scale, *shift;
  float *partial;
};

// out = Σ of `parts` rows of `size`.
struct AddRows {
  int parts, size;
  const float *rows;
  float *out;
};

// Σx and Σx² of each channel of a tensor.
struct ChannelSums {
  int pixels, channels;
  const void *x;
  Sums sums;
};

// The statistics of a normalisation, computed from the sums of its input, or the running statistics where `sums` has no
// parts.
struct Statistics {
  int channels;
  Sums sums;
  double pixels, epsilon;
  // By how much the running statistics move; they stay where it is 0.
  double momentum;
  const float *gamma, *beta;
  float *running_mean, *running_variance;
  // 4×C: mean, inverse deviation, scale and shift.
  float *out;
};

// The remaining backward pass of a normalisation, computed from Σg and Σg·(x − mean).
struct NormGradient {
  int channels;
  Sums sums;
  double pixels;
  const float *gamma, *statistics;
  // 3×C: of a·g + b·x + d.
  float *coefficients;
  float *gamma_gradient, *beta_gradient;
};

// out = skip + what a pending gradient comes to; `skip` may be null, and `out` may be one of those.
struct Resolve {
  int pixels, channels;
  const void *skip;
  PendingGradient gradient;
  void *out;
};

)
