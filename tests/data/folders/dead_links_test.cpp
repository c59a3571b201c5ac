// Links that lead nowhere where a class, a split or a part of a class is expected: none of them is missed without a word.
#include "set_notes.h"

#include <doctest/doctest.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/split_folders.h>

using namespace kindred;
using namespace kindred::test;

namespace {

namespace fs = std::filesystem;

const std::string gone = "/no/such/disk/c";

void add_dead_link(const TempFolder& folder, const std::string& name) {
  fs::create_directories((folder.path() / name).parent_path());
  fs::create_symlink(gone, folder.path() / name);
}

std::string error_about_class(const std::string& link) {
  return link + ": it is a link to " + gone +
         ", which is not there; bring that folder back (is its disk mounted?), or remove the link to train "
         "without "
         "this class";
}

std::string warning_about(const std::string& link) {
  return "warning: " + link + " is not used: it is a link to " + gone + ", which is not there";
}

}  // namespace

TEST_CASE("dead links: what is one, and which names are like those of files") {
  const TempFolder folder;
  add_dead_link(folder, "away");
  add_dead_link(folder, "away.jpg");
  add_dead_link(folder, ".hidden");
  fs::create_symlink("self", folder.path() / "self");
  const std::string too_long(300, 'x');
  fs::create_symlink(too_long, folder.path() / "long");
  folder.write("real/x.txt", {1});
  fs::create_symlink("real", folder.path() / "link");
  CHECK(dead_links_in(folder.path()) == Texts{"away", "long"});
  for (const char* name : {"link", "real", "none", "real/x.txt", "self"})
    CHECK(!is_dead_link(folder.path() / name));
  CHECK(dead_link_text(folder.path() / "long")
            .starts_with("a link to " + too_long + ", which cannot be followed: "));
  CHECK(dead_link_text(folder.path() / "away") == "a link to " + gone + ", which is not there");
  for (const char* name : {"notes.txt", "a.b.tsv", "x.7z"}) CHECK(is_like_file_name(name));
  for (const char* name : {"cat", "002.Laysan_Albatross", "3.cat", "v1.5", ".txt", "a.", "n01440764", ""})
    CHECK(!is_like_file_name(name));
}

TEST_CASE("dead links: a class of train that is one is an error that names it, whatever is opened") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b", "d"}, 20, 8);
  write_class_folders(folder, "val", {"a", "b", "c", "d"}, 1, 8);
  add_dead_link(folder, "train/notes.txt");
  const Dataset before = *open_dataset(folder.string(), Split::train);
  CHECK(before.size() == 60);
  CHECK(notes_of(folder, before) == Texts{warning_about("DIR/train/notes.txt")});
  add_dead_link(folder, "train/c");
  for (const Split split : {Split::train, Split::evaluation, Split::val})
    CHECK(set_error(folder, "", split) == error_about_class("DIR/train/c"));
  // Also where the others alone would be too few, which is another error.
  fs::remove_all(folder.path() / "train/b");
  fs::remove_all(folder.path() / "train/d");
  CHECK(set_error(folder) == error_about_class("DIR/train/c"));
  // Who asks for the images of that folder alone learns that some are missed.
  const Dataset images = *open_class_images(folder.string() + "/train");
  CHECK(images.class_names() == Texts{"a"});
  CHECK(notes_of(folder, images) == Texts{warning_about("DIR/train/c"), warning_about("DIR/train/notes.txt")});
}

TEST_CASE("dead links: among class folders alone") {
  const TempFolder folder;
  write_class_folders(folder, ".", {"a", "b"}, 20, 8);
  add_dead_link(folder, "c");
  CHECK(set_error(folder) == error_about_class("DIR/c"));
  CHECK(set_error(folder, "", Split::evaluation) == error_about_class("DIR/c"));
  fs::remove_all(folder.path() / "b");
  CHECK(contains(set_error(folder),
                 "only one class folder, 'a'; DIR/c is a link to " + gone + ", which is not there; expected "));
  // A split is no class.
  write_class_folders(folder, ".", {"b"}, 20, 8);
  fs::rename(folder.path() / "c", folder.path() / "val");
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(set.class_names() == Texts{"a", "b"});
  CHECK(notes_of(folder, set).front() ==
        "note: DIR/val is not used: it is a link to " + gone + ", which is not there");
}

TEST_CASE("dead links: a class of val that is one is a warning beside the one about the figures") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b", "c"}, 20, 8);
  write_class_folders(folder, "val", {"a", "b"}, 2, 8);
  add_dead_link(folder, "val/c");
  const Dataset set = *open_dataset(folder.string(), Split::evaluation);
  CHECK(set.size() == 4);
  CHECK(
      notes_of(folder, set) ==
      Texts{
          warning_about("DIR/val/c"),
          "warning: DIR: nothing to evaluate 1 of the 3 classes on: 'c'; accuracies are those of the other 2, "
          "and say nothing about this class"});
  CHECK(open_dataset(folder.string(), Split::train)->notes().empty());
  // If it has no others, val is without images.
  fs::remove_all(folder.path() / "val/a");
  fs::remove_all(folder.path() / "val/b");
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)).front() ==
        "note: DIR/val is not used: there are no images in it, but links that lead nowhere: 'c'; 'c' is a link "
        "to " +
            gone + ", which is not there");
  CHECK(open_dataset(folder.string(), Split::evaluation)->size() == 6);
}

