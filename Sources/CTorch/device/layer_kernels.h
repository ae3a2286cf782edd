// A GPU's kernels of what is not a unit in a training step: images, the last normalisation, the classifier, the loss
// and the optimiser. They replace chains of short launches. As kernels.h, behind which it stands, this is text for
// CUDA's run-time compiler, and code for the tests.
DEVICE_CODE(

// MARK: images

// A thread makes a pixel.
template <class T>
__device__ void gather_images(const GatherImages &args) {
  const Images &images = args.images;
  const int pixel = blockIdx.x * blockDim.x + threadIdx.x, size = images.height * images.width;
  if (pixel >= images.count * size) return;
  const int image = pixel / size, place = pixel - image * size, y = place / images.width, x = place - y * images.width;
  const long long *selected = args.selection + 4 * image;
  // Moved after mirroring: a shift to the right stays one.
  const long long from_y = y - selected[2], moved = x - selected[3];
  const bool exists = from_y >= 0 && from_y < images.height && moved >= 0 && moved < images.width;
  const long long from_x = selected[1] != 0 ? images.width - 1 - moved : moved;
  const unsigned char *from = args.from + selected[0] * args.channels * size + from_y * images.width + from_x;
  const bool is_stored = selected[0] >= 0 && selected[0] < args.stored;
  for (int c = 0; c < args.channels; ++c) {
    const float value = !is_stored ? __uint_as_float(0x7fc00000u)
                        : exists   ? rounded_sum(rounded_product(from[c * size], args.scale[c]), args.offset[c])
                                   : 0;
    put(static_cast<T *>(args.out) + pixel * args.channels + c, value);
  }
}

template <class T>
__device__ void pad_images(const PadImages &args) {
  constexpr int chunks = channel_step / chunk<T>;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.pixels * chunks) return;
  const Padded<T> source(args.x, nullptr, channel_step, args.channels);
  const int channel = i % chunks * chunk<T>;
  put_operand<T>(static_cast<bfloat *>(args.operand), i * chunk<T>, channel, channel_step,
                 source.finished(source.load(i * chunk<T>), {}, 0, 0, false));
}

// MARK: normalisation and ReLU

template <class T>
__device__ void norm_relu(const NormRelu &args) {
  double *room = reinterpret_cast<double *>(shared_memory());
  float *floats = reinterpret_cast<float *>(room + 2 * blockDim.x);
  const int i = blockIdx.x * blockDim.x + threadIdx.x, place = i * chunk<T>;
  const Normalised<T> source(args.x, floats, args.channels, args.channels);
  const bool exists = i < args.pixels * (args.channels / chunk<T>);
  const auto loaded = source.load(exists ? place : 0);
  source.begin(args.norm, floats, room, args.channels);
  if (!exists) return;
  const auto numbers = source.numbers(place % args.channels);
  source.finished(loaded, numbers, 0, 0, false).put(static_cast<T *>(args.out) + place);
}

template <class T>
__device__ void norm_relu_backward(const NormReluBackward &args) {
  const int part = blockIdx.x, channels = args.channels, size = 2 * channels;
  const Share<T> share(channels, args.pixels, part, args.norm.gathering.parts);
  const float *statistics = args.norm.statistics + share.channel;
  const auto mean = Values<T>::at(statistics), scale = Values<T>::at(statistics + 2 * channels),
             shift = Values<T>::at(statistics + 3 * channels);
  float sums[chunk<T>] = {};
  float products[chunk<T>] = {};
  for (int pixel = share.begin; pixel < share.end; pixel += share.lanes) {
    const int place = pixel * channels + share.channel;
    T *gradient = static_cast<T *>(args.gradient) + place;
    const auto x = widened(Chunk<T>::at(static_cast<const T *>(args.x) + place));
    auto values = widened(Chunk<T>::at(gradient));
    for (int i = 0; i < chunk<T>; ++i) {
      if (!(normalised(x.values[i], scale.values[i], shift.values[i]) > 0)) values.values[i] = 0;
      sums[i] += values.values[i];
      products[i] += values.values[i] * (x.values[i] - mean.values[i]);
    }
    Chunk<T> rounded;
    round_to(rounded, values.values);
    rounded.put(gradient);
  }
  share.write(args.norm.block_sums + part * size, sums, products);
  if (part == 0) NormTerms::write(args.norm, channels, 0, channels);
  const Member member(args.norm.gathering, 0, part);
  member.gather(member.counted(), args.norm.block_sums, size, [&](int group, int i, const Run<double, 2> &found) {
    found.put(args.norm.sums.rows + group * size + i);
  });
}

// MARK: classifier

// A thread computes an element.
template <class T>
__device__ void linear(const Linear &args) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.samples * args.outputs) return;
  const int sample = i / args.outputs, output = i - sample * args.outputs;
  const float *x = args.x + sample * args.inputs, *weight = args.weight + output * args.inputs;
  Four<float> sums = {};
  for (int c = 0; c < args.inputs; c += 4) {
    const auto one = Four<float>::at(x + c), other = Four<float>::at(weight + c);
    for (int j = 0; j < 4; ++j) sums.values[j] = fmaf(one.values[j], other.values[j], sums.values[j]);
  }
  args.out[i] = sums.values[0] + sums.values[1] + (sums.values[2] + sums.values[3]) + args.bias[output];
}

