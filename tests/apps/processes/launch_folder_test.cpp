// What launchers and their processes leave in the folder for temporary files when they are killed.
#include "run_processes.h"

#include <kindred/apps/processes/connection.h>
#include <kindred/apps/processes/launcher/launch_folder.h>
#include <kindred/data/files/file_lock.h>
#include <kindred/data/files/temporary_folders.h>
#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>

#include <signal.h>  // defines: kill
#include <stdlib.h>  // defines: mkdtemp

#include <chrono>
#include <filesystem>

namespace kindred {
namespace {

namespace fs = std::filesystem;

void make_two_days_old(const fs::path& path) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(48));
}

// In /tmp, because the path of a socket must be short, whatever TMPDIR is.
struct ShortFolder {
  ShortFolder() {
    std::string pattern = "/tmp/short-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~ShortFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  ShortFolder(const ShortFolder&) = delete;
  ShortFolder& operator=(const ShortFolder&) = delete;

  fs::path path;
};

fs::path make_folder(const fs::path& parent, const std::string& name) {
  const fs::path folder = parent / name;
  fs::create_directories(folder / "ompi.node7.0" / "pid.1");
  return folder;
}

TEST_CASE("launch folders: what a dead launcher left is removed, and what is in use stays") {
  const TemporaryFolder parent;
  const std::string beginning = beginning_of_temporary_folders("launch");
  const fs::path left = make_folder(parent.path, beginning + "aaaaaa"),
                 used = make_folder(parent.path, beginning + "bbbbbb"),
                 without_lock = make_folder(parent.path, beginning + "cccccc"),
                 old_without_lock = make_folder(parent.path, beginning + "dddddd"),
                 of_another_purpose =
                     make_folder(parent.path, beginning_of_temporary_folders("shards") + "eeeeee"),
                 of_a_user = make_folder(parent.path, "kindred-launches");
  { const FileLock lock(left / lock_of_temporary_folder); }
  { const FileLock lock(of_another_purpose / lock_of_temporary_folder); }
  FileLock in_use(used / lock_of_temporary_folder);
  REQUIRE(in_use.try_alone());
  make_two_days_old(old_without_lock);
  make_two_days_old(used);
  make_two_days_old(of_a_user);
  remove_left_launch_folders(parent.path);
  CHECK(!fs::exists(left));
  CHECK(!fs::exists(old_without_lock));
  for (const fs::path& stays : {used, without_lock, of_another_purpose, of_a_user}) {
    CAPTURE(stays.string());
    CHECK(fs::exists(stays / "ompi.node7.0" / "pid.1"));
  }
  remove_abandoned_folders(parent.path, "shards");
  CHECK(!fs::exists(of_another_purpose));
}

TEST_CASE("launch folders: what clears old files cannot make one that is in use look as if it were left") {
  for (const bool is_shared : {true, false}) {
    const TemporaryFolder parent;
    const fs::path used =
        make_folder(parent.path, beginning_of_temporary_folders(purpose_of_shards) + "aaaaaa");
    TemporaryFolderLock in_use(used);
    REQUIRE((is_shared ? in_use.try_shared() : in_use.try_alone()));
    fs::remove(used / lock_of_temporary_folder);
    make_two_days_old(used);
    remove_abandoned_folders(parent.path, purpose_of_shards);
    CHECK(fs::exists(used / "ompi.node7.0" / "pid.1"));
    TemporaryFolderLock another(used);
    CHECK(!another.try_alone());
    CHECK(another.try_shared() == is_shared);
  }
}

TEST_CASE("launch folders: locks of a folder, which are free once their owners are gone") {
  const TemporaryFolder parent;
  const fs::path used = make_folder(parent.path, beginning_of_temporary_folders(purpose_of_shards) + "aaaaaa");
  {
    TemporaryFolderLock first(used), second(used);
    REQUIRE(first.try_shared());
    REQUIRE(second.try_shared());
    remove_if_abandoned(used);
    CHECK(fs::exists(used));
    fs::remove_all(used);
    TemporaryFolderLock late(make_folder(parent.path, used.filename()));
    fs::remove_all(used);
    CHECK(!late.try_shared());  // what it has opened is not there any more
  }
  const TemporaryFolderLock nobody(make_folder(parent.path, used.filename()));
  remove_if_abandoned(used);
  CHECK(!fs::exists(used));
}

TEST_CASE("launch folders: of a version without locks only what is old and has a socket where nobody listens") {
  const ShortFolder parent;
  const fs::path dead = make_folder(parent.path, "kindred-aB3dE9"),
                 young = make_folder(parent.path, "kindred-bB3dE9"),
                 alive = make_folder(parent.path, "kindred-cB3dE9"),
                 of_a_user = make_folder(parent.path, "kindred-backup");
  for (const fs::path& folder : {dead, young}) listen_at(folder / launcher_socket_name, 2);
  const OpenFile listener = listen_at(alive / launcher_socket_name, 2);
  for (const fs::path& folder : {dead, alive, of_a_user}) make_two_days_old(folder);
  remove_left_launch_folders(parent.path);
  CHECK(!fs::exists(dead));
  for (const fs::path& stays : {young, alive, of_a_user}) {
    CAPTURE(stays.string());
    CHECK(fs::exists(stays));
  }
}

TEST_CASE("launch folders: a run that ends badly leaves nothing behind, of others that were killed neither") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const ShortFolder short_folder;
  const fs::path temporary = short_folder.path;
  for (const char* const purpose : {"launch", "shards"}) {
    const fs::path left = temporary / (beginning_of_temporary_folders(purpose) + "aaaaaa");
    fs::create_directories(left);
    const FileLock lock(left / lock_of_temporary_folder);
  }
  const std::string arguments =
      draw_tiny_set(folder) + " --out " + (folder / "run").string() + tiny + "--device cpu ";
  const auto result =
      run_program_with("TMPDIR=" + temporary.string() + " " + prefix_for_mpirun(folder, "exit 1\n"), "pretrain",
                       arguments + "--processes 2");
  CAPTURE(result.output);
  CHECK(result.code == 5);
  CHECK(says(result, "no process could be started: mpirun ended with code 1"));
  CHECK(fs::is_empty(temporary));
}

