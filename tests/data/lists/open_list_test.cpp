// Images whose labels a CSV file gives.
#include "../folders/set_notes.h"

#include <doctest/doctest.h>
#include <kindred/data/sets/subset.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace kindred;
using namespace kindred::test;

namespace {

using Labels = std::vector<std::int32_t>;

// Images a.jpg to f.jpg, and two more in sub/.
void write_images(const TempFolder& folder) {
  for (const char* name : {"a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg", "sub/a.jpg", "sub/g.PNG"})
    folder.write(name, {1});
}

struct Opener {
  const TempFolder& folder;
  std::string text;
  DatasetOptions options{};

  std::optional<Dataset> operator()(Split split) {
    folder.write("labels.csv", Bytes(text.begin(), text.end()));
    options.list = folder.string() + "/labels.csv";
    return open_dataset(folder.string(), split, options);
  }
  std::string error(Split split = Split::train) {
    std::string message = error_of([&] { (*this)(split); });
    for (std::size_t at = 0; (at = message.find(folder.string(), at)) != std::string::npos;)
      message.replace(at, folder.string().size(), "DIR");
    return message;
  }
};

std::string error_of_list(const TempFolder& folder, const std::string& text) {
  return Opener{folder, text}.error();
}

}  // namespace

TEST_CASE("lists: a column says the split; classes and images are sorted, whatever their order in the list") {
  const TempFolder folder;
  write_images(folder);
  Opener open{folder,
              "filename,label,split\nb.jpg,10,Train\na.jpg,9,train\nsub/a.jpg,10,TRAIN\nc.jpg,9,valid\n"
              "d.jpg,11,dev\ne.jpg,10,test\n"};
  const Dataset train = *open(Split::train);
  CHECK(train.class_names() == Texts{"9", "10"});  // by number
  CHECK(train.labels() == Labels{0, 1, 1});
  CHECK(paths_in(folder, train) == Texts{"a.jpg", "b.jpg", "sub/a.jpg"});
  CHECK(train.source().id(2) == "sub/a.jpg");
  CHECK(notes_of(folder, train) ==
        Texts{"note: DIR/labels.csv: evaluation is on 2 images of val; not used: 1 image of test"});
  const Dataset evaluation = *open(Split::evaluation);
  CHECK(paths_in(folder, evaluation) == Texts{"c.jpg"});
  CHECK(evaluation.origin().part == "val");
  CHECK(notes_of(folder, evaluation).at(1) ==
        "warning: DIR/labels.csv: left out of val, because train does not have this class: '11'");
  CHECK(paths_in(folder, *open(Split::test)) == Texts{"e.jpg"});
  CHECK(default_val_fraction(folder.string(), folder.string() + "/labels.csv") == 0);
}

TEST_CASE("lists: tests are evaluated on where there are no validation images, but are not called so") {
  const TempFolder folder;
  write_images(folder);
  Opener open{folder, "a.jpg,x,train\nb.jpg,y,train\nc.jpg,y,test\n"};
  CHECK(!open(Split::val));
  CHECK(paths_in(folder, *open(Split::test)) == Texts{"c.jpg"});
  const Dataset evaluation = *open(Split::evaluation);
  CHECK(evaluation.origin().part == "test");
  CHECK(notes_of(folder, evaluation).front() ==
        "note: DIR/labels.csv: evaluation is on 1 image of test, because there are none of val");
}

TEST_CASE("lists: without a column for the split a tenth is held out, as from class folders alone") {
  const TempFolder folder;
  write_images(folder);
  Opener open{folder, "a.jpg,cat\nb.jpg,cat\nc.jpg,dog\nd.jpg,dog\ne.jpg,dog\n"};
  const Dataset train = *open(Split::train), held = *open(Split::evaluation);
  CHECK(train.class_names() == Texts{"cat", "dog"});
  CHECK(train.size() == 3);
  CHECK(held.labels() == Labels{0, 1});
  CHECK(notes_of(folder, train) == Texts{"note: DIR/labels.csv has no column for the split: its 2 classes are "
                                         "the training set, of which 2 of 5 "
                                         "images, the same share of each class, are held out for evaluation "
                                         "(validation fraction 0.1, seed 0)"});
  CHECK(train.source().id(0) == train.name(0).substr(folder.string().size() + 1));
  CHECK(default_val_fraction(folder.string(), folder.string() + "/labels.csv") == 0.1);
  open.options.val_fraction = 0;
  CHECK(open(Split::train)->size() == 5);
  CHECK(!open(Split::evaluation));
}

