// 3×3 convolutions of stride 1 by Winograd's F(2×2, 3×3), forward and back.
// Included inside the namespace of an instruction set, after vectors.h.
//
// With B, G and A as in the paper, d a 4×4 tile of the input, g the 3×3 filter and y the 2×2 outputs:
//   y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A                 summed over input channels
//   ∂L/∂g = Gᵀ [ (Bᵀ d B) ⊙ (A ∂L/∂y Aᵀ) ] G         summed over tiles
// and ∂L/∂d is the convolution of ∂L/∂y with the filter rotated by a half turn. For each of the 16 positions in a tile
// the products are a matrix product over channels, or tiles. Tiles are taken a chunk at a time, so that a chunk's
// transformed values stay in the cache from one stage to the next.

// MARK: matrix products

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

// MARK: what is transformed

/// LANES channels of a tensor as a tile reads them. `at` takes an element's offset.
template <class Element, bool Tail>
struct Plain {
  const Element *x;
  int64_t lanes;
  ALWAYS_INLINE Plain(const void *from, int64_t channel, int64_t count)
      : x(static_cast<const Element *>(from) + channel), lanes(count) {}
  ALWAYS_INLINE Vector at(int64_t offset) const { return load<Tail>(x + offset, lanes); }
};

/// ReLU(scale·x + shift)
template <class Element, bool Tail>
struct Rectified {
  Plain<Element, Tail> x;
  Vector scale, shift;
  ALWAYS_INLINE Rectified(const void *from, const float *scales, const float *shifts, int64_t channel, int64_t count)
      : x(from, channel, count), scale(load(scales + channel)), shift(load(shifts + channel)) {}
  ALWAYS_INLINE Vector at(int64_t offset) const { return rectified(x.at(offset) * scale + shift); }
};

/// a·gradient + b·x + d
template <class Element, bool Tail>
struct Pending {
  Plain<Element, Tail> gradient, x;
  Vector a, b, d;
  ALWAYS_INLINE Pending(const Backward &args, int64_t channel, int64_t count)
      : gradient(args.gradient, channel, count), x(args.normed, channel, count), a(load(args.a + channel)),
        b(load(args.b + channel)), d(load(args.d + channel)) {}
  ALWAYS_INLINE Vector at(int64_t offset) const { return gradient.at(offset) * a + (x.at(offset) * b + d); }
};

// MARK: transforms of a row of tiles

/// A row of tiles of one image: its first output row is 2·row.
struct TileRow {
  int64_t image, row;
  const Images &images;

  ALWAYS_INLINE TileRow(const Images &all, int64_t index)
      : image(index / ((all.height + 1) / 2)), row(index % ((all.height + 1) / 2)), images(all) {}
  ALWAYS_INLINE int64_t tiles() const { return (images.width + 1) / 2; }
  /// Offset of pixel (y, 0), y counted from the first output row.
  ALWAYS_INLINE int64_t offset(int64_t y, int64_t channels) const {
    return (image * images.height + 2 * row + y) * images.width * channels;
  }
  ALWAYS_INLINE bool has(int64_t y) const { return 2 * row + y >= 0 && 2 * row + y < images.height; }
};

/// A column of a tile row: Bᵀd of its four inputs and, of a gradient, A·y of the two in the middle.
struct Column {
  Vector t[4], z[4];
};

/// `edge`: some of the four rows are outside of the image.
template <bool Edge, bool Gradient, class Source>
ALWAYS_INLINE Column column(const Source &source, const TileRow &row, int64_t channels, int64_t x, Vector &total) {
  Vector d[4];
  for (int y = 0; y < 4; ++y) {
    d[y] = Edge && !row.has(y - 1) ? zero() : source.at(row.offset(y - 1, channels) + x * channels);
  }
  Column out;
  out.t[0] = d[0] - d[2];
  out.t[1] = d[1] + d[2];
  out.t[2] = d[2] - d[1];
  out.t[3] = d[1] - d[3];
  if constexpr (Gradient) {
    out.z[0] = d[1];
    out.z[1] = out.t[1];
    out.z[2] = d[1] - d[2];
    out.z[3] = d[2];
    total += out.t[1];
  }
  return out;
}

template <bool Gradient>
ALWAYS_INLINE Column no_column() {
  Column out;
  for (int r = 0; r < 4; ++r) {
    out.t[r] = zero();
    if constexpr (Gradient) out.z[r] = zero();
  }
  return out;
}

