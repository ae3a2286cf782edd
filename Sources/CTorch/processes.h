// Functions on processes that compute together, for the other files of CTorch.
#ifndef CTORCH_PROCESSES_H
#define CTORCH_PROCESSES_H

#include "support.h"

namespace ctorch {

/// The sum of every process's `tensor`, the same bits in each of them.
at::Tensor sum_over(ctorch_group group, const at::Tensor &tensor);

}  // namespace ctorch

#endif
