// The kernels of Sources/CTorch/device as the processor's code, and the threads that run them.
#include <setjmp.h>
#include <ucontext.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../../Sources/CTorch/include/CTorch.h"
#include "DeviceEmulator.h"

namespace {

// MARK: threads

struct Index {
  unsigned x = 0, y = 0;
};

/// A thread of a block: a stack of its own, on which it goes on where it last waited.
struct Thread {
  std::vector<char> stack = std::vector<char>(128 << 10);
  ucontext_t start;
  jmp_buf at;
  bool started = false, ended = false;
  /// Until which count of meetings, of its warp or of its block, it waits.
  const long *meetings = nullptr;
  long met = 0;
  /// Copies to shared memory that it has begun. They are done when it waits for them.
  std::vector<std::pair<void *, const void *>> copies;
};

/// Where a warp's or a block's threads wait for each other.
struct Meeting {
  int arrived = 0;
  long meetings = 0;
};

constexpr unsigned warp_size = 32;
/// The values that a warp's lanes exchange. There are two sets, since a lane may come to the next exchange before
/// others have read this one.
struct Exchange {
  Meeting meeting;
  alignas(32) char shown[2][warp_size][32];
};

struct Block {
  std::vector<Thread> threads;
  std::vector<Exchange> warps;
  std::vector<char> shared;
  Meeting barrier;
  /// Whether a thread has answered yes where all of them are asked.
  bool said = false;
  unsigned current = 0, alive = 0;
  jmp_buf scheduler;
  ucontext_t caller;
  std::function<void()> kernel;
};

Block block;
Index threadIdx, blockIdx, blockDim, gridDim;
bool backwards = false;
device_emulator_fault fault = DEVICE_EMULATOR_SOUND;

/// Goes on with the other threads until `meeting` has had all of `expected`.
void wait(Meeting &meeting, int expected) {
  auto &thread = block.threads[block.current];
  thread.meetings = &meeting.meetings;
  thread.met = meeting.meetings;
  if (++meeting.arrived == expected) {
    meeting.arrived = 0;
    ++meeting.meetings;
  }
  if (_setjmp(thread.at) == 0) _longjmp(block.scheduler, 1);
}

void run_thread() {
  block.kernel();
  auto &thread = block.threads[block.current];
  thread.ended = true;
  // Threads that have ended are not waited for.
  --block.alive;
  if (block.barrier.arrived > 0 && block.barrier.arrived == static_cast<int>(block.alive)) {
    block.barrier.arrived = 0;
    ++block.barrier.meetings;
  }
  _longjmp(block.scheduler, 1);
}

void resume(unsigned index) {
  auto &thread = block.threads[index];
  block.current = index;
  threadIdx.x = index;
  if (_setjmp(block.scheduler) != 0) return;
  if (thread.started) _longjmp(thread.at, 1);
  thread.started = true;
  getcontext(&thread.start);
  thread.start.uc_stack.ss_sp = thread.stack.data();
  thread.start.uc_stack.ss_size = thread.stack.size();
  thread.start.uc_link = nullptr;
  makecontext(&thread.start, run_thread, 0);
  setcontext(&thread.start);
}

/// Runs all threads of a block. Returns whether they came to their ends, and waited for all that they had begun.
bool run_block() {
  const unsigned count = blockDim.x;
  if (block.threads.size() < count) block.threads.resize(count);
  block.warps.assign((count + warp_size - 1) / warp_size, Exchange{});
  block.barrier = {};
  block.said = false;
  block.alive = count;
  for (unsigned i = 0; i < count; ++i) {
    block.threads[i].started = block.threads[i].ended = false;
    block.threads[i].meetings = nullptr;
    block.threads[i].copies.clear();
  }
  while (block.alive > 0) {
    bool moved = false;
    for (unsigned i = 0; i < count; ++i) {
      const unsigned index = backwards ? count - 1 - i : i;
      const auto &thread = block.threads[index];
      if (thread.ended || (thread.meetings && *thread.meetings == thread.met)) continue;
      resume(index);
      moved = true;
    }
    if (!moved) return false;
  }
  for (unsigned i = 0; i < count; ++i) {
    if (!block.threads[i].copies.empty()) return false;
  }
  return true;
}

/// The values that the lanes of a warp exchange.
template <class Value>
struct Shown {
  const char (*values)[sizeof(Exchange::shown[0][0])];

