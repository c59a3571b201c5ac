#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/console/typed_flags.h>
#include <kindred/apps/training/options/config_file.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/data/files/file.h>
#include <kindred/data/files/json_fields.h>  // defines: shown
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr std::size_t largest_config = std::size_t{1} << 20;  // bytes; a config.json has a few thousand

// What is made from other options, what the set and the file of weights were like, and how many processes there were.
constexpr std::array<std::string_view, 8> names_not_read = {"augmentation", "pixel_mean",   "pixel_std",
                                                            "images",       "evaluated_on", "data_fingerprint",
                                                            "processes",    "weights_xxh3"};

// Whether a name in the file says an option, and not what the run was like otherwise.
bool may_be_option(const std::string& name) {
  return !is_fact_of_start(name) &&
         std::find(names_not_read.begin(), names_not_read.end(), name) == names_not_read.end();
}

nlohmann::json object_in(const std::string& file) {
  const FileContent content = read_file(file, largest_config);
  check(content.ok(), ExitCode::file,
        "--config {}: {}; give the config.json of a run, or a file with the same names", file, content.reason);
  nlohmann::json object =
      parse_hostile_json({reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size()});
  check(object.is_object(), ExitCode::file, "--config {}: expected a JSON object, as RUN/config.json holds one",
        file);
  return object;
}

// The value as a T; nullopt if it is of another kind. `expected` becomes the kind in words.
template <typename T>
std::optional<T> value_as(const nlohmann::json& value, const char*& expected) {
  if constexpr (std::is_same_v<T, bool>) {
    expected = "true or false";
    if (!value.is_boolean()) return std::nullopt;
  } else if constexpr (std::is_same_v<T, std::string>) {
    expected = "a text";
    if (!value.is_string()) return std::nullopt;
  } else if constexpr (std::is_floating_point_v<T>) {
    expected = "a number";
    if (!value.is_number()) return std::nullopt;
  } else {
    expected = std::is_unsigned_v<T> ? "an integer, 0 or more" : "an integer";
    const bool is_positive = value.is_number_unsigned();
    if (!is_positive && (std::is_unsigned_v<T> || !value.is_number_integer())) return std::nullopt;
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<T>::max());
    if (is_positive && value.get<std::uint64_t>() > most) return std::nullopt;
  }
  return value.get<T>();
}

// The values of a JSON object by their names. It knows which names it was asked for.
class ConfigValues {
 public:
  ConfigValues(const std::string& file, const nlohmann::json& object) : file_(file), object_(object) {}

