#include <kindred/apps/metrics/picture_file.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/safetensors.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 14> names_of_run = {"config.json",
                                                           "metrics.jsonl",
                                                           "metrics.csv",
                                                           "encoder.safetensors",
                                                           "best_encoder.safetensors",
                                                           "bad_images.tsv",
                                                           "non_finite.json",
                                                           "plans.json",
                                                           report_page_name,
                                                           views_sheet_name,
                                                           "best_classifier.safetensors",
                                                           "checkpoint.safetensors",
                                                           "checkpoint.safetensors.damaged",
                                                           first_save_name};
constexpr std::array<std::string_view, 2> names_of_result = {"result.json", "classifier.safetensors"};

bool is_name_of_run(const std::string& name) {
  return std::find(names_of_run.begin(), names_of_run.end(), name) != names_of_run.end();
}

bool is_name_of_result(const std::string& name) {
  return std::find(names_of_result.begin(), names_of_result.end(), name) != names_of_result.end();
}

bool is_name_of_probe(const std::string& name) {
  return is_name_of_result(name) || name == "bad_images.tsv";
}

bool is_name_of_run_or_result(const std::string& name) {
  return is_name_of_run(name) || is_name_of_result(name);
}

// Returns true for a run that trains a classifier: result.json and classifier.safetensors beside it are its own.
bool holds_classifying_run(const fs::path& folder) {
  if (!holds_run(folder)) return false;
  try {
    const nlohmann::json config = read_json(folder / "config.json");
    return config.is_object() && config.contains("loss") && config["loss"] == "cross_entropy";
  } catch (const Error&) {
    return false;  // there is none, or it cannot be read
  }
}

// A file, or a link to one, through which a program writes.
bool is_own_file(const fs::path& path) {
  std::error_code ignored;
  const fs::file_type type = fs::symlink_status(path, ignored).type();
  return type == fs::file_type::regular || type == fs::file_type::symlink;
}

// Returns true for a result.json that linear_probe wrote.
bool is_result_of_probe(const fs::path& file) {
  if (!is_own_file(file)) return false;
  try {
    const nlohmann::json result = read_json(file);
    return result.is_object() && result.contains("top1") && result.contains("train_images") &&
           result.contains("encoder");
  } catch (const Error&) {
    return false;  // it is another program's
  }
}

// Returns true for a file with a classifier that names the classes, as those of Kindred do.
bool is_classifier(const fs::path& file) {
  if (!is_own_file(file)) return false;
  try {
    const SafetensorsFile opened(file);
    return opened.find("fc.weight") != nullptr && opened.metadata().contains("classes");
  } catch (const Error&) {
    return false;
  }
}

// A run, also one that is set aside: what lies in folders inside it belongs to that run.
bool is_folder_of_run(const fs::path& folder) {
  std::error_code ignored;
  return holds_run(folder) || fs::exists(folder / ".kindred-run-moving", ignored) ||
         fs::exists(folder / ".kindred-run-earlier", ignored);
}

void add_folders_inside(const fs::path& folder, const fs::path& below, std::vector<std::string>& names) {
  for (const std::string& name : names_in(folder / below, [](const std::string& each) {
         return !is_folder_of_files(each) && !each.starts_with(".kindred-");
       })) {
    std::error_code ignored;
    const fs::path inside = below / name;
    if (fs::symlink_status(folder / inside, ignored).type() != fs::file_type::directory) continue;
    names.push_back(inside.string());
    if (!is_folder_of_run(folder / inside)) add_folders_inside(folder, inside, names);
  }
}

// Whether this program's output goes to the file.
bool is_output(const fs::path& file) {
  std::error_code ignored;
  return fs::equivalent(file, "/proc/self/fd/1", ignored) || fs::equivalent(file, "/proc/self/fd/2", ignored);
}

bool is_visible(const std::string& name) {
  return !name.starts_with(".kindred-");
}

// At any depth; links are not followed.
std::int64_t visible_files_below(const fs::path& folder) {
  std::int64_t files = 0;
  for (const std::string& name : names_in(folder, is_visible)) {
    std::error_code ignored;
    const fs::path path = folder / name;
    if (fs::symlink_status(path, ignored).type() == fs::file_type::directory)
      files += visible_files_below(path);
    else if (!is_output(path))
      ++files;
  }
  return files;
}

}  // namespace

bool is_folder_of_files(const fs::path& name) {
  return std::any_of(std::begin(folders_of_files), std::end(folders_of_files),
                     [&](const char* folder) { return name == folder; });
}

fs::path path_at(const fs::path& folder, const fs::path& file, const HidingPlace& place) {
  const bool is_inside = file.has_parent_path();
  const fs::path holder = is_inside ? folder / file.parent_path() : folder;
  const std::string& hidden = is_inside ? place.inner : place.outer;
  return (hidden.empty() ? holder : holder / hidden) / file.filename();
}

