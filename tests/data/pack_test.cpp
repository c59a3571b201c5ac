#include "batches.h"
#include "test_images.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <kindred/data/files/file.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/sets/pack/pack.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <numeric>

using namespace kindred;
using namespace kindred::test;

namespace fs = std::filesystem;

namespace {

// Three classes; one of the files is no image, another one is truncated.
void write_set(const TempFolder& folder) {
  write_class_folders(folder, "set/train", {"a", "b", "c"}, 8, 40);
  write_class_folders(folder, "set/val", {"a", "b", "c"}, 2, 40);
  folder.write("set/train/b/002.jpg", {1, 2, 3});
  const Bytes whole = read_file(folder.string() + "/set/train/c/005.jpg", 1 << 20).bytes;
  folder.write("set/train/c/005.jpg", Bytes(whole.begin(), whole.end() - 2));
}

PackSummary pack(const TempFolder& folder, const PackOptions& options = {},
                 FileOperations& files = system_files(), const std::string& out = "/set.kpack") {
  const std::string dir = folder.string() + "/set";
  return write_pack(*open_dataset(dir, Split::train), open_dataset(dir, Split::evaluation), dir,
                    folder.string() + out, options, {}, files);
}

std::vector<Batch> batches_of(const std::string& path, int workers, const DatasetOptions& options = {}) {
  LoaderOptions o;
  o.batch_size = 6;
  o.size = 16;
  o.recipe = recipe("simaugment", 16);
  o.seed = 9;
  o.workers = workers;
  Loader loader(*open_dataset(path, Split::train, options), o);
  std::vector<Batch> batches;
  for (const std::uint32_t epoch : {0u, 1u}) {
    loader.start_epoch(epoch);
    for (Batch batch; loader.next(batch);) batches.push_back(batch);
  }
  return batches;
}

Bytes bytes_of(const std::string& path) {
  return read_file(path, 1 << 26).bytes;
}

std::string open_error(const std::string& path) {
  return error_of([&] { open_dataset(path, Split::train); });
}

// A disk that is full after a given number of bytes.
struct FullDisk : FileOperations {
  std::int64_t left;
  explicit FullDisk(std::int64_t room) : left(room) {}
  ssize_t write(int file, const void* data, std::size_t bytes) override {
    if (left <= 0) {
      errno = ENOSPC;
      return -1;
    }
    const auto some = std::min<std::size_t>(bytes, static_cast<std::size_t>(left));
    left -= static_cast<std::int64_t>(some);
    return FileOperations::write(file, data, some);
  }
};

}  // namespace

TEST_CASE("pack: the same batches as the folder, bad images included") {
  const TempFolder folder;
  write_set(folder);
  const std::string dir = folder.string() + "/set", file = folder.string() + "/set.kpack";
  const PackSummary summary = pack(folder);
  CHECK(summary.images == 30);
  CHECK(summary.missing.empty());
  CHECK(summary.bytes == fs::file_size(file));
  CHECK(!fs::exists(file + ".partial"));
  const auto expected = batches_of(dir, 1);
  for (const int workers : {0, 2}) CHECK(same(batches_of(file, workers), expected));
  const DatasetOptions held{.val_fraction = 0.25, .val_seed = 4};
  CHECK(same(batches_of(file, 1, held), batches_of(dir, 1, held)));

  const Dataset train = *open_dataset(file, Split::train), loose = *open_dataset(dir, Split::train);
  CHECK(train.name(10) == file + ", record 10 (train/b/002.jpg)");
  for (const std::int64_t i : {10, 21}) {
    CHECK(train.load(i).outcome == loose.load(i).outcome);
    CHECK(train.load(i).reason == loose.load(i).reason);
  }
  const Dataset evaluation = *open_dataset(file, Split::evaluation);
  CHECK(evaluation.size() == 6);
  CHECK(evaluation.name(1) == file + ", record 25 (val/a/001.jpg)");
  CHECK(evaluation.load(5).image.pixels == open_dataset(dir, Split::evaluation)->load(5).image.pixels);
  CHECK(pack(folder).was_there);
}

TEST_CASE("pack: a folder of packs is one set") {
  const TempFolder folder;
  write_set(folder);
  fs::create_directories(folder.path() / "packs");
  pack(folder, {}, system_files(), "/packs/0.kpack");
  fs::copy_file(folder.path() / "packs/0.kpack", folder.path() / "packs/1.kpack");
  const std::string dir = folder.string() + "/packs";
  const Dataset set = *open_dataset(dir, Split::train), one = *open_dataset(dir + "/0.kpack", Split::train);
  REQUIRE(set.size() == 48);
  CHECK(set.name(24 + 10) == dir + "/1.kpack, record 10 (train/b/002.jpg)");
  CHECK(set.load(30).image.pixels == one.load(6).image.pixels);
  CHECK(open_dataset(dir, Split::evaluation)->size() == 12);
  folder.write("packs/2.kpack", {1, 2, 3});
  CHECK(contains(open_error(dir), "2.kpack: not a pack, though its name says so"));
}

