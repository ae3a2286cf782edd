// The choice of the kernels that run here.
#include "select.h"

#include <atomic>

namespace ctorch::kernels {

namespace {
bool runs_here(const Kernels &kernels) {
#if defined(__x86_64__)
  if (&kernels == &avx512) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
  }
  if (&kernels == &avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &kernels == &plain;
}

std::atomic<bool> emulation_offered{false}, emulation_chosen{false};

std::atomic<const Kernels *> &current() {
  static std::atomic<const Kernels *> kernels{available().front()};
  return kernels;
}
}  // namespace

std::vector<const Kernels *> available() {
  std::vector<const Kernels *> found;
#if defined(__x86_64__)
  for (auto *kernels : {&avx512, &avx2}) {
    if (runs_here(*kernels)) found.push_back(kernels);
  }
#endif
  found.push_back(&plain);
  return found;
}

const Kernels *chosen() { return current(); }

bool choose(const std::string &name) {
  if (name == libtorch || (name == emulated && emulation_offered)) {
    current() = nullptr;
    emulation_chosen = name == emulated;
    return true;
  }
  for (auto *kernels : available()) {
    if (name != kernels->name) continue;
    current() = kernels;
    emulation_chosen = false;
    return true;
  }
  return false;
}

bool emulates() { return emulation_chosen; }

void offer_emulation() { emulation_offered = true; }

}  // namespace ctorch::kernels
