// Folders and images that are left out because of their names or places: empty splits, tests beside class folders, images
// beside class folders, and classes one level too deep.
#include "set_notes.h"

#include <doctest/doctest.h>
#include <kindred/data/sets/folders/split_folders.h>

using namespace kindred;
using namespace kindred::test;

namespace {

namespace fs = std::filesystem;

using Labels = std::vector<std::int32_t>;

const DatasetOptions all_for_training{.val_fraction = 0};

void write_folders_of_images(const TempFolder& folder, const Texts& names, int per_class = 2) {
  for (const std::string& name : names) write_class_folders(folder, name, {""}, per_class, 8);
}

std::string note_about_tests_in(const std::string& name) {
  return "note: DIR/" + name +
         " is not used: its images lie in no class folders, so they are taken for tests without labels; if it "
         "is a "
         "class like 'cat', 'dog', give the folder another name";
}

}  // namespace

TEST_CASE("left out: a folder without images that is called like a split, beside class folders") {
  for (const std::string name : {"train", "val", "Test"}) {
    CAPTURE(name);
    const TempFolder folder;
    write_folders_of_images(folder, {"ant", "bee"});
    folder.write(name + "/deep/readme.txt", {1});
    const Dataset set = *open_dataset(folder.string(), Split::train, all_for_training);
    CHECK(set.class_names() == Texts{"ant", "bee"});
    CHECK(notes_of(folder, set) ==
          Texts{"note: DIR: not taken for classes, because there are no images in them: '" + name + "'",
                std::string("note: DIR has no folder ") + (name == "train" ? "for training" : "'train'") +
                    ": its 2 class folders are the training set, and nothing is held out for evaluation"});
    CHECK(open_dataset(folder.string(), Split::evaluation)->size() == 2);
    CHECK(!is_set_with_parts(folder.string()));
  }
  const TempFolder several;  // the images of a split decide
  write_folders_of_images(several, {"ant", "bee"});
  fs::create_directories(several.path() / "train");
  write_class_folders(several, "val", {"ant", "bee"}, 1, 8);
  CHECK(
      set_error(several) ==
      "DIR/train: no class folders in it; expected DIR/train/<class>/*.jpg, a folder per class; class folders "
      "cannot have the names of splits: if 'train' is a class like 'ant', 'bee', rename its folder");
  const TempFolder shards;  // they are no images, but a set
  write_folders_of_images(shards, {"ant", "bee"});
  shards.write("train/0.tar", {1});
  CHECK(contains(set_error(shards), "DIR/train/0.tar"));
}

TEST_CASE("left out: a folder of images for tests beside class folders") {
  for (const std::string name : {"test", "Testing", "test1", "test_images", "TestSet"}) {
    CAPTURE(name);
    const TempFolder folder;
    write_folders_of_images(folder, {"cat", "dog", name});
    const Dataset set = *open_dataset(folder.string(), Split::train, all_for_training);
    CHECK(set.class_names() == Texts{"cat", "dog"});
    CHECK(set.size() == 4);
    CHECK(notes_of(folder, set) ==
          Texts{note_about_tests_in(name),
                "note: DIR has no folder 'train': its 2 class folders are the training "
                "set, and nothing is held out for evaluation"});
    CHECK(open_class_images(folder.string())->class_names() == Texts{"cat", "dog"});
    CHECK(open_unlabelled_images(folder.string() + "/" + name)->size() == 2);
    CHECK(open_dataset(folder.string(), Split::evaluation)->labels() == Labels{0, 1});
    // As the note says.
    fs::rename(folder.path() / name, folder.path() / "test_tube");
    CHECK(open_dataset(folder.string(), Split::train)->class_names() == Texts{"cat", "dog", "test_tube"});
  }
  const TempFolder deep;  // the images of classes lie at any depth
  write_folders_of_images(deep, {"cat/black", "dog", "test"});
  CHECK(notes_of(deep, *open_dataset(deep.string(), Split::train)).front() == note_about_tests_in("test"));
}

