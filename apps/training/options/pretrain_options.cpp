#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/apps/training/options/presets.h>
#include <kindred/data/views/recipe_json.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/layers/image_input/image_input.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace kindred {
namespace {

// ---- what one row says

// `plain` and `given` are where the flag's value goes.
template <typename T>
void add_flag(CommandLine& line, const OptionRow<T>& row, PretrainOptions& plain, GivenOptions& given) {
  if (row.given != nullptr) {
    Flag flag = line.add(row.flag, given.*row.given, row.help);
    if (row.shows_default) flag.shows_default(fmt::format("{}", *row.default_value));
    return;
  }
  if constexpr (std::is_same_v<T, bool>) {
    line.add_switch(row.flag, plain.*row.value, row.help);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    line.add_seed(plain.*row.value, row.help);
  } else if constexpr (std::is_same_v<T, typename OptionRow<T>::Written>) {
    if (row.default_value) plain.*row.value = *row.default_value;
    Flag flag = line.add(row.flag, plain.*row.value, row.help);
    if (row.shows_default) flag.shows_default();
  } else {
    fail(ExitCode::internal, "{}: a row whose text is parsed needs preset()", row.name());
  }
}

// What gives values, the most important first: the flags, the preset, what was chosen for the training images.
using Givers = std::array<const GivenOptions*, 3>;

// Sets the value of an option that a preset may set: the first that is given, or else the default.
template <typename T>
void resolve_row(const OptionRow<T>& row, const Givers& givers, PretrainOptions& o) {
  if (row.given == nullptr) return;
  for (const GivenOptions* giver : givers)
    if (const auto& written = giver->*row.given) {
      o.*row.value = row.parsed(*written);
      return;
    }
  if (row.default_value)
    o.*row.value = row.parsed(*row.default_value);
  else if (row.default_from != nullptr)
    o.*row.value = row.parsed(row.default_from(o));
}

template <typename T>
void check_row(const OptionRow<T>& row, const Givers& givers, const PretrainOptions& o) {
  if (row.accepts == nullptr) return;
  const auto gives = [&](const GivenOptions* giver) { return (giver->*row.given).has_value(); };
  if (row.given != nullptr && std::none_of(givers.begin(), givers.end(), gives)) return;
  const T& value = o.*row.value;
  check(row.accepts(value), ExitCode::usage, "{} {}: expected {}", row.name(), row.written(value),
        row.expected);
}

// ---- what no row says, because it depends on several options

void check_relations(const PretrainOptions& o) {
  o.data.check_values();
  o.data.check_outside("--out", o.out);
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

// The recipe or file of --augment says how the views are made, and a file also how many there are.
void set_views(PretrainOptions& o, const GivenOptions& flags) {
  const ImageViews made = image_views(o.augment, static_cast<int>(o.image_size), static_cast<int>(o.views));
  check(!made.views_fixed || !flags.views || *flags.views == made.views(), ExitCode::usage,
        "--views {}: {} describes {} views; leave --views out", o.views, o.augment, made.views());
  o.view_groups = made.groups;
  o.views = made.views();
}

// Rejects flags that were given but that the loss does not use. Values from a preset are not rejected.
void check_flags_fit_loss(const GivenOptions& flags, const std::string& name, const LossOptions& loss) {
  check_fits_loss("--temperature", flags.temperature.has_value(),
                  loss.is_softmax() || loss.kind == LossKind::n_pairs, name);
  check_fits_loss("--base-temperature", flags.base_temperature.has_value(), loss.is_softmax(), name);
  check_fits_loss("--head", flags.head.has_value(), !loss.classifies(), name);
}

void check_fits_optimizer(const char* flag, const std::optional<double>& given, OptimizerKind optimizer) {
  check(!given || optimizer == OptimizerKind::rmsprop, ExitCode::usage,
        "{} is for --optimizer rmsprop, not for {}; leave it out", flag, name(optimizer));
}

// Checks what a batch is divided into, and what takes in its features.
void check_batch(const PretrainOptions& o) {
  check(o.batch_size % o.per_class == 0, ExitCode::usage,
        "--per-class {}: expected a divisor of --batch-size {}, 1 or more", o.per_class, o.batch_size);
  const std::int64_t rows = (o.momentum_encoder > 0 ? o.views - 1 : o.views) * o.batch_size;
  check(o.queue == 0 || (o.queue >= rows && o.queue <= 1 << 24), ExitCode::usage,
        "--queue {}: expected at least the {} rows that a batch adds, and at most 16777216", o.queue, rows);
  check(o.micro_batch == 0 || o.batch_size % o.micro_batch == 0, ExitCode::usage,
        "--micro-batch {}: expected a divisor of --batch-size {}", o.micro_batch, o.batch_size);
}

// Checks the options for queue and momentum encoder, which depend on other options.
void check_beyond_the_batch(const PretrainOptions& o, const LossOptions& loss) {
  const bool remembers = o.queue != 0 || o.momentum_encoder != 0;
  check(!remembers || loss.is_softmax(), ExitCode::usage,
        "--queue and --momentum-encoder are for --loss supcon and simclr, not for {}", o.loss);
  check(!remembers || loss.supcon.positives_cap == 0, ExitCode::usage,
        "--positives-cap does not go with --queue or --momentum-encoder; leave it out");
  if (o.momentum_encoder != 0) {
    check(o.views >= 2, ExitCode::usage,
          "--momentum-encoder with --views 1: it processes all views except the first; use --views 2");
    check(view_sizes(o.view_groups).size() == 1, ExitCode::usage,
          "--momentum-encoder: the views of {} have several sizes; it takes one", o.augment);
  }
}

GivenOptions preset_of(const PretrainOptions& plain) {
  return plain.preset.empty() ? GivenOptions{} : preset_named(plain.preset);
}

// The augmentation in the form of a file for --augment.
nlohmann::json augmentation_json(const PretrainOptions& o) {
  const bool plain = o.view_groups.size() == 1 && o.view_groups.front().size == o.image_size;
  return parse_json(plain ? to_json_text(o.view_groups.front().recipe) : to_json_text(o.view_groups));
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

// Not in a row: the flags of the data set and of the losses, which have structs of their own, and what is made
// from several options.
nlohmann::json PretrainOptions::to_json() const {
  nlohmann::json json = {{"data", data.path},
                         {"limit_per_class", data.limit_per_class},
                         {"limit_eval_per_class", data.limit_eval_per_class()},
                         {"val_fraction", data.held_out_fraction()},
                         {"val_seed", data.val_seed},
                         {"loss_options", loss_flags.to_json()},
                         {"augmentation", augmentation_json(*this)},
                         {"pixel_mean", pixel_statistics().mean},
                         {"pixel_std", pixel_statistics().deviation}};
  for_each_option([&](const auto& row) {
    if (row.key != nullptr) json[row.key] = row.written(this->*row.value);
  });
  if (optimizer == OptimizerKind::rmsprop) {
    json["rmsprop_rho"] = rmsprop_rho;
    json["rmsprop_eps"] = rmsprop_eps;
  }
  return json;
}

PretrainFlags::PretrainFlags(CommandLine& line) {
  plain_.data.add_to(line);
  for_each_option([&](const auto& row) {
    add_flag(line, row, plain_, given_);
    if (row.name() == "--loss") plain_.loss_flags.add_to(line);  // they stand behind it in --help
  });
  // What one option alone needs.
  line.find("--out").required();
  line.find("--gpu").not_empty("expected h200, h100, a100 or a file");
}

bool PretrainFlags::leaves_batch_size_open() const {
  return !given_.batch_size && !preset_of(plain_).batch_size;
}

bool PretrainFlags::leaves_model_open() const {
  const GivenOptions preset = preset_of(plain_);
  return !given_.model && !given_.image_size && !preset.model && !preset.image_size && plain_.weights.empty();
}

PretrainOptions PretrainFlags::resolve(const GivenOptions& chosen) const {
  const GivenOptions preset = preset_of(plain_);
  const Givers givers = {&given_, &preset, &chosen};
  PretrainOptions o = plain_;
  for_each_option([&](const auto& row) { resolve_row(row, givers, o); });
  // A preset's warm-up is meant for the preset's number of epochs. A shorter run warms up for at most a tenth
  // of its epochs.
  if (!given_.warmup_epochs) o.warmup_epochs = std::min(o.warmup_epochs, static_cast<double>(o.epochs) / 10);
  check_prediction(o);
  // A default precision was made for the device, which need not be probed again. A chosen one was found usable, and
  // said so if it replaces another.
  if (chosen.precision)
    o.precision = parse_precision(*chosen.precision);
  else if (given_.precision || preset.precision)
    o.precision = usable_precision(o.precision, device_for(o));
  for_each_option([&](const auto& row) { check_row(row, givers, o); });
  check_relations(o);
  set_views(o, given_);
  check(!given_.batch_norm_scope || given_.micro_batch, ExitCode::usage,
        "--batch-norm-scope is for --micro-batch");
  const LossOptions loss = o.loss_flags.resolve(o.loss, o.temperature, o.base_temperature, o.views);
  check_flags_fit_loss(given_, o.loss, loss);
  check_fits_optimizer("--rmsprop-rho", given_.rmsprop_rho, o.optimizer);
  check_fits_optimizer("--rmsprop-eps", given_.rmsprop_eps, o.optimizer);
  check_beyond_the_batch(o, loss);
  if (!leaves_batch_size_open() || chosen.batch_size) check_batch(o);
  return o;
}

}  // namespace kindred
