// Folders for evaluation whose images lie in no class folders, without a file that labels them.
#include "set_notes.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kindred;
using namespace kindred::test;

namespace {

using Labels = std::vector<std::int32_t>;

const std::string no_labels =
    " is not used: its images lie in no class folders, so their classes are unknown; a list can give their "
    "labels";
const std::string held_out_of_40 =
    "note: DIR/train: 4 of 40 images, the same share of each class, are held out for evaluation (validation "
    "fraction "
    "0.1, seed 0)";

void write_bytes_of(const TempFolder& folder, const std::string& name, const std::string& text) {
  folder.write(name, Bytes(text.begin(), text.end()));
}

std::string unlabelled(const TempFolder& folder, Split part) {
  const std::string found = folder_without_labels(folder.string(), part);
  return found.empty() ? found : found.substr(folder.string().size() + 1);
}

}  // namespace

TEST_CASE("unlabelled parts: training goes on without them, and a tenth of each class takes their place") {
  for (const std::string name :
       {"val", "Valid", "validation", "dev", "eval", "evaluation", "test", "Testing"}) {
    CAPTURE(name);
    const TempFolder folder;
    write_class_folders(folder, "train", {"a", "b"}, 20, 8);
    folder.write(name + "/1.jpg", {1});
    folder.write(name + "/2.jpg", {1});
    folder.write(name + "/lists/readme.txt", {1});
    CHECK(default_val_fraction(folder.string()) == 0.1);
    CHECK(unlabelled(folder, Split::evaluation) == name);
    const Dataset train = *open_dataset(folder.string(), Split::train);
    const Dataset held = *open_dataset(folder.string(), Split::evaluation);
    CHECK(train.size() == 36);
    CHECK(held.labels() == Labels{0, 0, 1, 1});
    CHECK(held.origin().part == "held out");
    const Texts notes{"note: DIR/" + name + no_labels, held_out_of_40};
    CHECK(notes_of(folder, train) == notes);
    CHECK(notes_of(folder, held) == notes);
    Texts paths = paths_in(folder, train);
    for (const std::string& path : paths_in(folder, held)) paths.push_back(path);
    std::sort(paths.begin(), paths.end());
    CHECK(std::adjacent_find(paths.begin(), paths.end()) == paths.end());
    CHECK(paths_in(folder, held) !=
          paths_in(folder, *open_dataset(folder.string(), Split::evaluation, {.val_seed = 1})));
    // What is asked for decides.
    CHECK(open_dataset(folder.string(), Split::train, {.val_fraction = 0})->size() == 40);
    CHECK(!open_dataset(folder.string(), Split::evaluation, {.val_fraction = 0}));
    CHECK(open_dataset(folder.string(), Split::evaluation, {.val_fraction = 0.5})->size() == 20);
  }
}

TEST_CASE("unlabelled parts: a part with labels is used instead, and no image of train is held out") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 20, 8);
  folder.write("val/1.jpg", {1});
  write_class_folders(folder, "test", {"a", "b"}, 3, 8);
  CHECK(default_val_fraction(folder.string()) == 0);
  CHECK(unlabelled(folder, Split::evaluation).empty());
  CHECK(open_dataset(folder.string(), Split::train)->size() == 40);
  const Dataset set = *open_dataset(folder.string(), Split::evaluation);
  CHECK(set.size() == 6);
  CHECK(notes_of(folder, set) ==
        Texts{"note: DIR/val" + no_labels,
              "note: evaluation is on DIR/test, because there is no validation split"});
  CHECK(open_dataset(folder.string(), Split::test)->size() == 6);
  CHECK(unlabelled(folder, Split::val) == "val");
  CHECK(unlabelled(folder, Split::test).empty());
  write_class_folders(folder, "valid", {"a", "b"}, 1, 8);
  CHECK(open_dataset(folder.string(), Split::val)->size() == 2);
  CHECK(unlabelled(folder, Split::val).empty());
}

TEST_CASE("unlabelled parts: a part that is asked for by name is an error that a list could mend") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 3, 8);
  folder.write("val/1.jpg", {1});
  folder.write("test/images/2.jpg", {1});
  CHECK(set_error(folder, "", Split::val) ==
        "DIR/val: its images lie in no class folders, so their classes are unknown; put LOC_val_solution.csv, "
        "a val.txt "
        "of 'image class' lines, or the folder ILSVRC2012_devkit_t12 into DIR");
  CHECK(contains(set_error(folder, "", Split::test), "DIR/test/images: its images lie in no class folders"));
  for (const Split part : {Split::val, Split::test})
    CHECK(cause_of([&] { open_dataset(folder.string(), part); }) == Cause::needs_labels);
  CHECK(unlabelled(folder, Split::test) == "test/images");
  write_bytes_of(folder, "val/val.txt", "1.jpg b\n");
  CHECK(open_dataset(folder.string(), Split::val)->labels() == Labels{1});
  CHECK(unlabelled(folder, Split::val).empty());
  CHECK(default_val_fraction(folder.string()) == 0);
}

TEST_CASE("unlabelled parts: nothing is held out of images without classes, nor of classes of one image") {
  const TempFolder flat;
  for (const char* name : {"train/1.jpg", "train/2.jpg", "val/3.jpg"}) flat.write(name, {1});
  CHECK(default_val_fraction(flat.string()) == 0);
  CHECK(unlabelled(flat, Split::evaluation).empty());
  const TempFolder single;
  write_class_folders(single, "train", {"a", "b"}, 1, 8);
  single.write("val/1.jpg", {1});
  CHECK(open_dataset(single.string(), Split::train)->size() == 2);
  CHECK(!open_dataset(single.string(), Split::evaluation));
}
