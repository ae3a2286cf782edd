// Errors, threads, memory and what this libtorch is.
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/TensorBase.h>
#include <dlfcn.h>
#include <torch/headeronly/version.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "kernels/select.h"
#include "support.h"

namespace {
std::atomic<int64_t> live_tensors{0};
thread_local std::string last_error;
}  // namespace

ctorch_tensor_impl::ctorch_tensor_impl(at::Tensor tensor) : value(std::move(tensor)) { ++live_tensors; }
ctorch_tensor_impl::~ctorch_tensor_impl() { --live_tensors; }

namespace ctorch {

void remember_error(const char *text) noexcept {
  try {
    last_error = text;
  } catch (...) {
    last_error.clear();
  }
}

namespace {
struct Pieces {
  const std::function<void(int64_t, int64_t)> *body;
  int64_t count;
  int64_t pieces;
  std::atomic<int64_t> next{0};
  std::mutex lock;
  std::exception_ptr failure;
};

/// The team of threads may be smaller than asked for, so each thread takes pieces until none is left.
void run_pieces(void *context) {
  auto &work = *static_cast<Pieces *>(context);
  for (int64_t piece = work.next++; piece < work.pieces; piece = work.next++) {
    try {
      (*work.body)(work.count *piece / work.pieces, work.count * (piece + 1) / work.pieces);
    } catch (...) {
      std::lock_guard<std::mutex> hold(work.lock);
      work.failure = std::current_exception();
    }
  }
}

using GompParallel = void (*)(void (*)(void *), void *, unsigned, unsigned);
GompParallel gomp_parallel() {
  // The OpenMP runtime that libtorch brought along: its threads are the ones that run the convolutions.
  static auto found = reinterpret_cast<GompParallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  return found;
}
}  // namespace

void parallel(int64_t count, const std::function<void(int64_t, int64_t)> &body) {
  Pieces work;
  work.body = &body;
  work.count = count;
  work.pieces = std::min<int64_t>(count, at::get_num_threads());
  if (work.pieces > 1 && gomp_parallel() != nullptr) {
    gomp_parallel()(run_pieces, &work, static_cast<unsigned>(work.pieces), 0);
  } else {
    run_pieces(&work);
  }
  if (work.failure) std::rethrow_exception(work.failure);
}

}  // namespace ctorch

const char *ctorch_last_error(void) { return last_error.c_str(); }

const char *ctorch_version(void) { return TORCH_VERSION; }

const char *ctorch_cpu_capability(void) {
  thread_local std::string text;
  if (ctorch::guarded([] { text = at::get_cpu_capability(); }) != 0) text = "unknown";
  return text.c_str();
}

const char *ctorch_library_path(void) {
  Dl_info info;
  // Any function that lives in libtorch itself will do.
  if (dladdr(reinterpret_cast<void *>(&at::get_num_threads), &info) != 0 && info.dli_fname != nullptr) {
    return info.dli_fname;
  }
  return "";
}

int ctorch_threads(void) { return at::get_num_threads(); }

int ctorch_set_threads(int count) {
  return ctorch::guarded([&] { at::set_num_threads(count); });
}

int ctorch_kernel_threads(void) {
  std::mutex lock;
  std::set<std::thread::id> seen;
  int status = ctorch::guarded([&] {
    // A piece that ends at once would let one thread take them all.
    ctorch::parallel(at::get_num_threads(), [&](int64_t, int64_t) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      std::lock_guard<std::mutex> hold(lock);
      seen.insert(std::this_thread::get_id());
    });
  });
  return status == 0 ? static_cast<int>(seen.size()) : 0;
}

int64_t ctorch_live_tensors(void) { return live_tensors.load(); }

namespace kernels = ctorch::kernels;

const char *ctorch_kernel_sets(void) {
  static const std::string names = [] {
    std::string text;
    for (auto *kernels : kernels::available()) text += std::string(kernels->name) + ",";
    return text + kernels::libtorch;
  }();
  return names.c_str();
}

const char *ctorch_kernel_set(void) {
  if (kernels::emulates()) return kernels::emulated;
  auto *kernels = kernels::chosen();
  return kernels ? kernels->name : kernels::libtorch;
}

int ctorch_use_kernel_set(const char *name) {
  return ctorch::guarded([&] {
    TORCH_CHECK(kernels::choose(name), "the kernels that run here are ", ctorch_kernel_sets(), ", and ", name,
                " is none of them");
  });
}
