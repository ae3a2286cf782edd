// The five transforms of Winograd's F(4×4, 3×3), of one dimension: winograd.h says what they are for.
// Included inside the namespace of an instruction set, after vectors.h.
//
// The points of the interpolation are 0, ±√½, ±√2 and ∞. With 0, ±1, ±2 and ∞, which one finds mostly, the same
// arithmetic errs twice as much, and at worst four times (docs/performance.md).

constexpr float root_half = 0.70710678118654752f;
constexpr float root_two = 1.41421356237309505f;

/// Bᵀd
ALWAYS_INLINE void transform_input(const Vector *d, Vector *t) {
  const Vector even_half = d[4] - d[2] * 2.0f, odd_half = d[3] - d[1] * 2.0f;
  const Vector even_two = d[4] - d[2] * 0.5f, odd_two = d[3] - d[1] * 0.5f;
  t[0] = d[0] - d[2] * 2.5f + d[4];
  t[1] = even_half + odd_half * root_half;
  t[2] = even_half - odd_half * root_half;
  t[3] = even_two + odd_two * root_two;
  t[4] = even_two - odd_two * root_two;
  t[5] = d[1] - d[3] * 2.5f + d[5];
}

/// A·y
ALWAYS_INLINE void transform_gradient(const Vector *y, Vector *z) {
  const Vector even_half = y[0] + y[2] * 0.5f, odd_half = y[1] + y[3] * 0.5f;
  const Vector even_two = y[0] + y[2] * 2.0f, odd_two = y[1] + y[3] * 2.0f;
  z[0] = y[0];
  z[1] = even_half + odd_half * root_half;
  z[2] = even_half - odd_half * root_half;
  z[3] = even_two + odd_two * root_two;
  z[4] = even_two - odd_two * root_two;
  z[5] = y[3];
}

/// Aᵀm; m's values are `apart` from each other.
ALWAYS_INLINE void transform_output(const Vector *m, int apart, Vector *y) {
  const Vector even_half = m[apart] + m[2 * apart], odd_half = (m[apart] - m[2 * apart]) * root_half;
  const Vector even_two = m[3 * apart] + m[4 * apart], odd_two = (m[3 * apart] - m[4 * apart]) * root_two;
  y[0] = m[0] + even_half + even_two;
  y[1] = odd_half + odd_two;
  y[2] = even_half * 0.5f + even_two * 2.0f;
  y[3] = odd_half * 0.5f + odd_two * 2.0f + m[5 * apart];
}

/// G·g; g's values are `apart` from each other.
ALWAYS_INLINE void transform_filter(const Vector *g, int apart, Vector *u) {
  const Vector first = g[0], odd = g[apart], last = g[2 * apart];
  const Vector even_half = (first + last * 0.5f) * (-2.0f / 3), odd_half = odd * (root_half * -2.0f / 3);
  const Vector even_two = (first + last * 2.0f) * (1.0f / 6), odd_two = odd * (root_two / 6);
  u[0] = first;
  u[1] = even_half + odd_half;
  u[2] = even_half - odd_half;
  u[3] = even_two + odd_two;
  u[4] = even_two - odd_two;
  u[5] = last;
}

/// Gᵀu; u's values are `apart` from each other.
ALWAYS_INLINE void transform_filter_back(const Vector *u, int apart, Vector *g) {
  const Vector even_half = (u[apart] + u[2 * apart]) * (-2.0f / 3);
  const Vector odd_half = (u[apart] - u[2 * apart]) * (root_half * -2.0f / 3);
  const Vector even_two = (u[3 * apart] + u[4 * apart]) * (1.0f / 6);
  const Vector odd_two = (u[3 * apart] - u[4 * apart]) * (root_two / 6);
  g[0] = u[0] + even_half + even_two;
  g[1] = odd_half + odd_two;
  g[2] = even_half * 0.5f + even_two * 2.0f + u[5 * apart];
}
