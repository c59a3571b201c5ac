#include <kindred/apps/evaluation/given_weights.h>
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
constexpr std::size_t most_list_bytes = std::size_t{64} << 20;  // of the images of a batch
constexpr JsonLimits limits_of_settings{16, std::size_t{1} << 16}, limits_of_list{4, std::size_t{1} << 20};

bool is_there_in_run(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string_view text_in(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The object in a small file; null if there is no such file, or with a note if it cannot be read.
nlohmann::json object_of_run(const fs::path& file, std::vector<std::string>& notes,
                             std::size_t most_bytes = most_small_file,
                             const JsonLimits& limits = limits_of_settings) {
  if (!is_there_in_run(file)) return nullptr;
  const FileContent content = read_file(file.string(), most_bytes);
  nlohmann::json object;
  if (content.ok()) object = parse_hostile_json(text_in(content.bytes), limits);
  if (content.ok() && object.is_object()) return object;
  notes.push_back(fmt::format("{} is left out: {}", file.filename().string(),
                              content.ok() ? "it holds no JSON object" : content.reason));
  return nullptr;
}

// A checkpoint that cannot be read is no loss for the rest.
std::optional<RunState> newest_state(RunFiles& run) {
  const fs::path checkpoint = run.folder / "checkpoint.safetensors";
  if (!is_there_in_run(checkpoint)) return std::nullopt;
  try {
    return read_run_state(checkpoint);
  } catch (const Error& error) {
    run.notes.push_back(fmt::format("the newest checkpoint says nothing: {}", error.what()));
    return std::nullopt;
  }
}

// 0 or less: not known.
std::int64_t steps_of_epoch(const RunState& state) {
  return state.epochs_done == 0 ? 0 : (state.steps_done - state.batches_done) / state.epochs_done;
}

// The same as RunRecord::has_diverged(), of a run without a record.
bool has_useless_weights(const RunState& state) {
  constexpr std::int64_t most_looked_at = 20;
  const std::int64_t steps = std::min(steps_of_epoch(state), most_looked_at);
  return steps > 0 && state.skipped_in_a_row > 0 && state.skipped_in_a_row >= steps - steps / 2;
}

// The epoch after which the best checkpoint was taken, by its own words.
std::optional<KeptBest> epoch_of_best_checkpoint(const fs::path& run) {
  try {
    const std::optional<fs::path> best = best_checkpoint(run);
    if (!best) return std::nullopt;
    const RunState state = read_run_state(*best);
    if (state.epochs_done > 0 && state.batches_done == 0) return KeptBest{state.epochs_done, state.best_by};
  } catch (const Error&) {  // then the lines must do
  }
  return std::nullopt;
}

std::optional<KeptBest> best_kept(const RunFiles& run, const std::optional<RunState>& state) {
  if (!state) return epoch_of_best_checkpoint(run.folder);
  const std::int64_t steps = steps_of_epoch(*state);
  if (state->best_step >= 0 && steps > 0) return KeptBest{state->best_step / steps, state->best_by};
  // No epoch was a candidate, as of a run that has diverged; later ones may have been.
  const bool is_newest = state->epochs_done == run.metrics.epochs.back();
  if (!state->best && is_newest) return KeptBest{};
  return std::nullopt;
}

// Whether the step in non_finite.json has ended the run: not one that was skipped, or that the run has come past since.
bool has_ended_at_list(RunFiles& run, const std::optional<RunState>& state) {
  const nlohmann::json list =
      object_of_run(run.folder / "non_finite.json", run.notes, most_list_bytes, limits_of_list);
  if (run.text("on_nonfinite") == "skip") return false;
  const auto epoch = number_at(list, "epoch"), step = number_at(list, "step");
  return epoch && *epoch > static_cast<double>(run.metrics.epochs.back()) &&
         !(state && step && static_cast<double>(state->steps_done) >= *step);
}

// As RunRecord::failure() has it.
bool has_ended_without_use(const RunFiles& run, const std::optional<RunState>& state) {
  if (!run.has_all_epochs() && !run.ended_early) return false;
  const bool has_no_loss = run.metrics.find("loss") == nullptr && run.metrics.newest_with("skipped_steps");
  return has_no_loss || (state && has_useless_weights(*state));
}

// What metrics.jsonl does not say.
void read_state_of_run(RunFiles& run) {
  const std::optional<RunState> state = newest_state(run);
  if (state) {
    if (state->untrained && std::isfinite(*state->untrained)) run.untrained = state->untrained;
    const auto early_stop = run.number("early_stop").value_or(0);
    run.ended_early = early_stop >= 1 && static_cast<double>(state->stale_epochs) >= early_stop;
  }
  run.best = best_kept(run, state);
  run.lists_not_finite = is_there_in_run(run.folder / "non_finite.json");
  run.was_not_finite =
      (run.lists_not_finite && has_ended_at_list(run, state)) || has_ended_without_use(run, state);
}

// For a folder that is no run: it may be one that has just begun, or the folder above runs.
std::string what_to_give_for(const fs::path& folder, const char* advice) {
  if (is_there_in_run(folder / "config.json")) return "if this is one, wait until its first epoch has ended";
  constexpr int most_looked_at = 1000;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  fs::path first;  // by name, so that the line is the same every time
  for (int i = 0; !error && entry != fs::directory_iterator() && i < most_looked_at;
       ++i, entry.increment(error))
    if (is_there_in_run(entry->path() / "metrics.jsonl") && (first.empty() || entry->path() < first))
      first = entry->path();
  return first.empty() ? advice : fmt::format("give a run in it, such as {}", first.string());
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

bool RunFiles::has_all_epochs() const {
  const auto epochs = number("epochs");
  return epochs && metrics.rows() > 0 && static_cast<double>(metrics.epochs.back()) >= *epochs;
}

MetricTable read_metric_lines(const fs::path& file, std::vector<std::string>& notes, std::size_t most) {
  const FileContent content = read_file(file.string(), most_metric_bytes);
  check(content.ok(), ExitCode::file, "{}: {}; expected the lines that pretrain writes, one for each epoch",
        file.string(), content.reason);
  const std::string_view text = text_in(content.bytes);
  MetricLines lines;
  std::int64_t number = 0, left_out = 0, first_left_out = 0;
  bool is_last_cut = false, has_room = true;
  for (std::size_t begin = 0; begin < text.size() && has_room;) {
    const std::size_t found = text.find('\n', begin), end = std::min(found, text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const nlohmann::json values = parse_hostile_json(line, limits_of_line);
    if (lines.epochs() == most && lines.would_be_new(values)) {
      notes.push_back(fmt::format("lines of {} from {} on are left out: a report takes {} at most",
                                  file.filename().string(), number, counted(most, "epoch")));
      has_room = false;
      continue;
    }
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
  MetricTable table = lines.table();
  if (std::string missing = missing_epochs_in_words(table.epochs, file.filename().string()); !missing.empty())
    notes.push_back(std::move(missing));
  return table;
}

void read_settings_of_run(RunFiles& run) {
  const fs::path file = run.folder / "config.json";
  nlohmann::json config = object_of_run(file, run.notes);
  if (config.is_object())
    run.config = std::move(config);
  else if (!is_there_in_run(file))
    run.notes.emplace_back("there is no config.json: the settings of the run are not known");
  run.probe = object_of_run(run.folder / "probe" / "result.json", run.notes);
}

RunFiles read_run_files(const fs::path& folder) {
  constexpr const char* expected = "expected the folder of a run, with the metrics.jsonl that pretrain writes";
  constexpr const char* advice = "give the folder that pretrain wrote its run to";
  std::error_code ignored;
  check(fs::exists(folder, ignored), ExitCode::file, "{}: no such folder; {}; {}", folder.string(), expected,
        advice);
  check(fs::is_directory(folder, ignored), ExitCode::file, "{} is not a folder; {}; {}", folder.string(),
        expected, advice);
  const fs::path metrics = folder / "metrics.jsonl";
  if (!is_there_in_run(metrics))
    fail(ExitCode::file, "{} holds no metrics.jsonl; {}; {}", folder.string(), expected,
         what_to_give_for(folder, advice));
  RunFiles run;
  run.folder = folder;
  run.name = names_of_runs({folder}).front();
  run.metrics = read_metric_lines(metrics, run.notes);
  check(
      run.metrics.rows() > 0, ExitCode::file,
      "{}: not one whole line of a run; expected one for each epoch that has ended; wait for the first, or {}",
      metrics.string(), advice);
  read_settings_of_run(run);
  run.is_under_way = is_locked(folder);
  read_state_of_run(run);
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