/// Where a chunk's values lie: position p of tile t begins at p·plane + t·row.
struct Places {
  int64_t row, plane;

  Places(int64_t tiles, int64_t channels)
      // A cache line apart from a power of 2: else all positions of a tile fall into the same lines of the cache.
      : row(padded(channels)), plane((tiles + ROWS - 1) / ROWS * ROWS * row + most_lanes) {}
  int64_t size() const { return positions * plane; }
};

/// v = BᵀdB of LANES channels of a row of tiles and, of a gradient, z = A·y·Aᵀ (whose last row and column have their
/// signs from `unpack_gradient`) and the sum of all y added to `total`.
template <bool Edge, bool Gradient, class Source>
ALWAYS_INLINE void transform(const Source &source, const TileRow &row, int64_t channels, const Places &places, float *v,
                             float *z, Vector &total) {
  const int64_t width = row.images.width;
  Column before = no_column<Gradient>(), first = column<Edge, Gradient>(source, row, channels, 0, total);
  for (int64_t x = 1; x <= width; x += 2) {
    Column second = no_column<Gradient>(), after = no_column<Gradient>();
    if (x < width) second = column<Edge, Gradient>(source, row, channels, x, total);
    if (x + 1 < width) after = column<Edge, Gradient>(source, row, channels, x + 1, total);
    for (int r = 0; r < 4; ++r) {
      float *place = v + 4 * r * places.plane;
      store(place, before.t[r] - second.t[r]);
      store(place + places.plane, first.t[r] + second.t[r]);
      store(place + 2 * places.plane, second.t[r] - first.t[r]);
      store(place + 3 * places.plane, first.t[r] - after.t[r]);
    }
    v += places.row;
    if constexpr (Gradient) {
      if (z) {
        for (int r = 0; r < 4; ++r) {
          float *place = z + 4 * r * places.plane;
          store(place, first.z[r]);
          store(place + places.plane, first.z[r] + second.z[r]);
          store(place + 2 * places.plane, first.z[r] - second.z[r]);
          store(place + 3 * places.plane, second.z[r]);
        }
        z += places.row;
      }
    }
    before = second;
    first = after;
  }
}

template <bool Gradient, class Source>
ALWAYS_INLINE void transform(const Source &source, const TileRow &row, int64_t channels, const Places &places, float *v,
                             float *z, Vector &total) {
  if (row.has(-1) && row.has(2)) {
    transform<false, Gradient>(source, row, channels, places, v, z, total);
  } else {
    transform<true, Gradient>(source, row, channels, places, v, z, total);
  }
}

/// Gives the outputs of a row of tiles, AᵀmA of LANES channels, to `sink`, each with its offset.
template <class Sink>
ALWAYS_INLINE void transform_back(const float *m, const Places &places, const TileRow &row, int64_t channels,
                                  Sink &sink) {
  const int64_t width = row.images.width;
  const bool both = row.has(1);
  for (int64_t x = 0; x < width; x += 2, m += places.row) {
    Vector s[2][4];
    for (int c = 0; c < 4; ++c) {
      const float *place = m + c * places.plane;
      const Vector first = load(place + 4 * places.plane), second = load(place + 8 * places.plane);
      s[0][c] = load(place) + (first + second);
      s[1][c] = (first - second) - load(place + 12 * places.plane);
    }
    for (int r = 0; r < 2; ++r) {
      if (r == 1 && !both) break;
      const int64_t offset = row.offset(r, channels) + x * channels;
      sink.put(offset, s[r][0] + (s[r][1] + s[r][2]));
      if (x + 1 < width) sink.put(offset + channels, (s[r][1] - s[r][2]) - s[r][3]);
    }
  }
}

// MARK: what comes of the outputs

template <class Element, bool Tail>
struct ForwardSink {
  Vector bias, factor, pivot = zero(), sum = zero(), squares = zero();
  const Element *kept;
  Element *residual, *total;
  int64_t lanes, count = 0;
  bool sums;

  ALWAYS_INLINE ForwardSink(const Forward &args, int64_t channel, int64_t lanes)
      : bias(load(args.bias + channel)), factor(zero() + args.factor),
        kept(static_cast<const Element *>(args.kept) + channel),
        residual(args.residual ? static_cast<Element *>(args.residual) + channel : nullptr),
        total(args.sum ? static_cast<Element *>(args.sum) + channel : nullptr), lanes(lanes), sums(args.sums) {}

