// The kernels of the residual block: what they are given, and the instruction sets that they come in.
//
// Activations lie channels-last, N×H×W×C. A 3×3 convolution runs as Winograd's F(4×4, 3×3) (Lavin and Gray,
// arXiv:1509.09308): 36 multiplications where 144 would be needed. Its input is made while it is loaded, by the
// normalisation and ReLU before it, and its output is summed for the normalisation after it while it is stored. One of
// stride 2 is every other row and column of one of stride 1: as many multiplications as without Winograd, in one pass.
//
// Arrays "a channel" have room for `padded(channels)` values, zeros behind the last channel. All arithmetic is float32,
// whatever the activations are stored in; sums over a whole tensor are float64.
#ifndef CTORCH_KERNELS_H
#define CTORCH_KERNELS_H

#include <cstdint>

namespace ctorch::kernels {

/// The most lanes of any instruction set: what arrays are padded to.
constexpr int64_t most_lanes = 16;
inline int64_t padded(int64_t channels) { return (channels + most_lanes - 1) / most_lanes * most_lanes; }

/// Winograd's tiles: 6×6 inputs, of which 4×4 outputs come.
constexpr int64_t tile = 4, reach = tile + 2, positions = reach * reach;

struct Images {
  int64_t count, height, width;
  bool is_bfloat16;
  /// Pixels a side of a tile.
  int64_t edge = tile;

  int64_t pixels() const { return count * height * width; }
  int64_t tiles_a_row() const { return (width + edge - 1) / edge; }
  int64_t tile_rows_an_image() const { return (height + edge - 1) / edge; }
  int64_t tile_rows() const { return count * tile_rows_an_image(); }
  /// The images that a convolution with this stride, 1 or 2, makes, in as many tiles.
  Images after(int64_t stride) const {
    return {count, (height + stride - 1) / stride, (width + stride - 1) / stride, is_bfloat16, edge / stride};
  }
};

/// F = factor·(conv3×3(ReLU(scale·x + shift)) + bias), and F + skip.
struct Forward {
  /// The images of x.
  Images images;
  int64_t inputs, outputs;
  /// 1, or of float32 2.
  int64_t stride;
  const void *x;
  /// A channel of x.
  const float *scale, *shift;
  /// Packed by `pack_filter`.
  const float *filter;
  /// A channel of F.
  const float *bias;
  float factor;
  /// Where not null, of F's shape.
  const void *skip;
  /// Either may be null.
  void *residual, *sum;
  /// True if the sums a channel are wanted, and true if those an image are.
  bool sums, squares;
};

/// The way back through `Forward`. The gradient with respect to F is a·gradient + b·normed + d where `normed`, the
/// input of the normalisation that follows, is not null: that normalisation's own way back, made while it is loaded.
/// Else it is `gradient`.
struct Backward {
  /// The images of x.
  Images images;
  int64_t inputs, outputs, stride;
  const void *gradient, *normed;
  /// A channel of F.
  const float *a, *b, *d;
  const void *x;
  /// A channel of x.
  const float *scale, *shift, *mean;
  /// Packed by `pack_filter`, rotated.
  const float *filter;
  /// Receives the gradient with respect to scale·x + shift, of x's shape. Where `factor`, a channel of x, is not null,
  /// that times the factor, and `skip` added where it is not null.
  void *out;
  const float *factor;
  const void *skip;
  /// True if the filter's gradient and the sums a channel are wanted.
  bool parameters;
  /// Where not null, of x's shape, something whose products with `out` are wanted, an image each.
  const void *beside;
};

/// Elements a channel at a time: P pixels of C channels.
struct Pixels {
  int64_t count, channels;
  bool is_bfloat16;
};

/// The functions of one instruction set. `begin ..< end` are tile rows (of x's `Images`) or pixels. Sums are added to
/// those that are given. Calls for parts that do not overlap may run at the same time, each with its own sums.
struct Kernels {
  const char *name;

  /// Filter (O×I×3×3 in the order O, row, column, I) to Winograd's domain, in the order in which `forward` or, where
  /// `rotated`, `backward` reads it; `packed_size` floats. `begin ..< end` are blocks of `most_lanes` outputs.
  void (*pack_filter)(const float *filter, int64_t inputs, int64_t outputs, bool rotated, float *packed, int64_t begin,
                      int64_t end);
  /// The filter's gradient (in the order of the filter) from its sums in Winograd's domain, of which `parts` lie one
  /// `gradient_size` after the other. `begin ..< end` are blocks of `most_lanes` outputs.
  void (*unpack_gradient)(const float *sums, int64_t parts, int64_t inputs, int64_t outputs, float *gradient,
                          int64_t begin, int64_t end);
  /// `sums`: Σ and Σ² of what is stored, before it is rounded to the element type, a channel of F each, one after the
  /// other; then, where they are wanted, ΣF² and Σ(F + skip)², an image each.
  void (*forward)(const Forward &, int64_t begin, int64_t end, double *sums);
  /// `filter_gradient`: `gradient_size` floats. `sums`: Σg and Σg·(x − mean), a channel of x each, then Σ of F's
  /// gradient, a channel of F; then, where something is beside, Σ beside·out and Σ out², an image each.
  void (*backward)(const Backward &, int64_t begin, int64_t end, float *filter_gradient, double *sums);

  /// Σx and Σx² a channel.
  void (*channel_sums)(const Pixels &, const void *x, int64_t begin, int64_t end, double *sums);
  /// out = ReLU(scale·x + shift)
  void (*norm_relu)(const Pixels &, const void *x, const float *scale, const float *shift, void *out, int64_t begin,
                    int64_t end);
  /// out = gradient where scale·x + shift is positive, else 0; `sums` as of `backward`. May write over `gradient`.
  void (*norm_relu_backward)(const Pixels &, const void *gradient, const void *x, const float *scale,
                             const float *shift, const float *mean, void *out, int64_t begin, int64_t end,
                             double *sums);
  /// out = skip + a·gradient + b·x + d; `skip`, and `x` with b and d, may be null. May write over any.
  void (*norm_gradient)(const Pixels &, const void *skip, const void *gradient, const void *x, const float *a,
                        const float *b, const float *d, void *out, int64_t begin, int64_t end);

  /// Σab, Σaa and Σbb of `count` elements. The products and their sums are float64: squares of the gradient of a sample
  /// of which the network is sure can be nothing in float32.
  void (*products)(bool is_bfloat16, const void *a, const void *b, int64_t count, double *out);
};

/// Floats from one position's matrix of a filter, or of its gradient, to the next one's. A cache line apart from a
/// power of 2: else all positions of an element fall into the same lines of the cache.
inline int64_t filter_plane(int64_t inputs, int64_t outputs) { return padded(inputs) * padded(outputs) + most_lanes; }
inline int64_t packed_size(int64_t inputs, int64_t outputs) { return positions * filter_plane(inputs, outputs); }
inline int64_t gradient_size(int64_t inputs, int64_t outputs) { return positions * filter_plane(inputs, outputs); }

extern const Kernels plain;
#if defined(__x86_64__)
extern const Kernels avx2, avx512;
#endif

}  // namespace ctorch::kernels

#endif
