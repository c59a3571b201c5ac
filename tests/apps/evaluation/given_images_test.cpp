// embed and classify on images that are no data set, the files that they write, and training without classes.
#include "../programs.h"

#include <kindred/data/npz/npz.h>
#include <kindred/data/sets/toy.h>
#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <sstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A run, and its images once more in folders without classes: flat/0.jpg ... flat/5.jpg.
struct RunAndLooseImages {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), run = folder / "run", flat = folder / "flat";
  std::string encoder = " --device cpu -j 1 --encoder " + run + "/encoder.safetensors ",
              model = encoder + "--classifier " + run + "/probe/classifier.safetensors ";
  RunAndLooseImages() {
    REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
    REQUIRE(run_program("linear_probe", set + encoder + "--epochs 1 -b 8 --out " + run + "/probe").code == 0);
    fs::create_directories(flat);
    for (int i = 0; i < 6; ++i)
      fs::copy_file(set + "/val/" + toy_class_name(i / 2) + "/0000" + std::to_string(i % 2) + ".jpg",
                    flat + "/" + std::to_string(i) + ".jpg");
  }
  std::string out(const std::string& name) const { return " --out " + (folder / name).string(); }
};

const RunAndLooseImages& loose() {
  static const RunAndLooseImages only;
  return only;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> paths_in_npz(const fs::path& path) {
  const NpzFile file(path.string());
  return file.read_texts(file.at("paths"));
}

TEST_CASE("embed: a folder without classes, a list and an image, with the features of the set") {
  const auto& t = loose();
  REQUIRE(run_program("embed", t.set + t.encoder + t.out("set.npz")).code == 0);
  const auto flat = run_program("embed", t.flat + t.encoder + t.out("flat.npz"));
  CAPTURE(flat.output);
  REQUIRE(flat.code == 0);
  const NpzFile of_set((t.folder / "set.npz").string()), of_flat((t.folder / "flat.npz").string());
  CHECK(of_flat.read<float>(of_flat.at("features")) == of_set.read<float>(of_set.at("features")));
  CHECK(of_set.entries().size() == 4);   // features, labels, paths, classes
  CHECK(of_flat.entries().size() == 2);  // features, paths

  write_bytes(t.folder / "list.txt", "flat/5.jpg\nflat/0.jpg\n");
  CHECK(run_program("embed", (t.folder / "list.txt").string() + t.encoder + t.out("list.npz")).code == 0);
  CHECK(paths_in_npz(t.folder / "list.npz") == std::vector<std::string>{t.flat + "/5.jpg", t.flat + "/0.jpg"});
  write_bytes(t.folder / "list.txt", "flat/5.jpg\nflat/9.jpg\n");
  const auto wrong = run_program("embed", (t.folder / "list.txt").string() + t.encoder + t.out("list.npz"));
  CHECK(wrong.code == 3);
  CHECK(is_one_line_error(wrong));
  CHECK(says(wrong, "list.txt: line 2: 'flat/9.jpg' is not a file"));
  CHECK(run_program("embed", t.flat + "/3.jpg" + t.encoder + t.out("one.npz")).code == 0);
  CHECK(paths_in_npz(t.folder / "one.npz") == std::vector<std::string>{t.flat + "/3.jpg"});
}

TEST_CASE("embed: images beside class folders are left out as from training, and said so") {
  const auto& t = loose();
  const std::string mixed = t.folder / "mixed", one = t.folder / "one_folder";
  for (const std::string& dir : {mixed + "/ant", mixed + "/bee", one + "/deep"}) fs::create_directories(dir);
  for (const std::string& path :
       {mixed + "/ant/0.jpg", mixed + "/bee/1.jpg", mixed + "/2.jpg", one + "/deep/0.jpg", one + "/1.jpg"})
    fs::copy_file(t.flat + "/" + path.substr(path.size() - 5), path, fs::copy_options::overwrite_existing);
  const auto result = run_program("embed", mixed + t.encoder + t.out("mixed.npz"));
  CAPTURE(result.output);
  CHECK(result.code == 0);
  const std::string note =
      "note: " + mixed + ": left out, because they lie in no class folder: 1 image, such as 2.jpg\n";
  CHECK(says(result, note));
  CHECK(says(result, "mixed.npz: 2 images of 2 classes from " + mixed + " (all)"));
  const NpzFile file((t.folder / "mixed.npz").string());
  CHECK(file.read_texts(file.at("classes")) == std::vector<std::string>{"ant", "bee"});
  CHECK(says(run_program("check_data", mixed + " --no-pictures"), note));
  // Beside a single folder they may be meant as well.
  const auto both = run_program("embed", one + t.encoder + t.out("one_folder.npz"));
  CHECK(both.code == 0);
  CHECK(says(both,
             "note: " + one +
                 ": images lie beside its folders, which are no classes then: all 2 images are used without "
                 "classes\n"));
  CHECK(says(both, "one_folder.npz: 2 images from " + one + " (unlabelled)"));
}

TEST_CASE("embed: more than half of the images unreadable ends with code 3, and the others are written") {
  const auto& t = loose();
  write_bytes(t.folder / "bad1.jpg", "no picture");
  write_bytes(t.folder / "bad2.jpg", "no picture");
  write_bytes(t.folder / "most.txt", "flat/0.jpg\nbad1.jpg\nbad2.jpg\n");
  write_bytes(t.folder / "half.txt", "flat/0.jpg\nbad1.jpg\n");
  const auto most = run_program("embed", (t.folder / "most.txt").string() + t.encoder + t.out("most.npz"));
  CAPTURE(most.output);
  CHECK(most.code == 3);
  CHECK(is_one_line_error(most));
  const std::string out = t.folder / "most.npz";
  CHECK(says(most, "error: 2 of 3 images could not be read, more than half; " + out +
                       " holds the features of the others\n"));
  CHECK(paths_in_npz(out) == std::vector<std::string>{t.flat + "/0.jpg"});
  const auto half = run_program("embed", (t.folder / "half.txt").string() + t.encoder + t.out("half.npz"));
  CHECK(half.code == 0);
  CHECK(says(half, "1 image could not be read and is left out"));
  CHECK(paths_in_npz(t.folder / "half.npz").size() == 1);
}

TEST_CASE("embed --out: .npz or .csv by the ending, and other endings are refused") {
  const auto& t = loose();
  REQUIRE(run_program("embed", t.set + t.encoder + t.out("set.csv")).code == 0);
  const auto lines = lines_of(read_bytes(t.folder / "set.csv"));
  REQUIRE(lines.size() == 7);
  CHECK(lines[0].starts_with("path,class,feature0,feature1,"));
  CHECK(lines[0].ends_with(",feature63"));
  const std::string name = toy_class_name(0);
  CHECK(lines[1].starts_with(t.set + "/val/" + name + "/00000.jpg," + name + ","));
  CHECK(std::count(lines[1].begin(), lines[1].end(), ',') == 65);
  REQUIRE(run_program("embed", t.set + t.encoder + t.out("same.npz")).code == 0);
  const NpzFile same((t.folder / "same.npz").string());
  const auto features = same.read<float>(same.at("features"));
  for (std::size_t row = 0; row < 6; ++row) {
    std::string numbers;
    for (std::size_t i = 0; i < 64; ++i) numbers += fmt::format(",{}", features[64 * row + i]);
    CHECK(lines[row + 1].ends_with(numbers));
  }
  REQUIRE(run_program("embed", t.flat + t.model + t.out("flat.csv")).code == 0);
  CHECK(lines_of(read_bytes(t.folder / "flat.csv"))[0] ==
        "path,logit:" + toy_class_name(0) + ",logit:" + toy_class_name(1) + ",logit:" + toy_class_name(2));
  for (const char* name_of_file : {"x.npy", "x.pt", "x"}) {
    const auto wrong = run_program("embed", t.set + t.encoder + t.out(name_of_file));
    CHECK(wrong.code == 2);
    CHECK(is_one_line_error(wrong));
    CHECK(
        says(wrong, "embed writes .npz and .csv files; give --out " + (t.folder / "x.npz").string() + " or "));
    CHECK(!std::filesystem::exists(t.folder / name_of_file));
  }
  std::filesystem::create_directories(t.folder / "there.npz");
  for (const std::string name_of_file : {"there.npz", "there.npz/", "new/"}) {
    const std::string out = t.folder / name_of_file;
    const auto wrong = run_program("embed", t.set + t.encoder + t.out(name_of_file));
    CAPTURE(wrong.output);
    CHECK(wrong.code == 2);
    CHECK(is_one_line_error(wrong));
    CHECK(says(wrong, "--out " + out + ": a folder; give the name of a file, such as " +
                          (std::filesystem::path(out) / "features.npz").string() + "\n"));
  }
  REQUIRE(run_program("embed", t.set + t.encoder + t.out("set.CSV")).code == 0);
  CHECK(read_bytes(t.folder / "set.CSV") == read_bytes(t.folder / "set.csv"));
}

TEST_CASE("classify: folders and lists, as CSV and as JSON") {
  const auto& t = loose();
  fs::create_directories(t.folder / "odd");
  fs::copy_file(t.flat + "/0.jpg", t.folder / "odd/a, \"b\".jpg", fs::copy_options::overwrite_existing);
  write_bytes(t.folder / "odd/bad.jpg", "no picture");
  const std::string odd = t.folder / "odd";
  const auto result = run_program("classify", odd + " " + t.flat + "/1.jpg" + t.model + "-b 2 --csv --top 2");
  CHECK(result.code == 3);
  CHECK(says(result, "1 of 3 images could not be read"));
  const std::size_t begin = result.output.find("path,class1");
  REQUIRE(begin != std::string::npos);
  const auto lines = lines_of(result.output.substr(begin));
  REQUIRE(lines.size() >= 4);
  CHECK(lines[0] == "path,class1,probability1,class2,probability2,error");
  CHECK(lines[1].starts_with("\"" + odd + "/a, \"\"b\"\".jpg\","));
  CHECK(lines[1].ends_with(","));
  CHECK(lines[2].starts_with(odd + "/bad.jpg,,,,,"));
  CHECK(!lines[2].ends_with(","));
  const auto same = run_program("classify", t.flat + "/1.jpg" + t.model + "-b 1 --json --top 2");
  REQUIRE(same.code == 0);
  std::string cells = t.flat + "/1.jpg";
  const auto answers = parse_json(same.output.substr(same.output.find("\n[") + 1));
  for (const auto& each : answers.at(0).at("predictions"))
    cells += fmt::format(",{},{}", each.at("class").get<std::string>(), each.at("probability").get<double>());
  CHECK(lines[3] == cells + ",");

  write_bytes(t.folder / "some.txt", "flat/2.jpg\nflat/4.jpg\n");
  const auto listed = run_program("classify", (t.folder / "some.txt").string() + t.model + "-b 1 --json");
  CHECK(listed.code == 0);
  const auto list = parse_json(listed.output.substr(listed.output.find("\n[") + 1));
  REQUIRE(list.size() == 2);
  CHECK(list[0]["path"] == t.flat + "/2.jpg");
  CHECK(list[1]["path"] == t.flat + "/4.jpg");
  CHECK(list[1]["predictions"].size() == 3);
  CHECK(run_program("classify", t.flat + t.model + "--csv --json").code == 2);
}

TEST_CASE("pretrain --loss simclr trains on a folder without classes, and other losses suggest it") {
  const TemporaryFolder folder;
  const std::string flat = folder / "flat", run = folder / "run";
  fs::create_directories(flat + "/deep");
  for (int i = 0; i < 8; ++i)
    fs::copy_file(loose().flat + "/" + std::to_string(i % 6) + ".jpg",
                  flat + (i < 4 ? "/" : "/deep/") + std::to_string(i) + ".jpg");
  const auto trained = run_program("pretrain", flat + " --loss simclr --out " + run + tiny);
  CAPTURE(trained.output);
  CHECK(trained.code == 0);
  CHECK(says(trained, "note: " + flat + " has no class folders: its 8 images are the training set\n"));
  CHECK(says(trained, "no classes in " + flat + ": no nearest-neighbour figure, and nothing to evaluate on\n"));
  const auto config = json_file(run + "/config.json");
  CHECK(config["images"] == 8);
  CHECK(!config.contains("evaluated_on"));
  const std::string next = flat + " --encoder " + run + "/encoder.safetensors --out " + run + "/features.npz";
  CHECK(says(trained, "embed " + next + "\n"));
  CHECK(run_program("embed", next).code == 0);
  const auto wrong = run_program("pretrain", flat + " --out " + run + "2" + tiny);
  CHECK(wrong.code == 3);
  CHECK(is_one_line_error(wrong));
  CHECK(says(wrong, "; --loss simclr trains on images without classes"));
  CHECK(run_program("pretrain", flat + " --loss simclr --online-probe --out " + run + "3" + tiny).code == 2);
}

}  // namespace
}  // namespace kindred
