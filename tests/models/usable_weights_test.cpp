// Which weights are found to be of no use after the last step.
#include <doctest/doctest.h>
#include <kindred/models/usable_weights.h>

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace kindred {
namespace {

ContrastiveModel& allocated(ContrastiveModel& model) {
  model.store.allocate(Device::cpu, 3);
  return model;
}

TEST_CASE("usable weights: one value of a parameter or a running statistic that is not finite is found") {
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::mlp);
  allocated(model);
  CHECK(has_finite_weights(model.store));
  const auto spoiled = [&](const Tensor& tensor, float value) {
    const std::vector<float> before = tensor.to_vector<float>();
    std::vector<float> values = before;
    values.back() = value;
    Tensor written = tensor;
    written.copy_from(Tensor::from(values, tensor.shape(), tensor.device()));
    CHECK(!has_finite_weights(model.store));
    written.copy_from(Tensor::from(before, tensor.shape(), tensor.device()));
    CHECK(has_finite_weights(model.store));
  };
  spoiled(model.store.parameters().back().value, std::numeric_limits<float>::quiet_NaN());
  spoiled(model.store.parameters().front().value, std::numeric_limits<float>::infinity());
  spoiled(model.store.buffers().back().value, -std::numeric_limits<float>::infinity());
}

TEST_CASE("usable weights: finite ones that give no finite features or logits are found") {
  const Tensor images = noise_images(2, 16, cifar10_pixels, DType::f32, Device::cpu);
  const auto scale = [](const Parameter& parameter, float factor) {
    std::vector<float> values = parameter.value.to_vector<float>();
    for (float& value : values) value *= factor;
    Tensor written = parameter.value;
    written.copy_from(Tensor::from(values, parameter.value.shape(), Device::cpu));
  };
  ContrastiveModel encoder("resnet20", Stem::cifar, HeadKind::mlp);
  CHECK(has_finite_outputs(allocated(encoder), images));
  for (const Parameter& parameter : encoder.store.parameters())
    if (parameter.name.find("conv") != std::string::npos) scale(parameter, 1e36f);
  CHECK(has_finite_weights(encoder.store));
  CHECK(!has_finite_outputs(encoder, images));

  ContrastiveModel classifier("resnet20", Stem::cifar, HeadKind::mlp, 5);
  CHECK(has_finite_outputs(allocated(classifier), images));
  for (const Parameter& parameter : classifier.store.parameters()) {
    if (parameter.name != "fc.weight") continue;
    const std::vector<float> large(static_cast<std::size_t>(parameter.shape.numel()), 3e38f);
    Tensor written = parameter.value;
    written.copy_from(Tensor::from(large, parameter.value.shape(), Device::cpu));
  }
  for (const Parameter& parameter : classifier.store.parameters())
    if (parameter.name.ends_with("bn2.bias")) {  // features above 1
      const std::vector<float> ten(static_cast<std::size_t>(parameter.shape.numel()), 10.0f);
      Tensor written = parameter.value;
      written.copy_from(Tensor::from(ten, parameter.value.shape(), Device::cpu));
    }
  CHECK(has_finite_weights(classifier.store));
  CHECK(!has_finite_outputs(classifier, images));
}

}  // namespace
}  // namespace kindred
