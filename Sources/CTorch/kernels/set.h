// All kernels, for the instruction set of the file that includes this one, as `table`.
// Included inside that set's own namespace, with NAME, LANES (floats a vector), ROWS and PANEL (the block of a matrix
// product that fits its registers: rows, and columns in vectors) defined.
#include "vectors.h"
// In this order: each is made of what is before it.
#include "transforms.h"
#include "products.h"
#include "tiles.h"
#include "winograd.h"
#include "filters.h"
#include "pointwise.h"

constexpr Kernels table = {NAME,         pack_filter, unpack_gradient,    forward,       backward,
                           channel_sums, norm_relu,   norm_relu_backward, norm_gradient, products};
