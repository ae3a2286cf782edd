// A GPU's kernels of a unit: normalisation, ReLU and 3×3 convolution in one pass, and its backward pass, on tensor
// cores.
//
// A block loads a tile of the images, with the pixels around it, into shared memory, and normalises it on the way. Nine
// shifted views of the tile are multiplied with the filter's nine taps. Before the result is stored, sums for the next
// normalisation are taken; the last blocks to finish add them up. The order of every sum depends only on the shapes,
// and on how the host cut them into blocks.
//
// This is CUDA C++ between DEVICE_CODE's brackets: text for CUDA's run-time compiler (source.cpp), which puts cuda.h
// before it, and code for the tests, which run it on the processor. So it has no preprocessor lines.
DEVICE_CODE(

// MARK: elements

struct bfloat {
  unsigned short bits;
};

__device__ inline float wide(float value) { return value; }
__device__ inline float wide(bfloat value) { return __uint_as_float(static_cast<unsigned>(value.bits) << 16); }

__device__ inline void put(float *to, float value) { *to = value; }
__device__ inline void put(bfloat *to, float value) { to->bits = static_cast<unsigned short>(rounded_pair(value, 0)); }

// Neighbours in memory, loaded at once, or in few parts.
template <class T, int count>
struct alignas(count * sizeof(T) < 16 ? count * sizeof(T) : 16) Run {
  T values[count];

  __device__ static Run at(const T *place) { return *reinterpret_cast<const Run *>(place); }
  __device__ void put(T *place) const { *reinterpret_cast<Run *>(place) = *this; }
};
// A run of bfloats has two in each word, the first in its low half: the compiler would take single ones apart and put
// them together again.
template <int count>
struct alignas(count * 2 < 16 ? count * 2 : 16) Run<bfloat, count> {
  unsigned pairs[count / 2];

  __device__ static Run at(const bfloat *place) { return *reinterpret_cast<const Run *>(place); }
  __device__ void put(bfloat *place) const { *reinterpret_cast<Run *>(place) = *this; }
};

// The elements that one load brings.
template <class T>
constexpr int chunk = 16 / sizeof(T);
template <class T>
using Chunk = Run<T, chunk<T>>;
// A float for each of them.
template <class T>
using Values = Run<float, chunk<T>>;

template <int count>
__device__ inline Run<float, count> widened(const Run<float, count> &run) {
  return run;
}
template <int count>
__device__ inline Run<float, count> widened(const Run<bfloat, count> &run) {
  Run<float, count> found;
  for (int i = 0; i < count; i += 2) {
    found.values[i] = __uint_as_float(run.pairs[i / 2] << 16);
    found.values[i + 1] = __uint_as_float(run.pairs[i / 2] & 0xffff0000u);
  }
  return found;
}

template <int count>
__device__ inline void round_to(Run<float, count> &to, const float (&values)[count]) {
  for (int i = 0; i < count; ++i) to.values[i] = values[i];
}
template <int count>
__device__ inline void round_to(Run<bfloat, count> &to, const float (&values)[count]) {
  for (int i = 0; i < count; i += 2) to.pairs[i / 2] = rounded_pair(values[i], values[i + 1]);
}

// Tensor cores multiply bfloats, of 8 bits. So a float is the sum of three: `planes` that follow each other in shared
// memory.
template <class T>
constexpr int planes = sizeof(T) == 4 ? 3 : 1;

// Number of elements between neighbouring lines of `length` values in shared memory.
template <class T>
__device__ constexpr int line(int length) {
  return planes<T> * length + line_padding;
}

// Stores values as bfloats, or as sums of bfloats whose planes are `apart` from each other.
template <int count>
__device__ inline void put_planes(bfloat *to, int, const Run<bfloat, count> &values) {
  values.put(to);
}
template <int count>
__device__ inline void put_planes(bfloat *to, int apart, const Run<float, count> &values) {
  Run<float, count> rest = values;
  for (int plane = 0; plane < planes<float>; ++plane) {
    Run<bfloat, count> rounded;
    round_to(rounded, rest.values);
    rounded.put(to + plane * apart);
    const auto stored = widened(rounded);
    for (int i = 0; i < count; ++i) rest.values[i] -= stored.values[i];
  }
}

// Stores values where a filter's gradient reads them (`FilterOperands`); `place` is that of the first in the tensor.
template <class T, int count>
__device__ inline void put_operand(bfloat *to, int place, int channel, int channels, const Run<T, count> &values) {
  put_planes(to + planes<T> * (place - channel) + channel, channels, values);
}

__device__ inline int quotient(int number, const Division &division) {
  return static_cast<int>(__umulhi(2 * static_cast<unsigned>(number), division.reciprocal));
}

// MARK: adding up the results of blocks

// Counts a block whose threads have written what others read. All threads call it. Only the first thread is told
// whether the block is the last of `members`; what it does first does not wait for that.
__device__ inline bool count_block(unsigned *counter, int members) {
  __syncthreads();
  return threadIdx.x == 0 && counts_to(counter, members);
}

// Tells all threads what the first one was told.
__device__ inline bool is_last(bool counted) {
  if (counted) see_others();
  return __syncthreads_or(counted) != 0;
}

// Rows of doubles or floats that blocks have left.
template <class Element>
struct Rows {
  const Element *at;
  int count, size;

  // Adds column `column` of every `step`-th row from `first` on to `sum` in their order, a chunk wide; loads `ahead` of
  // them before it waits for the first.
  template <int ahead>
  __device__ void add_up(int column, int first, int step, Chunk<Element> &sum) const {
    for (int row = first; row < count; row += ahead * step) {
      Chunk<Element> loaded[ahead];
      for (int j = 0; j < ahead; ++j) {
        const int own = row + j * step < count ? row + j * step : row;
        load_fresh(&loaded[j], at + static_cast<long long>(own) * size + column);
      }
      for (int j = 0; j < ahead; ++j) {
        for (int k = 0; k < chunk<Element>; ++k) sum.values[k] += row + j * step < count ? loaded[j].values[k] : 0;
      }
    }
  }

  // Adds up all columns, which the threads share: put(i, sums of column i and those behind it). Where there are few
  // columns, threads also share their rows; `room` is for a chunk a thread. A column is put by the thread of its
  // number, if there is one.
  template <class Put>
  __device__ void add_up(void *room, const Put &put) const {
    const int columns = size / chunk<Element>, lanes = blockDim.x / columns;
    if (lanes < 2) {
      for (int i = threadIdx.x * chunk<Element>; i < size; i += blockDim.x * chunk<Element>) {
        Chunk<Element> sum = {};
        add_up<8>(i, 0, 1, sum);
        put(i, sum);
      }
      return;
    }
    Chunk<Element> *sums = static_cast<Chunk<Element> *>(room), sum = {};
    const int lane = threadIdx.x / columns, column = threadIdx.x - lane * columns;
    if (lane < lanes) add_up<2>(column * chunk<Element>, lane, lanes, sum);
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (lane > 0) return;
    for (int other = 1; other < lanes; ++other) {
      const Chunk<Element> more = sums[other * columns + column];
      for (int i = 0; i < chunk<Element>; ++i) sum.values[i] += more.values[i];
    }
    put(column * chunk<Element>, sum);
  }
};

// A block's place among those whose rows are added up.
struct Member {
  int groups, group, first, count;
  unsigned *counters;

  // - which: of several sums that a launch gathers
  __device__ Member(const Gathering &of, int which, int part)
      : groups(of.groups),
        group(quotient(part, of.fan)),
        first(group * of.fan.by),
        count(of.parts - first < of.fan.by ? of.parts - first : of.fan.by),
        counters(of.counters + which * (groups + 1)) {}

  // Counts the block, which has written its row. Between this and the other functions a block can do other things.
  __device__ bool counted() const { return count_block(counters + group, count); }

  // If the block is the last of its group, it adds up the group's rows: put(group, i, sums of column i and those behind
  // it). Returns whether it did. Overwrites shared memory.
  template <class Element, class Put>
  __device__ bool gather(bool counted, const Element *rows, int size, const Put &put) const {
    if (!is_last(counted)) return false;
    const Rows<Element> members{rows + static_cast<long long>(first) * size, count, size};
    members.add_up(shared_memory(), [&](int i, const Chunk<Element> &sum) { put(group, i, sum); });
    return true;
  }

  // The same, and the last block of all adds up the groups' rows: put(i, totals of column i and those behind it).
  template <class Element, class Put>
  __device__ void gather_all(bool counted, const Element *rows, Element *group_rows, int size, const Put &put) const {
    const bool last = gather(counted, rows, size, [&](int group, int i, const Chunk<Element> &sum) {
      if (groups == 1) {
        put(i, sum);
      } else {
        sum.put(group_rows + static_cast<long long>(group) * size + i);
      }
    });
    if (!last || groups == 1) return;
    if (!is_last(count_block(counters + groups, groups))) return;
    Rows<Element>{group_rows, groups, size}.add_up(shared_memory(), put);
  }
};

// MARK: tiles

// A tile, and the pixels that its convolution reads. These lie in shared memory as lines of `across` pixels: a row of
// an image, with a pixel of zeros on either side. Neighbouring pixels of the tile read pixels that are `step` apart.
struct Tile {
  const Tiles &tiles;
  const int step, across;
  int image, images, row, rows, width;

  __device__ Tile(const Images &all, const Tiles &tiles, int index, int step, int across)
      : tiles(tiles), step(step), across(across), width(all.width) {
    const int before = quotient(index, tiles.in_image);
    image = before * tiles.images;
    row = (index - before * tiles.in_image.by) * tiles.rows;
    rows = all.height - row < tiles.rows ? all.height - row : tiles.rows;
    images = all.count - image < tiles.images ? all.count - image : tiles.images;
  }

  __device__ int pixels() const { return images * rows * width; }
  // The number of its first pixel among all images' pixels. The others follow it.
  __device__ int first(const Images &all) const { return (image * all.height + row) * width; }
  // The number of lines that are read of an image, and of all images.
  __device__ int image_lines() const { return step * (rows - 1) + 3; }
  __device__ int lines() const { return images * image_lines(); }
  // Where the pixels lie that the filter's first tap meets at `pixel`.
  __device__ int place(int pixel) const {
    const int line = quotient(pixel, tiles.row);
    return step * (pixel - line * width) + (step * line + (3 - step) * quotient(pixel, tiles.image)) * across;
  }
  __device__ int tap(int tap) const { return tap / 3 * across + tap % 3; }
};

// The input of the ReLU. The backward pass computes it in the same way, so that its sign is the same.
__device__ inline float normalised(float x, float scale, float shift) { return fmaf(scale, x, shift); }

// Begins to copy a few floats to shared memory.
__device__ inline void begin_values(float *to, const float *from, int count) {
  for (int i = 4 * threadIdx.x; i < count; i += 4 * blockDim.x) begin_copy(to + i, from + i);
}

// The rows behind a normalisation's sums (`NormSums`) at the channel of a thread, which reads them before it waits for
// the sums.
struct NormTerms {
  double scale, mean, inverse;

  __device__ NormTerms(const NormSums &sums, int channels) {
    const int c = threadIdx.x < channels ? threadIdx.x : 0;
    const double *rows = sums.rows + 2 * (sums.parts * channels + c);
    scale = rows[0];
    mean = rows[1];
    inverse = rows[2 * channels];
  }

  // Writes the rows of `count` channels from `first` on.
  __device__ static void write(const NormGradient &norm, int channels, int first, int count) {
    for (int c = first + threadIdx.x; c < first + count; c += blockDim.x) {
      double *rows = norm.sums.rows + 2 * (norm.sums.parts * channels + c);
      const double inverse = norm.statistics[channels + c];
      rows[0] = norm.gamma[c] * inverse;
      rows[1] = norm.statistics[c];
      rows[2 * channels] = inverse;
    }
  }
};

// Computes the gradients of γ and β; `room` is for a chunk a thread.
__device__ inline void find_parameters(const NormParameters &norm, void *room) {
  if (norm.sums.parts == 0) return;
  const int size = 2 * norm.channels;
  const double *inverses = norm.sums.rows + (norm.sums.parts + 1) * size;
  Rows<double>{norm.sums.rows, norm.sums.parts, size}.add_up(room, [&](int i, const Run<double, 2> &sums) {
    norm.beta_gradient[i / 2] = static_cast<float>(sums.values[0]);
    norm.gamma_gradient[i / 2] = static_cast<float>(sums.values[1] * inverses[i]);
  });
}

// A gradient that may be pending.
template <class T>
struct Pending {
  const T *gradient;
  const T *normed;
  const T *skip;
  // Both receive it where they are not null: as it is, and as a filter's gradient reads it.
  T *whole;
  bfloat *operand;
  bool waits;
  // In shared memory: a, b and d.
  float *coefficients;
  int channels;

  __device__ Pending(const PendingGradient &of, void *whole, void *operand, float *coefficients, int channels)
      : gradient(static_cast<const T *>(of.gradient)),
        normed(static_cast<const T *>(of.normed)),
        skip(static_cast<const T *>(of.skip)),
        whole(static_cast<T *>(whole)),
        operand(static_cast<bfloat *>(operand)),
        waits(of.sums.parts > 0),
        coefficients(coefficients),
        channels(channels) {}

  // Writes the coefficients to shared memory, where other threads do not see them yet; `room` is for a chunk a thread.
  __device__ void begin(const PendingGradient &of, double *room) const {
    if (!waits) return;
    const NormTerms terms(of.sums, channels);
    Rows<double>{of.sums.rows, of.sums.parts, 2 * channels}.add_up(room, [&](int i, const Run<double, 2> &sums) {
      // γ/σ·(g − Σg/N − x̂·Σg·x̂/N) with x̂ = (x − mean)/σ
      const double a = terms.scale, b = -a * terms.inverse * terms.inverse * sums.values[1] * of.share;
      float *own = coefficients + i / 2;
      own[0] = static_cast<float>(a);
      own[channels] = static_cast<float>(b);
      own[2 * channels] = static_cast<float>(-a * sums.values[0] * of.share - b * terms.mean);
    });
  }

  struct Loaded {
    Chunk<T> gradient, normed, skip;
  };
  __device__ Loaded load(int place) const {
    return {Chunk<T>::at(gradient + place), waits ? Chunk<T>::at(normed + place) : Chunk<T>{},
            skip ? Chunk<T>::at(skip + place) : Chunk<T>{}};
  }
  struct Numbers {
    Values<T> a, b, d;
  };
  __device__ Numbers numbers(int channel) const {
    if (!waits) return {};
    const float *own = coefficients + channel;
    return {Values<T>::at(own), Values<T>::at(own + channels), Values<T>::at(own + 2 * channels)};
  }
  __device__ Chunk<T> finished(const Loaded &loaded, const Numbers &numbers, int place, int channel,
                               bool is_own) const {
    Chunk<T> rounded = loaded.gradient;
    if (waits) {
      auto values = widened(loaded.gradient);
      const auto normed = widened(loaded.normed), skip = widened(loaded.skip);
      for (int i = 0; i < chunk<T>; ++i) {
        values.values[i] = skip.values[i] + (numbers.a.values[i] * values.values[i] +
                                             (numbers.b.values[i] * normed.values[i] + numbers.d.values[i]));
      }
      round_to(rounded, values.values);
    }
    if (whole && is_own) rounded.put(whole + place);
    if (operand && is_own) put_operand<T>(operand, place, channel, channels, rounded);
    return rounded;
  }
};

// Brings what a tile reads of `source` into shared memory; above and below the images are zeros. A thread has the same
// place in every so many lines, and loads `ahead` of them before it uses the first. Between its first loads and their
// use it calls `between`, in which the threads may wait for each other. With `spread` 2 the pixels of `source` are laid
// out two apart in both directions, with zeros between them, as the gradient of a convolution of stride 2 is read.
template <class T, int ahead, int spread, class Source, class Between>
__device__ inline void stage_around(bfloat *to, const Source &from, const Images &images, const Images &source,
                                    const Tile &tile, const Lanes &lanes, int channels, const Between &between) {
  const int chunks = channels / chunk<T>, length = source.width * chunks, stride = source.width * channels;
  const int apart = line<T>(channels), line_apart = tile.across * apart, lines = tile.lines();
  const int height = spread == 1 ? source.height : images.height, first_row = tile.step * tile.row;
  const int begin = quotient(threadIdx.x, lanes.by_lanes), own = threadIdx.x - begin * lanes.by_lanes.by;
  bool is_first = true;
  for (int i = own; i < length; i += lanes.by_lanes.by) {
    const int x = quotient(i, lanes.by_chunks), c = (i - x * chunks) * chunk<T>;
    const int origin = (tile.image * source.height * source.width + x) * channels + c;
    bfloat *column = to + (spread * x + 1) * apart + c;
    // Threads that are left over do nothing.
    for (int first = begin < lanes.step ? begin : lines; is_first || first < lines; first += ahead * lanes.step) {
      typename Source::Loaded loaded[ahead];
      bool exists[ahead];
      bool is_own[ahead];
      int places[ahead];
      for (int j = 0; j < ahead; ++j) {
        const int own_line = first + j * lanes.step, image = quotient(own_line, tile.tiles.around);
        const int in_tile = own_line - image * tile.image_lines() - 1, row = first_row + in_tile;
        exists[j] = own_line < lines && row >= 0 && row < height && (spread == 1 || row % spread == 0);
        is_own[j] = in_tile >= 0 && in_tile < tile.rows;
        places[j] = exists[j] ? origin + (image * source.height + row / spread) * stride : origin;
        // Something is always loaded, since a load that is branched around is waited for.
        loaded[j] = from.load(places[j]);
      }
      if (is_first) between();
      is_first = false;
      const auto numbers = from.numbers(c);
      for (int j = 0; j < ahead; ++j) {
        const int own_line = first + j * lanes.step;
        if (own_line >= lines) continue;
        bfloat *place = column + own_line * line_apart;
        put_planes(place, channels,
                   exists[j] ? from.finished(loaded[j], numbers, places[j], c, is_own[j]) : Chunk<T>{});
        if (spread > 1) put_planes(place + apart, channels, Chunk<T>{});
      }
    }
  }
}

// Writes zeros left and right of each line of a tile in shared memory, where `stage_around` writes nothing.
template <class T>
__device__ inline void clear_sides(bfloat *to, const Tile &tile, const Lanes &lanes, int channels) {
  const int chunks = channels / chunk<T>, apart = line<T>(channels), line_apart = tile.across * apart;
  for (int i = threadIdx.x; i < 2 * tile.lines() * chunks; i += blockDim.x) {
    const int side = quotient(i, lanes.by_chunks), c = (i - side * chunks) * chunk<T>;
    put_planes(to + side / 2 * line_apart + side % 2 * (line_apart - apart) + c, channels, Chunk<T>{});
  }
}

// 16 channels from `channel` on of what a filter's gradient is computed from.
template <class T>
struct Sixteen {
  const bfloat *from;
  int channels, channel;

  // The parts of a pixel that are copied at once, two a plane.
  static constexpr int chunks = 2 * planes<T>;
  __device__ void begin(bfloat *to, int chunk_of_pixel, int pixel, bool exists) const {
    const int plane = chunk_of_pixel / 2, half = chunk_of_pixel % 2 * chunk<bfloat>;
    const int place = ((exists ? pixel : 0) * planes<T> + plane) * channels + channel + half;
    begin_copy(to + plane * 16 + half, from + place, exists);
  }

  // Begins to copy a tile to shared memory, and zeros behind its pixels until they come in sixteens.
  __device__ void begin(bfloat *to, const Images &images, const Tile &tile) const {
    const int pixels = tile.pixels(), first = tile.first(images);
    for (int i = threadIdx.x; i < (pixels + 15) / 16 * 16 * chunks; i += blockDim.x) {
      const int pixel = i / chunks;
      begin(to + pixel * line<T>(16), i % chunks, first + pixel, pixel < pixels);
    }
  }

  // Begins to copy what a tile reads of `source`, with zeros for what lies outside of the images.
  __device__ void begin_around(bfloat *to, const Images &source, const Tile &tile, const Division &across) const {
    const int count = tile.lines() * across.by * chunks;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
      const int place = i / chunks, line_of_tile = quotient(place, across), x = place - line_of_tile * across.by - 1;
      const int image = quotient(line_of_tile, tile.tiles.around);
      const int row = tile.step * tile.row + line_of_tile - image * tile.image_lines() - 1;
      const bool exists = x >= 0 && x < source.width && row >= 0 && row < source.height;
      begin(to + place * line<T>(16), i % chunks, ((tile.image + image) * source.height + row) * source.width + x,
            exists);
    }
  }
};

