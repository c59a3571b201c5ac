// The presets of `pretrain --preset`: their numbers as literals, the table of docs/recipes.md, and the
// normalization that their encoder files name.
#include "../../../places.h"
#include "../../onnx/onnx_reader.h"
#include "../../programs.h"

#include <kindred/apps/console/command_line.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

using nlohmann::json;

const std::vector<std::string> presets = {"imagenet", "cifar", "cifar-quick", "demo"};

// imagenet: Khosla et al. 2020, with a learning rate of 0.4 for each 256 images. cifar: the README of
// HobbitLong/SupContrast. The other presets are our own.
const std::vector<std::pair<std::string, std::vector<std::string>>> preset_settings = {
    {"model", {"resnet50", "resnet50", "resnet20", "resnet20"}},
    {"head", {"mlp", "mlp", "mlp", "mlp"}},
    {"stem", {"imagenet", "cifar", "cifar", "cifar"}},
    {"loss", {"supcon", "supcon", "supcon", "supcon"}},
    {"temperature", {"0.1", "0.1", "0.1", "0.1"}},
    {"base_temperature", {"0", "0.07", "0", "0"}},
    {"views", {"2", "2", "2", "2"}},
    {"image_size", {"224", "32", "32", "32"}},
    {"batch_size", {"6144", "1024", "256", "64"}},
    {"epochs", {"350", "1000", "10", "25"}},
    {"optimizer", {"lars", "sgd", "sgd", "sgd"}},
    {"lr", {"9.6", "0.5", "0.1", "0.1"}},
    {"lr_floor", {"0", "0.001", "0", "0"}},
    {"momentum", {"0.9", "0.9", "0.9", "0.9"}},
    {"weight_decay", {"0.001", "0.0001", "0.0001", "0.0001"}},
    {"warmup_epochs", {"12", "10", "1", "1"}},
    {"warmup_start_lr", {"0", "0.01", "0", "0"}},
    {"augment", {"autoaugment", "cifar", "cifar", "cifar"}},
    {"pixels", {"imagenet", "cifar10", "cifar10", "imagenet"}},
};

TEST_CASE("presets: every number of every recipe") {
  for (std::size_t column = 0; column < presets.size(); ++column) {
    CommandLine line("", "pretrain");
    const PretrainFlags flags(line);
    const std::string& preset = presets[column];
    const char* const arguments[] = {"pretrain", "set", "--out",    "run",
                                     "--device", "cpu", "--preset", preset.c_str()};
    line.parse(std::size(arguments), arguments);
    const json config = flags.resolve().to_json();
    for (const auto& [setting, values] : preset_settings) {
      CAPTURE(presets[column]);
      CAPTURE(setting);
      const json& value = config.at(setting);
      if (value.is_string())
        CHECK(value.get<std::string>() == values[column]);
      else
        CHECK(value.get<double>() == doctest::Approx(std::stod(values[column])).epsilon(1e-12));
    }
  }
}

TEST_CASE("presets: docs/recipes.md says the same, and --help names them all") {
  const auto row = [](std::string text, const std::vector<std::string>& cells) {
    for (const std::string& cell : cells) text += " " + cell + " |";
    return text + "\n";
  };
  std::string table = row("| |", presets) + "|---|---|---|---|---|\n";
  for (const auto& [setting, values] : preset_settings) table += row("| `" + setting + "` |", values);
  const std::string page = read_bytes(golden_dir() + "/../../docs/recipes.md");
  CAPTURE(table);
  CHECK(page.find("\n" + table + "\n") != std::string::npos);
  const auto help = run_program("pretrain", "--help");
  for (const std::string& preset : presets) {
    CHECK(page.find("\n## " + preset + ": ") != std::string::npos);
    CHECK(says(help, "  " + preset + ": "));
  }
}

// Three numbers of a file's metadata.
void check_numbers(const std::map<std::string, std::string>& metadata, const char* key,
                   const std::vector<double>& expected) {
  const auto numbers = parse_json(metadata.at(key)).get<std::vector<double>>();
  REQUIRE(numbers.size() == 3);
  for (std::size_t c = 0; c < 3; ++c) CHECK(numbers[c] == doctest::Approx(expected[c]).epsilon(1e-6));
}

TEST_CASE("presets: the normalization that stands in an encoder's file and in ONNX's") {
  const struct {
    const char* flags;
    std::vector<double> mean, deviation;
  } cases[] = {
      {"--preset imagenet", {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
      {"--preset cifar", {0.4914, 0.4822, 0.4465}, {0.2023, 0.1994, 0.2010}},
      {"--preset cifar-quick", {0.4914, 0.4822, 0.4465}, {0.2023, 0.1994, 0.2010}},
      {"--preset demo", {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
      {"--preset cifar --pixels cifar100", {0.5071, 0.4867, 0.4408}, {0.2675, 0.2565, 0.2761}},
      {"--image-size 32", {0.4914, 0.4822, 0.4465}, {0.2023, 0.1994, 0.2010}},
      {"--image-size 40", {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
  };
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 3, 2), run = folder / "run", graph = folder / "model.onnx";
  const bool onnx = has_onnx();
  for (const auto& c : cases) {
    CAPTURE(c.flags);
    const std::string size = std::string(c.flags).starts_with("--image-size") ? " " : " --image-size 32 ";
    const auto trained = run_program("pretrain", set + " --out " + run +
                                                     " --overwrite --device cpu -j 1 --model resnet20 -b 6 " +
                                                     "--epochs 1 --knn-every 0" + size + c.flags);
    CAPTURE(trained.output);
    REQUIRE(trained.code == 0);
    const SafetensorsFile file(run + "/encoder.safetensors");
    check_numbers(file.metadata(), "pixel_mean", c.mean);
    check_numbers(file.metadata(), "pixel_std", c.deviation);
    if (!onnx) continue;
    REQUIRE(run_program("export", run + "/encoder.safetensors --format onnx --out " + graph).code == 0);
    const OnnxFile exported(read_bytes(graph));
    check_numbers(exported.metadata, "pixel_mean", c.mean);
    check_numbers(exported.metadata, "pixel_std", c.deviation);
  }
}

}  // namespace
}  // namespace kindred
