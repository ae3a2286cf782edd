// Cross-entropy and reductions, a value a sample.
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/ops/empty_like.h>

#include <cmath>
#include <vector>

#include "support.h"

using namespace ctorch;

int ctorch_cross_entropy(ctorch_tensor logits, ctorch_tensor labels, double smoothing, double grad_scale,
                         double *losses, double *entropies, int64_t *predictions, ctorch_tensor *grad_logits) {
  return guarded([&] {
    // A row has tens of classes: float64 costs nothing here and keeps sums over samples exact enough.
    auto z = get(logits).to(at::kDouble).contiguous();
    auto y = get(labels).contiguous();
    TORCH_CHECK(z.dim() == 2 && y.dim() == 1 && y.scalar_type() == at::kLong && y.size(0) == z.size(0),
                "logits of shape ", z.sizes(), " and labels of shape ", y.sizes());
    const int64_t samples = z.size(0), classes = z.size(1);
    auto gradient = grad_logits ? at::empty_like(z) : at::Tensor();
    const double *all = z.const_data_ptr<double>();
    const int64_t *targets = y.const_data_ptr<int64_t>();
    double *grads = grad_logits ? gradient.mutable_data_ptr<double>() : nullptr;
    std::vector<double> p(classes);
    for (int64_t n = 0; n < samples; ++n) {
      const double *row = all + n * classes;
      TORCH_CHECK(targets[n] >= 0 && targets[n] < classes, "label ", targets[n], " of sample ", n, " is not one of ",
                  classes, " classes");
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
      const double own = row[targets[n]] - row[best] - log_total;
      if (losses) losses[n] = -(1 - smoothing) * own - smoothing * mean_log;
      if (entropies) entropies[n] = entropy;
      if (predictions) predictions[n] = best;
      if (grads) {
        for (int64_t k = 0; k < classes; ++k) {
          const double target = (k == targets[n] ? 1 - smoothing : 0) + smoothing / classes;
          grads[n * classes + k] = (p[k] - target) * grad_scale;
        }
      }
    }
    if (grad_logits) *grad_logits = wrap(gradient.to(get(logits).scalar_type()));
  });
}

namespace {
/// Sums of products over one sample. Short runs are summed in the working precision, which the compiler
/// can vectorise, and the runs in float64.
template <class Element>
void products(const Element *a, const Element *b, int64_t count, double *ab, double *aa, double *bb) {
  using Working = at::opmath_type<Element>;
  constexpr int64_t lanes = 16, run = 64 * lanes;
  double total_ab = 0, total_aa = 0, total_bb = 0;
  for (int64_t start = 0; start < count; start += run) {
    const int64_t end = std::min(count, start + run);
    Working sum_ab[lanes] = {}, sum_aa[lanes] = {}, sum_bb[lanes] = {};
    int64_t i = start;
    for (; i + lanes <= end; i += lanes) {
      for (int64_t k = 0; k < lanes; ++k) {
        const Working x = static_cast<Working>(a[i + k]), y = static_cast<Working>(b[i + k]);
        sum_ab[k] += x * y;
        sum_aa[k] += x * x;
        sum_bb[k] += y * y;
      }
    }
    for (; i < end; ++i) {
      const Working x = static_cast<Working>(a[i]), y = static_cast<Working>(b[i]);
      sum_ab[0] += x * y;
      sum_aa[0] += x * x;
      sum_bb[0] += y * y;
    }
    for (int64_t k = 0; k < lanes; ++k) {
      total_ab += sum_ab[k];
      total_aa += sum_aa[k];
      total_bb += sum_bb[k];
    }
  }
  *ab = total_ab;
  *aa = total_aa;
  *bb = total_bb;
}

void sample_products(const at::Tensor &first, const at::Tensor &second, double *ab, double *aa, double *bb) {
  TORCH_CHECK(first.sizes() == second.sizes() && first.scalar_type() == second.scalar_type(),
              "products of unlike tensors: ", first.sizes(), " ", first.scalar_type(), " and ", second.sizes(), " ",
              second.scalar_type());
  auto a = channels_last(first), b = channels_last(second);
  const int64_t samples = a.size(0), count = samples == 0 ? 0 : a.numel() / samples;
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, a.scalar_type(), "sample_products", [&] {
    const scalar_t *pa = a.const_data_ptr<scalar_t>(), *pb = b.const_data_ptr<scalar_t>();
    parallel(samples, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        products(pa + n * count, pb + n * count, count, ab + n, aa + n, bb + n);
      }
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
