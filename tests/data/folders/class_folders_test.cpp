// Images at any depth of a class folder, links, and files of formats that nobody reads.
#include "set_notes.h"

#include <doctest/doctest.h>
#include <kindred/data/images/decode_formats.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/walk.h>

#include <utility>

using namespace kindred;
using namespace kindred::test;

namespace fs = std::filesystem;

TEST_CASE("class folders: images count at any depth, in the order of their paths") {
  const TempFolder folder;
  for (const char* path :
       {"a/2.jpg", "a/1/z.jpg", "a/1.jpg", "a/1/0/y.jpg", "a/.hidden/x.jpg", "b/deep/er/1.png"})
    folder.write(std::string("train/") + path, {1});
  folder.write("train/b/deep/readme.txt", {1});
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(paths_in(folder, set) == Texts{"train/a/1.jpg", "train/a/1/0/y.jpg", "train/a/1/z.jpg", "train/a/2.jpg",
                                       "train/b/deep/er/1.png"});
  CHECK(set.labels() == std::vector<std::int32_t>{0, 0, 0, 0, 1});
  CHECK(set.notes().empty());
}

TEST_CASE("class folders: links are followed at any depth, loops end, and each real folder is read once") {
  const TempFolder folder, elsewhere;
  elsewhere.write("pool/more/2.jpg", {1});
  elsewhere.write("pool/1.jpg", {1});
  fs::create_directory_symlink(elsewhere.path() / "pool", elsewhere.path() / "pool/more/again");
  for (const char* path : {"train/a/0.jpg", "train/b/0.jpg", "train/b/sub/1.jpg", "val/a/9.jpg"})
    folder.write(path, {1});
  const fs::path a = folder.path() / "train/a";
  fs::create_directory_symlink(elsewhere.path() / "pool", a / "pool");
  fs::create_directory_symlink(elsewhere.path() / "pool", a / "zoo");  // the same folder once more
  fs::create_directory_symlink(".", a / "self");
  fs::create_directory_symlink("..", a / "up");
  fs::create_directory_symlink("../../..", a / "far_up");
  fs::create_directory_symlink("/", a / "root");
  fs::create_directory_symlink("../b", a / "other");                   // of another class
  fs::create_directory_symlink("sub", folder.path() / "train/b/aaa");  // its own place counts
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(paths_in(folder, set) == Texts{"train/a/0.jpg", "train/a/pool/1.jpg", "train/a/pool/more/2.jpg",
                                       "train/b/0.jpg", "train/b/sub/1.jpg"});
  CHECK(set.labels() == std::vector<std::int32_t>{0, 0, 0, 1, 1});
  CHECK(set.load(1).reason == decode_image(Bytes{1}).reason);  // it is read, through the link
}

TEST_CASE("class folders: two classes that are links to one folder both have its images") {
  const TempFolder folder, elsewhere;
  elsewhere.write("pool/1.jpg", {1});
  fs::create_directories(folder.path() / "train");
  for (const char* name : {"a", "b"})
    fs::create_directory_symlink(elsewhere.path() / "pool", folder.path() / "train" / name);
  CHECK(open_dataset(folder.string(), Split::train)->labels() == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("walk: hidden names, folders that are closed, and an end on request") {
  const TempFolder folder;
  for (const char* path : {"1", "a/2", "a/b/3", ".git/4", "c/5"}) folder.write(path, {1});
  fs::create_directory_symlink("a", folder.path() / "0");
  const auto all = [](const std::string&) { return true; };
  CHECK(list_files_below(folder.path(), {}, all) == Texts{"1", "a/2", "a/b/3", "c/5"});
  CHECK(list_files_below(folder.path(), {.with_hidden = true}, all) ==
        Texts{".git/4", "1", "a/2", "a/b/3", "c/5"});
  RealFolders closed;
  CHECK(closed.add(folder.path() / "a/b"));
  CHECK(!closed.add(folder.path() / "0/b"));  // the same folder
  CHECK(!closed.add(folder.path() / "none"));
  CHECK(list_files_below(folder.path(), {.closed = &closed}, all) == Texts{"1", "a/2", "c/5"});
  int calls = 0;
  walk_files(folder.path(), {}, [&](const std::string&, const std::string&) { return ++calls < 2; });
  CHECK(calls == 2);
  CHECK(
      contains(error_of([&] { list_files_below(folder.path() / "none", {}, all); }), "none: cannot be listed"));
  CHECK(list_files_below(folder.path() / "none", {.skip_unlistable = true}, all).empty());
}

TEST_CASE("class folders: files of formats that no build reads are counted, and never overlooked") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"a", "b"}, 2);
  for (const char* path : {"a/1.jxl", "a/2.JXL", "b/x/3.jxl", "b/4.jp2"})
    folder.write(std::string("train/") + path, {1});
  folder.write("train/a/notes.txt", {1});
  const Dataset set = *open_dataset(folder.string(), Split::train);
  CHECK(set.size() == 4);
  CHECK(notes_of(folder, set) == Texts{"warning: DIR/train: 4 files of formats that this build cannot read: "
                                       ".jxl (3), .jp2 (1); convert them to JPEG or PNG to use them"});
  folder.write("train/c/1.jxl", {1});
  CHECK(
      set_error(folder) ==
      "DIR/train/c: no images in this class folder, at any depth (but 1 file of formats that this build cannot "
      "read: .jxl (1)); add some or remove it");
}

