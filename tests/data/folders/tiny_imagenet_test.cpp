// Validation images in one folder: Tiny-ImageNet's, and classes that train does not have.
#include "set_notes.h"

#include <doctest/doctest.h>

using namespace kindred;
using namespace kindred::test;

namespace {

Bytes text_bytes(const std::string& text) {
  return Bytes(text.begin(), text.end());
}

void write_tiny_imagenet(const TempFolder& folder) {
  for (const std::string wnid : {"n01", "n02"}) {
    folder.write("train/" + wnid + "/images/" + wnid + "_0.JPEG", {1});
    folder.write("train/" + wnid + "/images/" + wnid + "_1.JPEG", {1});
    folder.write("train/" + wnid + "/" + wnid + "_boxes.txt", text_bytes(wnid + "_0.JPEG\t0\t0\t62\t63\n"));
  }
  for (const std::string name : {"val_0.JPEG", "val_1.JPEG", "val_2.JPEG"})
    folder.write("val/images/" + name, {1});
  folder.write("test/images/test_0.JPEG", {1});
}

}  // namespace

TEST_CASE("Tiny-ImageNet: images one folder deeper, and val_annotations.txt") {
  const TempFolder folder;
  write_tiny_imagenet(folder);
  CHECK(set_error(folder, "", Split::val) ==
        "DIR/val/images: its images lie in no class folders, so their classes are unknown; put "
        "LOC_val_solution.csv, a val.txt of 'image class' lines, or the folder ILSVRC2012_devkit_t12 into DIR");
  folder.write(
      "val/val_annotations.txt",
      text_bytes("val_0.JPEG\tn02\t0\t32\t44\t62\nval_1.JPEG\tn01\t52\t55\t57\t59\r\nval_2.JPEG\tn02\t4\t0"));
  CHECK(paths_in(folder, *open_dataset(folder.string(), Split::train)) ==
        Texts{"train/n01/images/n01_0.JPEG", "train/n01/images/n01_1.JPEG", "train/n02/images/n02_0.JPEG",
              "train/n02/images/n02_1.JPEG"});
  const Dataset set = *open_dataset(folder.string(), Split::evaluation);
  CHECK(paths_in(folder, set) ==
        Texts{"val/images/val_1.JPEG", "val/images/val_0.JPEG", "val/images/val_2.JPEG"});
  CHECK(set.labels() == std::vector<std::int32_t>{0, 1, 1});
  CHECK(notes_of(folder, set) == Texts{"note: evaluation is on DIR/val; not used: DIR/test"});
}

TEST_CASE("Tiny-ImageNet: names with spaces, a line without a class, two classes of an image") {
  const TempFolder folder;
  write_tiny_imagenet(folder);
  folder.write("val/images/a b.JPEG", {1});
  const std::string rest = "val_0.JPEG\tn01\nval_1.JPEG\tn01\r\n\nval_2.JPEG\tn02\n";
  folder.write("val/val_annotations.txt", text_bytes(rest + "a b.JPEG\tn02\t1\n"));
  CHECK(open_dataset(folder.string(), Split::evaluation)->labels() == std::vector<std::int32_t>{0, 0, 1, 1});
  folder.write("val/val_annotations.txt", text_bytes(rest));
  CHECK(set_error(folder, "", Split::evaluation) ==
        "DIR/val/val_annotations.txt: has no entry for DIR/val/images/a b.JPEG; remove the image or name its "
        "class");
  folder.write("val/val_annotations.txt", text_bytes("val_0.JPEG n01\n"));
  CHECK(contains(set_error(folder, "", Split::evaluation), "line 1: no class after 'val_0.JPEG n01'"));
  folder.write("val/val_annotations.txt", text_bytes("val_0.JPEG\tn01\nval_0.JPEG\tn02\n"));
  CHECK(
      contains(set_error(folder, "", Split::evaluation), "line 2: 'val_0.JPEG' has two classes, n01 and n02"));
}

TEST_CASE("flat validation: images of classes that train does not have are left out and named") {
  const TempFolder folder;
  write_class_folders(folder, "train", {"n01", "n02"}, 1);
  for (const std::string name : {"1.jpg", "2.jpg", "3.jpg", "4.jxl"}) folder.write("val/" + name, {1});
  folder.write("val.txt", text_bytes("1 n07\n2 n01\n3 n09\n"));
  const Dataset set = *open_dataset(folder.string(), Split::evaluation);
  CHECK(paths_in(folder, set) == Texts{"val/2.jpg"});
  CHECK(set.labels() == std::vector<std::int32_t>{0});
  CHECK(notes_of(folder, set) ==
        Texts{"warning: DIR/val: 1 file of formats that this build cannot read: .jxl (1); convert them to JPEG "
              "or PNG "
              "to use them",
              "warning: DIR/val: images left out, because train does not have these classes: 'n07', 'n09'",
              "warning: DIR: nothing to evaluate 1 of the 2 classes on: 'n02'; accuracies are those of the "
              "other 1, "
              "and say nothing about this class"});
  folder.write("val.txt", text_bytes("1 n07\n2 n08\n3 n09\n"));
  CHECK(set_error(folder, "", Split::evaluation) ==
        "DIR/val: its images are of 'n07', 'n08', 'n09', which train does not have");
}
