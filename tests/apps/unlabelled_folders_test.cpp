// Folders for evaluation whose images have no labels, with the programs that need some and those that do not.
#include "programs.h"

#include <kindred/data/npz/npz.h>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A tiny set whose val/, or a folder called `name`, holds its images directly.
std::string draw_set_with_flat_val(const TemporaryFolder& folder, const std::string& name = "val") {
  const std::string set = draw_tiny_set(folder);
  fs::rename(set + "/val", folder / "labelled");
  fs::create_directories(set + "/" + name);
  int count = 0;
  for (const auto& file : fs::recursive_directory_iterator(folder / "labelled"))
    if (file.is_regular_file())
      fs::copy_file(file.path(), set + "/" + name + "/" + std::to_string(count++) + ".jpg");
  REQUIRE(count == 6);
  return set;
}

std::string left_out(const std::string& folder) {
  return "note: " + folder +
         " is not used: its images lie in no class folders, so their classes are unknown; a list can give "
         "their "
         "labels: --labels FILE.csv\n";
}

// All stages on one set.
struct RunWithFlatVal {
  TemporaryFolder folder;
  std::string set = draw_set_with_flat_val(folder), run = folder / "run", probe = folder / "probe";
  std::string encoder = " --device cpu -j 1 --encoder " + run + "/encoder.safetensors ",
              model = encoder + "--classifier " + probe + "/classifier.safetensors ";
  ProgramResult trained = run_program("pretrain", set + " --out " + run + tiny),
                probed = run_program("linear_probe", set + encoder + "--epochs 1 -b 8 --out " + probe);
};

const RunWithFlatVal& flat_run() {
  static const RunWithFlatVal only;
  return only;
}

TEST_CASE("a flat val/ without labels: training and probing hold out a tenth of train, and say so") {
  const RunWithFlatVal& r = flat_run();
  for (const ProgramResult* result : {&r.trained, &r.probed}) {
    CAPTURE(result->output);
    CHECK(result->code == 0);
    CHECK(says(*result, left_out(r.set + "/val")));
    CHECK(says(*result, "note: " + r.set +
                            "/train: 3 of 24 images, the same share of each class, are held out for evaluation "
                            "(validation fraction 0.1, seed 0)\n"));
    CHECK(says(*result, "evaluated on 3 images of " + r.set + "/train (held out)\n"));
    CHECK(!says(*result, "the encoder was trained"));  // both hold out the same images
  }
  CHECK(json_file(r.run + "/config.json")["val_fraction"] == 0.1);
  CHECK(json_file(r.run + "/config.json")["images"] == 21);
  CHECK(json_file(r.probe + "/result.json")["images"] == 3);
  CHECK(run_program("pretrain", r.set + " --resume --out " + r.run + tiny).code == 0);
  const std::string json = r.folder / "counts.json";
  const auto checked = run_program("check_data", r.set + " --no-pictures --json " + json);
  CAPTURE(checked.output);
  CHECK(checked.code == 0);
  CHECK(says(checked, left_out(r.set + "/val")));
  CHECK(json_file(json)["odd"].empty());
  CHECK(json_file(json)["splits"]["evaluation"]["files"] == 3);
}

TEST_CASE(
    "a test/ whose class folders differ in the case of letters: a probe holds out a tenth of train, and names "
    "both") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  fs::rename(set + "/val", set + "/test");
  std::vector<fs::path> classes;
  for (const auto& entry : fs::directory_iterator(set + "/test")) classes.push_back(entry.path());
  for (const fs::path& each : classes) {
    std::string name = each.filename().string();
    name.front() = static_cast<char>(name.front() - 'a' + 'A');
    fs::rename(each, each.parent_path() / name);
  }
  const auto result =
      run_program("linear_probe", set +
                                      " --quiet --untrained resnet20 --image-size 32 --device cpu -j 1 "
                                      "--epochs 1 -b 8 --out " +
                                      (folder / "probe").string());
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(says(result,
             "warning: " + set + "/test is not used: no folder in it has the name of a class of train: '"));
  CHECK(says(result, " of train only in the case of letters; rename them to evaluate on it\n"));
  CHECK(says(result, "evaluated on 3 images of " + set + "/train (held out)\n"));
}

