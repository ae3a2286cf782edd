// Launching a GPU's kernels: by CUDA's driver, or, where tests emulate a GPU, by their emulator.
#include "launching.h"

#include <ATen/ops/zeros.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "../devices.h"
#include "../kernels/select.h"
#include "../support.h"
#include "checking.h"

#ifdef CTORCH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <cuda.h>
#include <dlfcn.h>

#include "compiling.h"
#endif

namespace ctorch::device {

namespace {

// MARK: an emulated GPU

struct Emulator {
  ctorch_launcher launch = nullptr;
  size_t most_shared = 0;
};

Emulator &emulator() {
  static Emulator emulator;
  return emulator;
}

/// The counters of this thread's launches that are not captured.
thread_local Counters stream_counters;

// MARK: a GPU

#ifdef CTORCH_CUDA

/// A function of the driver, which libtorch has loaded.
template <class Function>
Function *driver(const char *name) {
  static void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  TORCH_CHECK(library, "CUDA's driver, libcuda.so.1, is not found");
  auto *found = reinterpret_cast<Function *>(dlsym(library, name));
  TORCH_CHECK(found, "CUDA's driver has no ", name);
  return found;
}

/// Throws with the driver's own words where `result` is not success.
void check(CUresult result, const char *what) {
  if (result == CUDA_SUCCESS) return;
  const char *text = "an unknown error";
  (void)driver<decltype(cuGetErrorString)>("cuGetErrorString")(result, &text);
  TORCH_CHECK(false, what, ": ", text);
}

/// Makes a GPU the one that the driver works on, in this thread too: it has no other way to be told.
class OnDevice {
 public:
  explicit OnDevice(c10::Device device) : guard(device) { c10::cuda::set_device(device.index(), /*force=*/true); }

 private:
  const c10::DeviceGuard guard;
};

/// The kernels as one GPU has loaded them.
class Loaded {
 public:
  explicit Loaded(c10::Device device) {
    const auto &properties = *at::cuda::getDeviceProperties(device.index());
    most_shared = static_cast<int64_t>(properties.sharedMemPerBlockOptin);
    TORCH_CHECK(properties.major >= 8, "its tensor cores are older than Ampere's (compute capability ",
                properties.major, ".", properties.minor, ")");
    const OnDevice on(device);
    const auto code = compiled(properties.major, properties.minor);
    // Never unloaded: it lives as long as the process.
    CUmodule module = nullptr;
    check(driver<decltype(cuModuleLoadData)>("cuModuleLoadData")(&module, code.data()), "loading the kernels");
#define KERNEL(name, arguments, type, blocks) add(module, #name "_" #type);
#include "entries.h"
  }

  int64_t most_shared = 0;

  CUfunction function(const std::string &name) const { return functions.at(name); }

 private:
  std::map<std::string, CUfunction> functions;

  /// All kernels prefer the same share of shared memory: a multiprocessor waits where it changes.
  void add(CUmodule module, const std::string &name) {
    CUfunction function = nullptr;
    check(driver<decltype(cuModuleGetFunction)>("cuModuleGetFunction")(&function, module, name.c_str()), name.c_str());
    set(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(most_shared));
    set(function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, CU_SHAREDMEM_CARVEOUT_MAX_SHARED);
    functions[name] = function;
  }

