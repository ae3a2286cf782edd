// The kernels for any processor: the vectors that its compiler takes for granted.
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels.h"

#define LANES 4
#define ROWS 4
#define PANEL 2

namespace ctorch::kernels::plain_set {
#include "vectors.h"
#include "winograd.h"
#include "pointwise.h"
}  // namespace ctorch::kernels::plain_set

namespace ctorch::kernels {
const Kernels plain = {
    "plain",
    plain_set::pack_filter,
    plain_set::unpack_gradient,
    plain_set::forward,
    plain_set::backward,
    plain_set::channel_sums,
    plain_set::norm_relu,
    plain_set::norm_relu_backward,
    plain_set::norm_gradient,
    plain_set::products,
};
}  // namespace ctorch::kernels
