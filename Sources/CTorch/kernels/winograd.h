// 3×3 convolutions of stride 1 by Winograd's F(4×4, 3×3), forward and back.
// Included inside the namespace of an instruction set, after vectors.h.
//
// With B, G and A as Lavin and Gray name them, d a 6×6 tile of the input, g the 3×3 filter and y the 4×4 outputs:
//   y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A                 summed over input channels
//   ∂L/∂g = Gᵀ [ (Bᵀ d B) ⊙ (A ∂L/∂y Aᵀ) ] G         summed over tiles
// and ∂L/∂d is the convolution of ∂L/∂y with the filter rotated by a half turn. For each of the 36 positions in a tile
// the products are a matrix product over channels, or tiles. Tiles are taken a chunk at a time, so that a chunk's
// transformed values stay in the cache from one stage to the next.
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

/// A row of tiles of one image.
struct TileRow {
  int64_t image, top;
  const Images &images;

  ALWAYS_INLINE TileRow(const Images &all, int64_t index)
      : image(index / all.tile_rows_an_image()), top(index % all.tile_rows_an_image() * tile), images(all) {}
  /// Offset of pixel (y, 0), y counted from the first output row.
  ALWAYS_INLINE int64_t offset(int64_t y, int64_t channels) const {
    return (image * images.height + top + y) * images.width * channels;
  }
  ALWAYS_INLINE bool has(int64_t y) const { return top + y >= 0 && top + y < images.height; }
};

/// A column of a tile row: Bᵀd of its inputs and, of a gradient, A·y of its outputs.
struct Column {
  Vector t[reach], z[reach];
};

/// Column x of the row, of zeros where there is none. `Edge`: some of the rows are outside of the image. `total` gets the
/// sum of a gradient's y.
template <bool Edge, bool Gradient, class Source>
ALWAYS_INLINE void make_column(const Source &source, const TileRow &row, int64_t channels, int64_t x, Column &out,
                               Vector &total) {
  Vector d[reach];
  const bool inside = x < row.images.width;
  for (int64_t y = 0; y < reach; ++y) {
    d[y] = !inside || (Edge && !row.has(y - 1)) ? zero() : source.at(row.offset(y - 1, channels) + x * channels);
  }
  transform_input(d, out.t);
  if constexpr (Gradient) {
    transform_gradient(d + 1, out.z);
    total += (d[1] + d[2]) + (d[3] + d[4]);
  }
}

/// Where a chunk's values lie: position p of tile t begins at p·plane + t·row.
struct Places {
  int64_t row, plane;

  Places(int64_t tiles, int64_t channels)
      // A cache line apart from a power of 2, as in `filter_plane`.
      : row(padded(channels)), plane((tiles + ROWS - 1) / ROWS * ROWS * row + most_lanes) {}
  int64_t size() const { return positions * plane; }
};

/// v = BᵀdB of LANES channels of a row of tiles and, of a gradient and where z is not null, z = A·y·Aᵀ; the sum of
/// all y is added to `total`.
template <bool Edge, bool Gradient, class Source>
ALWAYS_INLINE void transform_row(const Source &source, const TileRow &row, int64_t channels, const Places &places,
                                 float *v, float *z, Vector &total) {
  Column columns[reach];
  // Column −1, and column 0.
  for (int r = 0; r < reach; ++r) columns[tile].t[r] = zero();
  make_column<Edge, Gradient>(source, row, channels, 0, columns[tile + 1], total);
  for (int64_t x = 0; x < row.images.width; x += tile) {
    for (int r = 0; r < reach; ++r) {
      columns[0].t[r] = columns[tile].t[r];
      columns[1].t[r] = columns[tile + 1].t[r];
      if constexpr (Gradient) columns[1].z[r] = columns[tile + 1].z[r];
    }
    for (int c = 2; c < reach; ++c) make_column<Edge, Gradient>(source, row, channels, x + c - 1, columns[c], total);
    for (int r = 0; r < reach; ++r) {
      Vector line[reach], out[reach];
      for (int c = 0; c < reach; ++c) line[c] = columns[c].t[r];
      transform_input(line, out);
      for (int c = 0; c < reach; ++c) store(v + (reach * r + c) * places.plane, out[c]);
    }
    v += places.row;
    if constexpr (Gradient) {
      if (z == nullptr) continue;
      for (int r = 0; r < reach; ++r) {
        Vector line[tile], out[reach];
        for (int c = 0; c < tile; ++c) line[c] = columns[c + 1].z[r];
        transform_gradient(line, out);
        for (int c = 0; c < reach; ++c) store(z + (reach * r + c) * places.plane, out[c]);
      }
      z += places.row;
    }
  }
}