// Begins to copy `count` elements of a filter to shared memory.
__device__ inline void begin_filter(bfloat *to, const bfloat *from, int count) {
  for (int i = threadIdx.x * chunk<bfloat>; i < count; i += blockDim.x * chunk<bfloat>) begin_copy(to + i, from + i);
}

// MARK: convolution of a tile

// Product of 16×16 and 16×8 elements, added to `sum`. The smallest products come first. Tensor cores cut off where a
// float would be rounded: so of floats, only the sum of one step is theirs. (Infinity becomes no number.)
template <class T>
__device__ inline void add_product(float (&sum)[4], const unsigned (&left)[planes<T>][4],
                                   const unsigned (&right)[planes<T>][2]) {
  if (planes<T> == 1) {
    multiply_bfloat(sum, left[0], right[0]);
    return;
  }
  float part[4] = {};
  for (int order = planes<T> - 1; order >= 0; --order) {
    for (int i = 0; i <= order; ++i) multiply_bfloat(part, left[i], right[order - i]);
  }
  for (int i = 0; i < 4; ++i) sum[i] += part[i];
}

// The line of a sixteen at which a filter has a channel that is made. By this order a lane makes four neighbouring
// channels, two in each half of the sixteen.
__device__ inline int place_in_sixteen(int channel) { return channel / 2 % 2 * 8 + channel / 4 * 2 + channel % 2; }

