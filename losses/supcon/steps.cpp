#include <kindred/losses/supcon/steps.h>

#include <cmath>
#include <vector>

namespace kindred::supcon_steps {
namespace {

void check_labels_shape(const Tensor& labels, const Tensor& features) {
  check(labels.dtype() == DType::i32, ExitCode::internal, "supcon: the labels are {}; expected i32",
        name(labels.dtype()));
  check_shape(labels, {features.dim(0)}, "the labels of supcon");
  check_same_device(features, labels, "supcon");
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

}  // namespace

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

void check_labels(const Tensor& labels, const Tensor& features) {
  check_labels_shape(labels, features);
  if (!is_host(labels.device())) return;
  const std::int32_t* label = labels.data<std::int32_t>();
  for (std::int64_t row = 0; row < labels.numel(); ++row)
    check(label[row] >= 0, ExitCode::data, "supcon: row {} has the label {}; labels are 0 or more", row,
          label[row]);
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

void check_contrasts(const Tensor& anchors, const Tensor& contrasts, const Tensor& contrast_labels,
                     const SupConOptions& options) {
  check(contrasts.shape().rank() == 2 && contrasts.dim(0) > 0 && contrasts.dim(1) == anchors.dim(1),
        ExitCode::internal, "supcon: contrasts of shape {} for anchors of shape {}", contrasts.shape(),
        anchors.shape());
  check_labels_shape(contrast_labels, contrasts);
  check_same_device(anchors, contrasts, "supcon");
  check(options.positives_cap == 0, ExitCode::usage,
        "supcon: a cap on positives does not go with contrasts beyond the batch");
}

double scale_of(const SupConOptions& options) {
  return options.base_temperature == 0 ? 1.0
                                       : static_cast<double>(options.temperature) / options.base_temperature;
}

SupConFormula formula_of(const SupConOptions& options) {
  return {.temperature = options.temperature, .variant = options.variant, .denominator = options.denominator};
}

std::int64_t anchors_of(std::int64_t rows, const SupConOptions& options) {
  return options.contrast == SupConContrast::all ? rows : rows / options.views;
}

Tensor anchor_losses(SupConRows& rows, const SupConRows* columns, const SupConFormula& formula,
                     const SupConOptions& options) {
  const std::int64_t count = rows.features.dim(0), anchors = anchors_of(count, options);
  const DType dtype = rows.features.dtype();
  const Device device = rows.features.device();
  rows.terms = Tensor::empty({supcon_term_count, count}, dtype, device);
  rows.lse = Tensor::empty({anchors}, dtype, device);
  rows.positives = Tensor::empty({anchors}, DType::i32, device);
  rows.negatives = Tensor::empty({anchors}, DType::i32, device);
  Tensor losses = Tensor::empty({anchors}, dtype, device);
  supcon_kernels(device).forward(rows, columns != nullptr ? *columns : rows, formula, Output(losses));
  return losses;
}

Mean mean_of(const Tensor& losses, const Tensor& positives, const SupConOptions& options) {
  Mean mean{Tensor::empty({}, losses.dtype(), losses.device()),
            Tensor::empty({}, losses.dtype(), losses.device())};
  supcon_kernels(losses.device())
      .mean(losses, positives, options.reduction, scale_of(options), Output(mean.loss), Output(mean.weight));
  return mean;
}

void backward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
              const Tensor& upstream, const Tensor& weight, Output gradient) {
  const bool direct = gradient.dtype() == rows.features.dtype();
  const Output d_rows = direct ? gradient : Output(Tensor::empty_like(rows.features));
  supcon_kernels(upstream.device()).backward(rows, columns, formula, upstream, weight, d_rows);
  if (!direct) gradient.copy_from(d_rows);
}

}  // namespace kindred::supcon_steps
