// Image folders as people have them, with the programs that read them.
#include "programs.h"

#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

namespace fs = std::filesystem;

int lines_with(const ProgramResult& result, const std::string& text) {
  int lines = 0;
  for (std::size_t at = 0; (at = result.output.find(text, at)) != std::string::npos; at += text.size()) ++lines;
  return lines;
}

TEST_CASE("image folders: each program prints the notes of a set once") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", probe = folder / "probe";
  fs::copy(set + "/val", set + "/test", fs::copy_options::recursive);
  const std::string first = fs::directory_iterator(set + "/val")->path().filename();
  fs::remove_all(set + "/val/" + first);
  const std::string note = "note: evaluation is on " + set + "/val; not used: " + set + "/test\n";
  const std::string warning = "warning: " + set + ": nothing to evaluate 1 of the 3 classes on: '" + first +
                              "'; accuracies are those of the other 2, and say nothing about this class\n";
  const std::string encoder = " --encoder " + run + "/encoder.safetensors ";
  const std::pair<std::string, std::string> commands[] = {
      {"pretrain", set + " --out " + run + tiny},
      {"linear_probe", set + encoder + "--epochs 1 --out " + probe},
      {"evaluate", set + encoder + "--classifier " + probe + "/classifier.safetensors"},
      {"embed", set + encoder + "--out " + (folder / "features.npz").string()},
      {"check_data", set + " --no-pictures --json " + (folder / "counts.json").string()},
      {"pack_dataset", set + " " + (folder / "set.kpack").string()}};
  for (const auto& [program, arguments] : commands) {
    const auto result = run_program(program, arguments);
    CAPTURE(program);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(lines_with(result, note) == (program == "pack_dataset" ? 0 : 1));  // it packs test/ too
    CHECK(lines_with(result, warning) == 1);
    CHECK(lines_with(result, "odd things") == 0);  // the files of test/ are not listed
  }
  const auto counts = parse_json(read_bytes(folder / "counts.json"));
  CHECK(counts["odd"].empty());
  CHECK(counts["splits"]["train"]["notes"].size() == 1);
  CHECK(counts["splits"]["evaluation"]["notes"].size() == 2);
}

TEST_CASE("image folders: class folders alone train and are evaluated on a tenth, or on nothing") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder) + "/train", alone = folder / "alone", run = folder / "run";
  const auto above = run_program("pretrain", set + " --out " + run + tiny);
  CHECK(above.code == 3);
  CHECK(says(above, "this is the folder for training of a set; give the set, " + (folder / "set").string()));
  fs::rename(set, alone);
  const auto split = run_program("pretrain", alone + " --out " + run + tiny);
  CAPTURE(split.output);
  CHECK(split.code == 0);
  CHECK(says(split,
             "its 3 class folders are the training set, of which 3 of 24 images, the same share of each class, "
             "are held out for evaluation (validation fraction 0.1, seed 0)\n"));
  CHECK(parse_json(read_bytes(run + "/config.json"))["images"] == 21);
  CHECK(parse_json(read_bytes(run + "/config.json"))["val_fraction"] == 0.1);
  CHECK(run_program("pretrain", alone + " --resume --out " + run + tiny).code == 0);  // the same set
  const auto whole = run_program("pretrain", alone + " --val-fraction 0 --out " + run + "2" + tiny);
  CHECK(says(whole, "and nothing is held out for evaluation\n"));
  CHECK(parse_json(read_bytes(run + "2/config.json"))["images"] == 24);
  CHECK(parse_json(read_bytes(run + "2/config.json"))["val_fraction"] == 0.0);
  const auto wrong = run_program("pretrain", alone + " --val-fraction 1 --out " + run + tiny);
  CHECK(wrong.code == 2);
  CHECK(says(wrong, "--val-fraction 1: expected a share of the training images below 1, or 0 to train on all"));
}

