// A run that a killed --overwrite has set aside: the next start reads the settings of this run, and not those of the killed
// one, which lie in its place.
#include "../../programs.h"

#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/takeover/set_aside.h>

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::string is_back =
    ": the run that was to replace the one there was killed before it had saved; the earlier run is back\n";

// A run, and what a run with --overwrite does until its first save: it sets this one aside and writes its settings.
struct RunWithKilledSuccessor {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), run = folder / "run", file = run + "/config.json",
              other = folder / "other";
  std::map<std::string, std::string> earlier, killed;

  RunWithKilledSuccessor() {
    REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
    earlier = folder_contents(run);
    begin_and_kill_successor();
    killed = folder_contents(run);
  }
  void begin_and_kill_successor() {
    nlohmann::json settings = json_file(file);
    settings["data"] = (folder / "gone").string();
    settings["lr"] = 0.5;
    settings["early_stop"] = 1;
    SetAside(run, FolderOf::run).move_away();
    write_bytes(file, settings.dump());
  }
};

TEST_CASE("--resume RUN after a killed --overwrite: the earlier run goes on with its own settings") {
  RunWithKilledSuccessor t;
  for (const std::string& typed : {"--resume " + t.run, "--out " + t.run + " --resume",
                                   "--config " + t.file + " --resume --out " + t.run}) {
    CAPTURE(typed);
    const auto result = run_program("pretrain", typed);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(says(result, t.run + is_back));
    CHECK(says(result, "the run is finished already\n"));
    CHECK(!says(result, "changed: "));
    CHECK(folder_contents(t.run) == t.earlier);
    t.begin_and_kill_successor();
  }
}

TEST_CASE("--config of a run after a killed --overwrite: its own settings are taken, and it is put right") {
  const RunWithKilledSuccessor t;
  const auto result = run_program("pretrain", "--config " + t.file + " --out " + t.other);
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(says(result, t.run + is_back));
  CHECK(folder_contents(t.run) == t.earlier);
  CHECK(read_bytes(t.other + "/encoder.safetensors") == t.earlier.at("encoder.safetensors"));
  const nlohmann::json config = json_file(t.other + "/config.json");
  CHECK(config.at("lr") == 0.1);
  CHECK(!config.contains("early_stop"));
}

TEST_CASE("after a killed --overwrite, --dry-run reads the settings of the earlier run and changes nothing") {
  const RunWithKilledSuccessor t;
  for (const std::string& typed :
       {"--dry-run --resume " + t.run, "--dry-run --config " + t.file + " --out " + t.other,
        "--help --resume " + t.run}) {
    CAPTURE(typed);
    const auto result = run_program("pretrain", typed);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(folder_contents(t.run) == t.killed);
  }
}

TEST_CASE("the settings of a run that another process is replacing are not read") {
  const RunWithKilledSuccessor t;
  const RunLock lock(t.run);
  for (const std::string& typed : {"--resume " + t.run, "--config " + t.file + " --out " + t.other}) {
    CAPTURE(typed);
    const auto result = run_program("pretrain", typed);
    CAPTURE(result.output);
    CHECK(result.code == 2);
    CHECK(is_one_line_error(result));
    CHECK(says(result, t.file + ": the run in " + t.run +
                           " is being replaced by another process; wait until it has saved\n"));
    CHECK(folder_contents(t.run) == t.killed);
  }
  CHECK(!fs::exists(t.other));
}

}  // namespace
}  // namespace kindred
