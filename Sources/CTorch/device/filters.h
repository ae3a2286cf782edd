// Filters as a GPU's kernels read them.
#ifndef CTORCH_DEVICE_FILTERS_H
#define CTORCH_DEVICE_FILTERS_H

#include <vector>

#include "../support.h"

namespace ctorch::device {

/// `weight` as the kernels read it for activations of that type. It is converted only where its memory was written
/// since the last time.
PreparedFilter prepared_filter(ctorch_tensor weight, at::ScalarType type);

/// Converts many weights in few launches, each only where its memory was written. Weights that the kernels do not take
/// are left out.
void prepare_filters(const std::vector<ctorch_tensor> &weights, at::ScalarType type);

}  // namespace ctorch::device

#endif
