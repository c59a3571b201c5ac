// What a run does after rare events: a best checkpoint, a skipped step.
#include "../../programs.h"

#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <sstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("the best checkpoint is that of the highest figure in metrics.jsonl") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 5, 8), run = folder / "run";
  const auto result =
      run_program("pretrain", set + " --out " + run +
                                  " --device cpu --model resnet20 --image-size 32 -b 10 -j 1 --epochs 8 "
                                  "--knn-every 1 --lr 0.2 --keep-checkpoints 1");
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  std::istringstream lines(read_bytes(run + "/metrics.jsonl"));
  std::vector<double> figures;
  for (std::string line; std::getline(lines, line);)
    figures.push_back(parse_json(line).at("knn_top1").get<double>());
  REQUIRE(figures.size() == 8);
  const auto best = std::max_element(figures.begin(), figures.end());  // the first of equals
  REQUIRE(*best > *std::min_element(figures.begin(), figures.end()));
  // An epoch has four steps; the last epoch's checkpoint is the newest and is there in any case.
  const auto steps = 4 * (best - figures.begin() + 1);
  const std::string name = fmt::format("step-{:09}.safetensors", steps);
  MESSAGE("best of 32 steps: " << steps);
  CHECK(read_bytes(run + "/checkpoints/best.txt") == name + "\n");
  CHECK(Checkpoint(run + "/checkpoints/" + name).run().best == *best);
}

TEST_CASE("a step that is taken back leaves no trace: statistics, queue and momentum encoder to the bit") {
  PretrainOptions o;
  o.model = "resnet20";
  o.stem = Stem::cifar;
  o.head = HeadKind::mlp;
  o.optimizer = OptimizerKind::sgd;
  o.pixels = "cifar10";
  o.image_size = 8;
  o.batch_size = 3;
  o.views = 2;
  o.momentum = 0.9;
  o.temperature = 0.1;
  o.lr = 0.1;
  o.view_groups = {{recipe("none"), 8, 2}};
  o.queue = 7;
  o.momentum_encoder = 0.9;
  o.online_probe = true;
  Learner learner(o, Device::cpu, 2);
  learner.set_learning_rate(0.1);
  const auto step = [&](float first) {
    std::vector<float> pixels(6 * 8 * 8 * 3);
    RandomStream random(41, Purpose::test);
    for (float& pixel : pixels) pixel = random.normal();
    pixels[0] = first;
    learner.step(
        {{Tensor::from(pixels, {6, 8, 8, 3}, Device::cpu)},
         Tensor::from(std::vector<std::int32_t>{0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0}, {2, 6}, Device::cpu)});
  };
  const auto everything = [&] {
    std::vector<std::vector<double>> all{learner.model().store.flat_values().to_vector<double>()};
    for (const Buffer& buffer : learner.model().store.buffers())
      all.push_back(buffer.value.to_vector<double>());
    for (const auto& [name, tensor] : learner.state()) all.push_back(tensor.to_vector<double>());
    return all;
  };
  step(0.5f);
  const auto before = everything();
  learner.remember();
  step(std::nanf(""));
  CHECK(learner.optimizer().non_finite() != Optimizer::none);
  CHECK(everything() != before);  // the statistics, at least
  learner.take_back();
  learner.optimizer().clear_non_finite();
  CHECK(everything() == before);
}

}  // namespace
}  // namespace kindred
