#include <kindred/apps/common/command_line.h>
#include <kindred/apps/common/device_report.h>
#include <kindred/apps/common/gpu_rates.h>
#include <kindred/apps/common/pretrain_options.h>
#include <kindred/apps/common/recipes.h>
#include <kindred/engine/error.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <thread>

namespace kindred {
namespace {

// What holds when neither a flag nor the recipe says otherwise.
HyperParameters defaults(std::int64_t image_size, std::int64_t epochs) {
  const bool small = image_size <= 64;
  HyperParameters p;
  p.model = "resnet50", p.head = "mlp", p.stem = name(default_stem(image_size)), p.optimizer = "sgd";
  p.augment = small ? "cifar" : "simaugment";
  p.pixels = image_size <= 32 ? "cifar10" : "imagenet";
  p.batch_size = 256, p.lr = 0.1, p.momentum = 0.9, p.weight_decay = 1e-4;
  p.rmsprop_rho = 0.9, p.rmsprop_eps = 1;  // stage one of google-research/supcon
  p.views = 2, p.temperature = 0.1, p.base_temperature = 0, p.lr_floor = 0, p.warmup_start_lr = 0;
  p.warmup_epochs = std::min(10.0, static_cast<double>(epochs) / 10);
  return p;
}

// First given wins.
template <typename T>
T pick(const std::optional<T>& flag, const std::optional<T>& recipe, const std::optional<T>& fallback) {
  return flag ? *flag : recipe ? *recipe : *fallback;
}

void check_positive(const char* flag, double value) {
  check(std::isfinite(value) && value > 0, ExitCode::usage, "{} {}: expected a number above 0", flag, value);
}

void check_not_negative(const char* flag, double value) {
  check(std::isfinite(value) && value >= 0, ExitCode::usage, "{} {}: expected 0 or more", flag, value);
}

void check_one_of(const char* flag, const std::string& value, std::initializer_list<const char*> known) {
  std::string names;
  for (const char* each : known) {
    if (value == each) return;
    names += (names.empty() ? "" : ", ") + std::string(each);
  }
  fail(ExitCode::usage, "{} {}: expected one of {}", flag, value, names);
}

void check_values(const PretrainOptions& o) {
  resnet_spec(o.model);
  check_one_of("--optimizer", o.optimizer, {"sgd", "lars", "rmsprop"});
  pixel_statistics(o.pixels);
  check(o.epochs >= 1 && o.epochs <= 1'000'000, ExitCode::usage, "--epochs {}: expected 1 to 1000000",
        o.epochs);
  check_positive("--temperature", o.temperature);
  check_not_negative("--base-temperature", o.base_temperature);
  check_not_negative("--lr", o.lr);
  check_not_negative("--weight-decay", o.weight_decay);
  check_not_negative("--warmup-epochs", o.warmup_epochs);
  check(o.momentum >= 0 && o.momentum < 1, ExitCode::usage, "--momentum {}: expected 0 or more and below 1",
        o.momentum);
  check(o.rmsprop_rho >= 0 && o.rmsprop_rho < 1, ExitCode::usage,
        "--rmsprop-rho {}: expected 0 or more and below 1", o.rmsprop_rho);
  check_positive("--rmsprop-eps", o.rmsprop_eps);
  check(o.warmup_epochs <= 1e6, ExitCode::usage, "--warmup-epochs {}: expected at most 1000000",
        o.warmup_epochs);
  check(o.lr_floor >= 0 && o.lr_floor <= 1, ExitCode::usage, "--lr-floor {}: expected 0 to 1", o.lr_floor);
  check(o.max_bad >= 0, ExitCode::usage, "--max-bad {}: expected 0 or more", o.max_bad);
  check(o.batch_size >= 1 && o.batch_size <= 1 << 20, ExitCode::usage, "--batch-size {}: expected 1 to 1048576",
        o.batch_size);
  check(o.views >= 1 && o.views <= 64, ExitCode::usage, "--views {}: expected 1 to 64", o.views);
  check(o.image_size >= 8 && o.image_size <= 4096, ExitCode::usage,
        "--image-size {}: expected 8 to 4096 pixels", o.image_size);
  check(o.workers >= 0 && o.workers <= 1024, ExitCode::usage, "--workers {}: expected 0 to 1024", o.workers);
  o.data.check_values();
  o.data.check_outside("--out", o.out);
  check(o.per_class >= 1 && o.batch_size % o.per_class == 0, ExitCode::usage,
        "--per-class {}: expected a divisor of --batch-size {}, 1 or more", o.per_class, o.batch_size);
  check(o.knn_every >= 0, ExitCode::usage, "--knn-every {}: expected 0 (never) or more", o.knn_every);
  check(o.keep_checkpoints >= 1, ExitCode::usage, "--keep-checkpoints {}: expected 1 or more",
        o.keep_checkpoints);
  check(!o.allow_change || o.resume, ExitCode::usage, "--allow-change is for --resume");
  check(!(o.resume && o.overwrite), ExitCode::usage, "--resume and --overwrite exclude each other");
}

// A prediction is for a GPU that need not be here.
void check_prediction(const PretrainOptions& o) {
  check(o.gpu.empty() || o.dry_run, ExitCode::usage,
        "--gpu is for --dry-run, which predicts a step's time there; --device cuda trains on the GPU that is "
        "here");
  check(o.prediction.empty() || !o.gpu.empty(), ExitCode::usage, "--prediction is for --dry-run --gpu");
  check(o.gpu.empty() || o.device == "auto" || o.device == "cuda", ExitCode::usage,
        "--device {} does not go with --gpu, which predicts for a GPU; leave one of them out", o.device);
  if (!o.gpu.empty()) gpu_rates(o.gpu);  // complains before the data set is read
  o.data.check_outside("--prediction", o.prediction);
}

// Flags that were given although the loss has no use for them. What a recipe brings along is no complaint.
void check_given(const HyperParameters& given, const std::string& name, const LossOptions& loss) {
  check_fits_loss("--temperature", given.temperature.has_value(),
                  loss.is_softmax() || loss.kind == LossKind::n_pairs, name);
  check_fits_loss("--base-temperature", given.base_temperature.has_value(), loss.is_softmax(), name);
  check_fits_loss("--head", given.head.has_value(), !loss.classifies(), name);
}

void check_fits_optimizer(const char* flag, const std::optional<double>& given, const std::string& optimizer) {
  check(!given || optimizer == "rmsprop", ExitCode::usage,
        "{} is for --optimizer rmsprop, not for {}; leave it out", flag, optimizer);
}

// Past features, the momentum encoder and micro-batches, which depend on the other options.
void check_memory(const PretrainOptions& o, const LossOptions& loss) {
  const bool remembers = o.queue != 0 || o.momentum_encoder != 0;
  check(!remembers || loss.is_softmax(), ExitCode::usage,
        "--queue and --momentum-encoder are for --loss supcon and simclr, not for {}", o.loss);
  check(!remembers || loss.supcon.positives_cap == 0, ExitCode::usage,
        "--positives-cap does not go with --queue or --momentum-encoder; leave it out");
  const std::int64_t rows = (o.momentum_encoder > 0 ? o.views - 1 : o.views) * o.batch_size;
  check(o.queue == 0 || (o.queue >= rows && o.queue <= 1 << 24), ExitCode::usage,
        "--queue {}: expected at least the {} rows that a batch puts in, and at most 16777216", o.queue, rows);
  if (o.momentum_encoder != 0) {
    check(o.momentum_encoder > 0 && o.momentum_encoder < 1, ExitCode::usage,
          "--momentum-encoder {}: expected a number above 0 and below 1 (0.999)", o.momentum_encoder);
    check(o.views >= 2, ExitCode::usage,
          "--momentum-encoder with --views 1: it sees all views but the first; use --views 2");
    check(view_sizes(o.view_groups).size() == 1, ExitCode::usage,
          "--momentum-encoder: the views of {} have several sizes; it takes one", o.augment);
  }
  check(o.micro_batch == 0 || o.batch_size % o.micro_batch == 0, ExitCode::usage,
        "--micro-batch {}: expected a divisor of --batch-size {}", o.micro_batch, o.batch_size);
}

// As a file for --augment would say it.
nlohmann::json augmentation_json(const PretrainOptions& o) {
  const bool plain = o.view_groups.size() == 1 && o.view_groups.front().size == o.image_size;
  return nlohmann::json::parse(plain ? to_json_text(o.view_groups.front().recipe)
                                     : to_json_text(o.view_groups));
}

}  // namespace

CheckpointInterval CheckpointInterval::parse(const std::string& text) {
  CheckpointInterval interval;
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const std::string unit(rest, end);
  const double unit_seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  const bool whole_steps = unit.empty() && value == std::floor(value) && value >= 1 && value < 1e15;
  check(error == std::errc() && std::isfinite(value) && value > 0 && (whole_steps || unit_seconds > 0),
        ExitCode::usage, "--checkpoint-every {}: expected steps (500) or a time (90s, 10m, 2h), more than 0",
        text);
  if (whole_steps)
    interval.steps = static_cast<std::int64_t>(value);
  else
    interval.seconds = value * unit_seconds;
  return interval;
}

std::string CheckpointInterval::to_string() const {
  return steps > 0 ? fmt::format("{}", steps) : seconds > 0 ? fmt::format("{}s", seconds) : "";
}

PixelStatistics PretrainOptions::pixel_statistics() const {
  return kindred::pixel_statistics(pixels);
}

nlohmann::json PretrainOptions::to_json() const {
  nlohmann::json json = {{"data", data.path},
                         {"model", model},
                         {"head", name(head)},
                         {"stem", name(stem)},
                         {"loss", loss},
                         {"views", views},
                         {"image_size", image_size},
                         {"batch_size", batch_size},
                         {"epochs", epochs},
                         {"optimizer", optimizer},
                         {"lr", lr},
                         {"lr_floor", lr_floor},
                         {"momentum", momentum},
                         {"weight_decay", weight_decay},
                         {"warmup_epochs", warmup_epochs},
                         {"warmup_start_lr", warmup_start_lr},
                         {"temperature", temperature},
                         {"base_temperature", base_temperature},
                         {"loss_options", loss_flags.to_json()},
                         {"augment", augment},
                         {"augmentation", augmentation_json(*this)},
                         {"pixels", pixels},
                         {"pixel_mean", pixel_statistics().mean},
                         {"pixel_std", pixel_statistics().deviation},
                         {"precision", kindred::name(precision)},
                         {"deterministic", deterministic},
                         {"device", device},
                         {"workers", workers},
                         {"steps_per_launch", steps_a_launch},
                         {"seed", seed},
                         {"weights", weights},
                         {"limit_per_class", data.limit_per_class},
                         {"limit_eval_per_class", data.limit_eval_per_class()},
                         {"val_fraction", data.val_fraction},
                         {"val_seed", data.val_seed},
                         {"sampling", kindred::name(sampling)},
                         {"per_class", per_class},
                         {"queue", queue},
                         {"momentum_encoder", momentum_encoder},
                         {"micro_batch", micro_batch},
                         {"batch_norm_scope", kindred::name(batch_norm_scope)},
                         {"online_probe", online_probe},
                         {"knn_every", knn_every},
                         {"max_bad", max_bad},
                         {"strict", strict},
                         {"checkpoint_every", checkpoint_every.to_string()},
                         {"keep_checkpoints", keep_checkpoints},
                         {"on_nonfinite", skip_nonfinite ? "skip" : "stop"},
                         {"recipe", recipe}};
  if (optimizer == "rmsprop") json["rmsprop_rho"] = rmsprop_rho, json["rmsprop_eps"] = rmsprop_eps;
  return json;
}

PretrainFlags::PretrainFlags(CLI::App& app) {
  plain_.workers = std::max(1u, std::thread::hardware_concurrency());
  plain_.loss = "supcon";
  plain_.device = "auto";
  plain_.max_bad = 100;
  plain_.data.add_to(app);
  app.add_option("--out", plain_.out, "folder for the results")->required();
  app.add_option("--recipe", plain_.recipe, recipe_help());
  app.add_option("--model", given_.model, "encoder: resnet18 to resnet152, resnet20 to resnet56 (resnet50)");
  app.add_option("--head", given_.head, "projection head: linear, mlp or none (mlp)");
  app.add_option("--stem", given_.stem, "imagenet or cifar (cifar up to 32 pixels)");
  app.add_option("--weights", plain_.weights,
                 "begin with these: an encoder.safetensors, or torchvision's, timm's or SupContrast's weights");
  app.add_option("--loss", plain_.loss,
                 "supcon, simclr (nt_xent), triplet, n_pairs, max_margin, or cross_entropy on a classifier")
      ->capture_default_str();
  plain_.loss_flags.add_to(app);
  app.add_option("--views", given_.views, "augmented views of each image (2)");
  app.add_option("--image-size", given_.image_size, "side of a view in pixels (224)");
  app.add_option("-b,--batch-size", given_.batch_size, "images in a batch, over all processes (256)");
  app.add_option("--epochs", given_.epochs, "passes over the training images (100)");
  app.add_option("--lr", given_.lr, "peak learning rate (0.1)");
  app.add_option("--lr-floor", given_.lr_floor, "the cosine ends at this share of the peak (0)");
  app.add_option("--optimizer", given_.optimizer, "sgd, lars or rmsprop (sgd)");
  app.add_option("--momentum", given_.momentum, "(0.9)");
  app.add_option("--weight-decay", given_.weight_decay, "(1e-4)");
  app.add_option("--rmsprop-rho", given_.rmsprop_rho,
                 "of rmsprop: the share of the mean square that a step keeps (0.9, as in Google's SupCon)");
  app.add_option("--rmsprop-eps", given_.rmsprop_eps,
                 "of rmsprop: what is added to the mean square under the root (1, as in Google's SupCon)");
  app.add_option("--warmup-epochs", given_.warmup_epochs, "linear warm-up (a tenth of the epochs, at most 10)");
  app.add_option("--warmup-start-lr", given_.warmup_start_lr, "where the warm-up starts (0)");
  app.add_option("--temperature", given_.temperature, "of the loss (0.1)");
  app.add_option("--base-temperature", given_.base_temperature,
                 "scale the loss by temperature / this; 0: unscaled (0)");
  app.add_option("--augment", given_.augment, recipe_names() + ", or a file: RECIPE.json (by image size)");
  app.add_option("--pixels", given_.pixels, "mean and deviation of pixels: imagenet, cifar10 or cifar100");
  app.add_option("--precision", precision_, precision_help);
  app.add_option("--device", plain_.device, device_help)->capture_default_str();
  app.add_flag("--deterministic", plain_.deterministic, "on a GPU: the same bits in every run, at some cost");
  app.add_option("-j,--workers", plain_.workers, "threads that load images")->capture_default_str();
  app.add_option("--steps-per-launch", plain_.steps_a_launch,
                 "on a GPU: steps that are started together (4 of images up to 64 pixels, else 1)")
      ->check(CLI::Range(0, 64));
  add_seed(app, plain_.seed, "of everything random");
  app.add_option("--sampling", sampling_,
                 "uniform, or inverse-frequency: every class equally often, however many images it has")
      ->capture_default_str();
  app.add_option("--per-class", plain_.per_class,
                 "at least N images of each class that a batch draws, so that anchors have positives")
      ->capture_default_str();
  app.add_option("--queue", queue_,
                 "past features that the loss of supcon or simclr sees beside the batch (0)");
  app.add_option("--momentum-encoder", momentum_encoder_,
                 "a slow copy of the model makes the contrasts, from all views but the first: its momentum");
  app.add_option("--micro-batch", micro_batch_,
                 "images that go through the network at once, for batches larger than memory (all)");
  app.add_option(
      "--batch-norm-scope", batch_norm_scope_,
      "with --micro-batch: statistics of each micro-batch, or of the full batch, exact and slower (micro)");
  app.add_flag("--online-probe", plain_.online_probe, "train a linear classifier alongside, for its accuracy");
  app.add_option("--knn-every", knn_every_,
                 "epochs between nearest-neighbour figures; 0: never (a tenth of --epochs)");
  app.add_option("--max-bad", plain_.max_bad, "unreadable images that are accepted")->capture_default_str();
  app.add_flag("--strict", plain_.strict, "fail on the first unreadable or damaged image");
  app.add_option(
      "--checkpoint-every", checkpoint_every_,
      "steps (500) or time (90s, 10m, 2h) between checkpoints (epochs and 10m, where that is cheap)");
  app.add_option("--keep-checkpoints", plain_.keep_checkpoints, "the newest N stay, and the best")
      ->capture_default_str();
  app.add_option("--on-nonfinite", on_nonfinite_,
                 "of a loss or gradient that is not finite: stop the run, or skip the step")
      ->capture_default_str();
  app.add_flag("--resume", plain_.resume, "go on with the run in --out; start anew when there is none");
  app.add_flag("--allow-change", plain_.allow_change, "with --resume: go on with other settings or data");
  app.add_flag("--overwrite", plain_.overwrite, "replace the run in --out");
  app.add_flag("--dry-run", plain_.dry_run, "print parameters, activations and peak memory, then end");
  app.add_option("--gpu", plain_.gpu,
                 fmt::format("with --dry-run: predict the time of each layer on {}, or RATES.json",
                             fmt::join(gpu_names(), ", ")))
      ->check(
          [](const std::string& text) { return text.empty() ? "expected h200, h100, a100 or a file" : ""; });
  app.add_option("--prediction", plain_.prediction, "with --gpu: write the figures to this JSON file");
}

PretrainOptions PretrainFlags::resolve() const {
  const HyperParameters from_recipe = plain_.recipe.empty() ? HyperParameters{} : recipe_named(plain_.recipe);
  PretrainOptions o = plain_;
  o.image_size = pick<std::int64_t>(given_.image_size, from_recipe.image_size, 224);
  o.epochs = pick<std::int64_t>(given_.epochs, from_recipe.epochs, 100);
  HyperParameters base = defaults(o.image_size, o.epochs);
  const auto value = [&](auto member) { return pick(given_.*member, from_recipe.*member, base.*member); };
  using H = HyperParameters;
  o.model = value(&H::model);
  o.head = parse_head(value(&H::head));
  o.stem = parse_stem(value(&H::stem));
  o.optimizer = value(&H::optimizer);
  o.augment = value(&H::augment);
  o.pixels = value(&H::pixels);
  o.batch_size = value(&H::batch_size);
  o.views = value(&H::views);
  o.lr = value(&H::lr);
  o.lr_floor = value(&H::lr_floor);
  o.momentum = value(&H::momentum);
  o.weight_decay = value(&H::weight_decay);
  o.rmsprop_rho = value(&H::rmsprop_rho);
  o.rmsprop_eps = value(&H::rmsprop_eps);
  o.warmup_epochs = value(&H::warmup_epochs);
  o.warmup_start_lr = value(&H::warmup_start_lr);
  o.temperature = value(&H::temperature);
  o.base_temperature = value(&H::base_temperature);
  // A recipe's warm-up is meant for its own number of epochs; a shorter run warms up for a tenth at most.
  if (!given_.warmup_epochs) o.warmup_epochs = std::min(o.warmup_epochs, static_cast<double>(o.epochs) / 10);
  o.knn_every = knn_every_.value_or(std::max<std::int64_t>(1, o.epochs / 10));
  o.sampling = parse_sampling(sampling_);
  if (!checkpoint_every_.empty()) o.checkpoint_every = CheckpointInterval::parse(checkpoint_every_);
  check_one_of("--on-nonfinite", on_nonfinite_, {"stop", "skip"});
  o.skip_nonfinite = on_nonfinite_ == "skip";
  check_prediction(o);
  o.precision = precision_for(precision_, o.gpu.empty() ? choose_device(o.device).device : Device::cuda);
  check_values(o);
  const ViewPlan plan = view_plan(o.augment, static_cast<int>(o.image_size), static_cast<int>(o.views));
  check(!plan.views_fixed || !given_.views || *given_.views == plan.views(), ExitCode::usage,
        "--views {}: {} describes {} views; leave --views out", o.views, o.augment, plan.views());
  o.view_groups = plan.groups;
  o.views = plan.views();
  o.queue = queue_.value_or(0);
  o.momentum_encoder = momentum_encoder_.value_or(0);
  o.micro_batch = micro_batch_.value_or(0);
  if (batch_norm_scope_) o.batch_norm_scope = parse_batch_norm_scope(*batch_norm_scope_);
  check(!momentum_encoder_ || o.momentum_encoder > 0, ExitCode::usage,
        "--momentum-encoder {}: expected a number above 0 and below 1 (0.999)", o.momentum_encoder);
  check(!micro_batch_ || o.micro_batch > 0, ExitCode::usage, "--micro-batch {}: expected 1 or more images",
        o.micro_batch);
  check(!batch_norm_scope_ || micro_batch_, ExitCode::usage, "--batch-norm-scope is for --micro-batch");
  const LossOptions loss = o.loss_flags.resolve(o.loss, o.temperature, o.base_temperature, o.views);
  check_given(given_, o.loss, loss);
  check_fits_optimizer("--rmsprop-rho", given_.rmsprop_rho, o.optimizer);
  check_fits_optimizer("--rmsprop-eps", given_.rmsprop_eps, o.optimizer);
  check_memory(o, loss);
  return o;
}

}  // namespace kindred
