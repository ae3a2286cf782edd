// CUDA graphs: a training step is captured once and replayed as one launch; and other functions that need CUDA's own
// interface.
//
// Only this file, device/launching.cpp and NCCL in processes.cpp need CUDA's headers. Without those headers, or with a
// libtorch without CUDA, these functions return an error, and steps run operation by operation.
#include "device/beside.h"
#include "devices.h"
#include "support.h"

#ifdef CTORCH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <memory>

struct ctorch_graph_impl {
  ctorch::Capture capture;
  at::cuda::CUDAGraph graph;
  /// The stream of its own on which it is captured, as CUDA demands.
  c10::OptionalStreamGuard stream;
};
#else
struct ctorch_graph_impl {};
#endif

using namespace ctorch;

namespace {
thread_local Capture *current = nullptr;
}

Capture *ctorch::capture() { return current; }

#ifdef CTORCH_CUDA

namespace {
/// Replays change the weights, and filters are prepared only for what the replay itself does.
void forget_filters(const Capture &capture) {
  for (const auto &memory : capture.filters) {
    for (auto &filter : memory->filters) filter.writes = -1;
  }
}
}  // namespace

bool ctorch_built_with_cuda(void) { return true; }

int ctorch_cuda_uuid(ctorch_device device, uint8_t *uuid) {
  return guarded([&] {
    const auto *properties = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(device));
    std::copy_n(reinterpret_cast<const uint8_t *>(properties->uuid.bytes), 16, uuid);
  });
}

int ctorch_graph_begin(ctorch_device device, ctorch_graph *out) {
  return guarded([&] {
    const c10::impl::VirtualGuardImpl cuda(at::kCUDA);
    const auto where = device_of(device);
    auto graph = std::make_unique<ctorch_graph_impl>();
    device::await_beside();
    cuda.synchronizeDevice(where.index());
    // A graph has its own memory, so memory that is cached from earlier steps is released first.
    c10::cuda::CUDACachingAllocator::emptyCache();
    graph->stream.reset_stream(cuda.getStreamFromGlobalPool(where));
    graph->graph.capture_begin();
    current = &graph->capture;
    *out = graph.release();
  });
}

int ctorch_graph_end(ctorch_graph graph) {
  current = nullptr;
  forget_filters(graph->capture);
  const int ended = guarded([&] {
    device::await_beside();
    graph->graph.capture_end();
  });
  // Whether or not it could be ended, work goes on where it was before.
  const int back = guarded([&] { graph->stream.reset(); });
  return ended != 0 ? ended : back;
}

int ctorch_graph_replay(ctorch_graph graph) {
  return guarded([&] {
    graph->graph.replay();
    forget_filters(graph->capture);
  });
}

void ctorch_graph_free(ctorch_graph graph) {
  if (graph->stream.current_stream()) (void)ctorch_graph_end(graph);
  delete graph;
}

#else

namespace {
int refuse() {
  return guarded([] { TORCH_CHECK(false, "this program was built without CUDA"); });
}
}  // namespace

bool ctorch_built_with_cuda(void) { return false; }
int ctorch_cuda_uuid(ctorch_device, uint8_t *) { return refuse(); }
int ctorch_graph_begin(ctorch_device, ctorch_graph *) { return refuse(); }
int ctorch_graph_end(ctorch_graph) { return refuse(); }
int ctorch_graph_replay(ctorch_graph) { return refuse(); }
void ctorch_graph_free(ctorch_graph graph) { delete graph; }

#endif