  // Null if the name is missing or has no value.
  const nlohmann::json* find(const char* name) {
    known_.emplace_back(name);
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  // Each leaves `value` as it is if the name is missing or has no value.
  template <typename T>
  void read(const char* name, std::optional<T>& value) {
    const nlohmann::json* const found = find(name);
    if (found == nullptr) return;
    const char* expected = "";
    std::optional<T> converted = value_as<T>(*found, expected);
    check(converted.has_value(), ExitCode::file, "--config {}: {} is {}; expected {}", file_, name,
          shown(*found), expected);
    value = std::move(converted);
  }
  template <typename T>
  void read(const char* name, T& value) {
    std::optional<T> found;
    read(name, found);
    if (found) value = std::move(*found);
  }
  void read(const char* name, std::vector<std::string>& texts) {
    const nlohmann::json* const found = find(name);
    if (found == nullptr) return;
    const bool is_list = found->is_array() && std::all_of(found->begin(), found->end(),
                                                          [](const auto& text) { return text.is_string(); });
    check(is_list, ExitCode::file, "--config {}: {} is {}; expected a list of texts", file_, name,
          shown(*found));
    texts = found->get<std::vector<std::string>>();
  }
  // Throws if a name is left that nobody asked for.
  void done() const {
    for (const auto& [name, value] : object_.items()) {
      if (!may_be_option(name) || std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      const std::string nearest = nearest_word(name, known_);
      fail(ExitCode::file, "--config {}: {} is no option of a run{}", file_, shown(nlohmann::json(name)),
           nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest));
    }
  }

 private:
  const std::string& file_;
  const nlohmann::json& object_;
  std::vector<std::string> known_;
};

template <typename T>
void set_option(const OptionRow<T>& row, const typename OptionRow<T>::Written& value, PretrainOptions& plain,
                GivenOptions& given) {
  if (row.given == nullptr) {
    if constexpr (std::is_same_v<T, typename OptionRow<T>::Written>) plain.*row.value = value;
    return;
  }
  // A run without such an option has a value that no flag may give: "" or, of --micro-batch, 0.
  if constexpr (std::is_arithmetic_v<T>) {
    if (row.default_value == value && row.accepts != nullptr && !row.accepts(value)) return;
  } else {
    if (value.empty()) return;
  }
  given.*row.given = value;
}

void read_data_flags(ConfigValues& values, DataFlags& data) {
  values.read("data", data.path);
  values.read("labels", data.labels);
  values.read("limit_per_class", data.limit_per_class);
  values.read("limit_eval_per_class", data.limit_eval);
  values.read("val_fraction", data.val_fraction);
  values.read("val_seed", data.val_seed);
  values.read("split", data.named_split);
  values.read("shards", data.shards);
  values.read("val_shards", data.val_shards);
  values.read("shard_cache", data.shard_cache);
  values.read("shard_timeout", data.shard_timeout);
}

void read_loss_flags(ConfigValues values, LossFlags& flags) {
  values.read("variant", flags.variant);
  values.read("denominator", flags.denominator);
  values.read("contrast", flags.contrast);
  values.read("mining", flags.mining);
  values.read("triplets", flags.triplets);
  values.read("positives_cap", flags.positives_cap);
  values.read("margin", flags.margin);
  values.read("label_smoothing", flags.label_smoothing);
  values.done();
}

// The flag of a name in the file. A value of a run without such an option is none: "" or false.
void add_flag_of(const std::string& name, const nlohmann::json& value, std::vector<std::string>& flags) {
  if (value.is_null() || value == "" || value == false || name == "shard_timeout" || name == device_asked)
    return;
  std::string flag = name == "recipe" ? "--preset" : "--" + name;  // the key is the flag's old name
  std::replace(flag.begin(), flag.end(), '_', '-');
  flags.push_back(std::move(flag));
}

std::vector<std::string> flags_in(const nlohmann::json& config) {
  std::vector<std::string> flags;
  for (const auto& [name, value] : config.items()) {
    if (name == "data" || !may_be_option(name)) continue;
    if (name == "loss_options" && value.is_object())
      for (const auto& [of_loss, flag_value] : value.items()) add_flag_of(of_loss, flag_value, flags);
    else
      add_flag_of(name, value, flags);
  }
  return flags;
}

}  // namespace

ConfigOptions read_config(const std::string& file, PretrainOptions& plain) {
  const nlohmann::json config = object_in(file);
  ConfigValues values(file, config);
  ConfigOptions options;
  GivenOptions& given = options.given;
  for_each_option([&](const auto& row) {
    if (row.key == nullptr) return;
    std::optional<typename std::decay_t<decltype(row)>::Written> written;
    values.read(row.key, written);
    if (written) set_option(row, *written, plain, given);
  });
  read_data_flags(values, plain.data);
  values.read("device", options.device);
  values.read(device_asked, plain.device);  // "auto", where "device" is what that was then
  const auto start = config.find(started_in);
  if (start != config.end() && start->is_string()) options.started_in = start->get<std::string>();
  const std::string& split = plain.data.named_split;
  check(split.empty() || split == "val" || split == "test" || split == "evaluation", ExitCode::file,
        "--config {}: split is {}; expected val, test or evaluation", file, shown(nlohmann::json(split)));
  if (const nlohmann::json* const losses = values.find("loss_options")) {
    check(losses->is_object(), ExitCode::file, "--config {}: loss_options is {}; expected an object", file,
          shown(*losses));
    read_loss_flags({file, *losses}, plain.loss_flags);
  }
  values.done();
  options.flags = flags_in(config);
  return options;
}

}  // namespace kindred
