// Whole networks against PyTorch in float64: logits, loss, every parameter's gradient, running statistics.
#include <kindred/layers/linear/linear.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/models/file_order.h>
#include <kindred/models/resnet.h>

#include "../golden/formula.h"
#include "golden_model.h"

#include <doctest/doctest.h>

#include <cmath>

namespace kindred::golden {
namespace {

constexpr double logit_tolerance = 1e-4;     // relative, norm-wise over a row
constexpr double gradient_tolerance = 1e-3;  // relative, norm-wise over a parameter
constexpr double running_tolerance = 1e-4;

void check_logits(const Tensor& logits, const nlohmann::json& expected) {
  const auto values = logits.to_vector<double>();
  const auto classes = static_cast<std::size_t>(logits.dim(1));
  for (std::size_t row = 0; row < static_cast<std::size_t>(logits.dim(0)); ++row) {
    const std::vector<double> ours(values.begin() + static_cast<std::ptrdiff_t>(row * classes),
                                   values.begin() + static_cast<std::ptrdiff_t>((row + 1) * classes));
    CAPTURE(row);
    CHECK(relative_error("logits", ours,
                         {{"norm", expected.at("norm")[row]}, {"projections", expected.at("projections")[row]}}) <
          logit_tolerance);
    double difference = 0, norm_of_first = 0;
    for (std::size_t i = 0; i < expected.at("first")[row].size(); ++i) {
      const double theirs = expected.at("first")[row][i].get<double>();
      difference += (ours[i] - theirs) * (ours[i] - theirs);
      norm_of_first += theirs * theirs;
    }
    CHECK(std::sqrt(difference / norm_of_first) < logit_tolerance);
  }
}

void check_network(const std::string& fixture_name) {
  const nlohmann::json fixture = load_fixture(fixture_name);
  const auto batch = fixture.at("batch").get<std::int64_t>(), size = fixture.at("size").get<std::int64_t>();
  ParameterStore store;
  const ResNet network(store, resnet_spec(fixture.at("model")), Stem::imagenet);
  const Linear classifier(store, "fc", network.feature_dim, fixture.at("classes").get<std::int64_t>());
  store.allocate(Device::cpu, 0);
  fill_parameters(store);
  const Tensor images =
      Tensor::from(formula("images", batch * size * size * 3, image_range.low, image_range.high),
                   {batch, size, size, 3}, Device::cpu)
          .to(Device::cpu, DType::f32);
  const Tensor labels = Tensor::from(fixture.at("labels").get<std::vector<std::int32_t>>(), {batch}, Device::cpu);

  Tape tape;
  store.attach(tape);
  const Tensor logits = classifier(network(images, Mode::train));
  const Tensor loss = cross_entropy(logits, labels);
  check_logits(logits, fixture.at("train"));
  CHECK(loss.to_vector<double>()[0] == doctest::Approx(fixture.at("loss").get<double>()).epsilon(1e-5));

  tape.backward(loss);
  for (const Parameter& parameter : store.parameters()) {
    CAPTURE(parameter.name);
    CHECK(relative_error(parameter.name, to_file_order<double>(parameter.gradient),
                         fixture.at("gradients").at(parameter.name)) < gradient_tolerance);
  }
  for (const Buffer& buffer : store.buffers()) {
    CAPTURE(buffer.name);
    CHECK(relative_error(buffer.name, buffer.value.to_vector<double>(), fixture.at("running").at(buffer.name)) <
          running_tolerance);
  }
  const NoGrad no_grad;
  check_logits(classifier(network(images, Mode::evaluate)), fixture.at("eval"));
}

TEST_CASE("ResNet-18 agrees with PyTorch") { check_network("resnet18"); }
TEST_CASE("ResNet-18 on odd sizes agrees with PyTorch") { check_network("resnet18_odd"); }
TEST_CASE("ResNet-50 agrees with PyTorch") { check_network("resnet50"); }

TEST_CASE("ResNet-50 has torchvision's names and 25,557,032 parameters") {
  ParameterStore store;
  const ResNet network(store, resnet_spec("resnet50"), Stem::imagenet);
  const Linear classifier(store, "fc", network.feature_dim, 1000);
  CHECK(store.parameter_count() == 25557032);
  // 320 entries in torchvision's file: each batch norm adds num_batches_tracked.
  const std::size_t norms = store.buffers().size() / 2;
  CHECK(store.parameters().size() + store.buffers().size() + norms == 320);
  CHECK(store.find("layer3.5.conv2.weight").shape == Shape{256, 3, 3, 256});
  CHECK(store.find("layer1.0.downsample.0.weight").shape == Shape{256, 1, 1, 64});
}

}  // namespace
}  // namespace kindred::golden
