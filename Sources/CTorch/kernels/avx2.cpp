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

#define NAME "AVX2"
#define LANES 8
#define ROWS 4
#define PANEL 2

namespace ctorch::kernels::avx2_set {
#include "set.h"
}  // namespace ctorch::kernels::avx2_set

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace ctorch::kernels {
const Kernels avx2 = avx2_set::table;
}  // namespace ctorch::kernels
#endif
