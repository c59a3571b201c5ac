// The parts of a set that are asked for by their names: validation and tests.
#include "../tar_writer.h"
#include "set_notes.h"

#include <doctest/doctest.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/data/sets/subset.h>

#include <optional>

using namespace kindred;
using namespace kindred::test;

namespace {

using Labels = std::vector<std::int32_t>;

// "part of FOLDER", with DIR in place of the set's folder.
std::string origin_text(const TempFolder& folder, const Dataset& set) {
  std::string place = set.origin().folder;
  if (place.starts_with(folder.string())) place.replace(0, folder.string().size(), "DIR");
  return set.origin().part + " of " + place;
}

std::string origin_of_split(const TempFolder& folder, Split split, const DatasetOptions& options = {},
                            const std::string& below = "") {
  const auto set = open_dataset(folder.string() + below, split, options);
  return set ? origin_text(folder, *set) : "none";
}

void write_shard(const TempFolder& folder, const std::string& name, const std::string& label) {
  TarWriter shard;
  shard.add("a.jpg", "no picture");
  shard.add("a.cls", label);
  const std::string bytes = shard.finish();
  folder.write(name, Bytes(bytes.begin(), bytes.end()));
}

}  // namespace

TEST_CASE("named splits: val and test of class folders, whatever their names") {
  const TempFolder folder;
  write_class_folders(folder, "Training", {"a", "b"}, 4);
  write_class_folders(folder, "Testing", {"a", "b"}, 3);
  CHECK(origin_of_split(folder, Split::train) == "train of DIR/Training");
  CHECK(origin_of_split(folder, Split::evaluation) == "test of DIR/Testing");
  CHECK(origin_of_split(folder, Split::test) == "test of DIR/Testing");
  CHECK(origin_of_split(folder, Split::val) == "none");
  write_class_folders(folder, "valid", {"a", "b"}, 1);
  write_class_folders(folder, "dev", {"a"}, 1);
  CHECK(origin_of_split(folder, Split::evaluation) == "val of DIR/valid");
  CHECK(origin_of_split(folder, Split::val) == "val of DIR/valid");
  CHECK(open_dataset(folder.string(), Split::test)->size() == 6);
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::test)).empty());
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::val)) ==
        Texts{"note: evaluation is on DIR/valid; not used: DIR/dev"});
  // The same by an option, so that the training images have the notes that fit.
  CHECK(origin_of_split(folder, Split::evaluation, {.evaluate_on = Split::test}) == "test of DIR/Testing");
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train, {.evaluate_on = Split::test})).empty());
}

TEST_CASE("named splits: what is held out is for validation, and tests stay what they are") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 4);
  write_class_folders(folder, "val", {"a", "b"}, 1);
  write_class_folders(folder, "test", {"a", "b"}, 3);
  const DatasetOptions held{.val_fraction = 0.25};
  CHECK(origin_of_split(folder, Split::val, held) == "held out of DIR/train");
  CHECK(origin_of_split(folder, Split::test, held) == "test of DIR/test");
  const DatasetOptions on_test{.val_fraction = 0.25, .evaluate_on = Split::test};
  CHECK(open_dataset(folder.string(), Split::train, on_test)->size() == 6);
  CHECK(open_dataset(folder.string(), Split::evaluation, on_test)->size() == 6);

  const TempFolder alone;
  write_class_folders(alone, "ant", {""}, 10, 8);
  write_class_folders(alone, "bee", {""}, 10, 8);
  CHECK(origin_of_split(alone, Split::val) == "held out of DIR");
  CHECK(open_dataset(alone.string(), Split::val)->size() == 2);
  CHECK(origin_of_split(alone, Split::test) == "none");
}

TEST_CASE("named splits: a folder for evaluation that is a link to the one for training is a warning") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 2);
  std::filesystem::create_directory_symlink("train", folder.path() / "val");
  const Texts warning{"warning: DIR/val is the same folder as DIR/train: evaluation is on training images"};
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) == warning);
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::evaluation)) == warning);
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train, {.val_fraction = 0.5})) ==
        Texts{"note: evaluation is on images that are held out of train; not used: DIR/val"});
}

TEST_CASE("named splits: class folders for evaluation that are links to those for training are a warning") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b", "c"}, 2);
  write_class_folders(folder, "val", {"c"}, 2);
  const std::filesystem::path val = folder.path() / "val";
  std::filesystem::create_directory_symlink("../train/a", val / "a");
  const std::string end = ": evaluation is on training images";
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) ==
        Texts{"warning: DIR/val: 'a' is a folder of DIR/train, by a link" + end});
  std::filesystem::create_directory_symlink("../train/b", val / "b");
  const Texts both{"warning: DIR/val: 'a', 'b' are folders of DIR/train, by links" + end};
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::evaluation)) == both);
  // A folder of shards.
  const TempFolder shards;
  write_shard(shards, "train/0.tar", "0");
  std::filesystem::create_directory_symlink("train", shards.path() / "val");
  CHECK(notes_of(shards, *open_dataset(shards.string(), Split::evaluation)) ==
        Texts{"warning: DIR/val is the same folder as DIR/train" + end});
  CHECK(open_dataset(shards.string(), Split::train)->notes().empty());
}

