// The memory that loading a set takes, from headers of pictures that have no pixels, by hand; and what a loader says if
// there is none.
#include "../png/png_writer.h"

#include <doctest/doctest.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/loading/picture_memory.h>
#include <kindred/data/sets/subset.h>

#include <memory>
#include <new>
#include <string>
#include <utility>

namespace kindred {
namespace {

using namespace test;

// A PNG of 5000 x 5000 pixels by its header, and as many bytes as could hold them.
Bytes large_header() {
  return png_file({.height = 5000, .width = 5000}, Bytes(72'700));
}
Bytes small_header() {
  return png_file({.height = 10, .width = 10}, Bytes(1));
}

// Small pictures, and one other. Counts the files that are read.
class Files : public SampleSource {
 public:
  Files(std::int64_t other_at, Bytes other) : other_at_(other_at), other_(std::move(other)) {}
  std::string name(std::int64_t i) const override { return std::to_string(i); }
  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const override {
    ++read;
    scratch = i == other_at_ ? other_ : small_;
    Encoded file;
    file.bytes = scratch;
    return file;
  }
  std::optional<std::uint64_t> stored_bytes(std::int64_t i) const override {
    return i == other_at_ ? other_.size() : small_.size();
  }
  mutable int read = 0;

 private:
  std::int64_t other_at_;
  Bytes other_, small_ = small_header();
};

class Pixels : public SampleSource {
 public:
  std::string name(std::int64_t i) const override { return std::to_string(i); }
  void load(std::int64_t, Decoded& out) const override {
    out.outcome = Outcome::ok;
    out.image.resize(4, 4);
  }
};

class NoMemory : public SampleSource {
 public:
  std::string name(std::int64_t i) const override { return std::to_string(i); }
  std::optional<Encoded> encoded(std::int64_t, std::vector<std::uint8_t>&) const override {
    throw std::bad_alloc();
  }
};

Dataset set_of(std::shared_ptr<const SampleSource> source, std::size_t images) {
  return Dataset({"one"}, std::vector<std::int32_t>(images), std::move(source), false);
}

TEST_CASE("picture memory: the largest picture counts, however rare it is") {
  const auto files = std::make_shared<Files>(123, large_header());
  const MemoryOfPictures memory = memory_of_pictures(set_of(files, 300));
  CHECK(memory.largest.height == 5000);
  CHECK(memory.largest.width == 5000);
  CHECK(memory.largest.file == 72'757u);
  CHECK(memory.largest.pixels == 75'000'000u);
  CHECK(memory.largest.decoder == 75'005'000u);
  CHECK(memory.largest.peak() == 150'077'757u);
  CHECK(memory.largest.kept() == 150'077'757u);
  CHECK(memory.all_pixels == 75'089'700u);  // and 299 of 300 bytes
  CHECK(files->read == 300);                // each once
  // A decoder gives large buffers back.
  CHECK(PictureMemory{.file = 1, .pixels = 2, .decoder = 500'000'000}.kept() == 134'217'731u);
}

TEST_CASE("picture memory: of a large set a part is looked at, and the files with the most bytes") {
  const auto files = std::make_shared<Files>(777, large_header());
  const Dataset set = set_of(files, 1000);
  LookLimits limits{.headers = 4, .sizes = 1000, .largest_files = 1, .seconds_for_each = 1000};
  const MemoryOfPictures by_bytes = memory_of_pictures(set, limits);
  CHECK(by_bytes.largest.width == 5000);
  CHECK(by_bytes.all_pixels == 75'299'700u);  // 999 have the mean size of the four
  CHECK(files->read == 5);
  limits.sizes = 0;
  const MemoryOfPictures by_headers = memory_of_pictures(set, limits);
  CHECK(by_headers.largest.width == 10);
  CHECK(by_headers.largest.file == 58u);
  CHECK(by_headers.largest.decoder == 310u);
  CHECK(by_headers.all_pixels == 300'000u);
  CHECK(files->read == 9);
  limits = {.headers = 1000, .sizes = 1000, .largest_files = 1000, .seconds_for_each = 0};
  CHECK(memory_of_pictures(set, limits).all_pixels == 300'000u);  // one header, although there is no time
  CHECK(files->read == 10);
}

TEST_CASE("picture memory: pictures that cannot be read, and pixels that are in memory") {
  const auto files = std::make_shared<Files>(1, Bytes{1, 2, 3});
  CHECK(memory_of_pictures(set_of(files, 3)).all_pixels == 600u);
  const MemoryOfPictures pixels = memory_of_pictures(set_of(std::make_shared<Pixels>(), 5));
  CHECK(pixels.largest.file == 0u);
  CHECK(pixels.largest.peak() == 48u);
  CHECK(pixels.all_pixels == 240u);
  CHECK(memory_of_pictures(set_of(files, 0)).largest.peak() == 0u);
}

TEST_CASE("picture memory: files say how many bytes they have, also through a part of a set") {
  const TempFolder folder;
  folder.write("train/a/1.png", Bytes(123));
  folder.write("train/b/2.png", Bytes(45));
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(set.source().stored_bytes(0).value() == 123u);
  CHECK(set.source().stored_bytes(1).value() == 45u);
  CHECK(subset(set, {1}).source().stored_bytes(0).value() == 45u);
  std::filesystem::remove(folder.path() / "train/a/1.png");
  CHECK(set.source().stored_bytes(0).value() == 0u);
  CHECK(!set_of(std::make_shared<Pixels>(), 1).source().stored_bytes(0).has_value());
}

TEST_CASE("picture memory: a loader that gets none says that it was loading") {
  for (const int workers : {0, 2}) {
    CAPTURE(workers);
    LoaderOptions options;
    options.batch_size = 2;
    options.size = 8;
    options.recipe = recipe("none", 8);
    options.workers = workers;
    Loader loader(set_of(std::make_shared<NoMemory>(), 4), options);
    loader.start_epoch(0);
    Batch batch;
    std::string message;
    Cause cause = Cause::other;
    try {
      loader.next(batch);
    } catch (const OutOfMemory& error) {
      message = error.what();
      cause = error.cause();
    }
    CHECK(message == "out of memory on the host while pictures were loaded");
    CHECK(cause == Cause::out_of_memory_loading);
  }
}

}  // namespace
}  // namespace kindred
