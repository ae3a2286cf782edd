// Making, reading and adding tensors.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/all.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>

#include "device/beside.h"
#include "support.h"

using namespace ctorch;

namespace ctorch {

at::ScalarType scalar_type(ctorch_dtype dtype) {
  switch (dtype) {
    case CTORCH_UINT8:
      return at::kByte;
    case CTORCH_INT64:
      return at::kLong;
    case CTORCH_BFLOAT16:
      return at::kBFloat16;
    case CTORCH_FLOAT32:
      return at::kFloat;
    case CTORCH_FLOAT64:
      return at::kDouble;
  }
  TORCH_CHECK(false, "unknown element type ", static_cast<int>(dtype));
}

at::Tensor channels_last(const at::Tensor &tensor) {
  return tensor.dim() == 4 ? tensor.contiguous(at::MemoryFormat::ChannelsLast) : tensor.contiguous();
}

}  // namespace ctorch

namespace {
at::IntArrayRef dimensions(const int64_t *shape, int rank) { return {shape, static_cast<size_t>(rank)}; }

void check_count(at::IntArrayRef shape, at::ScalarType type, size_t count) {
  int64_t elements = 1;
  for (int64_t size : shape) {
    TORCH_CHECK(size >= 0, "a negative size ", size);
    TORCH_CHECK(!__builtin_mul_overflow(elements, size, &elements), "a shape with too many elements");
  }
  TORCH_CHECK(static_cast<size_t>(elements) * c10::elementSize(type) == count, "shape ", shape, " needs ",
              elements * c10::elementSize(type), " bytes, not ", count);
}
}  // namespace

void ctorch_tensor_free(ctorch_tensor tensor) { delete tensor; }

int ctorch_zeros(ctorch_dtype dtype, const int64_t *shape, int rank, ctorch_tensor *out) {
  return guarded([&] { *out = wrap(channels_last(at::zeros(dimensions(shape, rank), scalar_type(dtype)))); });
}

int ctorch_normal(ctorch_dtype dtype, const int64_t *shape, int rank, double deviation, uint64_t seed,
                  ctorch_tensor *out) {
  return guarded([&] {
    auto generator = at::detail::createCPUGenerator(seed);
    // Drawn in float64, so that a float32 and a float64 network begin alike; row-major, so that the
    // values do not depend on the layout.
    auto values = at::empty(dimensions(shape, rank), at::kDouble).normal_(0, deviation, generator);
    *out = wrap(channels_last(values.to(scalar_type(dtype))));
  });
}

int ctorch_from_bytes(ctorch_dtype dtype, const int64_t *shape, int rank, const void *bytes, size_t count,
                      ctorch_tensor *out) {
  return guarded([&] {
    auto type = scalar_type(dtype);
    check_count(dimensions(shape, rank), type, count);
    auto tensor = at::empty(dimensions(shape, rank), type);
    if (count > 0) memcpy(tensor.data_ptr(), bytes, count);
    *out = wrap(type == at::kByte ? tensor : channels_last(tensor));
  });
}

int ctorch_share(ctorch_dtype dtype, const int64_t *shape, int rank, const void *bytes, size_t count, void *owner,
                 void (*release)(void *owner), ctorch_tensor *out) {
  const std::shared_ptr<void> kept(owner, release);
  return guarded([&] {
    const auto type = scalar_type(dtype);
    check_count(dimensions(shape, rank), type, count);
    *out = wrap(at::from_blob(
        const_cast<void *>(bytes), dimensions(shape, rank), [kept](void *) {}, at::TensorOptions().dtype(type)));
  });
}

int ctorch_to_bytes(ctorch_tensor tensor, void *bytes, size_t count) {
  return guarded([&] {
    auto dense = get(tensor).cpu().contiguous();
    TORCH_CHECK(dense.nbytes() == count, "room for ", count, " bytes where ", dense.nbytes(), " are needed");
    if (count > 0) memcpy(bytes, dense.data_ptr(), count);
  });
}