TEST_CASE("check_data and pretrain: links that lead nowhere, in the place of a class and of a split") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), json = folder / "counts.json";
  const std::string dead = "a link to /no/such/disk, which is not there";
  const std::string lost = fs::directory_iterator(set + "/val")->path().filename();
  fs::remove_all(set + "/val/" + lost);
  fs::create_symlink("/no/such/disk", set + "/val/" + lost);
  const auto checked = run_program("check_data", set + " --quiet --no-pictures --json " + json);
  CAPTURE(checked.output);
  CHECK(checked.code == 0);
  CHECK(lines_with(checked, "warning: " + set + "/val/" + lost + " is not used: it is " + dead + "\n") == 1);
  CHECK(says(checked, "train: 24 files in 3 classes: "));
  CHECK(says(checked, "evaluation: 4 files in 2 of 3 classes: 4 ok, "));  // a link is no class
  CHECK(says(checked, "  2 images in each class\n"));
  REQUIRE(json_file(json)["odd"].size() == 1);
  CHECK(json_file(json)["odd"][0]["name"] == set + "/val/" + lost);
  CHECK(json_file(json)["odd"][0]["what"] == "not part of the set: " + dead);

  fs::remove_all(set + "/val");
  fs::create_symlink("/no/such/disk", set + "/val");
  const std::string warning =
      "warning: " + set + "/val is not used: it is " + dead +
      "; evaluation is on images that are held out of train, if any are; bring that folder back";
  const auto trained = run_program("pretrain", set + " --out " + (folder / "run").string() + tiny);
  CAPTURE(trained.output);
  CHECK(trained.code == 0);
  CHECK(lines_with(trained, warning) == 1);
  CHECK(says(trained, "evaluated on 3 images of " + set + "/train (held out)\n"));
  for (const auto& [program, arguments] :
       {std::pair<std::string, std::string>{"check_data", " --no-pictures --quiet"},
        {"pretrain", " --quiet --out " + (folder / "quiet").string() + tiny}}) {
    const auto quiet = run_program(program, set + arguments);
    CAPTURE(quiet.output);
    CHECK(quiet.code == 0);
    CHECK(lines_with(quiet, warning) == 1);
  }

  fs::remove_all(set + "/train/" + lost);
  fs::create_symlink("/no/such/disk", set + "/train/" + lost);
  const std::string error = set + "/train/" + lost + ": it is " + dead + "; bring that folder back";
  for (const auto& [program, arguments] : {std::pair<std::string, std::string>{"check_data", " --no-pictures"},
                                           {"pretrain", " --out " + (folder / "other").string() + tiny}}) {
    const auto refused = run_program(program, set + arguments);
    CAPTURE(refused.output);
    CHECK(refused.code == 3);
    CHECK(is_one_line_error(refused));
    CHECK(says(refused, error));
    if (program == "check_data") CHECK(says(refused, "files: 16 files in 2 folders: 16 ok, "));
  }
}

TEST_CASE("check_data: files that are no part of a set, through links, and folders of them in one line") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), json = folder / "counts.json";
  const fs::path first = fs::directory_iterator(fs::path(set) / "train")->path();
  const fs::path moved = folder / "elsewhere";
  fs::rename(first, moved);
  fs::create_directory_symlink(moved, first);
  write_bytes(moved / "notes.txt", "x");
  write_bytes(moved / "picture.jxl", "x");
  fs::create_directories(moved / "deep");
  fs::copy(moved / "00000.jpg", moved / "deep/copy.jpg");
  fs::create_directory_symlink("../..", moved / "deep/loop");
  fs::create_directories(fs::path(set) / "docs/old");
  for (const char* name : {"docs/a.txt", "docs/old/b.txt", "README.md", "val/val_annotations.txt"})
    write_bytes(fs::path(set) / name, "x");
  const auto result = run_program("check_data", set + " --no-pictures --json " + json);
  CAPTURE(result.output);
  CHECK(result.code == 0);
  const auto counts = parse_json(read_bytes(json));
  CHECK(counts["files"] == 31);  // 30, and the copy
  REQUIRE(counts["odd"].size() == 4);
  const std::string at = first.string();
  const auto odd = [&](std::size_t i) {
    return counts["odd"][i]["name"].get<std::string>() + ": " + counts["odd"][i]["what"].get<std::string>();
  };
  CHECK(odd(0) == at + "/deep/copy.jpg: the same bytes as " + at + "/00000.jpg");
  CHECK(odd(1) == set + "/docs: not part of the set: no image is read from its 2 files");
  CHECK(odd(2) == at + "/notes.txt: not part of the set: no image has such a name or place");
  CHECK(odd(3) == at + "/picture.jxl: not part of the set: this build cannot read JPEG XL");
  CHECK(says(result, "warning: " + set + "/train: 1 file of formats that this build cannot read: .jxl (1)"));
}

