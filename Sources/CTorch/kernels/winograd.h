// 3×3 convolutions by Winograd's F(4×4, 3×3), forward and back.
// Included inside the namespace of an instruction set, after products.h and tiles.h.
//
// With B, G and A as Lavin and Gray name them, d a 6×6 tile of the input, g the 3×3 filter and y the 4×4 outputs:
//   y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A                 summed over input channels
//   ∂L/∂g = Gᵀ [ (Bᵀ d B) ⊙ (A ∂L/∂y Aᵀ) ] G         summed over tiles
// and ∂L/∂d is the convolution of ∂L/∂y with the filter rotated by a half turn. For each of the 36 positions in a tile
// the products are a matrix product over channels, or tiles. Tiles are taken a chunk at a time, so that a chunk's
// transformed values stay in the cache from one stage to the next.
//
// At stride 2, only every other row and column of y is made, and ∂L/∂y is 0 in the others.

// MARK: what comes of the outputs

template <class Element, bool Tail>
struct ForwardSink {
  Vector bias, factor, pivot = zero(), sum = zero(), squares = zero();
  Vector residual_squares = zero(), both_squares = zero();
  const Element *skip;
  Element *residual, *both;
  int64_t lanes, count = 0;
  bool sums, wants_squares;

  ALWAYS_INLINE ForwardSink(const Forward &args, int64_t channel, int64_t lanes)
      : bias(load(args.bias + channel)),
        factor(zero() + args.factor),
        skip(args.skip ? static_cast<const Element *>(args.skip) + channel : nullptr),
        residual(args.residual ? static_cast<Element *>(args.residual) + channel : nullptr),
        both(args.sum ? static_cast<Element *>(args.sum) + channel : nullptr),
        lanes(lanes),
        sums(args.sums),
        wants_squares(args.squares) {}