int ctorch_rank(ctorch_tensor tensor) { return static_cast<int>(tensor->value.dim()); }
int64_t ctorch_size(ctorch_tensor tensor, int dimension) { return tensor->value.sizes()[dimension]; }

ctorch_dtype ctorch_dtype_of(ctorch_tensor tensor) {
  switch (tensor->value.scalar_type()) {
    case at::kByte:
      return CTORCH_UINT8;
    case at::kLong:
      return CTORCH_INT64;
    case at::kBFloat16:
      return CTORCH_BFLOAT16;
    case at::kDouble:
      return CTORCH_FLOAT64;
    default:
      return CTORCH_FLOAT32;
  }
}

int ctorch_convert(ctorch_tensor tensor, ctorch_dtype dtype, ctorch_tensor *out) {
  return guarded([&] {
    const auto converted = get(tensor).to(scalar_type(dtype));
    *out = converted.is_alias_of(get(tensor)) ? wrap_view(converted, tensor) : wrap(converted);
  });
}

int ctorch_rows(ctorch_tensor tensor, int64_t start, int64_t end, ctorch_tensor *out) {
  return guarded([&] {
    auto &whole = get(tensor);
    TORCH_CHECK(0 <= start && start <= end && end <= whole.size(0), "rows ", start, " to ", end, " of ", whole.size(0));
    *out = wrap_view(whole.narrow(0, start, end - start), tensor);
  });
}

int ctorch_select_rows(ctorch_tensor tensor, ctorch_tensor indices, ctorch_tensor *out) {
  return guarded([&] {
    const auto &rows = get(tensor);
    // An image's bytes lie together, channels last; libtorch would bring them into another order first.
    const auto selected = rows.dim() == 4
                              ? at::index_select(rows.permute({0, 2, 3, 1}), 0, get(indices)).permute({0, 3, 1, 2})
                              : at::index_select(rows, 0, get(indices));
    *out = wrap(channels_last(selected));
  });
}

int ctorch_column(ctorch_tensor tensor, int64_t column, ctorch_tensor *out) {
  return guarded([&] { *out = wrap_view(get(tensor).select(1, column), tensor); });
}

int ctorch_copy_into(ctorch_tensor target, ctorch_tensor source) {
  return guarded([&] {
    TORCH_CHECK(get(target).sizes() == get(source).sizes(), "a tensor of shape ", get(source).sizes(), " where shape ",
                get(target).sizes(), " belongs");
    device::await_beside(get(target));
    // Into a device nothing is waited for: what comes from here is copied at once, and what is done there next comes
    // after.
    get(target).copy_(get(source), /*non_blocking=*/!get(target).is_cpu());
    count_write(target);
  });
}

int ctorch_equal(ctorch_tensor a, ctorch_tensor b, bool *out) {
  return guarded([&] { *out = at::equal(get(a), get(b)); });
}

int ctorch_is_finite(ctorch_tensor tensor, bool *out) {
  return guarded([&] { *out = at::isfinite(get(tensor)).all().item<bool>(); });
}

int ctorch_add(ctorch_tensor a, ctorch_tensor b, double scale, ctorch_tensor *out) {
  return guarded([&] { *out = wrap(at::add(get(a), get(b), scale)); });
}

int ctorch_add_into(ctorch_tensor a, ctorch_tensor b, double scale) {
  return guarded([&] {
    device::await_beside(get(a));
    get(a).add_(get(b), scale);
    count_write(a);
  });
}

int ctorch_scaled_samples(ctorch_tensor a, const double *scales, ctorch_tensor *out) {
  return guarded([&] {
    const auto &all = get(a);
    std::vector<int64_t> shape(all.dim(), 1);
    shape[0] = all.size(0);
    const auto own = at::from_blob(const_cast<double *>(scales), shape, at::kDouble);
    *out = wrap(all.mul(own.to(all.options())));
  });
}

int ctorch_scaled(ctorch_tensor a, double scale, ctorch_tensor *out) {
  return guarded([&] { *out = wrap(at::mul(get(a), scale)); });
}