TEST_CASE(
    "a class whose images are all of formats that are not read is a warning, also with --quiet and of "
    "check_data") {
  const TemporaryFolder folder;
  const std::string alone = folder / "alone", run = folder / "run";
  fs::rename(fs::path(draw_tiny_set(folder)) / "train", alone);
  fs::create_directories(alone + "/zebra/deep");
  for (const char* name : {"/zebra/1.jp2", "/zebra/2.jp2", "/zebra/deep/3.tga"}) write_bytes(alone + name, "x");
  const std::string warning = "warning: " + alone +
                              "/zebra: not taken for a class, because no image in it can be read: 3 files of "
                              "formats that this build cannot "
                              "read: .jp2 (2), .tga (1); convert them to JPEG or PNG to use them\n";
  for (const std::string& arguments :
       {"pretrain " + alone + " --quiet --out " + run + tiny, "check_data " + alone + " --no-pictures",
        "check_data " + alone + " --no-pictures --quiet"}) {
    CAPTURE(arguments);
    const std::size_t space = arguments.find(' ');
    const auto result = run_program(arguments.substr(0, space), arguments.substr(space));
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(says(result, warning));
  }
  const std::string none = folder / "none";
  fs::create_directories(none);
  fs::copy(alone + "/zebra", none + "/a", fs::copy_options::recursive);
  fs::copy(alone + "/zebra", none + "/b", fs::copy_options::recursive);
  const auto refused = run_program("pretrain", none + " --out " + run + "2" + tiny);
  CAPTURE(refused.output);
  CHECK(refused.code == 3);
  CHECK(is_one_line_error(refused));
  CHECK(says(refused,
             "its folders hold 6 files of formats that this build cannot read: .jp2 (4), .tga (2); convert"));
}

TEST_CASE("check_data: in a folder that is no set only images count, and what they really are is named") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "photos");
  write_bytes(folder / "photos/1.jpg", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  write_bytes(folder / "photos/2.png", "<!DOCTYPE html><html></html>");
  write_bytes(folder / "photos/3.jpg", std::string("\xFF\x0A\x10", 3));
  write_bytes(folder / "photos/README.md", "x");
  write_bytes(folder / "photos/run.py", "x");
  const std::string path = folder.path, json = folder / "counts.json";
  const auto result = run_program("check_data", path + "/photos --no-pictures --json " + json);
  CAPTURE(result.output);
  CHECK(result.code == 3);
  CHECK(says(result, "files: 3 files in 1 folder: 0 ok, 0 damaged, 3 rejected\n"));
  CHECK(says(result, "/photos/1.jpg: rejected: a Git LFS pointer: run git lfs pull\n"));
  CHECK(says(result, "/photos/2.png: rejected: an HTML page\n"));
  CHECK(says(result, "/photos/3.jpg: rejected: JPEG XL; this build cannot read it\n"));
  CHECK(parse_json(read_bytes(json))["odd"].size() == 3);
  fs::create_directories(folder / "texts");
  write_bytes(folder / "texts/README.md", "x");
  const auto none = run_program("check_data", path + "/texts --no-pictures");
  CHECK(none.code == 3);
  CHECK(is_one_line_error(none));
  CHECK(says(none, "training would not accept this: " + path + "/texts: there is no folder 'train' in it"));
}

}  // namespace
}  // namespace kindred
