#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/models/usable_weights.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace kindred {
namespace {

template <typename T>
bool are_finite(const Tensor& tensor) {
  const T* const values = tensor.data<T>();
  return std::all_of(values, values + tensor.numel(), [](T value) { return std::isfinite(value); });
}

// Where they lie, if that is the host: a run may have little memory left.
bool has_finite_values(const Tensor& tensor) {
  if (tensor.dtype() == DType::f64) return are_finite<double>(tensor.to(Device::cpu, DType::f64));
  const bool is_in_place = is_host(tensor.device()) && tensor.dtype() == DType::f32;
  return are_finite<float>(is_in_place ? tensor : tensor.to(Device::cpu, DType::f32));
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
  const auto of_image = static_cast<std::size_t>(side * side * 3);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * of_image);
  RandomStream random(0, Purpose::augment);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = i < of_image ? static_cast<std::uint8_t>(random.below(256)) : bytes[i - of_image];
  return normalize_images(Tensor::from(bytes, {count, side, side, 3}, device), statistics, dtype);
}

}  // namespace kindred
