// Images that are no data set: class folders without parts, folders without classes, lists of paths.
#include "set_notes.h"

#include <doctest/doctest.h>

using namespace kindred;
using namespace kindred::test;

namespace {

using Labels = std::vector<std::int32_t>;

void write_text(const TempFolder& folder, const std::string& name, const std::string& text) {
  folder.write(name, Bytes(text.begin(), text.end()));
}

std::string list_error(const TempFolder& folder, const std::string& text) {
  write_text(folder, "list.txt", text);
  std::string message = error_of([&] { read_image_list(folder.string() + "/list.txt"); });
  for (std::size_t at = 0; (at = message.find(folder.string(), at)) != std::string::npos;)
    message.replace(at, folder.string().size(), "DIR");
  return message;
}

}  // namespace

TEST_CASE("any images: all images of class folders, also of one class, and of a part of a set") {
  const TempFolder folder;
  write_class_folders(folder, "alone", {"ant", "bee"}, 2, 8);
  folder.write("alone/docs/readme.txt", {1});
  folder.write("alone/beside.jpg", {1});
  const Dataset set = *open_class_images(folder.string() + "/alone");
  CHECK(set.class_names() == Texts{"ant", "bee"});
  CHECK(set.labels() == Labels{0, 0, 1, 1});
  CHECK(set.origin().part == "all");
  CHECK(notes_of(folder, set) ==
        Texts{"note: DIR/alone: not taken for classes, because there are no images in them: 'docs'",
              "note: DIR/alone: left out, because they lie in no class folder: 1 image, such as beside.jpg"});
  write_class_folders(folder, "one", {"bee"}, 3, 8);
  CHECK(open_class_images(folder.string() + "/one")->class_names() == Texts{"bee"});

  write_class_folders(folder, "set/train", {"ant", "bee"}, 2, 8);
  write_class_folders(folder, "set/test", {"bee"}, 2, 8);
  CHECK(open_class_images(folder.string() + "/set/test")->labels() == Labels{0, 0});
  CHECK(!open_class_images(folder.string() + "/set"));
  CHECK(!open_class_images(folder.string()));  // it holds a set
  CHECK(is_set_with_parts(folder.string() + "/set"));
  CHECK(!is_set_with_parts(folder.string() + "/alone"));
}

TEST_CASE("any images: a folder without classes has one label, and what may be classes is no such folder") {
  const TempFolder folder;
  folder.write("flat/2.jpg", {1});
  folder.write("flat/1.PNG", {1});
  folder.write("flat/deep/er/3.jpg", {1});
  folder.write("flat/picture.jxl", {1});  // no build reads it
  folder.write("flat/notes.txt", {1});
  const Dataset set = *open_unlabelled_images(folder.string() + "/flat");
  CHECK(paths_in(folder, set) == Texts{"flat/1.PNG", "flat/2.jpg", "flat/deep/er/3.jpg"});
  CHECK(set.labels() == Labels{0, 0, 0});
  CHECK(!set.origin().has_classes());
  CHECK(notes_of(folder, set).size() == 1);  // about the .jxl
  CHECK(image_files_below(folder.string() + "/flat", true).size() == 4);
  folder.write("flat/another/4.jpg", {1});
  CHECK(!open_unlabelled_images(folder.string() + "/flat"));
  write_class_folders(folder, "set/train", {"a", "b"}, 1, 8);
  CHECK(!open_unlabelled_images(folder.string() + "/set"));
  CHECK(!open_unlabelled_images(folder.string() + "/none"));
}

TEST_CASE("any images: a list of paths, relative to its folder") {
  const TempFolder folder;
  folder.write("a b.jpg", {1});
  folder.write("below/c.jpg", {1});
  const std::string dir = folder.string() + "/";
  CHECK(list_error(folder, "a b.jpg\r\n\n" + dir + "below/c.jpg") == "no error");
  CHECK(read_image_list(dir + "list.txt") == Texts{dir + "a b.jpg", dir + "below/c.jpg"});
  const Dataset set = open_image_files(read_image_list(dir + "list.txt"));
  CHECK(set.size() == 2);
  CHECK(set.name(1) == dir + "below/c.jpg");
  const std::string expected =
      " is not a file; expected the path of an image, relative to the folder of the list";
  CHECK(list_error(folder, "a b.jpg\nmissing.jpg\n") == "DIR/list.txt: line 2: 'missing.jpg'" + expected);
  CHECK(list_error(folder, "below\n") == "DIR/list.txt: line 1: 'below'" + expected);
  CHECK(list_error(folder, std::string(5000, 'x')) ==
        "DIR/list.txt: line 1: '" + std::string(4096, 'x') + "'" + expected);
  CHECK(list_error(folder, "\n\n") == "DIR/list.txt: no line has the path of an image");
  // As Windows writes it, with a byte order mark; and a line of spaces.
  CHECK(list_error(folder, std::string("\xEF\xBB\xBF") + "a b.jpg\r\n \t\r\n") == "no error");
  CHECK(read_image_list(dir + "list.txt") == Texts{dir + "a b.jpg"});
}

TEST_CASE("any images: paths of a list may have spaces and quotes around them, or in their names") {
  const TempFolder folder;
  for (const char* name : {"a b.jpg", " c.jpg ", "'d.jpg'", "d.jpg"}) folder.write(name, {1});
  const std::string dir = folder.string() + "/";
  CHECK(list_error(folder, "\"a b.jpg\"\n 'a b.jpg'\t\r\n  a b.jpg \n c.jpg \n'd.jpg'\n\"d.jpg\"\n\"" + dir +
                               "a b.jpg\"\n") == "no error");
  CHECK(read_image_list(dir + "list.txt") == Texts{dir + "a b.jpg", dir + "a b.jpg", dir + "a b.jpg",
                                                   dir + " c.jpg ", dir + "'d.jpg'", dir + "d.jpg",
                                                   dir + "a b.jpg"});
  for (const std::string line :
       {"\"a b.jpg", "'a b.jpg\"", "\"\"", "''", "\"", "\" a b.jpg\"", "\"missing.jpg\""}) {
    CAPTURE(line);
    CHECK(list_error(folder, line + "\n") ==
          "DIR/list.txt: line 1: '" + line +
              "' is not a file; expected the path of an image, relative to the folder of the list");
  }
}
