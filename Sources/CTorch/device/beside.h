// Work that a GPU does beside what follows it.
#ifndef CTORCH_DEVICE_BESIDE_H
#define CTORCH_DEVICE_BESIDE_H

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace ctorch::device {

/// Asks for work whose results are not needed soon. On a GPU it goes to a stream beside this thread's, which begins it
/// when all is done that this thread asked for before. `tensors` are all that the work reads and writes; they are kept
/// until it is done. Where tests emulate a GPU, it is done when it is waited for.
void beside(const at::Tensor &on, std::vector<at::Tensor> tensors, const std::function<void()> &work);

/// Makes the stream of this thread wait for all that it asked to be done beside it.
void await_beside();

/// Makes the stream of this thread wait for that work if it reads or writes the memory of `tensor`. To be called before
/// the memory is overwritten.
void await_beside(const at::Tensor &tensor);

}  // namespace ctorch::device

#endif