TEST_CASE("a flat val/ without labels: who asks for it by name and needs labels learns how to give them") {
  const RunWithFlatVal& r = flat_run();
  const std::pair<std::string, std::string> commands[] = {
      {"pretrain", r.set + " --split val --out " + (r.folder / "other").string() + tiny},
      {"linear_probe", r.set + r.encoder + "--split val --out " + (r.folder / "other").string()},
      {"evaluate", r.set + r.model + "--split val"},
      {"evaluate", r.set + "/val" + r.model}};
  for (const auto& [program, arguments] : commands) {
    CAPTURE(arguments);
    const auto result = run_program(program, arguments);
    CAPTURE(result.output);
    CHECK(result.code == 3);
    CHECK(is_one_line_error(result));
    CHECK(says(result,
               "error: " + r.set + "/val: its images lie in no class folders, so their classes are unknown; "));
    CHECK(says(result, "; or give a list of their labels: --labels FILE.csv\n"));
  }
  CHECK(run_program("evaluate", r.set + r.model).code == 0);
}

TEST_CASE("a flat val/ without labels: embed and classify take its images as they are") {
  const RunWithFlatVal& r = flat_run();
  const std::string out = r.folder / "features.npz";
  for (const std::string& what : {r.set, r.set + " --split val", r.set + "/val"}) {
    CAPTURE(what);
    const auto result = run_program("embed", what + r.encoder + "--out " + out);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(says(result, out + ": 6 images from " + r.set + "/val (unlabelled), 64 features each\n"));
    const NpzFile file(out);
    CHECK(file.entries().size() == 2);  // features, paths
    CHECK(file.read_texts(file.at("paths")).front() == r.set + "/val/0.jpg");
  }
  const auto training = run_program("embed", r.set + r.encoder + "--split train --out " + out);
  CHECK(says(training, ": 21 images of 3 classes from " + r.set + "/train (train)"));
  const auto classified = run_program("classify", r.set + "/val" + r.model);
  CHECK(classified.code == 0);
  CHECK(says(classified, r.set + "/val/5.jpg"));
}

TEST_CASE("a flat val/ without labels: where embed finds no tests, it names the images that it can take") {
  const RunWithFlatVal& r = flat_run();
  const auto result =
      run_program("embed", r.set + r.encoder + "--split test --out " + (r.folder / "none.npz").string());
  CAPTURE(result.output);
  CHECK(result.code == 2);
  CHECK(says(result, "--split test: " + r.set + " has no such images; it has train and val\n"));
  CHECK(run_program("embed", r.set + r.encoder + "--split val --out " + (r.folder / "val.npz").string()).code ==
        0);
  const auto labelled = run_program("evaluate", r.set + r.model + "--split test");
  CHECK(says(labelled, "has no such images; it has train\n"));  // it needs labels
}

TEST_CASE("a flat test/ without labels: a run of a version that held nothing out goes on without") {
  const TemporaryFolder folder;
  const std::string set = draw_set_with_flat_val(folder, "test"), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --val-fraction 0 --out " + run + tiny).code == 0);
  CHECK(json_file(run + "/config.json")["val_fraction"] == 0.0);
  const auto resumed = run_program("pretrain", set + " --resume --out " + run + tiny);
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(says(resumed, left_out(set + "/test")));
  CHECK(says(resumed, "the run is finished already\n"));
  CHECK(json_file(run + "/config.json")["images"] == 24);
  const auto anew = run_program("pretrain", set + " --overwrite --out " + run + tiny);
  CHECK(anew.code == 0);
  CHECK(json_file(run + "/config.json")["images"] == 21);
}

TEST_CASE("a flat val/ without labels: a pack has the images that are held out, or the labelled tests") {
  const TemporaryFolder folder;
  const std::string set = draw_set_with_flat_val(folder), pack = folder / "set.kpack",
                    other = folder / "tests.kpack";
  const auto packed = run_program("pack_dataset", set + " " + pack);
  CAPTURE(packed.output);
  CHECK(packed.code == 0);
  CHECK(says(packed, left_out(set + "/val")));
  CHECK(says(packed, "set.kpack: 24 images of 3 classes, "));
  fs::copy(folder / "labelled", set + "/test", fs::copy_options::recursive);
  const auto with_tests = run_program("pack_dataset", set + " " + other);
  CAPTURE(with_tests.output);
  CHECK(with_tests.code == 0);
  CHECK(says(with_tests, left_out(set + "/val")));
  CHECK(says(with_tests, "tests.kpack: 30 images of 3 classes, "));
}

}  // namespace
}  // namespace kindred
