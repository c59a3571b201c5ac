#include <kindred/apps/report/settings.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace kindred {
namespace {

constexpr std::size_t most_settings = 1000, most_letters = 2000;

// They say when and where a run was made, not what it is. Names of the set and what it was like are in `data` and others.
constexpr std::array<std::string_view, 13> facts_in_settings = {
    "command",          "started", "started_in", "version",      "gpu",    "device_asked",
    "data_fingerprint", "workers", "device",     "weights_xxh3", "images", "evaluated_on.folder",
    "precision"};

bool is_fact_in_settings(std::string_view name) {
  return std::find(facts_in_settings.begin(), facts_in_settings.end(), name) != facts_in_settings.end();
}

std::string value_as_text(const nlohmann::json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : json_text(value);
  if (text.size() > most_letters) text = text.substr(0, most_letters) + "...";
  return text;
}

void add_settings(const std::string& prefix, const nlohmann::json& object,
                  std::map<std::string, std::string>& rows) {
  for (const auto& [name, value] : object.items()) {
    if (rows.size() >= most_settings) return;
    if (value.is_object() && !value.empty() && name != "augmentation")
      add_settings(prefix + name + ".", value, rows);
    else
      rows.emplace((prefix + name).substr(0, most_letters), value_as_text(value));
  }
}

template <typename T>
void take_number(const nlohmann::json& config, const char* key, T& value) {
  const auto found = config.find(key);
  if (found != config.end() && found->is_number_integer()) value = found->get<T>();
}

// What the defaults of other options are made from.
PretrainOptions options_behind_defaults(const nlohmann::json& config) {
  PretrainOptions options;
  options.image_size = 224;
  options.epochs = 100;
  take_number(config, "image_size", options.image_size);
  take_number(config, "epochs", options.epochs);
  const auto optimizer = config.find("optimizer");
  if (optimizer != config.end() && *optimizer == "adamw") options.optimizer = OptimizerKind::adamw;
  return options;
}

}  // namespace

std::map<std::string, std::string> settings_in(const nlohmann::json& config) {
  std::map<std::string, std::string> rows;
  if (config.is_object()) add_settings("", config, rows);
  return rows;
}

std::map<std::string, std::string> default_settings(const nlohmann::json& config) {
  const PretrainOptions options = options_behind_defaults(config);
  std::map<std::string, std::string> defaults;
  for_each_option([&](const auto& row) {
    if (row.key == nullptr || is_fact_in_settings(row.key)) return;
    using Written = typename std::decay_t<decltype(row)>::Written;
    std::optional<Written> written = row.default_value;
    if (!written && row.default_from != nullptr) written = row.default_from(options);
    if (!written && row.given == nullptr) {
      if constexpr (std::is_same_v<std::decay_t<decltype(options.*row.value)>, Written>)
        written = options.*row.value;
    }
    if (!written && row.given != nullptr) written = Written{};  // "" for a text that is not given
    if (written) defaults.emplace(row.key, value_as_text(nlohmann::json(*written)));
  });
  const nlohmann::json loss_options = options.loss_flags.to_json();
  for (const auto& [name, value] : loss_options.items())
    defaults.emplace("loss_options." + name, value_as_text(value));
  for (const char* const name : {"limit_per_class", "limit_eval_per_class", "val_seed"})
    defaults.emplace(name, "0");
  return defaults;
}

std::string SettingRoom::given_to(std::string row) {
  if (row.size() > bytes) {
    ++left_out;
    return "";
  }
  bytes -= row.size();
  return row;
}

std::string SettingRoom::note() const {
  return left_out == 0 ? ""
                       : fmt::format("<p>{} more would make the page too large: config.json has them.</p>\n",
                                     counted(left_out, "setting"));
}

std::vector<SettingRow> setting_rows(const std::vector<const nlohmann::json*>& configs) {
  std::vector<std::map<std::string, std::string>> of_runs;
  std::set<std::string> names;
  for (const nlohmann::json* config : configs) {
    of_runs.push_back(settings_in(*config));
    for (const auto& [name, value] : of_runs.back()) names.insert(name);
  }
  std::map<std::string, std::string> usual;
  if (configs.size() == 1) usual = default_settings(*configs.front());
  std::vector<SettingRow> rows;
  for (const std::string& name : names) {
    SettingRow row{.name = name};
    for (const auto& of_run : of_runs) {
      const auto found = of_run.find(name);
      row.values.push_back(found == of_run.end() ? "" : found->second);
    }
    if (const auto found = usual.find(name); found != usual.end()) row.usual = found->second;
    if (configs.size() == 1)
      row.differs = usual.contains(name) && row.usual != row.values.front();
    else
      row.differs =
          !is_fact_in_settings(name) && std::any_of(row.values.begin(), row.values.end(),
                                                    [&](const auto& v) { return v != row.values.front(); });
    rows.push_back(std::move(row));
  }
  std::stable_partition(rows.begin(), rows.end(), [](const SettingRow& row) { return row.differs; });
  return rows;
}

}  // namespace kindred