TEST_CASE("lists: --val-fraction's part replaces the splits of a list") {
  const TempFolder folder;
  write_images(folder);
  Opener open{folder,
              "path;class;set\na.jpg;x;train\nb.jpg;x;train\nc.jpg;y;train\nd.jpg;y;train\ne.jpg;x;test\n",
              {.val_fraction = 0.5}};
  CHECK(open(Split::train)->size() == 2);
  CHECK(open(Split::evaluation)->labels() == Labels{0, 1});
  CHECK(notes_of(folder, *open(Split::train)) == Texts{"note: DIR/labels.csv: evaluation is on images that are "
                                                       "held out of train; not used: 1 image of test"});
}

TEST_CASE("lists: columns are found by name, by place, and by what their first row is") {
  const TempFolder folder;
  write_images(folder);
  const auto images = [&](const std::string& text) {
    Opener open{folder, text, {.val_fraction = 0}};
    return paths_in(folder, *open(Split::train));
  };
  const Texts both{"a.jpg", "b.jpg"};
  CHECK(images("Label,width,Image_ID\nx,3,a\ny,4,b\n") == both);  // ids without an ending
  CHECK(images("a\tx\nb\ty\n") == both);                          // no header: there is an a.jpg
  CHECK(images("id,breed\na,x\nb,y\n") == both);                  // a header: there is no image "id"
  CHECK(images("picture,kind,split\na.jpg,x,train\nb.jpg,y,train\nc.jpg,y,val\n") == both);
  CHECK(images("./a.jpg,x\nsub/../b.jpg,y\n") == both);
  CHECK(images("a.jpg,x\nsub\\g,y\n") == Texts{"a.jpg", "sub/g.PNG"});
  CHECK(images("a.jpg,x,\nb.jpg,y,\n") == both);
  Opener named{folder, "id,breed,age\na,x,3\nb,y,4\n"};
  CHECK(named.error() ==
        "DIR/labels.csv: the columns 'breed', 'age' may all hold labels; several labels in a row are not "
        "supported yet; "
        "call the one that does label");
  Opener unused{folder, "id,label,age\na,x,3\nb,y,4\n", {.val_fraction = 0}};
  CHECK(notes_of(folder, *unused(Split::train)).front() ==
        "note: DIR/labels.csv: images are named in the column 'id', classes in 'label'; not used: 'age'");
}

TEST_CASE("lists: MXNet's form is refused by name, and what the message says makes a list of it") {
  const TempFolder folder;
  write_images(folder);
  CHECK(error_of_list(folder, "0\t1.000000\ta.jpg\n1\t0.000000\tsub/a.jpg\n") ==
        "DIR/labels.csv: line 1: a number, a label and a path, as in MXNet's lists (.lst); name the columns "
        "label and "
        "path: (printf 'label\\tpath\\n'; cut -f2,3 'DIR/labels.csv') > labels.tsv");
  Opener converted{folder, "label\tpath\n1.000000\ta.jpg\n0.000000\tsub/a.jpg\n", {.val_fraction = 0}};
  CHECK(paths_in(folder, *converted(Split::train)) == Texts{"sub/a.jpg", "a.jpg"});
  CHECK(contains(error_of_list(folder, "0\t1\t0\ta.jpg\n"), "may all hold labels"));  // several labels
}

TEST_CASE("lists: absolute paths may lead out of the folder, and their samples are called so") {
  const TempFolder folder, other;
  write_images(folder);
  other.write("z.jpg", {1});
  const std::string z = other.string() + "/z.jpg";
  Opener open{folder, "a.jpg,x\n" + z + ",y\n", {.val_fraction = 0}};
  const Dataset set = *open(Split::train);
  CHECK(set.name(1) == z);
  CHECK(set.source().id(1) == z);
}

