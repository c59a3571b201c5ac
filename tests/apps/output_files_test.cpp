// Names of files to write that cannot be written, in every program that takes one.
#include "programs.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("output files: a folder of that name, or a link to nothing, is refused before the work begins") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --loss cross_entropy --out " + run + tiny).code == 0);
  const std::string there = folder / "there", gone = folder / "gone", link = folder / "link.npz";
  fs::create_directories(there);
  fs::create_symlink(gone, link);
  const struct {
    const char* program;
    std::string arguments;
    const char *flag, *advice;
  } cases[] = {
      {"check_data", set + " --no-pictures --json ", "--json", "data.json"},
      {"pack_dataset", set + " ", "OUT", "set.kpack"},
      {"pretrain", set + " --out " + (folder / "new").string() + " --dry-run --gpu h100 --prediction ",
       "--prediction", "prediction.json"},
      {"evaluate", set + " --encoder " + run + " --classifier " + run + "/classifier.safetensors --json ",
       "--json", "evaluation.json"},
      {"export", run + " --format npz --out ", "--out", "encoder.npz"},
      {"export", run + " --format torchvision --out ", "--out", "encoder.safetensors"},
      {"embed", set + " --encoder " + run + " --out ", "--out", "features.npz"},
  };
  for (const auto& [program, arguments, flag, advice] : cases) {
    for (const char* slash : {"", "/"}) {
      const ProgramResult result = run_program(program, arguments + there + slash);
      CAPTURE(result.output);
      CHECK(result.code == 2);
      CHECK(is_one_line_error(result));
      CHECK(says(result, flag + (" " + there) + slash + ": a folder; give the name of a file, such as " +
                             (fs::path(there + slash) / advice).string()));
    }
    const ProgramResult linked = run_program(program, arguments + link);
    CAPTURE(linked.output);
    CHECK(linked.code == 2);
    CHECK(is_one_line_error(linked));
    CHECK(
        says(linked, flag + (" " + link) + ": a link to " + gone + ", which is not there; a file would take "));
    CHECK(fs::is_symlink(link));
  }
  CHECK(fs::is_empty(there));

  // A link to a file is no mistake: that file is written.
  fs::create_symlink(folder / "target.npz", folder / "good.npz");
  write_bytes(folder / "target.npz", "earlier");
  CHECK(run_program("export", run + " --format npz --out " + (folder / "good.npz").string()).code == 0);
  CHECK(fs::is_symlink(folder / "good.npz"));
  CHECK(read_bytes(folder / "target.npz").substr(0, 2) == "PK");
}

}  // namespace
}  // namespace kindred