TEST_CASE("pack: a flipped bit is named and never trained on") {
  const TempFolder folder;
  write_set(folder);
  pack(folder);
  const std::string file = folder.string() + "/set.kpack";
  const Bytes good = bytes_of(file);
  const PackContents contents = parse_pack(good, file);
  const auto flip = [&](std::uint64_t at) {
    Bytes bytes = good;
    bytes[static_cast<std::size_t>(at)] ^= 0x10;
    folder.write("set.kpack", bytes);
  };
  for (const std::size_t record : {std::size_t{0}, std::size_t{7}, std::size_t{23}}) {
    flip(contents.splits[0].records[record].offset + contents.splits[0].records[record].bytes / 2);
    const Dataset set = *open_dataset(file, Split::train);
    for (std::size_t i = 0; i < 24; ++i) {
      const Decoded decoded = set.load(static_cast<std::int64_t>(i));
      if (i == record) CHECK(contains(decoded.reason, "differs from its checksum"));
      if (i == record) CHECK(decoded.outcome == Outcome::rejected);
      if (i != record && i != 10 && i != 21) CHECK(decoded.outcome == Outcome::ok);
    }
    CHECK(contains(set.name(static_cast<std::int64_t>(record)),
                   fmt::format("set.kpack, record {} (train/", record)));
  }
  flip(20);
  CHECK(contains(open_error(file), "set.kpack: its header differs from its checksum"));
  flip(good.size() - 3);
  CHECK(contains(open_error(file), "set.kpack: its index differs from its checksum"));
  // Two records of equal size are exchanged: all bytes are right, but both records are in the wrong place.
  Bytes swapped = good;
  const auto& records = contents.splits[0].records;
  for (std::size_t a = 0; a < records.size(); ++a)
    for (std::size_t b = a + 1; b < records.size(); ++b)
      if (records[a].bytes == records[b].bytes && records[a].hash != records[b].hash) {
        std::swap_ranges(swapped.begin() + static_cast<std::ptrdiff_t>(records[a].offset),
                         swapped.begin() + static_cast<std::ptrdiff_t>(records[a].offset + records[a].bytes),
                         swapped.begin() + static_cast<std::ptrdiff_t>(records[b].offset));
        folder.write("set.kpack", swapped);
        const Dataset set = *open_dataset(file, Split::train);
        CHECK(set.load(static_cast<std::int64_t>(a)).outcome == Outcome::rejected);
        a = b = records.size();
      }
}

