// A GPU's kernels of a unit: normalisation, ReLU and 3×3 convolution in one pass, there and back, on its tensor cores.
//
// Tiles of an image, with what lies around them, are brought into shared memory once, normalised on the way; nine
// shifted views of them are multiplied with the filter's nine taps; sums for the next normalisation are taken while the
// result is written. All sums are in an order that depends on the shapes alone, and on how the host cut them into
// blocks.
//
// This is CUDA C++ between DEVICE_CODE's brackets: text for CUDA's run-time compiler (source.cpp), which puts cuda.h
// before it, and code for the tests, which run it on the processor. So it has no preprocessor lines.
DEVICE_CODE(

// MARK: elements

struct bfloat {
  unsigned short bits;
};

__device__ inline float wide(float value) {
  return value; }
__device__ inline float wide(bfloat value) {
  return __uint_as_float(static_cast<unsigned>(value.bits) << 16); }

template <class T>
__device__ T narrow(float value);
template <>
__device__ inline float narrow<float>(float value) {
  return value; }
template <>
__device__ inline bfloat narrow<bfloat>(float value) {
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fc0};
  return {static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// A value that is NaN stays NaN.
__device__ inline float rectified(float value) {
  return value < 0 ? 0 : value; }

// Neighbours in memory, brought by one load, or by few.
template <class T, int count>
struct alignas(count * sizeof(T) < 16 ? count * sizeof(T) : 16) Run {
  T values[count];

  __device__ static Run at(const T *place) { return *reinterpret_cast<const Run *>(place); }
  __device__ void put(T * place) const { *reinterpret_cast<Run *>(place) = *this; }
};

// As many channels as one load brings.
template <class T>
constexpr int chunk = 16 / sizeof(T);
template <class T>
using Chunk = Run<T, chunk<T>>;
// A value for each of them.
template <class T>
using Values = Run<float, chunk<T>>;

template <class T>
constexpr int padding = padding_bytes / sizeof(T);

// Lets a block's threads load `count` things and store them, each of them several before it waits for the first.
template <int ahead, class Value, class Load, class Store>
__device__ inline void bring(int count, const Load &load, const Store &store) {
  for (int first = threadIdx.x; first < count; first += ahead * blockDim.x) {
    Value values[ahead];
    for (int i = 0; i < ahead; ++i) {
      const int own = first + i * blockDim.x;
      // Something is loaded always: what is branched around is waited for.
      values[i] = load(own < count ? own : first);
    }
    for (int i = 0; i < ahead; ++i) {
      const int own = first + i * blockDim.x;
      if (own < count) store(own, values[i]);
    }
  }
}

// Division of numbers below 65536, of which there are no more in shared memory, by a number below 65536.
struct Division {
  int by;
  unsigned reciprocal;

  __device__ explicit Division(int by) : by(by), reciprocal(0xffffffffu / static_cast<unsigned>(by) + 1) {}
  __device__ int quotient(int number) const {
    return by == 1 ? number : static_cast<int>(__umulhi(static_cast<unsigned>(number), reciprocal));
  }
};

// MARK: products of matrices

// 16×depth times depth×8, a warp together. Of both operands a lane holds, in each half of the depth, the elements from
// `first(lane)` on, of row (or column) lane / 4, of the left one also of row lane / 4 + 8; of the result columns
// 2·(lane % 4) and the next of both rows.
//
// `load` takes an operand's elements from where they lie beside each other, `load_across` from `depth` pixels of 16 channels
// each, of which a lane is told `places` many: those of pixels `pixel(lane, 0)` and so on, moved by `channel(lane)`. It makes
// the operands of channel lane / 4 and of 8 channels on, both halves of the depth.
template <class T>
struct Product;

template <>
struct Product<bfloat> {
  static constexpr int depth = 16;
  using Operand = unsigned;
  __device__ static int first(int lane) { return 2 * (lane % 4); }
  __device__ static Operand load(const bfloat *from) { return *reinterpret_cast<const unsigned *>(from); }
  static constexpr int places = 1;
  __device__ static int pixel(int lane, int) { return lane % 16; }
  __device__ static int channel(int lane) { return lane / 16 * 8; }
  __device__ static void load_across(Operand(&to)[2][2], const bfloat *const(&from)[places], int offset) {
    unsigned parts[4];
    load_transposed(parts, from[0] + offset);
    for (int i = 0; i < 4; ++i) to[i / 2][i % 2] = parts[i];
  }
  __device__ static void add(float (&sum)[4], const Operand(&left)[4], const Operand(&right)[2]) {
    multiply_bfloat(sum, left, right);
  }
};

// Tensor cores take 10 bits of a float's 23: as a sum of two such numbers, with the product of the two small ones left
// out, a product is within a few units of a float's last place. They cut off where a float would be rounded: so only the sum of one `add` is
// theirs. (Infinity becomes no number.)
template <>
struct Product<float> {
  static constexpr int depth = 8;
  struct Operand {
    unsigned large, small;
  };
  __device__ static int first(int lane) { return lane % 4; }
  __device__ static Operand load(const float *from) {
    const unsigned large = to_tf32(*from);
    return {large, to_tf32(*from - __uint_as_float(large))};
  }
  static constexpr int places = 2;
  __device__ static int pixel(int lane, int which) { return lane % 4 + 4 * which; }
  __device__ static int channel(int lane) { return lane / 4; }
  __device__ static void load_across(Operand(&to)[2][2], const float *const(&from)[places], int offset) {
    for (int i = 0; i < 4; ++i) to[i / 2][i % 2] = load(from[i % 2] + offset + i / 2 * 8);
  }
  __device__ static void add(float (&sum)[4], const Operand(&left)[4], const Operand(&right)[2]) {
    const unsigned large[4] = {left[0].large, left[1].large, left[2].large, left[3].large};
    const unsigned small[4] = {left[0].small, left[1].small, left[2].small, left[3].small};
    const unsigned right_large[2] = {right[0].large, right[1].large}, right_small[2] = {right[0].small, right[1].small};
    float part[4] = {};
    multiply_tf32(part, small, right_large);
    multiply_tf32(part, large, right_small);
    multiply_tf32(part, large, right_large);
    for (int i = 0; i < 4; ++i) sum[i] += part[i];
  }
};

// MARK: tiles

// Whole rows of one image, and their place in shared memory, where a pixel lies around them.
struct Tile {
  int image, row, rows, width;
  Division by_width;

  __device__ Tile(const Images &images, int most_rows, int index) : width(images.width), by_width(images.width) {
    const int in_image = (images.height + most_rows - 1) / most_rows;
    image = index / in_image;
    row = index % in_image * most_rows;
    rows = images.height - row < most_rows ? images.height - row : most_rows;
  }

  __device__ int pixels() const { return rows * width; }
  // Its first pixel's among all images' pixels.
  __device__ int first(const Images &images) const { return (image * images.height + row) * width; }
  // Where the pixels lie that the filter's first tap meets at `pixel`.
  __device__ int place(int pixel) const { return pixel + 2 * by_width.quotient(pixel); }
  __device__ int tap(int tap) const { return tap / 3 * (width + 2) + tap % 3; }
};

__device__ inline int tiles(const Images &images, int rows) {
  return images.count * ((images.height + rows - 1) / rows); }

// max(0, scale·x + shift). The way back asks for the sign in the same words.
__device__ inline float normalised(float x, float scale, float shift) {
  return fmaf(scale, x, shift); }

// A source of what is brought into shared memory, a chunk at a time: the elements to load, and the value made of each.
template <class T>
struct Normalised {
  const T *x;
  const float *scale;
  const float *shift;

  using Loaded = Chunk<T>;
  __device__ Loaded load(int place) const { return Chunk<T>::at(x + place); }
  __device__ Chunk<T> finished(const Loaded &loaded, int channel) const {
    const auto slope = Values<T>::at(scale + channel), offset = Values<T>::at(shift + channel);
    Chunk<T> found;
    for (int i = 0; i < chunk<T>; ++i) {
      found.values[i] = narrow<T>(rectified(normalised(wide(loaded.values[i]), slope.values[i], offset.values[i])));
    }
    return found;
  }
};

// A gradient that may be pending.
template <class T>
struct Pending {
  const T *gradient;
  const T *normed;
  const float *a;
  const float *b;
  const float *d;

  __device__ explicit Pending(const PendingGradient &of)
      : gradient(static_cast<const T *>(of.gradient)),
        normed(static_cast<const T *>(of.normed)),
        a(of.a),
        b(of.b),
        d(of.d) {}

  struct Loaded {
    Chunk<T> gradient, normed;
  };
  __device__ Loaded load(int place) const {
    return {Chunk<T>::at(gradient + place), a ? Chunk<T>::at(normed + place) : Chunk<T>{}};
  }
  __device__ Chunk<T> finished(const Loaded &loaded, int channel) const {
    if (!a) return loaded.gradient;
    const auto as = Values<T>::at(a + channel), bs = Values<T>::at(b + channel), ds = Values<T>::at(d + channel);
    Chunk<T> found;
    for (int i = 0; i < chunk<T>; ++i) {
      found.values[i] = narrow<T>(as.values[i] * wide(loaded.gradient.values[i]) +
                                  bs.values[i] * wide(loaded.normed.values[i]) + ds.values[i]);
    }
    return found;
  }
};

// Where a chunk lies that a thread brings.
struct Spot {
  int pixel, channel, place;
  bool exists;
};

// Brings `count` channels from `channel` on of a tile and the pixels around it into shared memory, pixels `apart` from each
// other; outside the image are zeros.
template <class T, int ahead, class Source>
__device__ inline void stage_around(T *to, int apart, const Source &from, const Images &images, const Tile &tile, int channels,
                                    int channel, int count) {
  const int width = tile.width + 2;
  const Division by_chunks(count / chunk<T>), by_row(width);
  const auto spot = [&](int i) {
    const int pixel = by_chunks.quotient(i), c = (i - pixel * by_chunks.by) * chunk<T>, row = by_row.quotient(pixel);
    const int x = pixel - row * width - 1, y = row - 1 + tile.row;
    const bool inside = x >= 0 && x < images.width && y >= 0 && y < images.height;
    const int place = inside ? ((tile.image * images.height + y) * images.width + x) * channels : 0;
    return Spot{pixel, c, place + channel + c, inside};
  };
  bring<ahead, typename Source::Loaded>(
      (tile.rows + 2) * width * by_chunks.by, [&](int i) { return from.load(spot(i).place); },
      [&](int i, const typename Source::Loaded &loaded) {
        const Spot at = spot(i);
        (at.exists ? from.finished(loaded, channel + at.channel) : Chunk<T>{}).put(to + at.pixel * apart + at.channel);
      });
}

// Loads a tile without the pixels around it. From the last pixel on, up to `most`, it writes zeros.
template <class T, int ahead, class Source>
__device__ inline void stage(T *to, int apart, const Source &from, const Images &images, const Tile &tile, int most,
                             int channels, int channel, int count) {
  const Division by_chunks(count / chunk<T>);
  const auto spot = [&](int i) {
    const int pixel = by_chunks.quotient(i), c = (i - pixel * by_chunks.by) * chunk<T>;
    const bool exists = pixel < tile.pixels();
    return Spot{pixel, c, (tile.first(images) + (exists ? pixel : 0)) * channels + channel + c, exists};
  };
  bring<ahead, typename Source::Loaded>(
      most * by_chunks.by, [&](int i) { return from.load(spot(i).place); },
      [&](int i, const typename Source::Loaded &loaded) {
        const Spot at = spot(i);
        (at.exists ? from.finished(loaded, channel + at.channel) : Chunk<T>{}).put(to + at.pixel * apart + at.channel);
      });
}

// Brings lines of `length` of a filter, which are `from_apart` from each other there and `apart` here.
template <class T>
__device__ inline void stage_filter(T *to, int apart, const float *from, int from_apart, int lines, int length) {
  const Division by_fours(length / 4);
  using Four = Run<float, 4>;
  const auto load = [&](int i) {
    const int line = by_fours.quotient(i);
    return Four::at(from + line * from_apart + 4 * (i - line * by_fours.by));
  };
  bring<4, Four>(lines * by_fours.by, load, [&](int i, const Four &four) {
    const int line = by_fours.quotient(i);
    Run<T, 4> stored;
    for (int j = 0; j < 4; ++j) stored.values[j] = narrow<T>(four.values[j]);
    stored.put(to + line * apart + 4 * (i - line * by_fours.by));
  });
}

// MARK: convolution of a tile

// A warp makes 32 pixels of 16 channels at a time, of the `columns` sixteens that the block makes.
struct Work {
  int lane, group, groups, column;

  __device__ explicit Work(int columns) {
    const int warp = threadIdx.x / 32;
    lane = threadIdx.x % 32;
    column = warp % columns;
    group = warp / columns;
    groups = blockDim.x / 32 / columns;
  }
};

// A filter as it is there: a line for each channel that is made and each tap, of the channels that are summed over.
template <class T>
struct FilterAlong {
  const T *from[2];
  int apart;

  __device__ FilterAlong(const T *filter, int apart, const Work &work) : apart(apart) {
    for (int i = 0; i < 2; ++i) {
      from[i] = filter + (16 * work.column + 8 * i + work.lane / 4) * 9 * apart + Product<T>::first(work.lane);
    }
  }
  __device__ void load(typename Product<T>::Operand(&to)[2][2], int tap, int k) const {
    for (int i = 0; i < 4; ++i)
      to[i / 2][i % 2] = Product<T>::load(from[i / 2] + tap * apart + k + i % 2 * (Product<T>::depth / 2));
  }
};

// The filter in shared memory for the backward pass: a line for each channel that is summed over and each tap, holding the
// channels that are made, rotated by half a turn.
template <class T>
struct FilterAcross {
  const T *from[Product<T>::places];
  int apart;

  __device__ FilterAcross(const T *filter, int apart, const Work &work) : apart(apart) {
    for (int i = 0; i < Product<T>::places; ++i) {
      from[i] =
          filter + Product<T>::pixel(work.lane, i) * 9 * apart + 16 * work.column + Product<T>::channel(work.lane);
    }
  }
  __device__ void load(typename Product<T>::Operand(&to)[2][2], int tap, int k) const {
    Product<T>::load_across(to, from, (9 * k + 8 - tap) * apart);
  }
};

// Convolves `depth` channels of what was staged, and hands `finish` every pixel's results, two neighbouring channels at a
// time: finish(pixel of the tile, which pair of the lane's two, channel of the block's, two sums, what finish.seen(pixel,
// channel) was). All is seen before anything is finished: so no load waits for a store.
template <class T, class Filter, class Finish>
__device__ inline void convolve(const T *staged, const Filter &filter, const Tile &tile, int depth, const Work &work,
                                Finish &finish) {
  using Operand = typename Product<T>::Operand;
  constexpr int half = Product<T>::depth / 2;
  const int apart = depth + padding<T>, last = tile.pixels() - 1, column = 16 * work.column + 2 * (work.lane % 4);
  for (int pixel = 32 * work.group; pixel <= last; pixel += 32 * work.groups) {
    float sums[2][2][4] = {};
    const T *rows[4];
    for (int i = 0; i < 4; ++i) {
      const int row = pixel + 8 * i + work.lane / 4;
      rows[i] = staged + tile.place(row < last ? row : last) * apart + Product<T>::first(work.lane);
    }
    for (int tap = 0; tap < 9; ++tap) {
      for (int k = 0; k < depth; k += Product<T>::depth) {
        const int offset = tile.tap(tap) * apart + k;
        Operand left[2][4];
        Operand right[2][2];
        filter.load(right, tap, k);
        for (int i = 0; i < 2; ++i) {
          left[i][0] = Product<T>::load(rows[2 * i] + offset);
          left[i][1] = Product<T>::load(rows[2 * i + 1] + offset);
          left[i][2] = Product<T>::load(rows[2 * i] + offset + half);
          left[i][3] = Product<T>::load(rows[2 * i + 1] + offset + half);
        }
        for (int i = 0; i < 2; ++i) {
          for (int j = 0; j < 2; ++j) Product<T>::add(sums[i][j], left[i], right[j]);
        }
      }
    }
    typename Finish::Seen seen[4][2];
    for (int i = 0; i < 4; ++i) {
      const int row = pixel + 8 * i + work.lane / 4;
      for (int j = 0; j < 2; ++j) seen[i][j] = finish.seen(row < last ? row : last, column + 8 * j);
    }
    for (int i = 0; i < 4; ++i) {
      const int row = pixel + 8 * i + work.lane / 4;
      if (row > last) continue;
      for (int j = 0; j < 2; ++j) {
        finish(row, j, column + 8 * j, sums[i / 2][j][2 * (i % 2)], sums[i / 2][j][2 * (i % 2) + 1], seen[i][j]);
      }
    }
  }
}

// Two neighbouring channels.
template <class T>
using Pair = Run<T, 2>;

// A lane's two sums of each of its four channels, and what all of the block's come to: added up in the order of the groups.
struct LaneSums {
  float values[2][2][2] = {};

  __device__ void add(int pair, int which, float one, float other) {
    values[pair][which][0] += one;
    values[pair][which][1] += other;
  }

  // Into row `part` of the sums of `channels`, of which the block made `count` from `channel` on. Overwrites shared
  // memory.
  __device__ void write(double *rows, int part, int channels, int channel, int count, const Work &work) {
    float *room = reinterpret_cast<float *>(shared_memory());
    __syncthreads();
    for (int pair = 0; pair < 2; ++pair) {
      for (int which = 0; which < 2; ++which) {
        for (int kind = 0; kind < 2; ++kind) {
          float sum = values[pair][which][kind];
          for (int apart = 4; apart < 32; apart *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
          const int c = 16 * work.column + 8 * pair + 2 * (work.lane % 4) + which;
          if (work.lane < 4) room[(2 * work.group + kind) * count + c] = sum;
        }
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * count; i += blockDim.x) {
      const int kind = i / count, c = i % count;
      double sum = 0;
      for (int group = 0; group < work.groups; ++group) sum += room[(2 * group + kind) * count + c];
      rows[(2 * part + kind) * channels + channel + c] = sum;
    }
  }
};

// MARK: a unit there

template <class T>
struct FinishForward {
  const Forward &args;
  const int pixel;
  const int channel;
  LaneSums sums = {};

  using Seen = Pair<T>;
  __device__ Seen seen(int row, int own) const {
    if (!args.skip) return {};
    return Pair<T>::at(static_cast<const T *>(args.skip) + (pixel + row) * args.outputs + channel + own);
  }

  __device__ void operator()(int row, int pair, int own, float one, float next, const Seen &skip) {
    const int c = channel + own, place = (pixel + row) * args.outputs + c;
    const float found[2] = {args.factor * (one + args.bias[c]), args.factor * (next + args.bias[c + 1])};
    Pair<T> made = {{narrow<T>(found[0]), narrow<T>(found[1])}};
    if (args.residual) made.put(static_cast<T *>(args.residual) + place);
    if (args.skip) {
      made = {{narrow<T>(found[0] + wide(skip.values[0])), narrow<T>(found[1] + wide(skip.values[1]))}};
      made.put(static_cast<T *>(args.sum) + place);
    }
    for (int which = 0; which < 2; ++which) {
      const float value = wide(made.values[which]);
      sums.add(pair, which, value, value * value);
    }
  }
};

template <class T>
__device__ inline void forward_of(const Forward &args, int inputs) {
  const Tile tile(args.images, args.rows, blockIdx.x);
  const int channel = blockIdx.y * args.block_outputs, apart = inputs + padding<T>;
  T *staged = reinterpret_cast<T *>(shared_memory());
  T *filter = staged + (args.rows + 2) * (tile.width + 2) * apart;
  stage_filter(filter, apart, args.filter + channel * 9 * inputs, inputs, args.block_outputs * 9, inputs);
  stage_around<T, 4>(staged, apart, Normalised<T>{static_cast<const T *>(args.x), args.scale, args.shift}, args.images,
                     tile, inputs, 0, inputs);
  __syncthreads();
  const Work work(args.block_outputs / 16);
  FinishForward<T> finish{args, tile.first(args.images), channel};
  convolve(staged, FilterAlong<T>(filter, apart, work), tile, inputs, work, finish);
  if (args.sums) finish.sums.write(args.sums, blockIdx.x, args.outputs, channel, args.block_outputs, work);
}

// `body` of `channels`, for the usual numbers of them by code of their own, in which offsets are constants.
template <class Body>
__device__ inline void with_constant(int channels, const Body &body) {
  switch (channels) {
    case 16:
      return body(16);
    case 32:
      return body(32);
    case 64:
      return body(64);
    default:
      return body(channels);
  }
}

template <class T>
__device__ void forward(const Forward &args) {
  with_constant(args.inputs, [&](int inputs) { forward_of<T>(args, inputs); });
}

// MARK: its way back

template <class T>
struct FinishBackward {
  const Backward &args;
  const int pixel;
  const int channel;
  LaneSums sums = {};

  using Seen = Pair<T>;
  __device__ Seen seen(int row, int own) const {
    return Pair<T>::at(static_cast<const T *>(args.x) + (pixel + row) * args.inputs + channel + own);
  }

  __device__ void operator()(int row, int pair, int own, float one, float next, const Seen &x) {
    const int c = channel + own, place = (pixel + row) * args.inputs + c;
    const float found[2] = {one, next};
    Pair<T> made;
    for (int which = 0; which < 2; ++which) {
      const float value = wide(x.values[which]);
      const bool through = normalised(value, args.scale[c + which], args.shift[c + which]) > 0;
      made.values[which] = narrow<T>(through ? found[which] : 0);
      const float stored = wide(made.values[which]);
      sums.add(pair, which, stored, stored * (value - args.mean[c + which]));
    }
    made.put(static_cast<T *>(args.out) + place);
  }
};

template <class T>
__device__ inline void backward_of(const Backward &args, int outputs) {
  const Tile tile(args.images, args.rows, blockIdx.x);
  const int channel = blockIdx.y * args.block_inputs, apart = outputs + padding<T>;
  T *staged = reinterpret_cast<T *>(shared_memory());
  T *filter = staged + (args.rows + 2) * (tile.width + 2) * apart;
  const int in_filter = args.block_inputs + padding_across;
  stage_filter(filter, in_filter, args.filter + channel, args.inputs, outputs * 9, args.block_inputs);
  const Pending<T> gradient(args.gradient);
  stage_around<T, 3>(staged, apart, gradient, args.images, tile, outputs, 0, outputs);
  __syncthreads();
  const Work work(args.block_inputs / 16);
  FinishBackward<T> finish{args, tile.first(args.images), channel};
  convolve(staged, FilterAcross<T>(filter, in_filter, work), tile, outputs, work, finish);
  finish.sums.write(args.sums, blockIdx.x, args.inputs, channel, args.block_inputs, work);
}

template <class T>
__device__ void backward(const Backward &args) {
  with_constant(args.outputs, [&](int outputs) { backward_of<T>(args, outputs); });
}

// MARK: the filter's gradient

// ∂filter[o][tap][i] = Σ over pixels of gradient[o]·x̂[i] at the tap: the warps of a block take pixels in turn.
template <class T>
__device__ void filter_gradient(const FilterGradient &args) {
  using Operand = typename Product<T>::Operand;
  constexpr int depth = Product<T>::depth, apart = 16 + padding_across;
  const int output = blockIdx.y / (args.inputs / 16) * 16, input = blockIdx.y % (args.inputs / 16) * 16;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const int most = (args.rows * args.images.width + depth - 1) / depth * depth;
  T *staged = reinterpret_cast<T *>(shared_memory());
  T *gradients = staged + (args.rows + 2) * (args.images.width + 2) * apart;
  const Normalised<T> x{static_cast<const T *>(args.x), args.scale, args.shift};
  const Pending<T> gradient(args.gradient);
  float sums[9][2][4] = {};
  float bias = 0;
  const int count = tiles(args.images, args.rows), parts = args.parts;
  for (int index = blockIdx.x; index < count; index += parts) {
    const Tile tile(args.images, args.rows, index);
    __syncthreads();
    stage_around<T, 2>(staged, apart, x, args.images, tile, args.inputs, input, 16);
    stage<T, 2>(gradients, apart, gradient, args.images, tile, most, args.outputs, output, 16);
    __syncthreads();
    if (input == 0) {
      for (int pixel = threadIdx.x / 16; pixel < tile.pixels(); pixel += blockDim.x / 16) {
        bias += wide(gradients[pixel * apart + threadIdx.x % 16]);
      }
    }
    for (int pixel = warp * depth; pixel < tile.pixels(); pixel += warps * depth) {
      constexpr int places = Product<T>::places;
      const T *from[places];
      const T *shifted[places];
      for (int i = 0; i < places; ++i) {
        const int own = pixel + Product<T>::pixel(lane, i);
        from[i] = gradients + own * apart + Product<T>::channel(lane);
        // Behind the tile the gradient is 0; what it is multiplied with must be a number.
        shifted[i] =
            staged + tile.place(own < tile.pixels() ? own : tile.pixels() - 1) * apart + Product<T>::channel(lane);
      }
      Operand outputs[2][2];
      Product<T>::load_across(outputs, from, 0);
      const Operand left[4] = {outputs[0][0], outputs[1][0], outputs[0][1], outputs[1][1]};
      for (int tap = 0; tap < 9; ++tap) {
        Operand inputs[2][2];
        Product<T>::load_across(inputs, shifted, tile.tap(tap) * apart);
        for (int i = 0; i < 2; ++i) Product<T>::add(sums[tap][i], left, inputs[i]);
      }
    }
  }
  // Each warp's sums to a place of its own, and there they are added up in the warps' order.
  constexpr int line = gradient_line, room_of_warp = 16 * line;
  float *room = reinterpret_cast<float *>(shared_memory());
  float *biases = room + warps * room_of_warp;
  __syncthreads();
  for (int tap = 0; tap < 9; ++tap) {
    for (int i = 0; i < 4; ++i) {
      const int o = lane / 4 + i / 2 * 8, c = 8 * (i % 2) + 2 * (lane % 4);
      const Run<float, 2> pair = {{sums[tap][i % 2][i / 2 * 2], sums[tap][i % 2][i / 2 * 2 + 1]}};
      pair.put(room + warp * room_of_warp + o * line + tap * 16 + c);
    }
  }
  biases[threadIdx.x] = bias;
  __syncthreads();
  const int size = args.outputs * 9 * args.inputs;
  float *row = args.partial + static_cast<long long>(blockIdx.x) * (size + args.outputs);
  for (int i = threadIdx.x; i < 9 * 16 * 16; i += blockDim.x) {
    const int o = i / (9 * 16), rest = i % (9 * 16);
    float sum = 0;
    for (int other = 0; other < warps; ++other) sum += room[other * room_of_warp + o * line + rest];
    row[((output + o) * 9 + rest / 16) * args.inputs + input + rest % 16] = sum;
  }
  if (input == 0 && threadIdx.x < 16) {
    float sum = 0;
    for (int i = threadIdx.x; i < blockDim.x; i += 16) sum += biases[i];
    row[size + output + threadIdx.x] = sum;
  }
}

// A block has 32 columns, and each of its warps some of the rows.
__device__ inline void add_rows_of(const AddRows &args) {
  float *room = reinterpret_cast<float *>(shared_memory());
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32, column = blockIdx.x * 32 + lane;
  float sum = 0;
  if (column < args.size) {
    for (int row = threadIdx.x / 32; row < args.parts; row += warps) {
      sum += args.rows[static_cast<long long>(row) * args.size + column];
    }
  }
  room[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x >= 32 || column >= args.size) return;
  for (int warp = 1; warp < warps; ++warp) sum += room[warp * 32 + lane];
  args.out[column] = sum;
}

// MARK: normalisation

// 16 channels a block, 16 pixels at a time.
template <class T>
__device__ void channel_sums(const ChannelSums &args) {
  double *room = reinterpret_cast<double *>(shared_memory());
  const int channel = blockIdx.y * 16 + threadIdx.x % 16, parts = args.sums.parts;
  const long long pixels = args.pixels;
  const int begin = static_cast<int>(pixels * blockIdx.x / parts),
            end = static_cast<int>(pixels * (blockIdx.x + 1) / parts);
  const T *x = static_cast<const T *>(args.x);
  double sum = 0, squares = 0;
  for (int pixel = begin + threadIdx.x / 16; pixel < end; pixel += blockDim.x / 16) {
    const double value = wide(x[pixel * args.channels + channel]);
    sum += value;
    squares += value * value;
  }
  room[2 * threadIdx.x] = sum;
  room[2 * threadIdx.x + 1] = squares;
  __syncthreads();
  if (threadIdx.x >= 16) return;
  for (int i = threadIdx.x + 16; i < blockDim.x; i += 16) {
    sum += room[2 * i];
    squares += room[2 * i + 1];
  }
  args.sums.rows[2 * blockIdx.x * args.channels + channel] = sum;
  args.sums.rows[(2 * blockIdx.x + 1) * args.channels + channel] = squares;
}

// Both sums of a channel; a block has four of them, and its first four threads are given theirs. Eight neighbouring threads
// read a row's eight sums.
__device__ inline void total(const Sums &sums, int channels, double (&found)[2]) {
  double *room = reinterpret_cast<double *>(shared_memory());
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const int kind = lane / 4 % 2, channel = blockIdx.x * total_channels + lane % 4;
  double sum = 0;
  for (int row = threadIdx.x / 8; row < sums.parts; row += blockDim.x / 8) {
    sum += sums.rows[(2 * row + kind) * channels + channel];
  }
  for (int apart = 8; apart < 32; apart *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
  if (lane < 8) room[8 * warp + lane] = sum;
  __syncthreads();
  // Each warp adds up one of the warps' eight sums.
  double *totals = room + 8 * warps;
  if (warp < 8) {
    sum = lane < warps ? room[8 * lane + warp] : 0;
    for (int apart = 1; apart < 32; apart *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    if (lane == 0) totals[warp] = sum;
  }
  __syncthreads();
  found[0] = totals[threadIdx.x % 4];
  found[1] = totals[4 + threadIdx.x % 4];
}

__device__ inline void statistics_of(const Statistics &args) {
  double sums[2];
  total(args.sums, args.channels, sums);
  if (threadIdx.x >= total_channels) return;
  const int c = blockIdx.x * total_channels + threadIdx.x;
  double mean = args.running_mean[c], variance = args.running_variance[c];
  if (args.sums.parts > 0) {
    mean = sums[0] / args.pixels;
    variance = sums[1] / args.pixels - mean * mean;
    if (variance < 0) variance = 0;
    if (args.momentum != 0) {
      const double unbiased = variance * args.pixels / (args.pixels - 1);
      args.running_mean[c] += static_cast<float>(args.momentum * (mean - args.running_mean[c]));
      args.running_variance[c] += static_cast<float>(args.momentum * (unbiased - args.running_variance[c]));
    }
  }
  const double inverse = 1 / sqrt(variance + args.epsilon), slope = args.gamma[c] * inverse;
  args.out[c] = static_cast<float>(mean);
  args.out[args.channels + c] = static_cast<float>(inverse);
  args.out[2 * args.channels + c] = static_cast<float>(slope);
  args.out[3 * args.channels + c] = static_cast<float>(args.beta[c] - mean * slope);
}

__device__ inline void norm_gradient_of(const NormGradient &args) {
  double sums[2];
  total(args.sums, args.channels, sums);
  if (threadIdx.x >= total_channels) return;
  const int c = blockIdx.x * total_channels + threadIdx.x;
  const double mean = args.statistics[c], inverse = args.statistics[args.channels + c];
  // γ/σ·(g − Σg/N − x̂·Σg·x̂/N) with x̂ = (x − mean)/σ
  const double a = args.gamma[c] * inverse, b = -a * inverse * inverse * sums[1] / args.pixels;
  args.coefficients[c] = static_cast<float>(a);
  args.coefficients[args.channels + c] = static_cast<float>(b);
  args.coefficients[2 * args.channels + c] = static_cast<float>(-a * sums[0] / args.pixels - b * mean);
  args.beta_gradient[c] = static_cast<float>(sums[0]);
  args.gamma_gradient[c] = static_cast<float>(sums[1] * inverse);
}

template <class T>
__device__ void resolve(const Resolve &args) {
  const int chunks = args.channels / chunk<T>;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.pixels * chunks) return;
  const int place = i * chunk<T>, channel = i % chunks * chunk<T>;
  const Pending<T> pending(args.gradient);
  const auto loaded = pending.load(place);
  const auto skip = args.skip ? Chunk<T>::at(static_cast<const T *>(args.skip) + place) : Chunk<T>{};
  const auto a = Values<T>::at(pending.a + channel), b = Values<T>::at(pending.b + channel),
             d = Values<T>::at(pending.d + channel);
  Chunk<T> out;
  for (int j = 0; j < chunk<T>; ++j) {
    out.values[j] = narrow<T>(wide(skip.values[j]) + a.values[j] * wide(loaded.gradient.values[j]) +
                              b.values[j] * wide(loaded.normed.values[j]) + d.values[j]);
  }
  out.put(static_cast<T *>(args.out) + place);
}

// MARK: what is launched

// The most threads of a block, and how many blocks should share a multiprocessor.
extern "C" {
__global__ void __launch_bounds__(256, 3) forward_float(Forward args) { forward<float>(args);
}
__global__ void __launch_bounds__(256, 3) forward_bfloat(Forward args) { forward<bfloat>(args); }
__global__ void __launch_bounds__(256, 3) backward_float(Backward args) { backward<float>(args); }
__global__ void __launch_bounds__(256, 3) backward_bfloat(Backward args) { backward<bfloat>(args); }
__global__ void __launch_bounds__(256, 2) filter_gradient_float(FilterGradient args) { filter_gradient<float>(args); }
__global__ void __launch_bounds__(256, 2) filter_gradient_bfloat(FilterGradient args) { filter_gradient<bfloat>(args); }
__global__ void __launch_bounds__(256) channel_sums_float(ChannelSums args) { channel_sums<float>(args); }
__global__ void __launch_bounds__(256) channel_sums_bfloat(ChannelSums args) { channel_sums<bfloat>(args); }
__global__ void __launch_bounds__(256) resolve_float(Resolve args) { resolve<float>(args); }
__global__ void __launch_bounds__(256) resolve_bfloat(Resolve args) { resolve<bfloat>(args); }
__global__ void __launch_bounds__(1024) add_rows(AddRows args) { add_rows_of(args); }
__global__ void __launch_bounds__(1024) statistics(Statistics args) { statistics_of(args); }
__global__ void __launch_bounds__(1024) norm_gradient(NormGradient args) { norm_gradient_of(args); }
}

)
