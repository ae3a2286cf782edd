// Operations that libtorch's autograd records, for one step of a network at a time.
//
// Tensors that are made under `guarded()` are inference tensors, which autograd refuses. A leaf is therefore another
// tensor on the same memory. Such an alias hides version counters: `ctorch_writes` counts what is written instead.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "devices.h"
#include "norms.h"

using namespace ctorch;

namespace {

/// Runs `body` as `guarded` does, but with autograd's bookkeeping.
template <class Body>
int recorded(Body &&body) noexcept {
  return guarded([&] {
    c10::InferenceMode off(false);
    at::AutoGradMode records(true);
    body();
  });
}

/// Another tensor on the same memory, which autograd takes. It keeps `tensor` alive.
at::Tensor recordable(const at::Tensor &tensor) {
  return at::from_blob(
      const_cast<void *>(tensor.const_data_ptr()), tensor.sizes(), tensor.strides(), [tensor](void *) {},
      tensor.options(), tensor.device());
}

at::Tensor convolved(at::Tensor x, const ctorch_convolution &from) {
  const auto &weight = get(from.weight);
  const auto bias = get_or_undefined(from.bias);
  const auto given = x.scalar_type();
  int64_t stride = from.stride;
  // Where a 1x1 kernel leaves pixels out, they are left out first: oneDNN's AVX2 kernel for the weight's gradient adds
  // up memory that nobody has written where the input has fewer than eight channels (torch 2.13.0).
  if (stride > 1 && from.padding == 0 && weight.size(2) == 1 && weight.size(3) == 1) {
    x = x.slice(2, 0, std::nullopt, stride)
            .slice(3, 0, std::nullopt, stride)
            .contiguous(at::MemoryFormat::ChannelsLast);
    stride = 1;
  }
  // Where the output is one pixel wide, at a stride above 1 on the processor, libtorch 2.13's bfloat16 gradient of the
  // weight reads memory that was never written.
  const bool misreads = given == at::kBFloat16 && x.is_cpu() && stride > 1 &&
                        (x.size(3) + 2 * from.padding - weight.size(3)) / stride == 0;
  const auto type = misreads ? at::kFloat : given;
  const auto offset = bias.defined() ? bias.to(type) : bias;
  TORCH_CHECK(weight.size(1) > 0 && x.size(1) % weight.size(1) == 0, "a filter of ", weight.size(1),
              " channels for activations of ", x.size(1));
  const auto groups = x.size(1) / weight.size(1);
  return at::conv2d(x.to(type), weight.to(type), offset, stride, from.padding, 1, groups).to(given);
}

}  // namespace

int64_t ctorch_writes(ctorch_tensor tensor) { return memory_of(tensor)->writes.load(); }

int ctorch_tape_leaf(ctorch_tensor tensor, bool watched, ctorch_tensor *out) {
  return recorded([&] {
    TORCH_CHECK(
        capture() == nullptr,
        "this network has blocks that use a tape, which cannot be captured as a CUDA graph: run its steps without "
        "capturing");
    auto leaf = recordable(get(tensor));
    leaf.set_requires_grad(watched);
    *out = wrap(leaf);
  });
}

int ctorch_tape_convolve(ctorch_tensor input, const ctorch_convolution *convolution, ctorch_tensor *out) {
  return recorded([&] { *out = wrap(convolved(get(input), *convolution)); });
}

int ctorch_tape_subsample(ctorch_tensor input, int stride, int zeros, ctorch_tensor *out) {
  return recorded([&] {
    const auto pixels = get(input).slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride);
    *out = wrap(at::constant_pad_nd(pixels, {0, 0, 0, 0, zeros, zeros}).contiguous(at::MemoryFormat::ChannelsLast));
  });
}

int ctorch_tape_average_pool(ctorch_tensor input, int size, ctorch_tensor *out) {
  return recorded([&] { *out = wrap(at::avg_pool2d(get(input), size, size, 0, true, false)); });
}

int ctorch_tape_normalise(ctorch_tensor input, const ctorch_norm *norm, ctorch_norm_mode mode, ctorch_tensor *out) {
  return recorded([&] {
    const auto &x = get(input);
    check_fits(x, *norm);
    TORCH_CHECK(!norm->group, "a recorded normalisation has the statistics of one process's images");
    check_updating(x, *norm, mode);
    const bool reads_running = mode.statistics != CTORCH_BATCH;
    const auto running = [&](ctorch_tensor tensor) { return reads_running ? recordable(get(tensor)) : at::Tensor(); };
    *out = wrap(at::batch_norm(x, get(norm->weight), get(norm->bias), running(norm->running_mean),
                               running(norm->running_var), mode.statistics != CTORCH_RUNNING, mode.momentum,
                               norm->epsilon, true));
    count_update(*norm, mode);
  });
}

int ctorch_tape_apply(ctorch_tape_operation operation, ctorch_tensor a, ctorch_tensor b, double scale,
                      ctorch_tensor *out) {
  return recorded([&] {
    const auto &x = get(a);
    switch (operation) {
      case CTORCH_TAPE_RELU:
        *out = wrap(at::relu(x));
        break;
      case CTORCH_TAPE_SIGMOID:
        *out = wrap(at::sigmoid(x));
        break;
      case CTORCH_TAPE_SCALE:
        *out = wrap(at::mul(x, scale));
        break;
      case CTORCH_TAPE_MEAN:
        *out = wrap(at::mean(x, {2, 3}, true));
        break;
      case CTORCH_TAPE_ADD:
        *out = wrap(at::add(x, get(b), scale));
        break;
      case CTORCH_TAPE_MULTIPLY:
        // b may be a float32 parameter while the activations are bfloat16.
        *out = wrap(at::mul(x, get(b).to(x.scalar_type())));
        break;
    }
  });
}

int ctorch_tape_result(ctorch_tensor value, ctorch_tensor *out) {
  return recorded([&] {
    at::NoGradGuard none;
    *out = wrap(channels_last(get(value).detach()));
  });
}

int ctorch_tape_gradients(const ctorch_tape_question *question, ctorch_tensor *out) {
  return recorded([&] {
    const auto &result = get(question->result);
    const auto &gradient = get(question->gradient);
    TORCH_CHECK(gradient.sizes() == result.sizes() && gradient.scalar_type() == result.scalar_type(),
                "a gradient of shape ", gradient.sizes(), " and type ", gradient.scalar_type(),
                " for a result of shape ", result.sizes(), " and type ", result.scalar_type());
    std::vector<at::Tensor> values;
    for (int i = 0; i < question->count; ++i) values.push_back(get(question->values[i]));
    // This second reference keeps autograd from adding gradients into the caller's tensor.
    const auto given = recordable(gradient);
    const auto found = torch::autograd::grad({result}, values, {given}, question->keeps_record, false, true);
    at::NoGradGuard none;
    std::vector<at::Tensor> gradients;
    for (int i = 0; i < question->count; ++i) {
      gradients.push_back(channels_last(found[i].defined() ? found[i].detach() : at::zeros_like(values[i])));
    }
    for (int i = 0; i < question->count; ++i) out[i] = wrap(gradients[i]);
  });
}
