// Faults in libraries that do not look whether they got memory (`ulimit -v`).
#include "../memory_limit.h"
#include "programs.h"

#include <doctest/doctest.h>

#include <fmt/core.h>
#include <signal.h>        // defines: signal, SIG_DFL
#include <sys/mman.h>      // defines: mmap
#include <sys/resource.h>  // defines: setrlimit
#include <sys/wait.h>      // defines: waitpid
#include <unistd.h>        // defines: fork, _exit

#include <kindred/apps/console/ending/made_folders.h>
#include <kindred/apps/console/main.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace kindred {
namespace {

// oneDNN writes through a null pointer where it has no room for the code that it makes.
TEST_CASE(
    "memory faults: where a library does not look whether it got memory, the program still ends with a line" *
    doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --loss cross_entropy --out " + run + tiny).code == 0);
  const std::string classify =
      set + "/val --encoder " + run + " --classifier " + run + "/classifier.safetensors";
  for (int kibibytes = 100'000; kibibytes <= 130'000; kibibytes += 2'000) {
    CAPTURE(kibibytes);
    const std::string limit = fmt::format("ulimit -v {}; ", kibibytes);
    for (const auto& result :
         {run_program_with(limit, "classify", classify),
          run_program_with(limit, "pretrain", set + " --out " + (folder / "other").string() + " --epochs 1")}) {
      CAPTURE(result.output);
      if (result.code == 0 || result.code == 127) continue;  // 127: its libraries cannot be loaded
      CHECK(result.code == 5);
      CHECK(is_one_line_error(result));
      const std::filesystem::path other = folder / "other";
      CHECK(!(std::filesystem::exists(other) && std::filesystem::is_empty(other)));
    }
    std::filesystem::remove_all(folder / "other");
  }
}

// Ends a child of this process by a fault, with a limit of the address space. Returns its status.
int status_after_fault(bool takes_all) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // the test runner handles it
    // Far above the addresses that this process has already: each of its threads so far has left some reserved.
    const rlimit limit{std::size_t{256} << 30, std::size_t{256} << 30};
    ::setrlimit(RLIMIT_AS, &limit);
    watch_for_missing_memory();
    for (std::size_t bytes = std::size_t{1} << 37; takes_all && bytes >= 4096;)
      if (::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) bytes /= 2;
    volatile char* volatile nowhere = nullptr;
    *nowhere = 1;
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

TEST_CASE("memory faults: of the folders that the program made, the empty ones go with it" *
          doctest::skip(memory_cannot_be_limited)) {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  for (const char* name : {"made/inner", "kept", "given_up", "not_ours"}) fs::create_directories(folder / name);
  write_bytes(folder / "kept/file", "a result");
  for (const char* name : {"made/inner/", "made", "kept", "given_up"}) note_made_folder(folder / name);
  forget_made_folder(folder / "given_up/");
  CHECK(WIFSIGNALED(status_after_fault(false)));  // it is no end for want of memory
  CHECK(fs::exists(folder / "made/inner"));
  CHECK(WEXITSTATUS(status_after_fault(true)) == 5);
  CHECK(!fs::exists(folder / "made"));
  for (const char* name : {"kept/file", "given_up", "not_ours"}) CHECK(fs::exists(folder / name));
  for (const char* name : {"made/inner", "made", "kept"}) forget_made_folder(folder / name);
}

TEST_CASE("memory faults: a fault is said to be one of memory only if there is none left" *
          doctest::skip(memory_cannot_be_limited)) {
  const int without = status_after_fault(true), with = status_after_fault(false);
  CHECK(WIFEXITED(without));
  CHECK(WEXITSTATUS(without) == 5);
  CHECK(WIFSIGNALED(with));
  CHECK(WTERMSIG(with) == SIGSEGV);
}

}  // namespace
}  // namespace kindred
