#include <kindred/apps/training/presets.h>
#include <kindred/engine/error.h>

#include <vector>

namespace kindred {
namespace {

struct Preset {
  const char* name;
  const char* help;
  HyperParameters values;
};

// Khosla et al. 2020, section 4 and the authors' ImageNet settings: LARS, learning rate 0.4 for each 256
// images.
HyperParameters imagenet() {
  HyperParameters p;
  p.model = "resnet50", p.head = "mlp", p.image_size = 224, p.batch_size = 6144, p.epochs = 350;
  p.optimizer = "lars", p.lr = 0.4 * 6144 / 256, p.momentum = 0.9, p.weight_decay = 1e-3;
  p.warmup_epochs = 12, p.temperature = 0.1, p.augment = "autoaugment", p.pixels = "imagenet";
  return p;
}

// The CIFAR settings of HobbitLong/SupContrast, whose loss is scaled by temperature / 0.07.
HyperParameters cifar() {
  HyperParameters p;
  p.model = "resnet50", p.head = "mlp", p.image_size = 32, p.batch_size = 1024, p.epochs = 1000;
  p.optimizer = "sgd", p.lr = 0.5, p.momentum = 0.9, p.weight_decay = 1e-4, p.warmup_epochs = 10;
  p.warmup_start_lr = 0.01, p.lr_floor = 1e-3, p.temperature = 0.1, p.base_temperature = 0.07;
  p.augment = "cifar", p.pixels = "cifar10";
  return p;
}

// Ten epochs of ResNet-20: a few minutes on two cores (docs/recipes.md).
HyperParameters cifar_quick() {
  HyperParameters p;
  p.model = "resnet20", p.head = "mlp", p.image_size = 32, p.batch_size = 256, p.epochs = 10;
  p.optimizer = "sgd", p.lr = 0.1, p.momentum = 0.9, p.weight_decay = 1e-4, p.warmup_epochs = 1;
  p.temperature = 0.1, p.augment = "cifar", p.pixels = "cifar10";
  return p;
}

// scripts/demo.sh: the toy set in a few minutes on two cores.
HyperParameters demo() {
  HyperParameters p = cifar_quick();
  p.batch_size = 64, p.epochs = 25, p.pixels = "imagenet";
  return p;
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> list = {
      {"imagenet", "the paper's ResNet-50: 350 epochs of 6144 images, LARS", imagenet()},
      {"cifar", "SupContrast's ResNet-50 at 32x32: 1000 epochs of 1024 images", cifar()},
      {"cifar-quick", "ResNet-20 at 32x32: 10 epochs of 256 images, minutes on two cores", cifar_quick()},
      {"demo", "ResNet-20 on the toy set of make_toy_dataset", demo()},
  };
  return list;
}

}  // namespace

HyperParameters preset_named(const std::string& preset) {
  std::string names;
  for (const Preset& known : presets()) {
    if (known.name == preset) return known.values;
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  fail(ExitCode::usage, "--preset {}: unknown preset; use one of {}", preset, names);
}

std::string preset_help() {
  std::string text = "hyper-parameters by name; flags override them:";
  for (const Preset& known : presets()) text += fmt::format("\n  {}: {}", known.name, known.help);
  return text;
}

}  // namespace kindred
