// What the same command does after a run has lost a process, by what lies in its folder.
#include "../../../../engine/communicator/threads.h"
#include "../../../../engine/temporary_folder.h"

#include <doctest/doctest.h>
#include <kindred/apps/console/advice.h>
#include <kindred/apps/processes/ending.h>
#include <kindred/apps/training/run/shared/saved_so_far.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::string anew = "nothing was saved yet, and the same command begins anew",
                  anew_with_resume = "nothing was saved yet, and the same command with --resume begins anew";

void write_checkpoint(const fs::path& run, const std::string& step) {
  fs::create_directories(run / "checkpoints");
  write_bytes(run / "checkpoints" / ("step-" + step + ".safetensors"), "weights");
}

TEST_CASE("saved so far: before the first save a run begins anew, and after it it goes on") {
  const TemporaryFolder folder;
  RunToSave run{.out = folder / "run"};
  CHECK(advice_after_loss_of(run) == anew);
  fs::create_directories(run.out);
  write_bytes(run.out / "config.json", "{}");
  write_bytes(run.out / "metrics.jsonl", "");
  CHECK(advice_after_loss_of(run) == anew);
  // Now the command would be refused as it is.
  write_bytes(run.out / "metrics.jsonl", "{\"epoch\": 1}\n");
  CHECK(advice_after_loss_of(run) == anew_with_resume);
  run.resumes = true;
  CHECK(advice_after_loss_of(run) == anew);
  run.resumes = false;
  run.overwrites = true;
  CHECK(advice_after_loss_of(run) == anew);
  run.overwrites = false;
  write_checkpoint(run.out, "000000003");
  CHECK(advice_after_loss_of(run) == advice_to_go_on());
  run.resumes = true;
  CHECK(advice_after_loss_of(run) == advice_to_go_on());
}

TEST_CASE("saved so far: the checkpoints of a run that is overwritten are not those of the new one") {
  const TemporaryFolder folder;
  RunToSave run{.out = folder / "run", .overwrites = true};
  CHECK(!newest_save(run.out));
  write_checkpoint(run.out, "000000003");
  run.earlier = newest_save(run.out);
  REQUIRE(run.earlier.has_value());
  CHECK(advice_after_loss_of(run) == anew);
  const fs::path checkpoint = run.earlier->first;
  SUBCASE("another step") {
    fs::remove(checkpoint);
    write_checkpoint(run.out, "000000002");
  }
  SUBCASE("the same step, later") {
    fs::last_write_time(checkpoint, fs::last_write_time(checkpoint) + std::chrono::seconds(1));
  }
  CHECK(advice_after_loss_of(run) == advice_to_go_on());
}

TEST_CASE("saved so far: a process that does not see the folder does not say that nothing was saved") {
  const TemporaryFolder folder;
  const RunToSave run{.out = folder / "run"};
  std::vector<std::string> advice(2);
  run_processes(2, [&](const Communicator& processes) {
    advice[static_cast<std::size_t>(processes.rank())] = advice_after_loss_of(run);
  });
  CHECK(advice[0] == anew);
  CHECK(advice[1] == std::string(advice_to_go_on()) + ", if there is one");
}

TEST_CASE("saved so far: what a program says of a loss is said, and if it cannot, what its flags say") {
  CHECK(advice_after_loss() == advice_to_go_on());
  set_advice_after_loss([] { return std::string("the weather decides"); });
  CHECK(advice_after_loss() == "the weather decides");
  set_advice_after_loss([]() -> std::string { throw std::runtime_error("no folder"); });
  CHECK(advice_after_loss() == advice_to_go_on());
  set_advice_after_loss({});
}

}  // namespace
}  // namespace kindred
