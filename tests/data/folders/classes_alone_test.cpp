// DIR/<class>/* without a folder for training, and folders one level above or below a set.
#include "set_notes.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kindred;
using namespace kindred::test;

TEST_CASE("classes alone: a tenth of each class is held out, the seed says which") {
  const TempFolder folder;
  write_class_folders(folder, "ant", {"inside"}, 20, 8);
  write_class_folders(folder, "bee", {""}, 10, 8);
  write_class_folders(folder, "cat", {""}, 3, 8);
  folder.write("docs/readme.txt", {1});
  folder.write("README.md", {1});
  CHECK(default_val_fraction(folder.string()) == 0.1);
  const Dataset train = *open_dataset(folder.string(), Split::train);
  const Dataset held = *open_dataset(folder.string(), Split::evaluation);
  CHECK(train.class_names() == Texts{"ant", "bee", "cat"});
  CHECK(train.size() == 29);
  CHECK(held.labels() == std::vector<std::int32_t>{0, 0, 1, 2});
  const Texts expected{"note: DIR: not taken for classes, because there are no images in them: 'docs'",
                       "note: DIR has no folder 'train': its 3 class folders are the training set, of which 4 "
                       "of 33 images, the same "
                       "share of each class, are held out for evaluation (validation fraction 0.1, seed 0)"};
  CHECK(notes_of(folder, train) == expected);
  CHECK(notes_of(folder, held) == expected);

  Texts both = paths_in(folder, train);
  for (const std::string& path : paths_in(folder, held)) both.push_back(path);
  std::sort(both.begin(), both.end());
  CHECK(std::adjacent_find(both.begin(), both.end()) == both.end());
  CHECK(both.size() == 33);
  CHECK(paths_in(folder, held) == paths_in(folder, *open_dataset(folder.string(), Split::evaluation)));
  CHECK(paths_in(folder, held) !=
        paths_in(folder, *open_dataset(folder.string(), Split::evaluation, {.val_seed = 1})));
  CHECK(open_dataset(folder.string(), Split::evaluation, {.val_fraction = 0.5})->size() == 17);  // 10, 5 and 2
}

TEST_CASE(
    "classes alone: a folder with only images of formats that are not read is a warning, or named in the "
    "error") {
  const std::string convert = "; convert them to JPEG or PNG to use them",
                    why = ": not taken for a class, because no image in it can be read: ";
  const TempFolder folder;
  for (const char* name : {"ant", "bee"}) write_class_folders(folder, name, {""}, 2, 8);
  for (const char* path : {"cat/1.jp2", "cat/in/2.JP2", "cat/3.tga", "dog/1.cr2", "docs/readme.txt"})
    folder.write(path, {1});
  for (const Split split : {Split::train, Split::evaluation}) {
    const Texts notes = notes_of(folder, *open_dataset(folder.string(), split));
    REQUIRE(notes.size() == 4);
    CHECK(notes[0] == "warning: DIR/cat" + why +
                          "3 files of formats that this build cannot read: .jp2 (2), .tga (1)" + convert);
    CHECK(notes[1] ==
          "warning: DIR/dog" + why + "1 file of formats that this build cannot read: .cr2 (1)" + convert);
    CHECK(notes[2] == "note: DIR: not taken for classes, because there are no images in them: 'docs'");
  }
  for (const char* path : {"e/1.jp2", "f/1.jp2", "g/1.jp2", "h/1.jp2", "i/1.psd"}) folder.write(path, {1});
  const Texts notes = notes_of(folder, *open_dataset(folder.string(), Split::train));
  REQUIRE(notes.size() == 8);
  CHECK(notes[5] ==
        "warning: DIR: 2 more folders are not taken for classes, because no image in them can be read: "
        "2 files of formats that this build cannot read: .jp2 (1), .psd (1)" +
            convert);

  const TempFolder one;
  write_class_folders(one, "ant", {""}, 2, 8);
  one.write("bee/1.jp2", {1});
  CHECK(contains(set_error(one),
                 "DIR: there is no folder 'train' in it, and only one class folder, 'ant'; its other "
                 "folders hold 1 file of formats that this build cannot read: .jp2 (1)" +
                     convert + "; expected DIR/train/<class>"));
  const TempFolder none;
  for (const char* path : {"ant/1.jp2", "bee/2.jp2"}) none.write(path, {1});
  CHECK(contains(set_error(none),
                 "DIR: there is no folder 'train' in it; its folders hold 2 files of formats "
                 "that this build cannot read: .jp2 (2)" +
                     convert));
}

