// Ctrl-C and other signals in the middle of the work of each program but pretrain (training/run/survival_test.cpp):
// one line says what was stopped, the code is 8, and the same command then works.
#include "programs.h"

#include <fmt/core.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/files/json_text.h>

#include <signal.h>  // defines: SIGINT and others

#include <nlohmann/json.hpp>

#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Gives an image more names in its folder.
void multiply_image(const fs::path& image, int copies) {
  for (int i = 0; i < copies; ++i)
    fs::create_hard_link(image, image.parent_path() / fmt::format("again_{:03}.jpg", i));
}

// 450 training images, each of which takes milliseconds to decode.
std::string make_slow_set(const TemporaryFolder& folder) {
  Image image(1000, 1000);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      image.pixel(y, x)[0] = static_cast<std::uint8_t>(x / 4);
      image.pixel(y, x)[1] = static_cast<std::uint8_t>(y / 4);
      image.pixel(y, x)[2] = static_cast<std::uint8_t>((x + y) / 8);
    }
  const std::vector<std::uint8_t> jpeg = encode_jpeg(image, 90);
  const fs::path set = folder / "slow";
  for (const std::string name : {"a", "b", "c"}) {
    fs::create_directories(set / "train" / name);
    write_bytes(set / "train" / name / "first.jpg", std::string(jpeg.begin(), jpeg.end()));
    multiply_image(set / "train" / name / "first.jpg", 149);
  }
  return set.string();
}

// The last line is `line`, and it is no error.
void expect_interrupted(const ProgramResult& result, const std::string& line) {
  CAPTURE(result.output);
  CHECK(result.code == 8);
  CHECK(result.output.ends_with(line + "\n"));
  CHECK(result.output.find("error: ") == std::string::npos);
}

void expect_done(const ProgramResult& result) {
  CAPTURE(result.output);
  CHECK(result.code == 0);
}

TEST_CASE("interrupts: check_data writes nothing, and begins anew") {
  const TemporaryFolder folder;
  const std::string set = make_slow_set(folder), json = folder / "counts.json";
  const std::string arguments = set + " --no-pictures --json " + json;
  expect_interrupted(
      run_until_it_opens(set + "/train/a", SIGINT, "check_data", arguments),
      "check_data: SIGINT: stopped after 256 of 450 images (train), and nothing was written; the same "
      "command begins anew");
  CHECK(!fs::exists(json));
  expect_done(run_program("check_data", arguments));
  CHECK(fs::exists(json));
}

TEST_CASE("interrupts: pack_dataset goes on with what is packed") {
  const TemporaryFolder folder;
  const std::string set = make_slow_set(folder), pack = folder / "set.kpack";
  const std::string arguments = set + " " + pack + " --max-side 64";
  const auto stopped = run_until_it_opens(set + "/train/a", SIGTERM, "pack_dataset", arguments);
  CAPTURE(stopped.output);
  CHECK(stopped.code == 8);
  CHECK(says(stopped, "pack_dataset: SIGTERM: "));
  CHECK(says(stopped, " of 450 images are packed; the same command goes on from there\n"));
  CHECK(!fs::exists(pack));
  const auto rest = run_program("pack_dataset", arguments);
  expect_done(rest);
  CHECK(says(rest, " of them were packed before\n"));
  CHECK(!fs::exists(pack + ".partial"));
  CHECK(open_dataset(pack, Split::train)->size() == 450);
}

