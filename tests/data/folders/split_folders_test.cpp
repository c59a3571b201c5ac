// Which folders of a set are for training and which for evaluation.
#include "set_notes.h"

#include <doctest/doctest.h>
#include <kindred/data/sets/folders/split_folders.h>

using namespace kindred;
using namespace kindred::test;

namespace {

Texts folder_names(const std::vector<std::filesystem::path>& folders) {
  Texts names;
  for (const auto& folder : folders) names.push_back(folder.filename().string());
  return names;
}

}  // namespace

TEST_CASE("split folders: ten names in any letter case, and no others") {
  for (const char* name : {"train", "training", "Train", "TRAINING"})
    CHECK(split_role(name) == SplitRole::train);
  for (const char* name :
       {"val", "valid", "validation", "dev", "eval", "evaluation", "Val", "VALIDATION", "Dev", "Eval"})
    CHECK(split_role(name) == SplitRole::validation);
  for (const char* name : {"test", "testing", "Test", "TESTING"}) CHECK(split_role(name) == SplitRole::test);
  for (const char* name : {"", "trains", "evals", "train1", "holdout", "cat"}) CHECK(!split_role(name));
}

TEST_CASE("split folders: the order of the names decides, and lower case comes first") {
  const TempFolder folder;
  for (const char* name : {"Val", "VAL", "val", "evaluation", "Eval", "dev", "validation", "VALID", "TESTING",
                           "test", "Train", "cat"})
    std::filesystem::create_directories(folder.path() / name);
  folder.write("train", {1});  // a file is no split
  const SplitFolders found = find_split_folders(folder.path());
  CHECK(folder_names(found.train) == Texts{"Train"});
  CHECK(folder_names(found.validation) ==
        Texts{"val", "VAL", "Val", "VALID", "validation", "dev", "Eval", "evaluation"});
  CHECK(folder_names(found.test) == Texts{"test", "TESTING"});
}

TEST_CASE("split folders: a validation split wins over a test split, whatever its name") {
  for (const std::string name : {"val", "valid", "validation", "dev", "Validation", "Eval", "evaluation"}) {
    const TempFolder folder;
    write_class_folders(folder, "train", {"a", "b"}, 3);
    write_class_folders(folder, name, {"a", "b"}, 2);
    write_class_folders(folder, "test", {"a", "b"}, 5);
    const Dataset set = *open_dataset(folder.string(), Split::evaluation);
    CHECK(set.labels() == std::vector<std::int32_t>{0, 0, 1, 1});
    CHECK(paths_in(folder, set).front() == name + "/a/000.jpg");
    const Texts expected{"note: evaluation is on DIR/" + name + "; not used: DIR/test"};
    CHECK(notes_of(folder, set) == expected);
    // Whoever opens only the training images learns it too.
    CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) == expected);
  }
}

TEST_CASE("split folders: a test split is used where there is no other, and said so") {
  const TempFolder folder;
  write_class_folders(folder, "Training", {"a", "b"}, 3);
  CHECK(!open_dataset(folder.string(), Split::evaluation));
  CHECK(open_dataset(folder.string(), Split::train)->notes().empty());
  write_class_folders(folder, "Testing", {"a", "b"}, 2);
  const Dataset set = *open_dataset(folder.string(), Split::evaluation);
  CHECK(paths_in(folder, set) ==
        Texts{"Testing/a/000.jpg", "Testing/a/001.jpg", "Testing/b/000.jpg", "Testing/b/001.jpg"});
  CHECK(notes_of(folder, set) ==
        Texts{"note: evaluation is on DIR/Testing, because there is no validation split"});
  std::filesystem::create_directories(folder.path() / "val");
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::evaluation)) ==
        Texts{"note: DIR/val is not used: there are no images in it",
              "note: evaluation is on DIR/Testing, because there is no validation split"});
  write_class_folders(folder, "val", {"a", "b"}, 1);
  CHECK(open_dataset(folder.string(), Split::evaluation)->size() == 2);
  write_class_folders(folder, "Train", {"a", "b"}, 1);
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) ==
        Texts{"note: evaluation is on DIR/val; not used: DIR/Testing",
              "note: training is on DIR/Train; not used: DIR/Training"});
}

TEST_CASE("split folders: what is held out replaces all of them, in one line") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 4);
  write_class_folders(folder, "val", {"a", "b"}, 1);
  write_class_folders(folder, "test", {"a", "b"}, 1);
  for (const Split split : {Split::train, Split::evaluation}) {
    const Dataset set = *open_dataset(folder.string(), split, {.val_fraction = 0.25});
    CHECK(set.size() == (split == Split::train ? 6 : 2));
    CHECK(notes_of(folder, set) ==
          Texts{"note: evaluation is on images that are held out of train; not used: DIR/val, DIR/test"});
  }
}

