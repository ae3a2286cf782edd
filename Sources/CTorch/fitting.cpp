// Small linear maps, fitted to what a network computes.
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <torch/optim/lbfgs.h>

#include "support.h"

using namespace ctorch;

namespace {

/// The pixels of an N×C×H×W tensor as rows of C numbers, in float64.
at::Tensor pixels(const at::Tensor &images) {
  TORCH_CHECK(images.dim() == 4, "N×C×H×W is needed, not ", images.sizes());
  return images.permute({0, 2, 3, 1}).reshape({-1, images.size(1)}).to(at::kDouble);
}

/// Deviations to divide by: 1 where one is 0, or no more than what rounding makes of a constant.
at::Tensor divisors(const at::Tensor &deviations, const at::Tensor &means) {
  return at::where(deviations > 1e-6 * means.abs(), deviations, 1.0);
}

}  // namespace

int ctorch_regression_add(ctorch_tensor inputs, ctorch_tensor outputs, ctorch_tensor gram, ctorch_tensor cross) {
  return guarded([&] {
    const auto bare = pixels(get(inputs));
    const auto x = at::cat({bare, at::ones({bare.size(0), 1}, bare.options())}, 1);
    get(gram).addmm_(x.t(), x);
    get(cross).addmm_(x.t(), pixels(get(outputs)));
    count_write(gram);
    count_write(cross);
  });
}

int ctorch_regression_solve(ctorch_tensor gram, ctorch_tensor cross, double penalty, ctorch_tensor *weight,
                            ctorch_tensor *bias, ctorch_tensor *means, ctorch_tensor *deviations) {
  return guarded([&] {
    const auto &sums = get(gram);
    const auto inputs = sums.size(0) - 1;
    const auto count = sums[inputs][inputs];
    TORCH_CHECK(count.item<double>() > 0, "a regression to which no pixel was added");
    TORCH_CHECK(penalty > 0, "a penalty of ", penalty, ", where one above 0 is needed");
    const auto mean = sums[inputs].narrow(0, 0, inputs) / count;
    const auto goal = get(cross)[inputs] / count;
    const auto covariance = sums.narrow(0, 0, inputs).narrow(1, 0, inputs) / count - mean.outer(mean);
    const auto shared = get(cross).narrow(0, 0, inputs) / count - mean.outer(goal);
    const auto spread = covariance.diagonal().clamp_min(0).sqrt();
    const auto divisor = divisors(spread, mean);
    const auto varies = (divisor == spread).to(at::kDouble);
    // Inputs of deviation 1. The rows and columns of those that do not vary are rounding errors.
    const auto scaled = covariance * (varies / divisor).outer(varies / divisor);
    const auto wanted = shared * (varies / divisor).unsqueeze(1);
    const auto penalised = scaled + at::eye(inputs, scaled.options()) * penalty + at::diag(1 - varies);
    const auto found = (at::linalg_solve(penalised, wanted) / divisor.unsqueeze(1)).t().contiguous();
    *weight = wrap(found);
    *bias = wrap(goal - found.mv(mean));
    *means = wrap(mean);
    *deviations = wrap(spread * varies);
  });
}

int ctorch_logistic_regression(ctorch_tensor features, ctorch_tensor labels, int64_t classes, double penalty,
                               ctorch_tensor *weight, ctorch_tensor *bias) {
  return guarded([&] {
    // L-BFGS keeps gradients in its parameters, as autograd does.
    c10::InferenceMode off(false);
    at::NoGradGuard none;
    const auto given = get(features).to(at::kDouble);
    const auto &chosen = get(labels);
    TORCH_CHECK(given.dim() == 2 && given.size(0) > 0 && chosen.numel() == given.size(0), "features of shape ",
                given.sizes(), " with ", chosen.numel(), " labels");
    const auto [low, high] = std::pair(chosen.min().item<int64_t>(), chosen.max().item<int64_t>());
    TORCH_CHECK(low >= 0 && high < classes, "labels from ", low, " to ", high, " for ", classes, " classes");
    const auto count = given.size(0);
    const auto mean = given.mean(0);
    const auto spread = given.std(0, false);
    const auto divisor = divisors(spread, mean);
    const auto x = (given - mean) * (divisor == spread) / divisor;
    // A parameter holds the weights, and in its last column the biases.
    auto fitted = at::zeros({classes, x.size(1) + 1}, x.options());
    fitted.set_requires_grad(true);
    const auto rows = chosen.to(x.device()).unsqueeze(1);
    const auto evaluate = [&] {
      at::NoGradGuard none;
      const auto plain = fitted.detach();
      const auto w = plain.narrow(1, 0, x.size(1));
      const auto logs = at::log_softmax(at::addmm(plain.select(1, x.size(1)), x, w.t()), 1);
      auto error = logs.exp();
      error.scatter_add_(1, rows, at::full_like(rows, -1, x.options()));
      error.div_(count);
      fitted.mutable_grad() = at::cat({error.t().mm(x) + w * penalty, error.sum(0).unsqueeze(1)}, 1);
      return logs.gather(1, rows).sum() / -count + w.square().sum() * (penalty / 2);
    };
    auto options = torch::optim::LBFGSOptions(1).max_iter(1000).max_eval(1250).history_size(20);
    options.tolerance_grad(1e-6).tolerance_change(1e-12).line_search_fn("strong_wolfe");
    torch::optim::LBFGS optimiser({fitted}, options);
    optimiser.step(evaluate);
    evaluate();
    const auto slope = fitted.grad().abs().max().item<double>();
    TORCH_CHECK(slope < 1e-4, "the logistic regression did not come to its optimum (a slope of ", slope,
                " is left): take a larger penalty, or look for features that are not finite");
    const auto plain = fitted.detach();
    const auto found = (plain.narrow(1, 0, x.size(1)) / divisor).contiguous();
    *weight = wrap(found);
    *bias = wrap(plain.select(1, x.size(1)) - found.mv(mean));
  });
}

int ctorch_divergence_gradient(ctorch_tensor target, ctorch_tensor read, double scale, ctorch_tensor *out) {
  return guarded([&] {
    const auto &wanted = get(target);
    const auto &found = get(read);
    TORCH_CHECK(wanted.sizes() == found.sizes() && wanted.dim() == 2, "outputs of shapes ", wanted.sizes(), " and ",
                found.sizes());
    *out = wrap((at::softmax(found, 1) - at::softmax(wanted, 1)).mul_(scale));
  });
}
