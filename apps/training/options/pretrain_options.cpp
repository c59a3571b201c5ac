#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/processes/start.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/config_conflicts.h>
#include <kindred/apps/training/options/config_file.h>
#include <kindred/apps/training/options/config_paths.h>
#include <kindred/apps/training/options/option_relations.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/apps/training/options/presets.h>
#include <kindred/apps/training/options/resume_flag.h>
#include <kindred/data/views/recipe_json.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/layers/image_input/image_input.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace kindred {
namespace {

constexpr const char* config_help =
    "file of options: a run's config.json, or another with the same names; flags override it";

// ---- what one row says

// `plain` and `given` are where the flag's value goes.
template <typename T>
void add_flag(CommandLine& line, const OptionRow<T>& row, PretrainOptions& plain, GivenOptions& given) {
  const std::string help = row.expected == nullptr ? row.help : fmt::format("{}; {}", row.help, row.expected);
  if (row.given != nullptr) {
    Flag flag = line.add(row.flag, given.*row.given, help);
    if (row.shows_default) flag.shows_default(fmt::format("{}", *row.default_value));
    return;
  }
  if constexpr (std::is_same_v<T, bool>) {
    line.add_switch(row.flag, plain.*row.value, help);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    line.add_seed(plain.*row.value, help);
  } else if constexpr (std::is_same_v<T, typename OptionRow<T>::Written>) {
    if (row.default_value) plain.*row.value = *row.default_value;
    Flag flag = line.add(row.flag, plain.*row.value, help);
    if (row.shows_default) flag.shows_default();
  } else {
    fail(ExitCode::internal, "{}: a row whose text is parsed needs preset()", row.name());
  }
}

// What gives values, the most important first: the flags, the preset, the file of --config, what was chosen for the
// training images.
using Givers = std::array<const GivenOptions*, 4>;

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
    const bool is_recorded = row.key != nullptr && (row.is_recorded == nullptr || row.is_recorded(*this));
    if (is_recorded) json[row.key] = row.written(this->*row.value);
  });
  if (!data.labels.empty()) json["labels"] = data.labels;
  if (!data.shards.empty()) {
    json["shards"] = data.shards;
    json["shard_timeout"] = data.shard_timeout;
  }
  if (!data.val_shards.empty()) json["val_shards"] = data.val_shards;
  if (!data.shard_cache.empty()) json["shard_cache"] = data.shard_cache;
  if (!data.named_split.empty()) json["split"] = data.named_split;
  return json;
}

PretrainFlags::PretrainFlags(CommandLine& line, PlaceOfSettings place) {
  plain_.data.add_to(line);
  plain_.data.add_evaluation_split_to(line);
  for_each_option([&](const auto& row) {
    add_flag(line, row, plain_, given_);
    // What is in no row stands between them in --help.
    if (row.name() == "--preset") line.add("--config", config_file_, config_help);
    if (row.name() == "--loss") plain_.loss_flags.add_to(line);
    if (row.name() == "--keep-checkpoints") line.add_switch_with_text("--resume", resume_, resume_help);
  });
  line.add_quiet();
  // What one option alone needs.
  line.find("--out").required();
  line.find("--prediction").writes_file();
  line.find("--log-every").excludes(line.find("--quiet"));
  // What a flag may say in the place of another.
  line.complete_first([this, place](std::vector<std::string>& plain) {
    config_is_of_resumed_run_ = take_settings_of_run(plain, place);
  });
  line.read_first("--config", [this, &line, place](const std::string& file) {
    ConfigOptions read = read_config(place(file).string(), plain_);
    config_ = std::move(read.given);
    config_flags_ = std::move(read.flags);
    config_started_in_ = std::move(read.started_in);
    device_of_config_ = std::move(read.device);
    preset_of_config_ = std::exchange(plain_.preset, "");
    data_of_config_ = plain_.data.path;
    line.find("DIR").required(plain_.data.path.empty());
  });
  line.when_parsed([this, &line] { fit_config(line); });
  line.read_first("--resume",
                  [&line](const std::string& text) { line.find("--out").required(!names_run(text)); });
}

