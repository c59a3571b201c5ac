// Links that lead nowhere, files and pipes where a class, a split or a part of a class is expected: none of them is missed
// without a word.
#include "set_notes.h"

#include <doctest/doctest.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <sys/stat.h>  // defines: mkfifo

#include <fstream>

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

const std::string bring_back = "; bring that folder back (is its disk mounted?), or remove the link",
                  put_there = "; put the folder in its place, or move it away",
                  from_train = "; evaluation is on images that are held out of train, if any are";

enum class NoFolder { file, pipe, circular_link };
constexpr NoFolder no_folders[] = {NoFolder::file, NoFolder::pipe, NoFolder::circular_link};

// Makes one at this path; returns what is said about it.
std::string add_no_folder(NoFolder kind, const fs::path& at) {
  if (kind == NoFolder::circular_link) {
    fs::create_symlink(at.filename(), at);
    return "a link to " + at.filename().string() + ", which leads in a circle";
  }
  if (kind == NoFolder::pipe) {
    REQUIRE(::mkfifo(at.c_str(), 0600) == 0);
    return "a pipe, not a folder";
  }
  std::ofstream(at) << "x";
  return "a file, not a folder";
}

}  // namespace

TEST_CASE("dead links: what is one, and which names are like those of files") {
  const TempFolder folder;
  add_dead_link(folder, "away");
  add_dead_link(folder, "away.jpg");
  add_dead_link(folder, ".hidden");
  fs::create_symlink("self", folder.path() / "self");
  fs::create_symlink("back", folder.path() / "there");
  fs::create_symlink("there", folder.path() / "back");
  const std::string too_long(300, 'x');
  fs::create_symlink(too_long, folder.path() / "long");
  folder.write("real/x.txt", {1});
  fs::create_symlink("real", folder.path() / "link");
  CHECK(dead_links_in(folder.path()) == Texts{"away", "back", "long", "self", "there"});
  for (const char* name : {"link", "real", "none", "real/x.txt"}) CHECK(!is_dead_link(folder.path() / name));
  for (const char* name : {"link", "real", "none", "away", "long"})
    CHECK(!is_circular_link(folder.path() / name));
  for (const char* name : {"self", "there", "back"}) CHECK(is_circular_link(folder.path() / name));
  CHECK(dead_link_text(folder.path() / "there") == "a link to back, which leads in a circle");
  for (const char* name : {"real/x.txt", "self", "away"}) CHECK(is_no_folder(folder.path() / name));
  for (const char* name : {"link", "real", "none"}) CHECK(!is_no_folder(folder.path() / name));
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
        warning_about("DIR/val") + "; the class folders beside it are the whole set, also for evaluation" +
            bring_back);
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
        "warning: DIR/val is not used: there are no images in it, but links that lead nowhere: 'c'; 'c' is a "
        "link "
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
    const Texts notes{warning_about("DIR/" + name) + from_train + bring_back, held};
    CHECK(default_val_fraction(folder.string()) == 0.1);
    CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) == notes);
    const Dataset evaluation = *open_dataset(folder.string(), Split::evaluation);
    CHECK(evaluation.size() == 4);
    CHECK(notes_of(folder, evaluation) == notes);
    CHECK(!open_dataset(folder.string(), name == "test" ? Split::test : Split::val).has_value());
    CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train, {.val_fraction = 0.5})) ==
          Texts{notes.front()});
  }
  const TempFolder both;  // another folder is used, and the link is named all the same
  write_class_folders(both, "train", {"a", "b"}, 2, 8);
  write_class_folders(both, "test", {"a", "b"}, 1, 8);
  add_dead_link(both, "val");
  const Dataset set = *open_dataset(both.string(), Split::evaluation);
  CHECK(set.origin().part == "test");
  CHECK(notes_of(both, set) == Texts{warning_about("DIR/val") + "; evaluation is on DIR/test" + bring_back,
                                     "note: evaluation is on DIR/test, because there is no validation split"});
  fs::remove(both.path() / "val");
  fs::rename(both.path() / "test", both.path() / "val");
  add_dead_link(both, "test");
  CHECK(notes_of(both, *open_dataset(both.string(), Split::evaluation)) ==
        Texts{warning_about("DIR/test") + "; evaluation is on DIR/val" + bring_back});
  CHECK(open_dataset(both.string(), Split::val)->notes().empty());  // the other one is not asked for
}