TEST_CASE("lists: several labels, missing labels, and images twice") {
  const TempFolder folder;
  write_images(folder);
  const std::string at = "DIR/labels.csv: ";
  const std::string several = "several labels in a row are not supported yet";
  CHECK(error_of_list(folder, "a.jpg,x\nb.jpg,cat;dog\n") ==
        at + "line 2: 'cat;dog': " + several + "; keep one of them");
  CHECK(contains(error_of_list(folder, "a.jpg,x\nb.jpg,cat|dog\n"), several));
  CHECK(contains(error_of_list(folder, "a.jpg,x\nb.jpg,cat,dog\n"),
                 "line 2: 3 cells, the first row has 2; " + several));
  CHECK(contains(error_of_list(folder, "a.jpg,cat,dog\n"), "line 1: 3 cells, expected "));
  CHECK(error_of_list(folder, "id,label,label2\na,x,y\n") ==
        at + "the columns 'label', 'label2' may all hold labels; " + several + "; keep one of them");
  CHECK(error_of_list(folder, "a.jpg,x\nb.jpg,\nc.jpg,y\nd.jpg\n") ==
        at + "no label in lines 2 and 4; add them or remove the rows");
  CHECK(error_of_list(folder, "a.jpg,x\nb.jpg,y\na.jpg,y\n") ==
        at + "line 3: 'a.jpg' is labelled 'y', and 'x' in line 1; several labels of an image are not supported "
             "yet; "
             "keep one of them");
  CHECK(error_of_list(folder, "a.jpg,x,train\nb.jpg,y,train\n./a.jpg,x,val\n") ==
        at + "line 3: 'a.jpg' is also in line 1, in another split; an image belongs to one");
  Opener again{folder, "a.jpg,x\nb.jpg,y\na,x\n", {.val_fraction = 0}};
  CHECK(again(Split::train)->size() == 2);
  CHECK(notes_of(folder, *again(Split::train)).front() ==
        "note: DIR/labels.csv: line 3 names an image again, with the same label; it counts once");
}

TEST_CASE("lists: an image is known by whatever path") {
  const TempFolder folder;
  write_images(folder);
  std::filesystem::create_directory_symlink("sub", folder.path() / "link");
  const std::string at = "DIR/labels.csv: ";
  CHECK(error_of_list(folder, "a.jpg,x,train\nb.jpg,y,train\n" + folder.string() + "/a.jpg,x,val\n") ==
        at + "line 3: 'DIR/a.jpg' is also in line 1, in another split; an image belongs to one");
  CHECK(error_of_list(folder, "sub/a.jpg,x,train\nb.jpg,y,train\nlink/a.jpg,x,test\n") ==
        at + "line 3: 'link/a.jpg' is also in line 1, in another split; an image belongs to one");
  Opener again{folder, "sub/a.jpg,x\na.jpg,y\nlink/a.jpg,x\n", {.val_fraction = 0}};
  CHECK(paths_in(folder, *again(Split::train)) == Texts{"sub/a.jpg", "a.jpg"});
}

TEST_CASE("lists: an ending that is missing is found in any letter case, and two of them are unclear") {
  const TempFolder folder;
  for (const char* name : {"1.Jpg", "2.jPeG", "3.JPG", "4.Png", "x.1.tif"}) folder.write(name, {1});
  Opener open{folder, "1,x\n2,x\n3,y\n4.Png,y\nx.1,y\n", {.val_fraction = 0}};
  CHECK(paths_in(folder, *open(Split::train)) == Texts{"1.Jpg", "2.jPeG", "3.JPG", "4.Png", "x.1.tif"});
  folder.write("1.jpg", {1});
  CHECK(open.error() == "DIR/labels.csv: line 1: '1' may be 1.Jpg or 1.jpg; write the ending too");
}

