#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/apps/training/option_rows.h>
#include <kindred/apps/training/presets.h>
#include <kindred/apps/training/pretrain_options.h>
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

// The values if neither a flag nor the preset gives them.
HyperParameters defaults(std::int64_t image_size, std::int64_t epochs) {
  const bool small = image_size <= 64;
  HyperParameters p;
  p.model = "resnet50", p.head = "mlp", p.stem = name(default_stem(image_size)), p.optimizer = "sgd";
  p.augment = small ? "cifar" : "simaugment";
  p.pixels = image_size <= 32 ? "cifar10" : "imagenet";
  p.image_size = image_size, p.epochs = epochs;
  p.batch_size = 256, p.lr = 0.1, p.momentum = 0.9, p.weight_decay = 1e-4;
  p.rmsprop_rho = 0.9, p.rmsprop_eps = 1;  // stage one of google-research/supcon
  p.views = 2, p.temperature = 0.1, p.base_temperature = 0, p.lr_floor = 0, p.warmup_start_lr = 0;
  p.warmup_epochs = std::min(10.0, static_cast<double>(epochs) / 10);
  return p;
}

// The first value that is given.
template <typename T>
T pick(const std::optional<T>& flag, const std::optional<T>& preset, const std::optional<T>& fallback) {
  return flag ? *flag : preset ? *preset : *fallback;
}

void check_one_of(const char* flag, const std::string& value, std::initializer_list<const char*> known) {
  std::string names;
  for (const char* each : known) {
    if (value == each) return;
    names += (names.empty() ? "" : ", ") + std::string(each);
  }
  fail(ExitCode::usage, "{} {}: expected one of {}", flag, value, names);
}

// Checks every row, then the options that depend on each other.
void check_values(const PretrainOptions& o) {
  for_each_option([&](const auto& row) {
    if (row.accepts != nullptr)
      check(row.accepts(o.*row.value), ExitCode::usage, "{} {}: expected {}", row.name(), o.*row.value,
            row.expected);
  });
  resnet_spec(o.model);
  pixel_statistics(o.pixels);
  o.data.check_values();
  o.data.check_outside("--out", o.out);
  check(o.batch_size % o.per_class == 0, ExitCode::usage,
        "--per-class {}: expected a divisor of --batch-size {}, 1 or more", o.per_class, o.batch_size);
  check(o.knn_every >= 0, ExitCode::usage, "--knn-every {}: expected 0 (never) or more", o.knn_every);
  check(!o.allow_change || o.resume, ExitCode::usage, "--allow-change is for --resume");
  check(!(o.resume && o.overwrite), ExitCode::usage, "--resume and --overwrite exclude each other");
}

// The GPU of a prediction need not be present.
void check_prediction(const PretrainOptions& o) {
  check(o.gpu.empty() || o.dry_run, ExitCode::usage,
        "--gpu is for --dry-run, which predicts a step's time there; --device cuda trains on the GPU that is "
        "here");
  check(o.prediction.empty() || !o.gpu.empty(), ExitCode::usage, "--prediction is for --dry-run --gpu");
  check(o.gpu.empty() || o.device == "auto" || o.device == "cuda", ExitCode::usage,
        "--device {} does not go with --gpu, which predicts for a GPU; leave one of them out", o.device);
  if (!o.gpu.empty()) gpu_rates(o.gpu);  // throws before the data set is read
  o.data.check_outside("--prediction", o.prediction);
}

// Rejects flags that were given but that the loss does not use. Values from a preset are not rejected.
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

// Checks the options for queue, momentum encoder and micro-batches, which depend on other options.
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

