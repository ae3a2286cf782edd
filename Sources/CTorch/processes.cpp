// Several processes that compute together: libtorch's c10d, with Gloo for what lies on the processor and NCCL for GPUs.
//
// The wheel of torch carries Gloo but not its headers: where the system has none, this is built without, and says so.
#include "devices.h"

#if __has_include(<gloo/algorithm.h>)
#define USE_C10D_GLOO
#endif
#if defined(CTORCH_CUDA) && __has_include(<nccl.h>)
#define USE_C10D_NCCL
#endif

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#ifdef USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <cstdlib>
#include <memory>
#include <vector>

#include "processes.h"
#include "support.h"

using namespace ctorch;

struct ctorch_store_impl {
  c10::intrusive_ptr<c10d::TCPStore> store;
};

struct ctorch_group_impl {
  int rank, size;
  double timeout_seconds;
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> gloo, nccl;

  /// The backend that exchanges tensors on this tensor's device.
  c10d::Backend &backend(const at::Tensor &tensor);
  /// NCCL can only be left by all processes together, and one that fails leaves alone: it is left to the process's end.
  ~ctorch_group_impl() { (void)nccl.release(); }
};

struct ctorch_reduction_impl {
  std::vector<at::Tensor> parts;
  at::Tensor whole;
  c10::intrusive_ptr<c10d::Work> work;
};

namespace {

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

/// c10d refuses tensors of inference mode, in which all others are made.
at::Tensor exchangeable(at::IntArrayRef shape, const at::TensorOptions &options) {
  c10::InferenceMode off(false);
  return at::empty(shape, options);
}

/// All elements of `tensors`, one after the other.
at::Tensor joined(const std::vector<at::Tensor> &tensors) {
  int64_t count = 0;
  for (const auto &tensor : tensors) {
    TORCH_CHECK(tensor.scalar_type() == tensors[0].scalar_type() && tensor.device() == tensors[0].device(),
                "tensors of unlike types or devices cannot be exchanged together");
    count += tensor.numel();
  }
  auto whole = exchangeable({count}, tensors[0].options().memory_format(at::MemoryFormat::Contiguous));
  int64_t place = 0;
  for (const auto &tensor : tensors) {
    whole.narrow(0, place, tensor.numel()).view(tensor.sizes()).copy_(tensor);
    place += tensor.numel();
  }
  return whole;
}

/// Puts the elements back where `joined` found them.
void separate(const at::Tensor &whole, const std::vector<at::Tensor> &tensors) {
  int64_t place = 0;
  for (const auto &tensor : tensors) {
    tensor.copy_(whole.narrow(0, place, tensor.numel()).view(tensor.sizes()));
    place += tensor.numel();
  }
}

std::vector<at::Tensor> all(const ctorch_tensor *tensors, int count) {
  TORCH_CHECK(count > 0, "there is nothing to exchange");
  std::vector<at::Tensor> found;
  for (int i = 0; i < count; ++i) found.push_back(get(tensors[i]));
  return found;
}

c10::intrusive_ptr<c10d::Backend> by_gloo(const ctorch_group_impl &group) {
#ifdef USE_C10D_GLOO
  auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(group.timeout_seconds));
  const char *interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface && *interface ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                                                     : c10d::ProcessGroupGloo::createDefaultDevice());
  return c10::make_intrusive<c10d::ProcessGroupGloo>(group.store, group.rank, group.size, options);
#else
  TORCH_CHECK(false, "this program was built without Gloo's headers");
#endif
}

c10::intrusive_ptr<c10d::Backend> by_nccl(const ctorch_group_impl &group) {
#ifdef USE_C10D_NCCL
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = milliseconds(group.timeout_seconds);
  const auto store = c10::make_intrusive<c10d::PrefixStore>("nccl", group.store);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, group.rank, group.size, options);
#else
  TORCH_CHECK(false, "this program was built without NCCL's headers");
#endif
}

}  // namespace

