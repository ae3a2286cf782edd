// Batches of images, and the optimiser.
#include <ATen/Dispatch.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>

#include <vector>

#include "calling.h"
#include "device/launching.h"
#include "device/layers.h"

using namespace ctorch;

namespace {
/// By our own loop: an image after the other, on all threads.
at::Tensor gathered(const at::Tensor &images, const at::Tensor &selection, const at::Tensor &scale,
                    const at::Tensor &offset, at::ScalarType type) {
  const int64_t count = selection.size(0), stored = images.size(0);
  const int64_t channels = images.size(1), height = images.size(2), width = images.size(3);
  const int64_t *selected = elements<int64_t>(selection);
  for (int64_t i = 0; i < count; ++i) {
    TORCH_CHECK(selected[4 * i] >= 0 && selected[4 * i] < stored, "image ", selected[4 * i], " of ", stored);
  }
  // A byte has 256 values: their normalised forms are looked up.
  std::vector<float> table(channels * 256);
  const float *slope = elements<float>(scale), *shift = elements<float>(offset);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t v = 0; v < 256; ++v) table[c * 256 + v] = static_cast<float>(v) * slope[c] + shift[c];
  }
  auto batch = at::empty({count, channels, height, width}, type, at::MemoryFormat::ChannelsLast);
  const uint8_t *bytes = elements<uint8_t>(images);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, type, "gather_images", [&] {
    scalar_t *target = batch.mutable_data_ptr<scalar_t>();
    parallel(count, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t flips = selected[4 * i + 1], down = selected[4 * i + 2], right = selected[4 * i + 3];
        const uint8_t *image = bytes + selected[4 * i] * channels * height * width;
        scalar_t *pixel = target + i * channels * height * width;
        for (int64_t y = 0; y < height; ++y) {
          const int64_t from_y = y - down;
          for (int64_t x = 0; x < width; ++x, pixel += channels) {
            // Moved after mirroring: a shift to the right stays one.
            const int64_t moved = x - right;
            const bool inside = from_y >= 0 && from_y < height && moved >= 0 && moved < width;
            const int64_t from_x = flips ? width - 1 - moved : moved;
            for (int64_t c = 0; c < channels; ++c) {
              pixel[c] = inside ? static_cast<scalar_t>(table[c * 256 + image[(c * height + from_y) * width + from_x]])
                                : static_cast<scalar_t>(0);
            }
          }
        }
      }
    });
  });
  return batch;
}

/// By libtorch's operations, wherever the tensors lie.
at::Tensor gathered_by_libtorch(const at::Tensor &images, const at::Tensor &selection, const at::Tensor &scale,
                                const at::Tensor &offset, at::ScalarType type) {
  const int64_t count = selection.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
  const auto column = [&](int64_t which) { return selection.select(1, which).view({count, 1, 1}); };
  const auto y = at::arange(height, selection.options()).view({1, height, 1}).sub(column(2));
  const auto x = at::arange(width, selection.options()).view({1, 1, width}).sub(column(3));
  const auto inside = y.ge(0).logical_and(y.lt(height)).logical_and(x.ge(0).logical_and(x.lt(width)));
  const auto mirrored = at::where(column(1).ne(0), x.neg().add(width - 1), x);
  const auto from = y.clamp(0, height - 1).mul(width).add(mirrored.clamp(0, width - 1));
  const auto places = from.view({count, 1, height * width}).expand({count, channels, height * width});
  const auto bytes = images.index_select(0, selection.select(1, 0)).flatten(2).gather(2, places);
  const auto pixels = bytes.to(at::kFloat).mul(scale.view({1, channels, 1})).add(offset.view({1, channels, 1}));
  return channels_last(
      pixels.mul(inside.view({count, 1, height * width})).view({count, channels, height, width}).to(type));
}
}  // namespace

