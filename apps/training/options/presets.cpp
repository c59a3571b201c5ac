#include <kindred/apps/training/options/presets.h>
#include <kindred/engine/error.h>
#include <kindred/engine/names.h>

#include <vector>

namespace kindred {
namespace {

struct Preset {
  GivenOptions value;
  const char* name;
  const char* help;
};

// Khosla et al. 2020, section 4 and the authors' ImageNet settings: LARS, learning rate 0.4 for each 256
// images.
GivenOptions imagenet() {
  return {.model = "resnet50",
          .head = "mlp",
          .image_size = 224,
          .batch_size = 6144,
          .epochs = 350,
          .lr = 0.4 * 6144 / 256,
          .optimizer = "lars",
          .momentum = 0.9,
          .weight_decay = 1e-3,
          .warmup_epochs = 12,
          .temperature = 0.1,
          .augment = "autoaugment",
          .pixels = "imagenet"};
}

// The CIFAR settings of HobbitLong/SupContrast, whose loss is scaled by temperature / 0.07.
GivenOptions cifar() {
  return {.model = "resnet50",
          .head = "mlp",
          .image_size = 32,
          .batch_size = 1024,
          .epochs = 1000,
          .lr = 0.5,
          .lr_floor = 1e-3,
          .optimizer = "sgd",
          .momentum = 0.9,
          .weight_decay = 1e-4,
          .warmup_epochs = 10,
          .warmup_start_lr = 0.01,
          .temperature = 0.1,
          .base_temperature = 0.07,
          .augment = "cifar",
          .pixels = "cifar10"};
}

// Ten epochs of ResNet-20: a few minutes on two cores (docs/recipes.md).
GivenOptions cifar_quick() {
  return {.model = "resnet20",
          .head = "mlp",
          .image_size = 32,
          .batch_size = 256,
          .epochs = 10,
          .lr = 0.1,
          .optimizer = "sgd",
          .momentum = 0.9,
          .weight_decay = 1e-4,
          .warmup_epochs = 1,
          .temperature = 0.1,
          .augment = "cifar",
          .pixels = "cifar10"};
}

// scripts/demo.sh: the toy set in a few minutes on two cores.
GivenOptions demo() {
  GivenOptions p = cifar_quick();
  p.batch_size = 64;
  p.epochs = 25;
  p.pixels = "imagenet";
  return p;
}

const std::vector<Preset>& all_presets() {
  static const std::vector<Preset> list = {
      {imagenet(), "imagenet", "the paper's ResNet-50: 350 epochs of 6144 images, LARS"},
      {cifar(), "cifar", "SupContrast's ResNet-50 at 32x32: 1000 epochs of 1024 images"},
      {cifar_quick(), "cifar-quick", "ResNet-20 at 32x32: 10 epochs of 256 images, minutes on two cores"},
      {demo(), "demo", "ResNet-20 on the toy set of make_toy_dataset"},
  };
  return list;
}

}  // namespace

GivenOptions preset_named(const std::string& preset) {
  if (const auto values = value_named(all_presets(), preset)) return *values;
  fail(ExitCode::usage, "--preset {}: unknown preset; use one of {}", preset, names_of(all_presets()));
}

std::string preset_help() {
  std::string text = "hyper-parameters by name; flags override them:";
  for (const Preset& known : all_presets()) text += fmt::format("\n  {}: {}", known.name, known.help);
  return text;
}

}  // namespace kindred