c10d::Backend &ctorch_group_impl::backend(const at::Tensor &tensor) {
  if (tensor.is_cpu()) return *gloo;
  // When a GPU's tensors are first exchanged, which all processes do at once.
  if (!nccl) {
    c10::InferenceMode off(false);
    nccl = by_nccl(*this);
  }
  return *nccl;
}

namespace ctorch {

at::Tensor sum_over(ctorch_group group, const at::Tensor &tensor) {
  std::vector<at::Tensor> whole = {exchangeable(tensor.sizes(), tensor.options())};
  whole[0].copy_(tensor);
  group->backend(tensor).allreduce(whole)->wait();
  return whole[0];
}

}  // namespace ctorch

bool ctorch_has_gloo(void) {
#ifdef USE_C10D_GLOO
  return true;
#else
  return false;
#endif
}

bool ctorch_has_nccl(void) {
#ifdef USE_C10D_NCCL
  return true;
#else
  return false;
#endif
}

int ctorch_store_serve(int *port, ctorch_store *out) {
  return guarded([&] {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(*port);
    options.isServer = true;
    options.waitWorkers = false;
    auto store = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
    *port = store->getPort();
    *out = new ctorch_store_impl{std::move(store)};
  });
}

void ctorch_store_free(ctorch_store store) { delete store; }

int ctorch_group_join(ctorch_meeting meeting, ctorch_group *out) {
  return guarded([&] {
    // c10d must create its own tensors outside of inference mode.
    c10::InferenceMode off(false);
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(meeting.port);
    options.timeout = milliseconds(meeting.join_seconds);
    if (meeting.prefix == nullptr) {
      options.isServer = meeting.rank == 0;
      options.numWorkers = meeting.size;
    }
    c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::TCPStore>(meeting.host, options);
    if (meeting.prefix) store = c10::make_intrusive<c10d::PrefixStore>(meeting.prefix, store);
    auto group = std::make_unique<ctorch_group_impl>();
    group->rank = meeting.rank;
    group->size = meeting.size;
    group->timeout_seconds = meeting.timeout_seconds;
    group->store = store;
    group->gloo = by_gloo(*group);
    *out = group.release();
  });
}

void ctorch_group_free(ctorch_group group) { delete group; }

int ctorch_group_sum_start(ctorch_group group, const ctorch_tensor *tensors, int count, ctorch_reduction *out) {
  return guarded([&] {
    auto reduction = std::make_unique<ctorch_reduction_impl>();
    reduction->parts = all(tensors, count);
    reduction->whole = joined(reduction->parts);
    std::vector<at::Tensor> whole = {reduction->whole};
    reduction->work = group->backend(whole[0]).allreduce(whole);
    // Nobody may look at them from here to the end.
    for (int i = 0; i < count; ++i) count_write(tensors[i]);
    *out = reduction.release();
  });
}

int ctorch_reduction_finish(ctorch_reduction reduction) {
  return guarded([&] {
    const std::unique_ptr<ctorch_reduction_impl> owned(reduction);
    owned->work->wait();
    separate(owned->whole, owned->parts);
  });
}

void ctorch_reduction_abandon(ctorch_reduction reduction) { delete reduction; }

int ctorch_group_broadcast(ctorch_group group, const ctorch_tensor *tensors, int count) {
  return guarded([&] {
    const auto parts = all(tensors, count);
    std::vector<at::Tensor> whole = {joined(parts)};
    group->backend(whole[0]).broadcast(whole)->wait();
    separate(whole[0], parts);
    for (int i = 0; i < count; ++i) count_write(tensors[i]);
  });
}

int ctorch_group_gather(ctorch_group group, ctorch_tensor mine, ctorch_tensor *out) {
  return guarded([&] {
    std::vector<at::Tensor> own = {joined({get(mine)})};
    std::vector<std::vector<at::Tensor>> parts(1);
    for (int rank = 0; rank < group->size; ++rank) {
      parts[0].push_back(exchangeable(own[0].sizes(), own[0].options()));
    }
    group->backend(own[0]).allgather(parts, own)->wait();
    *out = wrap(at::cat(parts[0]));
  });
}