  const Value &operator()(unsigned lane) const { return *reinterpret_cast<const Value *>(values[lane]); }
};

/// Shows the other lanes `mine`, and waits for theirs.
template <class Value>
Shown<Value> exchanged(const Value &mine) {
  static_assert(sizeof(Value) <= sizeof(Exchange::shown[0][0]));
  auto &warp = block.warps[threadIdx.x / warp_size];
  auto &shown = warp.shown[warp.meeting.meetings % 2];
  std::memcpy(shown[threadIdx.x % warp_size], &mine, sizeof(Value));
  wait(warp.meeting, warp_size);
  return {shown};
}

// MARK: what CUDA has

void __syncthreads() { wait(block.barrier, static_cast<int>(block.alive)); }

int __syncthreads_or(int mine) {
  if (mine) block.said = true;
  wait(block.barrier, static_cast<int>(block.alive));
  const bool answer = block.said;
  // Nobody says anything before all have read the answer.
  wait(block.barrier, static_cast<int>(block.alive));
  block.said = false;
  wait(block.barrier, static_cast<int>(block.alive));
  return answer;
}

void see_others() {}

float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }

using std::fmaf;

unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }

template <class Value>
Value __shfl_xor_sync(unsigned, Value value, int mask) {
  const unsigned lane = threadIdx.x % warp_size;
  const auto shown = exchanged(value);
  return shown(fault == DEVICE_EMULATOR_SHUFFLES ? lane : lane ^ static_cast<unsigned>(mask));
}

// MARK: what cuda.h has

char *shared_memory() { return block.shared.data(); }

struct Operands {
  unsigned left[4], right[2];
};

/// sum += left·right, as a float that was not rounded: as the instruction set's manual (PTX, mma.m16n8k16) spreads the
/// elements over lanes.
void multiply_bfloat(float (&sum)[4], const unsigned (&left)[4], const unsigned (&right)[2]) {
  constexpr int depth = 16, half = depth / 2, in_register = 2;
  const auto element = [](unsigned bits, int which) {
    return __uint_as_float(which == 0 ? bits << 16 : bits & 0xffff0000u);
  };
  Operands mine;
  std::memcpy(mine.left, left, sizeof(left));
  std::memcpy(mine.right, right, sizeof(right));
  const auto of = exchanged(mine);
  const int lane = threadIdx.x % warp_size;
  double total[4] = {sum[0], sum[1], sum[2], sum[3]};
  for (int k = 0; k < depth; ++k) {
    const int holder = k % half / in_register, in_half = k / half, which = k % in_register;
    for (int i = 0; i < 4; ++i) {
      const int row = i / 2, column = 2 * (lane % 4) + i % 2;
      const double product = static_cast<double>(element(of(lane / 4 * 4 + holder).left[row + 2 * in_half], which)) *
                             element(of(column * 4 + holder).right[in_half], which);
      total[i] += fault == DEVICE_EMULATOR_PRODUCTS ? 1.1 * product : product;
    }
  }
  for (int i = 0; i < 4; ++i) {
    // Cut off, and not rounded.
    sum[i] = static_cast<float>(total[i]);
    if (std::abs(sum[i]) > std::abs(total[i])) sum[i] = std::nextafter(sum[i], 0.0f);
  }
}

/// As the manual has ldmatrix.x4: lane 8·i + r names row r of matrix i.
void load_matrices(unsigned (&to)[4], const void *row) {
  const auto rows = exchanged(row);
  const unsigned lane = threadIdx.x % warp_size;
  for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<const unsigned *>(rows(8 * i + lane / 4))[lane % 4];
}

/// And ldmatrix.x4.trans.
void load_transposed(unsigned (&to)[4], const void *row) {
  const auto rows = exchanged(row);
  const unsigned lane = threadIdx.x % warp_size;
  for (unsigned i = 0; i < 4; ++i) {
    const auto element = [&](unsigned r) { return static_cast<const uint16_t *>(rows(8 * i + r))[lane / 4]; };
    to[i] = element(2 * (lane % 4)) | static_cast<unsigned>(element(2 * (lane % 4) + 1)) << 16;
  }
}

