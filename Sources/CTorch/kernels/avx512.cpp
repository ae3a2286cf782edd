// The kernels for processors with AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma")
#endif

#define NAME "AVX-512"
#define LANES 16
#define ROWS 8
#define PANEL 2

namespace ctorch::kernels::avx512_set {
#include "set.h"
}  // namespace ctorch::kernels::avx512_set

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace ctorch::kernels {
const Kernels avx512 = avx512_set::table;
}  // namespace ctorch::kernels
#endif
