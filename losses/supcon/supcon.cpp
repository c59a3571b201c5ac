#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/losses/supcon/kernels.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/losses/widened.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace kindred {
namespace {

const Operation supcon_operation("supcon");

double scale_of(const SupConOptions& options) {
  return options.base_temperature == 0 ? 1.0
                                       : static_cast<double>(options.temperature) / options.base_temperature;
}

void check_options(const SupConOptions& options) {
  const float t = options.temperature, base = options.base_temperature;
  check(std::isfinite(t) && t > 0, ExitCode::usage,
        "supcon: the temperature is {}; it must be a positive number (0.1 is usual)", t);
  check(std::isfinite(base) && base >= 0, ExitCode::usage,
        "supcon: the base temperature is {}; it must be a positive number, or 0 for an unscaled loss", base);
  check(options.views >= 1, ExitCode::usage, "supcon: there are {} views; at least 1 is needed", options.views);
  check(options.positives_cap >= 0, ExitCode::usage,
        "supcon: the cap on positives is {}; it must be positive, or 0 for none", options.positives_cap);
}

void check_labels_shape(const Tensor& labels, const Tensor& features) {
  check(labels.dtype() == DType::i32, ExitCode::internal, "supcon: the labels are {}; expected i32",
        name(labels.dtype()));
  check_shape(labels, {features.dim(0)}, "the labels of supcon");
  check_same_device(features, labels, "supcon");
}

void check_labels(const Tensor& labels, const Tensor& features) {
  check_labels_shape(labels, features);
  if (!is_host(labels.device())) return;
  const std::int32_t* label = labels.data<std::int32_t>();
  for (std::int64_t row = 0; row < labels.numel(); ++row)
    check(label[row] >= 0, ExitCode::data, "supcon: row {} has the label {}; labels are 0 or more", row,
          label[row]);
}

void check_rows(const Tensor& features) {
  if (!is_host(features.device())) return;
  const std::vector<double> values = features.to_vector<double>();
  const auto dim = static_cast<std::size_t>(features.dim(1));
  for (std::size_t row = 0; row * dim < values.size(); ++row) {
    double squares = 0;
    for (std::size_t d = 0; d < dim; ++d) squares += values[row * dim + d] * values[row * dim + d];
    check(std::isfinite(squares), ExitCode::non_finite, "supcon: row {} of the features is not finite", row);
    check(std::abs(std::sqrt(squares) - 1) <= 1e-3, ExitCode::usage,
          "supcon: row {} of the features has the length {:.6g}, not 1; normalise them first (l2_normalize)",
          row, std::sqrt(squares));
  }
}

void check_mask(const Tensor& mask, std::int64_t images) {
  check(mask.dtype() == DType::u8, ExitCode::internal, "supcon: the mask is {}; expected u8",
        name(mask.dtype()));
  check_shape(mask, {images, images}, "the mask of supcon, which has a row and a column for each image,");
  if (!is_host(mask.device())) return;
  const std::uint8_t* value = mask.data<std::uint8_t>();
  for (std::int64_t i = 0; i < images; ++i)
    for (std::int64_t j = 0; j < i; ++j)
      check(
          (value[i * images + j] != 0) == (value[j * images + i] != 0), ExitCode::usage,
          "supcon: the mask is not symmetric: image {} has image {} as a positive, but not the other way round",
          value[i * images + j] != 0 ? i : j, value[i * images + j] != 0 ? j : i);
}

void check_features(const Tensor& features, const SupConOptions& options) {
  check(features.shape().rank() == 2 && features.dim(0) > 0, ExitCode::internal,
        "supcon: the features have the shape {}; expected [rows, dim] with at least one row", features.shape());
  check(features.dtype() != DType::u8 && features.dtype() != DType::i32, ExitCode::internal,
        "supcon: the features are {}; expected f32, bf16 or f16", name(features.dtype()));
  check_options(options);
  check(features.dim(0) % options.views == 0, ExitCode::usage,
        "supcon: {} rows cannot be {} views of each image; the rows are view-major, all views of a batch",
        features.dim(0), options.views);
  if (options.check_unit_length) check_rows(features);
}

std::int64_t anchors_of(std::int64_t rows, const SupConOptions& options) {
  return options.contrast == SupConContrast::all ? rows : rows / options.views;
}

struct ForwardResult {
  Tensor loss, weight;  // []
};

// Fills what the backward pass needs of `rows`. If `columns` is null, they are the rows themselves.
ForwardResult forward(SupConRows& rows, const SupConRows* columns, const SupConFormula& formula,
                      const SupConOptions& options, SupConStatistics* statistics) {
  const std::int64_t count = rows.features.dim(0), anchors = anchors_of(count, options);
  const DType dtype = rows.features.dtype();
  const Device device = rows.features.device();
  const SupConKernels& kernels = supcon_kernels(device);
  rows.terms = Tensor::empty({supcon_term_count, count}, dtype, device);
  rows.lse = Tensor::empty({anchors}, dtype, device);
  rows.positives = Tensor::empty({anchors}, DType::i32, device);
  rows.negatives = Tensor::empty({anchors}, DType::i32, device);
  const Tensor losses = Tensor::empty({anchors}, dtype, device);
  const ForwardResult result{Tensor::empty({}, dtype, device), Tensor::empty({}, dtype, device)};
  kernels.forward(rows, columns != nullptr ? *columns : rows, formula, Output(losses));
  kernels.mean(losses, rows.positives, options.reduction, scale_of(options), Output(result.loss),
               Output(result.weight));
  if (statistics != nullptr) *statistics = {rows.lse, rows.positives, rows.negatives, losses};
  return result;
}

// Fills the gradient, which may have any type, from G_ij, G_ji or both: a side with terms consists of anchors.
void backward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
              const Tensor& upstream, const Tensor& weight, Output gradient) {
  const bool direct = gradient.dtype() == rows.features.dtype();
  const Output d_rows = direct ? gradient : Output(Tensor::empty_like(rows.features));
  supcon_kernels(upstream.device()).backward(rows, columns, formula, upstream, weight, d_rows);
  if (!direct) gradient.copy_from(d_rows);
}

