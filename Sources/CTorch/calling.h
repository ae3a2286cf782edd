// Calling the kernels: whether they take a tensor, in which pieces, and what becomes of their sums.
#ifndef CTORCH_CALLING_H
#define CTORCH_CALLING_H

#include <ATen/ops/empty.h>

#include <vector>

#include "kernels/select.h"
#include "support.h"

namespace ctorch {

/// True if code of our own works on this tensor; elsewhere, and where "libtorch" is chosen, libtorch's operations do.
inline bool ours(const at::Tensor &tensor) { return kernels::chosen() != nullptr && tensor.is_cpu(); }

/// True if our kernels run on this tensor.
inline bool takes(const at::Tensor &input) {
  return ours(input) && input.dim() == 4 && (input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16);
}

/// True if they run this convolution of it. At stride 2 ours saves passes over memory, but no multiplications: from 256
/// outputs on, where these are most of the work, and in bfloat16 libtorch's is faster (docs/performance.md).
inline bool takes(const at::Tensor &input, const at::Tensor &weight, int stride) {
  if (!takes(input) || weight.size(2) != 3) return false;
  return stride == 1 || (stride == 2 && input.scalar_type() == at::kFloat && weight.size(0) < 256);
}

inline kernels::Images images_of(const at::Tensor &tensor) {
  return {tensor.size(0), tensor.size(2), tensor.size(3), tensor.scalar_type() == at::kBFloat16};
}

inline kernels::Pixels pixels_of(const at::Tensor &tensor) {
  return {tensor.size(0) * tensor.size(2) * tensor.size(3), tensor.size(1), tensor.scalar_type() == at::kBFloat16};
}

/// Room for what a convolution of that stride makes of the same images.
inline at::Tensor like(const at::Tensor &tensor, int64_t channels, int64_t stride) {
  const auto made = images_of(tensor).after(stride);
  return at::empty({made.count, channels, made.height, made.width},
                   tensor.options().memory_format(at::MemoryFormat::ChannelsLast));
}

/// The equal pieces that 0 ..< count is worked on in, a thread each. They, and so the order in which sums of theirs are
/// added up, depend on `count` and the thread count only; where they are cut between groups of so many, the sums of a
/// group do not depend on the threads either.
struct Pieces {
  int64_t count, group, number;

  Pieces(int64_t count, int64_t group = 1)
      : count(count), group(group), number(std::max<int64_t>(1, std::min<int64_t>(count / group, ctorch_threads()))) {}

  int64_t begin(int64_t piece) const { return count / group * piece / number * group; }
};

/// Calls `body(piece, begin, end)` for each piece.
template <class Body>
void in_pieces(const Pieces &pieces, const Body &body) {
  parallel(pieces.number, [&](int64_t from, int64_t to) {
    for (int64_t piece = from; piece < to; ++piece) body(piece, pieces.begin(piece), pieces.begin(piece + 1));
  });
}

/// As `in_pieces`, with `size` sums that each piece adds to and that are added up here.
template <class Body>
std::vector<double> summed(const Pieces &pieces, int64_t size, const Body &body) {
  // A cache line between the pieces' sums.
  const int64_t apart = size + 8;
  std::vector<double> sums(apart * pieces.number);
  in_pieces(pieces,
            [&](int64_t piece, int64_t begin, int64_t end) { body(piece, begin, end, sums.data() + piece * apart); });
  for (int64_t piece = 1; piece < pieces.number; ++piece) {
    for (int64_t i = 0; i < size; ++i) sums[i] += sums[piece * apart + i];
  }
  sums.resize(size);
  return sums;
}

inline void hand_out(ctorch_tensor *place, const at::Tensor &tensor) {
  if (place && tensor.defined()) *place = wrap(tensor);
}

}  // namespace ctorch

#endif
