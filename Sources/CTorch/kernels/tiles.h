// Rows of tiles, to Winograd's domain and back.
// Included inside the namespace of an instruction set, after transforms.h.

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
      : gradient(args.gradient, channel, count),
        x(args.normed, channel, count),
        a(load(args.a + channel)),
        b(load(args.b + channel)),
        d(load(args.d + channel)) {}
  ALWAYS_INLINE Vector at(int64_t offset) const { return gradient.at(offset) * a + (x.at(offset) * b + d); }
};

// MARK: transforms of a row of tiles

/// A row of tiles of one image.
struct TileRow {
  int64_t image, top;
  const Images &images;

  ALWAYS_INLINE TileRow(const Images &all, int64_t index)
      : image(index / all.tile_rows_an_image()), top(index % all.tile_rows_an_image() * all.edge), images(all) {}
  /// Offset of pixel (y, 0), y counted from the first row of the tiles' own pixels.
  ALWAYS_INLINE int64_t offset(int64_t y, int64_t channels) const {
    return (image * images.height + top + y) * images.width * channels;
  }
  ALWAYS_INLINE bool has(int64_t y) const { return top + y >= 0 && top + y < images.height; }
};

/// A column of a tile row: Bᵀd of its inputs and, of a gradient, A·y of its outputs.
struct Column {
  Vector t[reach], z[reach];
};

/// True if row or column `place` of a tile, counted from the first of its own pixels, is one of the image's: between
/// these lie `Stride` − 1 zeros.
template <int Stride>
ALWAYS_INLINE constexpr bool is_pixel(int64_t place) {
  return place % Stride == 0;
}

/// Column x of the row, of zeros where there is none. `Edge`: some of the rows are outside of the image. `total` gets
/// the sum of a gradient's y.
template <bool Edge, bool Gradient, int Stride, class Source>
ALWAYS_INLINE void make_column(const Source &source, const TileRow &row, int64_t channels, int64_t x, Column &out,
                               Vector &total) {
  Vector d[reach];
  const bool inside = x < row.images.width;
  for (int64_t place = -1; place < reach - 1; ++place) {
    const int64_t y = place / Stride;
    const bool is_zero = !is_pixel<Stride>(place) || !inside || (Edge && !row.has(y));
    d[place + 1] = is_zero ? zero() : source.at(row.offset(y, channels) + x * channels);
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
/// all y is added to `total`. Between the pixels lie `Stride` − 1 zeros, as in the gradient of a strided convolution.
template <bool Edge, bool Gradient, int Stride, class Source>
ALWAYS_INLINE void transform_row(const Source &source, const TileRow &row, int64_t channels, const Places &places,
                                 float *v, float *z, Vector &total) {
  Column columns[reach];
  // Column −1, and column 0.
  for (int r = 0; r < reach; ++r) columns[tile].t[r] = zero();
  make_column<Edge, Gradient, Stride>(source, row, channels, 0, columns[tile + 1], total);
  for (int64_t x = 0; x < row.images.width; x += tile / Stride) {
    for (int r = 0; r < reach; ++r) {
      columns[0].t[r] = columns[tile].t[r];
      columns[1].t[r] = columns[tile + 1].t[r];
      if constexpr (Gradient) columns[1].z[r] = columns[tile + 1].z[r];
    }
    for (int c = 2; c < reach; ++c) {
      if (is_pixel<Stride>(c - 1)) {
        make_column<Edge, Gradient, Stride>(source, row, channels, x + (c - 1) / Stride, columns[c], total);
      } else {
        columns[c] = {};
      }
    }
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

template <bool Gradient, int Stride, class Source>
ALWAYS_INLINE void transform(const Source &source, const TileRow &row, int64_t channels, const Places &places, float *v,
                             float *z, Vector &total) {
  const bool begins_inside = !is_pixel<Stride>(-1) || row.has(-1);
  if (begins_inside && row.has(tile / Stride)) {
    transform_row<false, Gradient, Stride>(source, row, channels, places, v, z, total);
  } else {
    transform_row<true, Gradient, Stride>(source, row, channels, places, v, z, total);
  }
}

/// Gives the outputs of a row of tiles, AᵀmA of LANES channels, to `sink`, each with its offset; of every `Stride` rows
/// and columns the first.
template <int Stride, class Sink>
ALWAYS_INLINE void transform_back(const float *m, const Places &places, const TileRow &row, int64_t channels,
                                  Sink &sink) {
  const int64_t width = row.images.width;
  for (int64_t x = 0; x < width; x += tile / Stride, m += places.row) {
    Vector half[reach][tile];
    for (int c = 0; c < reach; ++c) {
      Vector line[reach];
      for (int r = 0; r < reach; ++r) line[r] = load(m + (reach * r + c) * places.plane);
      transform_output(line, 1, half[c]);
    }
    for (int r = 0; r < tile / Stride; ++r) {
      if (!row.has(r)) break;
      Vector y[tile];
      transform_output(&half[0][r * Stride], tile, y);
      const int64_t offset = row.offset(r, channels) + x * channels;
      for (int c = 0; c < tile / Stride; ++c) {
        if (x + c < width) sink.put(offset + c * channels, y[c * Stride]);
      }
    }
  }
}