  static void set(CUfunction function, CUfunction_attribute attribute, int value) {
    check(driver<decltype(cuFuncSetAttribute)>("cuFuncSetAttribute")(function, attribute, value),
          "a kernel's shared memory");
  }
};

struct Attempt {
  std::unique_ptr<Loaded> kernels;
  std::string problem;
};

/// Tried once for each GPU. What does not compute there what libtorch's operations do is not run.
Attempt &attempt(c10::Device device) {
  // Entered again by the launches of the check.
  static std::recursive_mutex lock;
  static std::map<c10::DeviceIndex, Attempt> attempts;
  const std::lock_guard<std::recursive_mutex> hold(lock);
  if (const auto found = attempts.find(device.index()); found != attempts.end()) return found->second;
  TORCH_CHECK(c10::cuda::currentStreamCaptureStatusMayInitCtx() == c10::cuda::CaptureStatus::None,
              "kernels cannot be loaded while work is captured: let it run once before");
  auto &made = attempts[device.index()];
  const char *stage = "compiling and loading them: ";
  try {
    made.kernels = std::make_unique<Loaded>(device);
    stage = "trying them: ";
    check_kernels(device);
    return made;
  } catch (const c10::Error &error) {
    made.problem = stage + std::string(error.what_without_backtrace());
  } catch (const std::exception &error) {
    made.problem = stage + std::string(error.what());
  }
  made.kernels = nullptr;
  try {
    c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(device.index());
  } catch (const c10::Error &) {
    TORCH_CHECK(false, device,
                " failed when ResLens's kernels were tried on it, and does nothing more for this process: ",
                made.problem, "; use --device cpu, and tell us of this GPU");
  }
  return made;
}

#endif

}  // namespace

bool launches(const at::Tensor &tensor) {
  if (tensor.is_cpu()) return kernels::emulates();
#ifdef CTORCH_CUDA
  return tensor.is_cuda() && kernels::chosen() != nullptr && attempt(tensor.device()).kernels != nullptr;
#else
  return false;
#endif
}

int64_t most_shared(const at::Tensor &tensor) {
  if (tensor.is_cpu()) return static_cast<int64_t>(emulator().most_shared);
#ifdef CTORCH_CUDA
  return attempt(tensor.device()).kernels->most_shared;
#else
  return 0;
#endif
}

unsigned *counters(const at::Tensor &on, int64_t count) {
  constexpr int64_t most = 1 << 14;
  TORCH_CHECK(count <= most, "a launch with ", count, " counters");
  auto *graph = capture();
  const auto stream = on.is_cpu() ? 0 : c10::impl::VirtualGuardImpl(on.device().type()).getStream(on.device()).id();
  auto &zeros = (graph ? graph->counters : stream_counters)[{on.get_device(), stream}];
  if (!zeros.defined()) zeros = at::zeros({most}, on.options().dtype(at::kInt).memory_format(std::nullopt));
  return static_cast<unsigned *>(zeros.mutable_data_ptr());
}

void launch_named(const at::Tensor &on, const Launch &how, const void *arguments) {
  const bool is_float = how.type.value_or(on.scalar_type()) == at::kFloat;
  const std::string name = std::string(how.kernel) + (is_float ? "_float" : "_bfloat");
  if (on.is_cpu()) {
    const ctorch_launch launch = {
        .kernel = name.c_str(),
        .blocks = {static_cast<uint32_t>(how.blocks[0]), static_cast<uint32_t>(how.blocks[1])},
        .threads = static_cast<uint32_t>(how.threads),
        .shared = static_cast<size_t>(how.shared),
        .arguments = arguments};
    const char *problem = emulator().launch(&launch);
    TORCH_CHECK(problem == nullptr, "the emulated GPU ran ", name, ": ", problem);
    return;
  }
#ifdef CTORCH_CUDA
  const OnDevice there(on.device());
  void *all[] = {const_cast<void *>(arguments)};
  check(driver<decltype(cuLaunchKernel)>("cuLaunchKernel")(
            attempt(on.device()).kernels->function(name), static_cast<unsigned>(how.blocks[0]),
            static_cast<unsigned>(how.blocks[1]), 1, static_cast<unsigned>(how.threads), 1, 1,
            static_cast<unsigned>(how.shared), at::cuda::getCurrentCUDAStream(on.device().index()), all, nullptr),
        name.c_str());
#endif
}

}  // namespace ctorch::device

using namespace ctorch;

void ctorch_emulate_device(ctorch_launcher launcher, size_t most_shared) {
  device::emulator() = {launcher, most_shared};
  // A launch that failed may have left some that are not 0.
  device::stream_counters.clear();
  kernels::offer_emulation();
}

int ctorch_load_device_kernels(ctorch_device device) {
  return guarded([&] {
    if (device == CTORCH_CPU) {
      TORCH_CHECK(kernels::emulates(), "no GPU is emulated");
      device::check_kernels(device_of(device));
      return;
    }
#ifdef CTORCH_CUDA
    const auto &found = device::attempt(device_of(device));
    TORCH_CHECK(found.kernels != nullptr, found.problem);
#else
    TORCH_CHECK(false, "this program was built without CUDA's headers (device ", device, ")");
#endif
  });
}
