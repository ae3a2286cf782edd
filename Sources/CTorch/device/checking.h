// Whether a GPU's kernels come to what libtorch's operations do.
#ifndef CTORCH_DEVICE_CHECKING_H
#define CTORCH_DEVICE_CHECKING_H

#include <c10/core/Device.h>

namespace ctorch::device {

/// Runs small units and the other layers of a training step forward and backward on that device, by the kernels and in
/// float64 by libtorch's operations. Throws where they disagree by more than rounding.
void check_kernels(c10::Device device);

}  // namespace ctorch::device

#endif
