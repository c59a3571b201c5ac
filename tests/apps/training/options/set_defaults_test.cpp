// Defaults of pretrain that depend on the training images and the device: batch size, model, size of views, epochs.
#include "../../programs.h"

#include <kindred/apps/console/command_line.h>
#include <kindred/apps/training/options/set_defaults.h>
#include <kindred/data/sets/toy_set.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/models/encoder_file.h>

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <vector>

namespace kindred {
namespace {

TEST_CASE("set defaults: the batch size") {
  const auto batch = [](std::int64_t images, std::int64_t per_class, std::int64_t micro_batch) {
    PretrainOptions o;
    o.batch_size = 256;
    o.per_class = per_class;
    o.micro_batch = micro_batch;
    return default_batch_size(o, images);
  };
  CHECK(batch(50000, 1, 0) == 256);
  CHECK(batch(256, 1, 0) == 256);
  CHECK(batch(50000, 3, 7) == 256);  // refused later
  CHECK(batch(255, 1, 0) == 255);
  CHECK(batch(24, 1, 0) == 24);
  CHECK(batch(2, 1, 0) == 2);
  CHECK(batch(24, 5, 0) == 20);
  CHECK(batch(24, 1, 7) == 21);
  CHECK(batch(40, 4, 6) == 36);
  CHECK(batch(24, 5, 7) == 20);   // 35 images are not there
  CHECK(batch(24, 1, 64) == 24);  // refused later, as the next one
  CHECK(batch(24, 30, 0) == 24);
}

TEST_CASE("set defaults: the size of pictures is the median of those that can be read") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 2, 3);  // 32 pixels
  CHECK(typical_short_side(*open_dataset(set, Split::train)) == 32);
  std::vector<std::filesystem::path> images;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(set + "/train"))
    if (entry.is_regular_file()) images.push_back(entry.path());
  REQUIRE(images.size() == 6);
  ToySetOptions large;
  large.classes = 2;
  large.per_class = 4;
  large.image_size = 80;
  make_toy_set((folder / "large").string(), large);
  std::vector<std::filesystem::path> larger;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "large/train"))
    if (entry.is_regular_file()) larger.push_back(entry.path());
  REQUIRE(larger.size() == 8);
  // Four of six have 80 pixels.
  for (std::size_t i = 0; i < 4; ++i) write_bytes(images[i], read_bytes(larger[i]));
  CHECK(typical_short_side(*open_dataset(set, Split::train)) == 80);
  for (std::size_t i = 0; i < 3; ++i) write_bytes(images[i], "no picture");
  CHECK(typical_short_side(*open_dataset(set, Split::train)) == 32);
  for (const auto& image : images) write_bytes(image, "no picture");
  CHECK(typical_short_side(*open_dataset(set, Split::train)) == 0);
}

