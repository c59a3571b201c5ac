#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/losses/supcon/kernels.h>
#include <kindred/losses/supcon/steps.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/losses/widened.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace kindred {

const Operation supcon_operation("supcon");

namespace {

using namespace supcon_steps;

Mean loss_of_anchors(SupConRows& rows, const SupConRows* columns, const SupConFormula& formula,
                     const SupConOptions& options, SupConStatistics* statistics) {
  const Tensor losses = anchor_losses(rows, columns, formula, options);
  if (statistics != nullptr) *statistics = {rows.lse, rows.positives, rows.negatives, losses};
  return mean_of(losses, rows.positives, options);
}

// Either labels or the mask is defined.
Tensor supcon_of(const Tensor& features, const Tensor& labels, const Tensor& mask, const SupConOptions& options,
                 SupConStatistics* statistics) {
  const Tensor z = widened(features);  // [M, D]
  SupConFormula formula = formula_of(options);
  formula.mask = mask;
  SupConRows rows{.features = z, .labels = labels};
  if (options.positives_cap > 0) {
    formula.ring = z.dim(0);
    rows.cap = Tensor::empty({supcon_cap_count, z.dim(0)}, DType::i32, z.device());
    supcon_kernels(z.device()).cap(labels, mask, options.views, options.positives_cap, Output(rows.cap));
  }
  auto [loss, weight] = loss_of_anchors(rows, nullptr, formula, options, statistics);

  if (Tape* tape = Tape::recording({&features})) {
    formula.mask = {};  // saved tensors are listed, not captured
    tape->record(supcon_operation, {&features}, {&loss}, {features, labels, mask, rows.cap, rows.terms, weight},
                 [formula](BackwardStep& step) {
                   const auto [features_, labels_, mask_, cap, terms, weight_] = step.saved<6>();
                   SupConFormula with_mask = formula;
                   with_mask.mask = mask_;
                   const SupConRows all{
                       .features = widened(features_), .labels = labels_, .cap = cap, .terms = terms};
                   backward(all, all, with_mask, step.output_gradient(), weight_, step.input_gradient(0));
                 });
  }
  return loss;
}

Tensor supcon_of_two(const Tensor& anchors, const Tensor& labels, const Tensor& contrasts,
                     const Tensor& contrast_labels, std::int64_t self_offset, const SupConOptions& options,
                     SupConStatistics* statistics) {
  SupConRows rows{.features = widened(anchors), .labels = labels};
  const SupConRows columns{.features = widened(contrasts), .labels = contrast_labels};
  SupConFormula formula = formula_of(options);
  formula.row_offset = self_offset;
  auto [loss, weight] = loss_of_anchors(rows, &columns, formula, options, statistics);

  if (Tape* tape = Tape::recording({&anchors, &contrasts})) {
    tape->record(
        supcon_operation, {&anchors, &contrasts}, {&loss},
        {anchors, labels, contrasts, contrast_labels, rows.terms, weight}, [formula](BackwardStep& step) {
          const auto [anchors_, labels_, contrasts_, contrast_labels_, terms, weight_] = step.saved<6>();
          const SupConRows own{.features = widened(anchors_), .labels = labels_, .terms = terms};
          const SupConRows others{.features = widened(contrasts_), .labels = contrast_labels_};
          const Tensor& upstream = step.output_gradient();
          if (step.wants(0)) backward(own, others, formula, upstream, weight_, step.input_gradient(0));
          if (!step.wants(1)) return;
          SupConFormula swapped = formula;
          swapped.row_offset = -formula.row_offset;
          backward(others, own, swapped, upstream, weight_, step.input_gradient(1));
        });
  }
  return loss;
}

// The logarithm of the denominator if all features are equal, with every logit shifted to 0.
double log_of_denominator(double contrasts, double negatives, SupConDenominator denominator) {
  const double rows = denominator == SupConDenominator::all            ? contrasts
                      : denominator == SupConDenominator::one_positive ? negatives + 1
                                                                       : negatives;
  return std::log(std::max(rows, 1.0));
}

}  // namespace

const SupConKernels& supcon_kernels(Device device) {
  return select_kernels("supcon", device, supcon_reference, supcon_cpu, supcon_cuda, supcon_plan);
}

bool same_rows(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula) {
  return formula.row_offset == 0 && rows.features.raw() == columns.features.raw() &&
         rows.features.dim(0) == columns.features.dim(0) && rows.terms.defined() == columns.terms.defined();
}

Tensor supcon(const Tensor& features, const Tensor& labels, const SupConOptions& options,
              SupConStatistics* statistics) {
  check_features(features, options);
  check_labels(labels, features);
  return supcon_of(features, labels, {}, options, statistics);
}

Tensor supcon_with_mask(const Tensor& features, const Tensor& mask, const SupConOptions& options,
                        SupConStatistics* statistics) {
  check_features(features, options);
  check_same_device(features, mask, "supcon");
  check_mask(mask, features.dim(0) / options.views);
  return supcon_of(features, {}, mask, options, statistics);
}

Tensor supcon_against(const Tensor& anchors, const Tensor& labels, const Tensor& contrasts,
                      const Tensor& contrast_labels, std::int64_t self_offset, const SupConOptions& options,
                      SupConStatistics* statistics) {
  check_features(anchors, options);
  check_labels(labels, anchors);
  check_contrasts(anchors, contrasts, contrast_labels, options);
  return supcon_of_two(anchors, labels, contrasts, contrast_labels, self_offset, options, statistics);
}

std::int64_t SupConStatistics::anchors_without_positives() const {
  const std::vector<std::int32_t> counts = positives.to_vector<std::int32_t>();
  return std::count(counts.begin(), counts.end(), 0);
}

Tensor repeat_labels(const Tensor& labels, int views) {
  check(labels.shape().rank() == 1, ExitCode::internal,
        "repeat_labels: the labels have the shape {}; expected [batch]", labels.shape());
  check(views >= 1, ExitCode::usage, "there are {} views; at least 1 is needed", views);
  const std::int64_t batch = labels.dim(0);
  const Tensor repeated = Tensor::empty({views * batch}, labels.dtype(), labels.device());
  for (std::int64_t view = 0; view < views; ++view)
    repeated.rows(view * batch, (view + 1) * batch).copy_from(labels);
  return repeated;
}

Tensor simclr_labels(const Tensor& image_indices, int views) {
  return repeat_labels(image_indices, views);
}

double collapse_value(double contrasts, double negatives, const SupConOptions& options) {
  check_options(options);
  return scale_of(options) * log_of_denominator(contrasts, negatives, options.denominator);
}

double collapse_value(std::int64_t rows, const SupConOptions& options) {
  check_options(options);
  return scale_of(options) * log_of_denominator(static_cast<double>(rows - 1), 0, SupConDenominator::all);
}

double collapse_value(const SupConStatistics& statistics, const SupConOptions& options) {
  check_options(options);
  const auto positives = statistics.positives.to_vector<std::int32_t>();
  const auto negatives = statistics.negatives.to_vector<std::int32_t>();
  double sum = 0;
  std::size_t anchors = 0;
  for (std::size_t i = 0; i < positives.size(); ++i) {
    if (positives[i] > 0 || options.reduction == SupConReduction::all_anchors) ++anchors;
    if (positives[i] == 0) continue;
    sum +=
        log_of_denominator(static_cast<double>(positives[i]) + negatives[i], negatives[i], options.denominator);
  }
  return anchors > 0 ? scale_of(options) * sum / static_cast<double>(anchors) : 0.0;
}

}  // namespace kindred
