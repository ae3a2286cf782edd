// Cross-entropy and reductions, a value a sample.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>

#include <cmath>
#include <limits>
#include <vector>

#include "calling.h"
#include "device/layers.h"

using namespace ctorch;

namespace {
/// Logits in float64 with the class of each. A row has tens of classes: float64 costs nothing here and keeps sums over
/// samples exact enough.
struct Labelled {
  at::Tensor logits, labels;
  int64_t samples, classes;

  Labelled(ctorch_tensor z, ctorch_tensor y)
      : logits(get(z).to(at::kDouble).cpu().contiguous()), labels(get(y).cpu().contiguous()) {
    TORCH_CHECK(
        logits.dim() == 2 && labels.dim() == 1 && labels.scalar_type() == at::kLong && labels.size(0) == logits.size(0),
        "logits of shape ", logits.sizes(), " and labels of shape ", labels.sizes());
    samples = logits.size(0);
    classes = logits.size(1);
  }

  const double *row(int64_t n) const { return elements<double>(logits) + n * classes; }

  int64_t target(int64_t n) const {
    const int64_t y = elements<int64_t>(labels)[n];
    TORCH_CHECK(y >= 0 && y < classes, "label ", y, " of sample ", n, " is not one of ", classes, " classes");
    return y;
  }
};

/// Returns the gradients with respect to the logits, where they are wanted, in float64.
at::Tensor cross_entropy(const Labelled &rows, double smoothing, const ctorch_predictions &to, bool wants_gradient,
                         double grad_scale) {
  const int64_t samples = rows.samples, classes = rows.classes;
  auto gradient = wants_gradient ? at::empty_like(rows.logits) : at::Tensor();
  double *grads = wants_gradient ? gradient.mutable_data_ptr<double>() : nullptr;
  std::vector<double> p(classes);
  for (int64_t n = 0; n < samples; ++n) {
    const double *row = rows.row(n);
    const int64_t y = rows.target(n);
    int64_t best = 0;
    // NaN counts as the largest value, as in libtorch.
    for (int64_t k = 1; k < classes; ++k) best = row[k] <= row[best] || std::isnan(row[best]) ? best : k;
    double total = 0;
    for (int64_t k = 0; k < classes; ++k) total += p[k] = std::exp(row[k] - row[best]);
    const double log_total = std::log(total);
    double entropy = 0, mean_log = 0;
    for (int64_t k = 0; k < classes; ++k) {
      p[k] /= total;
      const double log_p = row[k] - row[best] - log_total;
      entropy -= p[k] == 0 ? 0 : p[k] * log_p;
      mean_log += log_p / classes;
    }
    const double own = row[y] - row[best] - log_total;
    // Infinity times 0 is no number: a class of no probability costs nothing where it is not meant.
    if (to.losses) to.losses[n] = -(1 - smoothing) * own - (smoothing == 0 ? 0 : smoothing * mean_log);
    if (to.entropies) to.entropies[n] = entropy;
    if (to.margins) {
      double other = 0;
      for (int64_t k = 0; k < classes; ++k) other = k == y ? other : std::max(other, p[k]);
      to.margins[n] = p[y] - other;
    }
    if (to.classes) to.classes[n] = best;
    if (grads) {
      for (int64_t k = 0; k < classes; ++k) {
        const double target = (k == y ? 1 - smoothing : 0) + smoothing / classes;
        grads[n * classes + k] = (p[k] - target) * grad_scale;
      }
    }
  }
  return gradient;
}

/// As `ctorch_batch_loss` returns them, by libtorch's operations, wherever the tensors lie.
std::pair<at::Tensor, at::Tensor> batch_loss(const at::Tensor &logits, const at::Tensor &labels, double smoothing,
                                             double grad_scale) {
  const auto log_p = at::log_softmax(logits.to(at::kDouble), 1);
  const auto target = at::full_like(log_p, smoothing / static_cast<double>(log_p.size(1)));
  target.scatter_add_(1, labels.view({-1, 1}), at::full_like(log_p.narrow(1, 0, 1), 1 - smoothing));
  const auto loss = target.mul(log_p).masked_fill_(target.eq(0), 0).sum().neg();
  const auto wrong = logits.argmax(1).ne(labels).sum().to(at::kDouble);
  return {at::stack({loss, wrong}), log_p.exp().sub_(target).mul_(grad_scale).to(logits.scalar_type())};
}
}  // namespace

int ctorch_cross_entropy(ctorch_tensor logits, ctorch_tensor labels, double smoothing, double grad_scale,
                         ctorch_predictions out, ctorch_tensor *grad_logits) {
  return guarded([&] {
    const auto gradient = cross_entropy({logits, labels}, smoothing, out, grad_logits != nullptr, grad_scale);
    if (grad_logits) *grad_logits = wrap(gradient.to(get(logits).options()));
  });
}

