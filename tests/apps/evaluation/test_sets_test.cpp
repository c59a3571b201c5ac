// What is evaluated on: parts of a set by name, folders of class folders, and what programs say about it.
#include "../programs.h"

#include <kindred/data/sets/toy.h>
#include <kindred/models/encoder_file.h>

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <random>

namespace kindred {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A set with a test split of two of its three classes, a run on it, and a classifier.
struct RunWithTests {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), run = folder / "run", probe = folder / "probe";
  std::string encoder = " --device cpu -j 1 --encoder " + run + "/encoder.safetensors ",
              model = encoder + "--classifier " + probe + "/classifier.safetensors ";
  RunWithTests() {
    fs::copy(set + "/val", set + "/test", fs::copy_options::recursive);
    fs::remove_all(set + "/test/" + toy_class_name(0));
    REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
    probed = run_program("linear_probe", set + encoder + "--split test --epochs 1 -b 8 --out " + probe);
  }
  ProgramResult probed;

  json evaluated(const std::string& what) const {
    const std::string out = folder / "evaluated.json";
    const auto result = run_program("evaluate", what + model + "--json " + out);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    return json_file(out);
  }
};

const RunWithTests& shared_run() {
  static const RunWithTests only;
  return only;
}

json place(const std::string& path, int images, const std::string& split) {
  return {{"folder", path}, {"images", images}, {"split", split}};
}

TEST_CASE("evaluated on: the folder and its images stand with the figures, in every program") {
  const RunWithTests& r = shared_run();
  const json config = json_file(r.run + "/config.json");
  CHECK(config["evaluated_on"] == place(r.set + "/val", 6, "val"));
  CHECK(config["images"] == 24);  // those that it is trained on
  CHECK(!config.contains("split"));
  CAPTURE(r.probed.output);
  CHECK(r.probed.code == 0);
  CHECK(says(r.probed, "evaluated on 4 images of " + r.set + "/test (test)\n"));
  CHECK(json_file(r.probe + "/result.json")["evaluated_on"] == place(r.set + "/test", 4, "test"));
  CHECK(r.evaluated(r.set)["evaluated_on"] == place(r.set + "/val", 6, "val"));
  CHECK(r.evaluated(r.set + " --split train")["evaluated_on"] == place(r.set + "/train", 24, "train"));
}

TEST_CASE("evaluated on: an image that cannot be read is not counted") {
  const RunWithTests& r = shared_run();
  const fs::path other = r.folder / "with_bad";
  fs::copy(r.set + "/test", other, fs::copy_options::recursive);
  write_bytes(other / toy_class_name(1) / "bad.jpg", "no picture");
  const json result = r.evaluated(other.string());
  CHECK(result["evaluated_on"] == place(other.string(), 4, "all"));
  CHECK(result["unreadable"] == 1);
}

TEST_CASE("test sets: by --split, by their folder, and in any other folder, with the same figures") {
  const RunWithTests& r = shared_run();
  const json by_split = r.evaluated(r.set + " --split test"), by_folder = r.evaluated(r.set + "/test");
  CHECK(by_split["evaluated_on"] == place(r.set + "/test", 4, "test"));
  CHECK(by_folder["evaluated_on"] == place(r.set + "/test", 4, "all"));
  CHECK(by_folder["confusion"] == by_split["confusion"]);
  CHECK(by_folder["top1"] == by_split["top1"]);
  // Two of three classes: they are the second and the third one of the classifier.
  CHECK(by_folder["classes"][0]["images"] == 0);
  CHECK(by_folder["classes"][1]["images"] == 2);
  CHECK(by_folder["classes"][2]["images"] == 2);
}

TEST_CASE("test sets: a class that the classifier does not know is named, counted and left out") {
  const RunWithTests& r = shared_run();
  const fs::path other = r.folder / "other";
  fs::copy(r.set + "/test", other, fs::copy_options::recursive);
  fs::copy(r.set + "/val/" + toy_class_name(0), other / "zebra", fs::copy_options::recursive);
  const json result = r.evaluated(other.string());
  CHECK(result["left_out"] == json({{"classes", json::array({"zebra"})}, {"images", 2}}));
  CHECK(result["evaluated_on"]["images"] == 4);
  fs::remove_all(other / toy_class_name(1));
  fs::remove_all(other / toy_class_name(2));
  const auto none = run_program("evaluate", other.string() + r.model);
  CHECK(none.code == 3);
  CHECK(is_one_line_error(none));
  CHECK(says(none, "the classifier does not know the class zebra of the data set, nor any other"));
}

