#include "mat_writer.h"
#include "test_images.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/mat_file.h>

using namespace kindred;
using namespace kindred::test;

namespace {

Bytes bytes_of(const std::string& text) {
  return Bytes(text.begin(), text.end());
}

const std::vector<Synset> three_synsets{{1, "n03"}, {2, "n01"}, {300, "n02"}, {301, "n99"}};
const std::vector<std::int32_t> true_labels{2, 0, 0, 1, 2};  // of images 1 to 5

// train/ with three classes and five images in one folder, laid out below `below`.
void write_set(const TempFolder& folder, const std::string& below = "") {
  write_class_folders(folder, below + "train", {"n01", "n02", "n03"}, 2);
  write_class_folders(folder, below + "pool", {"x"}, 5);
  std::filesystem::create_directories(folder.path() / (below + "val"));
  for (int i = 0; i < 5; ++i)
    std::filesystem::rename(folder.path() / fmt::format("{}pool/x/{:03}.jpg", below, i),
                            folder.path() / fmt::format("{}val/ILSVRC2012_val_{:08}.JPEG", below, i + 1));
  std::filesystem::remove_all(folder.path() / (below + "pool"));
}

void check_labels(const TempFolder& folder, const std::string& below = "") {
  const Dataset set = *open_dataset(folder.string() + below, Split::evaluation);
  REQUIRE(set.size() == 5);
  CHECK(set.class_names() == std::vector<std::string>{"n01", "n02", "n03"});
  CHECK(set.labels() == std::vector<std::int32_t>{0, 0, 1, 2, 2});  // sorted, as class folders would be
  for (std::int64_t i = 0; i < 5; ++i) {
    const std::string name = set.name(i);
    const auto image = static_cast<std::size_t>(name[name.size() - 6] - '1');
    CHECK(set.label(i) == true_labels[image]);
    CHECK(set.load(i).outcome == Outcome::ok);
  }
}

std::string validation_error(const TempFolder& folder) {
  return error_of([&] { open_dataset(folder.string(), Split::evaluation); });
}

}  // namespace

TEST_CASE("imagenet: the development kit's numbers are its own, meta.mat tells their names") {
  for (const bool compressed : {false, true})
    for (const std::string below : {"", "ILSVRC2012_devkit_t12/data/", "devkit/data/"}) {
      const TempFolder folder;
      write_set(folder);
      CHECK(validation_error(folder) == "no error");  // a part of train takes its place
      CHECK(contains(error_of([&] { open_dataset(folder.string(), Split::val); }),
                     "so their classes are unknown"));
      folder.write(below + "ILSVRC2012_validation_ground_truth.txt", bytes_of("1\n2\n2\n300\n1\n"));
      CHECK(contains(validation_error(folder), "meta.mat: cannot be opened"));
      folder.write(below + "meta.mat", meta_mat(three_synsets, compressed));
      check_labels(folder);
      folder.write(below + "ILSVRC2012_validation_ground_truth.txt", bytes_of("1\n2\n2\n300\n"));
      CHECK(contains(validation_error(folder), "has no entry for"));
      folder.write(below + "ILSVRC2012_validation_ground_truth.txt", bytes_of("1\n2\n2\n300\n301\n"));
      const Dataset known = *open_dataset(folder.string(), Split::evaluation);
      CHECK(known.labels() == std::vector<std::int32_t>{0, 0, 1, 2});
      REQUIRE(known.notes().size() == 1);
      CHECK(contains(known.notes().front(), "images left out, because train does not have this class: 'n99'"));
      folder.write(below + "ILSVRC2012_validation_ground_truth.txt", bytes_of("1\n2\n2\n77\n1\n"));
      CHECK(contains(validation_error(folder), "line 4: class 77 is not in"));
    }
}

TEST_CASE("imagenet: Kaggle's CSV, in its own folders, in any order") {
  const std::string csv =
      "ImageId,PredictionString\nILSVRC2012_val_00000004,n02 85 1 499 272 \nILSVRC2012_val_00000001,n03 1 2 3 "
      "4 n03 5 6 7 "
      "8 \r\nILSVRC2012_val_00000002,n01 0 0 1 1\nILSVRC2012_val_00000003,n01 0 0 1 "
      "1\nILSVRC2012_val_00000005,n03 0 0 1 1\n";
  const TempFolder flat, kaggle;
  write_set(flat);
  flat.write("LOC_val_solution.csv", bytes_of(csv));
  check_labels(flat);
  write_set(kaggle, "ILSVRC/Data/CLS-LOC/");
  kaggle.write("LOC_val_solution.csv", bytes_of(csv));
  check_labels(kaggle);
  CHECK(open_dataset(kaggle.string(), Split::train)->size() == 6);
  check_labels(kaggle, "/ILSVRC/Data/CLS-LOC");  // given the inner folder
}

TEST_CASE("imagenet: a list of images and classes") {
  for (const std::string name : {"val.txt", "val/val_labels.txt"}) {
    const TempFolder folder;
    write_set(folder);
    folder.write(
        name,
        bytes_of("ILSVRC2012_val_00000001.JPEG n03\nILSVRC2012_val_00000002 n01\n\nILSVRC2012_val_00000003 "
                 "n01\nILSVRC2012_val_00000004 n02\nILSVRC2012_val_00000005.JPEG n03\n"));
    check_labels(folder);
    folder.write(name, bytes_of("ILSVRC2012_val_00000001.JPEG 65\n"));
    CHECK(contains(
        validation_error(folder),
        ": ILSVRC2012_val_00000001.JPEG is of class '65', which train does not have; numbers mean "
        "different things in different lists, so give the classes by the names of the folders of train, "
        "such as 'n01', in place of numbers"));
    folder.write(name, bytes_of("ILSVRC2012_val_00000001.JPEG\n"));
    CHECK(contains(validation_error(folder), "line 1: no class after"));
    folder.write(name, bytes_of("a.jpg n01\na.jpg n02\n"));
    CHECK(contains(validation_error(folder), "line 2: 'a.jpg' has two classes"));
  }
}

TEST_CASE("meta.mat: whatever is wrong is one error") {
  const Bytes good = meta_mat(three_synsets, false), packed = meta_mat(three_synsets, true);
  CHECK(read_synsets(good, "m").size() == 4);
  CHECK(read_synsets(packed, "m")[2].id == 300);
  CHECK(read_synsets(packed, "m")[3].wnid == "n99");
  for (std::size_t size = 0; size < good.size(); size += 13)
    CHECK(contains(error_of([&] { read_synsets(std::span(good).first(size), "m"); }), "m: "));
  for (std::size_t size = 0; size < packed.size() - 8; size += 5)
    CHECK(contains(error_of([&] { read_synsets(std::span(packed).first(size), "m"); }), "m: "));
  Bytes unknown = good;
  unknown[128 + 8] = 200;
  CHECK(error_of([&] { read_synsets(unknown, "m"); }) != "no error");
}
