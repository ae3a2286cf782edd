// Declarations that every file of CTorch shares: the handle, the guard and the loop over threads.
#ifndef CTORCH_SUPPORT_H
#define CTORCH_SUPPORT_H

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <atomic>
#include <functional>
#include <memory>

#include "CTorch.h"

namespace ctorch {

/// A filter as a GPU's kernels read it (device/filters.h), and how often its memory had been written when it was
/// converted.
struct PreparedFilter {
  at::Tensor forward, backward;
  int64_t writes = -1;
};

/// The state of a tensor's memory, which all handles to it share.
struct Memory {
  /// The number of times that it was written. An inference tensor has no version counter of its own.
  std::atomic<int64_t> writes{0};
  /// The filter for activations in float32, and that for bfloat16.
  PreparedFilter filters[2];
};

}  // namespace ctorch

struct ctorch_tensor_impl {
  explicit ctorch_tensor_impl(at::Tensor tensor);
  ~ctorch_tensor_impl();
  ctorch_tensor_impl(const ctorch_tensor_impl &) = delete;
  at::Tensor value;
  /// Shared by the handles to the tensor's memory. Null until somebody asks.
  std::shared_ptr<ctorch::Memory> memory;
  /// True if it is computed beside other work (device/beside.h) and nobody has waited for it yet.
  bool comes_beside = false;
};

namespace ctorch {

void remember_error(const char *text) noexcept;

/// Runs `body`; whatever it throws becomes a status and a remembered text.
/// Nothing here is differentiated by libtorch, so its bookkeeping for that is off.
template <class Body>
int guarded(Body &&body) noexcept {
  try {
    c10::InferenceMode mode;
    body();
    return 0;
  } catch (const c10::Error &error) {
    remember_error(error.what_without_backtrace());
  } catch (const std::exception &error) {
    remember_error(error.what());
  } catch (...) {
    remember_error("an exception of unknown type");
  }
  return 1;
}

inline ctorch_tensor wrap(at::Tensor tensor) { return new ctorch_tensor_impl(std::move(tensor)); }

/// Waits for a tensor that is computed beside other work.
void await_value(ctorch_tensor tensor);

inline const at::Tensor &get(ctorch_tensor tensor) {
  TORCH_CHECK(tensor != nullptr, "a tensor that is needed is missing");
  if (tensor->comes_beside) await_value(tensor);
  return tensor->value;
}

/// The state of a tensor's memory. It is made when it is first asked for.
inline const std::shared_ptr<Memory> &memory_of(ctorch_tensor tensor) {
  if (!tensor->memory) tensor->memory = std::make_shared<Memory>();
  return tensor->memory;
}

/// To be called by everything that writes into a tensor's memory after it was made.
inline void count_write(ctorch_tensor tensor) {
  if (tensor->memory) ++tensor->memory->writes;
}

/// A handle to a tensor on the memory of another handle's.
inline ctorch_tensor wrap_view(at::Tensor view, ctorch_tensor of) {
  auto *made = wrap(std::move(view));
  made->memory = memory_of(of);
  return made;
}

inline at::Tensor get_or_undefined(ctorch_tensor tensor) { return tensor ? get(tensor) : at::Tensor(); }

at::ScalarType scalar_type(ctorch_dtype dtype);
/// A tensor's elements, to be read. Not by `const_data_ptr<Element>`: clang and gcc do not agree on the name by which
/// libtorch 2.11 exports that.
template <class Element>
const Element *elements(const at::Tensor &tensor) {
  TORCH_CHECK(tensor.scalar_type() == c10::CppTypeToScalarType<Element>::value, "elements of type ",
              tensor.scalar_type(), " are read as another");
  return static_cast<const Element *>(tensor.const_data_ptr());
}
/// `tensor` itself where it is channels-last already.
at::Tensor channels_last(const at::Tensor &tensor);

/// Calls `body(begin, end)` for pieces of 0 ..< count on libtorch's own threads.
/// at::parallel_for would do, but its loop is in a header and stays in one thread unless this
/// compiler has OpenMP; the pieces depend on `count` and the thread count only.
void parallel(int64_t count, const std::function<void(int64_t, int64_t)> &body);

}  // namespace ctorch

#endif
