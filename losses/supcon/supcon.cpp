#include <kindred/engine/kernels.h>
#include <kindred/engine/tape.h>
#include <kindred/losses/supcon/kernels.h>
#include <kindred/losses/supcon/supcon.h>

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
}

void check_labels(const Tensor& labels) {
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

}  // namespace

const SupConKernels& supcon_kernels(Device device) {
  static constexpr SupConKernels plan = {no_operation, no_operation, no_operation};
  return select_kernels("supcon", device, supcon_reference, supcon_cpu, supcon_cuda, plan);
}

Tensor supcon(const Tensor& features, const Tensor& labels, const SupConOptions& options,
              SupConStatistics* statistics) {
  check(features.shape().rank() == 2 && features.dim(0) > 0, ExitCode::internal,
        "supcon: the features have the shape {}; expected [rows, dim] with at least one row",
        features.shape().to_string());
  check(features.dtype() == DType::f32 || features.dtype() == DType::f64, ExitCode::internal,
        "supcon: the features are {}; expected f32, which l2_normalize gives", name(features.dtype()));
  check(labels.dtype() == DType::i32, ExitCode::internal, "supcon: the labels are {}; expected i32",
        name(labels.dtype()));
  check_shape(labels, {features.dim(0)}, "the labels of supcon");
  check_same_device(features, labels, "supcon");
  check_options(options);
  check_labels(labels);
  if (options.check_unit_length) check_rows(features);

  const std::int64_t count = features.dim(0);
  const DType dtype = features.dtype();
  const Device device = features.device();
  const double temperature = options.temperature;
  const SupConKernels& kernels = supcon_kernels(device);
  const SupConRows rows{features, labels, Tensor::empty({count}, dtype, device),
                        Tensor::empty({count}, DType::i32, device)};
  const Tensor losses = Tensor::empty({count}, dtype, device);  // [M]
  const Tensor weight = Tensor::empty({}, dtype, device);
  Tensor loss = Tensor::empty({}, dtype, device);
  kernels.forward(rows, rows, 0, temperature, losses);
  kernels.mean(losses, rows.positives, options.reduction, scale_of(options), loss, weight);
  if (statistics != nullptr) *statistics = {rows.lse, rows.positives, losses};

  if (Tape* tape = Tape::recording({&features})) {
    tape->record(supcon_operation, {&features}, {&loss}, {features, labels, rows.lse, rows.positives, weight},
                 [temperature](BackwardStep& step) {
                   const SupConRows all{step.saved(0), step.saved(1), step.saved(2), step.saved(3)};
                   const Tensor& upstream = step.output_gradient();
                   supcon_kernels(upstream.device())
                       .backward(all, all, 0, temperature, upstream, step.saved(4), step.input_gradient(0));
                 });
  }
  return loss;
}

std::int64_t SupConStatistics::anchors_without_positives() const {
  const std::vector<std::int32_t> counts = positives.to_vector<std::int32_t>();
  return std::count(counts.begin(), counts.end(), 0);
}

Tensor repeat_labels(const Tensor& labels, int views) {
  check(labels.shape().rank() == 1, ExitCode::internal,
        "repeat_labels: the labels have the shape {}; expected [batch]", labels.shape().to_string());
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

double collapse_value(std::int64_t rows, const SupConOptions& options) {
  check_options(options);
  return rows <= 1 ? 0.0 : scale_of(options) * std::log(static_cast<double>(rows - 1));
}

}  // namespace kindred
