// The choice of the kernels that run here.
#ifndef CTORCH_SELECT_H
#define CTORCH_SELECT_H

#include <string>
#include <vector>

#include "kernels.h"

namespace ctorch::kernels {

/// The name by which `choose` takes none of ours: everything is composed of libtorch's own operations.
constexpr const char *libtorch = "libtorch";

/// The name by which it takes a GPU's kernels, emulated on the processor. Only tests offer that.
constexpr const char *emulated = "emulated";

/// Kernels that this processor can run, the fastest first.
std::vector<const Kernels *> available();
/// Kernels in use on the processor; null where libtorch's operations were chosen, or where a GPU is emulated. Initially
/// the fastest.
const Kernels *chosen();
/// Takes another set from now on. Returns whether there is one of that name that runs here.
bool choose(const std::string &name);

/// True if a GPU's kernels run on the processor.
bool emulates();
/// From now on `choose` takes `emulated`.
void offer_emulation();

}  // namespace ctorch::kernels

#endif