TEST_CASE("pack: a cut file is named, before and while it is open") {
  const TempFolder folder;
  write_set(folder);
  pack(folder);
  const std::string file = folder.string() + "/set.kpack";
  const Bytes good = bytes_of(file);
  for (const std::size_t size :
       {good.size() - 1, good.size() / 2, std::size_t{64}, std::size_t{63}, std::size_t{9}}) {
    folder.write("set.kpack", Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    const std::string error = open_error(file);
    CHECK(contains(error, "set.kpack: it "));
    CHECK(contains(error, "the pack is damaged"));
  }
  Bytes longer = good;
  longer.push_back(0);
  folder.write("set.kpack", longer);
  CHECK(contains(open_error(file), "was written with"));
  folder.write("set.kpack", good);
  const Dataset set = *open_dataset(file, Split::train);
  CHECK(set.load(20).outcome == Outcome::ok);
  fs::resize_file(file, 4096);
  CHECK(set.load(20).outcome == Outcome::rejected);
  CHECK(contains(set.load(20).reason, "cut while it was open"));
}

TEST_CASE("pack: a full disk leaves nothing that looks whole, and the next call goes on") {
  const TempFolder folder;
  write_set(folder);
  const std::string file = folder.string() + "/set.kpack";
  pack(folder, {}, system_files(), "/whole.kpack");
  const auto whole = static_cast<std::int64_t>(fs::file_size(folder.path() / "whole.kpack"));
  for (std::int64_t room = 0; room < whole + 64; room += 977) {  // the header is written twice
    fs::remove(file + ".partial");  // each time from the start: what is there already takes no room
    FullDisk full(room);
    const std::string error = error_of([&] { pack(folder, {}, full); });
    CHECK(contains(error, "set.kpack.partial cannot be written"));
    CHECK(contains(error, "the disk is full"));
    CHECK(!fs::exists(file));
    const std::string partial = open_error(file + ".partial");
    CHECK((contains(partial, "a pack that is not finished") || contains(partial, "damaged") || room < 64));
  }
  const PackSummary rest = pack(folder);
  CHECK(rest.images == 30);
  CHECK(bytes_of(file) == bytes_of(folder.string() + "/whole.kpack"));
}

TEST_CASE("pack: a caller that stops loses nothing, whether images are packed or checked again") {
  const TempFolder folder;
  write_class_folders(folder, "set/train", {"a", "b"}, 50);
  const std::string dir = folder.string() + "/set", file = folder.string() + "/set.kpack";
  const auto pack_until = [&](std::int64_t most) {
    return error_of([&] {
      write_pack(*open_dataset(dir, Split::train), std::nullopt, dir, file, {},
                 [&](std::int64_t done) { check(done < most, ExitCode::interrupted, "stopped at {}", done); });
    });
  };
  CHECK(pack_until(1) == "stopped at 64");
  CHECK(!fs::exists(file));
  CHECK(pack_until(10) == "stopped at 10");  // while the 64 are checked
  const PackSummary rest = write_pack(*open_dataset(dir, Split::train), std::nullopt, dir, file, {});
  CHECK(rest.images == 100);
  CHECK(rest.resumed == 64);
  CHECK(open_dataset(file, Split::train)->size() == 100);
}

TEST_CASE("pack: it goes on from whatever is whole, and from nothing else") {
  const TempFolder folder;
  write_set(folder);
  const std::string file = folder.string() + "/set.kpack";
  pack(folder, {}, system_files(), "/whole.kpack");
  const Bytes whole = bytes_of(folder.string() + "/whole.kpack");
  const PackContents contents = parse_pack(whole, "whole");
  Bytes partial(whole.begin(),
                whole.begin() + static_cast<std::ptrdiff_t>(contents.splits[0].records[11].offset + 5));
  // The magic number of an unfinished pack.
  partial[3] = 'A';
  partial[4] = 'R';
  partial[5] = 'T';
  partial[static_cast<std::size_t>(contents.splits[0].records[6].offset)] ^= 1;
  folder.write("set.kpack.partial", partial);
  const PackSummary summary = pack(folder);
  CHECK(summary.resumed == 6);
  CHECK(bytes_of(file) == whole);

  fs::remove(file);
  folder.write("set.kpack.partial", partial);
  CHECK(contains(error_of([&] { pack(folder, {.max_side = 20}); }),
                 "belongs to a pack of other images or settings"));
  fs::remove(file + ".partial");
  folder.write("set.kpack", {1, 2, 3});
  CHECK(contains(error_of([&] { pack(folder); }), "exists and is not a pack of these images"));
  CHECK(bytes_of(file) == Bytes{1, 2, 3});
  CHECK(!pack(folder, {.overwrite = true}).was_there);
  CHECK(bytes_of(file) == whole);
}

TEST_CASE("pack: larger images are shrunk, smaller and odd ones stay as they are") {
  const TempFolder folder;
  write_set(folder);
  write_class_folders(folder, "set/train", {"b"}, 1, 15);  // 000.jpg: 15 x 18
  const PackSummary summary = pack(folder, {.max_side = 20, .quality = 95});
  CHECK(summary.shrunk == 24 + 6 - 3);  // all but the small one, the one that is no image and the damaged one
  const std::string dir = folder.string() + "/set", file = folder.string() + "/set.kpack";
  const Dataset set = *open_dataset(file, Split::train), loose = *open_dataset(dir, Split::train);
  const Decoded shrunk = set.load(0), original = loose.load(0);
  CHECK(original.image.width == 43);
  CHECK(shrunk.image.width == 20);
  CHECK(shrunk.image.height == 19);  // 40 * 20 / 43, rounded
  const auto mean = [](const Image& image) {
    return std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) / double(image.pixels.size());
  };
  CHECK(mean(shrunk.image) == doctest::Approx(mean(original.image)).epsilon(0.02));
  CHECK(set.load(8).image.pixels == loose.load(8).image.pixels);
  CHECK(set.load(10).reason == loose.load(10).reason);
  CHECK(set.load(21).image.pixels == loose.load(21).image.pixels);
}

TEST_CASE("pack: a file that cannot be read keeps its place, and the pack says why") {
  const TempFolder folder;
  write_set(folder);
  fs::remove(folder.path() / "set/train/a/003.jpg");
  fs::create_symlink("/nowhere/at/all", folder.path() / "set/train/a/003.jpg");
  const PackSummary summary = pack(folder);
  REQUIRE(summary.missing.size() == 1);
  CHECK(contains(summary.missing[0], "train/a/003.jpg: cannot be opened"));
  const std::string file = folder.string() + "/set.kpack";
  const Decoded decoded = open_dataset(file, Split::train)->load(3);
  CHECK(decoded.outcome == Outcome::rejected);
  CHECK(contains(decoded.reason, "was missing when the pack was made: cannot be opened"));
  CHECK(same(batches_of(file, 1), batches_of(folder.string() + "/set", 1)));
}

TEST_CASE("pack: sets that hold pixels") {
  const TempFolder folder;
  for (int b = 1; b <= 5; ++b) {
    Bytes records;
    for (int r = 0; r < 4; ++r) {
      records.push_back(static_cast<std::uint8_t>((b + r) % 10));
      for (int i = 0; i < 3072; ++i) records.push_back(static_cast<std::uint8_t>(i * b + r));
    }
    folder.write(fmt::format("set/data_batch_{}.bin", b), records);
  }
  std::string names;
  for (int i = 0; i < 10; ++i) names += fmt::format("c{}\n", i);
  folder.write("set/batches.meta.txt", Bytes(names.begin(), names.end()));
  pack(folder);
  const std::string file = folder.string() + "/set.kpack";
  CHECK(open_dataset(file, Split::train)->in_memory());
  CHECK(!open_dataset(file, Split::evaluation).has_value());
  CHECK(same(batches_of(file, 1), batches_of(folder.string() + "/set", 1)));
}
