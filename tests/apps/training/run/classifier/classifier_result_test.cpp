// result.json of a run with --loss cross_entropy: of which epochs it is, and that it is never beside other weights.
#include "../../../programs.h"

#include <doctest/doctest.h>
#include <signal.h>  // defines: SIGTERM

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// The model does not learn: its loss differs between epochs only by what is drawn.
const std::string still_classifier =
    " --device cpu --model resnet20 --image-size 32 -b 8 -j 1 --loss cross_entropy --views 1 --lr 0 "
    "--warmup-epochs 0 ";

TEST_CASE("the result of a run that ended early says how many epochs it is of, and goes when the run goes on") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", result = run + "/result.json";
  const auto stopped = run_program(
      "pretrain", set + " --out " + run + still_classifier + "--epochs 12 --knn-every 0 --early-stop 1");
  CAPTURE(stopped.output);
  REQUIRE(stopped.code == 0);
  const std::size_t epochs = json_lines(run + "/metrics.jsonl").size();
  REQUIRE(epochs < 12);
  CHECK(json_file(result).at("settings").at("epochs") == 12);
  CHECK(json_file(result).at("epochs_done") == epochs);

  // A resumed run opens these images at the end of its first epoch, long before its last one.
  const fs::path images = fs::directory_iterator(set + "/val")->path();
  const auto going_on = run_until_it_opens(
      images, SIGTERM, "pretrain",
      set + " --out " + run + still_classifier + "--epochs 4000 --knn-every 1 --resume --allow-change");
  CAPTURE(going_on.output);
  CHECK(going_on.code == 8);
  CHECK(!fs::exists(result));
}

}  // namespace
}  // namespace kindred