  ALWAYS_INLINE void put(int64_t offset, Vector value) {
    value = (value + bias) * factor;
    if (residual) store<Tail>(residual + offset, value, lanes);
    if (wants_squares) residual_squares += value * value;
    if (both) {
      value += load<Tail>(skip + offset, lanes);
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
  const Element *x, *skip, *beside;
  Element *out;
  int64_t lanes;
  bool scales, sums;

  ALWAYS_INLINE BackwardSink(const Backward &args, int64_t channel, int64_t lanes)
      : scale(load(args.scale + channel)),
        shift(load(args.shift + channel)),
        mean(load(args.mean + channel)),
        x(static_cast<const Element *>(args.x) + channel),
        skip(args.skip ? static_cast<const Element *>(args.skip) + channel : nullptr),
        beside(args.beside ? static_cast<const Element *>(args.beside) + channel : nullptr),
        out(static_cast<Element *>(args.out) + channel),
        lanes(lanes),
        scales(args.factor),
        sums(args.parameters) {
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
      if (skip) value += load<Tail>(skip + offset, lanes);
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

/// How many tile rows are taken together: few enough that a chunk stays in the cache; more of wide layers, whose
/// filters are read, and whose filters' gradients are written, once a chunk. Tried on a Zen 4 (docs/performance.md).
inline int64_t rows_a_chunk(const Images &images, int64_t inputs, int64_t outputs) {
  const int64_t tiles = std::max(inputs, outputs) <= 256 ? 16 : 64;
  return std::max<int64_t>(1, tiles / images.tiles_a_row());
}

/// Asks for memory that is read, or written, after the matrix products that now run: these leave the way to memory
/// free, and what comes after them would wait for it. A part of a chunk's pixels for each of the products.
template <class Element>
struct Ahead {
  int64_t first, count;

  /// The pixels of tile rows `begin ..< end` and of `more` rows of pixels behind them.
  Ahead(const Images &images, int64_t begin, int64_t end, int64_t more)
      : first(begin < end ? TileRow(images, begin).offset(0, 1) : 0), count(0) {
    if (begin >= end) return;
    const TileRow last(images, end - 1);
    const int64_t behind = last.offset(0, 1) + (std::min(images.edge, images.height - last.top) + more) * images.width;
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

/// v = BᵀdB of d = ReLU(scale·x + shift), for tile rows `first ..< first + rows`.
template <class Element, class Args>
ALWAYS_INLINE void transform_inputs(const Args &args, int64_t first, int64_t rows, const Places &places, float *v) {
  const int64_t tiles_a_row = args.images.tiles_a_row();
  Vector unused = zero();
  for (int64_t r = 0; r < rows; ++r) {
    const TileRow row(args.images, first + r);
    for_lanes(args.inputs, [&](auto tail, int64_t channel, int64_t lanes) {
      const Rectified<Element, tail> source(args.x, args.scale, args.shift, channel, lanes);
      transform<false, 1>(source, row, args.inputs, places, v + r * tiles_a_row * places.row + channel, nullptr,
                          unused);
    });
  }
}

template <class Element, int Stride>
void forward_pass(const Forward &args, int64_t begin, int64_t end, double *sums) {
  const Images &images = args.images, made = images.after(Stride);
  const int64_t tiles_a_row = images.tiles_a_row(), step = rows_a_chunk(images, args.inputs, args.outputs);
  const Places in(step * tiles_a_row, args.inputs), out(step * tiles_a_row, args.outputs);
  float *v = scratch(in.size() + out.size()), *m = v + in.size();
  const int64_t plane = filter_plane(args.inputs, args.outputs);
  for (int64_t chunk = begin; chunk < end; chunk += step) {
    const int64_t rows = std::min(step, end - chunk), tiles = rows * tiles_a_row;
    transform_inputs<Element>(args, chunk, rows, in, v);
    const Ahead<Element> now(made, chunk, chunk + rows, 0);
    const Ahead<Element> next(images, chunk + rows, std::min(end, chunk + rows + step), 1);
    for (int64_t p = 0; p < positions; ++p) {
      now.template fetch<false>(args.skip, args.outputs, p);
      now.template fetch<true>(args.sum, args.outputs, p);
      now.template fetch<true>(args.residual, args.outputs, p);
      next.template fetch<false>(args.x, args.inputs, p);
      multiply(tiles, args.inputs, args.outputs, v + p * in.plane, in.row, args.filter + p * plane, m + p * out.plane,
               out.row);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(made, chunk + r);
      for_lanes(args.outputs, [&](auto tail, int64_t channel, int64_t lanes) {
        ForwardSink<Element, tail> sink(args, channel, lanes);
        transform_back<Stride>(m + r * tiles_a_row * out.row + channel, out, row, args.outputs, sink);
        sink.finish(sums, args, channel, row.image);
      });
    }
  }
}

template <class Element, int Stride>
void backward_pass(const Backward &args, int64_t begin, int64_t end, float *filter_gradient, double *sums) {
  const Images &images = args.images, made = images.after(Stride);
  const int64_t tiles_a_row = images.tiles_a_row(), step = rows_a_chunk(images, args.inputs, args.outputs);
  const Places in(step * tiles_a_row, args.inputs), out(step * tiles_a_row, args.outputs);
  // The input's transform is wanted after the products that go back to the input: one buffer is enough for both.
  float *v = scratch(in.size() + 2 * out.size()), *u = v + in.size(), *z = args.parameters ? u + out.size() : nullptr;
  const int64_t plane = filter_plane(args.inputs, args.outputs);
  for (int64_t chunk = begin; chunk < end; chunk += step) {
    const int64_t rows = std::min(step, end - chunk), tiles = rows * tiles_a_row;
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(made, chunk + r);
      for_lanes(args.outputs, [&](auto tail, int64_t channel, int64_t lanes) {
        const int64_t place = r * tiles_a_row * out.row + channel;
        Vector total = zero();
        if (args.normed) {
          const Pending<Element, tail> source(args, channel, lanes);
          transform<true, Stride>(source, row, args.outputs, out, u + place, z ? z + place : nullptr, total);
        } else {
          const Plain<Element, tail> source(args.gradient, channel, lanes);
          transform<true, Stride>(source, row, args.outputs, out, u + place, z ? z + place : nullptr, total);
        }
        if (args.parameters) add_to(sums + 2 * padded(args.inputs) + channel, total);
      });
    }
    const Ahead<Element> now(images, chunk, chunk + rows, 1);
    const Ahead<Element> next(made, chunk + rows, std::min(end, chunk + rows + step), 1);
    for (int64_t p = 0; p < positions; ++p) {
      now.template fetch<false>(args.x, args.inputs, p);
      now.template fetch<false>(args.skip, args.inputs, p);
      now.template fetch<false>(args.beside, args.inputs, p);
      now.template fetch<true>(args.out, args.inputs, p);
      if (!args.parameters) {
        next.template fetch<false>(args.gradient, args.outputs, p);
        next.template fetch<false>(args.normed, args.outputs, p);
      }
      multiply(tiles, args.outputs, args.inputs, u + p * out.plane, out.row, args.filter + p * plane, v + p * in.plane,
               in.row);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const TileRow row(images, chunk + r);
      for_lanes(args.inputs, [&](auto tail, int64_t channel, int64_t lanes) {
        BackwardSink<Element, tail> sink(args, channel, lanes);
        transform_back<1>(v + r * tiles_a_row * in.row + channel, in, row, args.inputs, sink);
        sink.finish(sums, args, channel, row.image);
      });
    }
    if (!args.parameters) continue;
    transform_inputs<Element>(args, chunk, rows, in, v);
    for (int64_t p = 0; p < positions; ++p) {
      next.template fetch<false>(args.gradient, args.outputs, p);
      next.template fetch<false>(args.normed, args.outputs, p);
      multiply_transposed(tiles, args.inputs, args.outputs, v + p * in.plane, in.row, z + p * out.plane, out.row,
                          filter_gradient + p * plane);
    }
  }
}

inline void forward(const Forward &args, int64_t begin, int64_t end, double *sums) {
  const auto pass = args.images.is_bfloat16 ? forward_pass<BFloat16, 1>
                    : args.stride == 1      ? forward_pass<float, 1>
                                            : forward_pass<float, 2>;
  pass(args, begin, end, sums);
}

inline void backward(const Backward &args, int64_t begin, int64_t end, float *filter_gradient, double *sums) {
  const auto pass = args.images.is_bfloat16 ? backward_pass<BFloat16, 1>
                    : args.stride == 1      ? backward_pass<float, 1>
                                            : backward_pass<float, 2>;
  pass(args, begin, end, filter_gradient, sums);
}
