// The plan book and its file, which is not trusted.
#include <kindred/engine/error.h>
#include <kindred/engine/files/plan_book.h>
#include <kindred/third_party/search/dynamic_library.h>

#include "../errors.h"
#include "temporary_folder.h"

#include <doctest/doctest.h>

#include <fstream>

namespace kindred {
namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST_CASE("plan book: what is saved is found again") {
  const TemporaryFolder folder;
  PlanBook before, after;
  before.remember("cuDNN 9: forward", "12 3=1");
  before.remember("cuBLASLt 13: \"odd\" \xff", "0f 1");
  before.save(folder / "plans.json", "a GPU");
  CHECK(after.load(folder / "plans.json", "a GPU") == 2);
  CHECK(after.find("cuDNN 9: forward") == "12 3=1");
  CHECK_FALSE(after.find("cuDNN 9: backward").has_value());
  after.remember("cuDNN 9: forward", "13");  // a file does not replace what was chosen here
  CHECK(after.load(folder / "plans.json", "a GPU") == 0);
  CHECK(after.find("cuDNN 9: forward") == "13");
}

TEST_CASE("plan book: a user's programs share what they found") {
  const TemporaryFolder folder;
  const CodeCache cache(folder / "kindred");
  PlanBook first, second;
  CHECK(first.load(cache, "a GPU") == 0);
  first.remember("cuDNN 9: forward", "12 3=1");
  first.save(cache, "a GPU");
  CHECK(second.load(cache, "another GPU") == 0);
  CHECK(second.load(cache, "a GPU") == 1);
  CHECK(second.find("cuDNN 9: forward") == "12 3=1");
  PlanBook strict;
  strict.set_rules({.deterministic = true});
  CHECK(strict.load(cache, "a GPU") == 0);

  // Entries that another program saves meanwhile stay. Entries that came from a file are not saved again.
  write(folder / "plans.json", "");
  PlanBook stranger;
  stranger.remember("cuDNN 9: backward", "666");
  stranger.save(folder / "plans.json", "a GPU");
  CHECK(second.load(folder / "plans.json", "a GPU") == 1);
  second.remember("cuDNN 9: filters", "7");
  second.save(cache, "a GPU");
  PlanBook third;
  CHECK(third.load(cache, "a GPU") == 2);
  CHECK(third.find("cuDNN 9: forward") == "12 3=1");
  CHECK(third.find("cuDNN 9: filters") == "7");
  CHECK_FALSE(third.find("cuDNN 9: backward"));
}

TEST_CASE("plan book: plans of another GPU or under other rules are left alone") {
  const TemporaryFolder folder;
  PlanBook book;
  book.remember("key", "plan");
  book.save(folder / "plans.json", "a GPU");
  PlanBook other;
  CHECK(other.load(folder / "plans.json", "another GPU") == 0);
  other.set_rules({.deterministic = true});
  CHECK(other.load(folder / "plans.json", "a GPU") == 0);
  other.set_rules({.allow_tf32 = true});
  CHECK(other.load(folder / "plans.json", "a GPU") == 0);
  other.set_rules({});
  CHECK(other.load(folder / "plans.json", "a GPU") == 1);
}

TEST_CASE("plan book: new rules forget every plan, the same rules none") {
  PlanBook book;
  book.remember("key", "plan");
  const std::uint64_t edition = book.edition();
  book.set_rules({});
  CHECK(book.find("key").has_value());
  CHECK(book.edition() == edition);
  book.set_rules({.deterministic = true});
  CHECK_FALSE(book.find("key").has_value());
  CHECK(book.edition() != edition);
  CHECK(book.rules().deterministic);
}

TEST_CASE("plan book: a file that is no plan file adds nothing") {
  const TemporaryFolder folder;
  PlanBook book;
  const auto heading = std::string("a GPU; deterministic false; tf32 false");
  const std::string texts[] = {
      "",
      "null",
      "[]",
      "{",
      "{\"for\": 7, \"plans\": {}}",
      "{\"for\": \"" + heading + "\"}",
      "{\"for\": \"" + heading + "\", \"plans\": []}",
      "{\"for\": \"" + heading + "\", \"plans\": {\"a\": 1, \"b\": [\"c\"], \"d\": null}}",
      "{\"plans\": {\"a\": \"b\"}}",
      std::string(1 << 20, '['),
      std::string("\0\xff\xfe", 3)};
  for (const std::string& text : texts) {
    CAPTURE(text.substr(0, 80));
    write(folder / "plans.json", text);
    CHECK(book.load(folder / "plans.json", "a GPU") == 0);
  }
  CHECK(book.load(folder / "missing.json", "a GPU") == 0);
  CHECK(book.load(folder / ".", "a GPU") == 0);
  CHECK(book.size() == 0);
}

TEST_CASE("a shared library that is missing is an error when it is used, not before") {
  const DynamicLibrary missing({"libkindred_no_such_library.so.1", "libkindred_no_such_library.so"});
  CHECK_FALSE(missing.is_open());
  CHECK(missing.problem().find("libkindred_no_such_library.so.1") != std::string::npos);
  void (*function)() = nullptr;
  CHECK_THROWS_WITH_AS(missing.load(function, "f"), doctest::Contains("a library is missing: "), Error);
  CHECK(test::cause_of([&] { missing.load(function, "f"); }) == Cause::missing_library);
  const DynamicLibrary there({"libkindred_no_such_library.so", "libc.so.6"});
  CHECK(there.is_open());
  CHECK_THROWS_WITH_AS(there.load(function, "kindred_no_such_function"),
                       doctest::Contains("kindred_no_such_function"), Error);
}

}  // namespace
}  // namespace kindred
