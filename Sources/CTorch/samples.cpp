// Cross-entropy and reductions, a value a sample.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty_like.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/select.h"
#include "support.h"

using namespace ctorch;

namespace {
/// Logits in float64 with the class of each. A row has tens of classes: float64 costs nothing here and keeps sums over
/// samples exact enough.
struct Labelled {
  at::Tensor logits, labels;
  int64_t samples, classes;

  Labelled(ctorch_tensor z, ctorch_tensor y)
      : logits(get(z).to(at::kDouble).contiguous()), labels(get(y).contiguous()) {
    TORCH_CHECK(logits.dim() == 2 && labels.dim() == 1 && labels.scalar_type() == at::kLong &&
                    labels.size(0) == logits.size(0),
                "logits of shape ", logits.sizes(), " and labels of shape ", labels.sizes());
    samples = logits.size(0);
    classes = logits.size(1);
  }

  const double *row(int64_t n) const { return logits.const_data_ptr<double>() + n * classes; }

  int64_t target(int64_t n) const {
    const int64_t y = labels.const_data_ptr<int64_t>()[n];
    TORCH_CHECK(y >= 0 && y < classes, "label ", y, " of sample ", n, " is not one of ", classes, " classes");
    return y;
  }
};
}  // namespace

int ctorch_cross_entropy(ctorch_tensor logits, ctorch_tensor labels, double smoothing, double grad_scale,
                         double *losses, double *entropies, double *margins, int64_t *predictions,
                         ctorch_tensor *grad_logits) {
  return guarded([&] {
    const Labelled rows(logits, labels);
    const int64_t samples = rows.samples, classes = rows.classes;
    auto gradient = grad_logits ? at::empty_like(rows.logits) : at::Tensor();
    double *grads = grad_logits ? gradient.mutable_data_ptr<double>() : nullptr;
    std::vector<double> p(classes);
    for (int64_t n = 0; n < samples; ++n) {
      const double *row = rows.row(n);
      const int64_t y = rows.target(n);
      int64_t best = 0;
      for (int64_t k = 1; k < classes; ++k) best = row[k] > row[best] ? k : best;
      double total = 0;
      for (int64_t k = 0; k < classes; ++k) total += p[k] = std::exp(row[k] - row[best]);
      const double log_total = std::log(total);
      double entropy = 0, mean_log = 0;
      for (int64_t k = 0; k < classes; ++k) {
        p[k] /= total;
        const double log_p = row[k] - row[best] - log_total;
        entropy -= p[k] > 0 ? p[k] * log_p : 0;
        mean_log += log_p / classes;
      }
      const double own = row[y] - row[best] - log_total;
      if (losses) losses[n] = -(1 - smoothing) * own - smoothing * mean_log;
      if (entropies) entropies[n] = entropy;
      if (margins) {
        double other = 0;
        for (int64_t k = 0; k < classes; ++k) other = k == y ? other : std::max(other, p[k]);
        margins[n] = p[y] - other;
      }
      if (predictions) predictions[n] = best;
      if (grads) {
        for (int64_t k = 0; k < classes; ++k) {
          const double target = (k == y ? 1 - smoothing : 0) + smoothing / classes;
          grads[n * classes + k] = (p[k] - target) * grad_scale;
        }
      }
    }
    if (grad_logits) *grad_logits = wrap(gradient.to(get(logits).scalar_type()));
  });
}

int ctorch_log_odds(ctorch_tensor logits, ctorch_tensor labels, double *doubts, ctorch_tensor *grad_logits) {
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
      doubts[n] = 1 / (1 + std::exp(-odds));
      for (int64_t k = 0; k < rows.classes; ++k) {
        grads[n * rows.classes + k] = k == y ? -1 : std::exp(row[k] - best) / total;
      }
    }
    *grad_logits = wrap(gradient.to(get(logits).scalar_type()));
  });
}

namespace {
/// Sums of products over one sample, in float64.
template <class Element>
void products(const Element *a, const Element *b, int64_t count, double *sums) {
  sums[0] = sums[1] = sums[2] = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    sums[0] += x * y;
    sums[1] += x * x;
    sums[2] += y * y;
  }
}

void sample_products(const at::Tensor &first, const at::Tensor &second, double *ab, double *aa, double *bb) {
  TORCH_CHECK(first.sizes() == second.sizes() && first.scalar_type() == second.scalar_type(),
              "products of unlike tensors: ", first.sizes(), " ", first.scalar_type(), " and ", second.sizes(), " ",
              second.scalar_type());
  auto a = channels_last(first), b = channels_last(second);
  const int64_t samples = a.size(0), count = samples == 0 ? 0 : a.numel() / samples;
  const auto sample = [&](const auto &sums_of, int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      double sums[3];
      sums_of(n, sums);
      ab[n] = sums[0];
      aa[n] = sums[1];
      bb[n] = sums[2];
    }
  };
  const auto *run = kernels::chosen();
  if (run != nullptr && (a.scalar_type() == at::kFloat || a.scalar_type() == at::kBFloat16)) {
    const char *pa = static_cast<const char *>(a.const_data_ptr()), *pb = static_cast<const char *>(b.const_data_ptr());
    const int64_t bytes = count * static_cast<int64_t>(a.element_size());
    parallel(samples, [&](int64_t begin, int64_t end) {
      sample([&](int64_t n, double *sums) {
        run->products(a.scalar_type() == at::kBFloat16, pa + n * bytes, pb + n * bytes, count, sums);
      }, begin, end);
    });
    return;
  }
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, a.scalar_type(), "sample_products", [&] {
    const scalar_t *pa = a.const_data_ptr<scalar_t>(), *pb = b.const_data_ptr<scalar_t>();
    parallel(samples, [&](int64_t begin, int64_t end) {
      sample([&](int64_t n, double *sums) { products(pa + n * count, pb + n * count, count, sums); }, begin, end);
    });
  });
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
