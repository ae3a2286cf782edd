// Tensors, sums over blocks and statistics as the GPU kernels' arguments.
#ifndef CTORCH_DEVICE_TENSORS_H
#define CTORCH_DEVICE_TENSORS_H

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "launching.h"

namespace ctorch::device {

/// The kernels are made for narrow layers: every block reads a whole filter, or a good part of it, and has a thread for
/// each channel of a normalisation. Wider layers are libtorch's.
constexpr int64_t most_channels = 128;
/// The threads of a block.
constexpr int64_t most_threads = 256;

/// The next multiple of sixteen.
inline int64_t sixteens(int64_t channels) { return divided(channels, channel_step) * channel_step; }

inline Images images_of(const at::Tensor &tensor) {
  return {static_cast<int>(tensor.size(0)), static_cast<int>(tensor.size(2)), static_cast<int>(tensor.size(3))};
}

inline int64_t pixels_of(const Images &images) { return int64_t{images.count} * images.height * images.width; }

/// The address of a tensor's elements, for a kernel that works where `x` lies and reads 16 bytes at a time. Throws
/// where the tensor lies elsewhere or is not aligned, because the kernel does not look.
void *checked(const at::Tensor &tensor, const at::Tensor &x);

/// True if values lie on x's device as the kernels read them: floats, contiguous.
bool is_readable(const at::Tensor &values, const at::Tensor &x);

/// True if all values of a normalisation do, and its batch is this process's alone.
bool is_readable(const ctorch_norm &norm, const at::Tensor &x);

/// A new contiguous tensor on the device of `like`.
at::Tensor made(at::IntArrayRef shape, const at::Tensor &like, at::ScalarType type);

/// Room for the rows of a launch's blocks, which nobody reads after it.
template <class Element>
Element *room(at::Tensor &held, int64_t count, const at::Tensor &like) {
  held = made({std::max<int64_t>(count, 1)}, like, c10::CppTypeToScalarType<Element>::value);
  return held.mutable_data_ptr<Element>();
}

/// The way in which the rows of so many blocks are added up: in groups of sixteen or more.
struct Gathered {
  int64_t parts, fan, groups;

  explicit Gathered(int64_t parts)
      : parts(parts),
        fan(std::max<int64_t>(std::min<int64_t>(parts, 16), divided(parts, 16))),
        groups(divided(parts, fan)) {
    TORCH_CHECK(parts * fan <= INT32_MAX, "a batch that is worked on in ", parts, " pieces is too large for a GPU's ",
                "kernels: use smaller batches");
  }

  /// Number of counters for each of the sums that a launch gathers.
  int64_t counters() const { return groups + 1; }
  Gathering from(unsigned *counters) const {
    return {static_cast<int>(parts), static_cast<int>(groups), division(fan), counters};
  }
};

/// The channel sums by which a mode normalises x; undefined where it does so by the running statistics.
/// - known: those of the launch that made x, where it found them
at::Tensor sums_for(ctorch_norm_mode mode, const at::Tensor &x, const at::Tensor &known);

/// A normalisation of x by `sums`, or by the running statistics where they are undefined. Its statistics are written to
/// `out` (4×C).
Statistics statistics_of(const ctorch_norm &norm, const at::Tensor &x, const at::Tensor &sums, ctorch_norm_mode mode,
                         const at::Tensor &out);

/// The bytes of shared memory in which a block's threads add up two values a channel.
int64_t shared_for_sums(int64_t channels_of_a_thread, int64_t element);

/// The bytes of shared memory in which a block computes up to three values a channel from sums.
int64_t shared_for_channels(int64_t channels);

/// The results of a normalisation's backward pass: the sums that its pending gradient's coefficients are computed from
/// (`NormSums`), and the gradients of γ and β, which a later launch computes.
struct NormResults {
  at::Tensor sums, weight, bias;

  /// - x: the normalisation's input
  /// - gathered: how the sums of the launch's blocks are added up
  NormResults(const at::Tensor &x, const Gathered &gathered);
  NormParameters parameters() const;
};

/// The sums that lie in a tensor, as `NormResults::sums` does.
NormSums norm_sums(const at::Tensor &sums);

/// The arguments of a launch that runs a normalisation's backward pass.
/// - rooms: keeps the memory of the blocks' rows until the launch has been asked for
/// - slices: into which the channels are divided
NormGradient norm_gradient(const NormResults &results, const at::Tensor &x, const ctorch_norm &norm,
                           const at::Tensor &statistics, const Gathered &gathered, int64_t slices, at::Tensor &rooms);

}  // namespace ctorch::device

#endif