TEST_CASE("lists: '..' behind a link is the folder above the link's target, as for the system") {
  const TempFolder folder, other;
  write_images(folder);
  other.write("pool/far.jpg", {1});
  other.write("b.jpg", {1});
  folder.write("deep/er/z.jpg", {1});
  folder.write("deep/b.jpg", {1});
  std::filesystem::create_directory_symlink(other.path() / "pool", folder.path() / "out");
  std::filesystem::create_directory_symlink("deep/er", folder.path() / "in");
  Opener open{folder, "out/../b.jpg,x\nin/../b.jpg,x\nsub/../b.jpg,y\nin/../er/z.jpg,y\n", {.val_fraction = 0}};
  const Dataset set = *open(Split::train);
  const std::string far = std::filesystem::canonical(other.path()).string() + "/b.jpg";
  Texts names;
  for (std::int64_t i = 0; i < set.size(); ++i) names.push_back(set.source().id(i));
  CHECK(names == Texts{far, "deep/b.jpg", "b.jpg", "deep/er/z.jpg"});
  CHECK(contains(error_of_list(folder, "a.jpg,x\nin/../a.jpg,y\n"), "line 2: there is no image 'in/../a.jpg'"));
  CHECK(contains(error_of_list(folder, "a.jpg,x\nnone/../b.jpg,y\n"),
                 "line 2: there is no image 'none/../b.jpg'"));
  CHECK(contains(error_of_list(folder, "a.jpg,x\nsub/..,y\n"), "line 2: there is no image 'sub/..'"));
}

TEST_CASE("lists: files of formats that no build reads are counted in a warning") {
  const TempFolder folder;
  write_images(folder);
  for (const char* name : {"1.jxl", "2.JXL", "3.jp2"}) folder.write(name, {1});
  Opener open{folder, "a.jpg,x\n1.jxl,x\n2.JXL,y\n1.jxl,x\n3.jp2,y\n", {.val_fraction = 0}};
  CHECK(notes_of(folder, *open(Split::train)).front() ==
        "warning: DIR/labels.csv: 3 files of formats that this build cannot read: .jxl (2), .jp2 (1); convert "
        "them to "
        "JPEG or PNG to use them");
}

TEST_CASE("lists: labels in another encoding, and cells without an end") {
  const TempFolder folder;
  write_images(folder);
  const std::string at = "DIR/labels.csv: ";
  CHECK(error_of_list(folder, "a.jpg,x\nb.jpg,caf\xE9\n") ==
        at + "the label 'caf\xE9' is not UTF-8; save the list in UTF-8");
  const std::string too_long =
      "line 2: a path or label of more than 4096 bytes; a quote or the end of a line may be missing";
  CHECK(error_of_list(folder, "a.jpg,x\nb.jpg," + std::string(4097, 'y') + "\n") == at + too_long);
  CHECK(error_of_list(folder, "a.jpg,x\n" + std::string(4097, 'b') + ",y\n") == at + too_long);
}

TEST_CASE("lists: images that are not there, and what else cannot be used") {
  const TempFolder folder;
  write_images(folder);
  const std::string at = "DIR/labels.csv: ";
  CHECK(error_of_list(folder, "a.jpg,x\nmissing.jpg,y\nb.jpg,y\nsub,x\n") ==
        at + "line 2: there is no image 'missing.jpg' (2 of 4 are not there); paths are relative to DIR");
  CHECK(error_of_list(folder, "g.PNG,x\n") ==
        at + "line 1: there is no image 'g.PNG' (1 of 1 is not there); it is in DIR/sub: give that folder");
  CHECK(error_of_list(folder, "a.jpg,x,train\nb.jpg,y,later\n") ==
        at + "line 2: split 'later': expected train, val or test");
  CHECK(error_of_list(folder, "a.jpg,x,val\n") == at + "no image in it is of train");
  CHECK(error_of_list(folder, "a.jpg,x\nb.jpg,x\n") ==
        at + "only one class, 'x'; at least two are needed to learn from labels");
  CHECK(error_of_list(folder, "a.jpg\n") == at + "line 1: a single column; expected the path of an image and "
                                                 "its label, separated by a comma, a semicolon "
                                                 "or a tab");
  CHECK(contains(error_of_list(folder, ""), "there is nothing in it"));
  CHECK(error_of_list(folder, "path,label\n") == at + "it has column names but no images");
  folder.write("a.png", {1});
  CHECK(error_of_list(folder, "a,x\n") == at + "line 1: 'a' may be a.jpg or a.png; write the ending too");
  const std::string file = folder.string() + "/a.jpg";
  CHECK(contains(error_of([&] { open_dataset(file, Split::train, {.list = file}); }),
                 "not a folder; the paths in "));
  CHECK(code_of([&] { open_dataset(folder.string(), Split::train, {.list = file + "x"}); }) == ExitCode::data);
}
