// CUDA's run-time compiler (NVRTC).
#ifndef CTORCH_DEVICE_COMPILING_H
#define CTORCH_DEVICE_COMPILING_H

#include <vector>

namespace ctorch::device {

/// The kernels for GPUs of this compute capability, as their driver loads them. Takes a few seconds.
std::vector<char> compiled(int major, int minor);

}  // namespace ctorch::device

#endif