// What is chosen for a set of 32 pixels and these flags.
GivenOptions chosen_for(const std::string& set, const std::vector<const char*>& more, Device device,
                        const nlohmann::json& earlier) {
  CommandLine line("", "pretrain");
  PretrainFlags flags(line);
  std::vector<const char*> arguments{"pretrain", set.c_str(), "--out", "run"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  line.parse(static_cast<int>(arguments.size()), arguments.data());
  return choose_defaults(flags, flags.resolve(), device, *open_dataset(set, Split::train), earlier);
}

TEST_CASE(
    "set defaults: only where flags and presets say neither model nor size; a resumed run keeps its own") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 2, 3);
  const auto model = [&](const std::vector<const char*>& flags, Device device = Device::cpu,
                         const nlohmann::json& earlier = {}) {
    const GivenOptions chosen = chosen_for(set, flags, device, earlier);
    CHECK(chosen.model.has_value() == chosen.image_size.has_value());
    return fmt::format("{} {}", chosen.model.value_or("none"), chosen.image_size.value_or(0));
  };
  CHECK(model({}) == "resnet20 32");
  CHECK(model({}, Device::reference) == "resnet20 32");
  CHECK(model({}, Device::cuda) == "resnet50 224");
  CHECK(model({"--stem", "imagenet", "--epochs", "3"}) == "resnet20 32");
  CHECK(model({"--model", "resnet18"}) == "none 0");
  CHECK(model({"--image-size", "64"}) == "none 0");
  CHECK(model({"--preset", "cifar"}) == "none 0");
  ParameterStore store;
  const ResNet encoder(store, resnet_spec("resnet32"), Stem::imagenet);
  store.allocate(Device::cpu, 3);
  const std::string file = folder / "w.safetensors";
  save_encoder(file, store, EncoderInfo{"resnet32", Stem::imagenet, 48, cifar100_pixels}, 7);
  const GivenOptions of_file = chosen_for(set, {"--weights", file.c_str()}, Device::cpu, {});
  CHECK(of_file.model == "resnet32");
  CHECK(of_file.stem == "imagenet");
  CHECK(of_file.image_size == 48);
  CHECK(of_file.pixels == "cifar100");
  const GivenOptions in_part = chosen_for(
      set, {"--weights", file.c_str(), "--image-size", "64", "--pixels", "cifar10"}, Device::cpu, {});
  CHECK(in_part.model == "resnet32");
  CHECK(in_part.stem == "imagenet");
  CHECK(!in_part.image_size);
  CHECK(!in_part.pixels);
  // A resumed run keeps its own, also if the file is gone.
  const char* own = R"({"model": "resnet44", "stem": "cifar", "image_size": 40, "pixels": "imagenet"})";
  const GivenOptions of_run_with_weights =
      chosen_for(set, {"--weights", "gone.safetensors"}, Device::cpu, parse_json(own));
  CHECK(of_run_with_weights.model == "resnet44");
  CHECK(of_run_with_weights.stem == "cifar");
  CHECK(of_run_with_weights.image_size == 40);
  CHECK(of_run_with_weights.pixels == "imagenet");

  const auto of_run = [&](const char* config, Device device) { return model({}, device, parse_json(config)); };
  CHECK(of_run(R"({"model": "resnet50", "image_size": 224})", Device::cpu) == "resnet50 224");
  CHECK(of_run(R"({"model": "resnet18", "image_size": 96})", Device::cuda) == "resnet18 96");
  // Not a default: the run was started with a flag, which must be given again.
  CHECK(of_run(R"({"model": "resnet34", "image_size": 224})", Device::cpu) == "resnet20 32");
  CHECK(of_run(R"({"model": "resnet50", "image_size": 96})", Device::cpu) == "resnet20 32");
  for (const char* strange : {"[]", "3", "{}", R"({"model": 50, "image_size": 224})",
                              R"({"model": "resnet50", "image_size": "224"})", R"({"model": "resnet50"})"})
    CHECK(of_run(strange, Device::cpu) == "resnet20 32");

  // The epochs go with them.
  const auto epochs = [&](const std::vector<const char*>& flags, Device device, const char* config) {
    return chosen_for(set, flags, device, config == nullptr ? nlohmann::json() : parse_json(config))
        .epochs.value_or(0);
  };
  CHECK(epochs({}, Device::cpu, nullptr) == 100);
  CHECK(epochs({"--epochs", "3"}, Device::cpu, nullptr) == 0);
  CHECK(epochs({"--image-size", "64"}, Device::cpu, nullptr) == 0);
  CHECK(epochs({}, Device::cuda, nullptr) == 0);
  const char* begun = R"({"model": "resnet20", "image_size": 32, "epochs": 20})";
  CHECK(epochs({}, Device::cpu, begun) == 20);
  CHECK(epochs({}, Device::cuda, begun) == 20);
  CHECK(epochs({"--epochs", "3"}, Device::cpu, begun) == 0);
  CHECK(epochs({}, Device::cpu, R"({"model": "resnet18", "image_size": 128, "epochs": 100})") == 100);
  // No default: the run was started with a flag.
  CHECK(epochs({}, Device::cpu, R"({"model": "resnet20", "image_size": 32, "epochs": 7})") == 0);
  CHECK(epochs({}, Device::cpu, R"({"model": "resnet20", "image_size": 32, "epochs": "20"})") == 0);

  CHECK(chosen_for(set, {}, Device::cpu, {}).batch_size == 6);
  CHECK(!chosen_for(set, {"-b", "256"}, Device::cpu, {}).batch_size);
  CHECK(!chosen_for(set, {"--preset", "demo"}, Device::cpu, {}).batch_size);
}

