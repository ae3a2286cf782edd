// Functions on devices that the other files of CTorch use.
#ifndef CTORCH_DEVICES_H
#define CTORCH_DEVICES_H

#include <c10/core/Device.h>

// Whether CUDA's headers are here, of which torch's wheels leave out crt and nv, and a libtorch with CUDA: the last of
// these is in no other.
#if __has_include(<cuda_runtime.h>) && __has_include(<crt/host_config.h>) && __has_include(<nv/target>) && \
    __has_include(<c10/cuda/impl/cuda_cmake_macros.h>)
#define CTORCH_CUDA
#endif

#include "CTorch.h"

namespace ctorch {

c10::Device device_of(ctorch_device device);

/// Whether this thread's work on a CUDA device is being captured as a graph.
bool is_capturing();

}  // namespace ctorch

#endif