template <bool Gradient, class Source>
ALWAYS_INLINE void transform(const Source &source, const TileRow &row, int64_t channels, const Places &places, float *v,
                             float *z, Vector &total) {
  if (row.has(-1) && row.has(tile)) {
    transform_row<false, Gradient>(source, row, channels, places, v, z, total);
  } else {
    transform_row<true, Gradient>(source, row, channels, places, v, z, total);
  }
}

/// Gives the outputs of a row of tiles, AᵀmA of LANES channels, to `sink`, each with its offset.
template <class Sink>
ALWAYS_INLINE void transform_back(const float *m, const Places &places, const TileRow &row, int64_t channels,
                                  Sink &sink) {
  const int64_t width = row.images.width;
  for (int64_t x = 0; x < width; x += tile, m += places.row) {
    Vector half[reach][tile];
    for (int c = 0; c < reach; ++c) {
      Vector line[reach];
      for (int r = 0; r < reach; ++r) line[r] = load(m + (reach * r + c) * places.plane);
      transform_output(line, 1, half[c]);
    }
    for (int r = 0; r < tile; ++r) {
      if (!row.has(r)) break;
      Vector y[tile];
      transform_output(&half[0][r], tile, y);
      const int64_t offset = row.offset(r, channels) + x * channels;
      for (int c = 0; c < tile; ++c) {
        if (x + c < width) sink.put(offset + c * channels, y[c]);
      }
    }
  }
}

// MARK: what comes of the outputs

template <class Element, bool Tail>
struct ForwardSink {
  Vector bias, factor, pivot = zero(), sum = zero(), squares = zero();
  Vector residual_squares = zero(), both_squares = zero();
  const Element *kept;
  Element *residual, *both;
  int64_t lanes, count = 0;
  bool sums, wants_squares;

  ALWAYS_INLINE ForwardSink(const Forward &args, int64_t channel, int64_t lanes)
      : bias(load(args.bias + channel)), factor(zero() + args.factor),
        kept(static_cast<const Element *>(args.kept) + channel),
        residual(args.residual ? static_cast<Element *>(args.residual) + channel : nullptr),
        both(args.sum ? static_cast<Element *>(args.sum) + channel : nullptr), lanes(lanes), sums(args.sums),
        wants_squares(args.squares) {}

  ALWAYS_INLINE void put(int64_t offset, Vector value) {
    value = (value + bias) * factor;
    if (residual) store<Tail>(residual + offset, value, lanes);
    if (wants_squares) residual_squares += value * value;
    if (both) {
      value += load<Tail>(kept + offset, lanes);
      store<Tail>(both + offset, value, lanes);
    }
    if (wants_squares) both_squares += value * value;
    if (!sums) return;
    if (count == 0) pivot = value;
    const Vector around = value - pivot;
    sum += around;
    squares += around * around;
    ++count;
  }

  /// - `to`: all sums of this thread
  ALWAYS_INLINE void finish(double *to, const Forward &args, int64_t channel, int64_t image) const {
    const int64_t apart = padded(args.outputs);
    if (sums) add_moments(to + channel, to + apart + channel, pivot, sum, squares, count);
    if (wants_squares) {
      to[2 * apart + image] += total(residual_squares);
      to[2 * apart + args.images.count + image] += total(both_squares);
    }
  }
};

template <class Element, bool Tail>
struct BackwardSink {
  Vector scale, shift, mean, factor = zero(), sum = zero(), product = zero();
  Vector beside_product = zero(), out_squares = zero();
  const Element *x, *kept, *beside;
  Element *out;
  int64_t lanes;
  bool scales, sums;

