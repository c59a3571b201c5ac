#include <kindred/apps/report/run_files.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/data/files/file.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A run of a million epochs has lines of 800 bytes.
constexpr std::size_t most_metric_bytes = std::size_t{1} << 30, most_small_file = std::size_t{4} << 20;
constexpr JsonLimits limits_of_line{8, std::size_t{1} << 14};
constexpr JsonLimits limits_of_settings{16, std::size_t{1} << 16};

bool is_file_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string_view text_in(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The object in a small file; null if there is no such file, or with a note if it cannot be read.
nlohmann::json object_of_run(const fs::path& file, std::vector<std::string>& notes) {
  if (!is_file_there(file)) return nullptr;
  const FileContent content = read_file(file.string(), most_small_file);
  nlohmann::json object;
  if (content.ok()) object = parse_hostile_json(text_in(content.bytes), limits_of_settings);
  if (content.ok() && object.is_object()) return object;
  notes.push_back(fmt::format("{} is left out: {}", file.filename().string(),
                              content.ok() ? "it holds no JSON object" : content.reason));
  return nullptr;
}

// What metrics.jsonl does not say. A checkpoint that cannot be read is no loss for the rest.
void read_newest_checkpoint(RunFiles& run) {
  const fs::path checkpoint = run.folder / "checkpoint.safetensors";
  if (!is_file_there(checkpoint)) return;
  try {
    const RunState state = read_run_state(checkpoint);
    if (state.untrained && std::isfinite(*state.untrained)) run.untrained = state.untrained;
    const auto early_stop = run.number("early_stop").value_or(0);
    run.ended_early = early_stop >= 1 && static_cast<double>(state.stale_epochs) >= early_stop;
  } catch (const Error& error) {
    run.notes.push_back(fmt::format("the newest checkpoint says nothing: {}", error.what()));
  }
}

// Without a slash at its end, so that it has a name.
fs::path path_with_name(const fs::path& folder) {
  std::error_code ignored;
  const fs::path whole = fs::absolute(folder, ignored).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

std::optional<std::string> RunFiles::text(const char* key) const {
  const auto found = config.find(key);
  if (found == config.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<double> RunFiles::number(const char* key) const {
  return number_at(config, key);
}

MetricTable read_metric_lines(const fs::path& file, std::vector<std::string>& notes) {
  const FileContent content = read_file(file.string(), most_metric_bytes);
  check(content.ok(), ExitCode::file, "{}: {}; expected the lines that pretrain writes, one for each epoch",
        file.string(), content.reason);
  const std::string_view text = text_in(content.bytes);
  MetricLines lines;
  std::int64_t number = 0, left_out = 0, first_left_out = 0;
  bool is_last_cut = false;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t found = text.find('\n', begin), end = std::min(found, text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const nlohmann::json values = parse_hostile_json(line, limits_of_line);
    if (!values.is_discarded() && lines.add(values)) continue;
    if (found == std::string_view::npos) {
      is_last_cut = true;
    } else if (left_out++ == 0) {
      first_left_out = number;
    }
  }
  if (left_out > 0)
    notes.push_back(fmt::format(
        "{} of {} {} left out, the first is line {}: expected a JSON object with an epoch",
        counted(left_out, "line"), file.filename().string(), left_out == 1 ? "is" : "are", first_left_out));
  if (is_last_cut)
    notes.push_back(
        fmt::format("the last line of {} is cut off and left out: the run is writing it, or was killed there",
                    file.filename().string()));
  return lines.table();
}

void read_settings_of_run(RunFiles& run) {
  const fs::path file = run.folder / "config.json";
  nlohmann::json config = object_of_run(file, run.notes);
  if (config.is_object())
    run.config = std::move(config);
  else if (!is_file_there(file))
    run.notes.emplace_back("there is no config.json: the settings of the run are not known");
  run.probe = object_of_run(run.folder / "probe" / "result.json", run.notes);
}

RunFiles read_run_files(const fs::path& folder) {
  constexpr const char* expected = "give the folder of a run, which pretrain made (--out)";
  std::error_code ignored;
  check(fs::exists(folder, ignored), ExitCode::file, "{}: no such folder; {}", folder.string(), expected);
  check(fs::is_directory(folder, ignored), ExitCode::file, "{} is not a folder; {}", folder.string(), expected);
  const fs::path metrics = folder / "metrics.jsonl";
  check(is_file_there(metrics), ExitCode::file,
        "{} holds no metrics.jsonl, which a run has once its first epoch has ended; {}", folder.string(),
        expected);
  RunFiles run;
  run.folder = folder;
  run.name = names_of_runs({folder}).front();
  run.metrics = read_metric_lines(metrics, run.notes);
  check(run.metrics.rows() > 0, ExitCode::file,
        "{}: not one whole line of a run; wait until its first epoch has ended, or {}", metrics.string(),
        expected);
  read_settings_of_run(run);
  run.was_not_finite = is_file_there(folder / "non_finite.json");
  run.is_under_way = is_locked(folder);
  read_newest_checkpoint(run);
  return run;
}

std::vector<std::string> names_of_runs(const std::vector<fs::path>& folders) {
  std::vector<fs::path> whole;
  for (const fs::path& folder : folders) whole.push_back(path_with_name(folder));
  std::vector<std::string> names;
  for (std::size_t depth = 1; depth <= 8; ++depth) {
    names.clear();
    for (const fs::path& path : whole) {
      fs::path name = path.filename(), above = path.parent_path();
      for (std::size_t i = 1; i < depth && above.has_filename(); ++i, above = above.parent_path())
        name = above.filename() / name;
      names.push_back(name.string());
    }
    if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) return names;
  }
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = fmt::format("{}: {}", i + 1, names[i]);
  return names;
}

}  // namespace kindred
