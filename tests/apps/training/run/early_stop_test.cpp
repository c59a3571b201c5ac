// --early-stop: when a run ends, and that a resumed one ends where the whole one does.
#include "../../programs.h"
#include "../small_options.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/verdict/verdict.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

std::vector<double> losses_of(const std::string& run) {
  std::vector<double> losses;
  for (const nlohmann::json& line : json_lines(run + "/metrics.jsonl"))
    losses.push_back(line.at("loss").get<double>());
  return losses;
}

// How many epochs a run takes with these losses: until one is not below the least for `patience` epochs.
std::size_t epochs_with(const std::vector<double>& losses, std::size_t patience) {
  std::size_t best = 0;
  for (std::size_t epoch = 1; epoch < losses.size(); ++epoch) {
    if (losses[epoch] < losses[best]) best = epoch;
    if (epoch - best >= patience) return epoch + 1;
  }
  return losses.size();
}

// A model that does not learn: its loss differs between epochs only by what is drawn.
const std::string still = " --model resnet20 --image-size 32 -b 8 -j 1 --epochs 12 --lr 0 --warmup-epochs 0 ";

TEST_CASE(
    "--early-stop: the run ends when the loss has not improved for so many epochs, and goes on with more") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", other = folder / "other",
                    whole = folder / "whole";
  const std::string flags = still + "--knn-every 0 ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  CHECK(!json_file(folder / "whole/config.json").contains("early_stop"));
  const std::vector<double> all = losses_of(whole);
  REQUIRE(all.size() == 12);
  REQUIRE(epochs_with(all, 1) < 12);

  const auto stopped = run_program("pretrain", set + " --out " + run + flags + "--early-stop 1");
  CAPTURE(stopped.output);
  CHECK(stopped.code == 0);
  CHECK(says(stopped, "--early-stop 1: the figure has not improved for 1 epoch, and the run ends\n"));
  CHECK(says(stopped, "encoder: "));
  CHECK(losses_of(run).size() == epochs_with(all, 1));
  CHECK(json_file(folder / "run/config.json").at("early_stop") == 1);
  const auto again = run_program("pretrain", set + " --out " + run + flags + "--early-stop 1 --resume");
  CHECK(again.code == 0);
  CHECK(says(again, "the run is finished already"));
  CHECK(losses_of(run).size() == epochs_with(all, 1));

  // With a larger number it continues as if it had always had that one.
  REQUIRE(run_program("pretrain", set + " --out " + run + flags + "--early-stop 2 --resume").code == 0);
  REQUIRE(run_program("pretrain", set + " --out " + other + flags + "--early-stop 2").code == 0);
  CHECK(losses_of(run).size() == epochs_with(all, 2));
  CHECK(losses_of(run) == losses_of(other));
  CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(other + "/encoder.safetensors"));
  // Without the flag to its end.
  REQUIRE(run_program("pretrain", set + " --out " + run + flags + "--resume").code == 0);
  CHECK(losses_of(run) == all);
  CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));
}

// The line at the end of a run of epochs with these figures and losses, with --early-stop 2.
std::string end_after(const std::string& kind, const std::vector<std::pair<double, double>>& epochs) {
  struct NoPictures : SampleSource {
    std::string name(std::int64_t) const override { return "none"; }
  };
  const TemporaryFolder folder;
  PretrainOptions o = small_options(8, 2);
  o.out = (folder / "run").string();
  o.epochs = 9;
  o.early_stop = 2;
  std::filesystem::create_directories(o.out);
  const Dataset train({"a", "b"}, {0, 1}, std::make_shared<NoPictures>(), false);
  RunRecord record(o, train, 1, [] { return std::vector<BadImage>(); });
  record.begin();
  for (const auto& [figure, loss] : epochs) {
    CHECK(!record.is_finished());
    record.begin_step({0, 1});
    record.end_step(StepResult{.step = record.state().steps_done, .loss = loss, .step_seconds = 1}, true);
    EpochReport report;
    report.loss = loss;
    record.end_epoch(report, {kind, figure, true});
  }
  CHECK(record.is_finished());
  return early_end(record.state(), o.epochs, o.early_stop, record.best_epoch());
}

TEST_CASE(
    "--early-stop: an equal figure is no improvement, but its epoch may be the best one, and a line says so") {
  const std::string line = "--early-stop 2: the figure has not improved for 2 epochs, and the run ends";
  CHECK(end_after("neighbours", {{0.5, 2}, {0.25, 1}, {0.25, 1}}) == line);
  CHECK(end_after("neighbours", {{0.25, 3}, {0.5, 2}, {0.5, 3}, {0.25, 1}}) == line);  // a higher loss
  const std::string same = line + "; epoch 2 has the same figure as epoch 1, and counts as the best because ",
                    third = line + "; epoch 3 has the same figure as epoch 1, and counts as the best because ";
  CHECK(end_after("neighbours", {{0.5, 2}, {0.5, 1}, {0.5, 3}}) == same + "its loss is not higher");
  CHECK(end_after("classifier", {{0.5, 2}, {0.5, 2}, {0.5, 2}}) == third + "its loss is not higher");
  CHECK(end_after("loss", {{-2, 2}, {-2, 2}, {-3, 3}}) == same + "it is later");
  CHECK(end_after("loss", {{-2, 2}, {-3, 3}, {-2, 2}}) == third + "it is later");
}

TEST_CASE("--early-stop: by nearest neighbours only when they are measured") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const auto stopped =
      run_program("pretrain", set + " --out " + run + still + "--epochs 40 --knn-every 2 --early-stop 1");
  CAPTURE(stopped.output);
  CHECK(stopped.code == 0);
  const auto lines = json_lines(run + "/metrics.jsonl");
  CHECK(lines.size() % 2 == 0);
  CHECK(lines.size() >= 4);  // the first measurement is better than none
  CHECK(lines.size() < 40);
  double best = -1;
  for (std::size_t i = 1; i < lines.size(); i += 2) {
    const double accuracy = lines[i].at("knn_top1").get<double>();
    CHECK((accuracy > best) == (i + 1 < lines.size()));  // the last one alone is no better
    best = accuracy;
  }
}

}  // namespace
}  // namespace kindred