TEST_CASE("left out: what is not clearly for tests is a class with a note, or an error") {
  const TempFolder two;
  write_folders_of_images(two, {"cat", "dog", "test1", "test2"});
  const Dataset set = *open_dataset(two.string(), Split::train, all_for_training);
  CHECK(set.class_names() == Texts{"cat", "dog", "test1", "test2"});
  CHECK(notes_of(two, set).front() ==
        "note: DIR: 'test1', 'test2' are taken for classes; if they are for training or evaluation, move them "
        "out of "
        "DIR");
  const TempFolder one;  // it has folders with images
  write_folders_of_images(one, {"cat", "dog", "test1/cat"});
  CHECK(notes_of(one, *open_dataset(one.string(), Split::train)).front() ==
        "note: DIR: 'test1' is taken for a class; if it is for training or evaluation, move it out of DIR");
  const TempFolder parts;
  write_folders_of_images(parts, {"cat", "dog", "test", "test1"});
  CHECK(contains(set_error(parts), "if 'test' is a class like 'cat', 'dog', 'test1', rename its folder"));
}

TEST_CASE("split folders: names that resemble those of splits") {
  for (const char* name : {"test", "Testing", "test1", "test_2", "testset", "Test-Images", "test_stg1"})
    CHECK(split_role_like(name) == SplitRole::test);
  CHECK(split_role_like("train_images") == SplitRole::train);
  CHECK(split_role_like("val2017") == SplitRole::validation);
  for (const char* name : {"", "test_tube", "testudo", "valley", "devil", "trains", "1test", "holdout"})
    CHECK(!split_role_like(name));
}

TEST_CASE("left out: images beside the class folders of train and val") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 2, 8);
  write_class_folders(folder, "val", {"a", "b"}, 1, 8);
  for (const char* path : {"train/1.jpg", "train/2.png", "val/3.jpg"}) folder.write(path, {1});
  const std::string text = ": left out, because they lie in no class folder: ";
  const Dataset train = *open_dataset(folder.string(), Split::train);
  CHECK(train.size() == 4);
  CHECK(notes_of(folder, train) == Texts{"note: DIR/train" + text + "2 images, such as 1.jpg"});
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::evaluation)) ==
        Texts{"note: DIR/val" + text + "1 image, such as 3.jpg"});
}

TEST_CASE("left out: folders for evaluation without images, and a tenth of train takes their place") {
  const std::string held =
      "note: DIR/train: 4 of 40 images, the same share of each class, are held out for evaluation (validation "
      "fraction 0.1, seed 0)";
  for (const Texts& names : {Texts{"val"}, Texts{"test"}, Texts{"val", "test"}}) {
    const TempFolder folder;
    write_class_folders(folder, "train", {"a", "b"}, 20, 8);
    Texts notes;
    for (const std::string& name : names) {
      folder.write(name + "/a/readme.txt", {1});
      notes.push_back("note: DIR/" + name + " is not used: there are no images in it");
    }
    notes.push_back(held);
    CHECK(default_val_fraction(folder.string()) == 0.1);
    CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) == notes);
    const Dataset evaluation = *open_dataset(folder.string(), Split::evaluation);
    CHECK(evaluation.labels() == Labels{0, 0, 1, 1});
    CHECK(evaluation.origin().part == "held out");
    CHECK(notes_of(folder, evaluation) == notes);
    CHECK(!open_dataset(folder.string(), Split::evaluation, all_for_training));
    CHECK(folder_without_labels(folder.string(), Split::evaluation).empty());
  }
}

TEST_CASE("left out: classes in the only folder of train are named") {
  const TempFolder folder;
  write_class_folders(folder, "train/inner", {"ant", "bee"}, 2, 8);
  CHECK(set_error(folder) ==
        "DIR/train: only one class, 'inner'; at least two are needed to learn from labels; if the folders in "
        "it are "
        "the classes ('ant', 'bee'), move them up into DIR/train, or give DIR/train/inner");
  CHECK(set_error(folder, "/train/inner") == "no error");
}