// Eight neighbouring threads compute an element of a gradient.
template <class T>
__device__ void linear_backward(const LinearBackward &args) {
  constexpr int lanes = 8;
  const int samples = args.samples, inputs = args.inputs, outputs = args.outputs;
  const int lane = threadIdx.x % lanes;
  int i = (blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  // The sum is of one[j·apart]·other[j·other_apart]; without `other`, of the first alone.
  const float *one = args.gradient, *other = nullptr;
  float *to = nullptr;
  int count = samples, apart = outputs, other_apart = inputs;
  if (i < samples * inputs) {
    const int sample = i / inputs;
    to = args.of_x + i;
    one += sample * outputs;
    other = args.weight + (i - sample * inputs);
    count = outputs;
    apart = 1;
  } else if ((i -= samples * inputs) < outputs * inputs) {
    const int output = i / inputs;
    if (args.of_weight) to = args.of_weight + i;
    one += output;
    other = args.x + (i - output * inputs);
  } else if ((i -= outputs * inputs) < outputs) {
    if (args.of_bias) to = args.of_bias + i;
    one += i;
  }
  float sum = 0;
  for (int j = lane; to && j < count; j += lanes) sum = fmaf(one[j * apart], other ? other[j * other_apart] : 1, sum);
  for (int away = 1; away < lanes; away *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, away);
  if (to && lane == 0) *to = sum;
}

// The sum of what a warp's lanes have.
__device__ inline double warp_sum(double value) {
  for (int away = 1; away < 32; away *= 2) value += __shfl_xor_sync(0xffffffffu, value, away);
  return value;
}

// The largest of some logits, of which the first is meant where several are; one that is no number is larger than all.
struct Largest {
  float value;
  int place;

  __device__ bool is_before(const Largest &other) const {
    const bool is_none = value != value, other_is_none = other.value != other.value;
    if (is_none != other_is_none) return is_none;
    if (!is_none && value != other.value) return value > other.value;
    return place < other.place;
  }
};

// A warp works on a sample.
template <class T>
__device__ void loss(const Loss &args) {
  double *room = reinterpret_cast<double *>(shared_memory());
  const int warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32, classes = args.classes;
  const int sample = blockIdx.x * warps + warp;
  double own[2] = {};
  if (sample < args.samples) {
    const float *logits = args.logits + sample * classes;
    Largest largest = {logits[0], 0};
    for (int k = lane; k < classes; k += 32) {
      const Largest other = {logits[k], k};
      if (other.is_before(largest)) largest = other;
    }
    for (int away = 1; away < 32; away *= 2) {
      const Largest other = {__shfl_xor_sync(0xffffffffu, largest.value, away),
                             __shfl_xor_sync(0xffffffffu, largest.place, away)};
      if (other.is_before(largest)) largest = other;
    }
    double total = 0;
    for (int k = lane; k < classes; k += 32) total += exp(static_cast<double>(logits[k]) - largest.value);
    const double log_total = log(warp_sum(total)), even = args.smoothing / classes;
    const long long label = args.labels[sample];
    double sum = 0;
    for (int k = lane; k < classes; k += 32) {
      const double log_p = static_cast<double>(logits[k]) - largest.value - log_total,
                   target = k == label ? 1 - args.smoothing + even : even;
      // Infinity times 0 is no number.
      if (target != 0) sum -= target * log_p;
      args.gradient[sample * classes + k] = static_cast<float>((exp(log_p) - target) * args.scale);
    }
    sum = warp_sum(sum);
    // The loss of what is not a class is no number.
    own[0] = label >= 0 && label < classes ? sum : __uint_as_float(0x7fc00000u);
    own[1] = largest.place != label;
  }
  if (lane == 0) {
    room[2 * warp] = own[0];
    room[2 * warp + 1] = own[1];
  }
  __syncthreads();
  if (threadIdx.x < 2) {
    double sum = 0;
    for (int other = 0; other < warps; ++other) sum += room[2 * other + threadIdx.x];
    args.block_sums[2 * blockIdx.x + threadIdx.x] = sum;
  }
  const Member member(args.gathering, 0, blockIdx.x);
  member.gather_all(member.counted(), args.block_sums, args.block_sums + 2 * args.gathering.parts, 2,
                    [&](int, const Run<double, 2> &sum) { sum.put(args.sums); });
}

// MARK: optimiser

// A single thread does this.
template <class T>
__device__ void count_step(const CountStep &args) {
  const double total = args.totals[0] + args.sums[0];
  const bool is_finite = total - total == 0;
  args.totals[0] = total;
  args.totals[1] += args.sums[1];
  args.totals[2] += is_finite;
  *args.skip = is_finite ? 0 : 1;
}

// The blocks of a row share the elements of a parameter.
template <class T>
__device__ void sgd(const SGD &args) {
  if (args.skip && *args.skip != 0) return;
  const SGDParameter &own = args.parameters[blockIdx.y];
  const float rate = static_cast<float>(*args.rate);
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < own.count; i += gridDim.x * blockDim.x) {
    float step = fmaf(args.decay, own.value[i], own.gradient[i]);
    if (own.velocity) {
      const float velocity = own.velocity[i] = fmaf(args.momentum, own.velocity[i], step);
      step = args.nesterov ? fmaf(args.momentum, velocity, step) : velocity;
    }
    own.value[i] = fmaf(-rate, step, own.value[i]);
  }
}

)
