// What `similar` makes of input that is partly unusable, given twice, or very alike.
#include "../../memory_limit.h"
#include "../programs.h"
#include "indexed_set.h"
#include "small_index.h"

#include <kindred/apps/similarity/index_file.h>

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <sstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;

std::string some_image(const std::string& folder) {
  std::string first;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && (first.empty() || entry.path().string() < first))
      first = entry.path().string();
  return first;
}

// Rows of 8 values. The first `alike` are nearly equal; the others are like no other.
std::vector<float> rows_with_group(std::size_t alike, std::size_t others) {
  std::vector<float> rows = drawn_unit_rows(static_cast<std::int64_t>(alike + others), 8, 3);
  for (std::size_t at = 0; at < alike * 8; ++at) rows[at] = 0.01f * rows[at] + (at % 8 == 0 ? 1.0f : 0.0f);
  return rows;
}

void write_group(const fs::path& file, std::size_t alike, std::size_t others) {
  write_features(file, rows_with_group(alike, others), 8, std::vector<std::int64_t>(alike + others),
                 numbered_paths(alike + others));
}

TEST_CASE("similar: images that an index has already are not taken again") {
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string index = folder / "index", more = folder / "more";
  fs::copy(t.index, index);
  const std::string before = read_bytes(index + "/index.json");
  expect_error(run_program("similar", "index " + t.set + " --add --out " + index), 3,
               "30 images are in " + index + " already");
  CHECK(read_bytes(index + "/index.json") == before);
  CHECK(folder_contents(index) == folder_contents(t.index));
  // Some are new: an image of the index under another name, which `similar duplicates` finds.
  fs::create_directory(more);
  fs::copy(some_image(t.set + "/val"), more + "/a.jpg");
  const auto first = run_program("similar", "index " + more + " --add --out " + index);
  expect_good(first, "1 image more, 31 images in 2 segments");
  CHECK(!says(first, "already"));
  fs::copy(some_image(t.set + "/train"), more + "/b.jpg");
  const auto second = run_program("similar", "index " + more + " --add --out " + index);
  expect_good(second, "1 image more, 32 images in 3 segments");
  expect_good(second, "1 image is in the index already and is not taken again, for example " + more + "/a.jpg");
  // Another image with the same name.
  write_bytes(more + "/a.jpg", read_bytes(some_image(t.set + "/train")));
  const auto third = run_program("similar", "index " + more + " --add --out " + index);
  expect_good(third, "1 image more, 33 images in 4 segments");
  expect_good(third, "example " + more + "/b.jpg");
  expect_good(third,
              "note: 1 image has the path of an image in the index and other features: the index has both now");
  // What cannot be read is said beside what is known.
  fs::remove(more + "/b.jpg");
  write_bytes(more + "/broken.jpg", "no picture");
  const auto fourth = run_program("similar", "index " + more + " --add --out " + index);
  expect_error(fourth, 3, "1 image is in " + index + " already");
  expect_error(fourth, 3, more + "/broken.jpg");
  expect_error(fourth, 3, "give a folder with new images");
  expect_good(run_program("similar", "check " + index), "4 segments");
}

TEST_CASE("similar: what cannot be read among the images of a search is named, whatever it is") {
  if (!has_faiss_to_search()) return;
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string good = some_image(t.set + "/val"), empty = folder / "empty", list = folder / "list.txt",
                    gone = folder / "gone.txt", bare = folder / "bare.txt", binary = folder / "binary.txt";
  fs::create_directory(empty);
  write_bytes(list, "\n\"" + good + "\"\nnot_there.png\r\n  " + good + "  \n");
  write_bytes(bare, "\n  \n");
  write_bytes(binary, std::string("\0\1\2\n", 4));
  const std::string given =
      gone + " " + empty + " " + good + " " + list + " " + bare + " " + binary + " " + empty + "/none.png";
  const auto result = run_program("similar", "search " + t.index + " " + given + " -k 2 --json");
  CAPTURE(result.output);
  CHECK(result.code == 3);
  CHECK(is_one_line_error(result));
  CHECK(says(result, "6 of 9 images could not be read, for example " + gone));
  const nlohmann::json answers = answers_of(result);
  REQUIRE(answers.size() == 9);
  for (const std::size_t i : {2u, 3u, 5u}) {
    CHECK(answers[i]["path"] == good);
    CHECK(answers[i]["neighbours"].size() == 2);
    CHECK(!answers[i].contains("error"));
  }
  for (const std::size_t i : {0u, 1u, 4u, 6u, 7u, 8u}) CHECK(answers[i].contains("error"));
  CHECK(answers[1]["path"] == empty);
  CHECK(answers[4]["path"] == "not_there.png");
  CHECK(answers[4]["error"].get<std::string>().find("line 3 of " + list) != std::string::npos);
  CHECK(answers[6]["path"] == bare);
  const auto lines = run_program("similar", "search " + t.index + " " + list + " -k 1");
  CHECK(lines.code == 3);
  CHECK(says(lines, "not_there.png: cannot be read: "));
  CHECK(says(lines, good + ":\n  1.0000  "));
  expect_error(run_program("similar", "search " + t.index + " " + gone), 3, "1 of 1 image could not be read");
  expect_error(run_program("similar", "search " + t.index + " " + good + " ''"), 2, "IMAGE is empty");
}

