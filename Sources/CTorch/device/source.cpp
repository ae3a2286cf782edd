// The kernels as text.
#include "launching.h"

#define DEVICE_CODE(...) #__VA_ARGS__

const char *const ctorch::device::source =
#include "cuda.h"
#include "arguments.h"
#include "kernels.h"
#include "layer_kernels.h"
// A block has at most 256 threads.
#define KERNEL(name, arguments, type, blocks)                                                                          \
  "extern \"C\" __global__ void __launch_bounds__(256, " #blocks ") " #name "_" #type "(" #arguments " args) { " #name \
  "<" #type ">(args); }\n"
#include "entries.h"
    ;
