// The options of `pretrain` that have a single value, as a table. A row defines the flag, its help, the
// accepted values, whether a preset may set it, and the entry in config.json. A new option of this kind needs a
// member and a row.
#pragma once

#include <kindred/apps/training/pretrain_options.h>

#include <cmath>

namespace kindred {

template <typename T>
struct OptionRow {
  const char* flag;  // in CLI11's format: "-b,--batch-size"
  const char* key;   // in config.json; null if the run does not depend on it
  const char* help;
  T PretrainOptions::*value;                           // the resolved value
  std::optional<T> HyperParameters::*given = nullptr;  // only if a preset may set it
  const char* expected = nullptr;                      // "0 or more", for the error
  bool (*accepts)(const T& value) = nullptr;

  // The flag's long name, for errors.
  std::string name() const {
    const std::string names = flag;
    return names.substr(names.find("--"));
  }
};

namespace option_checks {

inline bool positive(const double& v) {
  return std::isfinite(v) && v > 0;
}
inline bool not_negative(const double& v) {
  return std::isfinite(v) && v >= 0;
}
inline bool share_below_one(const double& v) {
  return v >= 0 && v < 1;
}
template <std::int64_t least, std::int64_t most>
bool within(const std::int64_t& v) {
  return v >= least && v <= most;
}

}  // namespace option_checks

// Calls visit(row) for every row, in the order of --help.
template <typename Visit>
void for_each_option(Visit visit) {
  using namespace option_checks;
  using H = HyperParameters;
  using O = PretrainOptions;
  using Text = OptionRow<std::string>;
  using Count = OptionRow<std::int64_t>;
  using Number = OptionRow<double>;
  using Switch = OptionRow<bool>;
  const auto at_least_one = [](const std::int64_t& v) { return v >= 1; };
  const auto at_least_zero = [](const std::int64_t& v) { return v >= 0; };

  visit(Text{"--model", "model", "encoder: resnet18 to resnet152, resnet20 to resnet56 (resnet50)", &O::model,
             &H::model});
  visit(Text{"--weights", "weights",
             "begin with these: an encoder.safetensors, or torchvision's, timm's or SupContrast's weights",
             &O::weights});
  visit(Count{"--views", "views", "augmented views of each image (2)", &O::views, &H::views, "1 to 64",
              within<1, 64>});
  visit(Count{"--image-size", "image_size", "side of a view in pixels (224)", &O::image_size, &H::image_size,
              "8 to 4096 pixels", within<8, 4096>});
  visit(Count{"-b,--batch-size", "batch_size", "images in a batch, over all processes (256)", &O::batch_size,
              &H::batch_size, "1 to 1048576", within<1, 1 << 20>});
  visit(Count{"--epochs", "epochs", "passes over the training images (100)", &O::epochs, &H::epochs,
              "1 to 1000000", within<1, 1'000'000>});
  visit(Number{"--lr", "lr", "peak learning rate (0.1)", &O::lr, &H::lr, "0 or more", not_negative});
  visit(Number{"--lr-floor", "lr_floor", "the cosine ends at this share of the peak (0)", &O::lr_floor,
               &H::lr_floor, "0 to 1", [](const double& v) { return v >= 0 && v <= 1; }});
  visit(Text{"--optimizer", "optimizer", "sgd, lars or rmsprop (sgd)", &O::optimizer, &H::optimizer,
             "one of sgd, lars, rmsprop",
             [](const std::string& v) { return v == "sgd" || v == "lars" || v == "rmsprop"; }});
  visit(Number{"--momentum", "momentum", "of the optimizer (0.9)", &O::momentum, &H::momentum,
               "0 or more and below 1", share_below_one});
  visit(Number{"--weight-decay", "weight_decay", "of the optimizer (1e-4)", &O::weight_decay, &H::weight_decay,
               "0 or more", not_negative});
  visit(Number{"--rmsprop-rho", nullptr,
               "of rmsprop: the share of the mean square that a step keeps (0.9, as in Google's SupCon)",
               &O::rmsprop_rho, &H::rmsprop_rho, "0 or more and below 1", share_below_one});
  visit(Number{"--rmsprop-eps", nullptr,
               "of rmsprop: what is added to the mean square under the root (1, as in Google's SupCon)",
               &O::rmsprop_eps, &H::rmsprop_eps, "a number above 0", positive});
  visit(Number{"--warmup-epochs", "warmup_epochs", "linear warm-up (a tenth of the epochs, at most 10)",
               &O::warmup_epochs, &H::warmup_epochs, "0 or more, at most 1000000",
               [](const double& v) { return v >= 0 && v <= 1e6; }});
  visit(Number{"--warmup-start-lr", "warmup_start_lr", "where the warm-up starts (0)", &O::warmup_start_lr,
               &H::warmup_start_lr});
  visit(Number{"--temperature", "temperature", "of the loss (0.1)", &O::temperature, &H::temperature,
               "a number above 0", positive});
  visit(Number{"--base-temperature", "base_temperature",
               "scale the loss by temperature / this; 0: unscaled (0)", &O::base_temperature,
               &H::base_temperature, "0 or more", not_negative});
  visit(Text{"--pixels", "pixels", "mean and deviation of pixels: imagenet, cifar10 or cifar100", &O::pixels,
             &H::pixels});
  visit(Switch{"--deterministic", "deterministic", "on a GPU: the same bits in every run, at some cost",
               &O::deterministic});
  visit(Count{"-j,--workers", "workers", "threads that load images", &O::workers, nullptr, "0 to 1024",
              within<0, 1024>});
  visit(Count{"--steps-per-launch", "steps_per_launch",
              "on a GPU: steps that are started together (0: 4 of images up to 64 pixels, else 1)",
              &O::steps_a_launch, nullptr, "0 to 64", within<0, 64>});
  visit(Count{"--per-class", "per_class",
              "at least N images of each class that a batch draws, so that anchors have positives",
              &O::per_class, nullptr, "1 or more", at_least_one});
  visit(Switch{"--online-probe", "online_probe", "train a linear classifier alongside, for its accuracy",
               &O::online_probe});
  visit(Count{"--max-bad", "max_bad", "unreadable images that are accepted", &O::max_bad, nullptr, "0 or more",
              at_least_zero});
  visit(Switch{"--strict", "strict", "fail on the first unreadable or damaged image", &O::strict});
  visit(Count{"--keep-checkpoints", "keep_checkpoints", "the newest N stay, and the best", &O::keep_checkpoints,
              nullptr, "1 or more", at_least_one});
  visit(Switch{"--resume", nullptr, "go on with the run in --out; start anew when there is none", &O::resume});
  visit(
      Switch{"--allow-change", nullptr, "with --resume: go on with other settings or data", &O::allow_change});
  visit(Switch{"--overwrite", nullptr, "replace the run in --out", &O::overwrite});
  visit(Switch{"--dry-run", nullptr, "print parameters, activations and peak memory, then end", &O::dry_run});
}

}  // namespace kindred
