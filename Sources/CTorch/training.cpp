// Batches of images, and the optimiser.
#include <ATen/Dispatch.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <vector>

#include "support.h"

using namespace ctorch;

int ctorch_gather_images(ctorch_tensor images, const int64_t *indices, const uint8_t *flips, const int8_t *shifts,
                         int64_t count, const float *scale, const float *offset, ctorch_dtype dtype,
                         ctorch_tensor *out) {
  return guarded([&] {
    auto &source = get(images);
    TORCH_CHECK(source.dim() == 4 && source.scalar_type() == at::kByte && source.is_contiguous(),
                "images are bytes, N x C x H x W");
    const int64_t stored = source.size(0), channels = source.size(1), height = source.size(2), width = source.size(3);
    for (int64_t i = 0; i < count; ++i) {
      TORCH_CHECK(indices[i] >= 0 && indices[i] < stored, "image ", indices[i], " of ", stored);
    }
    // A byte has 256 values: their normalised forms are looked up.
    std::vector<float> table(channels * 256);
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t v = 0; v < 256; ++v) table[c * 256 + v] = static_cast<float>(v) * scale[c] + offset[c];
    }
    auto batch = at::empty({count, channels, height, width}, scalar_type(dtype), at::MemoryFormat::ChannelsLast);
    const uint8_t *bytes = source.const_data_ptr<uint8_t>();
    AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, batch.scalar_type(), "gather_images", [&] {
      scalar_t *target = batch.mutable_data_ptr<scalar_t>();
      parallel(count, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const uint8_t *image = bytes + indices[i] * channels * height * width;
          scalar_t *pixel = target + i * channels * height * width;
          for (int64_t y = 0; y < height; ++y) {
            const int64_t from_y = y - shifts[2 * i];
            for (int64_t x = 0; x < width; ++x, pixel += channels) {
              // Moved after mirroring: a shift to the right stays one.
              const int64_t moved = x - shifts[2 * i + 1];
              const bool inside = from_y >= 0 && from_y < height && moved >= 0 && moved < width;
              const int64_t from_x = flips[i] ? width - 1 - moved : moved;
              for (int64_t c = 0; c < channels; ++c) {
                pixel[c] = inside ? static_cast<scalar_t>(
                                        table[c * 256 + image[(c * height + from_y) * width + from_x]])
                                  : static_cast<scalar_t>(0);
              }
            }
          }
        }
      });
    });
    *out = wrap(batch);
  });
}

int ctorch_sgd(const ctorch_tensor *parameters, const ctorch_tensor *gradients, const ctorch_tensor *velocities,
               int count, double rate, double momentum, double decay, bool nesterov) {
  return guarded([&] {
    std::vector<at::Tensor> p, g, v;
    for (int i = 0; i < count; ++i) {
      p.push_back(get(parameters[i]));
      v.push_back(get(velocities[i]));
      auto gradient = get(gradients[i]);
      TORCH_CHECK(p[i].sizes() == gradient.sizes() && p[i].sizes() == v[i].sizes(), "parameter ", i, " of shape ",
                  p[i].sizes(), " with a gradient of shape ", gradient.sizes());
      // A 1x1 kernel is contiguous in both layouts, so a gradient may come in the other one.
      if (gradient.strides() != p[i].strides()) gradient = at::empty_like(p[i]).copy_(gradient);
      g.push_back(gradient);
    }
    at::_fused_sgd_(p, g, v, decay, momentum, rate, 0, nesterov, false, false);
  });
}