// A warp makes 32 pixels of 16 channels at a time, of the `columns` sixteens that the block makes. Warps that are left
// over have nothing to do.
struct Work {
  int lane, group, groups, column;

  __device__ explicit Work(const Warps &warps) {
    const int warp = threadIdx.x / 32;
    lane = threadIdx.x % 32;
    group = quotient(warp, warps.columns);
    column = warp - group * warps.columns.by;
    groups = warps.groups;
  }

  __device__ bool is_idle() const { return group >= groups; }
  // The first of a lane's four channels, of the block's.
  __device__ int channel() const { return 16 * column + 4 * (lane % 4); }
};

// Convolves `depth` channels of what was staged, and hands `finish` the lane's four pixels, four neighbouring channels
// each: finish(which, pixel of the tile, four sums, what finish.seen(pixel) was). All is seen before anything is
// computed: so no load is waited for. The block has so many warps that each makes its pixels at once.
template <class T, class Finish>
__device__ inline void convolve(const bfloat *staged, const bfloat *filter, const Tile &tile, int depth,
                                const Work &work, Finish &finish) {
  const int apart = line<T>(depth), last = tile.pixels() - 1, lane = work.lane, pixel = 32 * work.group;
  if (work.is_idle() || pixel > last) return;
  const bfloat *columns = filter + (16 * work.column + lane / 16 * 8 + lane % 8) * 9 * apart + lane / 8 % 2 * 8;
  const bfloat *rows[2];
  for (int i = 0; i < 2; ++i) {
    const int row = pixel + 16 * i + lane % 16;
    rows[i] = staged + tile.place(row < last ? row : last) * apart + lane / 16 * 8;
  }
  typename Finish::Seen seen[4];
  for (int i = 0; i < 4; ++i) {
    const int row = pixel + 8 * i + lane / 4;
    seen[i] = finish.seen(row < last ? row : last);
  }
  float sums[2][2][4] = {};
  for (int tap = 0; tap < 9; ++tap) {
    const int offset = tile.tap(tap) * apart;
    for (int k = 0; k < depth; k += 16) {
      unsigned left[2][planes<T>][4];
      unsigned right[2][planes<T>][2];
      for (int plane = 0; plane < planes<T>; ++plane) {
        unsigned parts[4];
        load_matrices(parts, columns + tap * apart + plane * depth + k);
        for (int i = 0; i < 4; ++i) right[i / 2][plane][i % 2] = parts[i];
        for (int i = 0; i < 2; ++i) load_matrices(left[i][plane], rows[i] + offset + plane * depth + k);
      }
      for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 2; ++j) add_product<T>(sums[i][j], left[i], right[j]);
      }
    }
  }
  for (int i = 0; i < 4; ++i) {
    const int row = pixel + 8 * i + lane / 4, which = 2 * (i % 2);
    if (row > last) continue;
    const float found[4] = {sums[i / 2][0][which], sums[i / 2][0][which + 1], sums[i / 2][1][which],
                            sums[i / 2][1][which + 1]};
    finish(i, row, found, seen[i]);
  }
}

