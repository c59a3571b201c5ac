#include "test_images.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <kindred/data/sets/dataset.h>
#include <sys/stat.h>  // defines: mkfifo
#include <unistd.h>    // defines: geteuid

#include <algorithm>

using namespace kindred;
using namespace kindred::test;

namespace {

std::string open_error(const TempFolder& folder, Split split = Split::train, const std::string& below = "") {
  return error_of([&] { open_dataset(folder.string() + below, split); });
}

// `records` records with labels 0, 1, 2, ... modulo `classes`; every byte of record r's channel c is r + 50 c.
Bytes cifar_file(int records, int classes, bool coarse_label) {
  Bytes bytes;
  for (int r = 0; r < records; ++r) {
    if (coarse_label) bytes.push_back(7);
    bytes.push_back(static_cast<std::uint8_t>(r % classes));
    for (int c = 0; c < 3; ++c) bytes.insert(bytes.end(), 1024, static_cast<std::uint8_t>(r + 50 * c));
  }
  return bytes;
}

Bytes class_list(int classes) {
  Bytes bytes;
  for (int c = 0; c < classes; ++c)
    for (const char letter : fmt::format("class{:02}\n", c)) bytes.push_back(static_cast<std::uint8_t>(letter));
  bytes.push_back('\n');
  return bytes;
}

void write_cifar10(const TempFolder& folder, const std::string& below) {
  for (int b = 1; b <= 5; ++b)
    folder.write(fmt::format("{}data_batch_{}.bin", below, b), cifar_file(20, 10, false));
  folder.write(below + "test_batch.bin", cifar_file(10, 10, false));
  folder.write(below + "batches.meta.txt", class_list(10));
}

}  // namespace

TEST_CASE("dataset: class folders in byte order, whatever the endings' case") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"dog", "Zebra", "cat"}, 3);
  folder.write("train/cat/A.JPEG", {1});
  folder.write("train/cat/b.PNG", {1});
  folder.write("train/cat/notes.txt", {1});
  folder.write("train/cat/.hidden.jpg", {1});
  folder.write("train/.cache/x.jpg", {1});
  folder.write("train/loose.jpg", {1});
  folder.write("train/cat/old.gif", {1});
  std::filesystem::create_directories(folder.path() / "train/cat/folder.jpg");
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(set.class_names() == std::vector<std::string>{"Zebra", "cat", "dog"});
  CHECK(set.size() == 12);
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < set.size(); ++i)
    if (set.label(i) == 1) names.push_back(std::filesystem::path(set.name(i)).filename().string());
  CHECK(names == std::vector<std::string>{"000.jpg", "001.jpg", "002.jpg", "A.JPEG", "b.PNG", "old.gif"});
  CHECK(set.load(0).outcome == Outcome::ok);
  CHECK(set.load(0).image.width == 23);
  CHECK(set.load(6).outcome == Outcome::rejected);
  CHECK(!open_dataset(folder.string(), Split::evaluation).has_value());
  CHECK(open_dataset(folder.string(), Split::train, {.limit_per_class = 2})->labels() ==
        std::vector<std::int32_t>{0, 0, 1, 1, 2, 2});
}

TEST_CASE("dataset: val is preferred to test, links are followed") {
  const TempFolder folder, elsewhere;
  write_class_folders(elsewhere, "pool", {"a"}, 4);
  write_class_folders(folder, "train", {"b"}, 2);
  write_class_folders(folder, "test", {"a", "b"}, 5);
  std::filesystem::create_directory_symlink(elsewhere.path() / "pool/a", folder.path() / "train/a");
  std::filesystem::create_symlink(elsewhere.path() / "pool/a/000.jpg", folder.path() / "train/b/link.jpg");
  std::filesystem::create_symlink("/nowhere/at/all", folder.path() / "train/b/zz.jpg");
  const Dataset train = *open_dataset(folder.string(), Split::train);
  CHECK(train.size() == 4 + 4);
  CHECK(train.load(6).outcome == Outcome::ok);
  CHECK(contains(train.load(7).reason, "cannot be opened"));
  CHECK(open_dataset(folder.string(), Split::evaluation)->size() == 10);
  write_class_folders(folder, "val", {"a", "b"}, 1);
  CHECK(open_dataset(folder.string(), Split::evaluation)->size() == 2);
}

