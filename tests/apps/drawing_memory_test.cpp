// check_data draws pictures with a library that does not look whether it got memory, and lists folders with what a limit leaves.
#include "../memory_limit.h"
#include "programs.h"

#include <doctest/doctest.h>

#include <fmt/core.h>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

// Runs it under limits from where nothing fits to where all does. Returns how many ended for want of memory.
int ends_without_memory(const std::string& ulimit, int least, int most, int step, const std::string& arguments,
                        bool& draws_last) {
  int ends = 0, of_pictures = 0;
  for (int kibibytes = least; kibibytes <= most; kibibytes += step) {
    const auto result = run_program_with(fmt::format("{} {}; ", ulimit, kibibytes), "check_data", arguments);
    CAPTURE(kibibytes);
    CAPTURE(result.output);
    draws_last = result.code == 0;
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
  bool draws_last = false;
  CHECK(ends_without_memory("ulimit -v", 60'000, 140'000, 2'000, command, draws_last) >= 5);
  CHECK(draws_last);
  CHECK(ends_without_memory("ulimit -d", 2'000, 62'000, 2'000, command, draws_last) >= 5);
  CHECK(draws_last);
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
