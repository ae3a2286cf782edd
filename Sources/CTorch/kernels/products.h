// The matrix products of Winograd's convolution.
// Included inside the namespace of an instruction set, after vectors.h.

/// c (Rows × Columns·LANES, rows `c_row` apart) = or += a·b, over `steps`; a's element (r, s) is at r·a_row + s·a_step.
template <int Columns, bool Adds>
ALWAYS_INLINE void multiply_block(int64_t steps, const float *a, int64_t a_row, int64_t a_step, const float *b,
                                  int64_t b_step, float *c, int64_t c_row) {
  Vector sum[ROWS][Columns];
  for (int r = 0; r < ROWS; ++r) {
    for (int k = 0; k < Columns; ++k) sum[r][k] = zero();
  }
  for (int64_t s = 0; s < steps; ++s) {
    Vector row[Columns];
    for (int k = 0; k < Columns; ++k) row[k] = load(b + k * LANES);
    for (int r = 0; r < ROWS; ++r) {
      for (int k = 0; k < Columns; ++k) sum[r][k] += row[k] * a[r * a_row];
    }
    a += a_step;
    b += b_step;
  }
  for (int r = 0; r < ROWS; ++r) {
    for (int k = 0; k < Columns; ++k) {
      float *place = c + r * c_row + k * LANES;
      store(place, Adds ? load(place) + sum[r][k] : sum[r][k]);
    }
  }
}

/// m = v·u: `tiles` (rounded up to ROWS) × outputs; u is packed in panels of PANEL vectors.
inline void multiply(int64_t tiles, int64_t inputs, int64_t outputs, const float *v, int64_t v_row, const float *u,
                     float *m, int64_t m_row) {
  const int64_t vectors = (outputs + LANES - 1) / LANES;
  for (int64_t k = 0; k < vectors; k += PANEL) {
    const float *panel = u + k * LANES * inputs;
    for (int64_t t = 0; t < tiles; t += ROWS) {
      if (vectors - k >= PANEL) {
        multiply_block<PANEL, false>(inputs, v + t * v_row, v_row, 1, panel, PANEL * LANES, m + t * m_row + k * LANES,
                                     m_row);
      } else {
        multiply_block<1, false>(inputs, v + t * v_row, v_row, 1, panel, LANES, m + t * m_row + k * LANES, m_row);
      }
    }
  }
}

/// w += vᵀ·z: inputs × outputs, over tiles.
inline void multiply_transposed(int64_t tiles, int64_t inputs, int64_t outputs, const float *v, int64_t v_row,
                                const float *z, int64_t z_row, float *w) {
  const int64_t vectors = (outputs + LANES - 1) / LANES;
  for (int64_t k = 0; k < vectors; k += PANEL) {
    for (int64_t c = 0; c < inputs; c += ROWS) {
      if (vectors - k >= PANEL) {
        multiply_block<PANEL, true>(tiles, v + c, 1, v_row, z + k * LANES, z_row, w + c * z_row + k * LANES, z_row);
      } else {
        multiply_block<1, true>(tiles, v + c, 1, v_row, z + k * LANES, z_row, w + c * z_row + k * LANES, z_row);
      }
    }
  }
}