TEST_CASE("--split: a part that there is not is an error that names the others") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder),
                    error = "--split test: " + set + " has no such images; it has ";
  const auto trained = run_program("pretrain", set + " --split test --out " + (folder / "run").string() + tiny);
  CHECK(trained.code == 2);
  CHECK(is_one_line_error(trained));
  CHECK(says(trained, error + "val\n"));  // it takes no --split train
  CHECK(!fs::exists(folder / "run"));
  const auto embedded =
      run_program("embed", set + " --split test --out " + (folder / "x.npz").string() + shared_run().encoder);
  CHECK(embedded.code == 2);
  CHECK(says(embedded, error + "train and val\n"));
  CHECK(run_program("embed", set + " --split dev --out x.npz" + shared_run().encoder).code == 2);
}

// Writes `count` records of CIFAR-10, and the names of the classes.
void write_cifar(const fs::path& folder, const std::string& file, int count) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::string records, names;
  for (int i = 0; i < count; ++i) {
    records += static_cast<char>(i % 10);
    for (int byte = 0; byte < 3072; ++byte) records += static_cast<char>(random());
  }
  for (int i = 0; i < 10; ++i) names += fmt::format("class {}\n", i);
  fs::create_directories(folder);
  write_bytes(folder / file, records);
  write_bytes(folder / "batches.meta.txt", names);
}

TEST_CASE("--split: of half a set it is the other half that is named, in every program") {
  const RunWithTests& r = shared_run();
  const TemporaryFolder folder;
  const fs::path tests = folder / "tests", training = folder / "training", broken = folder / "broken";
  write_cifar(tests, "test_batch.bin", 20);
  write_cifar(broken, "test_batch.bin", 20);
  write_cifar(broken, "data_batch_1.bin", 20);
  for (int i = 1; i <= 5; ++i) write_cifar(training, fmt::format("data_batch_{}.bin", i), 10 + i);
  const std::string embed = r.encoder + "--out " + (folder / "x.npz").string(),
                    probe = r.encoder + "--epochs 1 --out " + (folder / "probe").string();
  const auto refused = [&](const std::string& program, const fs::path& set, const std::string& flags, int code,
                           const std::string& part) {
    const auto result = run_program(program, set.string() + " " + flags);
    CAPTURE(result.output);
    CHECK(result.code == code);
    CHECK(is_one_line_error(result));
    CHECK(says(result, part));
  };
  const std::string none = " has no such images; it has ";
  refused("embed", tests, "--split val" + embed, 2, "--split val: " + tests.string() + none + "test\n");
  refused("evaluate", tests, "--split val" + r.model, 2, "--split val: " + tests.string() + none + "test\n");
  refused("embed", training, "--split val" + embed, 2, "--split val: " + training.string() + none + "train\n");
  const std::string advice =
      "give it " + (training / "test_batch.bin").string() + ", or hold some out by --val-fraction";
  refused("linear_probe", training, "--split test" + probe, 2,
          "--split test: " + training.string() + " has no such images, and no others to evaluate on; " +
              advice + "\n");
  refused("linear_probe", training, probe, 3, "a probe needs some to be measured on; " + advice + "\n");
  refused("embed", training, embed, 3, advice + ", or use --split train\n");
  const std::string only_tests = tests.string() +
                                 ": there are no images to train on, only those for tests; unpack the CIFAR "
                                 "archive again";
  refused("embed", tests, "--split train" + embed, 3, only_tests + ", or use --split test\n");
  refused("evaluate", tests, "--split train" + r.model, 3, only_tests + ", or use --split test\n");
  refused("linear_probe", tests, probe, 3, only_tests + "\n");
  refused(
      "embed", broken, "--split train" + embed, 3,
      ": files are missing: data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin; unpack the "
      "CIFAR archive again, or use --split test\n");
  refused("embed", broken, "--split val" + embed, 3, "unpack the CIFAR archive again, or use --split test\n");
  refused("linear_probe", broken, "--split val" + probe, 3, "unpack the CIFAR archive again\n");
  const auto embedded = run_program("embed", tests.string() + embed);
  CAPTURE(embedded.output);
  CHECK(embedded.code == 0);
  CHECK(says(embedded, "20 images of 10 classes from " + tests.string() + " (test), "));
}

