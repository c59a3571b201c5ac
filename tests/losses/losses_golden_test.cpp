// Every variant against other implementations (tests/golden/golden_variants.py): Google's and HobbitLong's
// conventions, and pytorch-metric-learning.
#include <kindred/engine/tape.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/losses/triplet/triplet.h>

#include "../golden/formula.h"
#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <sstream>

namespace kindred {
namespace {

using gradcheck::relative_difference;

struct Batch {
  Tensor features, labels, image_indices;
  int views;
  float temperature;
};

std::vector<std::string> parts_of(const std::string& key) {
  std::vector<std::string> parts;
  std::istringstream stream(key);
  for (std::string part; std::getline(stream, part, '/');) parts.push_back(part);
  return parts;
}

SupConOptions supcon_options(const std::vector<std::string>& key, const Batch& batch) {
  SupConOptions options{.temperature = batch.temperature, .views = batch.views};
  if (key[0] == "hobbitlong") options.base_temperature = 0.07f;
  if (key[0] == "hobbitlong" && key[1] == "one") options.contrast = SupConContrast::one;
  if (key[0] != "google") return options;
  if (key[1] == "in") options.variant = SupConVariant::in;
  if (key[2] == "one_positive") options.denominator = SupConDenominator::one_positive;
  if (key[2] == "only_negatives") options.denominator = SupConDenominator::only_negatives;
  if (key[3] == "one") options.contrast = SupConContrast::one;
  options.positives_cap = std::stoi(key[4]);
  return options;
}

Tensor loss_of(const std::string& name, const Batch& batch) {
  const std::vector<std::string> key = parts_of(name);
  if (name == "pml/nt_xent" && batch.views == 2)
    return supcon(batch.features, simclr_labels(batch.image_indices, 2), {.temperature = batch.temperature});
  if (name == "pml/nt_xent")  // that package removes the other positives from the denominator
    return supcon(batch.features, simclr_labels(batch.image_indices, batch.views),
                  {.temperature = batch.temperature, .denominator = SupConDenominator::one_positive});
  if (key[0] != "pml" || name == "pml/supcon")
    return supcon(batch.features, batch.labels, supcon_options(key, batch));
  TripletOptions options;
  if (key[2] == "batch_hard") options.mining = TripletMining::batch_hard;
  if (key[2] == "semi_hard") options.mining = TripletMining::semi_hard;
  return triplet(batch.features, batch.labels, options);
}

TEST_CASE("losses: values and gradients of independent implementations") {
  const nlohmann::json cases = golden::load_fixture("variants").at("cases");
  REQUIRE(cases.size() >= 2);
  for (const nlohmann::json& item : cases)
    for (const auto& [name, expected] : item.at("losses").items()) {
      CAPTURE(name);
      for (const Device device : {Device::reference, Device::cpu}) {
        const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
        const auto images = item.at("images").get<std::int64_t>();
        Batch batch;
        batch.views = item.at("views");
        batch.temperature = item.at("temperature");
        const Shape shape{batch.views * images, item.at("dim").get<std::int64_t>()};
        batch.features = Tensor::from(item.at("features").get<std::vector<double>>(), shape, Device::reference)
                             .to(device, dtype);
        batch.features.set_requires_grad();
        batch.labels = repeat_labels(
            Tensor::from(item.at("groups").get<std::vector<std::int32_t>>(), {images}, device), batch.views);
        std::vector<std::int32_t> indices;
        for (std::int32_t i = 0; i < images; ++i) indices.push_back(i);
        batch.image_indices = Tensor::from(indices, {images}, device);
        Tape tape;
        const Tensor loss = loss_of(name, batch);
        tape.backward(loss);
        // The options are floats: their rounding is the largest allowed difference.
        CHECK(loss.to_vector<double>()[0] == doctest::Approx(expected.at("loss").get<double>()).epsilon(2e-6));
        CHECK(relative_difference(tape.gradient(batch.features).to_vector<double>(),
                                  expected.at("gradient").get<std::vector<double>>()) < 1e-5);
      }
    }
}

TEST_CASE("losses: the published vectors of L_in") {
  const nlohmann::json golden = golden::load_fixture("supcon").at("golden");
  const std::vector<double> expected = golden.at("per_image_in");
  std::vector<double> features;
  for (const auto& row : golden.at("features")) features.insert(features.end(), row.begin(), row.end());
  for (const Device device : {Device::reference, Device::cpu}) {
    const DType dtype = device == Device::reference ? DType::f64 : DType::f32;
    SupConStatistics statistics;
    supcon(Tensor::from(features, {6, 3}, Device::reference).to(device, dtype),
           Tensor::from(golden.at("groups").get<std::vector<std::int32_t>>(), {6}, device),
           {.temperature = 1, .variant = SupConVariant::in}, &statistics);
    const std::vector<double> losses = statistics.anchor_losses.to_vector<double>();
    for (std::size_t i = 0; i < 3; ++i)
      CHECK((losses[i] + losses[i + 3]) / 2 == doctest::Approx(expected[i]).epsilon(1e-6));
  }
}

}  // namespace
}  // namespace kindred
