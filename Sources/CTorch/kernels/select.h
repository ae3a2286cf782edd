// Which kernels run here.
#ifndef CTORCH_SELECT_H
#define CTORCH_SELECT_H

#include <string>
#include <vector>

#include "kernels.h"

namespace ctorch::kernels {

/// The name by which `choose` takes none of ours: everything is composed of libtorch's own operations.
constexpr const char *libtorch = "libtorch";

/// What this processor can run, the fastest first.
std::vector<const Kernels *> available();
/// What runs; null where libtorch's operations were chosen. At first the fastest.
const Kernels *chosen();
/// Takes another set from now on. Returns whether there is one of that name that runs here.
bool choose(const std::string &name);

}  // namespace ctorch::kernels

#endif