  ALWAYS_INLINE void put(int64_t offset, Vector value) {
    value = (value + bias) * factor;
    if (residual) store<Tail>(residual + offset, value, lanes);
    if (total) {
      value += load<Tail>(kept + offset, lanes);
      store<Tail>(total + offset, value, lanes);
    }
    if (!sums) return;
    if (count == 0) pivot = value;
    const Vector around = value - pivot;
    sum += around;
    squares += around * around;
    ++count;
  }

  ALWAYS_INLINE void finish(double *to, int64_t outputs) const {
    if (sums) add_moments(to, to + padded(outputs), pivot, sum, squares, count);
  }
};

template <class Element, bool Tail>
struct BackwardSink {
  Vector scale, shift, mean, factor = zero(), sum = zero(), product = zero();
  const Element *x, *kept;
  Element *out;
  int64_t lanes;
  bool scales, sums;

  ALWAYS_INLINE BackwardSink(const Backward &args, int64_t channel, int64_t lanes)
      : scale(load(args.scale + channel)), shift(load(args.shift + channel)), mean(load(args.mean + channel)),
        x(static_cast<const Element *>(args.x) + channel),
        kept(args.kept ? static_cast<const Element *>(args.kept) + channel : nullptr),
        out(static_cast<Element *>(args.out) + channel), lanes(lanes), scales(args.factor), sums(args.parameters) {
    if (scales) factor = load(args.factor + channel);
  }

  ALWAYS_INLINE void put(int64_t offset, Vector value) {
    const Vector input = load<Tail>(x + offset, lanes);
    value = input * scale + shift <= zero() ? zero() : value;
    if (sums) {
      sum += value;
      product += value * (input - mean);
    }
    if (scales) {
      value *= factor;
      if (kept) value += load<Tail>(kept + offset, lanes);
    }
    store<Tail>(out + offset, value, lanes);
  }

  ALWAYS_INLINE void finish(double *to, int64_t inputs) const {
    if (!sums) return;
    add_to(to, sum);
    add_to(to + padded(inputs), product);
  }
};

// MARK: chunks

/// Memory of this thread for `size` floats, which stays. What it holds at first are numbers.
inline float *scratch(int64_t size) {
  static thread_local std::vector<float> memory;
  if (static_cast<int64_t>(memory.size()) < size + most_lanes) memory.assign(size + most_lanes, 0);
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory.data());
  return reinterpret_cast<float *>((address + 63) / 64 * 64);
}

/// How many tile rows are taken together: few enough that a chunk stays in the cache, and the more the wider the layer,
/// whose filters are read, and whose filters' gradients are written, once a chunk. Tried on a Zen 4 (docs/performance.md).
inline int64_t rows_a_chunk(const Images &images, int64_t inputs, int64_t outputs) {
  const int64_t widest = std::max(inputs, outputs);
  const int64_t tiles = widest <= 16 && images.is_bfloat16 ? 16 : widest <= 32 ? 32 : widest <= 256 ? 64 : 128;
  return std::max<int64_t>(1, tiles / ((images.width + 1) / 2));
}

/// Calls `body` for each LANES of the channels, with whether they are fewer, the first, and how many.
template <class Body>
ALWAYS_INLINE void for_lanes(int64_t channels, Body body) {
  int64_t channel = 0;
  for (; channel + LANES <= channels; channel += LANES) body(std::false_type{}, channel, LANES);
  if (channel < channels) body(std::true_type{}, channel, channels - channel);
}