// The augmentation in the form of a file for --augment.
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
                         {"head", name(head)},
                         {"stem", name(stem)},
                         {"loss", loss},
                         {"loss_options", loss_flags.to_json()},
                         {"augment", augment},
                         {"augmentation", augmentation_json(*this)},
                         {"pixel_mean", pixel_statistics().mean},
                         {"pixel_std", pixel_statistics().deviation},
                         {"precision", kindred::name(precision)},
                         {"device", device},
                         {"seed", seed},
                         {"limit_per_class", data.limit_per_class},
                         {"limit_eval_per_class", data.limit_eval_per_class()},
                         {"val_fraction", data.val_fraction},
                         {"val_seed", data.val_seed},
                         {"sampling", kindred::name(sampling)},
                         {"queue", queue},
                         {"momentum_encoder", momentum_encoder},
                         {"micro_batch", micro_batch},
                         {"batch_norm_scope", kindred::name(batch_norm_scope)},
                         {"knn_every", knn_every},
                         {"checkpoint_every", checkpoint_every.to_string()},
                         {"on_nonfinite", skip_nonfinite ? "skip" : "stop"},
                         {"recipe", preset}};  // its old name, so that earlier runs can resume
  for_each_option([&](const auto& row) {
    if (row.key != nullptr) json[row.key] = this->*row.value;
  });
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
  app.add_option("--preset,--recipe", plain_.preset, preset_help());
  for_each_option([&]<typename T>(const OptionRow<T>& row) {
    CLI::Option* option;
    if constexpr (std::is_same_v<T, bool>)
      option = app.add_flag(row.flag, plain_.*row.value, row.help);
    else if (row.given != nullptr)
      option = app.add_option(row.flag, given_.*row.given, row.help);
    else
      option = app.add_option(row.flag, plain_.*row.value, row.help);
    if constexpr (std::is_same_v<T, std::int64_t>)
      if (row.given == nullptr) option->capture_default_str();
  });
  app.add_option("--head", given_.head, "projection head: linear, mlp or none (mlp)");
  app.add_option("--stem", given_.stem, "imagenet or cifar (cifar up to 32 pixels)");
  app.add_option("--loss", plain_.loss,
                 "supcon, simclr (nt_xent), triplet, n_pairs, max_margin, or cross_entropy on a classifier")
      ->capture_default_str();
  plain_.loss_flags.add_to(app);
  app.add_option("--augment", given_.augment, recipe_names() + ", or a file: RECIPE.json (by image size)");
  app.add_option("--precision", precision_, precision_help);
  app.add_option("--device", plain_.device, device_help)->capture_default_str();
  add_seed(app, plain_.seed, "of everything random");
  app.add_option("--sampling", sampling_,
                 "uniform, or inverse-frequency: every class equally often, however many images it has")
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
  app.add_option("--knn-every", knn_every_,
                 "epochs between nearest-neighbour figures; 0: never (a tenth of --epochs)");
  app.add_option(
      "--checkpoint-every", checkpoint_every_,
      "steps (500) or time (90s, 10m, 2h) between checkpoints (epochs and 10m, where that is cheap)");
  app.add_option("--on-nonfinite", on_nonfinite_,
                 "of a loss or gradient that is not finite: stop the run, or skip the step")
      ->capture_default_str();
  app.add_option("--gpu", plain_.gpu,
                 fmt::format("with --dry-run: predict the time of each layer on {}, or RATES.json",
                             fmt::join(gpu_names(), ", ")))
      ->check(
          [](const std::string& text) { return text.empty() ? "expected h200, h100, a100 or a file" : ""; });
  app.add_option("--prediction", plain_.prediction, "with --gpu: write the figures to this JSON file");
}

PretrainOptions PretrainFlags::resolve() const {
  const HyperParameters from_preset = plain_.preset.empty() ? HyperParameters{} : preset_named(plain_.preset);
  PretrainOptions o = plain_;
  const HyperParameters base = defaults(pick<std::int64_t>(given_.image_size, from_preset.image_size, 224),
                                        pick<std::int64_t>(given_.epochs, from_preset.epochs, 100));
  const auto value = [&](auto member) { return pick(given_.*member, from_preset.*member, base.*member); };
  for_each_option([&](const auto& row) {
    if (row.given != nullptr) o.*row.value = value(row.given);
  });
  o.head = parse_head(value(&HyperParameters::head));
  o.stem = parse_stem(value(&HyperParameters::stem));
  o.augment = value(&HyperParameters::augment);
  // A preset's warm-up is meant for the preset's number of epochs. A shorter run warms up for at most a tenth
  // of its epochs.
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