TEST_CASE("interrupts: make_toy_dataset goes on with what is drawn, also after it was killed") {
  const TemporaryFolder folder;
  const std::string out = folder / "toy";
  const std::string arguments = out + " --classes 2 --per-class 20 --image-size 128";
  fs::create_directories(out);
  expect_interrupted(run_until_it_opens(out, SIGINT, "make_toy_dataset", arguments),
                     "make_toy_dataset: SIGINT: " + out + " is not complete; the same command goes on");
  CHECK(run_until_it_opens(out, SIGKILL, "make_toy_dataset", arguments).code == 137);
  const auto other = run_program("make_toy_dataset", arguments + " --seed 5");
  CHECK(other.code == 2);
  CHECK(is_one_line_error(other));
  const auto rest = run_program("make_toy_dataset", arguments);
  expect_done(rest);
  CHECK(says(rest, out + ": drew 2 classes, 20 training and 5 validation images each"));
  CHECK(says(run_program("make_toy_dataset", arguments), "there already, complete"));
  std::vector<std::string> beside;  // the folders of images
  for (const auto& entry : fs::directory_iterator(out))
    if (!entry.is_directory()) beside.push_back(entry.path().filename().string());
  CHECK(beside == std::vector<std::string>{"toy_dataset.txt"});
}

TEST_CASE("interrupts: linear_probe, embed and evaluate write nothing, and classify closes its list") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", probe = folder / "probe";
  const std::string images = set + "/val/" + open_dataset(set, Split::train)->class_names().front();
  multiply_image(images + "/00000.jpg", 150);
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny + "--knn-every 0").code == 0);
  const std::string encoder = " --device cpu --encoder " + run + "/encoder.safetensors ";
  const std::string stopped_probe =
      "the probe was stopped, and no result was written; the same command begins anew";

  const std::string probing = set + encoder + "-b 8 --epochs 3000 --out " + probe;
  expect_interrupted(run_until_it_opens(images, SIGINT, "linear_probe", probing),
                     "linear_probe: SIGINT: " + stopped_probe);
  CHECK(!fs::exists(probe + "/result.json"));
  expect_done(run_program("linear_probe", probing));
  const std::string result = read_bytes(probe + "/result.json");
  // With --overwrite the earlier result stays until the new one is there.
  expect_interrupted(run_until_it_opens(images, SIGHUP, "linear_probe", probing + " --overwrite --seed 2",
                                        "--default-signal=HUP"),
                     "linear_probe: SIGHUP: " + stopped_probe);
  CHECK(read_bytes(probe + "/result.json") == result);
  CHECK(fs::exists(probe + "/classifier.safetensors"));

  const std::string features = folder / "features.npz";
  const std::string embedding = set + encoder + "-b 1 --out " + features;
  expect_interrupted(run_until_it_opens(images, SIGTERM, "embed", embedding),
                     "embed: SIGTERM: " + features + " was not written; the same command begins anew");
  for (const auto& entry : fs::directory_iterator(folder.path)) CHECK(entry.path().extension() != ".tmp");
  CHECK(!fs::exists(features));
  expect_done(run_program("embed", embedding));
  CHECK(fs::exists(features));

  const std::string json = folder / "figures.json";
  const std::string evaluating =
      set + encoder + "-b 1 --classifier " + probe + "/classifier.safetensors --json " + json;
  expect_interrupted(
      run_until_it_opens(images, SIGINT, "evaluate", evaluating),
      "evaluate: SIGINT: the evaluation was stopped, and nothing was written; the same command begins anew");
  CHECK(!fs::exists(json));
  expect_done(run_program("evaluate", evaluating));
  CHECK(fs::exists(json));

  const std::string classifying =
      images + encoder + "-b 1 --json --classifier " + probe + "/classifier.safetensors";
  const auto stopped = run_until_it_opens(images, SIGINT, "classify", classifying);
  expect_interrupted(stopped, " of 152 images were classified; the same command begins anew");
  const std::size_t begin = stopped.output.find("\n[") + 1, end = stopped.output.rfind("\n]\n");
  REQUIRE(end != std::string::npos);
  const auto answers = parse_json(stopped.output.substr(begin, end + 2 - begin));
  CHECK(says(stopped, fmt::format("classify: SIGINT: {} of 152 images", answers.size())));
  CHECK(answers.size() >= 1);
  CHECK(answers.size() < 152);
  CHECK(answers.back()["predictions"].size() == 3);
}

}  // namespace
}  // namespace kindred
