#include <kindred/apps/training/options/resume_flag.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/same_run.h>
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
constexpr std::array<std::string_view, 19> free_settings = {
    "workers",   "steps_per_launch", "device",           "data",
    "knn_every", "recipe",           "augment",          "max_bad",
    "strict",    "checkpoint_every", "keep_checkpoints", "on_nonfinite",
    "images",    "val_fraction",     "val_seed",         "labels",
    "split",     "evaluated_on",     "early_stop"};

// Settings that config.json has only if they are not the usual ones (OptionRow::recorded_if), and that no other setting
// goes along with. To leave them out is a change too.
constexpr std::array<const char*, 5> settings_of_some_runs = {"resize", "exif", "best", "freeze_until",
                                                              "encoder_lr_factor"};

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

std::vector<std::string> changed_settings(const std::filesystem::path& run, const nlohmann::json& now) {
  const nlohmann::json before = settings_of_run(run);
  std::vector<std::string> changes;
  for (const auto& [key, value] : now.items()) {
    if (std::find(free_settings.begin(), free_settings.end(), key) != free_settings.end()) continue;
    if (before.is_object() && before.contains(key) && before[key] == value) continue;
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
