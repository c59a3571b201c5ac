// Images with a list of labels, with the programs that read them.
#include "programs.h"

#include <fmt/core.h>
#include <kindred/data/sets/toy.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A row for each image of the class folders in `dir`: its path, and the name of its folder.
std::string list_of_folders(const fs::path& dir) {
  std::string text = "image,label\r\n";
  for (const auto& folder : fs::directory_iterator(dir))
    for (const auto& file : fs::directory_iterator(folder.path())) {
      const std::string label = folder.path().filename();
      text += "\"" + label + "/" + file.path().filename().string() + "\", " + label + "\r\n";
    }
  return text;
}

TEST_CASE("lists: training on a list ends with the bytes of training on the class folders that it names") {
  const TemporaryFolder folder;
  const std::string alone = folder / "alone", list = folder / "labels.csv";
  fs::rename(draw_tiny_set(folder) + "/train", alone);
  write_bytes(list, list_of_folders(alone));
  const std::string listed = alone + " --labels " + list, pack = folder / "set.kpack", run = folder / "list";
  const auto trained = run_program("pretrain", listed + " --out " + run + tiny);
  CAPTURE(trained.output);
  CHECK(trained.code == 0);
  CHECK(says(trained, "note: " + list +
                          " has no column for the split: its 3 classes are the training set, of which 3 "
                          "of 24 images"));
  CHECK(json_file(run + "/config.json")["labels"] == list);
  CHECK(json_file(run + "/config.json")["val_fraction"] == 0.1);
  CHECK(run_program("pretrain", alone + " --out " + (folder / "folders").string() + tiny).code == 0);
  CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(folder / "folders/encoder.safetensors"));
  const auto packed = run_program("pack_dataset", listed + " " + pack);
  CAPTURE(packed.output);
  CHECK(packed.code == 0);
  CHECK(run_program("pretrain", pack + " --out " + (folder / "pack").string() + tiny).code == 0);
  // The images of a pack were held out when it was made, so its encoder's file does not say so.
  CHECK(json_file(run + "/metrics.jsonl")["loss"] == json_file(folder / "pack/metrics.jsonl")["loss"]);
  const auto checked =
      run_program("check_data", listed + " --no-pictures --json " + (folder / "counts.json").string());
  CAPTURE(checked.output);
  CHECK(checked.code == 0);
  CHECK(json_file(folder / "counts.json")["files"] == 24);
  CHECK(json_file(folder / "counts.json")["odd"].empty());
  CHECK(run_program("pack_dataset", listed + " " + list + " --overwrite").code ==
        2);  // it would replace the list
}

TEST_CASE("check_data: images that a list does not name are one line, and the list is not odd") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), json = folder / "counts.json",
                    list = set + "/lists/labels.csv";
  fs::create_directories(set + "/lists");
  fs::create_directories(set + "/.thumbnails");
  const std::string a = toy_class_name(0), b = toy_class_name(1);
  std::string rows;
  for (const std::string& name : {a, b})
    for (int i = 0; i < 8; ++i)
      rows += fmt::format("train/{}/{:05}.jpg,{},{}\n", name, i, name,
                          i < 4   ? "train"
                          : i < 6 ? "val"
                                  : "test");
  write_bytes(list, rows);
  fs::copy(set + "/val/" + a + "/00000.jpg", set + "/extra.jpg");
  fs::copy(set + "/extra.jpg", set + "/.thumbnails/extra.jpg");
  write_bytes(set + "/README.md", "x");
  const auto checked = run_program("check_data", set + " --labels " + list + " --no-pictures --json " + json);
  CAPTURE(checked.output);
  CHECK(checked.code == 0);
  // 8 of the third class, 6 of val/ and the one in the folder itself; those of the list's test split are named.
  CHECK(says(checked, "\n" + list + " does not name 15 images in " + set + ": they are no part of the set\n"));
  CHECK(json_file(json)["unlisted_images"] == 15);
  CHECK(json_file(json)["files"] == 12);
  const auto odd = json_file(json)["odd"];
  REQUIRE(odd.size() == 1);
  CHECK(odd[0]["name"] == set + "/.thumbnails");
  write_bytes(set + "/lists/notes.txt", "x");
  fs::remove_all(set + "/.thumbnails");
  REQUIRE(run_program("check_data", set + " --labels " + list + " --no-pictures --json " + json).code == 0);
  REQUIRE(json_file(json)["odd"].size() == 1);
  CHECK(json_file(json)["odd"][0]["what"] ==
        "not part of the set: the list names nothing in it, and 1 file is no image");
}

TEST_CASE("lists: a run is resumed with the same labels, and refused with others") {
  const TemporaryFolder folder;
  const std::string alone = folder / "alone", list = folder / "labels.csv", moved = folder / "moved.csv";
  fs::rename(draw_tiny_set(folder) + "/train", alone);
  std::string rows = list_of_folders(alone);
  write_bytes(list, rows);
  write_bytes(moved, rows);
  const std::string flags = " --resume --out " + (folder / "run").string() + tiny;
  CHECK(run_program("pretrain", alone + " --labels " + list + flags).code == 0);
  CHECK(run_program("pretrain", alone + " --labels " + moved + flags).code == 0);
  // Two images of the same name change their classes: names without folders and labels stay the same.
  const std::string first = fs::directory_iterator(alone)->path().filename();
  std::string other;
  for (const auto& entry : fs::directory_iterator(alone))
    if (entry.path().filename() != first) other = entry.path().filename();
  const auto swap = [&](const std::string& from, const std::string& to) {
    const std::string row = "\"" + from + "/00000.jpg\", ";
    const std::size_t at = rows.find(row + from);
    REQUIRE(at != std::string::npos);
    rows.replace(at, row.size() + from.size(), row + to);
  };
  swap(first, other);
  swap(other, first);
  write_bytes(moved, rows);
  const auto changed = run_program("pretrain", alone + " --labels " + moved + " --val-fraction 0" + flags);
  CHECK(changed.code == 2);
  CHECK(says(changed, "the data set had 21 training images, now 24, or other files"));
  const auto same_size = run_program("pretrain", alone + " --labels " + moved + flags);
  CHECK(same_size.code == 2);
  CHECK(says(same_size, "the data set had 21 training images, now 21, or other files"));
}

TEST_CASE("lists: a list that cannot be used ends each program with code 3 and one line") {
  const TemporaryFolder folder;
  const std::string alone = folder / "alone", list = folder / "labels.csv";
  fs::rename(draw_tiny_set(folder) + "/train", alone);
  write_bytes(list, "path,label\nmissing.jpg,cat\n");
  const std::pair<std::string, std::string> commands[] = {
      {"pretrain", " --out " + (folder / "run").string() + tiny},
      {"check_data", " --no-pictures"},
      {"pack_dataset", " " + (folder / "set.kpack").string()}};
  for (const auto& [program, arguments] : commands) {
    const auto result = run_program(program, alone + " --labels " + list + arguments);
    CAPTURE(program);
    CAPTURE(result.output);
    CHECK(result.code == 3);
    CHECK(is_one_line_error(result));
    CHECK(says(result, list + ": line 2: there is no image 'missing.jpg' (1 of 1 is not there)"));
  }
}

}  // namespace
}  // namespace kindred
