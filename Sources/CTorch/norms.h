// Batch normalisation by our kernels: values a channel, statistics, and what is left of the way back.
#ifndef CTORCH_NORMS_H
#define CTORCH_NORMS_H

#include <vector>

#include "calling.h"

namespace ctorch {

/// The elements of a floating tensor of few, row-major.
std::vector<double> values(const at::Tensor &tensor);
/// A tensor of the elements behind `from`.
at::Tensor tensor_of(const double *from, at::IntArrayRef shape, at::ScalarType type);
/// A value a channel as the kernels take them.
std::vector<float> lined_up(const at::Tensor &tensor, int64_t channels);

/// The statistics that a normalisation runs by.
struct Statistics {
  std::vector<double> mean, inverse_deviation;

  /// Statistics for a backward pass: those that the forward pass returned, or the running ones.
  static Statistics of(const ctorch_norm &norm, ctorch_tensor batch);
  /// Statistics for a forward pass. Updates the running statistics where `norm` says so. `known_sums`, where not null,
  /// are the channel sums of x.
  static Statistics of(const kernels::Kernels &run, const at::Tensor &x, ctorch_tensor known_sums,
                       const ctorch_norm &norm, ctorch_norm_mode mode);
  /// As a forward returns them.
  at::Tensor as_batch() const;
};

/// A normalisation as the kernels take it: scale·x + shift.
struct Affine {
  std::vector<float> scale, shift, mean;
  Affine(const ctorch_norm &norm, const Statistics &statistics);
};

/// a, b and d of a pending gradient, and the gradients of γ and β, from this process's Σg and Σg·(x − mean) of its
/// `pixels` a channel.
struct NormGradient {
  at::Tensor coefficients, weight, bias;
  NormGradient(const ctorch_norm &norm, const Statistics &statistics, const double *own, double pixels);
};

/// ReLU(normalised x).
at::Tensor norm_relu(const kernels::Kernels &run, const at::Tensor &x, const Affine &affine);
/// `gradient` where the ReLU let through, in place. Returns Σg and Σg·(x − mean).
std::vector<double> through_relu(const kernels::Kernels &run, const at::Tensor &gradient, const at::Tensor &x,
                                 const Affine &affine);
/// out = skip + a·gradient + b·x + d, where there are such; `out` may be `gradient`.
void resolve(const kernels::Kernels &run, const at::Tensor &gradient, const at::Tensor &x, const float *a,
             const float *b, const float *d, const at::Tensor &skip, const at::Tensor &out);

/// The plain composition of normalisation and ReLU, of libtorch's operations.
struct PlainNorm {
  at::Tensor output, batch;
  PlainNorm(const at::Tensor &x, const ctorch_norm &norm, ctorch_norm_mode mode);
  /// The output of a forward that has been made, once more.
  static at::Tensor again(const at::Tensor &x, const ctorch_norm &norm, ctorch_tensor batch);

 private:
  void over_processes(const at::Tensor &x, const ctorch_norm &norm, ctorch_norm_mode mode);
};

/// Its way back.
struct PlainNormGradient {
  at::Tensor input, weight, bias;
  /// - output: the forward's
  PlainNormGradient(const at::Tensor &gradient, const at::Tensor &output, const at::Tensor &x, const ctorch_norm &norm,
                    ctorch_tensor batch);
};

/// Throws where a normalisation is of other channels: the kernels read by x's shape, and nothing behind them looks
/// again.
void check_fits(const at::Tensor &x, const ctorch_norm &norm);

/// Throws where the running variance would be updated by that of a single value, which has none.
void check_updating(const at::Tensor &x, const ctorch_norm &norm, ctorch_norm_mode mode);

/// Counts the running statistics as written, where a normalisation that has run updated them.
void count_update(const ctorch_norm &norm, ctorch_norm_mode mode);

}  // namespace ctorch

#endif