int ctorch_batch_loss(ctorch_tensor logits, ctorch_tensor labels, double smoothing, double grad_scale,
                      ctorch_tensor *sums, ctorch_tensor *grad_logits) {
  return guarded([&] {
    at::Tensor both, gradient;
    if (device::takes_loss(get(logits), get(labels))) {
      std::tie(both, gradient) = device::batch_loss(get(logits), get(labels), smoothing, grad_scale);
    } else if (ours(get(logits))) {
      const Labelled rows(logits, labels);
      std::vector<double> losses(rows.samples);
      std::vector<int64_t> classes(rows.samples);
      const ctorch_predictions out = {
          .losses = losses.data(), .entropies = nullptr, .margins = nullptr, .classes = classes.data()};
      gradient = cross_entropy(rows, smoothing, out, true, grad_scale).to(get(logits).scalar_type());
      double found[2] = {0, 0};
      for (int64_t n = 0; n < rows.samples; ++n) {
        found[0] += losses[n];
        found[1] += classes[n] == rows.target(n) ? 0 : 1;
      }
      both = at::empty({2}, at::kDouble);
      std::copy_n(found, 2, both.mutable_data_ptr<double>());
    } else {
      std::tie(both, gradient) = batch_loss(get(logits), get(labels), smoothing, grad_scale);
    }
    *sums = wrap(both);
    *grad_logits = wrap(gradient);
  });
}

int ctorch_log_odds(ctorch_tensor logits, ctorch_tensor labels, double *error_probabilities,
                    ctorch_tensor *grad_logits) {
  return guarded([&] {
    const Labelled rows(logits, labels);
    auto gradient = at::empty_like(rows.logits);
    double *grads = gradient.mutable_data_ptr<double>();
    for (int64_t n = 0; n < rows.samples; ++n) {
      const double *row = rows.row(n);
      const int64_t y = rows.target(n);
      double best = -std::numeric_limits<double>::infinity(), total = 0;
      for (int64_t k = 0; k < rows.classes; ++k) best = k != y && row[k] > best ? row[k] : best;
      for (int64_t k = 0; k < rows.classes; ++k) total += k == y ? 0 : std::exp(row[k] - best);
      // u = log Σ_{k≠y} exp z_k − z_y: no difference of numbers near 1, however sure the network is.
      const double odds = best + std::log(total) - row[y];
      error_probabilities[n] = 1 / (1 + std::exp(-odds));
      for (int64_t k = 0; k < rows.classes; ++k) {
        grads[n * rows.classes + k] = k == y ? -1 : std::exp(row[k] - best) / total;
      }
    }
    *grad_logits = wrap(gradient.to(get(logits).options()));
  });
}

namespace {
void sample_products(const at::Tensor &first, const at::Tensor &second, double *ab, double *aa, double *bb) {
  TORCH_CHECK(first.sizes() == second.sizes() && first.scalar_type() == second.scalar_type(),
              "products of unlike tensors: ", first.sizes(), " ", first.scalar_type(), " and ", second.sizes(), " ",
              second.scalar_type());
  TORCH_CHECK(first.is_floating_point() && first.dim() >= 1, "products of tensors of type ", first.scalar_type());
  const int64_t samples = first.size(0);
  if (ours(first) && first.scalar_type() != at::kDouble) {
    const auto a = channels_last(first), b = channels_last(second);
    const int64_t count = samples == 0 ? 0 : a.numel() / samples;
    const char *pa = static_cast<const char *>(a.const_data_ptr()), *pb = static_cast<const char *>(b.const_data_ptr());
    const int64_t bytes = count * static_cast<int64_t>(a.element_size());
    const auto &run = *kernels::chosen();
    parallel(samples, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        double sums[3];
        run.products(a.scalar_type() == at::kBFloat16, pa + n * bytes, pb + n * bytes, count, sums);
        ab[n] = sums[0];
        aa[n] = sums[1];
        bb[n] = sums[2];
      }
    });
    return;
  }
  const auto a = first.to(at::kDouble).flatten(1), b = second.to(at::kDouble).flatten(1);
  const auto sums = at::stack({a.mul(b).sum(1), a.mul(a).sum(1), b.mul(b).sum(1)}).cpu();
  const double *from = elements<double>(sums);
  std::copy_n(from, samples, ab);
  std::copy_n(from + samples, samples, aa);
  std::copy_n(from + 2 * samples, samples, bb);
}
}  // namespace

int ctorch_sample_products(ctorch_tensor a, ctorch_tensor b, double *ab, double *aa, double *bb) {
  return guarded([&] { sample_products(get(a), get(b), ab, aa, bb); });
}

int ctorch_sample_squares(ctorch_tensor a, double *aa) {
  return guarded([&] {
    std::vector<double> same(get(a).size(0));
    sample_products(get(a), get(a), same.data(), aa, same.data());
  });
}
