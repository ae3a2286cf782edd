// The kernels as text.
#include "launching.h"

#define DEVICE_CODE(...) #__VA_ARGS__

const char *const ctorch::device::source =
#include "cuda.h"
#include "arguments.h"
#include "kernels.h"
    ;