int ctorch_gather_images(ctorch_tensor images, ctorch_tensor selection, ctorch_tensor scale, ctorch_tensor offset,
                         ctorch_dtype dtype, ctorch_tensor *out) {
  return guarded([&] {
    auto &source = get(images);
    TORCH_CHECK(source.dim() == 4 && source.scalar_type() == at::kByte && source.is_contiguous(),
                "images are bytes, N x C x H x W");
    const auto chosen = get(selection).contiguous(), slope = get(scale).contiguous(), shift = get(offset).contiguous();
    TORCH_CHECK(chosen.dim() == 2 && chosen.size(1) == 4 && chosen.scalar_type() == at::kLong,
                "a selection of images is of shape N x 4 and of int64");
    TORCH_CHECK(slope.numel() == source.size(1) && shift.numel() == source.size(1) &&
                    slope.scalar_type() == at::kFloat && shift.scalar_type() == at::kFloat,
                "scale and offset are a float32 a channel");
    const auto type = scalar_type(dtype);
    const bool is_kind = type == at::kFloat || type == at::kBFloat16;
    const auto by = is_kind && device::launches(source) ? device::gathered
                    : ours(source)                      ? gathered
                                                        : gathered_by_libtorch;
    *out = wrap(by(source, chosen, slope, shift, type));
  });
}

int ctorch_count_step(ctorch_tensor totals, ctorch_tensor sums, ctorch_tensor *skip) {
  return guarded([&] {
    auto &all = get(totals);
    if (device::launches(all)) {
      *skip = wrap(device::count_step(all, get(sums)));
      return;
    }
    all.narrow(0, 0, 2).add_(get(sums));
    const auto finite = all.narrow(0, 0, 1).isfinite();
    all.narrow(0, 2, 1).add_(finite);
    *skip = wrap(finite.logical_not().to(at::kFloat));
  });
}

int ctorch_sgd(const ctorch_sgd_step *step) {
  return guarded([&] {
    std::vector<at::Tensor> p, g, v;
    for (int i = 0; i < step->count; ++i) {
      p.push_back(get(step->parameters[i]));
      v.push_back(get(step->velocities[i]));
      auto gradient = get(step->gradients[i]);
      TORCH_CHECK(p[i].sizes() == gradient.sizes() && p[i].sizes() == v[i].sizes(), "parameter ", i, " of shape ",
                  p[i].sizes(), " with a gradient of shape ", gradient.sizes());
      // A 1x1 kernel is contiguous in both layouts, so a gradient may come in the other one.
      if (gradient.strides() != p[i].strides()) gradient = at::empty_like(p[i]).copy_(gradient);
      g.push_back(gradient);
    }
    std::optional<at::Tensor> skips;
    if (step->unless) skips = get(step->unless);
    // On a device the rate must have the kernel's own type; on the processor it is read as it is.
    const auto &rate = get(step->rate);
    if (step->momentum == 0) v.clear();
    const device::SGDStep own{.parameters = p,
                              .velocities = v,
                              .gradients = g,
                              .rate = rate,
                              .unless = skips.value_or(at::Tensor()),
                              .decay = step->decay,
                              .momentum = step->momentum,
                              .nesterov = step->nesterov};
    if (device::takes(own)) {
      device::sgd(own);
    } else {
      at::_fused_sgd_(p, g, v, step->decay, step->momentum, rate.is_cpu() ? rate : rate.to(at::kFloat), 0,
                      step->nesterov, false, false, {}, skips);
    }
    for (int i = 0; i < step->count; ++i) {
      count_write(step->parameters[i]);
      count_write(step->velocities[i]);
    }
  });
}

int ctorch_adam(const ctorch_tensor *parameters, const ctorch_tensor *gradients, const ctorch_tensor *firsts,
                const ctorch_tensor *seconds, int count, double rate, int64_t steps) {
  return guarded([&] {
    std::vector<at::Tensor> p, g, m, v, numbers;
    for (int i = 0; i < count; ++i) {
      p.push_back(get(parameters[i]));
      m.push_back(get(firsts[i]));
      v.push_back(get(seconds[i]));
      auto gradient = get(gradients[i]);
      TORCH_CHECK(p[i].sizes() == gradient.sizes() && p[i].sizes() == m[i].sizes() && p[i].sizes() == v[i].sizes(),
                  "parameter ", i, " of shape ", p[i].sizes(), " with a gradient of shape ", gradient.sizes(),
                  " and moments of shapes ", m[i].sizes(), " and ", v[i].sizes());
      if (gradient.strides() != p[i].strides()) gradient = at::empty_like(p[i]).copy_(gradient);
      g.push_back(gradient);
      numbers.push_back(at::full({}, steps, p[i].options().dtype(at::kFloat)));
    }
    at::_fused_adam_(p, g, m, v, {}, numbers, rate, 0.9, 0.999, 0, 1e-8, false, false);
    for (int i = 0; i < count; ++i) {
      for (const auto written : {parameters[i], firsts[i], seconds[i]}) count_write(written);
    }
  });
}
