// Finds images by images: an index of features, search in it, and what its features tell about a set.
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/typed_flags.h>
#include <kindred/apps/similarity/words/words.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <string>
#include <vector>

namespace kindred {
namespace {

struct Word {
  const char* name;
  const char* summary;
  ProgramBody body;
};

constexpr Word words[] = {
    {"index", "makes an index of images, or adds images to one", index_images},
    {"search", "names the images of an index that are most similar to given ones", search_images},
    {"merge", "puts the segments of an index together", merge_index},
    {"check", "reads all of an index, and compares it with its checksums", check_index},
    {"duplicates", "lists images that are nearly the same, in groups", list_duplicates},
    {"outliers", "lists images that are like no others", list_outliers},
    {"mislabeled", "lists images whose class their neighbours contradict", list_mislabeled}};

void print_words() {
  const std::string program = shown_program("similar");
  fmt::print(
      "Finds images by images: an index of their features, and what the features tell about a set.\n"
      "Usage: {} WORD [ARGUMENTS]\n"
      "\nWords:\n",
      program);
  for (const Word& word : words) fmt::print("  {:<11} {}\n", word.name, word.summary);
  fmt::print("\n  {} WORD --help lists the flags of a word\n", program);
}

[[noreturn]] void refuse(const std::string& typed) {
  std::vector<std::string> names;
  for (const Word& word : words) names.emplace_back(word.name);
  const std::string nearest = nearest_word(typed, names);
  fail(ExitCode::usage, "{}: no word of similar{} (see --help)", shown_argument(typed),
       nearest.empty() ? "" : "; did you mean " + nearest + "?");
}

int similar(int argc, char** argv) {
  check(argc > 1, ExitCode::usage, "write {} WORD, for example {} index (see --help)", shown_program("similar"),
        shown_program("similar"));
  const std::string typed = argv[1];
  if (typed == "--help" || typed == "-h") {
    print_words();
    return 0;
  }
  if (typed == "--version") {
    fmt::print("{}\n", version_report());
    return 0;
  }
  for (const Word& word : words)
    if (typed == word.name) return word.body(argc - 1, argv + 1);
  refuse(typed);
}

const Program similar_program("similar", "finds images by images, and duplicates, outliers and wrong labels",
                              similar);

}  // namespace
}  // namespace kindred
