// What a pack says about images that were held out of its training set when it was made.
#include "../test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/files/file.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/fingerprint.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/data/sets/pack/pack_format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

using namespace kindred;
using namespace kindred::test;

namespace fs = std::filesystem;

namespace {

constexpr std::size_t version_at = 8, index_offset_at = 24, index_hash_at = 40, header_hash_at = 56;

Bytes bytes_of_pack(const std::string& path) {
  return read_file(path, 1 << 26).bytes;
}

template <typename T>
T number_at(const Bytes& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

template <typename T>
void put_at(Bytes& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

// Makes the checksums of header and index right again.
Bytes with_checksums(Bytes bytes) {
  const auto index = static_cast<std::size_t>(number_at<std::uint64_t>(bytes, index_offset_at));
  put_at(bytes, index_hash_at, detail::hash_of(std::span<const std::uint8_t>(bytes).subspan(index)));
  put_at(bytes, header_hash_at, detail::hash_of(std::span<const std::uint8_t>(bytes).first(header_hash_at)));
  return bytes;
}

std::optional<HeldOutShare> held_out_of_split(const std::string& path, Split split,
                                              const DatasetOptions& options = {}) {
  return open_dataset(path, split, options)->origin().held_out;
}

// Packs DIR/set, of which these images are held out, and returns the path of the pack.
std::string pack_holding_out(const TempFolder& folder, const DatasetOptions& options, const std::string& name) {
  const std::string dir = folder.string() + "/set", file = folder.string() + "/" + name;
  write_pack(*open_dataset(dir, Split::train, options), open_dataset(dir, Split::val, options), dir, file, {});
  return file;
}

}  // namespace

TEST_CASE("pack: it says which images were held out of its training set, also if it is packed again") {
  const TempFolder folder;
  write_class_folders(folder, "set/train", {"a", "b"}, 8);
  write_class_folders(folder, "set/val", {"a", "b"}, 2);
  fs::create_directories(folder.path() / "packs");
  const DatasetOptions quarter{.val_fraction = 0.25, .val_seed = 7}, half{.val_fraction = 0.5, .val_seed = 7};
  const HeldOutShare expected{0.25, 7};
  const std::string file = pack_holding_out(folder, quarter, "packs/0.kpack");
  for (const Split split : {Split::train, Split::val, Split::evaluation}) {
    const auto held = held_out_of_split(file, split);
    REQUIRE(held.has_value());
    CHECK(held->fraction == 0.25);
    CHECK(held->seed == 7);
  }
  CHECK(open_dataset(file, Split::val)->origin().part == "val");
  CHECK(open_dataset(file, Split::val)->size() == 4);
  const std::string again = folder.string() + "/again.kpack";
  write_pack(*open_dataset(file, Split::train), open_dataset(file, Split::val), file, again, {});
  CHECK((held_out_of_split(again, Split::train) == expected));
  // What is held out of the pack's training images is what a run on them has not seen.
  const HeldOutShare in_two_steps{0.5, 7, {{0.25, 7}}};
  CHECK((held_out_of_split(file, Split::train, half) == in_two_steps));
  CHECK((held_out_of_split(file, Split::val, half) == in_two_steps));
  const std::string twice = folder.string() + "/twice.kpack";
  write_pack(*open_dataset(file, Split::train, half), open_dataset(file, Split::val, half), file, twice, {});
  CHECK((held_out_of_split(twice, Split::train) == in_two_steps));
  // Packs that do not agree say nothing together.
  CHECK((held_out_of_split(folder.string() + "/packs", Split::train) == expected));
  pack_holding_out(folder, half, "packs/1.kpack");
  CHECK(!held_out_of_split(folder.string() + "/packs", Split::train));
}

TEST_CASE("pack: it knows how many images of each class were divided, unless it holds some of them only") {
  const TempFolder folder;
  write_class_folders(folder, "set/train", {"a", "b"}, 8);
  const DatasetOptions quarter{.val_fraction = 0.25};
  const std::string dir = folder.string() + "/set", pack = pack_holding_out(folder, quarter, "whole.kpack"),
                    some = pack_holding_out(folder, {.limit_per_class = 3, .val_fraction = 0.25}, "some.kpack");
  const std::vector<std::int64_t> eight{8, 8}, six{6, 6};
  const auto divided = [](const std::string& path, Split split, const DatasetOptions& options) {
    return open_dataset(path, split, options)->origin().divided;
  };
  for (const Split split : {Split::train, Split::val}) {
    CHECK(divided(dir, split, quarter) == eight);
    CHECK(divided(pack, split, {}) == eight);
    CHECK(divided(pack, split, quarter) == six);
    CHECK(divided(some, split, {}).empty());
  }
  CHECK(divided(dir, Split::train, {}).empty());
}

TEST_CASE("pack: of class folders of which nothing is held out, it says so as they do") {
  const TempFolder folder;
  write_class_folders(folder, "alone", {"a", "b"}, 8);
  const std::string dir = folder.string() + "/alone", pack = folder.string() + "/all.kpack";
  const DatasetOptions nothing{.val_fraction = 0.0};
  const Dataset whole = *open_dataset(dir, Split::train, nothing);
  CHECK(whole.origin().is_undivided);
  CHECK(!open_dataset(dir, Split::train)->origin().is_undivided);  // a tenth is held out
  write_pack(whole, std::optional<Dataset>(), dir, pack, {});
  const Dataset packed = *open_dataset(pack, Split::train);
  CHECK(packed.origin().is_undivided);
  CHECK(data_fingerprint(packed) == data_fingerprint(whole));
  CHECK(!open_dataset(pack, Split::train, {.val_fraction = 0.25})->origin().is_undivided);
  write_class_folders(folder, "set/train", {"a", "b"}, 8);
  write_class_folders(folder, "set/val", {"a", "b"}, 2);
  CHECK(!open_dataset(folder.string() + "/set", Split::train, nothing)->origin().is_undivided);
  CHECK(!open_dataset(pack_holding_out(folder, {}, "set.kpack"), Split::train)->origin().is_undivided);
}

TEST_CASE("pack: of a set with images for validation of its own it has the format of earlier versions") {
  const TempFolder folder;
  write_class_folders(folder, "set/train", {"a", "b"}, 8);
  write_class_folders(folder, "set/val", {"a", "b"}, 2);
  const std::string plain = pack_holding_out(folder, {}, "plain.kpack"),
                    held = pack_holding_out(folder, {.val_fraction = 0.25}, "held.kpack");
  CHECK(number_at<std::uint32_t>(bytes_of_pack(plain), version_at) == 1);
  CHECK(!held_out_of_split(plain, Split::train));
  CHECK(!held_out_of_split(plain, Split::val));
  CHECK(number_at<std::uint32_t>(bytes_of_pack(held), version_at) == 2);
}

TEST_CASE("pack: a share that is none, one that is cut off, and a version of the future are refused") {
  const TempFolder folder;
  write_class_folders(folder, "set/train", {"a", "b"}, 8);
  const Bytes good = bytes_of_pack(pack_holding_out(folder, {.val_fraction = 0.25}, "set.kpack"));
  const auto error_with = [&](const Bytes& bytes) {
    return error_of([&] { parse_pack(with_checksums(bytes), "set.kpack"); });
  };
  CHECK(error_with(good) == "no error");
  for (const double share : {0.0, 1.0, -0.25, 1e300}) {
    Bytes bytes = good;
    put_at(bytes, bytes.size() - 16, share);
    CHECK(error_with(bytes) ==
          "set.kpack: its index has an impossible share of held-out images; the pack is damaged: make it again "
          "with pack_dataset");
  }
  Bytes as_before = good;
  put_at(as_before, version_at, std::uint32_t{1});
  CHECK(contains(error_with(as_before), "its index is longer than its content"));
  Bytes later = good;
  put_at(later, version_at, std::uint32_t{3});
  CHECK(error_with(later) == "set.kpack: a pack of version 3; this program reads versions 1 and 2");
  Bytes cut(good.begin(), good.end() - 8);
  put_at(cut, 16, std::uint64_t{cut.size()});                                                   // of the file
  put_at(cut, 32, std::uint64_t{cut.size()} - number_at<std::uint64_t>(cut, index_offset_at));  // of the index
  CHECK(contains(error_with(cut), "its index ends too early"));
}