TEST_CASE("image names: the endings of all formats, and which of them are samples of a set") {
  const auto format = [](const std::string& name) { return std::string(promised_format(name)); };
  for (const char* name : {"a.jpg", "a.JPEG", "b/a.jpe", "a.b.jfif"}) CHECK(format(name) == "JPEG");
  const std::pair<const char*, const char*> others[] = {
      {"a.PNG", "PNG"},   {"a.bmp", "BMP"},     {"a.heic", "HEIC"},    {"a.heif", "HEIC"}, {"a.avif", "AVIF"},
      {"a.webp", "WebP"}, {"a.tif", "TIFF"},    {"a.Tiff", "TIFF"},    {"a.gif", "GIF"},   {"a.ppm", "PPM"},
      {"a.pgm", "PPM"},   {"a.jxl", "JPEG XL"}, {"a.jp2", "JPEG 2000"}};
  for (const auto& [name, expected] : others) {
    CAPTURE(name);
    CHECK(format(name) == expected);
  }
  for (const char* name : {"", "a", ".jpg", "b/.jpg", "a.txt", "jpg", "a.jpg/b", "a.", "a.jpg~"}) {
    CAPTURE(name);
    CHECK(format(name).empty());
  }
  for (const char* name : {"a.jpg", "a.png", "a.gif", "a.tif", "a.webp", "a.pgm", "a.jfif", "a.APNG"})
    CHECK(detail::is_image_name(name));  // in every build
  for (const char* name : {"a.jxl", "a.jp2", "a.txt", "a"}) CHECK(!detail::is_image_name(name));
  CHECK(detail::is_image_name("a.heic") == detail::has_library_for(ImageFormat::heic));
  UnreadFormats unread;
  for (const char* name : {"a.jpg", "README.md", "a"}) unread.add(name);
  CHECK(unread.empty());
  for (const char* name : {"b.jp2", "a.jxl", "c.jp2"}) unread.add(name);
  CHECK(unread.to_string() == "3 files of formats that this build cannot read: .jp2 (2), .jxl (1)");
}

TEST_CASE("image names: images that no build reads are known by their endings, and counted") {
  const Texts endings = {"jxl", "jp2", "j2k", "jpf", "jpx", "jpeg2000", "jxr", "wdp", "heics", "avifs", "pbm",
                         "pam", "tga", "pcx", "dds", "ico", "psd",      "svg", "mng", "exr",   "hdr",   "fits",
                         "dcm", "dng", "cr2", "cr3", "nef", "arw",      "orf", "rw2", "raf"};
  UnreadFormats unread;
  for (const std::string& ending : endings) {
    CAPTURE(ending);
    CHECK(!promised_format("a." + ending).empty());
    CHECK(!detail::is_image_name("a." + ending));
    unread.add("a." + ending);
  }
  CHECK(contains(unread.to_string(), std::to_string(endings.size()) + " files of formats"));
}

TEST_CASE("loose images: READMEs and scripts of a folder that is no set are no images") {
  const TempFolder folder;
  for (const char* path : {"1.jpg", "README.md", "run.py", "x/2.heic", "x/LICENSE", "x/y/3.png"})
    folder.write(path, {1});
  fs::create_directory_symlink("..", folder.path() / "x/up");
  const Dataset set = open_loose_images(folder.string());
  CHECK(set.class_names() == Texts{".", "x", "x/y"});
  CHECK(paths_in(folder, set) == Texts{"1.jpg", "x/2.heic", "x/y/3.png"});
  CHECK(contains(error_of([&] { open_loose_images(folder.string() + "/none"); }), "cannot be listed"));
  const TempFolder empty;
  empty.write("README.md", {1});
  CHECK(contains(error_of([&] { open_loose_images(empty.string()); }), "no images in it, at any depth"));
}
