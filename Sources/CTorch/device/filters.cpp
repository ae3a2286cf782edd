#include "filters.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <mutex>

#include "../devices.h"
#include "../support.h"
#include "launching.h"
#include "tensors.h"
#include "units.h"

namespace ctorch::device {

namespace {

std::mutex lock;

/// The prepared filter of a weight, which the handles to the weight's memory share.
PreparedFilter &kept(ctorch_tensor weight, at::ScalarType type) {
  return memory_of(weight)->filters[type == at::kFloat ? 0 : 1];
}

/// Says if a weight must be converted. A graph that is being captured must convert it itself, because replays change
/// the weights.
bool is_stale(ctorch_tensor weight, at::ScalarType type) {
  const auto &filter = kept(weight, type);
  const auto *graph = capture();
  return filter.writes != memory_of(weight)->writes ||
         (graph && std::find(graph->filters.begin(), graph->filters.end(), memory_of(weight)) == graph->filters.end());
}

/// Converts weights, which all lie on the device of the first.
void convert(const std::vector<ctorch_tensor> &weights, at::ScalarType type) {
  for (size_t begin = 0; begin < weights.size(); begin += most_filters) {
    const size_t count = std::min<size_t>(weights.size() - begin, most_filters);
    PrepareFilters args{};
    std::vector<at::Tensor> sources;
    for (size_t i = 0; i < count; ++i) {
      const auto weight = weights[begin + i];
      auto &filter = kept(weight, type);
      sources.push_back(channels_last(get(weight)));
      const auto &source = sources.back();
      const int64_t outputs = source.size(0), inputs = sixteens(source.size(1)), planes = type == at::kFloat ? 3 : 1;
      const auto room = [&](at::Tensor &tensor, int64_t from, int64_t to) {
        if (tensor.defined()) return;
        tensor = at::empty({to * 9 * (planes * from + line_padding)}, source.options().dtype(at::kBFloat16));
      };
      room(filter.forward, inputs, outputs);
      room(filter.backward, outputs, inputs);
      filter.writes = memory_of(weight)->writes;
      if (auto *graph = capture()) graph->filters.push_back(memory_of(weight));
      args.filters[i] = {.from = elements<float>(source),
                         .forward = filter.forward.mutable_data_ptr(),
                         .backward = filter.backward.mutable_data_ptr(),
                         .outputs = static_cast<int>(outputs),
                         .inputs = static_cast<int>(inputs),
                         .stored = static_cast<int>(source.size(1)),
                         .by_output = division(9 * inputs),
                         .by_inputs = division(inputs)};
    }
    launch(sources[0],
           {.kernel = "prepare_filters",
            .blocks = {64, static_cast<int64_t>(count)},
            .threads = most_threads,
            .type = type},
           args);
  }
}

}  // namespace

PreparedFilter prepared_filter(ctorch_tensor weight, at::ScalarType type) {
  const std::lock_guard<std::mutex> hold(lock);
  if (is_stale(weight, type)) convert({weight}, type);
  return kept(weight, type);
}

void prepare_filters(const std::vector<ctorch_tensor> &weights, at::ScalarType type) {
  // Asked before the lock is taken: the first time, the kernels are tried, and that prepares filters too.
  if (weights.empty() || !launches(get(weights[0]))) return;
  const std::lock_guard<std::mutex> hold(lock);
  std::vector<ctorch_tensor> stale;
  for (auto weight : weights) {
    if (is_filter(get(weight)) && is_stale(weight, type)) stale.push_back(weight);
  }
  convert(stale, type);
}

}  // namespace ctorch::device