float larger_or_nan(float a, float b) { return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b); }

// The compiler might fuse a product and a sum; `volatile` keeps them apart.
float rounded_product(float a, float b) {
  const volatile float product = a * b;
  return product;
}
float rounded_sum(float a, float b) { return a + b; }

float inverse_root(double value) { return static_cast<float>(1 / std::sqrt(value)); }

unsigned rounded_pair(float first, float second) {
  const auto rounded = [](float value) -> unsigned {
    const unsigned bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  };
  return rounded(first) | rounded(second) << 16;
}

void begin_copy(void *to, const void *from, bool exists = true) {
  block.threads[block.current].copies.emplace_back(to, exists ? from : nullptr);
}

void finish_copies() {
  auto &copies = block.threads[block.current].copies;
  for (const auto &[to, from] : copies) {
    if (from) {
      std::memcpy(to, from, 16);
    } else {
      std::memset(to, 0, 16);
    }
  }
  copies.clear();
}

void load_fresh(void *to, const void *from) { std::memcpy(to, from, 16); }

bool counts_to(unsigned *counter, unsigned members) {
  const bool is_last = *counter + 1 == members && fault != DEVICE_EMULATOR_COUNTERS;
  *counter = *counter + 1 == members ? 0 : *counter + 1;
  return is_last;
}

// MARK: the kernels

#define __device__
#define __global__
#define __launch_bounds__(...)
#define DEVICE_CODE(...) __VA_ARGS__
#include "../../Sources/CTorch/device/arguments.h"
#include "../../Sources/CTorch/device/kernels.h"
#include "../../Sources/CTorch/device/layer_kernels.h"

template <class Arguments>
std::function<std::function<void()>(const void *)> entry(void (*kernel)(const Arguments &)) {
  return [kernel](const void *arguments) {
    return [kernel, arguments] { kernel(*static_cast<const Arguments *>(arguments)); };
  };
}

#define KERNEL(name, arguments, type, blocks) {#name "_" #type, entry<arguments>(name<type>)},
const std::map<std::string, std::function<std::function<void()>(const void *)>> entries = {
#include "../../Sources/CTorch/device/entries.h"
};

/// As much as a block of an H100 can have.
constexpr size_t most_shared = 227 << 10;
constexpr size_t guard = 256;

std::map<std::string, long> launches;

const char *launch(const ctorch_launch *launch) {
  const auto found = entries.find(launch->kernel);
  if (found == entries.end()) return "there is no such kernel";
  if (launch->shared > most_shared) return "a block has too much shared memory";
  if (launch->threads == 0 || launch->threads > 1024) return "a block has no threads, or too many";
  if (launch->blocks[0] == 0 || launch->blocks[1] == 0 || launch->blocks[1] > 65535) return "no blocks, or too many";
  ++launches[launch->kernel];
  block.kernel = found->second(launch->arguments);
  blockDim.x = launch->threads;
  gridDim = {launch->blocks[0], launch->blocks[1]};
  const unsigned count = gridDim.x * gridDim.y;
  for (unsigned i = 0; i < count; ++i) {
    const unsigned index = backwards ? count - 1 - i : i;
    blockIdx = {index % gridDim.x, index / gridDim.x};
    if (fault == DEVICE_EMULATOR_BLOCKS && index + 1 == count) continue;
    // Shared memory that no thread has written is NaN, and no thread writes behind its end.
    block.shared.assign(launch->shared + guard, static_cast<char>(0xff));
    if (!run_block())
      return "threads wait for others that have ended, or for something else, or do not wait for copies";
    for (size_t j = launch->shared; j < block.shared.size(); ++j) {
      if (block.shared[j] != static_cast<char>(0xff)) return "a block wrote behind its shared memory";
    }
  }
  return nullptr;
}

}  // namespace

void device_emulator_install(void) { ctorch_emulate_device(launch, most_shared); }

void device_emulator_run_backwards(bool value) { backwards = value; }

void device_emulator_set_fault(device_emulator_fault value) { fault = value; }

long device_emulator_launches(const char *kernel) {
  if (!kernel) {
    long all = 0;
    for (const auto &[name, count] : launches) all += count;
    return all;
  }
  const auto found = launches.find(kernel);
  return found == launches.end() ? 0 : found->second;
}
