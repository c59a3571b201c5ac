// Programs of a user who may have few threads (`ulimit -u`), open files or addresses: each runs to its end, or ends with code
// 5 and one line. The limit of threads does not hold for root, and counts whatever else its user runs, so those run as a user
// who runs nothing.
#include "../memory_limit.h"
#include "processes/run_processes.h"
#include "programs.h"

#include <kindred/apps/console/advice.h>

#include <doctest/doctest.h>

#include <fmt/core.h>
#include <unistd.h>  // defines: geteuid

#include <cstdlib>
#include <filesystem>
#include <string>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// As a user with some number above those that systems give out by themselves, who may have so many threads.
std::string prefix_of_somebody(int threads) {
  return fmt::format("setpriv --reuid=61234 --regid=61234 --clear-groups prlimit --nproc={} env ", threads);
}

// A folder in which that user reads a set and writes runs.
class FolderOfSomebody {
 public:
  FolderOfSomebody() : set_(draw_tiny_set(folder_)) {
    fs::permissions(folder_.path, fs::perms::all);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder_.path))
      fs::permissions(entry.path(), fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
  }
  // Trains in a folder that is new, with at most so many threads and processes of the user.
  ProgramResult pretrain(int threads, const std::string& flags) {
    const std::string out = (folder_ / ("run" + std::to_string(++runs_))).string();
    return run_program_with(prefix_of_somebody(threads), "pretrain", set_ + " --out " + out + tiny + flags);
  }

 private:
  TemporaryFolder folder_;
  std::string set_;
  int runs_ = 0;
};

bool has_somebody() {
  const bool can_become =
      ::geteuid() == 0 && run_program_with(prefix_of_somebody(64), "pretrain", "--version").code == 0;
  if (!can_become) MESSAGE("skipped: this user cannot run the programs as another one");
  return can_become;
}

// Returns whether it came to its end.
bool ends_well_or_says_why(const ProgramResult& result, int threads) {
  CAPTURE(threads);
  CAPTURE(result.output);
  if (result.code == 0) return true;
  CHECK(result.code == 5);
  CHECK(is_one_line_error(result));
  CHECK(says(result, fmt::format("ulimit -u allows {} process", threads)));
  CHECK(!says(result, "libgomp"));
  return false;
}

TEST_CASE("thread limits: a run ends well, or says what it did not get, whatever the limit is") {
  if (!has_somebody()) return;
  FolderOfSomebody folder;
  int ended_well = 0;
  constexpr int most = 9;
  for (int threads = 1; threads <= most; ++threads)
    ended_well += ends_well_or_says_why(folder.pretrain(threads, ""), threads);
  CHECK(ended_well > 0);  // the last ones
  CHECK(ended_well < most);
}

TEST_CASE("thread limits: mpirun is not started where its threads do not fit") {
  if (!has_mpi() || !has_somebody()) return;
  FolderOfSomebody folder;
  for (const int threads : {1, 2, 4, 6, 8, 10}) {
    const ProgramResult result = folder.pretrain(threads, "--processes 2");
    CHECK(!ends_well_or_says_why(result, threads));
    CHECK(says(result, "mpirun and 2 processes need 10 threads, and only "));
    CHECK(says(result, "; use fewer --processes; if that is not enough: "));
    CHECK(!says(result, "ORTE"));
    CHECK(!says(result, "PMIX"));
  }
}

TEST_CASE("thread limits: fewer processes are a way out where their threads do not start") {
  const auto advised = [](const char* processes) {
    give_advice_for({"--workers", "--processes", "--gpus"});
    give_advice_beside({processes, "--workers=0"});
    return std::string(advice(Cause::out_of_threads));
  };
  CHECK(advised("--processes=4").find("use fewer --processes") == 0);
  CHECK(advised("--gpus=2").find("use fewer --gpus") == 0);
  CHECK(advised("--processes=1").find("--processes") == std::string::npos);
  give_advice_for({});
}

TEST_CASE("thread limits: mpirun is not started where its open files do not fit") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  bool has_trained = false;
  for (const int files : {4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64}) {
    CAPTURE(files);
    const std::string out = fmt::format("{}/run{}", folder.path.string(), files);
    const ProgramResult result = run_program_with(fmt::format("prlimit --nofile={} env ", files), "pretrain",
                                                  set + " --processes 2 --device cpu --out " + out + tiny);
    CAPTURE(result.output);
    has_trained = result.code == 0;
    if (has_trained) break;
    CHECK(result.code == 5);
    CHECK(is_one_line_error(result));
    CHECK(says(result, "pretrain: error: mpirun and 2 processes need "));
    CHECK(says(result, fmt::format("ulimit -n allows {}; raise it, or use fewer --processes\n", files)));
  }
  CHECK(has_trained);
}

// Libraries may write to memory that they did not get, and the line is then written at once (console/main.h).
TEST_CASE("thread limits: a run without memory says so once, whichever of its processes has none") {
  if (memory_cannot_be_limited || !has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  int ended_badly = 0;
  for (const int kibibytes : {181000, 184000, 192000})
    for (const std::string where :
         {"[ $OMPI_COMM_WORLD_RANK = 0 ] && ", "[ $OMPI_COMM_WORLD_RANK = 1 ] && ", ""}) {
      CAPTURE(kibibytes);
      CAPTURE(where);
      const ShellBeforeProcesses shell(folder, where + "ulimit -v " + std::to_string(kibibytes));
      const std::string out = folder / "probe";
      const ProgramResult result = run_program_with(
          shell.for_launcher(), "linear_probe",
          set + " --untrained resnet20 --image-size 32 -b 8 -j 1 --device cpu --processes 2 --epochs 1 --out " +
              out);
      CAPTURE(result.output);
      fs::remove_all(out);
      if (result.code == 0) continue;
      ++ended_badly;
      CHECK(result.code == 5);
      CHECK(is_one_line_error(result));
    }
  CHECK(ended_badly > 0);
}

TEST_CASE("thread limits: Open MPI is not loaded where its libraries do not fit") {
  if (memory_cannot_be_limited || !has_mpi()) return;
  const TemporaryFolder folder;
  const std::string command =
      draw_tiny_set(folder) + " --processes 2 --out " + (folder / "run").string() + tiny;
  for (const std::string limit : {"ulimit -v 120000; ", "ulimit -v 140000; ", "ulimit -d 20000; "}) {
    CAPTURE(limit);
    const ProgramResult result = run_program_with(limit, "pretrain", command);
    CAPTURE(result.output);
    CHECK(result.code == 5);
    CHECK(is_one_line_error(result));
    CHECK(says(result, "Open MPI's libraries alone need "));
    CHECK(says(result, "raise it\n"));
  }
}

}  // namespace
}  // namespace kindred
