#include <kindred/apps/console/typed_flags.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/options/resume_flag.h>
#include <kindred/data/files/file.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/weight_names.h>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// The same for "run", "./run" and "run/".
fs::path as_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::weakly_canonical(fs::absolute(path / "", ignored), ignored);
}

// A damaged file may have been a checkpoint.
bool is_other_weights(const fs::path& path) {
  try {
    return !is_checkpoint(SafetensorsFile(path));
  } catch (const Error&) {
    return false;
  }
}

bool has_settings(const fs::path& run) {
  std::error_code ignored;
  return fs::exists(run / "config.json", ignored);
}

// The run whose folder of checkpoints this is; empty if it is none.
fs::path run_around_checkpoints(const fs::path& path) {
  std::error_code ignored;
  const fs::path folder = fs::absolute(path / "any", ignored).lexically_normal().parent_path();
  const bool is_inside = folder.filename() == "checkpoints" && fs::is_directory(folder, ignored) &&
                         has_settings(folder.parent_path()) && !has_settings(folder);
  if (!is_inside) return {};
  const fs::path typed = path.has_filename() ? path : path.parent_path();  // "run/checkpoints/"
  return typed.filename() == "checkpoints" && typed.has_parent_path() ? typed.parent_path()
                                                                      : folder.parent_path();
}

// Of a folder or a checkpoint that --resume names.
fs::path settings_of(const fs::path& run) {
  return (run.extension() == ".safetensors" ? run_of_checkpoint(run) : run) / "config.json";
}

// What a file of settings says, or why it cannot be read.
struct SettingsRead {
  nlohmann::json content{};  // null if it was not read, and discarded if it is not JSON
  std::string reason{};      // "cannot be opened: ..."; empty if it was read, or if no such file is there
};

SettingsRead settings_read(const fs::path& file) {
  constexpr std::size_t largest_settings = std::size_t{1} << 20;  // bytes; a config.json has a few thousand
  const FileContent content = read_file(file.string(), largest_settings);
  if (content.ok())
    return {parse_hostile_json({reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size()}),
            {}};
  std::error_code ignored;
  const fs::file_type type = fs::symlink_status(file, ignored).type();
  if (type == fs::file_type::not_found) return {};
  if (type == fs::file_type::symlink && fs::status(file, ignored).type() == fs::file_type::not_found)
    return {{}, fmt::format("is a link to {}, which is not there", fs::read_symlink(file, ignored).string())};
  return {{}, content.reason};
}

// Whether a run has trained in the folder, so that its config.json is not another program's.
bool has_more_than_settings(const fs::path& run) {
  std::error_code ignored;
  return fs::exists(run / "metrics.jsonl", ignored) || fs::exists(run / encoder_name, ignored);
}

// Whether these are a run's settings, and say what the run was trained on.
bool says_data_set(const nlohmann::json& config) {
  if (!config.is_object() || !config.contains("data_fingerprint")) return false;
  const auto data = config.find("data");
  return data != config.end() && data->is_string() && !data->get_ref<const std::string&>().empty();
}

// Where the last --resume stands, with or without a text.
std::optional<std::size_t> place_of_resume(const std::vector<std::string>& plain) {
  std::optional<std::size_t> place;
  for (std::size_t i = 0; i < plain.size() && plain[i] != "--"; ++i)
    if (plain[i] == "--resume" || plain[i].starts_with("--resume=")) place = i;
  return place;
}

// Where the first argument stands that is no flag.
std::optional<std::size_t> place_of_argument(const std::vector<std::string>& plain) {
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == "--") return i + 1 < plain.size() ? std::optional(i + 1) : std::nullopt;
    if (!plain[i].starts_with("--")) return i;
  }
  return std::nullopt;
}

}  // namespace

bool take_settings_of_run(std::vector<std::string>& plain, PlaceOfSettings place) {
  const std::optional<std::size_t> resume = place_of_resume(plain), argument = place_of_argument(plain);
  if (!resume || plain[*resume] == "--resume=false") return false;
  const std::string text = value_in(plain, "--resume").value_or(""),
                    out = value_in(plain, "--out").value_or("");
  std::string run = names_run(text) ? text : out;
  bool is_named = names_run(text);
  // "--resume RUN": without --out no data set stands there.
  const bool is_behind = run.empty() && argument && *argument == *resume + 1 && plain[*resume] == "--resume" &&
                         !plain[*argument].empty();
  if (is_behind) {
    run = plain[*argument];
    is_named = true;
  } else if (run.empty() || (argument && !is_named)) {
    return false;
  }
  const fs::path settings = settings_of(run);
  const auto [content, reason] = settings_read(place(settings));
  const bool is_there = says_data_set(content), has_config = value_in(plain, "--config").has_value();
  const fs::path folder = settings.parent_path();
  if (argument && !is_behind && !is_there)
    return false;  // DIR says the set, and what is wrong with the file comes later
  check(reason.empty() || has_config, ExitCode::file, "--resume: {} {}; make it readable, {}",
        settings.string(), reason, advice_on_damaged_settings(folder));
  check(!content.is_discarded() || !has_more_than_settings(folder) || has_config, ExitCode::file,
        "--resume: {} is not valid JSON; {}", settings.string(), advice_on_damaged_settings(folder));
  check(is_there || !is_named || has_config, ExitCode::usage,
        "--resume {}: no run is there whose config.json says the data set; give both, DIR --resume=RUN", run);
  if (!is_there) return false;
  if (is_behind) {
    plain[*resume] = "--resume=" + run;
    plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(*argument));
  }
  if (has_config) return false;
  plain.insert(plain.begin(), "--config=" + settings.string());
  return true;
}

std::string advice_on_damaged_settings(const fs::path& run) {
  std::error_code ignored;
  const fs::path checkpoint = run / "checkpoint.safetensors";
  const fs::path weights = fs::exists(run / encoder_name, ignored) ? run
                           : fs::exists(checkpoint, ignored)       ? checkpoint
                                                                   : fs::path();
  if (weights.empty()) return "restore that file from a copy, or begin a new run in another folder";
  return fmt::format(
      "restore that file from a copy, or begin a new run from its weights, with its settings typed again: DIR "
      "--weights {} --out OTHER",
      weights.string());
}

bool names_run(const std::string& text) {
  return !text.empty() && text != "true" && text != "false";
}

void set_resume(PretrainOptions& options, const std::string& text) {
  options.resume = !text.empty() && text != "false";
  options.resume_names_run = names_run(text);
  if (!options.resume_names_run) return;
  fs::path run = text;
  std::error_code ignored;
  if (run.extension() == ".safetensors") {
    check(fs::exists(run, ignored), ExitCode::usage,
          "--resume {}: there is no such checkpoint; give one that is there, or the folder of the run", text);
    check(!is_other_weights(run), ExitCode::usage,
          "--resume {}: an encoder cannot be resumed; give it by --weights", text);
    run = run_of_checkpoint(run);
    check(has_settings(run), ExitCode::usage,
          "--resume {}: this checkpoint lies outside its run; put it back beside the config.json of its run, "
          "or give it by --weights",
          text);
  }
  const fs::path around = run_around_checkpoints(run);
  check(around.empty(), ExitCode::usage, "--resume {}: it holds the checkpoints of a run; give --resume={}",
        text, around.string());
  check(options.out.empty() || as_folder(options.out) == as_folder(run), ExitCode::usage,
        "--resume {} and --out {} are two runs; leave one of them out", text, options.out);
  if (options.out.empty()) options.out = run.string();
}

}  // namespace kindred
