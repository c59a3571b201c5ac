#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/models/usable_weights.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace kindred {
namespace {

bool has_finite_values(const Tensor& tensor) {
  const std::vector<double> values = tensor.to_vector<double>();
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

}  // namespace

bool has_finite_weights(const ParameterStore& store) {
  const auto tensors = store.tensors();
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const auto& tensor) { return has_finite_values(tensor.second); });
}

bool has_finite_outputs(const ContrastiveModel& model, const Tensor& images) {
  const NoGrad no_grad;
  const Tensor features = model.encoder(images, Mode::evaluate);
  return has_finite_values(features) && (!model.classifier || has_finite_values(model.project(features)));
}

Tensor noise_images(std::int64_t count, std::int64_t side, const PixelStatistics& statistics, DType dtype,
                    Device device) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count * side * side * 3));
  RandomStream random(0, Purpose::augment);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  return normalize_images(Tensor::from(bytes, {count, side, side, 3}, device), statistics, dtype);
}

}  // namespace kindred