TEST_CASE("held-out images: an encoder knows them, and a probe with others warns") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string file = run + "/encoder.safetensors";
  REQUIRE(run_program("pretrain", set + " --val-fraction 0.25 --val-seed 7 --out " + run + tiny).code == 0);
  const auto held = read_encoder_info(file).held_out;
  REQUIRE(held.has_value());
  CHECK(held->fraction == 0.25);
  CHECK(held->seed == 7);
  CHECK(!read_encoder_info(shared_run().run + "/encoder.safetensors").held_out);
  const auto probe = [&](const std::string& flags) {
    return run_program("linear_probe", set + " --device cpu -j 1 --epochs 1 -b 8 --overwrite --encoder " +
                                           file + " --out " + (folder / "probe").string() + flags);
  };
  const std::string warning = "warning: the encoder was trained with --val-fraction 0.25 --val-seed 7: ";
  CHECK(says(probe(" --val-fraction 0.25 --val-seed 8"), warning));
  CHECK(says(probe(" --val-fraction 0.5 --val-seed 7"), warning));
  for (const char* flags : {" --val-fraction 0.25 --val-seed 7", " --val-fraction 0.125 --val-seed 7", ""}) {
    const auto result = probe(flags);
    CHECK(result.code == 0);
    CHECK(!says(result, "warning: the encoder was trained"));
  }
  // The same encoder by its other flag.
  const std::string other = set + " --device cpu -j 1 -b 8 --val-fraction 0.25 --val-seed 8 --weights " + run;
  CHECK(
      says(run_program("linear_probe", other + " --epochs 1 --overwrite --out " + (folder / "probe").string()),
           warning));
  CHECK(says(
      run_program("evaluate", other + " --classifier " + (folder / "probe/classifier.safetensors").string()),
      warning));
  // All images of class folders alone: most of them were trained on.
  const std::string all = set + "/train --device cpu -j 1 -b 8 --encoder " + run + " --classifier " +
                          (folder / "probe/classifier.safetensors").string();
  const auto evaluated = run_program("evaluate", all);
  CAPTURE(evaluated.output);
  CHECK(says(evaluated, "warning: the encoder was trained on all but 0.25 of a set: "));
  const std::string advice = "--split val --val-fraction 0.25 --val-seed 7";
  CHECK(says(evaluated, "; " + advice + " measures those that it did not see\n"));
  CHECK(!says(run_program("evaluate", all + " " + advice), "warning: the encoder"));
}

TEST_CASE("a classifier says when it gets another encoder than its own") {
  const RunWithTests& r = shared_run();
  const std::string run = r.folder / "other_run", other = run + "/encoder.safetensors";
  REQUIRE(run_program("pretrain", r.set + " --seed 5 --out " + run + tiny).code == 0);
  const std::string classifier = " --classifier " + r.probe + "/classifier.safetensors ",
                    image = fs::directory_iterator(r.set + "/val/" + toy_class_name(0))->path().string(),
                    out = " --out " + (r.folder / "logits.npz").string();
  const std::string warning =
      "classifier.safetensors: this classifier was trained on the features of another encoder";
  const std::pair<std::string, std::string> commands[] = {
      {"evaluate", r.set}, {"embed", r.set + out}, {"classify", image}};
  for (const auto& [program, what] : commands) {
    CAPTURE(program);
    const auto wrong = run_program(program, what + classifier + " --device cpu --encoder " + other);
    CHECK(wrong.code == 0);
    CHECK(says(wrong, warning));
    CHECK(!says(run_program(program, what + r.model), warning));
  }
  const auto exported = run_program("export", run + " --format torchvision" + classifier + "--out " +
                                                  (r.folder / "whole.safetensors").string());
  CHECK(exported.code == 0);
  CHECK(says(exported, warning));
}

}  // namespace
}  // namespace kindred
