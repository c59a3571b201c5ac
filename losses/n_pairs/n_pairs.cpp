#include <kindred/engine/tape.h>
#include <kindred/losses/n_pairs/n_pairs.h>
#include <kindred/losses/pairs/pairs.h>
#include <kindred/losses/supcon/kernels.h>

#include <cmath>

namespace kindred {
namespace {

const Operation n_pairs_operation("n_pairs");

// One view: rows `view` * B to (view + 1) * B.
SupConRows view_of(const Tensor& features, const Tensor& labels, const Tensor& cap, std::int64_t view) {
  const std::int64_t images = features.dim(0) / 2, begin = view * images, end = begin + images;
  return {.features = features.rows(begin, end), .labels = labels.rows(begin, end), .cap = cap};
}

}  // namespace

Tensor n_pairs(const Tensor& features, const Tensor& labels, const NPairsOptions& options,
               NPairsStatistics* statistics) {
  check(features.shape().rank() == 2 && features.dim(0) >= 2 && features.dim(0) % 2 == 0, ExitCode::usage,
        "n_pairs: the features have the shape {}; expected [2 * images, dim], two views of each image",
        features.shape());
  check(features.dtype() == DType::f32 || features.dtype() == DType::f64, ExitCode::internal,
        "n_pairs: the features are {}; expected f32", name(features.dtype()));
  check(std::isfinite(options.temperature) && options.temperature > 0, ExitCode::usage,
        "n_pairs: the temperature is {}; it must be a positive number", options.temperature);
  check_pair_labels(features, labels, "n_pairs");
  const std::int64_t images = features.dim(0) / 2;
  const DType dtype = features.dtype();
  const Device device = features.device();
  const SupConKernels& kernels = supcon_kernels(device);

  const TapeLabel label(n_pairs_operation.name());
  SupConFormula formula;
  formula.temperature = options.temperature;
  formula.row_offset = images;  // no anchor is among the contrasts
  formula.ring = images;
  // Image i is at place i, and its reach includes only that place.
  const Tensor cap = Tensor::empty({supcon_cap_count, images}, DType::i32, device);
  kernels.cap(labels.rows(0, images), {}, 1, 1, Output(cap));
  cap.rows(supcon_reach, supcon_reach + 1).fill(0);
  SupConRows anchors = view_of(features, labels, cap, 0);
  anchors.terms = Tensor::empty({supcon_term_count, images}, dtype, device);
  anchors.lse = Tensor::empty({images}, dtype, device);
  anchors.positives = Tensor::empty({images}, DType::i32, device);
  anchors.negatives = Tensor::empty({images}, DType::i32, device);
  const Tensor losses = Tensor::empty({images}, dtype, device), weight = Tensor::empty({}, dtype, device);
  Tensor loss = Tensor::empty({}, dtype, device);
  kernels.forward(anchors, view_of(features, labels, cap, 1), formula, Output(losses));
  kernels.mean(losses, anchors.positives, SupConReduction::all_anchors, 1, Output(loss), Output(weight));
  if (statistics != nullptr) *statistics = {losses, anchors.negatives};

  if (Tape* tape = Tape::recording({&features}))
    tape->record(
        n_pairs_operation, {&features}, {&loss}, {features, labels, cap, anchors.terms, weight},
        [formula](BackwardStep& step) {
          const auto [features_, labels_, cap_, terms, weight_] = step.saved<5>();
          SupConRows first = view_of(features_, labels_, cap_, 0);
          const SupConRows second = view_of(features_, labels_, cap_, 1);
          first.terms = terms;
          const std::int64_t half = first.features.dim(0);
          SupConFormula swapped = formula;
          swapped.row_offset = -formula.row_offset;
          const Tensor& upstream = step.output_gradient();
          const Tensor gradient = step.input_gradient(0);
          const SupConKernels& of_device = supcon_kernels(upstream.device());
          of_device.backward(first, second, formula, upstream, weight_, Output(gradient.rows(0, half)));
          of_device.backward(second, first, swapped, upstream, weight_, Output(gradient.rows(half, 2 * half)));
        });
  return loss;
}

double n_pairs_collapse_value(double negatives) {
  return std::log1p(negatives);
}

}  // namespace kindred