TEST_CASE("split folders: a test split without labels is named and not used") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 2);
  folder.write("test/1.jpg", {1});
  CHECK(open_dataset(folder.string(), Split::evaluation)->labels() == std::vector<std::int32_t>{0, 1});
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) ==
        Texts{"note: DIR/test is not used: its images lie in no class folders, so their classes are unknown; a "
              "list "
              "can give their labels",
              "note: DIR/train: 2 of 4 images, the same share of each class, are held out for evaluation "
              "(validation fraction 0.1, seed 0)"});
  std::filesystem::create_directories(folder.path() / "test/unknown");
  std::filesystem::rename(folder.path() / "test/1.jpg", folder.path() / "test/unknown/1.jpg");
  CHECK(open_dataset(folder.string(), Split::evaluation)->labels() == std::vector<std::int32_t>{0, 1});
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) ==
        Texts{"warning: DIR/test is not used: no folder in it has the name of a class of train: it has "
              "'unknown', and "
              "train has 'a', 'b'; give both the same class folders to evaluate on it",
              "note: DIR/train: 2 of 4 images, the same share of each class, are held out for evaluation "
              "(validation fraction 0.1, seed 0)"});
  // The same in a validation split is an error: it was made for training.
  std::filesystem::rename(folder.path() / "test", folder.path() / "val");
  CHECK(
      set_error(folder, "", Split::evaluation) ==
      "DIR/val: it has images of 'unknown', which train does not have, and none of a class of train; give both "
      "the same class folders");
}

TEST_CASE(
    "split folders: class folders of tests that differ only in the case of letters are named, and a tenth is "
    "held out") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"hat", "pants"}, 20, 8);
  write_class_folders(folder, "test", {"Hat", "Pants"}, 3, 8);
  const std::string differ = "'Hat', 'Pants' differ from 'hat', 'pants' of train only in the case of letters";
  CHECK(default_val_fraction(folder.string()) == 0.1);
  const Dataset held = *open_dataset(folder.string(), Split::evaluation);
  CHECK(held.size() == 4);
  CHECK(held.origin().part == "held out");
  CHECK(open_dataset(folder.string(), Split::train)->size() == 36);
  CHECK(notes_of(folder, held) ==
        Texts{"warning: DIR/test is not used: no folder in it has the name of a class of train: " + differ +
                  "; rename them to evaluate on it",
              "note: DIR/train: 4 of 40 images, the same share of each class, are held out for evaluation "
              "(validation fraction 0.1, seed 0)"});
  CHECK(!open_dataset(folder.string(), Split::evaluation, {.val_fraction = 0}));
  // What is asked for by name is an error, and so is a folder for validation: it was made for training.
  const std::string none =
      ": it has images of 'Hat', 'Pants', which train does not have, and none of a class of train: " + differ +
      "; give both the same class folders";
  CHECK(set_error(folder, "", Split::test) == "DIR/test" + none);
  std::filesystem::rename(folder.path() / "test", folder.path() / "val");
  CHECK(set_error(folder, "", Split::evaluation) == "DIR/val" + none);
  // One that fits: the folder is used, and the other one is named.
  std::filesystem::rename(folder.path() / "val/Hat", folder.path() / "val/hat");
  const Dataset some = *open_dataset(folder.string(), Split::evaluation);
  CHECK(some.size() == 3);
  CHECK(contains(notes_of(folder, some).front(),
                 "DIR/val/Pants: left out, because train does not have this class; 'Pants' differs from "
                 "'pants' of train only "
                 "in the case of letters"));
}

TEST_CASE("split folders: a class that evaluation lacks, or has in addition, is a warning") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"ant", "bee", "cat", "dog"}, 2);
  write_class_folders(folder, "val", {"bee", "dog"}, 2);
  write_class_folders(folder, "val", {"bird", "cow"}, 1);
  folder.write("val/ant/notes.txt", {1});        // no image of its class
  folder.write("val/__MACOSX/readme.txt", {1});  // no class
  const Dataset set = *open_dataset(folder.string(), Split::evaluation);
  CHECK(set.class_names() == Texts{"ant", "bee", "cat", "dog"});
  CHECK(set.labels() == std::vector<std::int32_t>{1, 1, 3, 3});
  CHECK(
      notes_of(folder, set) ==
      Texts{
          "warning: DIR/val: 2 folders left out, because train does not have these classes: 'bird', 'cow'",
          "warning: DIR: nothing to evaluate 2 of the 4 classes on: 'ant', 'cat'; accuracies are those of the "
          "other 2, and say nothing about these classes"});
  // A limit changes neither.
  CHECK(open_dataset(folder.string(), Split::evaluation, {.limit_per_class = 1})->notes().size() == 2);
  CHECK(open_dataset(folder.string(), Split::train)->notes().empty());
}

TEST_CASE("split folders: shards follow the same names") {
  const TempFolder folder;
  folder.write("Training/0.tar", {1});
  CHECK(contains(set_error(folder), "DIR/Training/0.tar"));  // it is read as a shard
}