TEST_CASE("dataset: every error says what is wrong and what to do") {
  const TempFolder folder;
  const std::string dir = folder.string();
  CHECK(open_error(folder, Split::train, "/none") ==
        dir + "/none: no such folder; give the folder that holds train/");
  CHECK(contains(open_error(folder), "the folder is empty; expected " + dir + "/train/<class>/*.jpg"));
  folder.write("file", {1});
  CHECK(contains(open_error(folder, Split::train, "/file"), "not a folder"));
  CHECK(contains(open_error(folder),
                 "there is no folder 'train' in it; expected " + dir + "/train/<class>/*.jpg"));
  folder.write("train/x.jpg", {1});
  CHECK(contains(open_error(folder), "no class folders in it"));
  write_class_folders(folder, "train", {"cat"}, 1);
  CHECK(contains(open_error(folder), "only one class, 'cat'"));
  folder.write("train/dog/readme.txt", {1});
  CHECK(contains(open_error(folder), "/train/dog: no images in this class folder"));
  write_class_folders(folder, "train", {"dog"}, 1);
  CHECK(open_error(folder) == "no error");
  write_class_folders(folder, "val", {"bird"}, 1);
  CHECK(contains(open_error(folder, Split::evaluation),
                 "it has images of 'bird', which train does not have, and none of a class of train"));
  for (const auto split : {Split::train, Split::evaluation})
    CHECK(open_error(folder, split).find('\n') == std::string::npos);
}

TEST_CASE("dataset: a class folder that may not be read") {
  if (::geteuid() == 0) return;  // root may read everything
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 1);
  std::filesystem::permissions(folder.path() / "train/b", std::filesystem::perms::none);
  CHECK(contains(open_error(folder), "cannot be listed"));
  std::filesystem::permissions(folder.path() / "train/b", std::filesystem::perms::owner_all);
}

TEST_CASE("dataset: CIFAR-10 binary files") {
  for (const std::string below : {"", "cifar-10-batches-bin/"}) {
    const TempFolder folder;
    write_cifar10(folder, below);
    const Dataset train = *open_dataset(folder.string(), Split::train);
    CHECK(train.size() == 100);
    CHECK(train.classes() == 10);
    CHECK(train.class_names()[3] == "class03");
    CHECK(train.label(23) == 3);
    CHECK(contains(train.name(23), "data_batch_2.bin, record 3"));
    const Decoded d = train.load(23);
    CHECK(d.outcome == Outcome::ok);
    CHECK(Bytes(d.image.pixel(31, 31), d.image.pixel(31, 31) + 3) == Bytes{3, 53, 103});
    const Dataset evaluation = *open_dataset(folder.string(), Split::evaluation);
    CHECK(evaluation.size() == 10);
    CHECK(evaluation.notes() ==
          std::vector<std::string>{"note: " + folder.string() +
                                   ": evaluation is on test, because there is no validation "
                                   "split"});
    const Dataset limited = *open_dataset(folder.string(), Split::train, {.limit_per_class = 3});
    CHECK(limited.size() == 30);
    CHECK(contains(limited.name(29), "data_batch_2.bin, record 9"));
  }
}

TEST_CASE("dataset: CIFAR-100 takes the fine label") {
  const TempFolder folder;
  folder.write("cifar-100-binary/train.bin", cifar_file(200, 100, true));
  folder.write("cifar-100-binary/fine_label_names.txt", class_list(100));
  const Dataset train = *open_dataset(folder.string(), Split::train);
  CHECK(train.size() == 200);
  CHECK(train.label(142) == 42);
  CHECK(!open_dataset(folder.string(), Split::evaluation).has_value());
}