  ALWAYS_INLINE BackwardSink(const Backward &args, int64_t channel, int64_t lanes)
      : scale(load(args.scale + channel)), shift(load(args.shift + channel)), mean(load(args.mean + channel)),
        x(static_cast<const Element *>(args.x) + channel),
        kept(args.kept ? static_cast<const Element *>(args.kept) + channel : nullptr),
        beside(args.beside ? static_cast<const Element *>(args.beside) + channel : nullptr),
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
    if (beside) {
      beside_product += value * load<Tail>(beside + offset, lanes);
      out_squares += value * value;
    }
  }

  /// - `to`: all sums of this thread
  ALWAYS_INLINE void finish(double *to, const Backward &args, int64_t channel, int64_t image) const {
    const int64_t apart = padded(args.inputs);
    if (sums) {
      add_to(to + channel, sum);
      add_to(to + apart + channel, product);
    }
    if (beside) {
      to += 2 * apart + padded(args.outputs);
      to[image] += total(beside_product);
      to[args.images.count + image] += total(out_squares);
    }
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

/// How many tile rows are taken together: few enough that a chunk stays in the cache; more of wide layers, whose filters
/// are read, and whose filters' gradients are written, once a chunk. Tried on a Zen 4 (docs/performance.md).
inline int64_t rows_a_chunk(const Images &images, int64_t inputs, int64_t outputs) {
  const int64_t tiles = std::max(inputs, outputs) <= 256 ? 16 : 64;
  return std::max<int64_t>(1, tiles / images.tiles_a_row());
}

/// Calls `body` for each LANES of the channels, with whether they are fewer, the first, and how many.
template <class Body>
ALWAYS_INLINE void for_lanes(int64_t channels, Body body) {
  int64_t channel = 0;
  for (; channel + LANES <= channels; channel += LANES) body(std::false_type{}, channel, LANES);
  if (channel < channels) body(std::true_type{}, channel, channels - channel);
}

/// Asks for memory that is read, or written, after the matrix products that now run: these leave the way to memory free,
/// and what comes after them would wait for it. A part of a chunk's pixels for each of the products.
template <class Element>
struct Ahead {
  int64_t first, count;

  /// The pixels of tile rows `begin ..< end` and of `more` rows of pixels behind them.
  Ahead(const Images &images, int64_t begin, int64_t end, int64_t more)
      : first(begin < end ? TileRow(images, begin).offset(0, 1) : 0), count(0) {
    if (begin >= end) return;
    const TileRow last(images, end - 1);
    const int64_t behind = last.offset(0, 1) + (std::min(tile, images.height - last.top) + more) * images.width;
    count = std::min(behind, images.pixels()) - first;
  }

  template <bool Writes>
  void fetch(const void *tensor, int64_t channels, int64_t product) const {
    if (tensor == nullptr) return;
    const int64_t size = count * channels * static_cast<int64_t>(sizeof(Element));
    const char *from = static_cast<const char *>(tensor) + first * channels * static_cast<int64_t>(sizeof(Element));
    const char *end = from + size * (product + 1) / positions;
    for (from += size * product / positions; from < end; from += 64) __builtin_prefetch(from, Writes, 2);
  }
};

template <class Element>
void forward_pass(const Forward &args, int64_t begin, int64_t end, double *sums) {
  const Images &images = args.images;
  const int64_t tiles_a_row = images.tiles_a_row(), step = rows_a_chunk(images, args.inputs, args.outputs);
  const Places in(step * tiles_a_row, args.inputs), out(step * tiles_a_row, args.outputs);
  float *v = scratch(in.size() + out.size()), *m = v + in.size();
  const int64_t plane = filter_plane(args.inputs, args.outputs);
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
    const Ahead<Element> now(images, chunk, chunk + rows, 0);
    const Ahead<Element> next(images, chunk + rows, std::min(end, chunk + rows + step), 1);
    for (int64_t p = 0; p < positions; ++p) {
      now.template fetch<false>(args.kept, args.outputs, p);
      now.template fetch<true>(args.sum, args.outputs, p);
      now.template fetch<true>(args.residual, args.outputs, p);
      next.template fetch<false>(args.x, args.inputs, p);
      multiply(tiles, args.inputs, args.outputs, v + p * in.plane, in.row, args.filter + p * plane,
               m + p * out.plane, out.row);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(images, chunk + r);
      for_lanes(args.outputs, [&](auto tail, int64_t channel, int64_t lanes) {
        ForwardSink<Element, tail> sink(args, channel, lanes);
        transform_back(m + r * tiles_a_row * out.row + channel, out, row, args.outputs, sink);
        sink.finish(sums, args, channel, row.image);
      });
    }
  }
}