template <class Element>
void forward_pass(const Forward &args, int64_t begin, int64_t end, double *sums) {
  const Images &images = args.images;
  const int64_t tiles_a_row = (images.width + 1) / 2, step = rows_a_chunk(images, args.inputs, args.outputs);
  const Places in(step * tiles_a_row, args.inputs), out(step * tiles_a_row, args.outputs);
  float *v = scratch(in.size() + out.size()), *m = v + in.size();
  const int64_t filter_plane = args.inputs * ((args.outputs + LANES - 1) / LANES * LANES);
  for (int64_t chunk = begin; chunk < end; chunk += step) {
    const int64_t rows = std::min(step, end - chunk), tiles = rows * tiles_a_row;
    Vector unused = zero();
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(images, chunk + r);
      for_lanes(args.inputs, [&](auto tail, int64_t channel, int64_t lanes) {
        const Rectified<Element, tail> source(args.x, args.scale, args.shift, channel, lanes);
        transform<false>(source, row, args.inputs, in, v + r * tiles_a_row * in.row + channel, nullptr, unused);
      });
    }
    for (int64_t p = 0; p < positions; ++p) {
      multiply(tiles, args.inputs, args.outputs, v + p * in.plane, in.row, args.filter + p * filter_plane,
               m + p * out.plane, out.row);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(images, chunk + r);
      for_lanes(args.outputs, [&](auto tail, int64_t channel, int64_t lanes) {
        ForwardSink<Element, tail> sink(args, channel, lanes);
        transform_back(m + r * tiles_a_row * out.row + channel, out, row, args.outputs, sink);
        sink.finish(sums + channel, args.outputs);
      });
    }
  }
}

template <class Element>
void backward_pass(const Backward &args, int64_t begin, int64_t end, float *filter_gradient, double *sums) {
  const Images &images = args.images;
  const int64_t tiles_a_row = (images.width + 1) / 2, step = rows_a_chunk(images, args.inputs, args.outputs);
  const Places in(step * tiles_a_row, args.inputs), out(step * tiles_a_row, args.outputs);
  // The input's transform is wanted after the products that go back to the input: one buffer is enough for both.
  float *v = scratch(in.size() + 2 * out.size()), *u = v + in.size(), *z = args.parameters ? u + out.size() : nullptr;
  const int64_t filter_plane = args.outputs * ((args.inputs + LANES - 1) / LANES * LANES);
  for (int64_t chunk = begin; chunk < end; chunk += step) {
    const int64_t rows = std::min(step, end - chunk), tiles = rows * tiles_a_row;
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(images, chunk + r);
      for_lanes(args.outputs, [&](auto tail, int64_t channel, int64_t lanes) {
        const int64_t place = r * tiles_a_row * out.row + channel;
        Vector total = zero();
        if (args.normed) {
          const Pending<Element, tail> source(args, channel, lanes);
          transform<true>(source, row, args.outputs, out, u + place, z ? z + place : nullptr, total);
        } else {
          const Plain<Element, tail> source(args.gradient, channel, lanes);
          transform<true>(source, row, args.outputs, out, u + place, z ? z + place : nullptr, total);
        }
        if (args.parameters) add_to(sums + 2 * padded(args.inputs) + channel, total);
      });
    }
    for (int64_t p = 0; p < positions; ++p) {
      multiply(tiles, args.outputs, args.inputs, u + p * out.plane, out.row, args.filter + p * filter_plane,
               v + p * in.plane, in.row);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(images, chunk + r);
      for_lanes(args.inputs, [&](auto tail, int64_t channel, int64_t lanes) {
        BackwardSink<Element, tail> sink(args, channel, lanes);
        transform_back(v + r * tiles_a_row * in.row + channel, in, row, args.inputs, sink);
        sink.finish(sums + channel, args.inputs);
      });
    }
    if (!args.parameters) continue;
    Vector unused = zero();
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(images, chunk + r);
      for_lanes(args.inputs, [&](auto tail, int64_t channel, int64_t lanes) {
        const Rectified<Element, tail> source(args.x, args.scale, args.shift, channel, lanes);
        transform<false>(source, row, args.inputs, in, v + r * tiles_a_row * in.row + channel, nullptr, unused);
      });
    }
    for (int64_t p = 0; p < positions; ++p) {
      multiply_transposed(tiles, args.inputs, args.outputs, v + p * in.plane, in.row, z + p * out.plane, out.row,
                          filter_gradient + p * padded(args.inputs) * padded(args.outputs));
    }
  }
}

// MARK: filters

/// G·g of three values.
ALWAYS_INLINE void spread(const Vector *g, int64_t apart, Vector *u) {
  const Vector outer = (g[0] + g[2 * apart]) * 0.5f, inner = g[apart] * 0.5f;
  u[0] = g[0];
  u[1] = outer + inner;
  u[2] = outer - inner;
  u[3] = g[2 * apart];
}