TEST_CASE("similar: of a large group of duplicates the console has the first ones, and files have all") {
  if (!has_faiss_to_search()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "f.npz", table = folder / "t.csv", page = folder / "p.html";
  const auto lines_of = [](const std::string& text, const std::string& part) {
    std::istringstream lines(text);
    std::int64_t count = 0;
    for (std::string line; std::getline(lines, line);) count += line.find(part) != line.npos;
    return count;
  };
  write_group(file, 40, 5);
  const auto cut = run_program("similar", "duplicates " + file);
  expect_good(cut, "40 of 45 images in 1 group");
  expect_good(cut, "\n  ... and 30 more (--csv FILE lists all)\n");
  expect_good(cut, "raise --above (0.98 now), and groups become smaller\n");
  CHECK(lines_of(cut.output, ".png") == 10);
  const auto with_files = run_program("similar", "duplicates " + file + " --csv " + table + " --html " + page);
  expect_good(with_files, "\n  ... and 30 more (all in " + table + ")\n");
  CHECK(lines_of(read_bytes(table), ".png") == 40);
  CHECK(read_bytes(page).find("and 16 more") != std::string::npos);
  for (int i = 0; i < 40; ++i)
    CHECK(read_bytes(page).find(fmt::format("&lt;i&gt;{}.png", i)) != std::string::npos);
  CHECK(read_bytes(page).find("<i>") == std::string::npos);
  // Ten and eleven are printed whole, and nothing is said about --above.
  for (const std::size_t size : {2u, 10u, 11u}) {
    write_group(file, size, 3);
    const auto whole = run_program("similar", "duplicates " + file);
    CAPTURE(whole.output);
    CHECK(lines_of(whole.output, ".png") == static_cast<std::int64_t>(size));
    CHECK(!says(whole, "more"));
    CHECK(!says(whole, "--above"));
  }
  write_group(file, 12, 3);
  expect_good(run_program("similar", "duplicates " + file), "  ... and 2 more (");
  expect_good(run_program("similar", "duplicates " + file + " --list 0"),
              "... and 1 further group (--csv FILE lists all)\n");
}

TEST_CASE("similar: where all features are equal, each word says that nothing is nearer than another") {
  if (!has_faiss_to_search()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "f.npz";
  constexpr std::int64_t rows = 6;
  const auto words_say = [&](const std::vector<float>& features, bool expected) {
    write_features(file, features, 2, {0, 1, 0, 1, 0, 1}, numbered_paths(rows));
    for (const char* word : {"duplicates", "outliers", "mislabeled"}) {
      const auto result = run_program("similar", fmt::format("{} {}", word, file));
      CAPTURE(result.output);
      CHECK(result.code == 0);
      CHECK(says(result, "the features of all 6 images are equal, so none is nearer than another") == expected);
    }
  };
  std::vector<float> features(2 * rows, 0.5f);
  words_say(features, true);
  features.back() = 0.25f;  // the last row differs
  words_say(features, false);
}

TEST_CASE("similar: features that are there already take no flags about images") {
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string file = folder / "f.npz";
  write_group(file, 4, 4);
  for (const char* word : {"duplicates", "outliers", "mislabeled"})
    for (const char* flag : {"--batch-size 4", "--image-size 32", "--workers 0", "--split val", "--device cpu",
                             "--weights w.safetensors", "--limit-eval-per-class 2"}) {
      const std::string name = std::string(flag).substr(0, std::string(flag).find(' '));
      expect_error(run_program("similar", fmt::format("{} {} {}", word, file, flag)), 2, name + ": " + file);
      expect_error(run_program("similar", fmt::format("{} {} {}", word, t.index, flag)), 2,
                   name + ": " + t.index);
    }
}

TEST_CASE("similar: advice about memory for a file of features names no flag that it refuses" *
          doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  const std::string file = folder / "f.npz";
  constexpr std::int64_t rows = 20'000, dim = 1024;  // 80 MB
  std::vector<float> values(rows * dim, 0.5f);
  write_features(file, values, dim, std::vector<std::int64_t>(rows), numbered_paths(rows));
  constexpr int step = 20'000;  // KiB
  const auto under = [&](int kibibytes, const std::string& arguments) {
    return run_program_with(fmt::format("ulimit -v {}; ", kibibytes), "similar", arguments);
  };
  int least = step;
  while (under(least, "outliers --help").code != 0) least += step;
  REQUIRE(least < 1'000'000);
  int ends = 0;
  for (int limit = least + step; limit <= least + 3 * step; limit += step) {
    const auto result = under(limit, "outliers " + file + " -k 2");
    CAPTURE(result.output);
    CHECK(result.code == 5);
    CHECK(is_one_line_error(result));
    for (const char* flag : {"--batch-size", "--image-size", "--workers"}) CHECK(!says(result, flag));
    CHECK(says(result, "ulimit -v"));
    ends += says(result, file + ": there is not enough memory to compare the features");
  }
  CHECK(ends >= 1);
}

}  // namespace
}  // namespace kindred
