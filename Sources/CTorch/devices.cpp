// Devices: where tensors lie, and work that a device does later. Whatever kind of device it is: what needs CUDA's
// headers is in graphs.cpp.
#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <memory>

#include "devices.h"
#include "support.h"

using namespace ctorch;

struct ctorch_reading_impl {
  at::Tensor values;
  std::unique_ptr<c10::Event> arrived;
};

namespace ctorch {
c10::Device device_of(ctorch_device device) {
  return device == CTORCH_CPU ? c10::Device(at::kCPU) : c10::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device));
}
}  // namespace ctorch

bool ctorch_has_cuda(void) {
  bool answer = false;
  return guarded([&] { answer = at::detail::getCUDAHooks().isBuilt(); }) == 0 && answer;
}

int ctorch_cuda_device_count(void) {
  int count = 0;
  int status = guarded([&] { count = at::detail::getCUDAHooks().deviceCount(); });
  return status == 0 ? count : 0;
}

int ctorch_use_cuda(ctorch_device device) {
  return guarded([&] {
    TORCH_CHECK(device >= 0 && device < ctorch_cuda_device_count(), "there is no CUDA device ", device);
    auto &context = at::globalContext();
    context.lazyInitDevice(at::kCUDA);
    // TF32 keeps 10 of float32's 23 bits.
    context.setAllowTF32CuDNN(false);
    context.setAllowTF32CuBLAS(false);
    // A run that goes on must come to the same weights: neither sums in any order, nor algorithms by how fast they ran.
    context.setDeterministicCuDNN(true);
    context.setBenchmarkCuDNN(false);
    c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(device_of(device));
  });
}

int ctorch_synchronize(ctorch_device device) {
  return guarded([&] {
    if (device != CTORCH_CPU) c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(device_of(device).index());
  });
}

int ctorch_use_own_stream(ctorch_device device) {
  return guarded([&] {
    if (device == CTORCH_CPU) return;
    const c10::impl::VirtualGuardImpl cuda(at::kCUDA);
    cuda.setDevice(device_of(device));
    cuda.exchangeStream(cuda.getStreamFromGlobalPool(device_of(device)));
  });
}

ctorch_device ctorch_device_of(ctorch_tensor tensor) {
  return tensor->value.is_cpu() ? CTORCH_CPU : tensor->value.get_device();
}

int ctorch_to_device(ctorch_tensor tensor, ctorch_device device, ctorch_tensor *out) {
  return guarded([&] {
    const auto where = device_of(device);
    const auto moved = get(tensor).to(where, /*non_blocking=*/!where.is_cpu());
    *out = moved.is_alias_of(get(tensor)) ? wrap_view(moved, tensor) : wrap(moved);
  });
}

int ctorch_read_start(ctorch_tensor tensor, ctorch_reading *out) {
  return guarded([&] {
    auto &from = get(tensor);
    TORCH_CHECK(from.scalar_type() == at::kDouble, "only float64 is read later");
    auto reading = std::make_unique<ctorch_reading_impl>();
    reading->values = at::empty(from.sizes(), at::TensorOptions(at::kDouble).pinned_memory(!from.is_cpu()));
    reading->values.copy_(from, /*non_blocking=*/true);
    if (!from.is_cpu()) {
      reading->arrived = std::make_unique<c10::Event>(from.device().type());
      reading->arrived->record(c10::impl::VirtualGuardImpl(from.device().type()).getStream(from.device()));
    }
    *out = reading.release();
  });
}

int ctorch_read_finish(ctorch_reading reading, double *values, size_t count) {
  return guarded([&] {
    const std::unique_ptr<ctorch_reading_impl> owned(reading);
    if (owned->arrived) owned->arrived->synchronize();
    const auto found = owned->values.contiguous();
    TORCH_CHECK(static_cast<size_t>(found.numel()) == count, "room for ", count, " values where there are ",
                found.numel());
    std::copy_n(elements<double>(found), count, values);
  });
}

void ctorch_read_abandon(ctorch_reading reading) { delete reading; }