TEST_CASE("classes alone: with a fraction of 0 all images are for training") {
  const TempFolder folder;
  write_class_folders(folder, "ant", {""}, 3, 8);
  write_class_folders(folder, "bee", {""}, 2, 8);
  const DatasetOptions all{.val_fraction = 0};
  const Dataset train = *open_dataset(folder.string(), Split::train, all);
  CHECK(train.labels() == std::vector<std::int32_t>{0, 0, 0, 1, 1});
  CHECK(notes_of(folder, train) == Texts{"note: DIR has no folder 'train': its 2 class folders are the "
                                         "training set, and nothing is held out for "
                                         "evaluation"});
  CHECK(!open_dataset(folder.string(), Split::evaluation, all));
}

TEST_CASE("classes alone: with one image of each class there is nothing to hold out") {
  const TempFolder folder;
  write_class_folders(folder, "ant", {""}, 1, 8);
  write_class_folders(folder, "bee", {""}, 1, 8);
  CHECK(open_dataset(folder.string(), Split::train)->size() == 2);
  CHECK(!open_dataset(folder.string(), Split::evaluation));
  CHECK(contains(error_of([&] { open_dataset(folder.string(), Split::train, {.val_fraction = 0.1}); }),
                 "no class has two images"));
}

TEST_CASE("classes alone: a class of one image is not evaluated, which is a warning") {
  const TempFolder folder;
  write_class_folders(folder, "ant", {""}, 4, 8);
  write_class_folders(folder, "bee", {""}, 1, 8);
  const Dataset held = *open_dataset(folder.string(), Split::evaluation);
  CHECK(held.labels() == std::vector<std::int32_t>{0});
  CHECK(notes_of(folder, held).back() ==
        "warning: DIR: nothing to evaluate 1 of the 2 classes on: 'bee'; accuracies are those of the other 1, "
        "and say "
        "nothing about this class");
}

TEST_CASE("classes alone: what is a set, or a part of one, is not taken for classes") {
  const TempFolder folder;
  write_class_folders(folder, "one/train", {"a", "b"}, 1, 8);
  CHECK(set_error(folder) == "DIR: the set is one level below: give DIR/one");
  folder.write("photos/1.jpg", {1});  // beside the set
  CHECK(set_error(folder) == "DIR: the set is one level below: give DIR/one");
  write_class_folders(folder, "two/Training", {"a", "b"}, 1, 8);
  CHECK(set_error(folder) == "DIR: there are several sets in it: give one of 'one', 'two'");
  CHECK(set_error(folder, "/one") == "no error");

  for (const std::string below : {"/one/train", "/one/train/", "/one/train/."})
    CHECK(set_error(folder, below) ==
          "DIR" + below + ": this is the folder for training of a set; give the set, DIR/one");
  write_class_folders(folder, "one/val", {"a", "b"}, 1, 8);
  CHECK(set_error(folder, "/one/val") ==
        "DIR/one/val: this is the folder for evaluation of a set; give the set, DIR/one");
  CHECK(default_val_fraction(folder.string() + "/one/train") == 0);
  CHECK(default_val_fraction(folder.string() + "/one") == 0);
  CHECK(default_val_fraction(folder.string() + "/none") == 0);
}

TEST_CASE("classes alone: one level too high, one class, only evaluation, no class folders") {
  const TempFolder folder;
  write_class_folders(folder, "flowers", {"rose", "tulip"}, 1, 8);
  CHECK(set_error(folder) == "DIR: the class folders are one level below: give DIR/flowers");
  CHECK(set_error(folder, "/flowers") == "no error");
  CHECK(contains(
      set_error(folder, "/flowers/rose"),
      "there is no folder 'train' in it, and the images in it lie in no class folders; expected DIR/flowers"));
  const TempFolder single;
  write_class_folders(single, "rose", {""}, 2, 8);
  CHECK(contains(set_error(single),
                 "there is no folder 'train' in it, and only one class folder, 'rose'; expected"));
  write_class_folders(single, "tulip", {""}, 2, 8);
  CHECK(set_error(single) == "no error");
  write_class_folders(single, "test", {"rose"}, 2, 8);
  CHECK(contains(
      set_error(single),
      "there is no folder 'train' in it, but 'test', which is for evaluation; expected DIR/train/<class>"));
}

