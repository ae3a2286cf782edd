// The operations that kernels.h and layer_kernels.h need from a GPU, in CUDA C++. This is the beginning of the text
// that CUDA's run-time compiler is given.
R"(
__device__ inline char *shared_memory() {
  extern __shared__ __align__(16) char memory[];
  return memory;
}

__device__ inline unsigned shared_address(const void *place) {
  return static_cast<unsigned>(__cvta_generic_to_shared(place));
}

// sum += left·right, 16×16 by 16×8 bfloats.
__device__ inline void multiply_bfloat(float (&sum)[4], const unsigned (&left)[4], const unsigned (&right)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}

// Four 8×8 matrices, whose rows of 16 bytes the lanes name in turn: a lane is given elements 2·(lane % 4) and the next of
// row lane / 4 of each.
__device__ inline void load_matrices(unsigned (&to)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}

// The same of the matrices' transposes.
__device__ inline void load_transposed(unsigned (&to)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}

// NaN where one of them is.
__device__ inline float larger_or_nan(float a, float b) {
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(a), "f"(b));
  return larger;
}

// A product and a sum that are each rounded.
__device__ inline float rounded_product(float a, float b) {
  return __fmul_rn(a, b);
}
__device__ inline float rounded_sum(float a, float b) {
  return __fadd_rn(a, b);
}

// 1 / the square root, in float's precision also of very large and very small numbers.
__device__ inline float inverse_root(double value) {
  return static_cast<float>(rsqrt(value));
}

// Two bfloats, the first in the low half.
__device__ inline unsigned rounded_pair(float first, float second) {
  unsigned bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(second), "f"(first));
  return bits;
}

// Begins to copy 16 bytes to shared memory, or to write as many zeros where they do not exist.
__device__ inline void begin_copy(void *to, const void *from, bool exists = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               : : "r"(shared_address(to)), "l"(__cvta_generic_to_global(from)), "r"(exists ? 16 : 0) : "memory");
}

// Waits for the copies that this thread has begun.
__device__ inline void finish_copies() {
  asm volatile("cp.async.wait_all;" : : : "memory");
}

// Loads 16 bytes that another block of this launch may have written.
__device__ inline void load_fresh(void *to, const void *from) {
  *reinterpret_cast<uint4 *>(to) = __ldcg(reinterpret_cast<const uint4 *>(from));
}

// Adds 1 to a counter that becomes 0 again after `members`; returns whether it did. All that the block's threads wrote before they
// last waited for each other is seen by whoever calls `see_others` after it.
__device__ inline bool counts_to(unsigned *counter, unsigned members) {
  unsigned before;
  asm volatile("atom.release.gpu.global.inc.u32 %0, [%1], %2;"
               : "=r"(before) : "l"(__cvta_generic_to_global(counter)), "r"(members - 1) : "memory");
  return before == members - 1;
}

__device__ inline void see_others() {
  asm volatile("fence.acq_rel.gpu;" : : : "memory");
}
)"
