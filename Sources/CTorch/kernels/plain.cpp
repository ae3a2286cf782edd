// The kernels for any processor: the vectors that its compiler takes for granted.
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels.h"

#define NAME "plain"
#define LANES 4
#define ROWS 4
#define PANEL 2

namespace ctorch::kernels::plain_set {
#include "set.h"
}  // namespace ctorch::kernels::plain_set

namespace ctorch::kernels {
const Kernels plain = plain_set::table;
}  // namespace ctorch::kernels