TEST_CASE("classes alone: a class is called like a split where all folders hold only images") {
  for (const std::string name : {"train", "Val", "dev"}) {
    CAPTURE(name);
    const TempFolder folder;
    for (const std::string& each : {std::string("bus"), std::string("car"), name})
      write_class_folders(folder, each, {""}, 2, 8);
    folder.write("docs/readme.txt", {1});
    const Dataset set = *open_dataset(folder.string(), Split::train, {.val_fraction = 0});
    CHECK(set.size() == 6);
    CHECK(
        notes_of(folder, set) ==
        Texts{
            "note: DIR: not taken for classes, because there are no images in them: 'docs'",
            "note: DIR: '" + name +
                "' is taken for a class like 'bus', 'car', not for a split, because its images lie in no class "
                "folders",
            std::string("note: DIR has no folder ") + (name == "train" ? "for training" : "'train'") +
                ": its 3 class folders are the training set, and nothing is held out for evaluation"});
    CHECK(open_dataset(folder.string(), Split::evaluation)->size() == 3);
    CHECK(open_class_images(folder.string())->size() == 6);
    CHECK(!is_set_with_parts(folder.string()));
    CHECK(!open_dataset(folder.string(), Split::test));
    CHECK(set_error(folder, "/bus") != "no error");
  }
}

TEST_CASE("classes alone: what may be splits without class folders is not taken for classes") {
  // One of them has folders with images, as a split would; others are called like splits, or there is only one other.
  for (const Texts& folders :
       {Texts{"train", "bus/red", "car"}, Texts{"train", "test1", "more"}, Texts{"train", "test", "bus", "car"},
        Texts{"train", "bus"}, Texts{"train/a", "train/b", "bus", "car"}}) {
    CAPTURE(folders.at(1));
    const TempFolder folder;
    for (const std::string& name : folders) write_class_folders(folder, name, {""}, 2, 8);
    const std::string error = set_error(folder);
    if (folders.front() == "train/a") {
      CHECK(error == "no error");
      CHECK(open_dataset(folder.string(), Split::train)->class_names() == Texts{"a", "b"});
    } else {
      CHECK(contains(error, "DIR/train: no class folders in it; expected DIR/train/<class>/*.jpg"));
      CHECK(contains(error, "'train' is a class like "));
    }
  }
}

TEST_CASE("classes alone: images beside the class folders are left out, and said so") {
  const TempFolder folder;
  for (const char* name : {"ant", "bee"}) write_class_folders(folder, name, {""}, 2, 8);
  folder.write("1.jpg", {1});
  folder.write("2.png", {1});
  const Dataset set = *open_dataset(folder.string(), Split::train, {.val_fraction = 0});
  CHECK(set.size() == 4);
  CHECK(notes_of(folder, set).front() ==
        "note: DIR: left out, because they lie in no class folder: 2 images, such as 1.jpg");
}

TEST_CASE("classes alone: a class that may be a split is an error that says to rename it") {
  const std::string hint = "; class folders cannot have the names of splits: if ";
  const TempFolder vehicles;
  for (const char* name : {"bus", "car", "train/steam"}) write_class_folders(vehicles, name, {""}, 1, 8);
  CHECK(set_error(vehicles) ==
        "DIR/train: only one class, 'steam'; at least two are needed to learn from labels" + hint +
            "'train' is a class like 'bus', 'car', rename its folder");
  const TempFolder stages;
  for (const char* name : {"Dev", "live", "test"}) write_class_folders(stages, name, {""}, 1, 8);
  CHECK(contains(set_error(stages), "but 'Dev', 'test', which is for evaluation" + hint +
                                        "'Dev', 'test' are classes like 'live', rename their folders; expected "
                                        "DIR/train/<class>"));
  std::filesystem::remove_all(vehicles.path() / "bus");
  std::filesystem::remove_all(vehicles.path() / "car");
  std::filesystem::remove_all(vehicles.path() / "train/steam");
  CHECK(set_error(vehicles) ==
        "DIR/train: no class folders in it; expected DIR/train/<class>/*.jpg, a folder per class");
}

TEST_CASE("classes alone: a class may have a folder 'train'") {
  const TempFolder folder;
  folder.write("vehicle/train/1.jpg", {1});
  folder.write("vehicle/car/2.jpg", {1});
  folder.write("animal/3.jpg", {1});
  CHECK(paths_in(folder, *open_dataset(folder.string(), Split::train, {.val_fraction = 0})) ==
        Texts{"animal/3.jpg", "vehicle/car/2.jpg", "vehicle/train/1.jpg"});
}
