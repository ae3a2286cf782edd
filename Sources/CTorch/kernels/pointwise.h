// Normalisation and ReLU where no convolution of ours takes them in.
// Included inside the namespace of an instruction set, after tiles.h.

/// Pixels that are summed in float32 before the sum goes on in float64.
constexpr int64_t run = 64;

/// Calls `body` for each run of pixels and each LANES of their channels.
template <class Body>
ALWAYS_INLINE void for_runs(int64_t begin, int64_t end, int64_t channels, Body body) {
  for (int64_t first = begin; first < end; first += run) {
    for_lanes(channels, [&](auto tail, int64_t channel, int64_t lanes) {
      body(tail, first, std::min(end, first + run), channel, lanes);
    });
  }
}

template <class Element>
void channel_sums_of(const Pixels &pixels, const Element *x, int64_t begin, int64_t end, double *sums) {
  const int64_t width = pixels.channels;
  for_runs(begin, end, width, [&](auto tail, int64_t first, int64_t last, int64_t channel, int64_t lanes) {
    const Vector pivot = load<tail>(x + first * width + channel, lanes);
    Vector sum = zero(), squares = zero();
    for (int64_t p = first; p < last; ++p) {
      const Vector around = load<tail>(x + p * width + channel, lanes) - pivot;
      sum += around;
      squares += around * around;
    }
    add_moments(sums + channel, sums + padded(width) + channel, pivot, sum, squares, last - first);
  });
}

template <class Element>
void norm_relu_of(const Pixels &pixels, const Element *x, const float *scale, const float *shift, Element *out,
                  int64_t begin, int64_t end) {
  const int64_t width = pixels.channels;
  for_runs(begin, end, width, [&](auto tail, int64_t first, int64_t last, int64_t channel, int64_t lanes) {
    const Rectified<Element, tail> source(x, scale, shift, channel, lanes);
    for (int64_t p = first; p < last; ++p) store<tail>(out + p * width + channel, source.at(p * width), lanes);
  });
}

template <class Element>
void norm_relu_backward_of(const Pixels &pixels, const Element *gradient, const Element *x, const float *scale,
                           const float *shift, const float *mean, Element *out, int64_t begin, int64_t end,
                           double *sums) {
  const int64_t width = pixels.channels;
  for_runs(begin, end, width, [&](auto tail, int64_t first, int64_t last, int64_t channel, int64_t lanes) {
    const Vector s = load(scale + channel);
    const Vector t = load(shift + channel);
    const Vector m = load(mean + channel);
    Vector sum = zero(), product = zero();
    for (int64_t p = first; p < last; ++p) {
      const int64_t place = p * width + channel;
      const Vector input = load<tail>(x + place, lanes);
      const Vector value = input * s + t <= zero() ? zero() : load<tail>(gradient + place, lanes);
      sum += value;
      product += value * (input - m);
      store<tail>(out + place, value, lanes);
    }
    add_to(sums + channel, sum);
    add_to(sums + padded(width) + channel, product);
  });
}

template <class Element>
void norm_gradient_of(const Pixels &pixels, const Element *skip, const Element *gradient, const Element *x,
                      const float *a, const float *b, const float *d, Element *out, int64_t begin, int64_t end) {
  const int64_t width = pixels.channels;
  for_runs(begin, end, width, [&](auto tail, int64_t first, int64_t last, int64_t channel, int64_t lanes) {
    const Vector times = load(a + channel);
    const Vector slope = x ? load(b + channel) : zero();
    const Vector offset = x ? load(d + channel) : zero();
    for (int64_t p = first; p < last; ++p) {
      const int64_t place = p * width + channel;
      Vector value = load<tail>(gradient + place, lanes) * times;
      if (x) value += load<tail>(x + place, lanes) * slope + offset;
      if (skip) value += load<tail>(skip + place, lanes);
      store<tail>(out + place, value, lanes);
    }
  });
}

template <class Element>
void products_of(const Element *a, const Element *b, int64_t count, double *out) {
  Doubles ab{}, aa{}, bb{};
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    const Vector x = load<false>(a + i, LANES), y = load<false>(b + i, LANES);
    const Doubles u = __builtin_convertvector(x, Doubles), v = __builtin_convertvector(y, Doubles);
    ab += u * v;
    aa += u * u;
    bb += v * v;
  }
  if (i < count) {
    const Vector x = load<true>(a + i, count - i), y = load<true>(b + i, count - i);
    const Doubles u = __builtin_convertvector(x, Doubles), v = __builtin_convertvector(y, Doubles);
    ab += u * v;
    aa += u * u;
    bb += v * v;
  }
  out[0] = out[1] = out[2] = 0;
  for (int lane = 0; lane < LANES; ++lane) {
    out[0] += ab[lane];
    out[1] += aa[lane];
    out[2] += bb[lane];
  }
}

inline void products(bool is_bfloat16, const void *a, const void *b, int64_t count, double *out) {
  if (is_bfloat16) {
    products_of(static_cast<const BFloat16 *>(a), static_cast<const BFloat16 *>(b), count, out);
  } else {
    products_of(static_cast<const float *>(a), static_cast<const float *>(b), count, out);
  }
}

/// `function` on tensors of the element type that `pixels` has.
#define BY_ELEMENT(function, ...)           \
  if (pixels.is_bfloat16) {                 \
    using Element = BFloat16;               \
    function<Element>(pixels, __VA_ARGS__); \
  } else {                                  \
    using Element = float;                  \
    function<Element>(pixels, __VA_ARGS__); \
  }

inline void channel_sums(const Pixels &pixels, const void *x, int64_t begin, int64_t end, double *sums) {
  BY_ELEMENT(channel_sums_of, static_cast<const Element *>(x), begin, end, sums)
}

inline void norm_relu(const Pixels &pixels, const void *x, const float *scale, const float *shift, void *out,
                      int64_t begin, int64_t end) {
  BY_ELEMENT(norm_relu_of, static_cast<const Element *>(x), scale, shift, static_cast<Element *>(out), begin, end)
}

inline void norm_relu_backward(const Pixels &pixels, const void *gradient, const void *x, const float *scale,
                               const float *shift, const float *mean, void *out, int64_t begin, int64_t end,
                               double *sums) {
  BY_ELEMENT(norm_relu_backward_of, static_cast<const Element *>(gradient), static_cast<const Element *>(x), scale,
             shift, mean, static_cast<Element *>(out), begin, end, sums)
}

inline void norm_gradient(const Pixels &pixels, const void *skip, const void *gradient, const void *x, const float *a,
                          const float *b, const float *d, void *out, int64_t begin, int64_t end) {
  BY_ELEMENT(norm_gradient_of, static_cast<const Element *>(skip), static_cast<const Element *>(gradient),
             static_cast<const Element *>(x), a, b, d, static_cast<Element *>(out), begin, end)
}
