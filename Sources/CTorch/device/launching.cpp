// Launching a GPU's kernels: by CUDA's driver, or, where tests emulate a GPU, by their emulator.
#include "launching.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "../devices.h"
#include "../kernels/select.h"
#include "../support.h"
#include "checking.h"

#ifdef CTORCH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAFunctions.h>
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
    TORCH_CHECK(properties.major >= 8, "its tensor cores are older than Ampere's (compute capability ", properties.major,
                ".", properties.minor, ")");
    const OnDevice on(device);
    const auto code = compiled(properties.major, properties.minor);
    check(driver<decltype(cuModuleLoadData)>("cuModuleLoadData")(&module, code.data()), "loading the kernels");
  }

  int64_t most_shared = 0;

  CUfunction function(const std::string &name) {
    const std::lock_guard<std::mutex> hold(lock);
    auto [place, is_new] = functions.try_emplace(name);
    if (is_new) {
      check(driver<decltype(cuModuleGetFunction)>("cuModuleGetFunction")(&place->second, module, name.c_str()),
            name.c_str());
      check(driver<decltype(cuFuncSetAttribute)>("cuFuncSetAttribute")(
                place->second, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(most_shared)),
            name.c_str());
    }
    return place->second;
  }

 private:
  // Never unloaded: it lives as long as the process.
  CUmodule module = nullptr;
  std::mutex lock;
  std::map<std::string, CUfunction> functions;
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
  auto [place, is_new] = attempts.try_emplace(device.index());
  auto &made = place->second;
  if (!is_new) return made;
  try {
    made.kernels = std::make_unique<Loaded>(device);
    check_kernels(device);
    return made;
  } catch (const c10::Error &error) {
    made.problem = error.what_without_backtrace();
  } catch (const std::exception &error) {
    made.problem = error.what();
  }
  made.kernels = nullptr;
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

void launch_named(const at::Tensor &on, ctorch_launch launch, bool typed) {
  std::string name = launch.kernel;
  if (typed) name += on.scalar_type() == at::kFloat ? "_float" : "_bfloat";
  launch.kernel = name.c_str();
  if (on.is_cpu()) {
    const char *problem = emulator().launch(&launch);
    TORCH_CHECK(problem == nullptr, "the emulated GPU ran ", name, ": ", problem);
    return;
  }
#ifdef CTORCH_CUDA
  const OnDevice there(on.device());
  void *arguments[] = {const_cast<void *>(launch.arguments)};
  check(driver<decltype(cuLaunchKernel)>("cuLaunchKernel")(
            attempt(on.device()).kernels->function(name), launch.blocks[0], launch.blocks[1], 1, launch.threads, 1, 1,
            static_cast<unsigned>(launch.shared), at::cuda::getCurrentCUDAStream(on.device().index()), arguments, nullptr),
        name.c_str());
#endif
}

}  // namespace ctorch::device

using namespace ctorch;

void ctorch_emulate_device(ctorch_launcher launcher, size_t most_shared) {
  device::emulator() = {launcher, most_shared};
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