template <class Element>
void backward_pass(const Backward &args, int64_t begin, int64_t end, float *filter_gradient, double *sums) {
  const Images &images = args.images;
  const int64_t tiles_a_row = images.tiles_a_row(), step = rows_a_chunk(images, args.inputs, args.outputs);
  const Places in(step * tiles_a_row, args.inputs), out(step * tiles_a_row, args.outputs);
  // The input's transform is wanted after the products that go back to the input: one buffer is enough for both.
  float *v = scratch(in.size() + 2 * out.size()), *u = v + in.size(), *z = args.parameters ? u + out.size() : nullptr;
  const int64_t plane = filter_plane(args.inputs, args.outputs);
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
    const Ahead<Element> now(images, chunk, chunk + rows, 1);
    const Ahead<Element> next(images, chunk + rows, std::min(end, chunk + rows + step), 1);
    for (int64_t p = 0; p < positions; ++p) {
      now.template fetch<false>(args.x, args.inputs, p);
      now.template fetch<false>(args.kept, args.inputs, p);
      now.template fetch<false>(args.beside, args.inputs, p);
      now.template fetch<true>(args.out, args.inputs, p);
      if (!args.parameters) {
        next.template fetch<false>(args.gradient, args.outputs, p);
        next.template fetch<false>(args.normed, args.outputs, p);
      }
      multiply(tiles, args.outputs, args.inputs, u + p * out.plane, out.row, args.filter + p * plane,
               v + p * in.plane, in.row);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(images, chunk + r);
      for_lanes(args.inputs, [&](auto tail, int64_t channel, int64_t lanes) {
        BackwardSink<Element, tail> sink(args, channel, lanes);
        transform_back(v + r * tiles_a_row * in.row + channel, in, row, args.inputs, sink);
        sink.finish(sums, args, channel, row.image);
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
      next.template fetch<false>(args.gradient, args.outputs, p);
      next.template fetch<false>(args.normed, args.outputs, p);
      multiply_transposed(tiles, args.inputs, args.outputs, v + p * in.plane, in.row, z + p * out.plane, out.row,
                          filter_gradient + p * plane);
    }
  }
}

// MARK: filters

inline void pack_filter(const float *filter, int64_t inputs, int64_t outputs, bool rotated, float *packed,
                        int64_t begin, int64_t end) {
  const int64_t rows = rotated ? outputs : inputs, columns = rotated ? inputs : outputs;
  const int64_t vectors = (columns + LANES - 1) / LANES, plane = filter_plane(inputs, outputs);
  // GgGᵀ of LANES columns, to where `multiply` reads them: in panels of PANEL vectors, what is left over singly.
  const auto put = [&](int64_t row, int64_t column, const Vector *g) {
    const int64_t vector = column / LANES, panel = vector / PANEL * PANEL;
    const bool whole = vectors - panel >= PANEL;
    const int64_t first = whole ? panel : vector, width = whole ? PANEL : 1;
    float *place = packed + first * LANES * rows + (row * width + vector - first) * LANES;
    // Both cores have just read what is written over here: a store at a time would wait for each to be told.
    for (int p = 0; p < positions; ++p) __builtin_prefetch(place + p * plane + 2 * width * LANES, 1);
    Vector half[3][reach], u[reach];
    for (int s = 0; s < 3; ++s) transform_filter(g + s, 3, half[s]);
    for (int r = 0; r < reach; ++r) {
      transform_filter(&half[0][r], reach, u);
      for (int c = 0; c < reach; ++c) store(place + (r * reach + c) * plane, u[c]);
    }
  };
  Vector g[9];
  for (int64_t o = begin * most_lanes; o < std::min(end * most_lanes, outputs); o += rotated ? 1 : most_lanes) {
    if (rotated) {
      for_lanes(inputs, [&](auto tail, int64_t channel, int64_t lanes) {
        for (int tap = 0; tap < 9; ++tap) g[tap] = load<tail>(filter + (o * 9 + 8 - tap) * inputs + channel, lanes);
        put(o, channel, g);
      });
      continue;
    }
    const int64_t some = std::min(most_lanes, outputs - o);
    alignas(64) float turned[most_lanes][9][most_lanes] = {};
    for (int64_t i = 0; i < inputs; i += most_lanes) {
      const int64_t count = std::min(most_lanes, inputs - i);
      for (int64_t k = 0; k < some; ++k) {
        for (int tap = 0; tap < 9; ++tap) {
          const float *from = filter + ((o + k) * 9 + tap) * inputs + i;
          for (int64_t c = 0; c < count; ++c) turned[c][tap][k] = from[c];
        }
      }
      for (int64_t c = 0; c < count; ++c) {
        for (int64_t k = 0; k < some; k += LANES) {
          for (int tap = 0; tap < 9; ++tap) g[tap] = load(&turned[c][tap][k]);
          put(i + c, o + k, g);
        }
      }
    }
  }
}

inline void unpack_gradient(const float *sums, int64_t parts, int64_t inputs, int64_t outputs, float *gradient,
                            int64_t begin, int64_t end) {
  const int64_t row = padded(outputs), plane = filter_plane(inputs, outputs), size = gradient_size(inputs, outputs);
  for (int64_t o = begin * most_lanes; o < std::min(outputs, end * most_lanes); o += LANES) {
    for (int64_t i = 0; i < inputs; ++i) {
      Vector u[positions], half[reach][3];
      for (int p = 0; p < positions; ++p) {
        u[p] = zero();
        for (int64_t part = 0; part < parts; ++part) u[p] += load(sums + part * size + p * plane + i * row + o);
      }
      for (int c = 0; c < reach; ++c) transform_filter_back(u + c, reach, half[c]);
      for (int r = 0; r < 3; ++r) {
        Vector taps[3];
        transform_filter_back(&half[0][r], 3, taps);
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
