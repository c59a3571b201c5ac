// Fifty steps of the whole SupCon training (ResNet-20, head, loss, SGD with warm-up and cosine) against
// PyTorch's.
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/engine/optimizer/schedule.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/models/contrastive_model.h>
#include <kindred/models/file_order.h>

#include "../golden/formula.h"
#include "golden_model.h"

#include <doctest/doctest.h>

#include <cmath>

namespace kindred::golden {
namespace {

struct Recipe {
  nlohmann::json fixture = load_fixture("supcon_steps");
  std::int64_t batch = fixture.at("batch"), views = fixture.at("views"), side = fixture.at("size");
  std::int64_t steps = fixture.at("steps");
  double noise = fixture.at("noise");
  std::vector<std::vector<double>> patterns;  // one for each class

  Recipe() {
    for (int label = 0; label < fixture.at("classes").get<int>(); ++label)
      patterns.push_back(formula(fmt::format("class{}", label), side * side * 3, -2, 2));
  }

  // Row r = v*batch + i: the pattern of image i's class, plus noise (golden_recipe.py).
  Tensor images(std::int64_t step, const std::vector<std::int32_t>& labels) const {
    const std::int64_t row = side * side * 3;
    const auto noise_values = formula(fmt::format("step{}/noise", step), views * batch * row, -2, 2);
    std::vector<float> values;
    for (std::int64_t r = 0; r < views * batch; ++r) {
      const auto& pattern = patterns[static_cast<std::size_t>(labels[static_cast<std::size_t>(r % batch)])];
      for (std::int64_t i = 0; i < row; ++i)
        values.push_back(static_cast<float>(pattern[static_cast<std::size_t>(i)] +
                                            noise * noise_values[static_cast<std::size_t>(r * row + i)]));
    }
    return Tensor::from(values, {views * batch, side, side, 3}, Device::cpu);
  }
};

TEST_CASE("fifty steps of the SupCon recipe track PyTorch's losses") {
  const Recipe recipe;
  const nlohmann::json& fixture = recipe.fixture;
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::mlp);
  model.store.allocate(Device::cpu, 0);
  fill_parameters(model.store, fixture);
  Optimizer optimizer(
      model.store, SgdOptions{.momentum = fixture.at("momentum"), .weight_decay = fixture.at("weight_decay")});
  const Schedule schedule =
      Schedule::cosine(fixture.at("lr"), recipe.steps).with_warmup({.steps = fixture.at("warmup_steps")});
  for (std::int64_t step = 0; step < recipe.steps; ++step) {
    CAPTURE(step);
    const auto at = static_cast<std::size_t>(step);
    const auto labels = fixture.at("labels")[at].get<std::vector<std::int32_t>>();
    const Tensor rows =
        repeat_labels(Tensor::from(labels, {recipe.batch}, Device::cpu), static_cast<int>(recipe.views));
    Tape tape;
    model.store.attach(tape);
    const Tensor loss = supcon(model(recipe.images(step, labels), Mode::train), rows,
                               {.temperature = fixture.at("temperature")});
    tape.backward(loss);
    if (step == 0)
      for (const Parameter& parameter : model.store.parameters()) {
        CAPTURE(parameter.name);
        CHECK(
            norm(to_file_order<double>(parameter.gradient)) ==
            doctest::Approx(fixture.at("first_gradient_norms").at(parameter.name).get<double>()).epsilon(1e-3));
      }
    CHECK(schedule.at(step) == doctest::Approx(fixture.at("lr_schedule")[at].get<double>()).epsilon(1e-9));
    optimizer.set_learning_rate(schedule.at(step));
    optimizer.step();
    const double theirs = fixture.at("losses_f64")[at];
    const double tolerance = step < 10 ? 1e-3 : 2e-2;
    CHECK(std::abs(loss.to_vector<double>()[0] - theirs) < tolerance * theirs);
  }
}

}  // namespace
}  // namespace kindred::golden