TEST_CASE("no folders: files, pipes and links in a circle that are called like splits are warnings") {
  for (const NoFolder kind : no_folders)
    for (const std::string name : {"val", "Dev", "test"}) {
      const TempFolder folder;
      write_class_folders(folder, "train", {"a", "b"}, 20, 8);
      const std::string what = add_no_folder(kind, folder.path() / name);
      CAPTURE(what);
      CAPTURE(name);
      const std::string not_used = "warning: DIR/" + name + " is not used: it is " + what;
      for (const Split split : {Split::train, Split::evaluation}) {
        const Dataset set = *open_dataset(folder.string(), split);
        CHECK(set.size() == (split == Split::train ? 36 : 4));
        CHECK(notes_of(folder, set).front() == not_used + from_train + put_there);
      }
      const Dataset all = *open_dataset(folder.string(), Split::train, {.val_fraction = 0});
      CHECK(all.size() == 40);
      CHECK(notes_of(folder, all).front() == not_used + from_train + put_there);
      write_class_folders(folder, "eval", {"a", "b"}, 1, 8);
      CHECK(notes_of(folder, *open_dataset(folder.string(), Split::evaluation)).front() ==
            not_used + "; evaluation is on DIR/eval" + put_there);
      // Beside class folders alone.
      fs::remove_all(folder.path() / "eval");
      for (const char* of_train : {"a", "b"})
        fs::rename(folder.path() / "train" / of_train, folder.path() / of_train);
      fs::remove(folder.path() / "train");
      CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)).front() ==
            not_used + "; the class folders beside it are the whole set, also for evaluation" + put_there);
    }
}

TEST_CASE("no folders: in the place of the folder for training they are an error, or a warning beside it") {
  for (const NoFolder kind : no_folders) {
    const TempFolder folder;
    write_class_folders(folder, "val", {"a", "b"}, 2, 8);
    const std::string what = add_no_folder(kind, folder.path() / "train");
    CAPTURE(what);
    CHECK(contains(set_error(folder), "DIR/train: it is " + what + "; "));
    write_class_folders(folder, "training", {"a", "b"}, 2, 8);
    CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) ==
          Texts{"warning: DIR/train is not used: it is " + what + "; training is on DIR/training" + put_there});
  }
}

TEST_CASE("no folders: in the place of a class, or called like a split inside one, they are warnings") {
  for (const NoFolder kind : no_folders) {
    const TempFolder folder;
    write_class_folders(folder, "train", {"a", "b"}, 2, 8);
    write_class_folders(folder, "val", {"a", "c"}, 1, 8);
    for (const char* name : {"train/README", "val/README"}) folder.write(name, {1});
    const auto add = [&](const std::string& name) { return add_no_folder(kind, folder.path() / name); };
    const std::string b = add("val/b"), c = add("train/c"), test = add("train/test");
    CAPTURE(c);
    Texts of_train{"warning: DIR/train/test is not used: it is " + test};
    if (kind == NoFolder::circular_link)  // a file in train may be a README; no link stands for one
      of_train.insert(of_train.begin(), "warning: DIR/train/c is not used: it is " + c);
    CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) == of_train);
    const Dataset set = *open_dataset(folder.string(), Split::evaluation);
    CHECK(set.size() == 1);
    const Texts notes = notes_of(folder, set);
    REQUIRE(notes.size() == 3);
    CHECK(notes[0] ==
          "warning: DIR/val/c: left out, because train does not have this class; DIR/train/c is " + c);
    CHECK(notes[1] == "warning: DIR/val/b is not used: it is " + b);
    CHECK(contains(notes[2], "nothing to evaluate 1 of the 2 classes on: 'b'"));
  }
}

TEST_CASE("dead links: a class that only val has is named by its folder, and the link in train beside it") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 2, 8);
  write_class_folders(folder, "val", {"a", "b", "c.txt"}, 1, 8);
  add_dead_link(folder, "train/c.txt");  // called like a file, so that it is no error
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::evaluation)) ==
        Texts{"warning: DIR/val/c.txt: left out, because train does not have this class; DIR/train/c.txt is a "
              "link to " +
              gone + ", which is not there"});
  write_class_folders(folder, "val", {"d"}, 1, 8);
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::evaluation)) ==
        Texts{"warning: DIR/val: 2 folders left out, because train does not have these classes: 'c.txt', 'd'; "
              "DIR/train/c.txt is a link to " +
              gone + ", which is not there"});
}

TEST_CASE("dead links: where the folder for training is one, the error names it") {
  const TempFolder folder;
  write_class_folders(folder, "val", {"a", "b"}, 2, 8);
  add_dead_link(folder, "train");
  CHECK(set_error(folder) ==
        "DIR/train: it is a link to " + gone +
            ", which is not there; bring the training images back (is their disk mounted?), or mend the link");
  write_class_folders(folder, "training", {"a", "b"}, 2, 8);  // a real one is used
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(set.size() == 4);
  CHECK(notes_of(folder, set) ==
        Texts{warning_about("DIR/train") + "; training is on DIR/training" + bring_back});
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
