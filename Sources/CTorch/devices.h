// Functions on devices that the other files of CTorch use.
#ifndef CTORCH_DEVICES_H
#define CTORCH_DEVICES_H

#include <c10/core/Device.h>

#include <c10/core/Stream.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

// Whether CUDA's headers are here, of which torch's wheels leave out crt and nv, and a libtorch with CUDA: the last of
// these is in no other.
#if __has_include(<cuda_runtime.h>) && __has_include(<crt/host_config.h>) && __has_include(<nv/target>) && \
    __has_include(<c10/cuda/impl/cuda_cmake_macros.h>)
#define CTORCH_CUDA
#endif

#include "CTorch.h"
#include "support.h"

namespace ctorch {

c10::Device device_of(ctorch_device device);

/// Tensors of zeros, in which kernels count their blocks, by device and stream.
using Counters = std::map<std::pair<int64_t, c10::StreamId>, at::Tensor>;

/// The counters and filters of a CUDA graph, which it has beside the operations that are captured.
struct Capture {
  /// Zeros in which kernels count their blocks, by device and stream: launches of one stream count one after the other.
  Counters counters;
  /// The memory of weights whose filters the graph prepares. Outside it they are not up to date after a replay.
  std::vector<std::shared_ptr<Memory>> filters;
};

/// The graph as which this thread's work on a CUDA device is being captured; null where it is not.
Capture *capture();

}  // namespace ctorch

#endif