// ---- the program

nlohmann::json settings_in(const std::string& run) {
  return parse_json(read_bytes(run + "/config.json"));
}

TEST_CASE("set defaults: `pretrain DIR --out RUN` trains, and the same command with --resume goes on") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string command = set + " --out " + run;
  const std::string quick = " --epochs 1 -j 1 --knn-every 0";
  const auto result = run_program("pretrain", command + quick);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(says(result, "--batch-size 24: the set has 24 training images, fewer than the usual batch of 256\n"));
  CHECK(says(result,
             "--model resnet20 --image-size 32: the default on a CPU for pictures of 32 pixels; on a GPU it is "
             "resnet50 at 224\n"));
  const nlohmann::json settings = settings_in(run);
  CHECK(settings.at("model") == "resnet20");
  CHECK(settings.at("image_size") == 32);
  CHECK(settings.at("stem") == "cifar");
  CHECK(settings.at("batch_size") == 24);
  const auto again = run_program("pretrain", command + quick + " --resume");
  CAPTURE(again.output);
  CHECK(again.code == 0);
  CHECK(says(again, "the run is finished already"));

  // With other pictures of the same names, the run's own model stays.
  ToySetOptions larger;
  larger.classes = 3;
  larger.per_class = 8;
  larger.image_size = 64;
  make_toy_set((folder / "larger").string(), larger);
  const auto resumed =
      run_program("pretrain", (folder / "larger").string() + " --out " + run + quick + " --resume");
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
}

TEST_CASE("set defaults: one line says what was chosen, how long it takes, and which flags choose otherwise") {
  const TemporaryFolder folder;
  const std::string command =
      draw_tiny_set(folder) + " --dry-run --device cpu --out " + (folder / "run").string();
  CHECK(says(
      run_program("pretrain", command),
      "\n--model resnet20 --image-size 32 --epochs 100: the default on a CPU for 24 pictures of 32 pixels, "
      "about 16 s with 2 threads that nothing else uses; give these flags to choose others (on a GPU it is "
      "resnet50 at 224, 100 "
      "epochs)\n"));
  CHECK(!says(run_program("pretrain", command + " --model resnet20"), "the default on a CPU"));
}

TEST_CASE("set defaults: larger pictures, and flags that a small set must fit") {
  const TemporaryFolder folder;
  ToySetOptions pictures;
  pictures.classes = 2;
  pictures.per_class = 3;
  pictures.image_size = 64;
  const std::string set = folder / "set", run = folder / "run";
  make_toy_set(set, pictures);
  const std::string command = set + " --out " + run + " --epochs 1 -j 1 --knn-every 0 --overwrite";
  const auto result = run_program("pretrain", command);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(settings_in(run).at("model") == "resnet18");
  CHECK(settings_in(run).at("image_size") == 64);
  CHECK(settings_in(run).at("stem") == "imagenet");
  CHECK(settings_in(run).at("batch_size") == 6);

  const std::string small = command + " --model resnet20 --image-size 32 ";
  REQUIRE(run_program("pretrain", small + "--per-class 2 --micro-batch 2 --queue 64").code == 0);
  CHECK(settings_in(run).at("batch_size") == 6);
  REQUIRE(run_program("pretrain", small + "--views 1 --per-class 4").code == 0);
  CHECK(settings_in(run).at("batch_size") == 4);
  for (const auto& [flags, text] : std::vector<std::pair<std::string, std::string>>{
           {"-b 7", "--batch-size 7: the data set has only 6 training images"},
           {"--preset demo", "--batch-size 64: the data set has only 6 training images"},
           {"--per-class 8", "--per-class 8: expected a divisor of --batch-size 6"},
           {"--micro-batch 9", "--micro-batch 9: expected a divisor of --batch-size 6"},
           {"--queue 5", "--queue 5: expected at least the 12 rows"}}) {
    CAPTURE(flags);
    const auto refused = run_program("pretrain", small + flags);
    CAPTURE(refused.output);
    CHECK(refused.code == 2);
    CHECK(is_one_line_error(refused));
    CHECK(says(refused, text));
  }
}

}  // namespace
}  // namespace kindred