void PretrainFlags::fit_config(const CommandLine& line) {
  if (config_file_.empty()) return;
  plain_.config = config_file_;
  resolve_config_paths({line, config_file_, config_started_in_}, plain_, config_, data_of_config_);
  if (!line.has("DIR")) plain_.data.said_in = config_file_;
  if (config_is_of_resumed_run_)
    fmt::print("{}\n", one_line(fmt::format(
                           "{} gives {}all options that were not typed", config_file_,
                           line.has("DIR") ? "" : fmt::format("the data set, {}, and ", plain_.data.path))));
  std::erase_if(config_flags_, [&](const std::string& flag) { return line.has(flag); });
  leave_out_conflicts(
      {line, given_, config_file_, data_of_config_, config_is_of_resumed_run_, device_of_config_}, plain_,
      config_);
}

GivenOptions PretrainFlags::preset() const {
  if (plain_.preset.empty()) return {};
  GivenOptions preset = preset_named(plain_.preset);
  // Its rates are for its own optimizer; AdamW's are a hundred times smaller than the others'.
  if (given_.optimizer == "adamw" && preset.optimizer != "adamw") {
    preset.lr.reset();
    preset.warmup_start_lr.reset();
    preset.weight_decay.reset();
  }
  return preset;
}

ProcessesAsked PretrainFlags::asked_processes() const {
  ProcessesAsked asked;
  asked.processes = given_.processes;
  asked.gpus = given_.gpus;
  asked.timeout = plain_.timeout;
  asked.device = plain_.device;
  asked.may_start_others = !plain_.dry_run;
  return asked;
}

bool PretrainFlags::config_gives(const std::string& flag) const {
  return std::find(config_flags_.begin(), config_flags_.end(), flag) != config_flags_.end();
}

bool PretrainFlags::leaves_batch_size_open() const {
  return leaves_open(&GivenOptions::batch_size);
}

bool PretrainFlags::leaves_model_open() const {
  return leaves_open(&GivenOptions::model) && leaves_open(&GivenOptions::image_size) && plain_.weights.empty();
}

PretrainOptions PretrainFlags::resolve(const GivenOptions& chosen) const {
  try {
    return resolve_values(chosen);
  } catch (const Error& error) {
    rethrow_naming_config(error, config_file_, config_flags_);
  }
}

PretrainOptions PretrainFlags::resolve_values(const GivenOptions& chosen) const {
  const GivenOptions of_preset = preset();
  const Givers givers = {&given_, &of_preset, &config_, &chosen};
  PretrainOptions o = plain_;
  set_resume(o, resume_);
  if (o.freeze_until == "none") o.freeze_until.clear();  // it overrides that of a file
  for_each_option([&](const auto& row) { resolve_row(row, givers, o); });
  set_processes(o, given_);
  if (o.preset.empty()) o.preset = preset_of_config_;
  o.data.exif = o.exif;
  // The warm-up of a preset or a file is meant for the number of epochs there. A shorter run warms up for at most a
  // tenth of its epochs.
  const bool is_meant = given_.warmup_epochs || (config_.warmup_epochs && !given_.epochs);
  if (!is_meant) o.warmup_epochs = std::min(o.warmup_epochs, static_cast<double>(o.epochs) / 10);
  check_prediction(o);
  // A default precision was made for the device, which need not be probed again. A chosen one was found usable, and
  // said so if it replaces another.
  if (chosen.precision)
    o.precision = parse_precision(*chosen.precision);
  else if (given_.precision || of_preset.precision || config_.precision)
    o.precision = usable_precision(o.precision, device_for(o));
  for_each_option([&](const auto& row) { check_row(row, givers, o); });
  check_relations(o);
  set_views(o, given_);
  const LossOptions loss = o.loss_flags.resolve(o.loss, o.temperature, o.base_temperature, o.views);
  check_flags_fit(o, given_, loss);
  check_beyond_the_batch(o, loss);
  check_freezing(o, loss, !leaves_open(&GivenOptions::model) || chosen.model);
  if (!leaves_batch_size_open() || chosen.batch_size) {
    check_batch(o);
    check_one_image(o, loss);
  }
  return o;
}

}  // namespace kindred
