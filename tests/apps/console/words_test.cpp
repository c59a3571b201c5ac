// `kindred PROGRAM ...`: every program as a word of one.
#include "../../places.h"
#include "../programs.h"

#include <doctest/doctest.h>
#include <kindred/apps/console/typed_flags.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace kindred {
namespace {

TEST_CASE("kindred: without a program, or with one that there is not, it ends with code 2 and one line") {
  const struct {
    const char* arguments;
    const char* output;
  } cases[] = {
      {"", "kindred: error: write kindred PROGRAM, for example kindred pretrain (see kindred --help)\n"},
      {"pretrian set",
       "kindred: error: pretrian: no such program; did you mean pretrain? (see kindred --help)\n"},
      {"linear-probe",
       "kindred: error: linear-probe: no such program; did you mean linear_probe? (see kindred --help)\n"},
      {"help pretrian",
       "kindred: error: pretrian: no such program; did you mean pretrain? (see kindred --help)\n"},
      {"xylophone", "kindred: error: xylophone: no such program (see kindred --help)\n"},
      {"''", "kindred: error: '': no such program (see kindred --help)\n"},
      {"--seed 1",
       "kindred: error: --seed: a program comes first: kindred PROGRAM --seed (see kindred --help)\n"},
      {"help pretrain set",
       "kindred: error: set: one argument too many; kindred help takes PROGRAM (see kindred --help)\n"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.arguments);
    const auto result = run_program("kindred", c.arguments);
    CHECK(result.code == 2);
    CHECK(result.output == c.output);
  }
}

TEST_CASE("kindred: --help lists the programs in the order of their use, and help PROGRAM the flags of one") {
  const auto help = run_program("kindred", "--help");
  CHECK(help.code == 0);
  std::size_t last = 0;
  for (const char* program : {"pretrain", "linear_probe", "embed", "classify", "evaluate", "export",
                              "check_data", "pack_dataset", "make_toy_dataset", "explain_loss"}) {
    CAPTURE(program);
    const std::size_t at = help.output.find("\n  " + std::string(program) + " ");
    REQUIRE(at != std::string::npos);
    CHECK(at > last);
    last = at;
  }
  CHECK(run_program("kindred", "help").output == help.output);
  CHECK(run_program("kindred", "-h").output == help.output);
  const auto flags = run_program("kindred", "help make_toy_dataset");
  CHECK(flags.code == 0);
  CHECK(says(flags, "Usage: kindred make_toy_dataset [OPTIONS] OUT\n"));
  CHECK(run_program("kindred", "make_toy_dataset --help").output == flags.output);
  const auto version = run_program("kindred", "--version");
  CHECK(version.code == 0);
  CHECK(version.output == run_program("pretrain", "--version").output);
}

TEST_CASE("KINDRED_CPU caps the vectors, and is refused if it names none") {
  const auto wrong = run_program_with("KINDRED_CPU=sse4", "kindred", "--version");
  CHECK(wrong.code == 2);
  CHECK(wrong.output == "kindred: error: KINDRED_CPU=sse4: not one of scalar, avx2, avx512 and neon\n");
  const auto plain = run_program_with("KINDRED_CPU=scalar", "kindred", "--version");
  CHECK(plain.code == 0);
  CHECK(says(plain, "\nprocessor: "));
  CHECK(says(plain, ", scalar\n"));
}

TEST_CASE("kindred: a program does the same as a word, and its errors begin with both names") {
  const TemporaryFolder folder;
  const std::string flags = " --classes 2 --per-class 2 --image-size 16";
  const auto word = run_program("kindred", "make_toy_dataset " + (folder / "a").string() + flags);
  CHECK(word.code == 0);
  CHECK(run_program("make_toy_dataset", (folder / "b").string() + flags).code == 0);
  CHECK(folder_contents(folder / "a") == folder_contents(folder / "b"));

  CHECK(run_program("kindred", "pretrain nowhere --out a --epoch 3").output ==
        "kindred pretrain: error: --epoch: no such flag; did you mean --epochs? (see --help)\n");
  const auto left = run_program("kindred", "explain_loss 3");
  CHECK(left.code == 2);
  CHECK(left.output ==
        "kindred explain_loss: error: 3: one argument too many; kindred explain_loss takes only flags "
        "(see --help)\n");
  CHECK(says(run_program("kindred", "export"), "kindred export: error: "));
  CHECK(says(run_program("kindred", "export_weights"), "kindred export: error: "));
}

TEST_CASE("kindred: the command that comes next is in the form that was typed") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const auto trained = run_program("kindred", "pretrain " + set + " --knn-every 0 --out " + run + tiny);
  CHECK(trained.code == 0);
  CHECK(says(trained, "next: " + apps_dir() + "/kindred linear_probe " + set + " --encoder "));
}

TEST_CASE("kindred: through a link with the name of a program it is that program") {
  const TemporaryFolder folder;
  const std::string link = folder / "explain_loss";
  std::filesystem::create_symlink(apps_dir() + "/kindred", link);
  const auto linked = run_program_with(link + " 3 2>&1;", "kindred", "--version");
  CHECK(says(linked,
             "explain_loss: error: 3: one argument too many; explain_loss takes only flags (see --help)\n"));
  CHECK(!says(linked, "kindred explain_loss"));
}

TEST_CASE("the nearest word is at most a third of the letters away") {
  CHECK(nearest_word("pretrian", {"pretrain", "embed"}) == "pretrain");
  CHECK(nearest_word("embde", {"pretrain", "embed"}) == "embed");
  CHECK(nearest_word("embed", {"embedding", "embed"}) == "embed");
  CHECK(nearest_word("ab", {"cd"}).empty());
  CHECK(nearest_word("", {"embed"}).empty());
}

}  // namespace
}  // namespace kindred
