// Vectors of LANES floats, of whatever instruction set the file that includes this one compiles for.
// Included inside that set's own namespace, with LANES defined.

typedef float Vector __attribute__((vector_size(LANES * 4)));
typedef uint32_t Words __attribute__((vector_size(LANES * 4)));
typedef uint16_t Halves __attribute__((vector_size(LANES * 2)));
typedef double Doubles __attribute__((vector_size(LANES * 8)));

#define ALWAYS_INLINE inline __attribute__((always_inline))

/// The upper half of a float32, rounded to nearest even.
struct BFloat16 {
  uint16_t bits;
};

ALWAYS_INLINE Vector zero() { return Vector{}; }

template <class To, class From>
ALWAYS_INLINE To bits_as(From from) {
  To to;
  static_assert(sizeof(To) == sizeof(From));
  __builtin_memcpy(&to, &from, sizeof(To));
  return to;
}

ALWAYS_INLINE Vector widened(Halves halves) { return bits_as<Vector>(__builtin_convertvector(halves, Words) << 16); }

ALWAYS_INLINE Halves narrowed(Vector value) {
  const Words bits = bits_as<Words>(value);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  // Rounding could carry a NaN to infinity.
  const Words nan = (bits >> 16) | 0x40;
  return __builtin_convertvector((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded, Halves);
}

/// The first `count` of LANES elements; where `Tail` is false, all of them.
template <bool Tail>
ALWAYS_INLINE Vector load(const float *from, int64_t count) {
  Vector value{};
  if constexpr (!Tail) {
    __builtin_memcpy(&value, from, sizeof value);
  } else {
#if LANES == 16
    value = bits_as<Vector>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from));
#else
    for (int64_t i = 0; i < count; ++i) value[i] = from[i];
#endif
  }
  return value;
}

template <bool Tail>
ALWAYS_INLINE Vector load(const BFloat16 *from, int64_t count) {
  Halves halves{};
  if constexpr (!Tail) {
    __builtin_memcpy(&halves, from, sizeof halves);
  } else {
#if LANES == 16
    halves = bits_as<Halves>(_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1), from));
#else
    for (int64_t i = 0; i < count; ++i) halves[i] = from[i].bits;
#endif
  }
  return widened(halves);
}

template <bool Tail>
ALWAYS_INLINE void store(float *to, Vector value, int64_t count) {
  if constexpr (!Tail) {
    __builtin_memcpy(to, &value, sizeof value);
  } else {
#if LANES == 16
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), bits_as<__m512>(value));
#else
    for (int64_t i = 0; i < count; ++i) to[i] = value[i];
#endif
  }
}

template <bool Tail>
ALWAYS_INLINE void store(BFloat16 *to, Vector value, int64_t count) {
  const Halves halves = narrowed(value);
  if constexpr (!Tail) {
    __builtin_memcpy(to, &halves, sizeof halves);
  } else {
#if LANES == 16
    _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1u << count) - 1), bits_as<__m256i>(halves));
#else
    for (int64_t i = 0; i < count; ++i) to[i].bits = halves[i];
#endif
  }
}

ALWAYS_INLINE Vector load(const float *from) { return load<false>(from, LANES); }
ALWAYS_INLINE void store(float *to, Vector value) { store<false>(to, value, LANES); }

/// max(0, value), which leaves a NaN one.
ALWAYS_INLINE Vector rectified(Vector value) { return zero() > value ? zero() : value; }

/// The sum of a vector's lanes.
ALWAYS_INLINE double total(const Vector &value) {
  double sum = 0;
  for (int i = 0; i < LANES; ++i) sum += static_cast<double>(value[i]);
  return sum;
}

/// sums[i] += value[i]
ALWAYS_INLINE void add_to(double *sums, const Vector &value) {
  for (int i = 0; i < LANES; ++i) sums[i] += static_cast<double>(value[i]);
}

/// Adds Σv and Σv² of `count` values a lane, known as Σ(v − pivot) and Σ(v − pivot)²: of values far from 0 and near
/// each other float32 keeps these and loses those.
ALWAYS_INLINE void add_moments(double *sums, double *squares, const Vector &pivot, const Vector &around,
                               const Vector &squares_around, int64_t count) {
  for (int i = 0; i < LANES; ++i) {
    const double p = pivot[i], s = around[i], n = static_cast<double>(count);
    sums[i] += s + n * p;
    squares[i] += squares_around[i] + p * (2 * s + n * p);
  }
}

/// Calls `body` for each LANES of the channels, with whether they are fewer, the first, and how many.
template <class Body>
ALWAYS_INLINE void for_lanes(int64_t channels, Body body) {
  int64_t channel = 0;
  for (; channel + LANES <= channels; channel += LANES) body(std::false_type{}, channel, LANES);
  if (channel < channels) body(std::true_type{}, channel, channels - channel);
}
