#include "../../errors.h"
#include "../temporary_folder.h"

#include <doctest/doctest.h>
#include <kindred/engine/files/make_folders.h>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

TEST_CASE("folders to write to: those that are missing are made, and an error says what to do") {
  const TemporaryFolder folder;
  for (int twice = 0; twice < 2; ++twice) make_folders("--out", folder / "a/b/c");
  CHECK(std::filesystem::is_directory(folder / "a/b/c"));

  const std::string file = folder / "a/file";
  write_bytes(file, "mine");
  for (const std::string& below : {file, file + "/x", file + "/x/y/"}) {
    CAPTURE(below);
    const auto make = [&] { make_folders("--out " + below, below); };
    CHECK(test::error_of(make).starts_with("--out " + below + ": the folder cannot be made: "));
    CHECK(test::error_of(make).ends_with("; " + file + " is not a folder: choose another folder"));
    CHECK(test::code_of(make) == ExitCode::io);
  }
  CHECK(read_bytes(file) == "mine");
  CHECK(test::error_of([] {
          make_folders("OUT", "/proc/kindred");
        }).ends_with("; choose a folder that can be written"));
}

}  // namespace
}  // namespace kindred
