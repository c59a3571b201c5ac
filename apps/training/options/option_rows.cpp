#include <kindred/apps/console/choice.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/apps/training/options/presets.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/resnet.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <cmath>
#include <thread>

namespace kindred {
namespace {

constexpr Named<OnNonFinite> on_nonfinite_names[] = {{OnNonFinite::stop, "stop"}, {OnNonFinite::skip, "skip"}};

constexpr Named<OptimizerKind> optimizer_names[] = {
    {OptimizerKind::sgd, "sgd"}, {OptimizerKind::lars, "lars"}, {OptimizerKind::rmsprop, "rmsprop"}};

// ---- what rows accept

bool positive(const double& v) {
  return std::isfinite(v) && v > 0;
}
bool not_negative(const double& v) {
  return std::isfinite(v) && v >= 0;
}
bool share_below_one(const double& v) {
  return v >= 0 && v < 1;
}
bool at_least_one(const std::int64_t& v) {
  return v >= 1;
}
bool at_least_zero(const std::int64_t& v) {
  return v >= 0;
}
template <std::int64_t least, std::int64_t most>
bool within(const std::int64_t& v) {
  return v >= least && v <= most;
}

// ---- texts of values

template <typename T>
std::string name_text(const T& value) {
  return name(value);
}

std::string known_model(const std::string& text) {
  return resnet_spec(text).name;
}

std::string known_pixels(const std::string& text) {
  pixel_statistics(text);
  return text;
}

CheckpointInterval interval_or_none(const std::string& text) {
  return text.empty() ? CheckpointInterval{} : CheckpointInterval::parse(text);
}

std::vector<AnyOptionRow> make_rows() {
  using G = GivenOptions;
  using O = PretrainOptions;
  using Text = OptionRow<std::string>;
  using Count = OptionRow<std::int64_t>;
  using Number = OptionRow<double>;
  using Switch = OptionRow<bool>;
  return {
      Text("--out", nullptr, "folder for the results", &O::out),
      // Its key is its old name, so that earlier runs can resume.
      Text("--preset,--recipe", "recipe", preset_help(), &O::preset),
      Text("--model", "model",
           "encoder: resnet18 to resnet152, resnet20 to resnet56 (resnet50; on a CPU, if --image-size is not "
           "given either: resnet20 or resnet18, by the size of the pictures)",
           &O::model)
          .preset(&G::model)
          .otherwise("resnet50")
          .text(known_model),
      Text("--weights", "weights",
           "file of initial weights: an encoder.safetensors, or torchvision's, timm's or SupContrast's weights",
           &O::weights),
      Count("--views", "views", "augmented views of each image (2)", &O::views)
          .preset(&G::views)
          .otherwise(2)
          .must_be("1 to 64", within<1, 64>),
      Count("--image-size", "image_size",
            "side of a view in pixels (224; on a CPU, if --model is not given either: 32 to 128)",
            &O::image_size)
          .preset(&G::image_size)
          .otherwise(224)
          .must_be("8 to 4096 pixels", within<8, 4096>),
      Count("-b,--batch-size", "batch_size",
            "images in a batch, over all processes (256, or as many as a smaller set has)", &O::batch_size)
          .preset(&G::batch_size)
          .otherwise(256)
          .must_be("1 to 1048576", within<1, 1 << 20>),
      Count("--epochs", "epochs", "passes over the training images (100)", &O::epochs)
          .preset(&G::epochs)
          .otherwise(100)
          .must_be("1 to 1000000", within<1, 1'000'000>),
      Number("--lr", "lr", "peak learning rate (0.1)", &O::lr)
          .preset(&G::lr)
          .otherwise(0.1)
          .must_be("0 or more", not_negative),
      Number("--lr-floor", "lr_floor", "the cosine ends at this share of the peak (0)", &O::lr_floor)
          .preset(&G::lr_floor)
          .otherwise(0)
          .must_be("0 to 1", [](const double& v) { return v >= 0 && v <= 1; }),
      OptionRow<OptimizerKind>("--optimizer", "optimizer", names_of(optimizer_names, " or ") + " (sgd)",
                               &O::optimizer)
          .preset(&G::optimizer)
          .otherwise("sgd")
          .text([](const std::string& text) { return choice("--optimizer", text, optimizer_names); },
                name_text<OptimizerKind>),
      Number("--momentum", "momentum", "of the optimizer (0.9)", &O::momentum)
          .preset(&G::momentum)
          .otherwise(0.9)
          .must_be("0 or more and below 1", share_below_one),
      Number("--weight-decay", "weight_decay", "of the optimizer (1e-4)", &O::weight_decay)
          .preset(&G::weight_decay)
          .otherwise(1e-4)
          .must_be("0 or more", not_negative),
      // Only runs with this optimizer depend on the two, so PretrainOptions::to_json() writes them. The
      // defaults are those of stage one of google-research/supcon.
      Number("--rmsprop-rho", nullptr,
             "rmsprop: the share of the mean square that a step keeps (0.9, as in Google's SupCon)",
             &O::rmsprop_rho)
          .preset(&G::rmsprop_rho)
          .otherwise(0.9)
          .must_be("0 or more and below 1", share_below_one),
      Number("--rmsprop-eps", nullptr, "rmsprop: epsilon, added inside the root (1, as in Google's SupCon)",
             &O::rmsprop_eps)
          .preset(&G::rmsprop_eps)
          .otherwise(1)
          .must_be("a number above 0", positive),
      Number("--warmup-epochs", "warmup_epochs", "linear warm-up (a tenth of the epochs, at most 10)",
             &O::warmup_epochs)
          .preset(&G::warmup_epochs)
          .otherwise_from([](const O& o) { return std::min(10.0, static_cast<double>(o.epochs) / 10); })
          .must_be("0 or more, at most 1000000", [](const double& v) { return v >= 0 && v <= 1e6; }),
      Number("--warmup-start-lr", "warmup_start_lr", "where the warm-up starts (0)", &O::warmup_start_lr)
          .preset(&G::warmup_start_lr)
          .otherwise(0),
      Number("--temperature", "temperature", "of the loss (0.1)", &O::temperature)
          .preset(&G::temperature)
          .otherwise(0.1)
          .must_be("a number above 0", positive),
      Number("--base-temperature", "base_temperature", "scale the loss by temperature / this; 0: unscaled (0)",
             &O::base_temperature)
          .preset(&G::base_temperature)
          .otherwise(0)
          .must_be("0 or more", not_negative),
      Text("--pixels", "pixels", "mean and deviation of pixels: imagenet, cifar10 or cifar100", &O::pixels)
          .preset(&G::pixels)
          .otherwise_from([](const O& o) -> std::string { return o.image_size <= 32 ? "cifar10" : "imagenet"; })
          .text(known_pixels),
      Switch("--deterministic", "deterministic", "on a GPU: the same bits in every run, at some cost",
             &O::deterministic),
      Count("-j,--workers", "workers", "threads that load images", &O::workers)
          .otherwise(std::max(1u, std::thread::hardware_concurrency()))
          .shown()
          .must_be("0 to 1024", within<0, 1024>),
      Count("--steps-per-launch", "steps_per_launch",
            "on a GPU: steps that are started together (0: 4 of images up to 64 pixels, else 1)",
            &O::steps_a_launch)
          .shown()
          .must_be("0 to 64", within<0, 64>),
      Count("--per-class", "per_class",
            "at least N images of each class in a batch, so that anchors have positives", &O::per_class)
          .shown()
          .must_be("1 or more", at_least_one),
      Switch("--online-probe", "online_probe", "also train a linear classifier and report its accuracy",
             &O::online_probe),
      Text("--max-bad", "max_bad", "unreadable images that are accepted: a number, or a share such as 5%",
           &O::max_bad)
          .shown()
          .must_be(max_bad_expected,
                   [](const std::string& text) { return accepted_bad_images(text, 0).has_value(); }),
      Switch("--strict", "strict", "fail on the first unreadable or damaged image", &O::strict),
      Count("--keep-checkpoints", "keep_checkpoints", "the newest N stay, and the best", &O::keep_checkpoints)
          .shown()
          .must_be("1 or more", at_least_one),
      Switch("--resume", nullptr, "continue the run in --out, or start a new one", &O::resume),
      Switch("--allow-change", nullptr, "with --resume: continue even with other settings or data",
             &O::allow_change),
      Switch("--overwrite", nullptr, "replace the run in --out", &O::overwrite),
      Switch("--dry-run", nullptr, "print parameters, activations and peak memory, then end", &O::dry_run),
      OptionRow<HeadKind>("--head", "head", "projection head: linear, mlp or none (mlp)", &O::head)
          .preset(&G::head)
          .otherwise("mlp")
          .text(parse_head, name_text),
      OptionRow<Stem>("--stem", "stem", "imagenet or cifar (cifar up to 32 pixels)", &O::stem)
          .preset(&G::stem)
          .otherwise_from([](const O& o) { return name_text(default_stem(o.image_size)); })
          .text(parse_stem, name_text),
      Text("--loss", "loss",
           "supcon, simclr (nt_xent), triplet, n_pairs, max_margin, or cross_entropy on a classifier", &O::loss)
          .shown(),
      Text("--augment", "augment", recipe_names() + ", or a file: RECIPE.json (by image size)", &O::augment)
          .preset(&G::augment)
          .otherwise_from(
              [](const O& o) -> std::string { return o.image_size <= 64 ? "cifar" : "simaugment"; }),
      OptionRow<Precision>("--precision", "precision", precision_help, &O::precision)
          .preset(&G::precision)
          .otherwise_from([](const O& o) { return name_text(default_precision(device_for(o))); })
          .text(parse_precision, name_text),
      Text("--device", "device", device_help, &O::device).otherwise("auto").shown(),
      OptionRow<std::uint64_t>("--seed", "seed", "of everything random", &O::seed),
      OptionRow<Sampling>(
          "--sampling", "sampling",
          "uniform, or inverse-frequency: every class equally often, however many images it has", &O::sampling)
          .preset(&G::sampling)
          .otherwise("uniform")
          .shown()
          .text(parse_sampling, name_text),
      Count("--queue", "queue", "supcon and simclr: number of past features that are also contrasts (0)",
            &O::queue),
      Number(
          "--momentum-encoder", "momentum_encoder",
          "momentum of a slow copy of the model, which computes the contrasts from all views except the first",
          &O::momentum_encoder)
          .preset(&G::momentum_encoder)
          .otherwise(0)
          .must_be("a number above 0 and below 1 (0.999)", [](const double& v) { return v > 0 && v < 1; }),
      Count("--micro-batch", "micro_batch",
            "images that go through the network at once, for batches larger than memory (all)", &O::micro_batch)
          .preset(&G::micro_batch)
          .otherwise(0)
          .must_be("1 or more images", at_least_one),
      OptionRow<BatchNormScope>(
          "--batch-norm-scope", "batch_norm_scope",
          "with --micro-batch: statistics of each micro-batch, or of the full batch, exact and slower (micro)",
          &O::batch_norm_scope)
          .preset(&G::batch_norm_scope)
          .otherwise("micro")
          .text(parse_batch_norm_scope, name_text),
      Count("--knn-every", "knn_every",
            "epochs between nearest-neighbour figures; 0: never (a tenth of --epochs)", &O::knn_every)
          .preset(&G::knn_every)
          .otherwise_from([](const O& o) { return std::max<std::int64_t>(1, o.epochs / 10); })
          .must_be("0 (never) or more", at_least_zero),
      OptionRow<CheckpointInterval>(
          "--checkpoint-every", "checkpoint_every",
          "steps (500) or time (90s, 10m, 2h) between checkpoints (epochs and 10m, if saving is fast)",
          &O::checkpoint_every)
          .preset(&G::checkpoint_every)
          .text(interval_or_none, [](const CheckpointInterval& interval) { return interval.to_string(); }),
      OptionRow<OnNonFinite>("--on-nonfinite", "on_nonfinite",
                             "if a loss or gradient is not finite: stop the run, or skip the step",
                             &O::on_nonfinite)
          .preset(&G::on_nonfinite)
          .otherwise("stop")
          .shown()
          .text([](const std::string& text) { return choice("--on-nonfinite", text, on_nonfinite_names); },
                [](const OnNonFinite& on) -> std::string { return name_of(on_nonfinite_names, on); }),
      Text("--gpu", nullptr,
           fmt::format("with --dry-run: predict the time of each layer on {}, or RATES.json",
                       fmt::join(gpu_names(), ", ")),
           &O::gpu),
      Text("--prediction", nullptr, "with --gpu: write the figures to this JSON file", &O::prediction)};
}

}  // namespace

const char* name(OptimizerKind kind) {
  return name_of(optimizer_names, kind);
}

const std::vector<AnyOptionRow>& option_rows() {
  static const std::vector<AnyOptionRow> rows = make_rows();
  return rows;
}

Device device_for(const PretrainOptions& options) {
  return options.gpu.empty() ? choose_device(options.device).device : Device::cuda;
}

}  // namespace kindred