inline void pack_filter(const float *filter, int64_t inputs, int64_t outputs, bool rotated, float *packed,
                        int64_t begin, int64_t end) {
  const int64_t reduced = rotated ? outputs : inputs, columns = rotated ? inputs : outputs;
  const int64_t vectors = (columns + LANES - 1) / LANES, plane = reduced * vectors * LANES;
  // Element (row, column) of a position's matrix, as `multiply` reads it.
  const auto place = [&](int64_t row, int64_t column) {
    const int64_t panel = column / LANES / PANEL * PANEL;
    const int64_t width = vectors - panel >= PANEL ? PANEL : 1;
    const int64_t first = width == 1 ? column / LANES : panel;
    return first * LANES * reduced + row * width * LANES + (column - first * LANES);
  };
  for (int64_t block = begin; block < end; ++block) {
    for (int64_t i = 0; i < inputs; i += LANES) {
      const int64_t lanes = std::min<int64_t>(LANES, inputs - i);
      alignas(64) float turned[positions][LANES][most_lanes] = {};
      for (int64_t k = 0; k < most_lanes && block * most_lanes + k < outputs; ++k) {
        const int64_t o = block * most_lanes + k;
        Vector g[9], half[12], u[positions];
        for (int tap = 0; tap < 9; ++tap) {
          const float *from = filter + (o * 9 + (rotated ? 8 - tap : tap)) * inputs + i;
          g[tap] = lanes == LANES ? load(from) : load<true>(from, lanes);
        }
        for (int s = 0; s < 3; ++s) {
          Vector down[4];
          spread(g + s, 3, down);
          for (int r = 0; r < 4; ++r) half[r * 3 + s] = down[r];
        }
        for (int r = 0; r < 4; ++r) spread(half + r * 3, 1, u + r * 4);
        for (int p = 0; p < positions; ++p) {
          if (rotated) {
            store(packed + p * plane + place(o, i), u[p]);
          } else {
            for (int64_t lane = 0; lane < LANES; ++lane) turned[p][lane][k] = u[p][lane];
          }
        }
      }
      if (rotated) continue;
      for (int p = 0; p < positions; ++p) {
        for (int64_t lane = 0; lane < lanes; ++lane) {
          for (int64_t k = 0; k < most_lanes; k += LANES) {
            const int64_t column = block * most_lanes + k;
            if (column < vectors * LANES) store(packed + p * plane + place(i + lane, column), load(&turned[p][lane][k]));
          }
        }
      }
    }
  }
}

inline void unpack_gradient(const float *sums, int64_t parts, int64_t inputs, int64_t outputs, float *gradient,
                            int64_t begin, int64_t end) {
  const int64_t row = padded(outputs), plane = padded(inputs) * row, size = positions * plane;
  for (int64_t o = begin * most_lanes; o < std::min(outputs, end * most_lanes); o += LANES) {
    for (int64_t i = 0; i < inputs; ++i) {
      Vector u[4][4], half[3][4];
      for (int p = 0; p < positions; ++p) {
        Vector sum = zero();
        for (int64_t part = 0; part < parts; ++part) sum += load(sums + part * size + p * plane + i * row + o);
        u[p / 4][p % 4] = (p / 4 == 3) != (p % 4 == 3) ? -sum : sum;
      }
      for (int c = 0; c < 4; ++c) {
        const Vector both = (u[1][c] + u[2][c]) * 0.5f;
        half[0][c] = u[0][c] + both;
        half[1][c] = (u[1][c] - u[2][c]) * 0.5f;
        half[2][c] = both + u[3][c];
      }
      for (int r = 0; r < 3; ++r) {
        const Vector both = (half[r][1] + half[r][2]) * 0.5f;
        const Vector taps[3] = {half[r][0] + both, (half[r][1] - half[r][2]) * 0.5f, both + half[r][3]};
        for (int s = 0; s < 3; ++s) {
          for (int64_t lane = 0; lane < std::min<int64_t>(LANES, outputs - o); ++lane) {
            gradient[((o + lane) * 9 + r * 3 + s) * inputs + i] = taps[s][lane];
          }
        }
      }
    }
  }
}

inline void forward(const Forward &args, int64_t begin, int64_t end, double *sums) {
  args.images.is_bfloat16 ? forward_pass<BFloat16>(args, begin, end, sums)
                          : forward_pass<float>(args, begin, end, sums);
}

inline void backward(const Backward &args, int64_t begin, int64_t end, float *filter_gradient, double *sums) {
  args.images.is_bfloat16 ? backward_pass<BFloat16>(args, begin, end, filter_gradient, sums)
                          : backward_pass<float>(args, begin, end, filter_gradient, sums);
}