TEST_CASE("dataset: either half of CIFAR is a set") {
  const TempFolder tens;
  tens.write("test_batch.bin", cifar_file(20, 10, false));
  tens.write("batches.meta.txt", class_list(10));
  CHECK(open_dataset(tens.string(), Split::test)->size() == 20);
  CHECK(!open_dataset(tens.string(), Split::val).has_value());
  CHECK(contains(open_error(tens), "there are no images to train on, only those for tests"));
  tens.write("data_batch_4.bin", cifar_file(10, 10, false));
  CHECK(contains(open_error(tens),
                 ": files are missing: data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_5.bin; "
                 "unpack the CIFAR archive again"));
  CHECK(open_dataset(tens.string(), Split::test)->size() == 20);  // it is whole
  // Of two halves neither of which is whole everything that is missing is named, whatever is asked for.
  std::filesystem::remove(tens.path() / "test_batch.bin");
  std::filesystem::remove(tens.path() / "batches.meta.txt");
  for (const Split split : {Split::train, Split::evaluation, Split::val, Split::test})
    CHECK(contains(open_error(tens, split), "data_batch_5.bin, test_batch.bin, batches.meta.txt; unpack"));
  // Anybody may call a file test.bin.
  const TempFolder hundreds;
  hundreds.write("test.bin", cifar_file(100, 100, true));
  CHECK(contains(open_error(hundreds), "there is no folder 'train' in it"));
  hundreds.write("fine_label_names.txt", class_list(100));
  CHECK(open_dataset(hundreds.string(), Split::test)->label(42) == 42);
}

TEST_CASE("dataset: CIFAR files that are cut, mislabelled or missing") {
  const TempFolder folder;
  write_cifar10(folder, "");
  folder.write("data_batch_3.bin", Bytes(3073 * 2 + 1));
  CHECK(contains(open_error(folder),
                 "data_batch_3.bin: 6147 bytes are not a whole number of 3073-byte CIFAR-10"));
  Bytes mislabelled = cifar_file(3, 10, false);
  mislabelled[3073] = 10;
  folder.write("data_batch_3.bin", mislabelled);
  CHECK(contains(open_error(folder), "record 1 has label 10, 9 is the largest allowed"));
  std::filesystem::remove(folder.path() / "data_batch_3.bin");
  CHECK(contains(open_error(folder), ": a file is missing: data_batch_3.bin; unpack the CIFAR archive again"));
  folder.write("data_batch_3.bin", cifar_file(3, 10, false));
  folder.write("batches.meta.txt", class_list(9));
  CHECK(contains(open_error(folder), "9 class names, 10 expected"));
}

TEST_CASE("dataset: what lies where an image should: a pipe, a folder, loops, and a file that vanishes") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 2);
  const auto a = folder.path() / "train/a";
  REQUIRE(::mkfifo((a / "cat.jpg").c_str(), 0600) == 0);
  std::filesystem::create_directories(a / "dog.jpg");
  std::filesystem::create_symlink("self.jpg", a / "self.jpg");
  std::filesystem::create_directory_symlink("..", a / "up");
  std::filesystem::create_directory_symlink("self", folder.path() / "train/self");
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(set.class_names() == std::vector<std::string>{"a", "b"});
  REQUIRE(set.size() == 6);
  CHECK(set.load(2).reason == "is not a regular file");
  CHECK(contains(set.load(3).reason, "cannot be opened: Too many levels of symbolic links"));
  CHECK(set.load(4).outcome == Outcome::ok);
  std::filesystem::remove(folder.path() / "train/b/000.jpg");
  CHECK(contains(set.load(4).reason, "cannot be opened: No such file"));

  const Dataset loose = open_loose_images(folder.string());
  CHECK(loose.class_names() == std::vector<std::string>{"train/a", "train/b"});  // "self" has no image's name
  CHECK(loose.size() == 5);
  std::filesystem::create_directory_symlink("../train", folder.path() / "train/loop");
  CHECK(contains(open_error(folder), "/train/loop: no images in this class folder"));
}

