// What stands in a run's way in its folder, and what stays beside it.
#include "../../../errors.h"
#include "../../programs.h"

#include <kindred/apps/training/run/takeover/beside_run.h>
#include <kindred/apps/training/run/takeover/output_folder.h>

#include <fcntl.h>     // defines: open
#include <sys/wait.h>  // defines: waitpid
#include <unistd.h>    // defines: fork, setuid

#include <cstdio>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("output folder: what stands where a run puts its files is named before the work begins, and stays") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  const auto check_refused = [&](const std::string& name, const std::string& what) {
    CAPTURE(name);
    for (const bool holds : {true, false}) {
      if (holds) write_bytes(run / "checkpoint.safetensors", "the earlier");
      if (holds) write_bytes(run / "config.json", "{\"data_fingerprint\": \"0\"}");
      const auto before = folder_contents(run);
      for (const ExistingRun existing : {ExistingRun::overwrite, ExistingRun::resume, ExistingRun::refuse}) {
        if (holds && existing == ExistingRun::refuse) continue;
        const auto open = [&] { OutputFolder(run, FolderOf::run, existing).take_over(); };
        CHECK(test::error_of(open) == "--out " + run.string() + ": its " + name + " is " + what +
                                          "; remove it, or give another folder");
        CHECK(test::code_of(open) == ExitCode::usage);
        CHECK(folder_contents(run) == before);
      }
      fs::remove(run / "checkpoint.safetensors");
      fs::remove(run / "config.json");
    }
    CHECK(fs::exists(fs::symlink_status(run / name)));
    fs::remove_all(run);
    fs::create_directory(run);
  };
  fs::create_directory(run);
  for (const std::string name : {"best_encoder.safetensors", "metrics.jsonl", "non_finite.json"}) {
    fs::create_directories(run / name / "inside");
    check_refused(name, "a folder, where a run puts a file");
  }
  fs::create_directories(run / "checkpoints/best.txt");
  check_refused("checkpoints/best.txt", "a folder, where a run puts a file");
  for (const std::string name : {"checkpoints", "tensorboard"}) {
    write_bytes(run / name, "the user's");
    check_refused(name, "not a folder, where a run puts a folder");
    fs::create_symlink(folder / "gone", run / name);
    check_refused(
        name, "a link to " + (folder / "gone").string() + ", which is not there, where a run puts a folder");
  }
  // A linked folder is none, and neither is a link with the name of a file.
  fs::create_directories(folder / "disk");
  fs::create_directory_symlink(folder / "disk", run / "checkpoints");
  fs::create_directory_symlink(folder / "disk", run / "best_classifier.safetensors");
  CHECK(test::error_of([&] { OutputFolder(run, FolderOf::run, ExistingRun::refuse).take_over(); }) ==
        "no error");
}

TEST_CASE("--overwrite: folders that cannot be looked into are named, and so is what to do about one's files") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run", said = folder / "said";
  for (const char* name : {"open", "probe", "shut"}) fs::create_directories(run / name);
  for (const fs::path& each : {folder.path, run, run / "open"}) fs::permissions(each, fs::perms::all);
  write_bytes(run / "shut/config.json", "the earlier");
  for (const char* name : {"probe", "shut"}) fs::permissions(run / name, fs::perms::none);
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t nobody = 65534;
    if (::geteuid() == 0 && ::setuid(nobody) != 0) ::_exit(77);
    const int file = ::open(said.c_str(), O_WRONLY | O_CREAT, 0644);
    if (file < 0 || ::dup2(file, STDOUT_FILENO) < 0) ::_exit(77);  // the temporary folder is not everybody's
    warn_of_others(run);
    std::printf("%s\n", test::error_of([&] { remove_own(run / "shut/config.json"); }).c_str());
    std::fflush(stdout);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  for (const char* name : {"probe", "shut"}) fs::permissions(run / name, fs::perms::owner_all);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    MESSAGE("no user without permissions can be tried here");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(read_bytes(said) ==
        "warning: " + (run / "probe").string() + ", " + (run / "shut").string() +
            " cannot be looked into (no permission); results of a probe there stay, and are not of the new "
            "run\n" +
            (run / "shut/config.json").string() +
            " cannot be removed: Permission denied; make its folder writable, or give another folder\n");
}

}  // namespace
}  // namespace kindred
