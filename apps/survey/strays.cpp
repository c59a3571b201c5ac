#include <kindred/apps/survey/strays.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/folders/walk.h>
#include <kindred/data/sets/lists/label_rows.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// The path of a file, with the links to its folder resolved. Each folder is resolved once.
class RealPaths {
 public:
  std::string of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return path;
    const auto [entry, is_new] = known_.try_emplace(path.substr(0, slash));
    if (is_new) {
      std::error_code error;
      entry->second = fs::weakly_canonical(entry->first, error).string();
      if (error) entry->second = entry->first;
    }
    return entry->second + path.substr(slash);
  }

 private:
  std::unordered_map<std::string, std::string> known_;
};

// What lies below a folder: the files that are no samples, and the folders with samples in them, at any depth. All
// paths are relative to it.
struct StrayWalk {
  std::vector<std::string> strays;
  std::unordered_set<std::string> used_folders;
  std::int64_t unlisted_images = 0;

  void mark_used(const std::string& below) {
    for (std::size_t end = below.size(); end-- > 0;)
      if (below[end] == '/' && !used_folders.insert(below.substr(0, end)).second) return;
  }

  // The topmost folder of a stray without samples; empty if there are samples beside it.
  std::string unused_folder_of(const std::string& stray) const {
    for (std::size_t end = stray.find('/'); end != std::string::npos; end = stray.find('/', end + 1))
      if (!used_folders.contains(stray.substr(0, end))) return stray.substr(0, end);
    return {};
  }
};

// The files with the labels of ImageNet's images, and with Tiny-ImageNet's boxes.
bool holds_labels(const std::string& below, const std::string& name) {
  const std::size_t begin = below.rfind('/', below.size() - 2);
  const std::string folder = below.substr(begin == std::string::npos ? 0 : begin + 1);
  return detail::is_label_file_name(name) || name == folder.substr(0, folder.size() - 1) + "_boxes.txt";
}

// The real paths of the samples. A list names all of its images, also those of a split that is not used.
std::unordered_set<std::string> paths_of_set(const std::vector<SplitSurvey>& splits, const std::string& dir,
                                             const std::string& list, RealPaths& real) {
  std::unordered_set<std::string> paths;
  if (!list.empty())
    for (const detail::ListedImage& image : detail::read_label_rows(dir, list).images)
      paths.insert(real.of((fs::path(dir) / image.path).string()));
  else
    for (const SplitSurvey& split : splits)
      for (std::int64_t i = 0; i < split.set.size(); ++i) paths.insert(real.of(split.set.name(i)));
  return paths;
}

// Names that begin with a dot are of the system's or of an editor's files, whatever their ending.
bool is_seen_image(const std::string& below, const std::string& name) {
  const bool is_hidden =
      name.starts_with('.') || below.starts_with('.') || below.find("/.") != std::string::npos;
  return !is_hidden && !promised_format(name).empty();
}

StrayWalk walk_strays(const std::vector<SplitSurvey>& splits, const std::string& dir, const std::string& list) {
  RealPaths real;
  const std::unordered_set<std::string> of_set = paths_of_set(splits, dir, list, real);
  const std::string list_path = list.empty() ? std::string() : real.of((fs::path(".") / list).string());
  StrayWalk found;
  walk_files(dir, {.with_hidden = true, .skip_unlistable = true},
             [&](const std::string& below, const std::string& name) {
               const bool may_be_unlisted = !list.empty() && is_seen_image(below, name);
               if (below.empty() && !may_be_unlisted) return true;
               const std::string path = real.of((fs::path(dir) / (below + name)).string());
               if (of_set.contains(path))
                 found.mark_used(below);
               else if (may_be_unlisted)
                 ++found.unlisted_images;
               else if (path != list_path && !holds_labels(below, name))
                 found.strays.push_back(below + name);
               return true;
             });
  std::sort(found.strays.begin(), found.strays.end());
  return found;
}

// `tests` is the folder that a note of the set names, or empty.
bool is_unused_split(const std::string& folder, const std::string& tests) {
  return folder.find('/') == std::string::npos && (split_role(folder) || folder == tests);
}

std::string what_a_stray_is(const fs::path& dir, const std::string& path) {
  if (is_dead_link(dir / path)) return "not part of the set: " + dead_link_text(dir / path);
  const std::string_view format = promised_format(path);
  if (format.empty() || detail::is_image_name(path))
    return "not part of the set: no image has such a name or place";
  return fmt::format("not part of the set: this build cannot read {}", format);
}

// A folder that holds this many strays, and no sample. With a list there may be images in it, which are no strays.
std::string what_a_folder_is(std::int64_t strays, bool has_list) {
  if (has_list)
    return fmt::format("not part of the set: the list names nothing in it, and {}",
                       strays == 1 ? "1 file is no image" : fmt::format("{} files are no images", strays));
  return fmt::format("not part of the set: no image is read from its {}",
                     strays == 1 ? "only file" : counted(strays, "file"));
}

}  // namespace

Strays find_strays(const std::vector<SplitSurvey>& splits, const std::string& dir, const std::string& list) {
  std::error_code error;
  if (!fs::is_directory(dir, error) || splits.front().set.size() == 0 ||
      !fs::exists(fs::symlink_status(splits.front().set.name(0), error)))
    return {};
  const StrayWalk found = walk_strays(splits, dir, list);
  const std::string tests = list.empty() ? flat_test_folder(dir) : std::string();
  std::map<std::string, std::int64_t> files;  // in each folder without samples
  std::vector<std::pair<std::string, std::string>> entries;
  for (const std::string& stray : found.strays) {
    const std::string folder = found.unused_folder_of(stray);
    if (folder.empty())
      entries.emplace_back(stray, what_a_stray_is(dir, stray));
    else if (!list.empty() || !is_unused_split(folder, tests))  // the notes of a list name no folders
      ++files[folder];
  }
  for (const auto& [folder, count] : files)
    entries.emplace_back(folder, what_a_folder_is(count, !list.empty()));
  std::sort(entries.begin(), entries.end());
  Strays strays{.unlisted_images = found.unlisted_images};
  for (const auto& [path, what] : entries) strays.odd.push_back({(fs::path(dir) / path).string(), what});
  return strays;
}

}  // namespace kindred