// Either labels or the mask is defined.
Tensor supcon_of(const Tensor& features, const Tensor& labels, const Tensor& mask, const SupConOptions& options,
                 SupConStatistics* statistics) {
  const Tensor z = widened(features);  // [M, D]
  SupConFormula formula{.temperature = options.temperature,
                        .variant = options.variant,
                        .denominator = options.denominator,
                        .mask = mask};
  SupConRows rows{.features = z, .labels = labels};
  if (options.positives_cap > 0) {
    formula.ring = z.dim(0);
    rows.cap = Tensor::empty({supcon_cap_count, z.dim(0)}, DType::i32, z.device());
    supcon_kernels(z.device()).cap(labels, mask, options.views, options.positives_cap, Output(rows.cap));
  }
  auto [loss, weight] = forward(rows, nullptr, formula, options, statistics);

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
  const SupConFormula formula{.temperature = options.temperature,
                              .variant = options.variant,
                              .denominator = options.denominator,
                              .row_offset = self_offset};
  auto [loss, weight] = forward(rows, &columns, formula, options, statistics);

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
  check(contrasts.shape().rank() == 2 && contrasts.dim(0) > 0 && contrasts.dim(1) == anchors.dim(1),
        ExitCode::internal, "supcon: contrasts of shape {} for anchors of shape {}", contrasts.shape(),
        anchors.shape());
  check_labels_shape(contrast_labels, contrasts);
  check_same_device(anchors, contrasts, "supcon");
  check(options.positives_cap == 0, ExitCode::usage,
        "supcon: a cap on positives does not go with contrasts beyond the batch");
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
