// CUDA's run-time compiler, which libtorch with CUDA brings. It is loaded when it is needed, and needs no GPU; neither
// does this file need its header.
#include "compiling.h"

#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <string>

#include "../support.h"
#include "launching.h"

namespace ctorch::device {

namespace {

using Program = struct program *;

class Compiler {
 public:
  Compiler() {
    // libtorch's own library of this name finds the rest beside it.
    std::string problem;
    for (const char *name : {"libcaffe2_nvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}) {
      library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (library && dlsym(library, "nvrtcCreateProgram")) return;
      if (const char *why = dlerror()) problem = why;
    }
    TORCH_CHECK(false, "CUDA's run-time compiler, libnvrtc, is not found (", problem,
                "): it comes with torch; name the folder of another one by LD_LIBRARY_PATH");
  }

  /// Throws with the compiler's own words where it does not succeed.
  template <class... Arguments>
  void call(const char *name, Arguments... arguments) {
    const int result = function<int(Arguments...)>(name)(arguments...);
    if (result == 0) return;
    TORCH_CHECK(false, name, ": ", function<const char *(int)>("nvrtcGetErrorString")(result), log());
  }

  Program program = nullptr;

 private:
  void *library = nullptr;

  template <class Function>
  Function *function(const char *name) {
    auto *found = reinterpret_cast<Function *>(dlsym(library, name));
    TORCH_CHECK(found, "CUDA's run-time compiler has no ", name);
    return found;
  }

  std::string log() {
    size_t size = 0;
    if (!program || function<int(Program, size_t *)>("nvrtcGetProgramLogSize")(program, &size) != 0) return "";
    std::string text(size, ' ');
    if (function<int(Program, char *)>("nvrtcGetProgramLog")(program, text.data()) != 0) return "";
    return "\n" + text;
  }
};

}  // namespace

std::vector<char> compiled(int major, int minor) {
  Compiler compiler;
  const std::string architecture = "--gpu-architecture=sm_" + std::to_string(10 * major + minor);
  const char *options[] = {architecture.c_str(), "--std=c++17"};
  const char *const *none = nullptr;
  compiler.call("nvrtcCreateProgram", &compiler.program, source, "reslens.cu", 0, none, none);
  compiler.call("nvrtcCompileProgram", compiler.program, 2, static_cast<const char *const *>(options));
  size_t size = 0;
  compiler.call("nvrtcGetCUBINSize", compiler.program, &size);
  std::vector<char> code(size);
  compiler.call("nvrtcGetCUBIN", compiler.program, code.data());
  compiler.call("nvrtcDestroyProgram", &compiler.program);
  return code;
}

}  // namespace ctorch::device

using namespace ctorch;

int ctorch_compile_device_kernels(int major, int minor, size_t *size) {
  return guarded([&] { *size = device::compiled(major, minor).size(); });
}
