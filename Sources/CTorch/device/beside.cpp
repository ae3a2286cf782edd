#include "beside.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "../support.h"

namespace ctorch::device {

namespace {

struct Asked {
  std::vector<at::Tensor> tensors;
  /// The work, where it is still to be done: in the tests' emulation of a GPU.
  std::function<void()> work;
  c10::Event done;
};

/// The work of this thread that its stream does not wait for yet, in the order in which it was asked for.
thread_local std::deque<Asked> asked;
/// The streams that take turns in doing it, so that the end of one piece of work, at which few blocks are left, runs
/// beside the beginning of the next.
thread_local std::vector<c10::Stream> streams;
thread_local size_t next_stream = 0;

constexpr size_t most_streams = 4;
/// Only so much work may be behind, since its tensors' memory cannot be used for others.
constexpr size_t most_behind = 6;

c10::Stream stream_of(const at::Tensor &tensor) {
  return c10::impl::VirtualGuardImpl(tensor.device().type()).getStream(tensor.device());
}

/// Waits for the first `count` pieces of work.
void await(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto first = std::move(asked.front());
    asked.pop_front();
    if (first.work) {
      first.work();
    } else {
      first.done.block(stream_of(first.tensors[0]));
    }
  }
}

}  // namespace

void beside(const at::Tensor &on, std::vector<at::Tensor> tensors, const std::function<void()> &work) {
  tensors.insert(tensors.begin(), on);
  const auto device = on.device();
  if (on.is_cpu()) {
    // The work is done as late as a GPU may do it, so that tests find code that does not wait.
    asked.push_back({std::move(tensors), work, c10::Event(device.type())});
    if (asked.size() > most_behind) await(1);
    return;
  }
  if (streams.empty() || streams[0].device() != device) {
    await_beside();
    streams.clear();
    const c10::impl::VirtualGuardImpl guard(device.type());
    for (size_t i = 0; i < most_streams; ++i) streams.push_back(guard.getStreamFromGlobalPool(device));
  }
  const auto stream = streams[next_stream++ % most_streams];
  c10::Event before(device.type());
  before.record(stream_of(on));
  before.block(stream);
  {
    const c10::StreamGuard there(stream);
    work();
  }
  asked.push_back({std::move(tensors), nullptr, c10::Event(device.type())});
  asked.back().done.record(stream);
  if (asked.size() > most_behind) await(1);
}

void await_beside() { await(asked.size()); }

void await_beside(const at::Tensor &tensor) {
  const auto same = [&](const at::Tensor &other) { return other.defined() && other.is_alias_of(tensor); };
  for (const auto &work : asked) {
    if (std::any_of(work.tensors.begin(), work.tensors.end(), same)) return await_beside();
  }
}

}  // namespace ctorch::device

void ctorch::await_value(ctorch_tensor tensor) {
  tensor->comes_beside = false;
  device::await_beside();
}
