// The kernels for processors with AVX2.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define LANES 8
#define ROWS 4
#define PANEL 2

namespace ctorch::kernels::avx2_set {
#include "vectors.h"
#include "winograd.h"
#include "pointwise.h"
}  // namespace ctorch::kernels::avx2_set

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace ctorch::kernels {
const Kernels avx2 = {
    "AVX2",
    avx2_set::pack_filter,
    avx2_set::unpack_gradient,
    avx2_set::forward,
    avx2_set::backward,
    avx2_set::channel_sums,
    avx2_set::norm_relu,
    avx2_set::norm_relu_backward,
    avx2_set::norm_gradient,
    avx2_set::products,
};
}  // namespace ctorch::kernels
#endif
