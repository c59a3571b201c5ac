// --resume of a run whose config.json is there and cannot be read.
#include "../../../errors.h"
#include "../../programs.h"
#include "typed_options.h"

#include <unistd.h>  // defines: geteuid

#include <filesystem>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE(
    "--resume without DIR: of a config.json that cannot be read, the error says why, and what is left to do") {
  const TemporaryFolder folder;
  const std::string run = folder / "run", file = run + "/config.json", gone = folder / "gone";
  const auto check_refused = [&](const std::string& reason) {
    CAPTURE(reason);
    for (const std::string& typed : {"--resume " + run, "--resume=" + run, "--resume --out " + run}) {
      CAPTURE(typed);
      CHECK(test::error_of([&] { pretrain_options(typed); }) ==
            "--resume: " + file + " " + reason +
                "; make it readable, restore that file from a copy, or begin a new run in another folder");
      CHECK(test::code_of([&] { pretrain_options(typed); }) == ExitCode::file);
    }
    // With DIR the file is not needed here.
    CHECK(pretrain_options("other --resume=" + run).data.path == "other");
  };
  fs::create_directories(run);
  write_bytes(run + "/metrics.jsonl", "{}\n");
  fs::create_symlink(gone, file);
  check_refused("is a link to " + gone + ", which is not there");
  if (::geteuid() == 0) return;  // root may read everything
  fs::remove(file);
  write_bytes(file, "{}");
  fs::permissions(file, fs::perms::none);
  check_refused("cannot be opened: Permission denied");
  fs::permissions(file, fs::perms::owner_all);
}

}  // namespace
}  // namespace kindred
