// What a run does after rare events: a best checkpoint, a skipped step.
#include "../../programs.h"
#include "../small_options.h"

#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/models/weights_file.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <sstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("the best checkpoint is that of the highest figure in metrics.jsonl, and its encoder has a file") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 5, 8), run = folder / "run";
  const auto result =
      run_program("pretrain", set + " --out " + run +
                                  " --device cpu --model resnet20 --image-size 32 -b 10 -j 1 --epochs 8 "
                                  "--knn-every 1 --lr 0.2 --keep-checkpoints 1");
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  std::istringstream lines(read_bytes(run + "/metrics.jsonl"));
  std::vector<std::array<double, 3>> figures;  // of equals the one with the lower loss, then the later one
  for (std::string line; std::getline(lines, line);) {
    const auto epoch = parse_json(line);
    figures.push_back(
        {epoch.at("knn_top1").get<double>(), -epoch.at("loss").get<double>(), epoch.at("epoch").get<double>()});
  }
  REQUIRE(figures.size() == 8);
  const auto best = std::max_element(figures.begin(), figures.end());
  REQUIRE((*best)[0] > (*std::min_element(figures.begin(), figures.end()))[0]);
  // An epoch has four steps; the last epoch's checkpoint is the newest and is there in any case.
  const auto steps = 4 * (best - figures.begin() + 1);
  const std::string name = fmt::format("step-{:09}.safetensors", steps);
  MESSAGE("best of 32 steps: " << steps);
  CHECK(read_bytes(run + "/checkpoints/best.txt") == name + "\n");
  CHECK(Checkpoint(run + "/checkpoints/" + name).run().best == (*best)[0]);
  const std::string exported = folder / "exported";
  REQUIRE(run_program("export", run + "/checkpoints/" + name + " --format kindred --out " + exported).code ==
          0);
  CHECK(read_bytes(run + "/best_encoder.safetensors") == read_bytes(exported));
  CHECK(says(result, fmt::format("best encoder: {}/best_encoder.safetensors (epoch {})", run, steps / 4)));
}

std::vector<nlohmann::json> epochs_of(const std::string& run) {
  std::istringstream text(read_bytes(run + "/metrics.jsonl"));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(parse_json(line));
  return lines;
}

const std::string skips =
    " --device cpu --model resnet20 --image-size 32 -b 8 -j 1 --knn-every 0 --on-nonfinite skip ";

TEST_CASE("a run that diverges ends with code 7; an epoch in which every step was skipped has no loss") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  // The first of nine steps spoils the weights.
  const auto result =
      run_program("pretrain", set + " --out " + run + skips + "--epochs 3 --lr 1e30 --warmup-epochs 0");
  CAPTURE(result.output);
  CHECK(result.code == 7);
  CHECK(is_one_line_error(result));
  CHECK(says(result, "error: the run has diverged: its last 8 steps were skipped"));
  CHECK(says(result, "epoch 2/3  loss none (chance 2.708)"));
  CHECK(says(result, "3 steps skipped\n"));
  CHECK(!says(result, "loss 0.0000"));
  const auto epochs = epochs_of(run);
  REQUIRE(epochs.size() == 3);
  CHECK(epochs[0].at("loss").get<double>() > 0.5);
  CHECK(epochs[0].at("skipped_steps") == 2);
  for (const std::size_t later : {1, 2}) {
    CHECK(epochs[later].at("loss").is_null());
    CHECK(epochs[later].at("skipped_steps") == 3);
  }
  // Also the first epoch ended with weights that give no finite loss.
  CHECK(!fs::exists(run + "/checkpoints/best.txt"));
  CHECK(Checkpoint(run + "/checkpoint.safetensors").run().skipped_in_a_row == 8);
}

TEST_CASE("a single skipped step at the end of a long epoch is no divergence; half a short epoch is") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 2, 3);
  PretrainOptions o = small_options(8, 2);
  o.out = (folder / "run").string();
  o.epochs = 1;
  const Dataset train = *open_dataset(set, Split::train);
  // After this many updates and then this many skipped steps, of an epoch of so many steps.
  const auto diverged = [&](std::int64_t steps, int updates, int skipped) {
    RunRecord record(o, train, steps, [] { return std::vector<BadImage>(); });
    for (int step = 0; step < updates + skipped; ++step) {
      record.begin_step({0, 1});
      record.end_step(StepResult{.step = step, .loss = 1, .step_seconds = 1}, step < updates);
    }
    CHECK(record.failure().empty() != record.has_diverged());
    return record.has_diverged();
  };
  CHECK(!diverged(100, 99, 1));
  CHECK(!diverged(100, 91, 9));
  CHECK(diverged(100, 90, 10));
  CHECK(!diverged(9, 5, 4));
  CHECK(diverged(9, 4, 5));
  CHECK(diverged(1, 0, 1));
  CHECK(!diverged(1, 1, 0));
}

TEST_CASE("a run whose every step was skipped saves, says that it learned nothing, and ends with code 7") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", weights = folder / "huge.safetensors";
  ParameterStore store;
  const ResNet encoder(store, resnet_spec("resnet20"), Stem::cifar);
  store.allocate(Device::cpu, 3);
  Tensor first = store.find("conv1.weight").value;  // finite, but its products with pixels are not
  first.copy_from(Tensor::full(first.shape(), 3e38, DType::f32, Device::cpu));
  save_weights(weights, store, WeightNames::torchvision,
               EncoderInfo{"resnet20", Stem::cifar, 32, cifar10_pixels}, 0);
  const std::string command = set + " --out " + run + skips + "--online-probe --epochs 2 --weights " + weights;
  for (const char* again : {"", " --resume"}) {
    const auto result = run_program("pretrain", command + again);
    CAPTURE(result.output);
    CHECK(result.code == 7);
    CHECK(is_one_line_error(result));
    CHECK(says(result, "error: the run has learned nothing: every step was skipped"));
    CHECK(Checkpoint(run + "/checkpoint.safetensors").run().steps_done == 6);
    CHECK(fs::exists(run + "/encoder.safetensors"));
    CHECK(!fs::exists(run + "/checkpoints/best.txt"));
    const auto epochs = epochs_of(run);
    REQUIRE(epochs.size() == 2);
    for (const nlohmann::json& epoch : epochs) {
      CHECK(epoch.at("loss").is_null());
      CHECK(epoch.at("probe_loss").is_null());
      CHECK(epoch.at("skipped_steps") == 3);
    }
  }
}

TEST_CASE("a step that is taken back leaves no trace: statistics, queue and momentum encoder to the bit") {
  PretrainOptions o = small_options(8, 3);
  o.momentum = 0.9;
  o.lr = 0.1;
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
  // The online probe learns again, too.
  const auto probe_weight = [&] {
    std::vector<double> values;
    for (const auto& [name, tensor] : learner.online_probe()->state())
      if (name == "online_probe.fc.weight") values = tensor.to_vector<double>();
    return values;
  };
  const std::vector<double> weight_before = probe_weight();
  REQUIRE(!weight_before.empty());
  step(0.5f);
  CHECK(probe_weight() != weight_before);
}

}  // namespace
}  // namespace kindred
