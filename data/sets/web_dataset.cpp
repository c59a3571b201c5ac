// The tar shards of WebDataset: which of them make a split. shards/ has what is in them.
#include <kindred/data/sets/compressed_tars.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/evaluation_folder.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/folders/walk.h>
#include <kindred/data/sets/shards/shard_set.h>
#include <kindred/engine/error.h>

#include <memory>
#include <utility>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

bool is_tar_name(const std::string& name) {
  return name.ends_with(".tar");
}

bool names_split(const std::string& name, std::string_view split) {
  return name.find(split) != std::string::npos;
}

std::vector<fs::path> joined(const fs::path& dir, const std::vector<std::string>& names) {
  std::vector<fs::path> paths;
  for (const std::string& name : names) paths.push_back(dir / name);
  return paths;
}

// The shards of a split, none if there is no such split, and what the images in them are.
struct SplitShards {
  std::vector<fs::path> paths;
  Origin origin;
};

// `evaluate_on` says what Split::evaluation is.
SplitShards shards_of(const fs::path& dir, Split split, Split evaluate_on) {
  const bool on_val = evaluate_on != Split::test, on_test = evaluate_on != Split::val;
  const auto in_folder = [](const fs::path& folder, const char* part) {
    return SplitShards{joined(folder, list_files(folder, is_tar_name)), {folder.string(), part}};
  };
  const SplitFolders folders = find_split_folders(dir);
  if (!folders.train.empty()) {
    if (split == Split::train) return in_folder(folders.train.front(), "train");
    for (const fs::path& folder : on_val ? folders.validation : std::vector<fs::path>())
      if (SplitShards shards = in_folder(folder, "val"); !shards.paths.empty()) return shards;
    for (const fs::path& folder : on_test ? folders.test : std::vector<fs::path>())
      if (SplitShards shards = in_folder(folder, "test"); !shards.paths.empty()) return shards;
    return {};
  }
  std::vector<std::string> train, validation, test, other;
  for (const std::string& name : list_files(dir, is_tar_name))
    (names_split(name, "train")  ? train
     : names_split(name, "val")  ? validation
     : names_split(name, "test") ? test
                                 : other)
        .push_back(name);
  check(train.empty() || other.empty(), ExitCode::data,
        "{}: the split of {} is unclear, because other shards have 'train' in their names; rename it or move "
        "it away",
        dir.string(), other.empty() ? "" : other.front());
  if (split == Split::train) return {joined(dir, train.empty() ? other : train), {dir.string(), "train"}};
  if (on_val && (!on_test || !validation.empty())) return {joined(dir, validation), {dir.string(), "val"}};
  return {joined(dir, test), {dir.string(), "test"}};
}

// Shards that would be in the set if they were not compressed.
void warn_of_compressed(const fs::path& dir, Dataset& set) {
  const SplitFolders folders = find_split_folders(dir);
  std::vector<fs::path> places;
  if (folders.train.empty()) {
    places.push_back(dir);
  } else {
    places.push_back(folders.train.front());
    places.insert(places.end(), folders.validation.begin(), folders.validation.end());
    places.insert(places.end(), folders.test.begin(), folders.test.end());
  }
  for (const fs::path& place : places) {
    const std::string compressed = can_be_listed(place) ? compressed_tars_in(place) : std::string();
    if (!compressed.empty()) set.add_note(fmt::format("warning: {}: left out: {}", place.string(), compressed));
  }
}

std::vector<ShardFile> shards_at(const std::vector<fs::path>& paths) {
  std::vector<ShardFile> shards;
  for (const fs::path& path : paths) shards.push_back({path, path.string(), path.filename().string()});
  return shards;
}

}  // namespace

bool has_shards(const fs::path& dir) {
  const SplitFolders folders = find_split_folders(dir);
  if (folders.train.empty()) return !list_files(dir, is_tar_name).empty();
  const fs::path& train = folders.train.front();
  return list_folders(train).empty() && !list_files(train, is_tar_name).empty();
}

std::optional<Dataset> open_web_dataset(const OpenRequest& request) {
  const std::vector<fs::path> training = shards_of(request.dir, Split::train, request.evaluate_on).paths;
  check(!training.empty(), ExitCode::data, "{}: no shards to train on; expected train-*.tar, or train/*.tar",
        request.dir.string());
  const auto [paths, origin] = shards_of(request.dir, request.split, request.evaluate_on);
  if (paths.empty()) return std::nullopt;
  std::string warning;
  if (request.split == Split::evaluation && !find_split_folders(request.dir).train.empty())
    warning = same_folder_warning(origin.folder, training.front().parent_path());
  Dataset set = set_of_shards(shards_at(training),
                              shards_at(request.split == Split::evaluation ? paths : std::vector<fs::path>()),
                              request.dir / "classes.txt", request.limits);
  set.set_origin(origin);
  if (!warning.empty()) set.add_note(warning);
  const SplitShards evaluation =
      request.holds_out ? SplitShards() : shards_of(request.dir, Split::evaluation, request.evaluate_on);
  for (const std::string& missing : warnings_of_missing_splits(
           find_split_folders(request.dir), training.front().parent_path(),
           evaluation.paths.empty() ? fs::path() : fs::path(evaluation.origin.folder), request.evaluate_on))
    set.add_note(missing);
  warn_of_compressed(request.dir, set);
  return set;
}

std::optional<Dataset> open_given_shards(const OpenRequest& request) {
  const GivenShards& given = *request.shards;
  check(!given.training.empty(), ExitCode::internal, "{}: opened as shards, and there are none",
        request.dir.string());
  const bool is_evaluation = request.split == Split::evaluation;
  if (is_evaluation && (given.evaluation.empty() || request.evaluate_on == Split::test)) return std::nullopt;
  Dataset set = set_of_shards(given.training, is_evaluation ? given.evaluation : std::vector<ShardFile>(),
                              given.class_list, request.limits, given.folder);
  set.set_origin(
      {is_evaluation ? given.name_of_evaluation : request.dir.string(), is_evaluation ? "val" : "train"});
  return set;
}

}  // namespace kindred::detail
