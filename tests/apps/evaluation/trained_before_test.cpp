// What an encoder has seen of which nothing was held out, and one that began with it: what their files say, and when
// programs warn.
#include "../programs.h"

#include <kindred/engine/files/safetensors.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::string frozen_on_cpu = " --device cpu -j 1 -b 8 ";

std::string text_in(const std::string& file, const std::string& key) {
  const SafetensorsFile opened(file);
  const auto found = opened.metadata().find(key);
  return found == opened.metadata().end() ? "none" : found->second;
}

// Three folders of eight images each, without parts for training and evaluation.
std::string draw_classes_alone(const TemporaryFolder& folder) {
  const std::string alone = folder / "alone";
  fs::rename(draw_tiny_set(folder) + "/train", alone);
  return alone;
}

TEST_CASE("held-out images: fine-tuning keeps what the first encoder was trained with, and warns") {
  const TemporaryFolder folder;
  const std::string set = draw_classes_alone(folder), zero = folder / "zero", chain = folder / "chain",
                    third = folder / "third", probe = folder / "probe";
  REQUIRE(run_program("pretrain", set + " --val-fraction 0 --out " + zero + tiny).code == 0);
  const std::string all = text_in(zero + "/encoder.safetensors", "trained_on_all");
  CHECK(json_file(zero + "/config.json").at("data_fingerprint") == all);
  CHECK(text_in(zero + "/encoder.safetensors", "val_fraction") == "none");
  CHECK(text_in(zero + "/encoder.safetensors", "trained_before") == "none");

  const std::string end =
      " was trained with nothing held out: if that was on this set, it has seen images that it is now "
      "evaluated "
      "on (--val-fraction 0.1 --val-seed 0), and figures are too good; ";
  const std::string command = set + " --weights " + zero + " --out " + chain + tiny;
  const auto tuned = run_program("pretrain", command);
  CAPTURE(tuned.output);
  REQUIRE(tuned.code == 0);
  CHECK(says(tuned, "warning: the encoder of --weights" + end + "give both programs the same\n"));
  const std::string before = "[{\"trained_on_all\":\"" + all + "\"}]";
  for (const char* name : {"/encoder.safetensors", "/best_encoder.safetensors", "/checkpoint.safetensors"}) {
    CHECK(text_in(chain + name, "trained_before") == before);
    CHECK(text_in(chain + name, "val_fraction") == "0.1");
  }
  const auto probed =
      run_program("linear_probe", set + frozen_on_cpu + "--epochs 1 --out " + probe + " --encoder " + chain);
  CAPTURE(probed.output);
  CHECK(probed.code == 0);
  CHECK(says(probed,
             "warning: the encoder that this encoder began with" + end + "give all trainings the same\n"));

  // A run that goes on has it from its checkpoint.
  fs::remove(zero + "/encoder.safetensors");
  const auto resumed = run_program("pretrain", command + "--epochs 2 --resume --allow-change");
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(text_in(chain + "/encoder.safetensors", "trained_before") == before);

  const auto again = run_program("pretrain", set + " --weights " + chain + " --out " + third + tiny);
  CHECK(says(again, "warning: the encoder that this encoder began with" + end));
  CHECK(text_in(third + "/encoder.safetensors", "trained_before") ==
        "[{\"trained_on_all\":\"" + all + "\"},{\"val_fraction\":\"0.1\",\"val_seed\":\"0\"}]");
}

TEST_CASE("held-out images: an encoder that was trained on all images warns when it is measured on these") {
  const TemporaryFolder folder;
  const std::string set = draw_classes_alone(folder), run = folder / "run", copy = folder / "copy",
                    pack = folder / "all.kpack", of_pack = folder / "of_pack";
  const std::string flags = tiny + "--loss cross_entropy --views 1 ";
  REQUIRE(run_program("pretrain", set + " --val-fraction 0 --out " + run + flags).code == 0);
  const auto evaluated = [](const std::string& what, const std::string& model) {
    const auto result =
        run_program("evaluate", what + frozen_on_cpu + "--encoder " + model + " --classifier " + model);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    return result;
  };
  const std::string warning =
      "warning: the encoder was trained on all of these images, and figures are too good; evaluate it on "
      "others, "
      "or hold some out of its training by --val-fraction\n";
  const auto same = evaluated(set, run);
  CHECK(says(same, warning));
  CHECK(!says(same, "warning: the classifier"));  // it would say the same
  const auto half = evaluated(set + " --val-fraction 0.5", run);
  CHECK(says(half, "warning: the encoder was trained with nothing held out: "));
  CHECK(!says(half, "warning: the classifier"));
  // The same images elsewhere, and others.
  fs::copy(set, copy, fs::copy_options::recursive);
  CHECK(says(evaluated(copy, run), warning));
  const fs::path class_folder = fs::directory_iterator(copy)->path();
  fs::remove(fs::directory_iterator(class_folder)->path());
  CHECK(!says(evaluated(copy, run), "warning: the "));
  // A pack of them.
  REQUIRE(run_program("pack_dataset", set + " " + pack + " --val-fraction 0").code == 0);
  REQUIRE(run_program("pretrain", pack + " --out " + of_pack + flags).code == 0);
  CHECK(says(evaluated(set, of_pack), warning));
}

TEST_CASE("held-out images: the encoder of a set with images for evaluation of its own says nothing of them") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --val-fraction 0 --out " + run + tiny).code == 0);
  for (const char* key : {"trained_on_all", "trained_before", "val_fraction"})
    CHECK(text_in(run + "/encoder.safetensors", key) == "none");
}

}  // namespace
}  // namespace kindred