TEST_CASE("launch folders: the next launcher removes what a killed one left") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const ShortFolder short_folder;
  const fs::path temporary = short_folder.path;
  const std::string run = folder / "run", in_temporary = "TMPDIR=" + temporary.string() + " ";
  const std::string arguments = draw_tiny_set(folder) + " --out " + run + tiny + "--device cpu --processes 2 ";
  const auto is_launched = [&] { return processes_of_run("pretrain", run).size() == 3; };
  run_program_and(
      "pretrain", arguments + "--epochs 2000", run, is_launched,
      [](const std::vector<RunProcess>& processes) {
        for (const RunProcess& process : processes)
          if (!process.rank) ::kill(process.process, SIGKILL);
      },
      in_temporary);
  CHECK(nothing_is_left("pretrain", run));
  const std::string beginning = beginning_of_temporary_folders("launch");
  const auto left = [&] {
    int count = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(temporary))
      count += entry.path().filename().string().starts_with(beginning);
    return count;
  };
  CHECK(left() == 1);
  run_program_with(in_temporary + prefix_for_mpirun(folder, "exit 1\n"), "pretrain", arguments + "--overwrite");
  CHECK(left() == 0);
}

TEST_CASE("launch folders: the one in shared memory is locked, and removed with what is in it") {
  std::string path;
  {
    const auto folder = launch_folder_in_memory();
    if (folder == nullptr) return;  // there is no such memory, or it cannot be written to
    path = folder->path();
    CHECK(path.starts_with("/dev/shm/" + beginning_of_temporary_folders("launch")));
    write_bytes(fs::path(path) / "vader_segment.node7.0.1.0", "shared");
    CHECK(launch_folder_in_memory() != nullptr);  // another launcher
    CHECK(fs::exists(fs::path(path) / "vader_segment.node7.0.1.0"));
  }
  CHECK(!fs::exists(path));
}

}  // namespace
}  // namespace kindred
