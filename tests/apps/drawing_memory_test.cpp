// check_data draws pictures with a library that does not look whether it got memory, and lists folders with what a limit leaves.
#include "../memory_limit.h"
#include "programs.h"

#include <doctest/doctest.h>

#include <fmt/core.h>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

constexpr int step = 2'000;  // between limits, in KiB

ProgramResult check_under(const std::string& ulimit, int kibibytes, const std::string& arguments) {
  return run_program_with(fmt::format("{} {}; ", ulimit, kibibytes), "check_data", arguments);
}

// A limit under which everything is drawn, and one below it under which it is not, a step apart. Where they lie depends on what
// the program's libraries take.
int least_that_draws(const std::string& ulimit, const std::string& arguments) {
  int too_small = step, enough = 2 * step;
  for (; check_under(ulimit, enough, arguments).code != 0; enough *= 2) {
    REQUIRE(enough < 16'000'000);
    too_small = enough;
  }
  while (enough - too_small > step) {
    const int middle = (too_small + enough) / 2;
    (check_under(ulimit, middle, arguments).code == 0 ? enough : too_small) = middle;
  }
  return enough;
}

// Runs it under limits below the one that is enough. Returns how many ended for want of memory.
int ends_without_memory(const std::string& ulimit, const std::string& arguments) {
  int ends = 0, of_pictures = 0;
  const int enough = least_that_draws(ulimit, arguments);
  for (int kibibytes = enough - step; kibibytes > 0 && kibibytes >= enough - 20 * step; kibibytes -= step) {
    const auto result = check_under(ulimit, kibibytes, arguments);
    CAPTURE(kibibytes);
    CAPTURE(result.output);
    if (result.code == 0 || result.code == 127) continue;  // 127: its libraries cannot be loaded
    CHECK(result.code == 5);
    CHECK(is_one_line_error(result));
    CHECK(says(result, ulimit + " "));
    ++ends;
    of_pictures += says(result, ".png: not enough memory for a picture of ");
  }
  CHECK(of_pictures >= 1);
  return ends;
}

TEST_CASE(
    "drawing memory: a picture that finds none ends the program with a line, and nothing is written over" *
    doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  const std::string command = draw_tiny_set(folder, 4, 16) + " --views --out " + (folder / "pictures").string();
  CHECK(ends_without_memory("ulimit -v", command) >= 5);
  CHECK(ends_without_memory("ulimit -d", command) >= 5);
}

TEST_CASE("drawing memory: a program that may open no more files says so, and does not blame the set") {
  const TemporaryFolder folder;
  const std::string command = draw_tiny_set(folder) + " --out " + (folder / "run").string() + tiny;
  // Not `ulimit -n 4;`, because the shell itself opens more.
  const auto result = run_program_with("prlimit --nofile=4 env", "pretrain", command);
  CAPTURE(result.output);
  CHECK(result.code == 5);
  CHECK(is_one_line_error(result));
  CHECK(says(result, "raise the limit of open files (ulimit -n)"));
  CHECK(!std::filesystem::exists(folder / "run"));
  const std::string weights = folder / "trained";
  const std::string set = folder / "set";
  REQUIRE(run_program("pretrain", set + " --out " + weights + tiny).code == 0);
  const auto embedded = run_program_with(
      "prlimit --nofile=4 env", "embed",
      set + " --split val --encoder " + weights + " --out " + (folder / "features.npz").string());
  CAPTURE(embedded.output);
  CHECK(embedded.code == 5);
  CHECK(is_one_line_error(embedded));
  CHECK(says(embedded, "raise the limit of open files (ulimit -n)"));
}

}  // namespace
}  // namespace kindred
