// Filters to Winograd's domain, and their gradients back.
// Included inside the namespace of an instruction set, after transforms.h.

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