TEST_CASE("named splits: beside shards too, what is called like a split and is no folder is a warning") {
  const TempFolder folder;
  write_shard(folder, "train/0.tar", "0");
  std::filesystem::create_symlink("/no/such/disk", folder.path() / "val");
  const std::string warning =
      "warning: DIR/val is not used: it is a link to /no/such/disk, which is not there; evaluation is on ";
  const std::string advice = "; bring that folder back (is its disk mounted?), or remove the link";
  CHECK(notes_of(folder, *open_dataset(folder.string(), Split::train)) ==
        Texts{warning + "images that are held out of train, if any are" + advice});
  write_shard(folder, "test/0.tar", "0");
  for (const Split split : {Split::train, Split::evaluation})
    CHECK(notes_of(folder, *open_dataset(folder.string(), split)).front() == warning + "DIR/test" + advice);
}

TEST_CASE("named splits: a test split that is asked for must have labels") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 2);
  folder.write("test/1.jpg", {1});
  CHECK(contains(set_error(folder, "", Split::test),
                 "DIR/test: its images lie in no class folders, so their classes are unknown"));
  CHECK(cause_of([&] { open_dataset(folder.string(), Split::test); }) == Cause::needs_labels);
}

TEST_CASE("named splits: tar shards, by folders and by names") {
  const TempFolder folder;
  for (const char* name : {"set-train-0.tar", "set-val-0.tar", "set-test-0.tar"})
    write_shard(folder, name, "1");
  write_shard(folder, "set-train-1.tar", "0");
  CHECK(origin_of_split(folder, Split::val) == "val of DIR");
  CHECK(origin_of_split(folder, Split::test) == "test of DIR");
  CHECK(contains(open_dataset(folder.string(), Split::test)->name(0), "set-test-0.tar"));
  CHECK(contains(open_dataset(folder.string(), Split::evaluation)->name(0), "set-val-0.tar"));
  std::filesystem::remove(folder.path() / "set-val-0.tar");
  CHECK(origin_of_split(folder, Split::val) == "none");
  CHECK(origin_of_split(folder, Split::evaluation) == "test of DIR");
  const Texts note{"note: DIR: evaluation is on test, because there is no validation split"};
  const Texts notes = notes_of(folder, *open_dataset(folder.string(), Split::evaluation));
  CHECK(Texts(notes.begin(), notes.begin() + 1) == note);
  for (const std::string& other : notes_of(folder, *open_dataset(folder.string(), Split::test)))
    CHECK(other != note.front());  // it is what was asked for

  const TempFolder folders;
  write_shard(folders, "train/0.tar", "0");
  write_shard(folders, "test/0.tar", "0");
  CHECK(origin_of_split(folders, Split::val) == "none");
  CHECK(origin_of_split(folders, Split::test) == "test of DIR/test");
}

TEST_CASE("named splits: a pack holds images for validation and for tests, or for tests alone") {
  const TempFolder folder;
  write_class_folders(folder, "set/train", {"a", "b"}, 4, 8);
  write_class_folders(folder, "set/val", {"a", "b"}, 1, 8);
  write_class_folders(folder, "set/test", {"b"}, 3, 8);
  const std::string dir = folder.string() + "/set", both = folder.string() + "/both.kpack",
                    tests = folder.string() + "/tests.kpack";
  const Dataset train = *open_dataset(dir, Split::train);
  const std::optional<Dataset> validation = open_dataset(dir, Split::val),
                               test = open_dataset(dir, Split::test);
  CHECK(write_pack(PackSets{train, validation, test}, dir, both, {}).images == 13);
  CHECK(origin_of_split(folder, Split::val, {}, "/both.kpack") == "val of DIR/both.kpack");
  CHECK(origin_of_split(folder, Split::test, {}, "/both.kpack") == "test of DIR/both.kpack");
  CHECK(open_dataset(both, Split::evaluation)->labels() == Labels{0, 1});
  const Dataset packed = *open_dataset(both, Split::test);
  CHECK(packed.labels() == Labels{1, 1, 1});
  CHECK(packed.name(2) == both + ", record 12 (test/b/002.jpg)");
  CHECK(packed.load(2).image.pixels == test->load(2).image.pixels);

  CHECK(write_pack(train, test, dir, tests, {}).images == 11);
  CHECK(origin_of_split(folder, Split::val, {}, "/tests.kpack") == "none");
  CHECK(origin_of_split(folder, Split::evaluation, {}, "/tests.kpack") == "test of DIR/tests.kpack");
  CHECK(notes_of(folder, *open_dataset(tests, Split::evaluation)).front() ==
        "note: DIR/tests.kpack: evaluation is on test, because there is no validation split");
  const Dataset evaluation = *open_dataset(both, Split::evaluation);
  for (const std::string& note : evaluation.notes()) CHECK(!contains(note, "no validation split"));
}
