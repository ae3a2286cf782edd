// Launching a GPU's kernels (kernels.h).
#ifndef CTORCH_DEVICE_LAUNCHING_H
#define CTORCH_DEVICE_LAUNCHING_H

#include <ATen/core/Tensor.h>

#include <optional>

#include "CTorch.h"

namespace ctorch::device {

#define DEVICE_CODE(...) __VA_ARGS__
#include "arguments.h"
#undef DEVICE_CODE

inline int64_t divided(int64_t count, int64_t by) { return (count + by - 1) / by; }

inline Division division(int64_t by) {
  return {static_cast<int>(by), static_cast<unsigned>(divided(int64_t{1} << 31, by))};
}

/// The kernels as CUDA's run-time compiler reads them.
extern const char *const source;

/// True if kernels can be launched on what lies where this tensor does: on a GPU from Ampere on, where CUDA's run-time
/// compiler takes them and "libtorch" was not chosen; on the processor where tests emulate a GPU.
bool launches(const at::Tensor &tensor);

/// The shared memory that a block can have there, in bytes.
int64_t most_shared(const at::Tensor &tensor);

/// Zeros in which a launch's blocks count themselves there; they are zeros again after it. Launches that may run at the
/// same time have others.
unsigned *counters(const at::Tensor &on, int64_t count);

/// The name and the size of a launch.
struct Launch {
  const char *kernel;
  /// In x and y.
  int64_t blocks[2];
  int64_t threads;
  /// Bytes of shared memory of a block.
  int64_t shared = 0;
  /// The element type of the kernel; that of the tensor beside which it is launched where none is named.
  std::optional<at::ScalarType> type = std::nullopt;
};

/// Launches a kernel (entries.h) where `on` lies.
void launch_named(const at::Tensor &on, const Launch &how, const void *arguments);

/// - arguments: the kernel's, of arguments.h
template <class Arguments>
void launch(const at::Tensor &on, const Launch &how, const Arguments &arguments) {
  static_assert(sizeof(Arguments) <= 4096, "CUDA passes so many bytes to a kernel");
  launch_named(on, how, &arguments);
}

}  // namespace ctorch::device

#endif
