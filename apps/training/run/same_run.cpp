#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/training/options/config_paths.h>
#include <kindred/apps/training/options/resume_flag.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/same_run.h>
#include <kindred/apps/training/run/start.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

// Settings that may change without changing the final weights of a run. The data set is compared by its
// fingerprint.
constexpr std::array<std::string_view, 27> free_settings = {"workers",
                                                            "steps_per_launch",
                                                            "device",
                                                            "data",
                                                            "knn_every",
                                                            "recipe",
                                                            "augment",
                                                            "max_bad",
                                                            "strict",
                                                            "checkpoint_every",
                                                            "keep_checkpoints",
                                                            "on_nonfinite",
                                                            "images",
                                                            "val_fraction",
                                                            "val_seed",
                                                            "labels",
                                                            "split",
                                                            "evaluated_on",
                                                            "early_stop",
                                                            "processes",
                                                            "shards",
                                                            "val_shards",
                                                            "shard_cache",
                                                            "shard_timeout",
                                                            "no_tensorboard",
                                                            "metrics_csv",
                                                            "report"};

// Settings that config.json has only if they are not the usual ones (OptionRow::recorded_if), and that no other setting
// goes along with. To leave them out is a change too.
constexpr std::array<const char*, 7> settings_of_some_runs = {
    "resize", "exif", "best", "freeze_until", "encoder_lr_factor", "sync_batch_norm", "gradient_wire"};

// Whether two config.json say the same images to evaluate on. Their folder may have moved.
bool is_on_same_images(const nlohmann::json& one, const nlohmann::json& other) {
  const auto images = [](const nlohmann::json& config) {
    const nlohmann::json on = config.value("evaluated_on", nlohmann::json());
    if (!on.is_object()) return nlohmann::json();
    return nlohmann::json(
        {{"images", on.value("images", nlohmann::json())}, {"split", on.value("split", nlohmann::json())}});
  };
  return images(one) == images(other);
}

// Whether the file of initial weights is the one of the run so far, whose name was typed in another folder.
bool are_same_weights(const nlohmann::json& before, const nlohmann::json& now) {
  const auto text = [](const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : "";
  };
  if (!before.is_object() || !before.contains("weights")) return false;
  return is_same_place(text(before["weights"]), text(before.value(started_in, nlohmann::json())), text(now));
}

bool has_relative_path(const nlohmann::json& settings) {
  for (const char* const key : {"data", "labels", "weights"}) {
    const nlohmann::json path = settings.value(key, nlohmann::json());
    if (path.is_string() && !path.get_ref<const std::string&>().empty() &&
        std::filesystem::path(path.get<std::string>()).is_relative())
      return true;
  }
  return false;
}

}  // namespace

nlohmann::json settings_of_run(const std::filesystem::path& run) {
  std::error_code ignored;
  const std::filesystem::path file = run / "config.json";
  if (!std::filesystem::exists(file, ignored)) return nlohmann::json();
  try {
    return read_json(file);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}; {}", error.what(), advice_on_damaged_settings(run)),
                error.cause());
  }
}

bool says_other_settings(const nlohmann::json& before, const nlohmann::json& now, const nlohmann::json& facts) {
  if (!before.is_object()) return true;
  const auto says = [](const nlohmann::json& settings, const char* key) {
    return settings.value(key, nlohmann::json());
  };
  for (const auto& [key, value] : now.items()) {
    if (key == "device" || key == "evaluated_on") continue;
    if (!before.contains(key) || before[key] != value) return true;
  }
  // What the file has only of some runs, and this one no more.
  for (const auto& [key, value] : before.items())
    if (!now.contains(key) && !is_fact_of_start(key) && key != device_asked && key != "evaluated_on" &&
        key != weights_checksum)
      return true;
  if (facts.contains(weights_checksum) && says(before, weights_checksum) != says(facts, weights_checksum))
    return true;
  if (says(before, started_in) != says(facts, started_in) && has_relative_path(now)) return true;
  return says(before, "device") != says(facts, "device") || says(before, device_asked) != says(now, "device") ||
         !is_on_same_images(before, now);
}

std::vector<std::string> changed_settings(const std::filesystem::path& run, const nlohmann::json& now) {
  const nlohmann::json before = settings_of_run(run);
  std::vector<std::string> changes;
  for (const auto& [key, value] : now.items()) {
    if (std::find(free_settings.begin(), free_settings.end(), key) != free_settings.end()) continue;
    if (before.is_object() && before.contains(key) && before[key] == value) continue;
    if (key == "weights" && are_same_weights(before, value)) continue;
    const std::string was = before.is_object() && before.contains(key) ? json_text(before[key]) : "not there";
    if (key == "data_fingerprint" && before.is_object() && before.contains("images"))
      changes.push_back(fmt::format("the data set had {} training images, now {}, or other files",
                                    json_text(before["images"]), now.value("images", 0)));
    else
      changes.push_back(fmt::format("{} was {}, now {}", key, was, json_text(value)));
  }
  for (const char* key : settings_of_some_runs)
    if (before.is_object() && before.contains(key) && !now.contains(key))
      changes.push_back(fmt::format("{} was {}, now it is not given", key, json_text(before[key])));
  return changes;
}

}  // namespace kindred
