// A last update that is too large: no step follows to find it, so the end of the run does, and nothing of use is replaced.
#include "../../programs.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

// One step of all 24 images, whose update makes weights of about 1e37.
const std::string spoiling = " -b 24 --warmup-epochs 0 --lr 1e38 ";

TEST_CASE("a run whose last update spoils the weights ends with code 7 and keeps the earlier run") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", fresh = folder / "fresh";
  REQUIRE(run_program("pretrain", set + " --device cpu --out " + run + tiny).code == 0);
  const auto earlier = folder_contents(run);
  for (const std::string how :
       {"", "--on-nonfinite skip", "--loss cross_entropy", "--knn-every 0", "--checkpoint-every 1"}) {
    CAPTURE(how);
    const auto refused = [&](const std::string& out) {
      const auto result = run_program("pretrain", set + " --device cpu --out " + out + tiny + spoiling + how);
      CAPTURE(result.output);
      CHECK(result.code == 7);
      CHECK(is_one_line_error(result));
      CHECK(says(result,
                 "error: the run has diverged: the weights after step 1 give no finite features, so they "
                 "are of no use and were not saved; try a lower --lr"));
    };
    refused(run + " --overwrite");
    CHECK(folder_contents(run) == earlier);
    refused(fresh);
    // What was measured stays. Finite weights in the middle of an epoch are saved, because they may mend.
    for (const char* const file : {"/checkpoint.safetensors", "/encoder.safetensors"})
      CHECK(std::filesystem::exists(fresh + file) == (how == "--checkpoint-every 1"));
    std::filesystem::remove_all(fresh);
  }
}

TEST_CASE("a run whose steps are skipped replaces no earlier one, though it saves at every step") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --device cpu --out " + run + tiny).code == 0);
  const auto earlier = folder_contents(run);
  const auto result =
      run_program("pretrain", set + " --device cpu --out " + run + tiny +
                                  "--overwrite --on-nonfinite skip --checkpoint-every 1 --epochs 3 "
                                  "--knn-every 0 --lr 1e30 --warmup-epochs 0");
  CAPTURE(result.output);
  CHECK(result.code == 7);
  CHECK(is_one_line_error(result));
  auto contents = folder_contents(run);
  CHECK(contents.erase("non_finite.json") == 1);  // the list of what was skipped
  CHECK(contents == earlier);
}

TEST_CASE("a resumed run whose last update spoils the weights leaves its checkpoint as it was") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string command = set + " --device cpu --out " + run + tiny + "-b 24 --warmup-epochs 0 ";
  REQUIRE(run_program("pretrain", command).code == 0);
  const std::string encoder = read_bytes(run + "/encoder.safetensors"),
                    checkpoint = read_bytes(run + "/checkpoint.safetensors");
  const auto result = run_program("pretrain", command + "--epochs 2 --lr 3e38 --resume --allow-change");
  CAPTURE(result.output);
  CHECK(result.code == 7);
  CHECK(says(result, "error: the run has diverged: the weights after step 2 give"));
  CHECK(read_bytes(run + "/encoder.safetensors") == encoder);
  CHECK(read_bytes(run + "/checkpoint.safetensors") == checkpoint);
}

}  // namespace
}  // namespace kindred
