// A checkpoint of the last step of an epoch, before the epoch's line is written: it has the figures of the last batch.
#include "../../programs.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/run/checkpoint.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

std::vector<nlohmann::json> features_of(const std::string& run) {
  std::vector<nlohmann::json> features;
  for (const nlohmann::json& line : json_lines(run + "/metrics.jsonl")) features.push_back(line.at("features"));
  return features;
}

TEST_CASE("a run that is killed behind an epoch's last step writes the same line of that epoch") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", killed = folder / "killed";
  // The model does not learn, so that not every epoch is a better one: the end of those that are not is saved by the
  // step alone.
  const std::string flags =
      " --device cpu --model resnet20 --image-size 32 -b 8 -j 1 --epochs 12 --lr 0 "
      "--warmup-epochs 0 --knn-every 0 --checkpoint-every 3 --keep-checkpoints 100 ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  std::optional<std::int64_t> last_step;
  for (const auto& entry : fs::directory_iterator(whole + "/checkpoints")) {
    if (entry.path().extension() != ".safetensors") continue;
    const RunState state = read_run_state(entry.path());
    if (state.batches_done != 3) continue;  // all steps of an epoch
    CHECK(state.features.at("uniformity").is_number());
    last_step = state.steps_done;
  }
  REQUIRE(last_step.has_value());

  // As a kill leaves it: this checkpoint is the newest one.
  fs::copy(whole, killed, fs::copy_options::recursive);
  std::vector<fs::path> newer;
  for (const auto& entry : fs::directory_iterator(killed + "/checkpoints"))
    if (entry.path().extension() == ".safetensors" && read_run_state(entry.path()).steps_done > *last_step)
      newer.push_back(entry.path());
  for (const fs::path& path : newer) fs::remove(path);
  fs::remove(killed + "/checkpoint.safetensors");
  const auto resumed = run_program("pretrain", set + " --out " + killed + flags + "--resume");
  CAPTURE(resumed.output);
  REQUIRE(resumed.code == 0);
  CHECK(features_of(killed) == features_of(whole));
}

}  // namespace
}  // namespace kindred