// Stores the lane's four pixels, `channels` apart from each other in a tensor.
template <class T>
__device__ inline void store(T *to, const Run<T, 4> (&made)[4], const Tile &tile, int channels, const Work &work) {
  if (work.is_idle()) return;
  for (int i = 0; i < 4; ++i) {
    const int row = 32 * work.group + 8 * i + work.lane / 4;
    if (row < tile.pixels()) made[i].put(to + row * channels);
  }
}

// Four neighbouring channels.
template <class T>
using Four = Run<T, 4>;

// A lane's two sums of each of its four channels, and what all of the block's come to: added up in the order of the
// groups.
struct LaneSums {
  float values[4][2] = {};

  __device__ void add(int which, float one, float other) {
    values[which][0] += one;
    values[which][1] += other;
  }

  // Writes the block's `count` channels (count×2). Overwrites shared memory.
  __device__ void write(double *row, int count, const Work &work) {
    float *room = reinterpret_cast<float *>(shared_memory());
    __syncthreads();
    for (int which = 0; which < 4; ++which) {
      for (int kind = 0; kind < 2; ++kind) {
        float sum = values[which][kind];
        for (int apart = 4; apart < 32; apart *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
        if (work.lane < 4 && !work.is_idle()) room[2 * (work.group * count + work.channel() + which) + kind] = sum;
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * count; i += blockDim.x) {
      double sum = 0;
      for (int group = 0; group < work.groups; ++group) sum += room[2 * group * count + i];
      row[i] = sum;
    }
  }
};

// MARK: forward

// A thread's channel of a normalisation, whose scale and shift it computes. One block of the launch also writes what is
// kept.
struct FindStatistics {
  const Statistics &norm;
  const int channels, c;
  const bool by_batch, keeps, updates;
  // Loaded before sums are waited for.
  const float gamma, beta, running_mean, running_variance;

  __device__ FindStatistics(const Statistics &norm, int channels)
      : norm(norm),
        channels(channels),
        c(threadIdx.x < channels ? threadIdx.x : 0),
        by_batch(norm.sums.parts > 0),
        keeps(blockIdx.x == 0 && blockIdx.y == 0),
        updates(keeps && by_batch && norm.momentum != 0),
        gamma(norm.gamma[c]),
        beta(norm.beta[c]),
        running_mean(!by_batch || updates ? norm.running_mean[c] : 0),
        running_variance(!by_batch || updates ? norm.running_variance[c] : 0) {}

  // Writes them to shared memory, where other threads do not see them yet. A block has at least as many threads as
  // channels; `room` is for a chunk a thread.
  __device__ void write(float *scale, float *shift, double *room) const {
    if (by_batch) {
      Rows<double>{norm.sums.rows, norm.sums.parts, 2 * channels}.add_up(room, [&](int, const Run<double, 2> &sums) {
        const double mean = sums.values[0] * norm.share, variance = sums.values[1] * norm.share - mean * mean;
        // NaN stays NaN.
        write(scale, shift, mean, variance < 0 ? 0 : variance);
      });
    } else if (threadIdx.x < channels) {
      write(scale, shift, running_mean, running_variance);
    }
  }

  __device__ void write(float *scale, float *shift, double mean, double variance) const {
    const float inverse = inverse_root(variance + norm.epsilon), slope = gamma * inverse;
    const float offset = static_cast<float>(beta - mean * slope);
    scale[c] = slope;
    shift[c] = offset;
    if (!keeps) return;
    norm.out[c] = static_cast<float>(mean);
    norm.out[channels + c] = inverse;
    norm.out[2 * channels + c] = slope;
    norm.out[3 * channels + c] = offset;
    if (!updates) return;
    norm.running_mean[c] = running_mean + static_cast<float>(norm.momentum * (mean - running_mean));
    norm.running_variance[c] =
        running_variance + static_cast<float>(norm.momentum * (variance * norm.unbiased - running_variance));
  }
};

// A source of what is brought into shared memory: it loads a chunk at a time, and makes the elements of it and of
// numbers that belong to the chunk's channels. `begin` computes these numbers and has the threads wait for each other.
template <class T>
struct Normalised {
  const T *x;
  const float *scale, *shift;

  __device__ Normalised(const void *x, float *floats, int channels, int)
      : x(static_cast<const T *>(x)), scale(floats), shift(floats + channels) {}

  __device__ void begin(const Statistics &norm, float *floats, double *room, int channels) const {
    FindStatistics(norm, channels).write(floats, floats + channels, room);
    __syncthreads();
  }

  using Loaded = Chunk<T>;
  __device__ Loaded load(int place) const { return Chunk<T>::at(x + place); }
  struct Numbers {
    Values<T> scale, shift;
  };
  __device__ Numbers numbers(int channel) const {
    return {Values<T>::at(scale + channel), Values<T>::at(shift + channel)};
  }
  __device__ Chunk<T> finished(const Loaded &loaded, const Numbers &numbers, int, int, bool) const {
    auto values = widened(loaded);
    for (int i = 0; i < chunk<T>; ++i) {
      values.values[i] =
          larger_or_nan(normalised(values.values[i], numbers.scale.values[i], numbers.shift.values[i]), 0);
    }
    Chunk<T> rounded;
    round_to(rounded, values.values);
    return rounded;
  }
};

// A source that needs no numbers: images of fewer than sixteen channels, behind which zeros are read until there are
// sixteen.
template <class T>
struct Padded {
  const T *x;
  const int channels;

  __device__ Padded(const void *x, float *, int, int stored) : x(static_cast<const T *>(x)), channels(stored) {}
  __device__ void begin(const Statistics &, float *, double *, int) const {}

  using Loaded = Values<T>;
  __device__ Loaded load(int place) const {
    const int pixel = place / channel_step, channel = place % channel_step;
    Loaded found = {};
    for (int i = 0; i < chunk<T>; ++i) {
      if (channel + i < channels) found.values[i] = wide(x[pixel * channels + channel + i]);
    }
    return found;
  }
  struct Numbers {};
  __device__ Numbers numbers(int) const { return {}; }
  __device__ Chunk<T> finished(const Loaded &loaded, const Numbers &, int, int, bool) const {
    Chunk<T> rounded;
    round_to(rounded, loaded.values);
    return rounded;
  }
};

template <class T>
struct FinishForward {
  const Forward &args;
  // The lane's place of the tile's first pixel, and in shared memory its biases.
  const int place;
  const float *biases;
  Four<T> made[4] = {};
  LaneSums sums = {};

  using Seen = Four<T>;
  __device__ Seen seen(int row) const {
    if (!args.skip) return {};
    return Four<T>::at(static_cast<const T *>(args.skip) + place + row * args.outputs);
  }

  __device__ void operator()(int which, int row, const float (&found)[4], const Seen &skip) {
    const auto bias = Four<float>::at(biases);
    float values[4];
    for (int i = 0; i < 4; ++i) values[i] = args.factor * (found[i] + bias.values[i]);
    round_to(made[which], values);
    if (args.skip) {
      if (args.residual) made[which].put(static_cast<T *>(args.residual) + place + row * args.outputs);
      const auto added = widened(skip);
      for (int i = 0; i < 4; ++i) values[i] += added.values[i];
      round_to(made[which], values);
    }
    const auto stored = widened(made[which]);
    for (int i = 0; i < 4; ++i) sums.add(i, stored.values[i], stored.values[i] * stored.values[i]);
  }
};

// The arrays of a convolution's blocks in shared memory: the tile, the filter, a chunk for each thread, floats for each
// channel that is summed over, and floats for each that is made.
template <class T>
struct Room {
  bfloat *staged, *filter;
  double *sums;
  float *from, *to;

  __device__ Room(const Tile &tile, int inputs, int outputs) {
    staged = reinterpret_cast<bfloat *>(shared_memory());
    filter = staged + tile.tiles.images * tile.tiles.around.by * tile.across * line<T>(inputs);
    sums = reinterpret_cast<double *>(filter + outputs * 9 * line<T>(inputs));
    from = reinterpret_cast<float *>(sums + 2 * blockDim.x);
    to = from + floats_from * inputs;
  }
};

// - Source: what the convolution reads, `Normalised` or `Padded`
template <class T, int step, template <class> class Source>
__device__ inline void forward_of(const Forward &args, int inputs) {
  const int part = blockIdx.x, slice = blockIdx.y, channel = slice * args.block_outputs;
  const Tile tile(args.images, args.tiles, part, step, (step == 1 ? args.images : args.source).width + 2);
  const Room<T> room(tile, inputs, args.block_outputs);
  const int filter = 9 * line<T>(inputs);
  begin_filter(room.filter, static_cast<const bfloat *>(args.filter) + channel * filter, args.block_outputs * filter);
  begin_values(room.to, args.bias + channel, args.block_outputs);
  clear_sides<T>(room.staged, tile, args.lanes, inputs);
  const Source<T> source(args.x, room.from, inputs, args.stored);
  stage_around<T, 5, 1>(room.staged, source, args.images, step == 1 ? args.images : args.source, tile, args.lanes,
                        inputs, [&] { source.begin(args.norm, room.from, room.sums, inputs); });
  finish_copies();
  __syncthreads();
  const Work work(args.warps);
  const int place = tile.first(args.images) * args.outputs + channel + work.channel();
  FinishForward<T> finish{args, place, room.to + work.channel()};
  convolve<T>(room.staged, room.filter, tile, inputs, work, finish);
  T *out = static_cast<T *>(args.skip ? args.sum : args.residual) + place;
  if (!args.sums) {
    store(out, finish.made, tile, args.outputs, work);
    return;
  }
  const int size = 2 * args.block_outputs;
  double *rows = args.block_sums + static_cast<long long>(slice) * args.tiles.count * size;
  finish.sums.write(rows + part * size, args.block_outputs, work);
  // The counter is waited for while the results are stored.
  const Member member(args.gathering, slice, part);
  const bool counted = member.counted();
  store(out, finish.made, tile, args.outputs, work);
  member.gather(counted, rows, size, [&](int group, int i, const Run<double, 2> &sum) {
    sum.put(args.sums + 2 * (group * args.outputs + channel) + i);
  });
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
  with_constant(args.inputs, [&](int inputs) { forward_of<T, 1, Normalised>(args, inputs); });
}

// The forward pass of a unit with a convolution of stride 2.
template <class T>
__device__ void forward_by_two(const Forward &args) {
  forward_of<T, 2, Normalised>(args, args.inputs);
}

// A convolution of stride 1 without a normalisation before it, of images of few channels.
template <class T>
__device__ void convolution(const Forward &args) {
  forward_of<T, 1, Padded>(args, channel_step);
}

// MARK: backward

template <class T>
struct FinishBackward {
  const Backward &args;
  // The lane's first channel, its place in the tile's first pixel, and in shared memory its channels' statistics, so
  // far apart.
  const int channel, place;
  const float *statistics;
  const int apart;
  Four<T> made[4] = {};
  LaneSums sums = {};

  using Seen = Four<T>;
  __device__ Seen seen(int row) const {
    return Four<T>::at(static_cast<const T *>(args.x) + place + row * args.inputs);
  }

  __device__ void operator()(int which, int row, const float (&found)[4], const Seen &seen) {
    const auto x = widened(seen);
    const auto mean = Four<float>::at(statistics), scale = Four<float>::at(statistics + apart),
               shift = Four<float>::at(statistics + 2 * apart);
    float values[4], inputs[4];
    for (int i = 0; i < 4; ++i) {
      const float reached = normalised(x.values[i], scale.values[i], shift.values[i]);
      values[i] = reached > 0 ? found[i] : 0;
      inputs[i] = larger_or_nan(reached, 0);
    }
    round_to(made[which], values);
    if (args.operands.input) {
      Four<T> rounded;
      round_to(rounded, inputs);
      put_operand<T>(static_cast<bfloat *>(args.operands.input), place + row * args.inputs, channel, args.inputs,
                     rounded);
    }
    const auto stored = widened(made[which]);
    for (int i = 0; i < 4; ++i) sums.add(i, stored.values[i], stored.values[i] * (x.values[i] - mean.values[i]));
  }
};

// - step: the convolution's stride
template <class T, int step>
__device__ inline void backward_of(const Backward &args, int outputs) {
  const int part = blockIdx.x, slice = blockIdx.y, channel = slice * args.block_inputs;
  const Tile tile(args.images, args.tiles, part, 1, args.images.width + 2);
  const Room<T> room(tile, outputs, args.block_inputs);
  const int filter = 9 * line<T>(outputs);
  begin_filter(room.filter, static_cast<const bfloat *>(args.filter) + channel * filter, args.block_inputs * filter);
  clear_sides<T>(room.staged, tile, args.lanes, outputs);
  const bool keeps = slice == 0;
  const Pending<T> gradient(args.gradient, keeps ? args.whole : nullptr, keeps ? args.operands.gradient : nullptr,
                            room.from, outputs);
  for (int i = 0; i < 3; ++i) {
    // All but the inverse deviation.
    const float *statistics = args.norm.statistics + (i == 0 ? 0 : i + 1) * args.inputs;
    begin_values(room.to + i * args.block_inputs, statistics + channel, args.block_inputs);
  }
  if (part == 0) NormTerms::write(args.norm, args.inputs, channel, args.block_inputs);
  stage_around<T, 3, step>(room.staged, gradient, args.images, step == 1 ? args.images : args.source, tile, args.lanes,
                           outputs, [&] {
                             gradient.begin(args.gradient, room.sums);
                             finish_copies();
                             __syncthreads();
                           });
  __syncthreads();
  const Work work(args.warps);
  const int own = channel + work.channel(), place = tile.first(args.images) * args.inputs + own;
  FinishBackward<T> finish{args, own, place, room.to + work.channel(), args.block_inputs};
  convolve<T>(room.staged, room.filter, tile, outputs, work, finish);
  const int size = 2 * args.block_inputs;
  double *rows = args.norm.block_sums + static_cast<long long>(slice) * args.tiles.count * size;
  finish.sums.write(rows + part * size, args.block_inputs, work);
  // The counter is waited for while the results are stored.
  const Member member(args.norm.gathering, slice, part);
  const bool counted = member.counted();
  store(static_cast<T *>(args.out) + place, finish.made, tile, args.inputs, work);
  member.gather(counted, rows, size, [&](int group, int i, const Run<double, 2> &sum) {
    sum.put(args.norm.sums.rows + 2 * (group * args.inputs + channel) + i);
  });
}

template <class T>
__device__ void backward(const Backward &args) {
  with_constant(args.outputs, [&](int outputs) { backward_of<T, 1>(args, outputs); });
}

// The backward pass of a unit with a convolution of stride 2.
template <class T>
__device__ void backward_by_two(const Backward &args) {
  backward_of<T, 2>(args, args.outputs);
}

// ∂filter[o][tap][i] = Σ over pixels of gradient[o]·x̂[i] at the tap. The bias is like a tenth tap, at which x̂ is 1. Two
// warps share the taps, and such pairs of warps take pixels in turn.
template <class T, int step>
__device__ inline void filter_gradient_of(const FilterGradient &args) {
  constexpr int apart = line<T>(16);
  const int parts = args.gathering.parts, part = blockIdx.x, patch = blockIdx.y;
  const int sixteen = quotient(patch, args.by_inputs);
  const int output = 16 * sixteen, input = 16 * (patch - sixteen * args.by_inputs.by);
  constexpr int own_taps = 5, bias_tap = 9;
  const int lane = threadIdx.x % 32, first_tap = threadIdx.x / 32 % 2 * own_taps, group = threadIdx.x / 64;
  const int pairs = blockDim.x / 64;
  const Tiles &tiles = args.tiles;
  bfloat *staged = reinterpret_cast<bfloat *>(shared_memory());
  bfloat *gradients = staged + tiles.images * tiles.around.by * args.across.by * apart;
  const Sixteen<T> x{static_cast<const bfloat *>(args.from.input), args.inputs, input};
  const Sixteen<T> gradient{static_cast<const bfloat *>(args.from.gradient), args.outputs, output};
  if (part == 0 && patch == 0) {
    find_parameters(args.norm, shared_memory());
    __syncthreads();
  }
  float sums[own_taps][2][4] = {};
  for (int which = part; which < tiles.count; which += parts) {
    const Tile tile(args.images, tiles, which, step, args.across.by);
    // All threads must have read the last tile before it is overwritten.
    if (which != part) __syncthreads();
    x.begin_around(staged, args.source, tile, args.across);
    gradient.begin(gradients, args.images, tile);
    finish_copies();
    __syncthreads();
    for (int pixel = group * 16; pixel < tile.pixels() && group < pairs; pixel += pairs * 16) {
      const int own = pixel + lane % 16, half = lane / 16 * 8;
      // Behind the tile the gradient is 0; what it is multiplied with must be a number.
      const bfloat *shifted = staged + tile.place(own < tile.pixels() ? own : tile.pixels() - 1) * apart + half;
      unsigned left[planes<T>][4];
      for (int plane = 0; plane < planes<T>; ++plane) {
        unsigned found[4];
        load_transposed(found, gradients + own * apart + 16 * plane + half);
        for (int i = 0; i < 4; ++i) left[plane][i / 2 + i % 2 * 2] = found[i];
      }
      for (int tap = 0; tap < own_taps; ++tap) {
        unsigned right[2][planes<T>][2] = {};
        if (first_tap + tap == bias_tap) {
          right[0][0][0] = right[0][0][1] = rounded_pair(1, 1);
        } else {
          for (int plane = 0; plane < planes<T>; ++plane) {
            unsigned found[4];
            load_transposed(found, shifted + tile.tap(first_tap + tap) * apart + 16 * plane);
            for (int i = 0; i < 4; ++i) right[i / 2][plane][i % 2] = found[i];
          }
        }
        for (int i = 0; i < 2; ++i) add_product<T>(sums[tap][i], left, right[i]);
      }
    }
  }
  // The sums of each pair of warps go to a place of their own, where they are added up in the order of the pairs.
  float *room = reinterpret_cast<float *>(shared_memory());
  __syncthreads();
  if (group < pairs) {
    for (int tap = 0; tap < own_taps; ++tap) {
      for (int i = 0; i < 4; ++i) {
        const int o = lane / 4 + i / 2 * 8, c = 8 * (i % 2) + 2 * (lane % 4);
        float *place = room + group * gradient_patch + o * gradient_line + 16 * (first_tap + tap);
        const Run<float, 2> two = {{sums[tap][i % 2][i / 2 * 2], sums[tap][i % 2][i / 2 * 2 + 1]}};
        if (first_tap + tap != bias_tap) {
          two.put(place + c);
        } else if (i % 2 == 0) {
          // All columns are the bias's.
          place[lane % 4] = two.values[0];
        }
      }
    }
  }
  __syncthreads();
  float *rows = args.block_sums + static_cast<long long>(patch) * parts * gradient_patch;
  for (int i = 4 * threadIdx.x; i < gradient_patch; i += 4 * blockDim.x) {
    Four<float> sum = {};
    for (int other = 0; other < pairs; ++other) {
      const auto value = Four<float>::at(room + other * gradient_patch + i);
      for (int j = 0; j < 4; ++j) sum.values[j] += value.values[j];
    }
    sum.put(rows + static_cast<long long>(part) * gradient_patch + i);
  }
  const Member member(args.gathering, patch, part);
  member.gather_all(member.counted(), rows,
                    args.group_sums + static_cast<long long>(patch) * args.gathering.groups * gradient_patch,
                    gradient_patch, [&](int i, const Four<float> &sum) {
                      const int o = output + i / gradient_line, rest = i % gradient_line;
                      if (rest < 16 * bias_tap) {
                        sum.put(args.out + (o * 9 + rest / 16) * args.inputs + input + rest % 16);
                      } else if (input == 0) {
                        args.out[args.outputs * 9 * args.inputs + o] = sum.values[0];
                      }
                    });
}

template <class T>
__device__ void filter_gradient(const FilterGradient &args) {
  filter_gradient_of<T, 1>(args);
}

// The gradient of a filter of stride 2.
template <class T>
__device__ void filter_gradient_by_two(const FilterGradient &args) {
  filter_gradient_of<T, 2>(args);
}

// MARK: filters

// A block works on one filter with others, an element a thread at a time.
template <class T>
__device__ void prepare_filters(const PrepareFilters &args) {
  const Filter &filter = args.filters[blockIdx.y];
  const int inputs = filter.inputs, outputs = filter.outputs, count = outputs * 9 * inputs;
  bfloat *forward = static_cast<bfloat *>(filter.forward), *backward = static_cast<bfloat *>(filter.backward);
  const auto ordered = [](int channel) { return channel / 16 * 16 + place_in_sixteen(channel % 16); };
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const int line_of_filter = quotient(i, filter.by_inputs), output = quotient(i, filter.by_output);
    const int tap = line_of_filter - 9 * output, input = i - line_of_filter * inputs;
    float rest = input < filter.stored ? filter.from[line_of_filter * filter.stored + input] : 0;
    for (int plane = 0; plane < planes<T>; ++plane) {
      const bfloat rounded = {static_cast<unsigned short>(rounded_pair(rest, 0))};
      forward[(ordered(output) * 9 + tap) * line<T>(inputs) + plane * inputs + input] = rounded;
      backward[(ordered(input) * 9 + 8 - tap) * line<T>(outputs) + plane * outputs + output] = rounded;
      rest -= wide(rounded);
    }
  }
}

// MARK: normalisation

// The pixels and channels that a thread works on where blocks share the pixels: a chunk of channels, of every so many
// pixels.
template <class T>
struct Share {
  const int channels, lanes, lane, channel;
  int begin, end;