TEST_CASE("dead links: a split that is one is named, and a tenth of train takes its place") {
  const std::string held =
      "note: DIR/train: 4 of 40 images, the same share of each class, are held out for evaluation (validation "
      "fraction 0.1, seed 0)";
  for (const std::string name : {"val", "Validation", "test"}) {
    CAPTURE(name);
    const TempFolder folder;
    write_class_folders(folder, "train", {"a", "b"}, 20, 8);
    add_dead_link(folder, name);
    const Texts notes{"note: DIR/" + name + " is not used: it is a link to " + gone + ", which is not there",
                      held};
    CHECK(default_val_fraction(folder.string()) == 0.1);
    CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) == notes);
    const Dataset evaluation = *open_dataset(folder.string(), Split::evaluation);
    CHECK(evaluation.size() == 4);
    CHECK(notes_of(folder, evaluation) == notes);
    CHECK(!open_dataset(folder.string(), name == "test" ? Split::test : Split::val).has_value());
    CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train, {.val_fraction = 0.5})) ==
          Texts{"note: evaluation is on images that are held out of train; not used: DIR/" + name});
  }
  const TempFolder both;  // another folder is used, and the link is named all the same
  write_class_folders(both, "train", {"a", "b"}, 2, 8);
  write_class_folders(both, "test", {"a", "b"}, 1, 8);
  add_dead_link(both, "val");
  const Dataset set = *open_dataset(both.string(), Split::evaluation);
  CHECK(set.origin().part == "test");
  CHECK(notes_of(both, set) ==
        Texts{"note: DIR/val is not used: it is a link to " + gone + ", which is not there",
              "note: evaluation is on DIR/test, because there is no validation split"});
}

TEST_CASE("dead links: where the folder for training is one, the error names it") {
  const TempFolder folder;
  write_class_folders(folder, "val", {"a", "b"}, 2, 8);
  add_dead_link(folder, "train");
  CHECK(set_error(folder) ==
        "DIR/train: it is a link to " + gone +
            ", which is not there; bring the training images back (is their disk mounted?), or mend the link");
  write_class_folders(folder, "training", {"a", "b"}, 2, 8);  // a real one is used
  CHECK(open_dataset(folder.string(), Split::train)->size() == 4);
}

TEST_CASE("dead links: in the folder of a class they are a warning, and the class has its other images") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 2, 8);
  add_dead_link(folder, "train/a/more");
  const std::string first = warning_about("DIR/train/a/more");
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train, {.val_fraction = 0})) == Texts{first});
  add_dead_link(folder, "train/a/sub/other");
  const Dataset set = *open_dataset(folder.string(), Split::train, {.val_fraction = 0});
  CHECK(set.size() == 4);
  CHECK(notes_of(folder, set) == Texts{first + ", as 1 other link in this class"});
  // A link for an image is met when the image is loaded.
  add_dead_link(folder, "train/b/z.jpg");
  const Dataset with_image = *open_dataset(folder.string(), Split::train, {.val_fraction = 0});
  CHECK(with_image.size() == 5);
  CHECK(contains(with_image.load(4).reason, "cannot be opened"));
}

TEST_CASE(
    "splits below the classes: a warning says that all images are used as one set, and where to move them") {
  const TempFolder folder;
  for (const std::string name : {"a", "b"}) {
    write_class_folders(folder, name + "/train", {"x"}, 3, 8);
    write_class_folders(folder, name, {"test"}, 2, 8);
  }
  const std::string expected =
      "warning: the classes of DIR have folders 'test', 'train', and all of their images are used as one set; "
      "if "
      "these are splits, move them to DIR/test/<class>, DIR/train/<class>";
  const Dataset set = *open_dataset(folder.string(), Split::train, {.val_fraction = 0});
  CHECK(set.size() == 10);
  CHECK(notes_of(folder, set).front() == expected);
  // Nothing is said where one class has images elsewhere, or where all have the same single folder.
  folder.write("a/extra.jpg", {1});
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train, {.val_fraction = 0})).size() == 1);
  fs::remove(folder.path() / "a/extra.jpg");
  for (const char* name : {"a/train", "b/train"}) fs::remove_all(folder.path() / name);
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train, {.val_fraction = 0})).size() == 1);
  // Below the folder for training of a set.
  const TempFolder parted;
  write_class_folders(parted, "train/a", {"train", "val"}, 2, 8);
  write_class_folders(parted, "train/b", {"train", "val"}, 2, 8);
  write_class_folders(parted, "val", {"a", "b"}, 1, 8);
  CHECK(
      notes_of(parted, *open_dataset(parted.string(), Split::train)) ==
      Texts{
          "warning: the classes of DIR/train have folders 'train', 'val', and all of their images are used as "
          "one set; if these are splits, move them to DIR/train/<class>, DIR/val/<class>"});
}