std::vector<fs::path> own_files(const fs::path& folder, FolderOf what, const HidingPlace& place) {
  std::vector<fs::path> files;
  const bool is_hidden = !place.outer.empty();
  const auto add = [&](const fs::path& below, bool (*is_own)(const std::string&)) {
    const fs::path holder = path_at(folder, below / "any", place).parent_path();
    for (const std::string& name : names_in(holder, is_own))
      if (is_own_file(holder / name) && (is_hidden || !is_drawn_by_others(holder / name)))
        files.push_back(below / name);
  };
  if (what == FolderOf::probe) {
    add({}, is_name_of_probe);
    return files;
  }
  // In a hidden folder everything belongs to the run. In place, a lone result.json may be the user's.
  const bool has_results = is_hidden || holds_probe(folder) || holds_classifying_run(folder);
  add({}, has_results ? is_name_of_run_or_result : is_name_of_run);
  add(folders_of_files[0], is_checkpoint_name);
  add(folders_of_files[1], is_name_in_event_folder);
  for (const std::string& name : folders_inside(folder)) {
    if (is_hidden)
      add(name, is_name_of_probe);
    else if (holds_probe_inside(folder / name))  // a run in that folder has a bad_images.tsv of its own
      add(name, holds_run(folder / name) ? is_name_of_result : is_name_of_probe);
  }
  return files;
}

std::vector<std::string> folders_inside(const fs::path& folder) {
  std::vector<std::string> names;
  add_folders_inside(folder, {}, names);
  std::sort(names.begin(), names.end());
  return names;
}

bool holds_probe_inside(const fs::path& folder) {
  if (holds_probe(folder)) return true;
  return !holds_run(folder) &&
         (is_result_of_probe(folder / "result.json") || is_classifier(folder / "classifier.safetensors"));
}

std::vector<std::string> names_of_others(const fs::path& run) {
  std::vector<std::string> names = names_in(run, is_visible);
  std::sort(names.begin(), names.end());
  std::vector<std::string> others;
  for (const std::string& name : names) {
    std::error_code ignored;
    const bool is_subfolder = fs::symlink_status(run / name, ignored).type() == fs::file_type::directory;
    if (is_subfolder && name == folders_of_files[0]) continue;
    std::int64_t files = is_subfolder ? visible_files_below(run / name) : 0;
    if (is_subfolder && name == event_folder_name)
      files -= static_cast<std::int64_t>(names_in(run / name, is_name_in_event_folder).size());
    if (is_subfolder && files > 0)
      others.push_back(fmt::format("{}/ ({})", name, counted(files, "file")));
    else if (!is_subfolder && !is_output(run / name))
      others.push_back(name);
  }
  return others;
}

bool holds_run(const fs::path& folder) {
  std::error_code error;
  const auto bytes = fs::file_size(folder / "metrics.jsonl", error);
  return (!error && bytes > 0) || is_own_file(folder / "encoder.safetensors") ||
         is_own_file(folder / "best_encoder.safetensors") || !CheckpointFolder(folder, 1).candidates().empty();
}

bool holds_probe(const fs::path& folder) {
  return std::all_of(names_of_result.begin(), names_of_result.end(),
                     [&](std::string_view name) { return is_own_file(folder / name); }) &&
         !holds_classifying_run(folder);
}

bool holds_results(const fs::path& folder, FolderOf what) {
  if (what == FolderOf::probe)
    return std::any_of(names_of_result.begin(), names_of_result.end(),
                       [&](std::string_view name) { return is_own_file(folder / name); });
  const std::vector<std::string> names = folders_inside(folder);
  return holds_run(folder) || holds_probe(folder) ||
         std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return holds_probe_inside(folder / name); });
}

bool holds_save(const fs::path& folder, FolderOf what) {
  if (what == FolderOf::probe) return is_own_file(folder / "result.json");
  const std::vector<fs::path> checkpoints = CheckpointFolder(folder, 1).candidates();
  return std::any_of(checkpoints.begin(), checkpoints.end(), is_own_file);
}

bool is_own_name(const std::string& name, FolderOf what) {
  return what == FolderOf::probe ? is_name_of_probe(name) : is_name_of_run_or_result(name);
}

bool is_report(const fs::path& file) {
  if (file.filename() == "bad_images.tsv") return read_lines(file).size() > 1;  // the first one is the header
  return file.filename() == "non_finite.json";
}

void remove_own(const fs::path& file) {
  if (is_drawn_by_others(file)) return;
  std::error_code error;
  fs::remove(file, error);
  check(!error, ExitCode::io, "{} cannot be removed: {}; make its folder writable, or give another folder",
        file.string(), error.message());
}

std::optional<std::string> foreign_file_of_start(const fs::path& folder) {
  const auto has_content = [&](const char* name) {
    std::error_code error;
    const auto bytes = fs::file_size(folder / name, error);
    return !error && bytes > 0;
  };
  if (has_content("config.json")) {
    try {
      const nlohmann::json config = read_json(folder / "config.json");
      if (config.is_object() && config.contains("data_fingerprint")) return std::nullopt;
    } catch (const Error&) {
      // It is not JSON, or cannot be read.
    }
    return "config.json";
  }
  return has_content("plans.json") ? std::optional<std::string>("plans.json") : std::nullopt;
}

}  // namespace kindred
