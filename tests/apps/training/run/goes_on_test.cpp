// A run that goes on: what config.json says of it then, and what is written when there is nothing to do. And a run that was
// asked to end before it had begun.
#include "../../programs.h"
#include "../options/typed_options.h"

#include <nlohmann/json.hpp>

#include <csignal>
#include <filesystem>
#include <string>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a signal before the first step: nothing is saved, and the corrected command begins") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), first = folder / "first", weights = folder / "weights",
                    run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --out " + first + tiny).code == 0);
  fs::create_directories(weights);
  fs::copy_file(first + "/encoder.safetensors", weights + "/encoder.safetensors");
  const std::string tuning = " --weights " + weights + "/encoder.safetensors --out " + run + tiny;
  bool has_come_in_time = false;
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto result = run_until_it_opens(weights, signal, "pretrain", set + tuning);
    CAPTURE(result.output);
    CHECK(result.code == 8);
    if (says(result, "a checkpoint of step ")) {
      CHECK(!says(result, "a checkpoint of step 0 "));
      fs::remove_all(run);
      continue;
    }
    has_come_in_time = true;
    CHECK(says(result, ": no step was done, and nothing was saved; the same command begins anew\n"));
    CHECK(!fs::exists(run));
  }
  if (!has_come_in_time) MESSAGE("the signals came after the first step");
  const auto corrected = run_program("pretrain", set + tuning + "--lr 0.05");
  CAPTURE(corrected.output);
  CHECK(corrected.code == 0);
}

TEST_CASE("--resume: config.json says every setting with which the run goes on, and the next one takes it") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run",
                    flags = " --model resnet20 --image-size 32 -b 8 -j 1 --epochs 40 --checkpoint-every 1 ";
  run_until_checkpoint(set, run, flags);
  const nlohmann::json before = json_file(run + "/config.json");
  CHECK(!before.contains("early_stop"));
  const auto resumed = run_program(
      "pretrain",
      "--resume " + run +
          " --knn-every 0 --max-bad 7 --keep-checkpoints 3 --early-stop 30 --checkpoint-every 2 -j 2");
  CAPTURE(resumed.output);
  REQUIRE(resumed.code == 0);
  const nlohmann::json now = json_file(run + "/config.json");
  CHECK(now.at("knn_every") == 0);
  CHECK(now.at("max_bad") == "7");
  CHECK(now.at("keep_checkpoints") == 3);
  CHECK(now.at("early_stop") == 30);
  CHECK(now.at("checkpoint_every") == "2");
  CHECK(now.at("workers") == 2);
  CHECK(now.at("started") == before.at("started"));
  CHECK(now.at("command") != before.at("command"));
  CHECK(now.at("data_fingerprint") == before.at("data_fingerprint"));
  const PretrainOptions next = pretrain_options("--resume " + run);
  CHECK(next.knn_every == 0);
  CHECK(next.keep_checkpoints == 3);
  CHECK(next.early_stop == 30);
  CHECK(next.workers == 2);
}

TEST_CASE("config.json: a device that nobody asked for stays auto, beside the one that was found") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", asked = folder / "asked";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
  const nlohmann::json config = json_file(run + "/config.json");
  CHECK(config.at("device") == "cpu");
  CHECK(config.at("device_asked") == "auto");
  CHECK(pretrain_options("--resume " + run).device == "auto");
  CHECK(pretrain_options("--out other --config " + run + "/config.json").device == "auto");
  CHECK(!says(run_program("pretrain", "--resume " + run), "it was asked for"));
  REQUIRE(run_program("pretrain", set + " --device cpu --out " + asked + tiny).code == 0);
  CHECK(json_file(asked + "/config.json").at("device_asked") == "cpu");
  CHECK(pretrain_options("--resume " + asked).device == "cpu");
  // Half precision was chosen for a GPU: without one it is not meant.
  const std::string of_gpu = config_in(
      folder,
      R"({"data": "set", "device": "cuda", "device_asked": "auto", "precision": "f16", "image_size": 32})");
  const auto replayed = run_program("pretrain", set + " --dry-run --out " + (folder / "new").string() + of_gpu);
  CAPTURE(replayed.output);
  CHECK(says(replayed,
             "left out of " + (folder / "config.json").string() + ": --precision (no GPU answers here)\n"));
}

TEST_CASE("--resume of a finished run needs no space on the disk") {
  for (const std::string loss : {"supcon", "cross_entropy"}) {
    CAPTURE(loss);
    const TemporaryFolder folder;
    const std::string set = draw_tiny_set(folder), run = folder / "run";
    REQUIRE(run_program("pretrain", set + " --loss " + loss + " --out " + run + tiny).code == 0);
    const auto before = folder_contents(run);
    const auto full = run_program_with("ulimit -f 0;", "pretrain", "--resume " + run);
    CAPTURE(full.output);
    CHECK(full.code == 0);
    CHECK(says(full, "the run is finished already\n"));
    CHECK(!says(full, "warning: "));
    CHECK(folder_contents(run) == before);
    // What is missing is written again.
    fs::remove(run + "/encoder.safetensors");
    CHECK(run_program("pretrain", "--resume " + run).code == 0);
    CHECK(folder_contents(run) == before);
  }
}

}  // namespace
}  // namespace kindred