  __device__ Share(int channels, long long pixels, int part, int parts)
      : channels(channels),
        lanes(blockDim.x / (channels / chunk<T>)),
        lane(threadIdx.x / (channels / chunk<T>)),
        channel((threadIdx.x - lane * (channels / chunk<T>)) * chunk<T>),
        begin(static_cast<int>(pixels * part / parts) + lane),
        end(lane < lanes ? static_cast<int>(pixels * (part + 1) / parts) : 0) {}

  // Adds up two values a channel of all threads, in the order of the lanes, to a row of doubles (C×2). Overwrites
  // shared memory.
  template <class Element>
  __device__ void write(double *row, const Element (&one)[chunk<T>], const Element (&other)[chunk<T>]) const {
    Element *room = reinterpret_cast<Element *>(shared_memory());
    const int size = 2 * channels;
    if (lane < lanes) {
      for (int i = 0; i < chunk<T>; ++i) {
        room[lane * size + 2 * (channel + i)] = one[i];
        room[lane * size + 2 * (channel + i) + 1] = other[i];
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < size; i += blockDim.x) {
      double sum = 0;
      for (int from = 0; from < lanes; ++from) sum += room[from * size + i];
      row[i] = sum;
    }
  }
};

template <class T>
__device__ void channel_sums(const ChannelSums &args) {
  const int part = blockIdx.x, channels = args.channels, size = 2 * channels;
  const Share<T> share(channels, args.pixels, part, args.gathering.parts);
  double sums[chunk<T>] = {};
  double squares[chunk<T>] = {};
  for (int pixel = share.begin; pixel < share.end; pixel += share.lanes) {
    const auto x = widened(Chunk<T>::at(static_cast<const T *>(args.x) + pixel * channels + share.channel));
    for (int i = 0; i < chunk<T>; ++i) {
      const double value = x.values[i];
      sums[i] += value;
      squares[i] += value * value;
    }
  }
  share.write(args.block_sums + part * size, sums, squares);
  const Member member(args.gathering, 0, part);
  member.gather(member.counted(), args.block_sums, size,
                [&](int group, int i, const Run<double, 2> &found) { found.put(args.sums + group * size + i); });
}

template <class T>
__device__ void resolve(const Resolve &args) {
  double *room = reinterpret_cast<double *>(shared_memory());
  float *coefficients = reinterpret_cast<float *>(room + 2 * blockDim.x);
  const int chunks = args.channels / chunk<T>, i = blockIdx.x * blockDim.x + threadIdx.x;
  const bool exists = i < args.pixels * chunks;
  const int place = exists ? i * chunk<T> : 0, channel = i % chunks * chunk<T>;
  const Pending<T> pending(args.gradient, args.out, args.operand, coefficients, args.channels);
  const auto loaded = pending.load(place);
  pending.begin(args.gradient, room);
  __syncthreads();
  if (exists) pending.finished(loaded, pending.numbers(channel), place, channel, true);
  if (blockIdx.x == 0) find_parameters(args.norm, room);
}

)