TEST_CASE("dataset: names in any script, and names of files that are no text at all") {
  const TempFolder folder;
  const std::vector<std::string> classes{"Ängste", "猫", "كلب", "🦊 fox"};
  write_class_folders(folder, "train", classes, 1);
  write_class_folders(folder, "val", classes, 1);
  folder.write("train/猫/日本 語\t\".jpg", {1});
  folder.write("train/猫/latin\xE9.jpg", {1});
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(set.size() == 6);
  CHECK(std::find(set.class_names().begin(), set.class_names().end(), "猫") != set.class_names().end());
  CHECK(open_dataset(folder.string(), Split::evaluation)->size() == 4);
  std::filesystem::create_directories(folder.path() / "train/caf\xE9");
  folder.write("train/caf\xE9/0.jpg", {1});
  CHECK(contains(open_error(folder), "its name is not UTF-8"));
}

TEST_CASE("dataset: many files in one folder") {
  constexpr int count = 20'000;
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 1);
  for (int i = 0; i < count; ++i)
    std::filesystem::create_hard_link(folder.path() / "train/b/000.jpg",
                                      folder.path() / fmt::format("train/a/{:06}.jpg", i));
  const Dataset set = *open_dataset(folder.string(), Split::train);
  REQUIRE(set.size() == count + 2);
  CHECK(set.name(0) == folder.string() + "/train/a/000.jpg");  // before 000000.jpg: '.' comes before '0'
  CHECK(set.name(count) == folder.string() + "/train/a/019999.jpg");
  CHECK(set.load(count).outcome == Outcome::ok);
}

TEST_CASE("dataset: a held-out split is stratified, seeded, disjoint, and limited afterwards") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a"}, 20, 8);
  write_class_folders(folder, "train", {"b"}, 5, 8);
  write_class_folders(folder, "train", {"c"}, 2, 8);
  write_class_folders(folder, "train", {"d"}, 1, 8);
  const auto names = [&](Split split, const DatasetOptions& options) {
    const Dataset set = *open_dataset(folder.string(), split, options);
    std::vector<std::string> all;
    for (std::int64_t i = 0; i < set.size(); ++i) all.push_back(set.name(i));
    return all;
  };
  const DatasetOptions tenth{.val_fraction = 0.1, .val_seed = 1};
  const auto train = names(Split::train, tenth), held = names(Split::evaluation, tenth);
  CHECK(open_dataset(folder.string(), Split::evaluation, tenth)->labels() ==
        std::vector<std::int32_t>{0, 0, 1, 2});
  std::vector<std::string> all = names(Split::train, {}), both = train;
  both.insert(both.end(), held.begin(), held.end());
  std::sort(both.begin(), both.end());
  CHECK(both == all);
  CHECK(std::is_sorted(train.begin(), train.end()));
  CHECK(held == names(Split::evaluation, tenth));
  CHECK(held != names(Split::evaluation, {.val_fraction = 0.1, .val_seed = 2}));
  // For every limit, no image is in both splits.
  for (const std::int64_t limit : {1, 3}) {
    const auto few = names(Split::train, {.limit_per_class = limit, .val_fraction = 0.5, .val_seed = 1});
    for (const std::string& name : names(Split::evaluation, {.val_fraction = 0.5, .val_seed = 1}))
      CHECK(std::find(few.begin(), few.end(), name) == few.end());
  }
  // It replaces an existing split.
  write_class_folders(folder, "val", {"a", "b", "c", "d"}, 1, 8);
  CHECK(held == names(Split::evaluation, tenth));
  CHECK(error_of([&] { open_dataset(folder.string(), Split::train, {.val_fraction = 1}); }) ==
        "validation fraction 1: expected a share of the training images, above 0 and below 1");
}
